"""Named gestures placed at a time in a line: a nod, an eye roll, a wink.

A gesture is a short file in a folder of gestures, called like it: key poses in YAML (`nod.yaml`), or recorded motion
(`nod.csv` of Live Link Face, `nod.npz`). Folders are searched in this order: those of `--gestures`, the folder
`gestures` beside the manifest, the ones that ship. A path works in place of a name.

Key poses::

    format_version: 1
    description: One clear nod
    blend: add                       # or replace
    keys:                            # a channel is 0 at both ends where no key says otherwise
      - {time: 0.2, channels: {headPitch: 0.16}}
      - {time: 0.6}

Between keys a channel moves in a cubic that never overshoots (Fritsch and Carlson 1980). `add` puts the gesture on top
of what the line does; `replace` takes the place of it, with fades. Of a recording, `add` uses what departs from the
straight line between its first and last pose, so that it begins and ends at nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from msmdcli.documents.nodes import DocumentError
from msmdcli.documents.tree import load_small_yaml
from msmdcli.errors import MsmdError, UsageError, did_you_mean
from msmdcli.formats.motion_file import MotionFile
from msmdcli.motion.easing import smooth_step
from msmdcli.motion.motion import LARGEST, Motion
from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED

Blend = Literal["add", "replace"]
BLENDS: tuple[Blend, ...] = ("add", "replace")
FORMAT_VERSION = 1
KEYS = ("format_version", "description", "blend", "keys")
SUFFIXES = (".yaml", ".csv", ".npz")  # if a folder has several files of a name, the first of these
STANDARD_RIG = "arkit52"  # gestures may name its channels on every rig; those that a rig lacks are left out
DEFAULT_FADE = 0.12  # seconds
MAX_SCALE, MAX_SECONDS = 3.0, 60.0
MOVES = 0.005  # a channel of a recording that departs by less than this is not part of the gesture


@dataclass(frozen=True)
class Gesture:
    """One entry of `gestures`.

    Attributes:
        name: of the gesture, or a path.
        base: the folder that a relative path starts from.
        at: seconds from the start of the line at which it begins.
        scale: its size.
        length: seconds that it takes; None is its own.
        blend: None is its own.
        fade: seconds over which it comes in and goes out.
        channels: channels and regions that it may move; empty for all.
        file: where it was found; None before `located`.
        where: `file:line:column`, for messages.
    """

    name: str
    base: Path
    at: float
    scale: float = 1.0
    length: float | None = None
    blend: Blend | None = None
    fade: float = DEFAULT_FADE
    channels: tuple[str, ...] = ()
    file: MotionFile | None = None
    where: str = field(default="", compare=False)

    def located(self, library: GestureLibrary) -> Gesture:
        """With its file found.

        Raises:
            MsmdError: there is no such gesture.
        """
        return replace(self, file=MotionFile(library.find(self.name, self.base)).located())

    def description(self) -> dict[str, Any]:
        """Plain data of all that decides what it does."""
        sha256 = "" if self.file is None else self.file.sha256
        plain = {name: getattr(self, name) for name in ("at", "scale", "length", "blend", "fade")}
        return {"gesture": sha256, "channels": sorted(self.channels), **plain}


class GestureLibrary:
    """Folders of gestures. One in an earlier folder hides one of the same name in a later.

    Args:
        folders: searched in this order; the gestures that ship come last. One that was asked for by name must exist.
        beside: the folder beside a manifest, which need not exist.
    """

    def __init__(self, folders: Iterable[Path] = (), beside: Path | None = None) -> None:
        self.folders = [Path(folder).expanduser() for folder in folders]
        for folder in self.folders:
            if not folder.is_dir():
                raise UsageError(
                    f"no folder of gestures at {folder}", hint="a gesture folder holds NAME.yaml or NAME.csv"
                )
        if beside is not None and beside.is_dir():
            self.folders.append(beside)
        self.folders.append(shipped_gestures())

    @cached_property
    def names(self) -> dict[str, Path]:
        """Every gesture and its file, sorted by name."""
        found: dict[str, Path] = {}
        for folder in self.folders:
            for suffix in SUFFIXES:
                for path in sorted(folder.glob(f"*{suffix}")):
                    found.setdefault(path.stem, path)
        return dict(sorted(found.items()))

    def knows(self, name: str) -> bool:
        """Whether it is the name of a gesture, or can only be a path."""
        return name in self.names or is_path(name)

    def find(self, name: str, base: Path = Path()) -> Path:
        """The file of a gesture.

        Raises:
            MsmdError: there is none.
        """
        if name in self.names:
            return self.names[name]
        if is_path(name):
            return base / Path(name).expanduser()
        raise MsmdError(f"there is no gesture {name!r}", hint=did_you_mean(name, self.names))


def shipped_gestures() -> Path:
    """The gestures that ship."""
    return SHIPPED / "gestures"


def is_path(name: str) -> bool:
    """Whether a gesture's name means a file."""
    return "/" in name or "\\" in name or Path(name).suffix.lower() in SUFFIXES


