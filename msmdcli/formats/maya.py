"""A Python script that sets keyframes in Maya (2022 and later), with nothing but `maya.cmds`.

The script holds the data and a function `apply`; run, it applies itself with the names that it was written for. Keys
are linear. They are set at exact times, not at frame numbers, whose length is the scene's: in a scene at
the motion's own rate they lie on whole frames, in another one at the same seconds. The scene's rate is not touched.
Older keys on the same attributes within the line's time go; those before and after it stay.

Blend shapes are attributes of a blendShape node, `NAMESPACE:blendShape1.jawOpen`. Where the node has no such target,
the script leaves it out and names it in one warning. The head is a transform whose axes are the world's (x to the
character's own left, y up, z forward): rotate order xyz in Maya is the rig's R = Rz Ry Rx, others are converted.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.formats.curves import assemble, head_of, match_channels, shapes_of, split_names
from msmdcli.formats.description import describe, described_clock, described_meta, described_rig
from msmdcli.formats.numbers import decimals, start_frame, timecode
from msmdcli.motion.key_reduction import reduce_each, reduce_together, total
from msmdcli.motion.motion import Motion

TITLE = "# MSMD keyframes for Maya"
VERSION = 1
SCRIPT = '''
try:
    from maya import cmds
    from maya.api import OpenMaya
except ImportError:
    cmds = None  # the data can be used without Maya


def apply(namespace=NAMESPACE, nodes=BLENDSHAPES, head=HEAD, start=START_FRAME):
    """Set the keys. Give other names to use the same motion on another character."""
    prefix = namespace + ":" if namespace and not namespace.endswith(":") else namespace
    numerator, denominator = FPS
    plugs, missing = [], []
    for node in nodes:
        for name in SHAPES:
            plug = prefix + node + "." + name
            if cmds.objExists(plug):
                plugs.append((plug, SHAPES[name]))
            else:
                missing.append(plug)
    if not plugs:
        raise RuntimeError("MSMD: nothing to animate: there is no " + missing[0])

    def seconds(frame):
        return (start + frame) * denominator / float(numerator)

    def key(plug, frames, values):
        # Keys of an earlier take would bend the curve between the new ones.
        ends = [OpenMaya.MTime(seconds(f), OpenMaya.MTime.kSeconds) for f in (-0.25, FRAMES - 0.75)]
        cmds.cutKey(plug, time=tuple(end.asUnits(OpenMaya.MTime.uiUnit()) for end in ends), clear=True)
        for frame, value in zip(frames, values):
            time = repr(seconds(frame)) + "sec"
            cmds.setKeyframe(plug, time=time, value=value, inTangentType="linear", outTangentType="linear")

    for plug, (frames, values) in plugs:
        key(plug, frames, values)
    if head and HEAD_ANGLES:
        turn(prefix + head, key)
    if missing:
        cmds.warning("MSMD: there is no " + ", ".join(missing))
    print("MSMD: %s, %d frames from %s on at %d/%d a second" % (NAME, FRAMES, start, numerator, denominator))


def turn(head, key):
    """Key the head's rotation, in its own rotate order."""
    order = cmds.getAttr(head + ".rotateOrder")
    frames, angles = HEAD_ANGLES
    turned = []
    for pitch, yaw, roll in angles:
        euler = OpenMaya.MEulerRotation(pitch, yaw, roll, OpenMaya.MEulerRotation.kXYZ).reorder(order)
        turned.append(euler.closestSolution(turned[-1]) if turned else euler)
    for axis in "XYZ":
        values = [OpenMaya.MAngle.internalToUI(getattr(euler, axis.lower())) for euler in turned]
        key(head + ".rotate" + axis, frames, values)


if cmds is not None:
    apply()
