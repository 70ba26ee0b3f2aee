"""A bundle: the folder of ONNX files that `msmd export-onnx` writes, described by its `bundle.json`.

Loading checks everything that could make the runtime produce nonsense later: the format version, the rig and its
channels, the types and bounds of all values, the checksum of the description, and the sha256 of each file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.console import printable
from msmdcli.documents.json_file import read_json
from msmdcli.documents.nodes import DocumentError
from msmdcli.errors import MsmdError
from msmdcli.model.audio_features import EncoderFormat
from msmdcli.model.bundle_description import check_description, description_sha256, normalisation_of
from msmdcli.model.normalisation import Normalisation
from msmdcli.model.samplers import Schedule
from msmdcli.motion.motion import parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.system.files import digest_of

FORMAT_VERSION = 2
READABLE = (1, 2)  # 1 has no opposed channels
MOST_DESCRIPTION = 16 << 20  # bytes of bundle.json
CONSTANT_STD = 1e-6  # a channel that moved less than this in training is taken as constant

REQUIRED_GRAPHS = ("audio_encoder.onnx", "conditioner.onnx", "denoiser.onnx")


@dataclass(frozen=True)
class Bundle:
    """An exported model.

    Attributes:
        path: its folder.
        name: the model's name.
        rig: what its D channels are.
        fps: the frame rate it generates at.
        window: N, frames generated at once.
        previous: P, frames carried over.
        schedule: the noise schedule it was trained with.
        normalisation: of its motion.
        audio_encoder: what the audio encoder takes and gives.
        audio_encoder_name: e.g. ``whisper``.
        model: the configuration of the network (variant, style_dim S, basis_size K, style_anchor, audio_context, ...).
        defaults: sampler, steps, steps for what is generated above the mouth, and guidance that suit it.
        files: file name -> {"sha256", "bytes"}.
        closures: what `closures.onnx` hears and from where on it counts; empty without that graph.
        training, licence: where it comes from and what it may be used for.
        sha256: of all that can change its output (description and files).
    """

    path: Path
    name: str
    rig: Rig
    fps: Fraction
    window: int
    previous: int
    schedule: Schedule
    normalisation: Normalisation
    audio_encoder: EncoderFormat
    audio_encoder_name: str
    model: dict[str, Any]
    defaults: dict[str, Any]
    files: dict[str, dict[str, Any]]
    closures: dict[str, Any]
    training: dict[str, Any]
    licence: dict[str, Any]
    sha256: str

    @classmethod
    def load(cls, folder: Path | str, verify: bool = True) -> Bundle:
        """Read a bundle.

        Args:
            folder: where `bundle.json` is.
            verify: also compare the sha256 of every file (skip it only where that has just been done).

        Raises:
            MsmdError: no bundle there, made for another version, damaged, or inconsistent.
        """
        path = Path(folder).expanduser()
        description = path / "bundle.json"
        if not description.is_file():
            raise MsmdError(
                f"no bundle in {path} (it has no bundle.json)",
                hint="name a folder written by `msmd export-onnx` with --bundle, or leave --bundle out",
            )
        try:
            data = read_json(description, MOST_DESCRIPTION)
        except DocumentError as error:
            raise MsmdError(f"{description} cannot be read: {error.message}", hint="export the bundle again") from error
        try:
            bundle = _parse(path, data)
        except MsmdError as error:
            raise MsmdError(f"{description}: {error.message}", hint=error.hint or "export the bundle again") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise MsmdError(
                f"{description} does not describe a bundle: {reason}", hint="export the bundle again"
            ) from error
        if verify:
            bundle.verify()
        return bundle

    def file(self, name: str) -> Path:
        """The path of one of its graphs, e.g. ``denoiser.onnx``."""
        if name not in self.files:
            raise MsmdError(f"bundle {self.name} ({self.path}) has no {name}", hint=f"it has: {', '.join(self.files)}")
        return self.path / name

    def verify(self) -> None:
        """Compare the sha256 of every file with `bundle.json`; the result is kept while the file is unchanged."""
        for name, entry in self.files.items():
            path = self.path / name
            try:
                stat = path.stat()
                digest = _sha256(path, stat.st_size, stat.st_mtime_ns)
            except OSError as error:
                raise MsmdError(
                    f"bundle {self.path}: {name} is missing or cannot be read ({error.strerror})",
                    hint="copy the bundle again, whole",
                ) from error
            if digest != entry["sha256"]:
                raise MsmdError(
                    f"bundle {self.path}: {name} is not the file that was exported (its sha256 differs)",
                    hint="copy or export the bundle again; a file kept by Git LFS must be pulled",
                )


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """sha256 of a file; size and mtime_ns are only there as the cache's key."""
    return digest_of(path)


def _parse(path: Path, data: dict[str, Any]) -> Bundle:
    if not isinstance(data, dict):
        raise MsmdError("it is no JSON object")
    version = data["format_version"]
    if version not in READABLE:
        raise MsmdError(f"bundle format {version!r}; this program reads {FORMAT_VERSION}", hint="update MSMD")
    check_description(data)
    described = data.get("rig_definition")  # a rig that does not ship with the program
    rig = Rig.shipped_as(str(data["rig"])) if described is None else Rig.from_definition(str(described))
    channels = tuple(data["channels"])
    if channels != rig.channels:
        odd = next((name for name in channels if name not in rig.channels), "their order")
        raise MsmdError(f"its channels are not those of rig {rig.name} ({printable(str(odd)[:80])})")

    normalisation = normalisation_of(data, rig)
    std = np.where(normalisation.std > CONSTANT_STD, normalisation.std, 0).astype(np.float32)

    window, previous = int(data["window"]["frames"]), int(data["window"]["previous"])
    if not 0 < previous <= window:
        raise MsmdError(f"windows of {window} frames with {previous} previous ones", hint="0 < previous <= frames")
    if data["diffusion"].get("prediction", "sample") != "sample":
        raise MsmdError(f"diffusion prediction {data['diffusion']['prediction']!r}; this program knows: sample")

    files: dict[str, dict[str, Any]] = data["files"]
    missing = [name for name in REQUIRED_GRAPHS if name not in files]
    if missing:
        raise MsmdError(f"it does not list {', '.join(missing)}")

    return Bundle(
        path=path,
        name=str(data["name"]),
        rig=rig,
        fps=parse_fps(str(data["fps"])),
        window=window,
        previous=previous,
        schedule=Schedule.from_config(data["diffusion"]),
        normalisation=replace(normalisation, std=std),
        audio_encoder=EncoderFormat.from_mapping(data["audio_encoder"]),
        audio_encoder_name=str(data["audio_encoder"]["name"]),
        model=dict(data.get("model") or {}),
        defaults=dict(data.get("defaults") or {}),
        files=files,
        closures=_closures(data, files),
        training=dict(data.get("training") or {}),
        licence=dict(data.get("licence") or {}),
        sha256=description_sha256(data),
    )


def _closures(data: dict[str, Any], files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The entry `closures`; empty without the graph that it describes."""
    if "closures.onnx" not in files:
        return {}
    entry = dict(data["closures"])
    likely = [float(value) for value in entry["likely"]]
    if (
        list(entry["sounds"])[:2] != ["bilabial", "labiodental"]
        or len(likely) != 2
        or not all(0 < v < 1 for v in likely)
    ):
        raise MsmdError("its closures are not those of a bilabial and a labiodental, each likely from 0 to 1 on")
    return entry | {"likely": likely}