@dataclass(frozen=True, eq=False)
class Curve:
    """One channel of a gesture over time.

    Attributes:
        times: [K] seconds, rising, from 0.
        values: [K].
        slopes: [K] per second, of the cubic between keys; None: straight lines between frames.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    slopes: NDArray[np.float64] | None = None

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """[n] values at the given times, within the first and the last of its own."""
        if self.slopes is None:
            return np.interp(times, self.times, self.values)
        index = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, len(self.times) - 2)
        width = self.times[index + 1] - self.times[index]
        u = (times - self.times[index]) / width
        a, b = self.values[index], self.values[index + 1]
        bend = u * (1 - u) * ((1 - u) * self.slopes[index] - u * self.slopes[index + 1]) * width
        return a + (b - a) * u * u * (3 - 2 * u) + bend  # a cubic Hermite curve; `smooth_step` would round otherwise


@dataclass(frozen=True, eq=False)
class GestureClip:
    """A gesture, read.

    Attributes:
        seconds: how long it takes.
        curves: column -> its curve; for `add` it is what comes on top.
        blend: how it is put into a line.
    """

    seconds: float
    curves: Mapping[int, Curve]
    blend: Blend


def place(motion: Motion, gesture: Gesture) -> tuple[Motion, str]:
    """Put a gesture into a line.

    Args:
        motion: the line, at any frame rate.
        gesture: located.

    Returns:
        the motion, and a warning (empty if there is none).

    Raises:
        MsmdError: its file cannot be used, or none of its channels may be moved.
    """
    if gesture.file is None:
        raise ValueError(f"gesture {gesture.name} was not located")
    clip = load_clip(gesture.file, motion.rig, gesture.blend)
    columns = _allowed(clip, gesture, motion.rig)
    seconds = clip.seconds if gesture.length is None else gesture.length
    fps = float(motion.fps)
    times = np.arange(motion.frames) / fps - gesture.at  # [T] seconds since its start
    inside = (times >= 0) & (times <= seconds)
    if not inside.any():
        return motion, f"the gesture {gesture.name} at {gesture.at:g} s is after the end of the animation"
    local = times[inside]
    fade = min(gesture.fade, seconds / 2)
    weight = np.ones(len(local))
    if fade > 0:
        u = np.clip(np.minimum(local, seconds - local) / fade, 0, 1)
        weight = smooth_step(u)  # [n]
    values = motion.values.astype(np.float64)
    for column in columns:
        at = np.clip(local * (clip.seconds / seconds), 0, clip.seconds)
        shape = clip.curves[column].at(at) * gesture.scale  # [n]
        before = values[inside, column]
        if clip.blend == "add":
            lowest = np.minimum(before, motion.rig.lower[column])  # an excess that was there stays; none is added
            highest = np.maximum(before, motion.rig.upper[column])
            values[inside, column] = np.clip(before + shape * weight, lowest, highest)
        else:
            shape = np.clip(shape, motion.rig.lower[column], motion.rig.upper[column])
            values[inside, column] = before + weight * (shape - before)
    over = gesture.at + seconds - motion.frames / fps
    warning = (
        f"the gesture {gesture.name} at {gesture.at:g} s goes on {over * 1000:.0f} ms after the end" if over > 0 else ""
    )
    return replace(motion, values=values.astype(np.float32), meta=dict(motion.meta)), warning


def load_clip(file: MotionFile, rig: Rig, blend: Blend | None = None) -> GestureClip:
    """Read a gesture; `blend` overrides its own."""
    return _load(file, rig, blend)


@lru_cache(maxsize=64)
def _load(file: MotionFile, rig: Rig, blend: Blend | None) -> GestureClip:
    if file.path.suffix.lower() in (".yaml", ".yml"):
        try:
            return _from_keys(file.path, rig, blend)
        except DocumentError:
            raise  # it names the file
        except MsmdError as error:
            raise MsmdError(f"gesture {file.path}: {error.message}", hint=error.hint) from None
    return _from_motion(file.load(), rig, blend, file.path)


def _from_motion(motion: Motion, rig: Rig, blend: Blend | None, path: Path) -> GestureClip:
    if motion.rig.channels != rig.channels:
        raise MsmdError(f"gesture {path} is on rig {motion.rig.name}, but the line is on {rig.name}")
    values = motion.values.astype(np.float64)  # [K, D]
    if motion.frames < 2:
        raise MsmdError(f"gesture {path} has a single frame", hint="a gesture is a short clip")
    u = np.linspace(0, 1, motion.frames)[:, None]
    departs = values - ((1 - u) * values[0] + u * values[-1])
    moving = np.abs(departs).max(axis=0) > MOVES
    blend = blend or "add"
    kept = departs if blend == "add" else values
    times = np.arange(motion.frames) / float(motion.fps)
    curves = {int(column): Curve(times, kept[:, column]) for column in np.flatnonzero(moving)}
    return GestureClip(float(times[-1]), curves, blend)


def _from_keys(path: Path, rig: Rig, blend: Blend | None) -> GestureClip:
    """Key poses -> a clip. Everything in the file is checked."""
    data = load_small_yaml(path)
    if not isinstance(data, dict):
        raise MsmdError("it is not a mapping of keys", hint=f"keys: {', '.join(KEYS)}")
    for key in data:
        if key not in KEYS:
            raise MsmdError(f"unknown key {str(key)[:40]!r}", hint=did_you_mean(str(key), KEYS))
    if data.get("format_version") != FORMAT_VERSION:
        raise MsmdError(f"gesture format {_shown(data.get('format_version'))}; this program reads {FORMAT_VERSION}")
    own = data.get("blend", "add")
    if own not in BLENDS:
        raise MsmdError(f"blend {_shown(own)} is not add or replace")
    keys = data.get("keys")
    if not isinstance(keys, list) or not keys:
        raise MsmdError("it has no keys", hint="keys: [{time: 0.2, channels: {headPitch: 0.16}}, {time: 0.6}]")
    named: dict[str, dict[float, float]] = {}
    last = -1.0
    for key in keys:
        if not isinstance(key, dict) or not set(key) <= {"time", "channels"} or not _is_number(key.get("time")):
            raise MsmdError(f"a key is {{time: seconds, channels: {{name: value}}}}, not {_shown(key)}")
        time = float(key["time"])
        if not last < time <= MAX_SECONDS or time < 0:
            raise MsmdError(f"the key at {time:g} s does not come after the one before, or is beyond {MAX_SECONDS:g} s")
        last = time
        channels = key.get("channels") or {}
        if not isinstance(channels, dict):
            raise MsmdError(f"the channels of the key at {time:g} s are not a mapping")
        for name, value in channels.items():
            if not _is_number(value):
                raise MsmdError(f"{str(name)[:40]} of the key at {time:g} s is not a number")
            named.setdefault(str(name), {})[time] = float(value)
    if last <= 0:
        raise MsmdError("it takes no time", hint="its last key says when it is over")
    curves = {}
    for name, keyed in named.items():
        if name not in rig.channels:
            if name in Rig.load(STANDARD_RIG).channels:
                continue
            raise MsmdError(f"rig {rig.name} has no channel {name[:40]!r}", hint=did_you_mean(name[:40], rig.channels))
        keyed = {0.0: 0.0, last: 0.0, **keyed}
        times = np.array(sorted(keyed))
        values = np.array([keyed[time] for time in times])
        curves[rig.channels.index(name)] = Curve(times, values, _slopes(times, values))
    return GestureClip(last, curves, blend or own)


def _slopes(times: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[K] slopes of a cubic that keeps between its keys (Fritsch and Butland 1984); 0 at both ends."""
    slopes = np.zeros(len(times))
    width, rise = np.diff(times), np.diff(values)
    steep = rise / width
    for k in range(1, len(times) - 1):
        a, b = steep[k - 1], steep[k]
        if a * b > 0:
            w1, w2 = 2 * width[k] + width[k - 1], width[k] + 2 * width[k - 1]
            slopes[k] = (w1 + w2) / (w1 / a + w2 / b)
    return slopes


def _allowed(clip: GestureClip, gesture: Gesture, rig: Rig) -> list[int]:
    if not clip.curves:
        raise MsmdError(f"the gesture {gesture.name} moves no channel of rig {rig.name}")
    if not gesture.channels:
        return sorted(clip.curves)
    names = {name for part in gesture.channels for name in rig.regions.get(part, (part,))}
    allowed = [column for column in sorted(clip.curves) if rig.channels[column] in names]
    if not allowed:
        moved = ", ".join(rig.channels[column] for column in sorted(clip.curves))
        raise MsmdError(f"the gesture {gesture.name} moves none of its `channels`", hint=f"it moves {moved}")
    return allowed


def _shown(value: object) -> str:
    """A value for a message: a list or mapping may be endless, so only what kind of thing it is."""
    return repr(value)[:40] if value is None or isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
