"""Errors of the user's input, and the hint that names near words. The command line prints them as `Error:`, `Hint:`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class MsmdError(Exception):
    """Something outside this program is wrong: a file, a value, the machine.

    Attributes:
        message: what is wrong, and where (file, line id, field). One sentence without a final full stop.
        hint: what to do about it; may be empty.
        exit_code: the exit status of a command that ends on this error.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(MsmdError):
    """The command itself, or its manifest, is wrong; nothing was started."""

    exit_code = 2


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known names, or lists all."""
    import difflib

    names = list(known)
    near = difflib.get_close_matches(given, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"


def install_command(extras: str = "", options: str = "", pip: str = "pip") -> str:
    """The command that installs MSMD with `extras` ("cpu,train"): from the clone that runs, else from its wheel file.

    MSMD is on no package index yet; a name there that looks like it is somebody else's.
    """
    from importlib import metadata

    clone = Path(__file__).resolve().parent.parent
    in_clone = (clone / "pyproject.toml").is_file()
    try:
        version = metadata.version("msmd-face")
    except metadata.PackageNotFoundError:  # a folder that was copied, not installed
        version = "VERSION"
    source = str(clone) if in_clone else f"msmd_face-{version}-py3-none-any.whl"
    words = [pip, "install", options, "-e" if in_clone else "", f"'{source}{f'[{extras}]' if extras else ''}'"]
    return " ".join(word for word in words if word)
