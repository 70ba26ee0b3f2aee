"""The painted hair-line: on the scalp, not on the face, and the same on both sides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from msmdcli.drawing.hair_line import HAIR, hair_of, is_bald
from msmdcli.drawing.scene import scene_of
from msmdcli.heads.gltf_head import source_of
from msmdcli.heads.loading import load_head
from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED_HEAD


def test_hair_is_on_the_scalp_alone() -> None:
    mesh = load_head(SHIPPED_HEAD, Rig.load("arkit52"))
    hair = hair_of(mesh)
    assert hair.min() == 0 and hair.max() == 1
    top = mesh.skin[np.argmax(mesh.neutral[mesh.skin, 1])]
    assert hair[top] == 1
    assert not hair[mesh.lips].any() and not hair[mesh.mouth].any() and not hair[scene_of(mesh).brows > 0.02].any()
    assert all(not hair[eyeball].any() for eyeball in mesh.eyes)
    left, right = (hair[mesh.skin][side * mesh.neutral[mesh.skin, 0] > 20].mean() for side in (1, -1))
    assert abs(left - right) < 0.02


def test_films_and_the_page_show_it_on_the_head_that_ships_alone(tmp_path: Path) -> None:
    mesh = load_head(SHIPPED_HEAD, Rig.load("arkit52"))
    assert is_bald(mesh)
    top = mesh.skin[np.argmax(mesh.neutral[mesh.skin, 1])]
    nose = mesh.skin[np.argmax(mesh.neutral[mesh.skin, 2])]
    colour, _ = scene_of(mesh).materials
    np.testing.assert_allclose(colour[top] / colour[nose], HAIR, rtol=1e-6)
    other = tmp_path / "other.glb"
    other.write_bytes(SHIPPED_HEAD.read_bytes() + b"\0")  # somebody else's: its hair is its own matter
    assert not is_bald(replace(mesh, source=source_of(other, mesh.rig))) and not is_bald(replace(mesh, source=""))
