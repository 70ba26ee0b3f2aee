"""USD as text: a UsdSkel animation of blend-shape weights and the head joint.

Alone, the file holds one prim, a `SkelAnimation` named after the clip, which is also the default prim: reference it
where a character's `skel:animationSource` points. With `asset` it references the character and points the animation
source of its skeleton here; then usd-core is needed, to read the character's own names of blend shapes, the path of its
head joint and the joint's rest transform.

**Time.** One time code is one frame and `timeCodesPerSecond` is the frame rate, so keys lie on whole numbers and cannot
drift; the exact fraction stands in `customLayerData` with the other notes. `startTimeCode` is the option `start`.

**Units and axes.** The animation holds weights and a rotation, no lengths. Alone, the head turns about USD's y-up axes,
which are the rig's (x to the person's own left, y up, z out of the face). On an asset, R acts in its world: for a z-up
one it is turned with the axes, the face looking along -y.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError, UsageError, install_command
from msmdcli.formats.curves import assemble, head_of, match_channels, on_frames, shapes_of, span
from msmdcli.formats.description import describe, described_clock, described_meta, described_rig
from msmdcli.formats.head_turn import IDENTITY, NONE, angles_from_node, is_head, reduced_rotation, to_node
from msmdcli.formats.numbers import decimals, start_frame
from msmdcli.motion.key_reduction import reduce_together, total
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rotation import inverse, multiply, on_one_side, quaternion_from_euler, quaternion_of_matrix

Z_UP = np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0])  # y up, z forward -> z up, -y forward: 90 degrees about x


@dataclass(frozen=True)
class _Character:
    """What an asset says: where things are, what they are called.

    Attributes:
        reference: how the asset is named in the file.
        skeleton: path of the skeleton below the asset's default prim.
        names: of its blend shapes.
        units: `metersPerUnit` and `upAxis` of its stage, as lines of a layer: USD does not convert them.
        joint: the head joint as the skeleton spells it; None: none found.
        parents, rest: rotations [4] of the joint's parents and of itself, w, x, y, z.
        place, scale: the joint's rest translation and scale [3].
    """

    reference: str
    skeleton: str
    names: list[str]
    units: str
    joint: str | None
    parents: np.ndarray = field(default_factory=lambda: IDENTITY)
    rest: np.ndarray = field(default_factory=lambda: IDENTITY)
    place: tuple[float, ...] = (0.0, 0.0, 0.0)
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write the animation.

    Options:
        start: number or timecode of the first frame, default 0.
        asset: the character to reference; needs usd-core.
        skeleton, head_joint: see `msmdcli.formats`.
        reduce_keys: tolerance; all blend shapes share their time samples.
    """
    name, tolerance = prim_name(str(options["name"])), options.get("reduce_keys")
    start = start_frame(options.get("start", 0), motion.fps)
    wanted = options.get("head_joint")
    asset = options.get("asset")
    character = read_character(str(asset), path.parent, options.get("skeleton"), wanted) if asset else None
    warnings: list[str] = []

    names, shapes = shapes_of(motion)  # [T, S]
    if character is not None:
        found, doubts = match_channels(character.names, motion.rig)
        warnings += doubts
        faces = [channel for channel in motion.rig.channels if channel not in (motion.rig.rotation or ())]
        absent = [c for c in faces if c not in found.values() and motion.values[:, motion.rig.index(c)].any()]
        if not found:
            raise MsmdError(
                f"{asset} has no blend shapes named like the channels of rig {motion.rig.name}", "e.g. jawOpen"
            )
        if absent:
            warnings.append(f"the asset has no blend shape for {', '.join(absent)}")
        names, shapes = list(found), motion.values[:, [motion.rig.index(channel) for channel in found.values()]]
    keys, count = reduce_together(shapes, tolerance)
    body = [f"uniform token[] blendShapes = {_tokens(names)}", "float[] blendShapeWeights.timeSamples = {"]
    body += [f"    {start + key}: [{', '.join(decimals(shapes[key]))}]," for key in keys]
    body.append("}")
    counts = [count]

    angles = head_of(motion)
    notes = describe(motion, str(options["name"]))
    if angles is not None and str(wanted) != NONE:
        joint = character.joint if character else str(wanted or "head")
        if joint is None:
            warnings.append("head motion was left out: the skeleton has no joint called head; head_joint names one")
        else:
            rest = character or _Character("", "", [], "", joint)
            local = to_node(quaternion_from_euler(angles), rest.parents, rest.rest)  # [T, 4]
            keys, count = reduced_rotation(local, tolerance)
            counts.append(count)
            notes["head_joint"] = joint
            notes["head_frame"] = [decimals(rest.parents), decimals(rest.rest)]
            body += [
                f"uniform token[] joints = {_tokens([joint])}",
                "quatf[] rotations.timeSamples = {",
                *(f"    {start + key}: [({', '.join(decimals(local[key]))})]," for key in keys),
                "}",
                f"half3[] scales = [({', '.join(decimals(rest.scale))})]",
                f"float3[] translations = [({', '.join(decimals(rest.place))})]",
            ]
    path.write_text(_layer(motion, name, start, notes, body, character), encoding="utf-8", newline="\n")
    whole = total(counts)
    return {"warnings": warnings, **(whole.as_notes() if whole else {})}


