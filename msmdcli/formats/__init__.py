"""File formats of motion: one module each, a registry by name. A new one: write `formats/NAME.py`, add a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from msmdcli.errors import MsmdError, UsageError
from msmdcli.motion import Motion
from msmdcli.rig import did_you_mean

Writer = Callable[[Motion, Path, Mapping[str, Any]], None]
Reader = Callable[[Path, Mapping[str, Any]], Motion]


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: what a user calls it (`--formats livelink-csv`).
        suffix: of its files, with the dot.
        module: where `write(motion, path, options)` and, where the format can be read, `read(path, options)` are;
            imported when first used, so that naming the formats costs nothing.
        readable: whether `read` exists.
        options: the option names that the module understands.
    """

    name: str
    suffix: str
    module: str
    readable: bool = False
    options: tuple[str, ...] = ()

    @property
    def write(self) -> Writer:
        return import_module(self.module).write  # type: ignore[no-any-return]

    @property
    def read(self) -> Reader | None:
        return import_module(self.module).read if self.readable else None


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("npz", ".npz", "msmdcli.formats.npz", readable=True),
        Format("livelink-csv", ".csv", "msmdcli.formats.livelink_csv", readable=True, options=("start", "fps")),
    )
}


def get_format(name: str) -> Format:
    """The format of that name."""
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}", hint=did_you_mean(name, FORMATS))
    return FORMATS[name]


def write_motion(motion: Motion, path: Path | str, fmt: str, options: Mapping[str, Any] | None = None) -> None:
    """Write a motion in the format called `fmt`. The name of the file is taken as it is; its folder must exist."""
    form = get_format(fmt)
    _check_options(form, options)
    try:
        form.write(motion, Path(path), options or {})
    except OSError as error:
        raise MsmdError(f"{path} cannot be written: {error.strerror or error}") from error


def read_motion(path: Path | str, options: Mapping[str, Any] | None = None) -> Motion:
    """Read a motion file of any readable format, told by its suffix or, failing that, by its first bytes."""
    path = Path(path)
    if not path.exists():
        raise MsmdError(f"no such file: {path}")
    if not path.is_file():
        raise MsmdError(f"{path} is not a file")
    readable = [form for form in FORMATS.values() if form.readable]
    form = next((form for form in readable if form.suffix == path.suffix.lower()), None)
    try:
        if form is None:
            with path.open("rb") as file:
                form = _sniff(file.read(4096))
        if form is None or form.read is None:
            known = ", ".join(f"{form.name} ({form.suffix})" for form in readable)
            raise MsmdError(f"{path} is no motion file that MSMD can read", hint=f"readable: {known}")
        _check_options(form, options)
        return form.read(path, options or {})
    except OSError as error:
        raise MsmdError(f"{path} cannot be read: {error.strerror or error}") from error


def _sniff(head: bytes) -> Format | None:
    if head.startswith(b"PK\x03\x04"):
        return FORMATS["npz"]
    if head.removeprefix(b"\xef\xbb\xbf").lstrip(b'"').lower().startswith(b"timecode"):
        return FORMATS["livelink-csv"]
    return None


def _check_options(form: Format, options: Mapping[str, Any] | None) -> None:
    for name in options or {}:
        if name not in form.options:
            raise UsageError(f"format {form.name} has no option {name!r}", hint=did_you_mean(name, form.options))
