"""The part of a dense head that a film needs: what no camera sees is left out, smooth skin has fewer triangles.

A software renderer pays for every triangle, and the heads of films and games are as dense at the back of the neck and
inside the teeth as at the lips. Here

- lips, lids, brows and the hair-line stay as they are;
- the rest of the skin is thinned by quadric edge collapse (Garland and Heckbert 1997; pyfqmr), borders kept;
- of teeth, gums, eyes and all else that is no skin, the triangles stay that show in some pose from some side
  (`msmdcli.drawing.opengl.visible`).

Every vertex that is left is one of the head's own, so it moves by the head's own targets, and light falls on it by the
normal that it has in the whole head. Finding all that takes seconds, once for a head: the result is kept in the user's
cache, with the colours of the vertices; the head that ships has it beside it.

V is the number of the head's vertices, F of its triangles.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msmdcli.drawing.hair_line import hair_of, is_bald
from msmdcli.drawing.scene import scene_of
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.heads.mesh_file import arrays_of, cache_arrays, cached_arrays
from msmdcli.paths import SHIPPED_HEAD

VERSION = 2  # raise it when a change of the program changes what is left
DENSE = 10_000  # triangles, from which on a head is worth it
SMOOTH, FEATURES = 8_000, 14_000  # triangles left of smooth skin; of lips, lids, brows and hair-line
# Radians that a head may turn sideways, and up or down: `msmdcli.drawing.opengl.visible` looks no farther.
WIDEST = (1.1, 0.65)
TALLEST = 1200  # lines of a picture, above which fewer triangles would be seen
AROUND_EYES = 2.0  # radii of the eyeball that lids and their folds reach to


class FilmMesh(NamedTuple):
    """What is drawn of a head.

    Attributes:
        triangles: [n, 3] vertex numbers of the head.
        colour, gloss: [V, 3], [V] of its vertices, as `msmdcli.drawing.scene.Scene.materials`.
    """

    triangles: np.ndarray
    colour: np.ndarray
    gloss: np.ndarray


def film_mesh(mesh: MeshDecoder, context: Any) -> FilmMesh:
    """What a film draws of a head; all of one that is not dense.

    Args:
        mesh: the head.
        context: of `msmdcli.drawing.opengl.renderer.create_context`; used only if this head is new.

    Raises:
        UsageError: the environment variable of the cache makes no sense.
    """
    if len(mesh.triangles) < DENSE or not mesh.source:
        return whole(mesh)
    key = f"{mesh.source}.film{VERSION}"
    shipped = shipped_film(mesh)
    found = arrays_of(shipped.read_bytes()) if shipped.is_file() else cached_arrays(key)
    if found is not None and set(FilmMesh._fields) <= found.keys():
        return FilmMesh(*(found[name] for name in FilmMesh._fields))
    if find_spec("pyfqmr") is None or not mesh.has("lips"):
        return whole(mesh)
    made = made_film_mesh(mesh, context)
    cache_arrays(key, made._asdict())
    return made


def made_film_mesh(mesh: MeshDecoder, context: Any) -> FilmMesh:
    """The same, newly found. Needs pyfqmr."""
    colour, gloss = scene_of(mesh).materials
    triangles = thinned(mesh, context).astype(np.int32)
    return FilmMesh(triangles, colour.astype(np.float32), gloss.astype(np.float32))


def shipped_film(mesh: MeshDecoder) -> Path:
    """The file of what the head that ships comes with; other heads have none."""
    return SHIPPED_HEAD.parent / f"{mesh.source[:16]}.film{VERSION}.npz"


def made_from(mesh: MeshDecoder) -> str:
    """What the film mesh of a head depends on, as JSON: the head's sha256, the version and the sizes above.

    The file beside the head that ships holds it. Its arrays are not compared with newly made ones, because other
    versions of the libraries leave other triangles and round other digits.
    """
    sizes = {"dense": DENSE, "smooth": SMOOTH, "features": FEATURES, "widest": WIDEST, "around_eyes": AROUND_EYES}
    return json.dumps({"head": mesh.source, "version": VERSION, **sizes}, sort_keys=True)


def whole(mesh: MeshDecoder) -> FilmMesh:
    """All of a head."""
    return FilmMesh(mesh.triangles, *scene_of(mesh).materials)


def thinned(mesh: MeshDecoder, context: Any) -> np.ndarray:
    """The triangles [n, 3] of a dense head without those that are left out, as said above."""
    from msmdcli.drawing.opengl.visible import seen_triangles

    triangles = mesh.triangles  # [F, 3]
    skin, kept = np.zeros(mesh.size, bool), _features(mesh)
    skin[mesh.skin] = True
    on_skin, fine = skin[triangles[:, 0]], kept[triangles].any(axis=1)
    parts = [
        _collapsed(mesh.neutral, triangles[on_skin & fine], FEATURES),
        _collapsed(mesh.neutral, triangles[on_skin & ~fine], SMOOTH),
        triangles[~on_skin & seen_triangles(mesh, context)],
    ]
    return np.concatenate(parts)


def _features(mesh: MeshDecoder) -> np.ndarray:
    """[V] bool: lips, lids, brows and where painted hair begins."""
    scene = scene_of(mesh)
    kept = scene.brows > 0.02
    if is_bald(mesh):
        hair = hair_of(mesh)
        kept |= (hair > 0) & (hair < 1)
    kept[mesh.lips] = kept[mesh.mouth] = True
    for eyeball in mesh.eyes:
        if len(eyeball):
            low, high = mesh.neutral[eyeball].min(axis=0), mesh.neutral[eyeball].max(axis=0)
            away = np.linalg.norm(mesh.neutral - (low + high) / 2, axis=1)
            kept |= away < AROUND_EYES * (high[1] - low[1]) / 2
    return kept


def _collapsed(neutral: np.ndarray, triangles: np.ndarray, most: int) -> np.ndarray:
    """A surface [n, 3] with about `most` triangles at most. Vertices on its border, and as many others, stay."""
    if len(triangles) <= most:
        return triangles
    import pyfqmr

    own, numbers = np.unique(triangles, return_inverse=True)  # [k] numbers of the head's vertices
    simplifier = pyfqmr.Simplify()
    simplifier.setMesh(neutral[own].astype(np.float64), numbers.reshape(-1, 3).astype(np.int32))
    simplifier.simplify_mesh(target_count=most, aggressiveness=5, preserve_border=True, verbose=False)
    places, left, _ = simplifier.getMesh()
    left = own[_nearest(neutral[own], places)][left]  # collapsed edges leave places between vertices
    first, second, third = left.T
    return np.asarray(left[(first != second) & (second != third) & (third != first)])


def _nearest(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[n] number of the point [k, 3] nearest to each place [n, 3]."""
    squared = (points**2).sum(axis=1)  # of distances to the origin
    rows = [(squared - 2 * block @ points.T).argmin(axis=1) for block in np.array_split(places, len(places) // 256 + 1)]
    return np.concatenate(rows)
