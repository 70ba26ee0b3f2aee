from __future__ import annotations

from collections.abc import Callable

import pytest

from msmdcli.motion.morph_names import match_targets
from msmdcli.motion.rig import Rig

CHANNELS = Rig.load("arkit52").regions["face"]


def short(name: str, left: str = "L", right: str = "R") -> str:
    return name.replace("Left", left).replace("Right", right)


def side_first(name: str) -> str:
    for side in ("Left", "Right"):
        if name.endswith(side):
            return f"{side[0]}_{name.removesuffix(side)}"
    return name


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capital": lambda name: name[0].upper() + name[1:],
    "upper": str.upper,
    "lower": str.lower,
    "_L": lambda name: short(name, "_L", "_R"),
    ".L": lambda name: short(name, ".L", ".R"),
    "L": short,
    "side first": side_first,
    "group": lambda name: f"Head.{name}",
    "group and _L": lambda name: f"face:{short(name, '_L', '_R')}",
    "prefix": lambda name: f"BS_{name}",
    "suffix": lambda name: f"{name}Shape",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_any_usual_spelling_is_known_for_certain(spelling: str) -> None:
    spell = SPELLINGS[spelling]
    names = [spell(channel) for channel in CHANNELS]
    found = match_targets(["Basis", *reversed(names), "Blink_Extra"], CHANNELS)
    assert found.found == {channel: (spell(channel),) for channel in CHANNELS}
    assert not found.doubtful and not found.missing
    assert found.unused == ("Basis", "Blink_Extra")


def test_guesses_are_called_doubtful() -> None:
    found = match_targets(["browInnerUp_L", "browInnerUp_R", "mouthPuker", "openJaw", "Smile", "eyeblinkl"], CHANNELS)
    assert found.found == {
        "browInnerUp": ("browInnerUp_L", "browInnerUp_R"),
        "mouthPucker": ("mouthPuker",),
        "jawOpen": ("openJaw",),
        "eyeBlinkLeft": ("eyeblinkl",),
    }
    assert set(found.doubtful) == set(found.found)
    assert found.unused == ("Smile",)
    assert len(found.missing) == len(CHANNELS) - 4


def test_one_of_two_candidates_is_taken_and_told() -> None:
    found = match_targets(["JAWOPEN", "jawOpen"], CHANNELS)
    assert found.found["jawOpen"] == ("jawOpen",) and "JAWOPEN" in found.doubtful["jawOpen"]


def test_left_is_never_taken_for_right() -> None:
    found = match_targets(["eyeBlink_R", "mouthSmileRight"], CHANNELS)
    assert found.found == {"eyeBlinkRight": ("eyeBlink_R",), "mouthSmileRight": ("mouthSmileRight",)}


def test_a_person_s_word_stands() -> None:
    found = match_targets(["jawOpen", "Mund_auf"], CHANNELS, {"jawOpen": ["Mund_auf"]})
    assert found.found == {"jawOpen": ("Mund_auf",)} and not found.doubtful and found.unused == ("jawOpen",)


def test_channels_of_another_rig() -> None:
    found = match_targets(["expression 0", "EXPRESSION_12"], ["expression_0", "expression_1", "expression_12"])
    assert found.found == {"expression_0": ("expression 0",), "expression_12": ("EXPRESSION_12",)}
