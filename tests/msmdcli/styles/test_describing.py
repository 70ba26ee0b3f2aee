from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from voice_lines import write_style

from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.styles.describing import TWINS, Manner, distance, nearest_tags
from msmdcli.styles.library import StyleLibrary

RIG = Rig.load("arkit52")


def clips(tag: str) -> list[Motion]:
    reference = StyleLibrary().resolve(tag)
    assert reference is not None
    return reference.load()


def test_the_distance_by_hand() -> None:
    one = np.zeros((40, RIG.size), np.float32)
    other = one.copy()
    other[:, RIG.index("browInnerUp")] = 0.3
    other[::2, RIG.index("jawOpen")] = 0.8  # mean and standard deviation 0.4
    other[:, RIG.index("headYaw")] = 1.0  # where the camera stood
    a, b = (Manner.of([Motion(values, Fraction(25), RIG)]) for values in (one, other))
    assert distance(a, b) == pytest.approx((0.5, 0.4), abs=1e-6)
    assert distance(a, a) == (0, 0)


def test_clips_weigh_by_their_length() -> None:
    long, short = np.zeros((30, RIG.size), np.float32), np.ones((10, RIG.size), np.float32)
    manner = Manner.of([Motion(values, Fraction(25), RIG) for values in (long, short)])
    np.testing.assert_allclose(manner.mean, 0.25)
    np.testing.assert_allclose(manner.deviation, 0.0)  # within clips, not between them


@pytest.mark.parametrize("tag", ["angry", "happy", "tired"])
def test_one_take_of_a_tag_finds_its_tag_and_it_is_a_twin(tag: str) -> None:
    near = nearest_tags(Manner.of(clips(tag)[:1]), StyleLibrary())
    assert near[0].tag == tag and near[0].twin
    assert [n.distance for n in near] == sorted(n.distance for n in near)
    assert not near[1].twin


def test_the_tags_that_ship_are_no_twins() -> None:
    library = StyleLibrary()
    for tag in library.tags:
        assert nearest_tags(Manner.of(clips(tag)), library, leave_out=[tag])[0].distance > TWINS


def test_a_broken_tag_is_left_out(tmp_path: Path) -> None:
    write_style(tmp_path / "fine", 0)
    write_style(tmp_path / "broken", 1)
    (tmp_path / "broken/clip.npz").write_bytes(b"x")
    library = StyleLibrary([tmp_path], shipped=False)
    assert [n.tag for n in nearest_tags(Manner.of(clips("angry")), library)] == ["fine"]
