"""Unity's AnimationClip, as the text that Unity itself writes (YAML 1.1, one document, class 74).

Blend shapes are float curves `blendShape.NAME` of a SkinnedMeshRenderer (class 137), in per cent: a weight of 1 is 100.
The head is a rotation curve of a transform. Unity's axes are left-handed, x to the character's own right: a rotation
(x, y, z, w) of the rig is (x, -y, -z, w) there, as in Unity's own import of FBX. The transform is taken to have no
rotation at rest: where a bone has one, put an empty parent on it and name that.

Keys are linear: their slopes are those of the lines to their neighbours, and their tangent mode says so to the curve
editor. Times are seconds to a nanosecond; Unity stores float32. The clip ends one frame after its last key would begin,
so that the last pose lasts as long as any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.formats.curves import (
    Curve,
    assemble,
    find_rate,
    head_of,
    match_channels,
    on_frames,
    shapes_of,
    span,
    split_names,
)
from msmdcli.formats.head_turn import IDENTITY, NONE, angles_from_node, reduced_rotation, to_node
from msmdcli.formats.numbers import decimals, seconds
from msmdcli.motion.key_reduction import reduce_each, total
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import on_one_side, quaternion_from_euler

PER_CENT = np.float32(100)
LINEAR = 1 | 2 << 1 | 2 << 5  # tangent mode: broken, left linear, right linear
MIRROR = np.array([1.0, 1.0, -1.0, -1.0])  # of w, x, y, z
SHAPE = "blendShape."
RENDERER = 137  # Unity's class number of SkinnedMeshRenderer
OPENING = """%YAML 1.1
%TAG !u! tag:unity3d.com,2011:
--- !u!74 &7400000
AnimationClip:
  m_ObjectHideFlags: 0
  m_CorrespondingSourceObject: {fileID: 0}
  m_PrefabInstance: {fileID: 0}
  m_PrefabAsset: {fileID: 0}
"""


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write the clip.

    Options:
        mesh_path: path of the SkinnedMeshRenderer's object below the Animator's; empty (the default) is that object
            itself. Several, with commas, get the same curves (face, teeth, lashes).
        head_path: path of the transform that turns with the head; default Head; `none` leaves head motion out.
        prefix: text before every blend shape's name.
        reduce_keys: tolerance in weights (0..1) and radians; every curve keeps keys of its own.
    """
    meshes, prefix = split_names(options.get("mesh_path", "")), str(options.get("prefix", ""))
    head_path, tolerance = str(options.get("head_path", "Head")), options.get("reduce_keys")
    clock = motion.fps.numerator, motion.fps.denominator
    times = [seconds(frame, *clock) for frame in range(motion.frames)]
    names, shapes = shapes_of(motion)  # [T, S]
    kept, count = reduce_each(shapes, tolerance)
    counts = [count]
    rotation: list[str] = []
    angles = head_of(motion)
    if angles is not None and head_path != NONE:
        turned = to_node(quaternion_from_euler(angles), IDENTITY, IDENTITY) * MIRROR  # [T, 4]
        keys, count = reduced_rotation(turned, tolerance)
        counts.append(count)
        rotation = list(_rotation_curve(times, keys, turned[keys][:, [1, 2, 3, 0]], float(motion.fps), head_path))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(OPENING)
        file.write(
            f"  m_Name: {_text(str(options['name']))}\n  serializedVersion: 7\n  m_Legacy: 0\n  m_Compressed: 0\n"
        )
        file.write("  m_UseHighQualityCurve: 1\n")
        file.write("  m_RotationCurves:" + ("\n" if rotation else " []\n"))
        file.writelines(f"  {line}\n" for line in rotation)
        file.write(
            "  m_CompressedRotationCurves: []\n  m_EulerCurves: []\n  m_PositionCurves: []\n  m_ScaleCurves: []\n"
        )
        file.write("  m_FloatCurves:\n")
        for mesh in meshes:
            for name, column, keys in zip(names, (shapes * PER_CENT).T, kept, strict=True):
                lines = _float_curve(times, keys, column[keys], float(motion.fps), SHAPE + prefix + name, mesh)
                file.writelines(f"  {line}\n" for line in lines)
        file.write(_closing(decimals([float(motion.fps)])[0], seconds(motion.frames, *clock)))
    whole = total(counts)
    return {"warnings": [], **(whole.as_notes() if whole else {})}