def _layer(
    motion: Motion, name: str, start: int, notes: Mapping[str, Any], body: list[str], character: _Character | None
) -> str:
    rate = float(motion.fps)
    head = [
        "#usda 1.0",
        "(",
        "    customLayerData = {",
        f"        string msmd = {_quoted(json.dumps(notes, ensure_ascii=False))}",
        "    }",
        f'    defaultPrim = "{name}"',
        f"    endTimeCode = {start + motion.frames - 1}",
        f"    framesPerSecond = {rate!r}",
        "    metersPerUnit = 1",
        f"    startTimeCode = {start}",
        f"    timeCodesPerSecond = {rate!r}",
        '    upAxis = "Y"',
        ")",
        "",
    ]
    if character is None:
        return "\n".join([*head, f'def SkelAnimation "{name}"', "{", *(f"    {line}" for line in body), "}", ""])
    for key in ("metersPerUnit", "upAxis"):
        head = [line for line in head if not line.startswith(f"    {key}")]
    head.insert(-2, character.units)
    parts = character.skeleton.strip("/").split("/") if character.skeleton.strip("/") else []
    opening = [f'def "{name}" (', f"    prepend references = @{character.reference}@", ")", "{"]
    animation = ['    def SkelAnimation "MsmdAnimation"', "    {", *(f"        {line}" for line in body), "    }", ""]
    binding = []
    for depth, part in enumerate(parts, start=1):
        indent = "    " * depth
        last = depth == len(parts)
        binding += [f'{indent}over "{part}"' + (" (" if last else "")]
        binding += [f'{indent}    prepend apiSchemas = ["SkelBindingAPI"]', f"{indent})"] if last else []
        binding += [f"{indent}{{"]
    if not parts:
        opening[1:2] = [opening[1], '    prepend apiSchemas = ["SkelBindingAPI"]']
    binding.append("    " * (len(parts) + 1) + f"rel skel:animationSource = </{name}/MsmdAnimation>")
    binding += ["    " * depth + "}" for depth in range(len(parts), 0, -1)]
    return "\n".join([*head, *opening, *animation, *binding, "}", ""])


