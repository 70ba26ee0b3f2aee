"""The review page of a batch: see and hear every line in one click, and mark what to do again.

`write_review` makes OUT/review.html and a folder OUT/review with one small script per line, which the page loads when
the line is looked at: a thousand lines open as fast as ten, and nothing needs a network or a server. The page draws the
line's motion on the default head (`rigs/face468.yaml`) in step with the recording, with waveform and curves below.

Marks live in the browser until they are downloaded: `redo.yaml` names the lines to do again, each with another seed,
and is itself a manifest (`msmdcli.manifest.redo`): `msmd batch redo.yaml`.

OUT may have come from somebody else, or be a folder with other files. So nothing is replaced or removed but what this
module wrote (its scripts and its page begin with their marks), nothing is written through a link, and only what could
be decoded as sound is copied.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from msmdcli.batch.report_file import read_report
from msmdcli.errors import MsmdError
from msmdcli.motion.roll import without_roll
from msmdcli.system.files import TEMPORARY, cannot_write, encoded, whole_file, write_text

PAGE, FOLDER, SOUNDS = "review.html", "review", "review/audio"
TEMPLATE = Path(__file__).with_name("review_page.html")
SHOWN_FPS = Fraction(25)  # at most; pictures need no more
PEAKS = 600  # bars of the waveform
ANGLE_RANGE = 1.0  # radians that the head's angles are stored within
HEAD_RIG = "face468"
READERS = 4
# Of report.json's lines: what the list and the details show.
LISTED = (
    "id",
    "status",
    "style",
    "seed",
    "seconds",
    "score",
    "concerns",
    "warnings",
    "error",
    "hint",
    "language",
    "text",
    "character",
    "health",
    "outputs",
    "controls",
)

SCRIPT = re.compile(r"[0-9a-f]{16}\.js")  # names of our scripts
MARKS = {".js": b"msmdLine(", ".html": b'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">'}

Progress = Callable[[], None]


@dataclass(frozen=True)
class ReviewOptions:
    """How the page is made.

    Attributes:
        copy_audio: copy the recordings into the folder, so that it can be sent to somebody; else the page plays them
            where they are.
    """

    copy_audio: bool = False


def write_review(out: Path, options: ReviewOptions = ReviewOptions(), progress: Progress = lambda: None) -> Path:
    """Make the page of the batch in OUT.

    Args:
        out: a folder that `msmd batch` wrote.
        options: see ReviewOptions.
        progress: called after each line.

    Returns:
        The page.

    Raises:
        UsageError: OUT holds no report, or one that MSMD did not write.
        MsmdError: the page or its folder cannot be written, or lie where somebody else's files do.
    """
    report = read_report(out)
    lines = report["lines"]
    folder, page = out / FOLDER, out / PAGE
    _make_folder(folder)
    if options.copy_audio:
        _make_folder(out / SOUNDS)
    if page.exists() and not _is_ours(page):
        raise MsmdError(f"{page} is not a page that MSMD wrote", hint="move it elsewhere")

    def prepare(number: int) -> dict[str, Any]:
        line = lines[number]
        entry = {name: line[name] for name in LISTED if name in line}
        sound = Path(line["audio"]) if line.get("audio") else None
        script = f"{FOLDER}/{hashlib.sha256(encoded(line['id'])).hexdigest()[:16]}.js"
        data = None
        try:
            peaks = _peaks(sound)
            if sound is not None and len(peaks):  # it is sound
                entry["audio"] = _sound_address(sound, out, options)
            data = line_data(out, line.get("outputs", ()), peaks)
        except MsmdError as error:
            entry["unreadable"] = error.message
        if data is not None:
            write_text(out / script, f"msmdLine({json.dumps(line['id'])}, {json.dumps(data)});\n")
            entry["data"] = script
        progress()
        return entry

    with ThreadPoolExecutor(READERS) as pool:
        entries = list(pool.map(prepare, range(len(lines))))
    _remove_others(folder, {entry["data"] for entry in entries if "data" in entry})
    about = {
        "title": out.resolve().name,
        "manifest": str(report["settings"].get("manifest", "")),
        "bundle": str(report["bundle"].get("name", "")),
        "counts": report["counts"],
        "limits": report["limits"],
        "key": hashlib.sha256(encoded(str(out.resolve()))).hexdigest()[:16],
    }
    write_text(page, as_page(about, entries, _head()))
    return page


def line_data(out: Path, outputs: Iterable[str], peaks: np.ndarray) -> dict[str, Any] | None:
    """What the page draws of one line: curves (a byte a value, channel after channel) and the waveform's peaks.

    Args:
        out: the batch's folder.
        outputs: paths below it; the first motion on the channels of `arkit52` is shown.
        peaks: [n] uint8, of the recording.

    Returns:
        None where no output is motion that can be read back.
    """
    from msmdcli.formats.registry import FORMATS, read_motion

    readable = {form.suffix for form in FORMATS.values() if form.readable}
    motion = None
    for path in outputs:
        if Path(path).suffix in readable and (out / path).is_file():
            found = read_motion(out / path)
            if "jawOpen" in found.rig.channels:
                motion = found
                break
    if motion is None:
        return None
    motion = without_roll(motion)  # in step with the recording
    if motion.fps > SHOWN_FPS:
        motion = motion.resample(SHOWN_FPS)
    angles = set(motion.rig.rotation or ())
    curves = []
    for number, name in enumerate(motion.rig.channels):
        values = motion.values[:, number]
        share = (values / ANGLE_RANGE + 1) / 2 if name in angles else values
        curves.append(np.round(np.clip(share, 0.0, 1.0) * 255).astype(np.uint8))
    return {
        "fps": float(motion.fps),
        "frames": motion.frames,
        "channels": list(motion.rig.channels),
        "curves": _text(np.stack(curves)),  # [D, T]
        "peaks": _text(peaks),
    }


def as_page(about: Mapping[str, Any], entries: list[dict[str, Any]], head: Mapping[str, Any]) -> str:
    """The page; data goes in as JSON that cannot end its script element."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in (("ABOUT", about), ("LINES", entries), ("HEAD", head)):
        inside = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        text = text.replace(f"/*{name}*/null", inside, 1)
    return text


