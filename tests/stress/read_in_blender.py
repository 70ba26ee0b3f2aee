"""Import a .glb or .fbx in Blender and tell what its keys say, for `check_formats.py`.

blender --background --factory-startup --python read_in_blender.py -- FILE OUT.json NUMERATOR DENOMINATOR
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path


def main(file: str, out: str, numerator: int, denominator: int) -> None:
    """Import, evaluate at every key, write JSON."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps = math.ceil(numerator / denominator)
    scene.render.fps_base = scene.render.fps * denominator / numerator
    if file.endswith(".glb"):
        bpy.ops.import_scene.gltf(filepath=file)
    else:
        bpy.ops.import_scene.fbx(filepath=file, anim_offset=0.0)
    # Blender's importers place keys at seconds times this (both pass over `fps_base` where they should not, in 5.0):
    placed = scene.render.fps * (scene.render.fps_base if file.endswith(".glb") else 1)
    every = [curve for action in bpy.data.actions for curve in curves(action)]
    longest = max(every, key=lambda curve: len(curve.keyframe_points))
    positions = [point.co[0] for point in longest.keyframe_points]
    shapes: dict[str, list[float]] = {}
    apart = 0.0  # how far the curves of several meshes with a shape of the same name differ
    for curve in every:
        found = re.fullmatch(r'key_blocks\["(.+)"\]\.value', curve.data_path)
        if found:
            values = [curve.evaluate(position) for position in positions]
            before = shapes.setdefault(found[1], values)
            apart = max(apart, *(abs(one - other) for one, other in zip(before, values, strict=True)))
    head = bpy.data.objects["Head"]
    for thing in bpy.data.objects:
        if thing.type == "MESH" and thing.data.shape_keys:
            check_evaluated(scene, thing, positions, shapes)
            thing.shape_key_clear()  # posing them takes most of the time, and only the head's turn is left to ask for
    turned = []
    for position in positions:
        scene.frame_set(math.floor(position), subframe=position - math.floor(position))
        bpy.context.view_layer.update()
        turned.append(list(head.matrix_world.to_quaternion()))
    times = [position / placed for position in positions]
    told = {"times": times, "shapes": shapes, "head": turned, "apart": apart}
    Path(out).write_text(json.dumps(told), encoding="utf-8")
    print("MSMD DONE")


def check_evaluated(scene, mesh, positions, shapes) -> None:
    """At three times Blender must really give each shape what its curve says."""
    for number in {0, len(positions) // 2, len(positions) - 1}:
        position = positions[number]
        scene.frame_set(math.floor(position), subframe=position - math.floor(position))
        for block in mesh.data.shape_keys.key_blocks[1:]:
            wanted = shapes[block.name][number] if block.name in shapes else 0.0
            if abs(block.value - wanted) > 1e-6:
                raise ValueError(f"{mesh.name}: {block.name} is {block.value} at {position}, its curve {wanted}")


def curves(action):
    """All curves of an action, in Blender before and after 4.4."""
    if hasattr(action, "layers") and len(action.layers):
        return [
            c for layer in action.layers for strip in layer.strips for bag in strip.channelbags for c in bag.fcurves
        ]
    return list(getattr(action, "fcurves", []))


if __name__ == "__main__":
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    main(arguments[0], arguments[1], int(arguments[2]), int(arguments[3]))
