"""Adding a tag to a library of styles, and removing one.

A take (video, motion npz, Live Link Face CSV) becomes a clip of the tag: tracked where it is a video, cut to the part
that is meant, its ends without a face cut off, checked (`msmdcli.styles.checks`). What is stored is motion, never the
video; a picture of it on a head of ours; and where it came from. A tag appears and disappears in one step: whatever
kills the program, the library holds the whole tag, the one before, or none.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msmdcli import __version__
from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.video import is_video, probe_video
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.paths import shipped_styles
from msmdcli.styles.checks import TakeMeasures, measure_take
from msmdcli.styles.field import NO_STYLE
from msmdcli.styles.library import FORMAT_WITH_ORIGIN, TAG, StyleTag, check_range, read_style, read_take, split_range
from msmdcli.system.files import sha256_of

if TYPE_CHECKING:
    from msmdcli.heads.mesh import MeshDecoder
    from msmdcli.tracking.track import Track

NOT_STATED = "not stated: private, for its owner only"
PREVIEW_COLUMNS, PREVIEW_ROWS, PREVIEW_SIZE = 6, 4, 180  # pictures in a row, rows (clips), pixels across each
ABANDONED = 600  # seconds; writing a tag takes less than one
NEW, OLD = "msmd-tmp", "msmd-old"  # suffixes of folders on their way in and out


@dataclass(frozen=True)
class Take:
    """A file, and the part of it that is meant, in seconds; stop None is its end."""

    path: Path
    start: float = 0.0
    stop: float | None = None

    @property
    def words(self) -> str:
        """`take.mp4, 3.2 to 9 s`."""
        if not self.start and self.stop is None:
            return self.path.name
        return f"{self.path.name}, {self.start:g} s to " + ("its end" if self.stop is None else f"{self.stop:g} s")


@dataclass(frozen=True, eq=False)
class StyleClip:
    """A take, read and measured.

    Attributes:
        take: what it was made from.
        motion: within the rig's ranges.
        measures: see there.
        origin: for `made_from` in style.yaml.
        synthetic: a program made the take.
        warnings: what the tracker said.
    """

    take: Take
    motion: Motion
    measures: TakeMeasures
    origin: dict[str, Any]
    synthetic: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TagWords:
    """What a new tag says of itself.

    Attributes:
        tag: its name.
        description: what manner it is.
        licence, consent: what the material may be used for, and what the person who performs agreed to. Both must be
            stated unless the tag is private.
        private: for its owner only.
        created_by: the command.
    """

    tag: str
    description: str = ""
    licence: str = ""
    consent: str = ""
    private: bool = False
    created_by: str = ""


def takes_of(names: Sequence[str], starts: Sequence[float], stops: Sequence[float]) -> list[Take]:
    """The takes that a command names.

    Args:
        names: files, or parts of them (`take.mp4@3.2-9.0`).
        starts, stops: one for each file; or several for a single file, of which each part is a clip. May be empty.
    """
    parts = max(len(starts), len(stops))
    for what, given in (("--from", starts), ("--to", stops)):
        if given and len(given) != parts:
            raise UsageError(f"{parts} parts, but {what} is given {len(given)} times", hint="give both for every part")
    if parts and len(names) not in (1, parts):
        raise UsageError(f"{len(names)} takes and {parts} parts", hint="give --from and --to once for every take")
    files = list(names) * parts if parts > 1 and len(names) == 1 else list(names)
    takes = []
    for number, name in enumerate(files):
        path, start, stop = split_range(name)
        if parts:
            if start or stop is not None:
                raise UsageError(f"{name} names a part of a take, and so do --from and --to", hint="use one of them")
            start = starts[number] if starts else 0.0
            stop = stops[number] if stops else None
        takes.append(Take(path, start, stop))
    return takes


def check_words(words: TagWords, folder: Path, force: bool) -> None:
    """Refuse a tag before anything long is done.

    Args:
        words: the tag.
        folder: of tags, where it shall go.
        force: it may take the place of one that is there.
    """
    if not TAG.fullmatch(words.tag) or words.tag == NO_STYLE:
        raise UsageError(
            f"{words.tag!r} cannot be a tag", hint="a tag is a word of a-z, 0-9, - and _, at most 64; 'none' is taken"
        )
    if not words.private and not (words.licence.strip() and words.consent.strip()):
        raise UsageError(
            f"how may {words.tag} be used?",
            hint="state --licence TEXT and --consent TEXT (of the person who is seen), or say --private",
        )
    _check_writable(folder)
    if (folder / words.tag).exists() and not force:
        raise UsageError(f"there is a tag {words.tag} already ({folder / words.tag})", hint="--force replaces it")


def read_clip(
    take: Take,
    face_model: Path | None = None,
    face: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> StyleClip:
    """Read a take; a video is tracked.

    Args:
        take: what to read.
        face_model, face: see `msmdcli.tracking.tracker.TrackOptions`.
        progress: told how many seconds of a video are done.

    Raises:
        MsmdError: no such file, damaged, no face, no such part.
    """
    digest = "" if not take.path.is_file() else sha256_of(take.path)
    origin: dict[str, Any] = {"file": take.path.name, "sha256": digest}
    if not is_video(take.path):
        motion = read_take(take.path, take.start, take.stop)
        track, warnings = None, tuple[str, ...]()
        tracker = motion.meta.get("tracker", "")
        synthetic = motion.meta.get("synthetic") == "true"
    else:
        from msmdcli.tracking.face_model import find_face_model
        from msmdcli.tracking.track import TrackOptions
        from msmdcli.tracking.tracker import track_video

        check_range(take.start, take.stop, float(probe_video(take.path).seconds), str(take.path))
        model = find_face_model(face_model)
        options = TrackOptions(face_model=model, face=face, start=take.start, stop=take.stop)
        track, cut = _with_face(track_video(take.path, options, progress))
        take = replace(take, start=take.start + cut)
        motion, warnings = track.motion, track.warnings
        tracker = f"{motion.meta.get('tracker', 'tracked')}, {model.name} {sha256_of(model)[:12]}"
        synthetic = False
    origin |= {"start": round(take.start, 3), "stop": round(take.start + float(motion.seconds), 3)}
    if tracker:
        origin["tracker"] = tracker
    measures = measure_take(motion, track)
    origin |= {"date": datetime.now(UTC).date().isoformat(), "measures": measures.as_dict()}
    kept = {"source": take.path.name, "generator": f"msmd {__version__} styles add"}
    if synthetic:
        kept["synthetic"] = "true"
    held = Motion(motion.values, motion.fps, motion.rig, kept).clip()
    return StyleClip(take, held, measures, origin, synthetic, warnings)


def _with_face(track: Track) -> tuple[Track, float]:
    """A track without its ends in which there is no face, and the seconds cut off before it."""
    seen = np.flatnonzero(track.found)
    first, last = int(seen[0]), int(seen[-1]) + 1
    if (first, last) == (0, len(track.found)):
        return track, 0.0
    kept = replace(
        track,
        motion=track.motion.slice(first, last),
        confidence=track.confidence[first:last],
        found=track.found[first:last],
        faces=track.faces[first:last],
        turn=track.turn[first:last],
        box=track.box[first:last],
        landmarks=None,
        gaps=tuple((a - first, b - first) for a, b in track.gaps if first <= a and b <= last),
    )
    return kept, float(first / track.motion.fps)


def preview_of(clips: Sequence[StyleClip], mesh: MeshDecoder) -> np.ndarray:
    """A sheet of pictures [H, W, 3] uint8: a row for each clip, its frames on a head."""
    from msmdcli.drawing.pictures import face_picture

    rows = []
    for clip in clips[:PREVIEW_ROWS]:
        frames = ((np.arange(PREVIEW_COLUMNS) + 0.5) * clip.motion.frames / PREVIEW_COLUMNS).astype(int)
        faces = [face_picture(mesh, clip.motion.values[frame], PREVIEW_SIZE, head=True) for frame in frames]
        rows.append(np.concatenate(faces, axis=1))
    return np.concatenate(rows)


def add_style(
    words: TagWords,
    clips: Sequence[StyleClip],
    folder: Path,
    preview: np.ndarray | None = None,
    force: bool = False,
) -> StyleTag:
    """Store a tag.

    Args:
        words: what it says of itself.
        clips: at least one.
        folder: of tags; made if it is not there.
        preview: [H, W, 3] uint8, a picture to store with it.
        force: replace a tag of this name.

    Raises:
        MsmdError: it cannot be written, or there is such a tag.
    """
    from msmdcli.drawing.pictures import png_bytes

    check_words(words, folder, force)
    recover(folder)
    new = folder / f".{words.tag}.{secrets.token_hex(4)}.{NEW}"
    try:
        new.mkdir(parents=True)
        entries = []
        for number, clip in enumerate(clips, start=1):
            file = new / f"take{number}.npz"
            save_npz(file, clip.motion)
            entries.append({"file": file.name, "sha256": sha256_of(file), "made_from": clip.origin})
        if preview is not None:
            (new / "preview.png").write_bytes(png_bytes(preview))
        if words.private:  # whoever keeps tags under version control does not share this one by accident
            (new / ".gitignore").write_text("*\n", encoding="utf-8")
        (new / "style.yaml").write_text(_style_yaml(words, clips, entries, preview is not None), encoding="utf-8")
        _take_place(new, folder / words.tag)
    except OSError as error:
        raise MsmdError(f"{folder / words.tag} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return read_style(folder / words.tag)


def _style_yaml(words: TagWords, clips: Sequence[StyleClip], entries: list[dict[str, Any]], has_preview: bool) -> str:
    import yaml

    source = "; ".join(clip.take.words for clip in clips)
    description: dict[str, Any] = {
        "format_version": FORMAT_WITH_ORIGIN,
        "tag": words.tag,
        "description": words.description.strip() or f"From {source}",
        "private": words.private,
        "licence": words.licence.strip() or NOT_STATED,
        "consent": words.consent.strip() or NOT_STATED,
        "source": source,
        "synthetic": all(clip.synthetic for clip in clips),
        "created_by": words.created_by,
    }
    if has_preview:
        description["preview"] = "preview.png"
    description["clips"] = entries
    return yaml.safe_dump(description, sort_keys=False, allow_unicode=True, width=120)


def remove_style(folder: Path) -> None:
    """Remove a tag, given by its folder.

    Raises:
        MsmdError: it ships with MSMD, or it cannot be removed.
    """
    _check_writable(folder.parent)
    if folder.is_symlink():
        folder.unlink()
        return
    gone = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.{NEW}"
    try:
        folder.rename(gone)
    except OSError as error:
        raise MsmdError(f"{folder} cannot be removed: {error.strerror or error}") from error
    shutil.rmtree(gone, ignore_errors=True)


def recover(folder: Path) -> None:
    """Tidy a folder of tags after a program that was killed: half-written tags go, a tag half replaced comes back."""
    for left in folder.glob(f".*.{OLD}"):
        tag = folder / left.name.split(".")[1]
        if tag.exists():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.rename(tag)
    for left in folder.glob(f".*.{NEW}"):
        if time.time() - left.stat().st_mtime > ABANDONED:  # not one that another process is writing now
            shutil.rmtree(left, ignore_errors=True)


def _take_place(new: Path, target: Path) -> None:
    """Put a finished folder where another may be."""
    if not target.exists():
        new.rename(target)
        return
    old = target.with_name(f".{target.name}.{secrets.token_hex(4)}.{OLD}")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_writable(folder: Path) -> None:
    if folder.resolve() == shipped_styles().resolve():
        raise UsageError(
            f"{folder} is the library that ships with MSMD; it is not changed",
            hint="leave --styles out for your own folder of tags, or name another",
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="--styles names a folder of tags")
