"""What draws heads: OpenGL where it runs, else NumPy. Both draw the same picture to the eye."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Literal, Protocol, get_args

import numpy as np

from msmdcli.drawing.numpy_renderer import NumpyRenderer
from msmdcli.errors import MsmdError, UsageError, install_command
from msmdcli.heads.mesh import MeshDecoder

Choice = Literal["auto", "opengl", "numpy"]
CHOICES: tuple[str, ...] = get_args(Choice)
INSTALL_OPENGL = "apt-get install -y libegl1 libgl1-mesa-dri"  # Debian, Ubuntu: Mesa with its software renderer


class Renderer(Protocol):
    """Draws one head.

    Attributes:
        name: what it is, for people.
    """

    name: str

    def pictures(self, values: np.ndarray, *, head: bool = True) -> Iterator[np.ndarray]:
        """Pictures [height, width, 3] uint8 sRGB of channel values [T, D], one after the other, to be looked at one by
        one: with the smoothest edges.

        Args:
            values: channel values.
            head: turn the head by the rig's head channels.
        """

    def film_pictures(self, values: np.ndarray, *, head: bool = True) -> Iterator[np.ndarray]:
        """The same pictures for a film: [height * 3 / 2, width] uint8 (NV12, `msmdcli.media.mp4`), drawn faster. Width
        and height are even.
        """

    def close(self) -> None:
        """Give back what it holds."""


def open_renderer(
    mesh: MeshDecoder,
    width: int,
    height: int,
    turns: Sequence[float] = (0.0,),
    *,
    choice: str = "auto",
) -> Renderer:
    """A renderer of one head.

    Args:
        mesh: the head.
        width, height: of a picture in pixels.
        turns: the head is drawn from these sides next to each other: radians that it is turned to its left by.
        choice: `auto` takes OpenGL where it runs.

    Raises:
        UsageError: there is no such choice.
        MsmdError: OpenGL was wanted and does not run here; too small a picture.
    """
    if choice not in CHOICES:
        raise UsageError(f"there is no renderer {choice!r}", hint=f"choose from {', '.join(CHOICES)}")
    if min(width // len(turns), height) < 8:
        raise MsmdError(f"a picture of {width} x {height} pixels cannot be drawn", hint="give at least 8 x 8")
    if choice != "numpy":
        problem = opengl_problem()
        if problem is None:
            from msmdcli.drawing.opengl.renderer import GlRenderer

            return GlRenderer(mesh, width, height, turns)
        if choice == "opengl":
            raise MsmdError(f"OpenGL does not run here: {problem[0]}", hint=problem[1])
    return NumpyRenderer(mesh, width, height, turns)


@cache
def opengl_problem() -> tuple[str, str] | None:
    """Why OpenGL does not run here and the command that installs what is missing; None: it runs."""
    if find_spec("moderngl") is None:
        return "moderngl is not installed", install_command("mesh")
    from msmdcli.drawing.opengl.renderer import create_context

    try:
        create_context().release()
    except Exception as error:  # moderngl and glcontext raise several kinds, bare Exception among them
        said = str(error).strip().splitlines()
        return (said[0] if said else type(error).__name__), INSTALL_OPENGL
    return None


def opengl_name() -> str:
    """What OpenGL draws with here. Only where `opengl_problem` finds none."""
    from msmdcli.drawing.opengl.renderer import create_context

    context = create_context()
    try:
        return str(context.info["GL_RENDERER"])
    finally:
        context.release()
