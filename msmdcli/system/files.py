"""Files that appear whole or not at all: written under a temporary name beside the final one, then renamed."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msmdcli.errors import MsmdError

TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.msmd-tmp")


@dataclass(frozen=True)
class Written:
    """A file that is complete but not yet in its place.

    Attributes:
        target: where it belongs.
        temporary: where it is.
        sha256: of its content.
        notes: what its writer reports; see `msmdcli.formats.write_motion`.
    """

    target: Path
    temporary: Path
    sha256: str
    notes: Mapping[str, Any] = field(default_factory=dict)

    def commit(self) -> None:
        """Put it in its place, in one step."""
        try:
            self.temporary.replace(self.target)
        except OSError as error:
            raise cannot_write(self.target, error) from error

    def abandon(self) -> None:
        """Remove it."""
        remove(self.temporary)


def remove(path: Path) -> None:
    """Remove a file of ours, if it is there and can be removed; what cannot is swept by the next run."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def temporary_path(target: Path) -> Path:
    """A new name beside the target, hidden, which `sweep` knows."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.msmd-tmp")


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """The path to write to within `with`; the file takes the target's place at the end, and is removed on an error."""
    temporary = temporary_path(target)
    try:
        yield temporary
        temporary.replace(target)
    finally:
        remove(temporary)


def encoded(text: str) -> bytes:
    """A text as UTF-8.

    A byte of a file's name that is no UTF-8, which Python keeps as half of a surrogate pair, becomes its escape
    `\\udcfc`: JSON reads it back as the same name.
    """
    return text.encode("utf-8", "backslashreplace")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; its folder is made.

    Raises:
        MsmdError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> MsmdError:
    """The error of a file that cannot be written, in one sentence."""
    return MsmdError(f"{path} cannot be written: {error.strerror or error}")


def sha256_of(path: Path) -> str:
    """sha256 of a file's content.

    Raises:
        MsmdError: it cannot be read.
    """
    try:
        return digest_of(path)
    except OSError as error:
        raise MsmdError(f"{path} cannot be read: {error.strerror or error}") from error


def digest_of(path: Path) -> str:
    """As `sha256_of`, for those who have a sentence of their own for an `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def existing_sha256(path: Path) -> str | None:
    """sha256 of a file that is there; None for none, and for an empty one: nothing of ours is empty, so it is damage.

    Raises:
        MsmdError: it cannot be read.
    """
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return None
    except OSError as error:
        raise MsmdError(f"{path} cannot be read: {error.strerror or error}") from error
    return sha256_of(path)


def sweep(targets: Iterable[Path]) -> None:
    """Remove the temporary files that a killed run left for these targets; those of other files stay."""
    names: dict[Path, set[str]] = {}
    for target in targets:
        names.setdefault(target.parent, set()).add(target.name)
    for folder, wanted in names.items():
        try:
            found = [entry.name for entry in os.scandir(folder)]
        except OSError:
            continue  # no such folder yet
        for name in found:
            match = TEMPORARY.fullmatch(name)
            if match and match["name"] in wanted:
                remove(folder / name)
