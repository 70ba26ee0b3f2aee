"""What a preset becomes on data of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_data import make_data

from training.config import TrainConfig, load_config, states_sources
from training.recipes import for_own_data


def own(tmp_path: Path, rig: str, said: list[str]) -> TrainConfig:
    config = load_config("starter")
    config = replace(config, data=replace(config.data, rig=rig))
    return for_own_data(config, [make_data(tmp_path / "data", clips=2)], said.append)


def test_the_ear_learns_from_tracked_mouths_where_no_phones_are_known(tmp_path: Path) -> None:
    said: list[str] = []
    config = own(tmp_path, "arkit52", said)
    assert config.ear.real == ("*",) and config.data.sources is None and config.model.mouth_width > 0
    assert len(said) == 1 and "the preset's shares" in said[0]


def test_shares_that_a_file_states_count_even_where_they_are_the_preset_s(tmp_path: Path) -> None:
    data, file = make_data(tmp_path / "data", clips=2), tmp_path / "mine.yaml"
    assert not states_sources(None)
    file.write_text("preset: starter\noptimiser: {batch: 8}\n")
    assert not states_sources(file)
    file.write_text("preset: starter\ndata: {sources: {performed: 0.8, grid_s1: 0.16, grid_multi: 0.04}}\n")
    config = load_config(file=file)
    assert for_own_data(config, [data], print, states_sources(file)).data.sources == load_config("starter").data.sources


@pytest.mark.parametrize("rig", ["serep", "flame"])
def test_a_rig_without_lips_has_no_mouth_to_hear(tmp_path: Path, rig: str) -> None:
    said: list[str] = []
    config = own(tmp_path, rig, said)
    assert (config.model.mouth_width, config.ear.width, config.loss.gap, config.loss.mouth_added) == (0, 0, 0, 0)
    assert any(rig in line for line in said)
