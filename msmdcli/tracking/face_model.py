"""The file of MediaPipe's Face Landmarker: where it is found, and how it is got."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from msmdcli.errors import MsmdError
from msmdcli.paths import cache_dir, shared_dir
from msmdcli.system.files import whole_file

NAME = "face_landmarker.task"
ADDRESS = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task"
)
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
VARIABLE = "MSMD_FACE_MODEL"


def find_face_model(given: Path | None = None) -> Path:
    """The face model: as given, else `MSMD_FACE_MODEL`, shared material, the user's cache, else downloaded there once.

    A file that the user names is taken as it is; a downloaded one must be the file that this version was tested with
    (float16, version 1; Apache-2.0; 3.8 MB).

    Raises:
        MsmdError: a named file is absent; there is no network, or the download is another file.
    """
    return known_face_model(given) or _download(cached_face_model())


def known_face_model(given: Path | None = None) -> Path | None:
    """As `find_face_model`, but nothing is downloaded; None: it is not on this machine.

    Raises:
        MsmdError: a named file is absent.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None:
        named = named.expanduser()
        if not named.is_file():
            origin = "" if given else f" (from {VARIABLE})"
            raise MsmdError(f"no face model at {named}{origin}", hint=f"it is the file that {ADDRESS} gives")
        return named
    shared = shared_dir()
    if shared is not None and (shared / "models" / NAME).is_file():
        return shared / "models" / NAME
    return cached_face_model() if cached_face_model().is_file() else None


def cached_face_model() -> Path:
    """Where the downloaded face model is kept."""
    return cache_dir() / "models" / NAME


def _download(target: Path) -> Path:
    """Fetch the model into `target`, whole or not at all."""
    from urllib.request import urlopen

    hint = f"download it where there is network, then --face-model FILE or {VARIABLE}=FILE: {ADDRESS}"
    try:
        with urlopen(ADDRESS, timeout=30) as response:
            data = response.read()
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise MsmdError(f"the face model cannot be downloaded ({reason})", hint=hint) from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise MsmdError(f"what {ADDRESS} gives is not the face model that MSMD knows (its sha256 differs)", hint=hint)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise MsmdError(
            f"{target} cannot be written: {error.strerror or error}", hint="MSMD_CACHE names another cache folder"
        ) from error
    return target
