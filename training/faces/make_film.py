"""Find what a film needs of the head that ships, and put it beside it (see `msmdcli.drawing.opengl.film_mesh`).

    python -m training.faces.make_film

To be run again whenever the head or `msmdcli.drawing.opengl.film_mesh` changes. Needs the extra `mesh` and OpenGL.
"""

from __future__ import annotations

import numpy as np

from msmdcli.drawing.opengl.film_mesh import made_film_mesh, made_from, shipped_film
from msmdcli.drawing.opengl.renderer import create_context
from msmdcli.heads.loading import load_head
from msmdcli.paths import SHIPPED_HEAD


def main() -> None:
    """Write the file."""
    mesh = load_head(SHIPPED_HEAD)
    for old in SHIPPED_HEAD.parent.glob("*.film*.npz"):
        old.unlink()
    made = made_film_mesh(mesh, create_context())
    np.savez_compressed(shipped_film(mesh), made_from=np.array(made_from(mesh)), **made._asdict())  # type: ignore[arg-type]
    print(f"{shipped_film(mesh)}: {len(made.triangles)} of {len(mesh.triangles)} triangles")


if __name__ == "__main__":
    main()
