"""Reading the npz files that come with the package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError


def shipped_arrays(path: Path, version: int, names: Iterable[str], what: str) -> dict[str, np.ndarray]:
    """The named arrays of a file.

    Args:
        path: of the file.
        version: its `format_version` has to be this.
        names: of the arrays.
        what: the file holds, for the error.

    Raises:
        MsmdError: there is no such file, or it is none of these.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if int(file["format_version"]) != version:
                raise MsmdError(f"{path} has format version {int(file['format_version'])}, not {version}")
            return {name: file[name] for name in names}
    except (OSError, KeyError, ValueError) as error:
        raise MsmdError(f"{path} holds no {what} ({error})", hint="install MSMD again") from error
