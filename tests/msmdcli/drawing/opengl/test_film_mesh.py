"""What a film leaves out of a head does not show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msmdcli.drawing.opengl import film_mesh as module
from msmdcli.drawing.opengl.film_mesh import DENSE, FilmMesh, film_mesh, made_from, shipped_film, whole
from msmdcli.drawing.renderer import open_renderer, opengl_problem
from msmdcli.drawing.scene import scene_of
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.paths import find_head

pytest.importorskip("PIL")
needs_opengl = pytest.mark.skipif(opengl_problem() is not None, reason=f"no OpenGL here: {opengl_problem()}")


@pytest.fixture(scope="module")
def mesh() -> MeshDecoder:
    return load_head(find_head())


@pytest.fixture(scope="module")
def film(mesh: MeshDecoder) -> FilmMesh:
    return film_mesh(mesh, None)  # no context is needed for the head that ships: it has its own


def poses(mesh: MeshDecoder, count: int, turned: float = 0.2) -> np.ndarray:
    """Faces of a few channels each, the head turned."""
    rng = np.random.Generator(np.random.Philox(11))
    values = np.where(rng.random((count, mesh.rig.size)) < 0.12, rng.uniform(0.2, 1.0, (count, mesh.rig.size)), 0.0)
    values[::2, mesh.rig.index("jawOpen")] = rng.uniform(0.2, 0.9, len(values[::2]))
    assert mesh.rig.rotation_indices is not None
    values[:, list(mesh.rig.rotation_indices)] = rng.uniform(-turned, turned, (count, 3))
    return values.astype(np.float32)


def test_the_head_that_ships_has_its_own(mesh: MeshDecoder, film: FilmMesh) -> None:
    """It was made from this head with the present sizes. After a change: `python -m training.faces.make_film`."""
    with np.load(shipped_film(mesh), allow_pickle=False) as file:
        assert str(file["made_from"]) == made_from(mesh)
    assert DENSE < len(film.triangles) < 0.5 * len(mesh.triangles)
    assert film.triangles.min() >= 0 and film.triangles.max() < mesh.size


def test_its_colours_are_those_of_the_scene(mesh: MeshDecoder, film: FilmMesh) -> None:
    """But for a vertex here and there: on the edge of an iris another library's last digit decides."""
    for stored, now in zip((film.colour, film.gloss), scene_of(mesh).materials, strict=True):
        assert (np.abs(stored - now) > 1e-3).mean() < 0.005


def test_lips_lids_and_brows_stay_as_they_are(mesh: MeshDecoder, film: FilmMesh) -> None:
    kept = np.zeros(mesh.size, bool)
    kept[mesh.lips] = True
    kept |= scene_of(mesh).brows > 0.02
    own = {tuple(triangle) for triangle in film.triangles.tolist()}
    fine = mesh.triangles[kept[mesh.triangles].any(axis=1)]
    assert len(fine) > 1500 and {tuple(triangle) for triangle in fine.tolist()} <= own


@needs_opengl
@pytest.mark.parametrize(("turn", "turned"), [(0.0, 0.5), (-0.7, 0.2)])
def test_it_looks_the_same_from_the_sides_that_films_show(mesh: MeshDecoder, turn: float, turned: float) -> None:
    from msmdcli.drawing.opengl.renderer import GlRenderer

    values = poses(mesh, 12, turned)
    renderer = open_renderer(mesh, 480, 360, (turn,), choice="opengl")
    thinned = list(renderer.film_pictures(values))
    assert isinstance(renderer, GlRenderer) and "_still_planes" not in vars(renderer)  # nothing was drawn whole
    with renderer._context:
        vars(renderer)["_film"] = renderer._still_planes  # the same passes, and nothing left out
    for left_out, all_of_it in zip(thinned, renderer.film_pictures(values), strict=True):
        off = np.abs(left_out[:360].astype(int) - all_of_it[:360].astype(int))
        assert off.mean() < 0.4  # of 219
        assert (off > 30).mean() < 0.002  # a hole would be larger
    renderer.close()


@needs_opengl
@pytest.mark.parametrize(("channel", "angle"), [("headYaw", 1.3), ("headYaw", -1.3), ("headPitch", 0.8)])
def test_nothing_is_left_out_of_a_head_that_turns_away(mesh: MeshDecoder, channel: str, angle: float) -> None:
    values = poses(mesh, 2)
    values[1, mesh.rig.index(channel)] = angle
    turned = values[1:]
    renderer = open_renderer(mesh, 320, 240, choice="opengl")
    alone = next(iter(renderer.film_pictures(turned)))
    vars(renderer)["_film"] = None  # whoever asks for it fails
    assert (list(renderer.film_pictures(values))[1] == alone).all()
    with pytest.raises(AttributeError):
        list(renderer.film_pictures(values[:1]))
    renderer.close()


def test_a_head_that_is_not_dense_is_drawn_whole() -> None:
    from msmdcli.paths import SHIPPED

    face = load_head(SHIPPED / "rigs" / "face468.yaml")
    drawn = film_mesh(face, None)
    assert (drawn.triangles == face.triangles).all()


@needs_opengl
def test_another_dense_head_is_thinned_once(mesh: MeshDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyfqmr")
    from msmdcli.drawing.opengl.renderer import create_context

    monkeypatch.setenv("MSMD_CACHE", str(tmp_path))
    monkeypatch.setenv("MSMD_HEAD_CACHE", "100MB")
    # Far fewer poses: what is found is for another test.
    monkeypatch.setattr("msmdcli.drawing.opengl.visible.YAWS", (0.0,))
    monkeypatch.setattr("msmdcli.drawing.opengl.visible.MIXED", 1)
    other = replace(mesh, source="ab" * 32)
    context = create_context()
    made = film_mesh(other, context)
    context.release()
    assert len(made.triangles) < 0.5 * len(mesh.triangles)
    assert 0 <= made.triangles.min() <= made.triangles.max() < mesh.size

    def again(*_: object) -> FilmMesh:
        raise AssertionError("made again")

    monkeypatch.setattr(module, "made_film_mesh", again)
    for first, second in zip(made, film_mesh(other, None), strict=True):
        assert (first == second).all()
    (file,) = tmp_path.rglob("*.npz")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(AssertionError, match="made again"):  # a damaged one is not believed
        film_mesh(other, None)
    monkeypatch.setenv("MSMD_HEAD_CACHE", "off")
    with pytest.raises(AssertionError, match="made again"):
        film_mesh(other, None)


def test_without_the_package_that_thins_all_of_it_is_drawn(mesh: MeshDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    other = replace(mesh, source="cd" * 32)
    assert (film_mesh(other, None).triangles == whole(mesh).triangles).all()
