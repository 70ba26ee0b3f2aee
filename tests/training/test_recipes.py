"""What a preset becomes on data of one's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_data import make_data

from training.config import RecipeConfig, TrainConfig, load_config, states_sources
from training.recipes import for_own_data, recipe_data
from training.speech import performed


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


def test_a_preset_whose_material_is_all_there_keeps_to_it(tmp_path: Path) -> None:
    """The corpus beside it has clips that a studio may not train on."""
    data, said = make_data(tmp_path / "data", clips=4), []
    index = data / "index.jsonl"
    rows = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]
    for row, source in zip(rows, ("performed", "grid_s1", "grid_multi", "somebody"), strict=False):
        row["source"] = source
    index.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = for_own_data(load_config("starter"), [data], said.append)
    assert config.data.sources == load_config("starter").data.sources
    assert any("as the preset says" in line for line in said)


@pytest.mark.parametrize("rig", ["serep", "flame"])
def test_a_rig_without_lips_has_no_mouth_to_hear(tmp_path: Path, rig: str) -> None:
    said: list[str] = []
    config = own(tmp_path, rig, said)
    assert (config.model.mouth_width, config.ear.width, config.loss.gap, config.loss.mouth_added) == (0, 0, 0, 0)
    assert any(rig in line for line in said)


def test_a_synthesiser_that_a_recipe_names_and_nobody_installed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSMD_KOKORO", str(tmp_path / "nothing"))
    monkeypatch.setattr(performed, "build", lambda *_: iter(()))
    said: list[str] = []
    recipe_data(RecipeConfig(performed_hours=1, speech_engines=("kokoro",)), tmp_path, said.append)
    assert "Kokoro is not installed" in said[0] and str(tmp_path / "nothing") in said[0]
