"""Writing outputs whole or not at all: under a temporary name beside the final one, then renamed."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msmdcli.errors import MsmdError
from msmdcli.formats import stem, write_motion
from msmdcli.motion.motion import Motion
from msmdcli.styles.library import sha256_of

TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.msmd-tmp")


@dataclass(frozen=True)
class Written:
    """A file that is complete but not yet in its place.

    Attributes:
        target: where it belongs.
        temporary: where it is.
        sha256: of its content.
        notes: what its writer had to say; see `msmdcli.formats.write_motion`.
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
            raise MsmdError(f"{self.target} cannot be written: {error.strerror or error}") from error

    def abandon(self) -> None:
        """Remove it."""
        self.temporary.unlink(missing_ok=True)


def write_temporary(motion: Motion, target: Path, fmt: str, options: Mapping[str, Any] | None = None) -> Written:
    """Write a motion beside `target`, in the format called `fmt` with its options."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.msmd-tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        notes = write_motion(motion, temporary, fmt, {"name": stem(target), **(options or {})})
        return Written(target, temporary, sha256_of(temporary), notes)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise MsmdError(f"{target} cannot be written: {error.strerror or error}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.msmd-tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise MsmdError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


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
                (folder / name).unlink(missing_ok=True)
