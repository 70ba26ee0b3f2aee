"""Heads that were read or thinned before: what took long to find is kept in the user's cache, under `heads`.

`MSMD_HEAD_CACHE` sets the limit of the folder (`500MB`; 1GB without it, some fifty heads) or turns it `off`.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np

from msmdcli.system.kept_files import KeptFiles


class HeadStore(KeptFiles):
    """The folder of heads."""

    NAME, SUFFIX = "heads", ".npz"
    VARIABLE = "MSMD_HEAD_CACHE"
    DEFAULT_LIMIT = "1GB"


def kept_arrays(key: str) -> dict[str, np.ndarray] | None:
    """The arrays that were kept under a key; None where there are none, or damaged ones.

    Raises:
        UsageError: the environment variable makes no sense.
    """
    content = HeadStore().read(key)
    return None if content is None else arrays_of(content)


def keep_arrays(key: str, arrays: dict[str, np.ndarray]) -> None:
    """Keep arrays under a key that says everything that decides them. Where nothing can be kept, nothing is.

    Raises:
        UsageError: the environment variable makes no sense.
    """
    folder = HeadStore()
    if folder.limit:
        file = io.BytesIO()
        np.savez(file, **arrays)  # type: ignore[arg-type]
        folder.keep(key, [file.getbuffer()])


def arrays_of(content: bytes) -> dict[str, np.ndarray] | None:
    """The arrays in an npz file's bytes; None where it is none."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