def read(path: Path, options: Mapping[str, Any]) -> Motion:
    """Read the first SkelAnimation with blend-shape weights, ours or another program's. Needs usd-core."""
    _, UsdSkel = _usd()
    stage = _open(path)
    animation = next(
        (
            UsdSkel.Animation(prim)
            for prim in stage.Traverse()
            if prim.IsA(UsdSkel.Animation) and UsdSkel.Animation(prim).GetBlendShapeWeightsAttr().HasAuthoredValue()
        ),
        None,
    )
    if animation is None:
        raise MsmdError(f"{path} holds no SkelAnimation with blend-shape weights")
    try:
        described = json.loads(stage.GetRootLayer().customLayerData.get("msmd", "{}"))
        rig = described_rig(described)
        fps, frames = described_clock(described)
        fps = fps or parse_fps(repr(stage.GetTimeCodesPerSecond()))
        weights = animation.GetBlendShapeWeightsAttr()
        codes = weights.GetTimeSamples() or [stage.GetStartTimeCode()]
        values = np.array([weights.Get(code) for code in codes], np.float64)  # [K, S]
        times = np.array(codes) / float(fps)
        first, covered = span([(times, values)], fps)
        frames = frames or covered
        dense = on_frames((times, values), fps, frames, first)
        names = [str(name) for name in animation.GetBlendShapesAttr().Get() or []]
        channels, _ = match_channels(names, rig)
        columns = {channels[name]: dense[:, i] for i, name in enumerate(names) if name in channels}
        angles = _read_head(animation, described, fps, frames, first)
        return assemble(path, rig, fps, columns, angles, described_meta(described))
    except MsmdError as error:
        raise MsmdError(
            error.message if str(path) in error.message else f"{path}: {error.message}", error.hint
        ) from None
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise MsmdError(f"{path} is no animation that MSMD understands ({error})") from error


def _open(path: Path) -> Any:
    """The stage of a file, whose suffix need not be USD's if it is text."""
    Usd, _ = _usd()
    from pxr import Sdf  # type: ignore

    try:
        if path.suffix.lower() in (".usda", ".usd", ".usdc", ".usdz"):
            return Usd.Stage.Open(str(path))
        layer = Sdf.Layer.CreateAnonymous(".usda")
        if not layer.ImportFromString(path.read_text(encoding="utf-8")):
            raise ValueError
        return Usd.Stage.Open(layer)
    except Exception:  # usd-core raises its own errors, whose text has many lines
        raise MsmdError(f"{path} cannot be read as USD: it is damaged or incomplete") from None


def _read_head(animation: Any, described: Mapping[str, Any], fps: Any, frames: int, first: float) -> np.ndarray | None:
    """[T, 3] head angles from the joint that is called head, or that the file says; None where there is none."""
    joints = [str(joint) for joint in animation.GetJointsAttr().Get() or []]
    wanted = described.get("head_joint")
    number = next((i for i, joint in enumerate(joints) if joint == wanted or (not wanted and is_head(joint))), None)
    attribute = animation.GetRotationsAttr()
    codes = attribute.GetTimeSamples()
    if number is None or not codes:
        return None
    quaternions = [attribute.Get(code)[number] for code in codes]
    local = on_one_side(np.array([[q.GetReal(), *q.GetImaginary()] for q in quaternions]))  # [K, 4]
    turned = on_frames((np.array(codes) / float(fps), local), fps, frames, first)
    parents, rest = (np.array(part, np.float64) for part in described.get("head_frame", [IDENTITY, IDENTITY]))
    return angles_from_node(turned, parents, rest)