def _sound_address(sound: Path, out: Path, options: ReviewOptions) -> str:
    """Where the page finds a recording: beside it, or on this machine."""
    if options.copy_audio:
        name = f"{hashlib.sha256(encoded(os.path.realpath(sound))).hexdigest()[:16]}{sound.suffix}"
        target = out / SOUNDS / name
        try:
            if target.is_symlink() or not target.is_file() or target.stat().st_mtime < sound.stat().st_mtime:
                with whole_file(target) as temporary:
                    shutil.copyfile(sound, temporary)
        except OSError as error:
            raise cannot_write(target, error) from error
        return quote(f"{SOUNDS}/{name}")
    try:
        return quote(os.fsencode(Path(os.path.relpath(os.path.realpath(sound), os.path.realpath(out))).as_posix()))
    except ValueError:  # another drive
        return sound.resolve().as_uri()


def _peaks(sound: Path | None) -> np.ndarray:
    """Loudest sample of each of PEAKS equal stretches, relative to the loudest of all; empty without a sound."""
    from msmdcli.media.audio import load_audio

    if sound is None or not sound.is_file():
        return np.zeros(0, np.uint8)
    samples = np.abs(load_audio(sound).samples)
    edges = np.linspace(0, len(samples), min(PEAKS, len(samples)) + 1).astype(int)[:-1]
    peaks = np.maximum.reduceat(samples, edges)
    return np.asarray(np.round(255 * peaks / max(float(peaks.max()), 1e-4)), np.uint8)


def _head() -> dict[str, Any]:
    """The head that the page draws: points in tenths of a millimetre, one displacement per channel, triangles."""
    from msmdcli.heads.loading import load_decoder
    from msmdcli.motion.rig import Rig

    mesh = load_decoder(Rig.load(HEAD_RIG))
    neutral = mesh.neutral - mesh.neutral[mesh.face].mean(axis=0)
    colours = np.zeros((len(mesh.triangles), 3), np.uint8)
    first = 0
    for part in mesh.parts:
        srgb = np.clip(np.array(part.colour), 0, 1) ** (1 / 2.2)
        colours[first : first + len(part.triangles)] = np.round(255 * srgb)
        first += len(part.triangles)
    return {
        "vertices": len(neutral),
        "neutral": _text(np.round(neutral * 10).astype("<i2")),  # [V, 3]
        "channels": list(mesh.channels),
        "deltas": _text(np.round(mesh.deltas * 10).astype("<i2")),  # [C, V, 3]
        "triangles": _text(mesh.triangles.astype("<u2")),  # [F, 3]
        "colours": _text(colours),  # [F, 3]
        "eyes": [[int(eye.min()), int(eye.max()) + 1] for eye in mesh.eyes if len(eye)],
        "angleRange": ANGLE_RANGE,
    }


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _remove_others(folder: Path, wanted: set[str]) -> None:
    """Remove our scripts of lines that are no longer in the report, and what a kill has left of our files."""
    for path in folder.glob(".*.msmd-tmp"):
        left = TEMPORARY.fullmatch(path.name)
        if left and SCRIPT.fullmatch(left["name"]):
            path.unlink(missing_ok=True)
    for path in folder.glob("*.js"):
        if f"{FOLDER}/{path.name}" not in wanted and SCRIPT.fullmatch(path.name) and _is_ours(path):
            path.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether a file is one that this module wrote."""
    mark = MARKS[path.suffix]
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError:
        return False


def _make_folder(folder: Path) -> None:
    """Make a folder of ours.

    Raises:
        MsmdError: a link or a file is there, or it cannot be made.
    """
    if folder.is_symlink():
        raise MsmdError(f"{folder} is a link", hint="remove it: the page's files would land where it leads")
    if folder.exists() and not folder.is_dir():
        raise MsmdError(f"{folder} is a file", hint="move it elsewhere: the page's files belong into a folder there")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
