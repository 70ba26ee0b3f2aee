"""Draw the pictures of the README and of the gallery, from one example line on the head that ships.

    python examples/make_pictures.py          writes examples/pictures/ and examples/guides/gallery.md

Every tag animates the same recording; each is drawn at the same moments, chosen by the sound alone: four of its loudest
syllables and pauses, apart in time. Needs the extras `cpu` and `mesh`.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import msmdcli as msmd  # noqa: E402
from msmdcli.drawing.canvas import PNG_SCALE, Canvas  # noqa: E402
from msmdcli.drawing.renderer import open_renderer  # noqa: E402
from msmdcli.heads.loading import load_head  # noqa: E402
from msmdcli.heads.mesh import MeshDecoder  # noqa: E402
from msmdcli.paths import find_head  # noqa: E402

AUDIO = REPOSITORY / "examples" / "audio" / "guard_001.ogg"
PICTURES = REPOSITORY / "examples" / "pictures"
GALLERY = REPOSITORY / "examples" / "guides" / "gallery.md"
SIX = ("neutral", "happy", "angry", "sad", "surprised", "contemptuous")
MOMENTS = 4
APART = 0.3  # seconds between two moments, at least
SIZE = 400  # pixels of a head, of which the face is shown:
FACE = (slice(20, 340), slice(60, 340))
COLOURS = 128  # of a picture that is kept: a fifth of the bytes
LABEL = 36  # pixels of the text above


def moments(audio: msmd.Audio) -> list[float]:
    """Seconds of loud syllables, apart from each other, in order."""
    size = audio.rate // 50
    whole = len(audio.samples) // size * size
    level = np.square(audio.samples[:whole].reshape(-1, size)).mean(axis=1)  # [F] at 50 per second
    level = np.convolve(level, np.ones(5) / 5, "same")
    found: list[float] = []
    for frame in np.argsort(-level, kind="stable"):
        at = float(frame + 0.5) / 50
        if all(abs(at - other) >= APART for other in found):
            found.append(at)
        if len(found) == MOMENTS:
            break
    return sorted(found)


def row(mesh: MeshDecoder, motion: msmd.Motion, seconds: list[float]) -> np.ndarray:
    """The face at moments of a motion, side by side: [H, W * n, 3] uint8."""
    frames = [min(round(at * motion.fps), motion.frames - 1) for at in seconds]
    values = motion.values[frames]
    with closing(open_renderer(mesh, SIZE, SIZE)) as renderer:
        return np.concatenate([picture[FACE] for picture in renderer.pictures(values)], axis=1)


def sheet(rows: dict[str, np.ndarray], columns: int) -> np.ndarray:
    """Rows of faces with their tags above, in columns."""
    height, width, _ = next(iter(rows.values())).shape
    down = -(-len(rows) // columns)
    canvas = Canvas(columns * width / PNG_SCALE, down * (height + LABEL) / PNG_SCALE)
    for i, (tag, picture) in enumerate(rows.items()):
        x, y = (i % columns) * width, (i // columns) * (height + LABEL)
        canvas.text((x + 8) / PNG_SCALE, (y + LABEL - 8) / PNG_SCALE, tag, size=11)
        canvas.picture(x / PNG_SCALE, (y + LABEL) / PNG_SCALE, width / PNG_SCALE, height / PNG_SCALE, picture)
    return canvas.pixels()


def keep(path: Path, picture: np.ndarray) -> None:
    """Write [H, W, 3] uint8 as a PNG of few colours."""
    Image.fromarray(picture).quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> int:
    PICTURES.mkdir(exist_ok=True)
    mesh = load_head(find_head())
    audio = msmd.load_audio(AUDIO)
    at = moments(audio)
    library = msmd.StyleLibrary()
    rows: dict[str, np.ndarray] = {}
    with msmd.Animator() as animator:
        for tag in library.tags:
            rows[tag] = row(mesh, animator.animate(AUDIO, style=tag), at)
    keep(PICTURES / "six_styles.png", sheet({tag: rows[tag] for tag in SIX}, columns=2))
    text = [
        "# Gallery",
        "",
        (
            f"One line (`examples/audio/{AUDIO.name}`) in every shipped tag, at the same {MOMENTS} moments: "
            f"{', '.join(f'{second:.2f}' for second in at)} s. Drawn by `python examples/make_pictures.py`."
        ),
        "",
    ]
    for tag, picture in rows.items():
        keep(PICTURES / f"tag_{tag}.png", picture)
        text += [f"## {tag}", "", library.read(tag).description, "", f"![{tag}](../pictures/tag_{tag}.png)", ""]
    GALLERY.write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
    print(f"{len(rows)} tags -> {PICTURES} and {GALLERY}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
