"""A small page to draw a figure on: text, lines, areas and pictures, saved as SVG or PNG.

SVG needs nothing but the standard library and prints sharp at any size. PNG is drawn by Pillow. Coordinates are in
points of 1/96 inch, x to the right and y down, as in SVG; a PNG has `PNG_SCALE` pixels per point.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from xml.sax.saxutils import escape

import numpy as np

from msmdcli.drawing.pictures import png_bytes
from msmdcli.errors import MsmdError, UsageError
from msmdcli.system.files import write_text

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Anchor = Literal["start", "middle", "end"]
Points = Sequence[tuple[float, float]] | np.ndarray  # [n, 2]

SUFFIXES = (".svg", ".png")
PNG_SCALE = 2  # pixels per point
SMOOTH = 2  # a PNG is drawn this many times larger and averaged down
INK, PALE, PAPER = "#22262b", "#9aa1a9", "#ffffff"


@dataclass(frozen=True)
class _Text:
    x: float
    y: float  # of the base line
    words: str
    size: float
    anchor: Anchor
    colour: str


@dataclass(frozen=True)
class _Line:
    points: np.ndarray  # [n, 2]
    colour: str
    width: float


@dataclass(frozen=True)
class _Area:
    points: np.ndarray  # [n, 2]
    colour: str


@dataclass(frozen=True)
class _Picture:
    x: float
    y: float
    width: float
    height: float
    pixels: np.ndarray  # [H, W, 3] uint8


class Canvas:
    """A page. What is drawn later lies above.

    Args:
        width, height: in points.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._drawn: list[_Text | _Line | _Area | _Picture] = []

    def text(
        self, x: float, y: float, words: str, size: float = 12, anchor: Anchor = "start", colour: str = INK
    ) -> None:
        """One line of words; x is where it starts, its middle or its end, y its base line."""
        self._drawn.append(_Text(x, y, words, size, anchor, colour))

    def line(self, points: Points, colour: str = INK, width: float = 1.0) -> None:
        """A line through points [n, 2]."""
        self._drawn.append(_Line(np.asarray(points, np.float64), colour, width))

    def area(self, points: Points, colour: str) -> None:
        """The inside of a polygon [n, 2]."""
        self._drawn.append(_Area(np.asarray(points, np.float64), colour))

    def picture(self, x: float, y: float, width: float, height: float, pixels: np.ndarray) -> None:
        """A picture [H, W, 3] uint8, its top left corner at x, y."""
        self._drawn.append(_Picture(x, y, width, height, pixels))

    def save(self, path: Path) -> None:
        """Write the page, whole or not at all, in the format that the suffix says.

        Raises:
            UsageError: another suffix than .svg or .png, or .png without Pillow.
            MsmdError: it cannot be written.
        """
        check_suffix(path)
        if path.suffix.lower() == ".svg":
            write_text(path, self.svg())
            return
        pixels = self.pixels()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png_bytes(pixels))
        except OSError as error:
            raise MsmdError(f"{path} cannot be written: {error.strerror or error}") from error

    def svg(self) -> str:
        """The page as SVG 1.1, pictures included."""
        width, height = f"{self.width:g}", f"{self.height:g}"
        names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        parts = [
            f'<svg {names} {size} font-family="Helvetica, Arial, sans-serif">',
            f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        ]
        for item in self._drawn:
            if isinstance(item, _Text):
                parts.append(
                    f'<text x="{item.x:.1f}" y="{item.y:.1f}" font-size="{item.size:g}" fill="{item.colour}" '
                    f'text-anchor="{item.anchor}">{escape(item.words)}</text>'
                )
            elif isinstance(item, _Line):
                parts.append(
                    f'<polyline points="{_pairs(item.points)}" fill="none" stroke="{item.colour}" '
                    f'stroke-width="{item.width:g}" stroke-linejoin="round"/>'
                )
            elif isinstance(item, _Area):
                parts.append(f'<polygon points="{_pairs(item.points)}" fill="{item.colour}"/>')
            else:
                data = base64.b64encode(png_bytes(item.pixels)).decode("ascii")
                parts.append(
                    f'<image x="{item.x:.1f}" y="{item.y:.1f}" width="{item.width:g}" height="{item.height:g}" '
                    f'xlink:href="data:image/png;base64,{data}"/>'
                )
        return "\n".join([*parts, "</svg>", ""])

    def pixels(self) -> np.ndarray:
        """The page as a picture [H, W, 3] uint8, H = height * PNG_SCALE."""
        try:
            from PIL import Image, ImageDraw
        except ImportError:
            raise UsageError(
                "a figure as .png needs Pillow", hint="pip install pillow, or name a .svg, which needs nothing"
            ) from None

        scale = PNG_SCALE * SMOOTH
        page = Image.new("RGB", (round(self.width * scale), round(self.height * scale)), PAPER)
        draw = ImageDraw.Draw(page)
        for item in self._drawn:
            if isinstance(item, _Text):
                _draw_text(draw, item, scale)
            elif isinstance(item, _Line):
                points = [tuple(point) for point in item.points * scale]
                draw.line(points, fill=item.colour, width=max(1, round(item.width * scale)), joint="curve")
            elif isinstance(item, _Area):
                draw.polygon([tuple(point) for point in item.points * scale], fill=item.colour)
            else:
                size = (round(item.width * scale), round(item.height * scale))
                page.paste(Image.fromarray(item.pixels).resize(size), (round(item.x * scale), round(item.y * scale)))
        return np.asarray(page.reduce(SMOOTH), np.uint8)


def check_suffix(path: Path) -> None:
    """Refuse a file name that says neither .svg nor .png."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is neither .svg nor .png", hint="name a .svg to print, a .png to look at")


def _pairs(points: np.ndarray) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


def _draw_text(draw: ImageDraw, item: _Text, scale: float) -> None:
    from PIL import ImageFont

    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[item.anchor]
    font = ImageFont.load_default(item.size * scale)
    draw.text((item.x * scale, item.y * scale), item.words, fill=item.colour, font=font, anchor=anchor)