def read_character(asset: str, folder: Path, skeleton: object, head_joint: object) -> _Character:
    """Look into a character's file for its skeleton, the names of its blend shapes and its head joint.

    Args:
        asset: a path, or a name that USD's resolver knows; a path is written relative to `folder`.
        folder: where the file that references it will be.
        skeleton: path of the skeleton in the asset; needed only where there are several.
        head_joint: name or path of the joint; `none` for no head.
    """
    Usd, UsdSkel = _usd()
    from pxr import Gf, UsdGeom  # type: ignore

    try:
        stage = Usd.Stage.Open(asset)
    except Exception:  # usd-core raises its own errors
        raise MsmdError(f"asset {asset} cannot be opened as USD", hint="a .usd, .usda, .usdc or .usdz file") from None
    root = stage.GetDefaultPrim()
    if not root:
        raise MsmdError(f"asset {asset} has no default prim", hint="set one: it is what a reference takes")
    skeletons = [prim for prim in Usd.PrimRange(root) if prim.IsA(UsdSkel.Skeleton)]
    paths = {str(prim.GetPath()): prim for prim in skeletons}
    if not skeletons:
        raise MsmdError(f"asset {asset} has no skeleton below {root.GetPath()}")
    if skeleton is None and len(skeletons) > 1:
        raise UsageError(f"asset {asset} has several skeletons", hint=f"skeleton= one of {', '.join(paths)}")
    chosen = paths.get(str(skeleton)) if skeleton is not None else skeletons[0]
    if chosen is None:
        raise UsageError(f"asset {asset} has no skeleton {skeleton}", hint=f"it has {', '.join(paths)}")
    bindings = [UsdSkel.BindingAPI(prim) for prim in Usd.PrimRange(root) if prim.HasAPI(UsdSkel.BindingAPI)]
    tokens = [str(token) for binding in bindings for token in binding.GetBlendShapesAttr().Get() or []]
    names = list(dict.fromkeys(tokens))
    reference = os.path.relpath(asset, folder).replace(os.sep, "/") if Path(asset).is_file() else asset
    if Path(asset).is_file() and not reference.startswith("."):
        reference = f"./{reference}"
    joints = [str(joint) for joint in UsdSkel.Skeleton(chosen).GetJointsAttr().Get() or []]
    number = _find_joint(joints, head_joint, asset)
    below = str(chosen.GetPath())[len(str(root.GetPath())) :]
    units = f"    metersPerUnit = {UsdGeom.GetStageMetersPerUnit(stage)!r}"
    up = str(UsdGeom.GetStageUpAxis(stage))
    units += f'\n    upAxis = "{up}"'
    if number is None:
        return _Character(reference, below, names, units, None)
    query = UsdSkel.Cache().GetSkelQuery(UsdSkel.Skeleton(chosen))
    own = Gf.Transform(Gf.Matrix4d(query.ComputeJointLocalTransforms(Usd.TimeCode.Default(), True)[number]))
    world = query.ComputeJointSkelTransforms(Usd.TimeCode.Default(), True)[number]
    place = UsdGeom.Xformable(chosen).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
    whole = _rotation_of(Gf.Matrix4d(world) * place)
    rest = _quaternion(own.GetRotation())
    parents = multiply(whole, inverse(rest))
    if up == "Z":
        parents = multiply(inverse(Z_UP), parents)
    return _Character(
        reference,
        below,
        names,
        units,
        joints[number],
        parents,
        rest,
        tuple(own.GetTranslation()),
        tuple(own.GetScale()),
    )


def _find_joint(joints: list[str], wanted: object, asset: str) -> int | None:
    if str(wanted) == NONE:
        return None
    if wanted is None:
        return next((i for i, joint in enumerate(joints) if is_head(joint)), None)
    for i, joint in enumerate(joints):
        if str(wanted) in (joint, joint.rsplit("/", 1)[-1]):
            return i
    raise UsageError(f"asset {asset} has no joint {wanted}", hint=f"its joints: {', '.join(joints)[:300]}")


def _rotation_of(matrix: Any) -> np.ndarray:
    """w, x, y, z of the rotation in a USD matrix, whose vectors are rows."""
    rows = np.array(matrix, np.float64)[:3, :3]
    return quaternion_of_matrix((rows / np.linalg.norm(rows, axis=1, keepdims=True)).T)


def _quaternion(rotation: Any) -> np.ndarray:
    """w, x, y, z of a Gf.Rotation."""
    quaternion = rotation.GetQuat()
    return np.array([quaternion.GetReal(), *quaternion.GetImaginary()])


def prim_name(name: str) -> str:
    """A name that USD takes for a prim: letters, digits and underscores, no digit first."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name) or "_"
    return f"_{plain}" if plain[0].isdigit() else plain


def _tokens(names: list[str]) -> str:
    return "[" + ", ".join(_quoted(name) for name in names) + "]"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _usd() -> tuple[Any, Any]:
    try:
        from pxr import Usd, UsdSkel  # type: ignore
    except ImportError:
        raise MsmdError("this needs usd-core", hint=install_command("usd")) from None
    return Usd, UsdSkel
