from __future__ import annotations

import pytest

from msmdcli.controls.performance import PerformanceOptions, checked_amounts, parse_amounts, parse_performance
from msmdcli.errors import MsmdError
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")


def test_words_for_the_source() -> None:
    assert parse_performance("Reference") == "reference"
    assert parse_performance("off") == parse_performance("False") == "off"
    with pytest.raises(MsmdError, match="'refrence' is not known") as error:
        parse_performance("refrence")
    assert "reference" in error.value.hint


def test_amounts() -> None:
    assert parse_amounts("0.8") == (("all", 0.8),)
    assert parse_amounts("head=0.5, brows=1.2") == (("brows", 1.2), ("head", 0.5))
    for wrong in ("1.6", "-1", "head", "head=x", "heads=1", "head=2", "nan"):
        with pytest.raises(MsmdError):
            parse_amounts(wrong)


def test_a_region_goes_before_all() -> None:
    options = PerformanceOptions(amounts=checked_amounts({"all": 0.5, "head": 1.2}))
    factors = dict(zip(RIG.channels, options.per_channel(RIG), strict=True))
    assert factors["headYaw"] == 1.2
    assert factors["browInnerUp"] == factors["eyeLookInLeft"] == factors["noseSneerLeft"] == 0.5
    assert factors["jawOpen"] == 1


def test_only_what_is_not_the_default_is_said() -> None:
    assert PerformanceOptions().description() == {}
    assert PerformanceOptions().words() == []
    said = PerformanceOptions("reference", (("head", 0.5),), True)
    assert said.description() == {"amounts": {"head": 0.5}, "keep_head_pose": True}
    assert said.words() == ["performance x0.5 head", "head pose kept"]
