"""MakeHuman's files: a mesh of a few points with the targets that a person is made of."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from training.faces.synthetic_faces import AGES, DESCENTS, SEXES, MakeHuman, faces

PLACES = (np.array([[0, 1, 2], [0, 1, 2], [0, 2, 3]]), np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1.0]]))


def write_target(folder: Path, name: str, rows: str) -> None:
    path = folder / "targets" / f"{name}.target.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(f"# a target\n{rows}\n")


@pytest.fixture
def human(tmp_path: Path) -> MakeHuman:
    (tmp_path / "3dobjs").mkdir()
    corners = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
    (tmp_path / "3dobjs" / "base.obj").write_text(f"{corners}g body\nf 1/1 2/2 3/3 4/4\ng helper-l-eye\nf 1 2 3\n")
    for sex in SEXES:
        for age in AGES:
            for descent in DESCENTS:
                write_target(tmp_path, f"macrodetails/{descent}-{sex}-{age}", f"0 {0.1 if sex == 'male' else 0} 0 0")
            for muscle in ("minmuscle", "averagemuscle", "maxmuscle"):
                for weight in ("minweight", "averageweight", "maxweight"):
                    heavy = {"minweight": -0.2, "averageweight": 0.0, "maxweight": 0.4}[weight]
                    write_target(tmp_path, f"macrodetails/universal-{sex}-{age}-{muscle}-{weight}", f"1 {heavy} 0 0")
    for side in ("l", "r"):
        for way, much in (("decr", -0.5), ("incr", 0.5)):
            write_target(tmp_path, f"eyes/{side}-eye-scale-{way}", f"{2 if side == 'l' else 3} 0 {much} 0")
    write_target(tmp_path, "nose/nose-trans-in", "2 9 9 9")
    return MakeHuman(tmp_path)


def test_polygons_become_triangles(human: MakeHuman) -> None:
    np.testing.assert_array_equal(human.skin(), [[0, 1, 2], [0, 2, 3]])


def test_people_lie_between_their_corners(human: MakeHuman) -> None:
    descent = np.array([0.2, 0.3, 0.5])
    assert human.person(1.0, 0.3, descent)[0, 0] == pytest.approx(0.1)
    assert human.person(0.25, 0.3, descent)[0, 0] == pytest.approx(0.025)
    assert human.person(0.5, 0.0, descent, weight=0.75)[1, 0] == pytest.approx(0.2)
    assert human.person(0.5, 0.0, descent, weight=0.25)[1, 0] == pytest.approx(-0.1)


def test_details_move_both_sides_alike_and_nothing_sideways(human: MakeHuman) -> None:
    assert human.details() == [
        (["eyes/l-eye-scale-decr", "eyes/r-eye-scale-decr"], ["eyes/l-eye-scale-incr", "eyes/r-eye-scale-incr"])
    ]
    points = human.somebody(np.random.Generator(np.random.Philox(1)))
    assert points[2, 1] == pytest.approx(points[3, 1]) and points[2, 1] != 1.0
    assert points[2, 0] == 1.0


def test_the_same_seed_draws_the_same_people(human: MakeHuman) -> None:
    first, again = (faces(human, PLACES, 3, np.random.Generator(np.random.Philox(7))) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (3, 3, 3) and not np.allclose(first[0], first[1])
    np.testing.assert_allclose(first.mean(axis=1), 0.0, atol=1e-12)


def test_a_folder_without_the_mesh_is_told(tmp_path: Path) -> None:
    with pytest.raises(MsmdError, match="no MakeHuman mesh"):
        MakeHuman(tmp_path)
