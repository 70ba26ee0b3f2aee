from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")


def test_arkit52_has_apples_channels_in_apples_order() -> None:
    assert RIG.size == len(set(RIG.channels)) == 55
    assert RIG.channels[:3] == ("eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft")
    assert RIG.channels[14:19] == ("jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose")
    assert RIG.channels[51:] == ("tongueOut", "headPitch", "headYaw", "headRoll")
    left = {name for name in RIG.channels if name.endswith("Left")}
    assert {name.replace("Left", "Right") for name in left} == {name for name in RIG.channels if name.endswith("Right")}


def test_ranges() -> None:
    assert RIG.lower.dtype == RIG.upper.dtype == np.float32
    np.testing.assert_array_equal(RIG.lower[:52], 0)
    np.testing.assert_array_equal(RIG.upper[:52], 1)
    assert (RIG.lower[52:] == -RIG.upper[52:]).all() and (RIG.upper[52:] > 1).all()
    assert not RIG.lower.flags.writeable


def test_every_channel_is_in_one_region_and_unions_join_them() -> None:
    proper = ("lips", "jaw", "cheeks", "nose", "eyes", "brows", "tongue", "head")
    assert sorted(name for region in proper for name in RIG.regions[region]) == sorted(RIG.channels)
    assert sorted(RIG.regions["upper"] + RIG.regions["lower"]) == sorted(RIG.regions["face"])
    assert RIG.regions["face"] == RIG.channels[:52]
    assert "cheekSquintLeft" in RIG.regions["upper"] and "cheekPuff" in RIG.regions["lower"]


def test_indices_follow_the_channels() -> None:
    assert RIG.index("jawOpen") == 17
    for region, names in RIG.regions.items():
        assert tuple(RIG.channels[i] for i in RIG.indices(region)) == names
        assert (np.diff(RIG.indices(region)) > 0).all()
    assert RIG.rotation_indices == (52, 53, 54)


def test_unknown_names_are_answered_with_known_ones() -> None:
    with pytest.raises(MsmdError) as error:
        RIG.index("jawOpened")
    assert "jawOpen" in error.value.hint
    with pytest.raises(MsmdError) as error:
        RIG.indices("chin")
    assert "lips" in error.value.hint
    with pytest.raises(MsmdError) as error:
        Rig.load("metahuman")
    assert "arkit52" in error.value.hint


SMALL = """
format_version: 1
name: small
channels:
  - {name: open, region: mouth}
  - {name: turn, region: head, range: [-1, null]}
  - {name: nod, region: head, range: [-1, 1]}
  - {name: tilt, region: head, range: [-1, 1]}
rotation: [nod, turn, tilt]
unions: {all: [mouth, head]}
"""


def test_rig_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    rig = Rig.load(path)
    assert rig.channels == ("open", "turn", "nod", "tilt") and rig.rotation_indices == (2, 1, 3)
    assert rig.lower.tolist() == [-np.inf, -1, -1, -1] and rig.upper.tolist() == [np.inf, np.inf, 1, 1]
    assert rig == Rig.load(str(path)) and hash(rig) == hash(Rig.load(str(path))) and rig != RIG


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("format_version: 1", "format_version: 2", "format_version 2"),
        ("name: nod,", "name: turn,", "twice"),
        ("[-1, 1]", "[1, -1]", "empty range of channel nod"),
        ("{all: [mouth, head]}", "{all: [mouth, hand]}", "hand"),
        ("rotation: [nod, turn, tilt]", "rotation: [nod, turn]", "rotation"),
        ("unions:", "onions:", "onions"),
        ("channels:", "channels: 3 #", "is not YAML"),
        ("name: small\n", "", "KeyError"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(MsmdError, match=says) as error:
        Rig.load(path)
    assert str(path) in error.value.message