def _float_curve(
    times: list[str], keys: np.ndarray, values: np.ndarray, fps: float, attribute: str, path: str
) -> Iterator[str]:
    yield from ("- serializedVersion: 2", "  curve:", "    serializedVersion: 2", "    m_Curve:")
    slopes = [decimals(slope) for slope in _slopes(keys, values.astype(np.float64), fps)]
    for key, value, arriving, leaving in zip(keys, decimals(values), *slopes, strict=True):
        yield from (
            "    - serializedVersion: 3",
            f"      time: {times[key]}",
            f"      value: {value}",
            f"      inSlope: {arriving}",
            f"      outSlope: {leaving}",
            f"      tangentMode: {LINEAR}",
            "      weightedMode: 0",
            "      inWeight: 0.33333334",
            "      outWeight: 0.33333334",
        )
    yield from ("    m_PreInfinity: 2", "    m_PostInfinity: 2", "    m_RotationOrder: 4")
    yield from (f"  attribute: {_text(attribute)}", f"  path: {_text(path)}", f"  classID: {RENDERER}")
    yield from ("  script: {fileID: 0}", "  flags: 0")


def _rotation_curve(times: list[str], keys: np.ndarray, values: np.ndarray, fps: float, path: str) -> Iterator[str]:
    """Values [K, 4] are x, y, z, w."""
    yield from ("- curve:", "    serializedVersion: 2", "    m_Curve:")
    sides = [_slopes(keys, column, fps) for column in values.T]
    arriving, leaving = (np.stack([side[i] for side in sides], axis=1) for i in (0, 1))  # [K, 4]
    for key, value, before, after in zip(keys, values, arriving, leaving, strict=True):
        yield from (
            "    - serializedVersion: 3",
            f"      time: {times[key]}",
            f"      value: {_vector(decimals(value))}",
            f"      inSlope: {_vector(decimals(before))}",
            f"      outSlope: {_vector(decimals(after))}",
            "      tangentMode: 0",
            "      weightedMode: 0",
            f"      inWeight: {_vector(['0.33333334'] * 4)}",
            f"      outWeight: {_vector(['0.33333334'] * 4)}",
        )
    yield from ("    m_PreInfinity: 2", "    m_PostInfinity: 2", "    m_RotationOrder: 4", f"  path: {_text(path)}")


