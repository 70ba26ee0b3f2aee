"""Find what a film needs of the head that ships, and put it beside it (see `msmdcli.film_mesh`).

    python -m msmdcli.heads.make_film

To be run again whenever the head or `msmdcli.film_mesh` changes. Needs the extra `mesh` and OpenGL.
"""

from __future__ import annotations

import numpy as np

from msmdcli.film_mesh import made_film_mesh, shipped_film
from msmdcli.gl_renderer import create_context
from msmdcli.heads import SHIPPED
from msmdcli.mesh import MeshDecoder


def main() -> None:
    """Write the file."""
    mesh = MeshDecoder.load(SHIPPED)
    for old in SHIPPED.parent.glob("*.film*.npz"):
        old.unlink()
    made = made_film_mesh(mesh, create_context())
    np.savez_compressed(shipped_film(mesh), **made._asdict())  # type: ignore[arg-type]
    print(f"{shipped_film(mesh)}: {len(made.triangles)} of {len(mesh.triangles)} triangles")


if __name__ == "__main__":
    main()