'''


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write the script.

    Options:
        start: number or timecode of the first frame, default 0.
        namespace: of the character; default none.
        blendshape: the blendShape node, default blendShape1; several with commas get the same keys.
        head: the transform that turns with the head; without it, head motion is in the script but not applied.
        reduce_keys: tolerance in weights and radians; every blend shape keeps keys of its own.
    """
    tolerance = options.get("reduce_keys")
    start = start_frame(options.get("start", 0), motion.fps)
    names, shapes = shapes_of(motion)
    kept, count = reduce_each(shapes, tolerance)
    counts = [count]
    described = describe(motion, str(options["name"]))
    code = f"{start} is {timecode(start, motion.fps)}"
    lines = [
        TITLE,
        "# Run it in the Script Editor, or: exec(open(r'PATH', encoding='utf-8').read())",
        f"VERSION = {VERSION}",
        f"NAME = {_text(options['name'])}",
        f"FPS = ({motion.fps.numerator}, {motion.fps.denominator})",
        f"FRAMES = {motion.frames}",
        f"START_FRAME = {start}  # {code}" if start >= 0 else f"START_FRAME = {start}",
        f"NAMESPACE = {_text(options.get('namespace', ''))}",
        f"BLENDSHAPES = [{', '.join(map(_text, split_names(options.get('blendshape', 'blendShape1'))))}]",
        f"HEAD = {_text(options.get('head', ''))}",
        f"NOTES = {_text(json.dumps(described, ensure_ascii=False))}",
        "SHAPES = {  # name: (frames, values)",
    ]
    every = f"EVERY = list(range({motion.frames}))"
    if tolerance is None:
        lines.insert(-1, every)
    for name, keys, column in zip(names, kept, shapes.T, strict=True):
        frames = "EVERY" if tolerance is None else json.dumps(keys.tolist())
        lines.append(f"    {_text(name)}: ({frames}, [{', '.join(decimals(column[keys]))}]),")
    lines.append("}")
    angles = head_of(motion)
    if angles is not None:
        keys, count = reduce_together(angles, tolerance)
        counts.append(count)
        frames = "EVERY" if tolerance is None else json.dumps(keys.tolist())
        rows = ", ".join(f"({', '.join(decimals(row))})" for row in angles[keys])
        lines.append(f"HEAD_ANGLES = ({frames}, [{rows}])  # pitch, yaw, roll in radians")
    else:
        lines.append("HEAD_ANGLES = None")
    path.write_text("\n".join(lines) + "\n" + SCRIPT, encoding="utf-8", newline="\n")
    whole = total(counts)
    return {"warnings": [], **(whole.as_notes() if whole else {})}


def read(path: Path, options: Mapping[str, Any]) -> Motion:
    """Read the data of a script that `write` wrote. Nothing of it is executed; there are no options."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise MsmdError(f"{path} is no Python script ({error})") from error
    if not text.startswith(TITLE):
        raise MsmdError(f"{path} is no script of MSMD's: it does not begin with {TITLE!r}")
    try:
        data: dict[str, Any] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id != "EVERY":
                data[node.targets[0].id] = _literal(node.value, int(data.get("FRAMES", 0)))
        if data["VERSION"] != VERSION:
            raise MsmdError(f"{path}: script version {data['VERSION']!r}; this program reads {VERSION}")
        described = json.loads(data["NOTES"])
        rig = described_rig(described)
        fps, frames = described_clock(described)
        whole = np.arange(frames or 0)
        channels, _ = match_channels(data["SHAPES"], rig)
        columns = {channels[name]: np.interp(whole, *keys) for name, keys in data["SHAPES"].items() if name in channels}
        head = data["HEAD_ANGLES"]
        angles = (
            None if head is None else np.stack([np.interp(whole, head[0], c) for c in np.transpose(head[1])], axis=1)
        )
        return assemble(path, rig, fps, columns, angles, described_meta(described))
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise MsmdError(f"{path} is no motion ({type(error).__name__}: {error})") from error


def _literal(node: ast.expr, frames: int) -> Any:
    """The value of a literal; the name EVERY in it stands for all frames."""

    class Every(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            return ast.Constant("EVERY") if name.id == "EVERY" else name

    def spread(value: Any) -> Any:
        if isinstance(value, tuple) and len(value) == 2 and value[0] == "EVERY":
            return list(range(frames)), value[1]
        return {key: spread(entry) for key, entry in value.items()} if isinstance(value, dict) else value

    return spread(ast.literal_eval(Every().visit(node)))


def _text(value: object) -> str:
    """A Python string literal."""
    return ascii(str(value))
