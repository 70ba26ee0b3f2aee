"""A performance that the model generates takes as many steps as its bundle recommends for that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from msmdcli.batch.planned import PlannedLine
from msmdcli.manifest.lines import Choices
from msmdcli.model.bundle import Bundle
from msmdcli.model.sampling import Sampling


def steps(bundle: Bundle, batch: Sampling, **choices: Any) -> int | None:
    line = cast(PlannedLine, SimpleNamespace(choices=Choices(**choices)))
    return PlannedLine.sampling(line, batch.resolve(bundle), bundle).steps


@pytest.fixture
def bundle(stand_in_bundle: Path) -> Bundle:
    loaded = Bundle.load(stand_in_bundle)
    return replace(loaded, defaults={**loaded.defaults, "sampler": "ddim", "steps": 2, "generated_steps": 7})


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, 2),
        ({"performance": "reference"}, 2),
        ({"performance": "off"}, 2),
        ({"performance": "generated"}, 7),
        ({"performance": "generated", "steps": 2}, 2),
        ({"performance": "generated", "steps": 20}, 20),
        ({"performance": "generated", "quality": "draft"}, 1),
        ({"performance": "generated", "sampler": "ddpm", "steps": 9}, 9),
    ],
)
def test_steps_of_a_line(bundle: Bundle, choices: dict[str, Any], expected: int) -> None:
    assert steps(bundle, Sampling(), **choices) == expected


def test_steps_of_a_whole_batch_stand(bundle: Bundle) -> None:
    assert steps(bundle, Sampling(steps=3), performance="generated") == 3


def test_a_bundle_without_a_recommendation_keeps_its_steps(stand_in_bundle: Path) -> None:
    plain = Bundle.load(stand_in_bundle)
    assert "generated_steps" not in plain.defaults
    assert steps(plain, Sampling(), performance="generated") == steps(plain, Sampling())
