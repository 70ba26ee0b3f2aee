"""A performer's profile: the resting face, where lips and lids touch, and how far each channel goes.

`msmd track --calibrate rom.mp4` makes one of a range-of-motion take: some seconds at rest, then brows up and down, eyes
wide and shut, nose wrinkled, a wide smile, corners down, lips rounded, jaw dropped. It is a small npz of measures; the
video is not kept in it, but a resting face is: treat it as personal data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.system.files import whole_file
from msmdcli.system.npz_file import NpzError, read_npz
from msmdcli.tracking.neutral_face import NeutralFace

FORMAT_VERSION = 1
SUFFIX = ".performer.npz"
EXERCISED = 0.5  # a channel that a range-of-motion take brings this far was meant to go all the way
MOST_GAIN = 2.0
FULL_SHARE = 0.98  # quantile of a channel over the take that is its full value


@dataclass(frozen=True, eq=False)
class Performer:
    """What is known of a performer.

    Attributes:
        name: of the profile.
        channels: [C] names of the solved channels.
        neutral: the resting face.
        shut: [2] mm between the lids of the shut left and right eye.
        gains: [C] by which the solver's weights are multiplied, so that the performer's most is 1.
        made_from: the take.
    """

    name: str
    channels: tuple[str, ...]
    neutral: NeutralFace
    shut: np.ndarray
    gains: np.ndarray
    made_from: str


def gains_of(weights: np.ndarray, channels: tuple[str, ...]) -> np.ndarray:
    """[C] gains from the weights [T, C] of a range-of-motion take; left and right get one. 1 where a channel was not
    exercised."""
    most = np.quantile(weights, FULL_SHARE, axis=0)
    for i, name in enumerate(channels):
        if name.endswith("Left") and name[:-4] + "Right" in channels:
            j = channels.index(name[:-4] + "Right")
            most[[i, j]] = max(most[i], most[j])
    return np.where(most >= EXERCISED, np.clip(1 / np.maximum(most, 1e-6), 1.0, MOST_GAIN), 1.0)


def save_performer(path: Path, performer: Performer) -> None:
    """Write a profile, whole or not at all."""
    neutral = performer.neutral
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            format_version=np.array(FORMAT_VERSION),
            name=np.array(performer.name),
            made_from=np.array(performer.made_from),
            channels=np.array(performer.channels),
            points=neutral.points.astype(np.float32),
            scores=neutral.scores.astype(np.float32),
            taken_out=neutral.taken_out.astype(np.float32),
            lip_gap=np.array(neutral.lip_gap, np.float32),
            shut=performer.shut.astype(np.float32),
            gains=performer.gains.astype(np.float32),
        )


def load_performer(path: Path, channels: tuple[str, ...]) -> Performer:
    """Read a profile.

    Raises:
        MsmdError: no such file, no profile, or one for other channels.
    """
    if not path.is_file():
        raise MsmdError(f"there is no file {path}", hint="msmd track --calibrate rom.mp4 makes a profile")
    try:
        file = read_npz(path)
        version = int(file["format_version"])
        arrays = {name: file[name].astype(np.float64) for name in ("points", "scores", "taken_out", "shut", "gains")}
        names = tuple(str(name) for name in file["channels"])
        lip_gap, name, made_from = float(file["lip_gap"]), str(file["name"]), str(file["made_from"])
    except (NpzError, OSError, KeyError, ValueError, TypeError) as error:
        raise MsmdError(
            f"{path} is no performer profile ({error})", hint="msmd track --calibrate rom.mp4 makes one"
        ) from error
    if version != FORMAT_VERSION or names != channels:
        raise MsmdError(f"{path} was made by another version of MSMD", hint="calibrate again")
    shapes = {name: array.shape for name, array in arrays.items()}
    count = len(channels)
    if shapes != {"points": (468, 3), "scores": (count,), "taken_out": (count,), "shut": (2,), "gains": (count,)}:
        raise MsmdError(f"{path} is no performer profile (shapes {shapes})", hint="calibrate again")
    if not all(np.isfinite(array).all() for array in (*arrays.values(), np.array(lip_gap))):
        raise MsmdError(f"{path} holds numbers that are none", hint="calibrate again")
    neutral = NeutralFace(arrays["points"], arrays["scores"], arrays["taken_out"], True, lip_gap)
    return Performer(name, names, neutral, arrays["shut"], arrays["gains"], made_from)