def _slopes(keys: np.ndarray, values: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Slopes per second [K] of the lines that arrive at and leave each key; at the ends the only line there is."""
    if len(keys) < 2:
        return np.zeros(len(keys)), np.zeros(len(keys))
    lines = np.diff(values) / (np.diff(keys) / fps)  # [K - 1]
    return np.append(lines[:1], lines), np.append(lines, lines[-1:])


def _closing(rate: str, end: str) -> str:
    return f"""  m_PPtrCurves: []
  m_SampleRate: {rate}
  m_WrapMode: 0
  m_Bounds:
    m_Center: {{x: 0, y: 0, z: 0}}
    m_Extent: {{x: 0, y: 0, z: 0}}
  m_ClipBindingConstant:
    genericBindings: []
    pptrCurveMapping: []
  m_AnimationClipSettings:
    serializedVersion: 2
    m_AdditiveReferencePoseClip: {{fileID: 0}}
    m_AdditiveReferencePoseTime: 0
    m_StartTime: 0
    m_StopTime: {end}
    m_OrientationOffsetY: 0
    m_Level: 0
    m_CycleOffset: 0
    m_HasAdditiveReferencePose: 0
    m_LoopTime: 0
    m_LoopBlend: 0
    m_LoopBlendOrientation: 0
    m_LoopBlendPositionY: 0
    m_LoopBlendPositionXZ: 0
    m_KeepOriginalOrientation: 0
    m_KeepOriginalPositionY: 1
    m_KeepOriginalPositionXZ: 0
    m_HeightFromFeet: 0
    m_Mirror: 0
  m_EditorCurves: []
  m_EulerEditorCurves: []
  m_HasGenericRootTransform: 0
  m_HasMotionFloatCurves: 0
  m_Events: []
"""


def read(path: Path, options: Mapping[str, Any]) -> Motion:
    """Read blend-shape curves, ours or those of a clip that Unity wrote; of several meshes the first that has a curve.

    The lines are looked through for what is wanted: a YAML parser takes minutes for a long clip. A clip does not say
    which rig it is for, so the channels are matched by name with arkit52.

    Options:
        fps: the frame rate; by default the clip's own.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise MsmdError(f"{path} is not a text file; in Unity, set Asset Serialization to Force Text") from error
    if not any(line.startswith("AnimationClip:") for line in lines[:20]):
        raise MsmdError(f"{path} is no Unity AnimationClip in text form")
    rig = Rig.load("arkit52")
    named: dict[str, Curve] = {}
    head: Curve | None = None
    rate: str | None = None
    for section, block in _blocks(lines):
        if section == "m_SampleRate":
            rate = block[0].split(":", 1)[1].strip()
        elif section == "m_RotationCurves" and head is None and (curve := _curve(path, block, 4)):
            head = curve
        elif section == "m_FloatCurves":
            attribute = next((_unquoted(line.split(":", 1)[1]) for line in block if line.startswith("attribute:")), "")
            if attribute.startswith(SHAPE) and attribute not in named and (curve := _curve(path, block, 1)):
                named[attribute] = curve[0], curve[1][:, 0] / 100
    channels, _ = match_channels((name.removeprefix(SHAPE) for name in named), rig)
    shapes = {
        channels[name.removeprefix(SHAPE)]: c for name, c in named.items() if name.removeprefix(SHAPE) in channels
    }
    if not shapes:
        raise MsmdError(f"{path}: no curve is named like a channel of rig {rig.name}", hint="e.g. blendShape.jawOpen")
    curves = list(shapes.values())
    fps = parse_fps(options["fps"]) if "fps" in options else None
    if fps is None:
        fps = find_rate(np.concatenate([times for times, _ in curves]))
        if rate is not None:  # the clip's own rate, where the keys allow it: sparse keys may lie on fewer frames
            own = find_rate(np.array([0.0, 1 / float(rate)]))
            times = np.concatenate([times for times, _ in curves]) * float(own)
            fps = own if float(np.abs(times - np.round(times)).max()) < 0.02 else fps
    start, frames = span(curves, fps)
    columns = {name: on_frames(curve, fps, frames, start) for name, curve in shapes.items()}
    angles = None
    if head is not None:
        quaternions = on_one_side(head[1][:, [3, 0, 1, 2]]) * MIRROR
        angles = angles_from_node(on_frames((head[0], quaternions), fps, frames, start), IDENTITY, IDENTITY)
    return assemble(path, rig, fps, columns, angles, {})


def _blocks(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """(section, stripped lines) of every curve, and of every other entry of the clip."""
    section = ""
    block: list[str] = []
    for line in lines:
        top = re.match(r"  (m_\w+):", line)
        if top or line.startswith("  - "):
            if block:
                yield section, block
            section, block = (top[1] if top else section), []
        block.append(line.strip().removeprefix("- "))
    if block:
        yield section, block


def _curve(path: Path, block: list[str], width: int) -> Curve | None:
    """Times [K] and values [K, width] of the keys in a curve's lines; None where there are none."""
    times = [line[5:] for line in block if line.startswith("time:")]
    values = [line[6:] for line in block if line.startswith("value:")]
    if len(times) != len(values):
        raise MsmdError(f"{path}: a curve has {len(times)} times and {len(values)} values")
    try:
        table = np.array(
            [re.findall(r"-?[\d.]+(?:[eE][-+]?\d+)?|-?\binf\b|\bnan\b", v) for v in values], dtype=np.float64
        )
        seconds_of = np.array(times, dtype=np.float64)
    except ValueError as error:
        raise MsmdError(f"{path}: a curve has a key that is no number ({error})") from error
    if not times:
        return None
    if table.shape != (len(times), width) or not np.isfinite(table).all() or (np.diff(seconds_of) <= 0).any():
        raise MsmdError(f"{path}: a curve has keys that are not finite numbers in the order of time")
    return seconds_of, table


def _vector(parts: list[str]) -> str:
    return "{" + ", ".join(f"{axis}: {part}" for axis, part in zip("xyzw", parts, strict=True)) + "}"


def _text(value: str) -> str:
    """A YAML scalar: plain where that is safe, else in quotes."""
    if re.fullmatch(r"[A-Za-z_][\w ./-]*[\w./-]|[A-Za-z_]", value) and value.lower() not in (
        "null",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
    ):
        return value
    if not value:
        return ""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return text[1:-1].replace("''", "'") if len(text) > 1 and text[0] == text[-1] == "'" else text
