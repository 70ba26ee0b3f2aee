"""Configuration: presets, overrides, and errors that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from msmdcli.errors import UsageError
from training.config import PRESETS, config_from_dict, load_config


@pytest.mark.parametrize("preset", sorted(p.stem for p in PRESETS.glob("*.yaml")))
def test_presets_load_and_survive_a_round_trip(preset: str) -> None:
    config = load_config(preset)
    assert config_from_dict(config.to_dict()) == config


def test_paper_is_the_paper() -> None:
    c = load_config("paper")
    assert (
        c.model.width,
        c.model.layers,
        c.model.heads,
        c.model.feedforward,
        c.model.basis_size,
        c.model.style_dim,
    ) == (512, 8, 8, 2048, 4, 128)
    assert (c.loss.simple, c.loss.velocity, c.loss.smooth, c.loss.kl) == (1.0, 0.5, 5e-6, 1e-6)
    assert (c.optimiser.lr, c.optimiser.batch, c.drop_condition, c.augment.probability, c.model.style_anchor) == (
        1e-4,
        16,
        0.1,
        0.0,
        False,
    )
    assert c.audio.encoder == "hubert" and c.cross


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle: {}", "did you mean 'model'"),
        ("model: {widht: 3}", "model.widht"),
        ("model: {width: wide}", "model.width must be int"),
        ("model: {width: true}", "model.width must be int"),
        ("optimiser: {precision: half}", "optimiser.precision"),
        ("model: [1]", "model must be a mapping"),
        ("model: {width: 30, heads: 4}", "multiple of heads"),
        ("a: [", "not YAML"),
        ("preset: starte", "did you mean 'starter'"),
        ("- 1", "must be a mapping"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_config(None, file)


def test_a_file_overrides_single_values(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("preset: tiny\noptimiser: {lr: 3e-4}\n")
    ours, tiny = load_config(None, file), load_config("tiny")
    assert ours.optimiser.lr == 3e-4 and ours.optimiser.batch == tiny.optimiser.batch and ours.model == tiny.model
