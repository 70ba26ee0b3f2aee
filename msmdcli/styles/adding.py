"""Adding a tag to a library of styles, and removing one.

Takes become the clips of a tag (`msmdcli.styles.takes`). What is stored is motion, never the video; a picture of it on
a head of ours; and where it came from. A tag appears and disappears in one step: when
the program is killed, the library holds the whole tag, the one before, or none.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msmdcli.errors import MsmdError, UsageError
from msmdcli.motion.motion import save_npz
from msmdcli.paths import shipped_styles
from msmdcli.styles.field import NO_STYLE
from msmdcli.styles.library import FORMAT_WITH_ORIGIN, TAG, StyleTag, read_style
from msmdcli.styles.takes import StyleClip, Take
from msmdcli.system.files import sha256_of

if TYPE_CHECKING:
    from msmdcli.heads.mesh import MeshDecoder

NOT_STATED = "not stated: private, for its owner only"
PREVIEW_COLUMNS, PREVIEW_ROWS, PREVIEW_SIZE = 6, 4, 180  # pictures in a row, rows (clips), pixels across each
ABANDONED = 600  # seconds; writing a tag takes less than one
NEW, OLD = "msmd-tmp", "msmd-old"  # suffixes of folders on their way in and out


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


def command_of(tag: str, takes: Sequence[Take], licence: str, consent: str, private: bool) -> str:
    """The command that makes a tag; of files it has the names only, not their folders."""
    from shlex import join

    names = []
    for take in takes:
        whole = not take.start and take.stop is None
        end = "" if take.stop is None else f"{take.stop:g}"
        names.append(take.path.name if whole else f"{take.path.name}@{take.start:g}-{end}")
    words = ["msmd", "styles", "add", tag, *names]
    for option, text in (("--licence", licence), ("--consent", consent)):
        words += [option, text] if text else []
    return join([*words, *(["--private"] if private else [])])


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
