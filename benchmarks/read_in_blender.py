"""Import a .glb or .fbx in Blender and tell what its keys say, for `check_formats.py`.

blender --background --factory-startup --python read_in_blender.py -- FILE OUT.json NUMERATOR DENOMINATOR
"""

from __future__ import annotations

import json
import math
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
    head = bpy.data.objects["Head"]
    shapes: dict[str, list[float]] = {}
    turned = []
    for position in positions:
        scene.frame_set(math.floor(position), subframe=position - math.floor(position))
        bpy.context.view_layer.update()
        turned.append(list(head.matrix_world.to_quaternion()))
        for keys in bpy.data.shape_keys:
            for block in keys.key_blocks[1:]:
                shapes.setdefault(block.name, []).append(block.value)
    times = [position / placed for position in positions]
    told = {"times": times, "shapes": shapes, "head": turned}
    Path(out).write_text(json.dumps(told), encoding="utf-8")
    print("MSMD DONE")


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
