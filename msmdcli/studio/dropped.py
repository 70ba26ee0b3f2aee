"""A performance that is dropped on the page becomes a take: a file in `takes/` beside the manifest, which lines name.

A video, a Live Link Face CSV or a motion npz. It is written under a name that holds everywhere, and only if it is what
its name says: a video that opens, or motion on the model's rig, long enough to show a manner.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from msmdcli.documents.names import id_problem
from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.suffixes import VIDEO_SUFFIXES
from msmdcli.media.video import probe_video
from msmdcli.motion.rig import Rig
from msmdcli.studio.guard import LARGEST_TAKE
from msmdcli.styles.library import SHORTEST_SECONDS, read_take
from msmdcli.system.files import sha256_of

FOLDER = "takes"  # beside the manifest
MOTION_SUFFIXES = (".csv", ".npz")
LONGEST_STEM = 60  # characters
MOST_SHOWN = 500


class Dropped:
    """The takes beside one manifest.

    Args:
        manifest: its path.
        rig: of the model.
    """

    def __init__(self, manifest: Path, rig: Rig) -> None:
        self._folder = manifest.absolute().parent / FOLDER
        self._rig = rig

    def names(self) -> list[str]:
        """The takes that are there, as a line names them."""
        try:
            found = sorted(path.name for path in self._folder.iterdir() if path.suffix.lower() in KNOWN)
        except OSError:
            return []
        return [f"{FOLDER}/{name}" for name in found if not name.startswith(".")][:MOST_SHOWN]

    async def receive(self, name: str, content: AsyncIterator[bytes]) -> Path:
        """Write what is sent into the folder, under a name of no meaning; `accept` gives it its own.

        Raises:
            UsageError: its name says that it is something else, or it is too large.
            MsmdError: it cannot be written.
        """
        suffix = suffix_of(name)
        written = 0
        temporary = self._folder / f".dropped-{secrets.token_hex(8)}{suffix}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                async for block in content:
                    written += len(block)
                    if written > LARGEST_TAKE:
                        raise UsageError(f"{name} is larger than {LARGEST_TAKE >> 30} GB", hint="cut out what is meant")
                    file.write(block)
        except OSError as error:
            self.forget(temporary)
            raise MsmdError(f"{temporary} cannot be written: {error.strerror or error}") from error
        except BaseException:  # the page went away, say
            self.forget(temporary)
            raise
        return temporary

    def accept(self, temporary: Path, name: str) -> str:
        """Look at what was received; the result is how a line names it.

        Raises:
            MsmdError: it is not what its name says.
        """
        try:
            self._check(temporary, name)
            digest = sha256_of(temporary)
            for target in self._places(name):
                if not target.exists():
                    temporary.rename(target)
                    break
                if target.is_file() and sha256_of(target) == digest:
                    break
            return f"{FOLDER}/{target.name}"
        except OSError as error:
            raise MsmdError(f"{name} cannot be kept: {error.strerror or error}") from error
        finally:
            self.forget(temporary)

    def forget(self, temporary: Path) -> None:
        """Remove what was received, and the folder if nothing is in it."""
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
            self._folder.rmdir()

    def _check(self, path: Path, name: str) -> None:
        try:
            if path.stat().st_size == 0:
                raise MsmdError("it is empty", hint="copy or export it again")
            if path.suffix in MOTION_SUFFIXES:
                motion = read_take(path)
                seconds = float(motion.seconds)
                if motion.rig.channels != self._rig.channels:
                    raise MsmdError(f"it is on rig {motion.rig.name}, and the model is for {self._rig.name}")
            else:
                seconds = float(probe_video(path).seconds)
            if seconds < SHORTEST_SECONDS:
                raise MsmdError(f"it lasts {seconds:.2f} s; a style needs {SHORTEST_SECONDS} s or more")
        except MsmdError as error:
            message = error.message.replace(str(path), "it").replace(path.name, "it")
            raise MsmdError(f"{name} is no take: {message}", hint=error.hint) from None

    def _places(self, name: str) -> list[Path]:
        stem, suffix = safe_stem(name), suffix_of(name)
        return [self._folder / f"{stem}{number}{suffix}" for number in ("", *(f"_{n}" for n in range(2, 10_000)))]


KNOWN = (*VIDEO_SUFFIXES, *MOTION_SUFFIXES)


def suffix_of(name: str) -> str:
    """The suffix of a file that can be a take.

    Raises:
        UsageError: it cannot.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in KNOWN:
        raise UsageError(f"{name[:80]} is no performance", hint="drop a video, a Live Link Face CSV or a motion npz")
    return suffix


def safe_stem(name: str) -> str:
    """The name of a file, without its suffix, that every system takes and a manifest need not quote."""
    plain = unicodedata.normalize("NFKD", Path(name.replace("\\", "/")).stem).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", plain)[:LONGEST_STEM].strip("_-")
    return "take" if not stem else stem if id_problem(stem) is None else f"take_{stem}"
