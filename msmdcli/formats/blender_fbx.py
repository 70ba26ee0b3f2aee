"""What `msmdcli.formats.fbx` runs within Blender: import a head, key it, export FBX. It uses Blender's Python alone.

    blender --background --factory-startup --python blender_fbx.py -- JOB.json

The job: `glb`, `out`, `name`, `fps` [numerator, denominator], `start`, `frames`, `shapes` {name: [T]}, and where the
head turns `head` (an object or bone) and `rotations` [T, 4] (w, x, y, z about glTF's axes).
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

LINEAR = 1  # number of the interpolation


def main(job: dict[str, Any]) -> None:
    """Do one job."""
    import bpy  # type: ignore[import-not-found]

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    numerator, denominator = job["fps"]
    scene.name = job["name"]
    scene.render.fps = math.ceil(numerator / denominator)
    scene.render.fps_base = scene.render.fps * denominator / numerator
    scene.frame_start, scene.frame_end = job["start"], job["start"] + job["frames"] - 1
    bpy.ops.import_scene.gltf(filepath=job["glb"])
    frames = range(scene.frame_start, scene.frame_end + 1)
    for keys in bpy.data.shape_keys:
        action = new_action(bpy, keys, job["name"] + " shapes")
        for block in keys.key_blocks:
            values = job["shapes"].get(block.name)
            if values is not None:
                block.slider_min, block.slider_max = min(0.0, *values, 0.0), max(1.0, *values, 1.0)
                key(
                    curve(action, keys, f'key_blocks["{bpy.utils.escape_identifier(block.name)}"].value'),
                    frames,
                    values,
                )
    if "head" in job:
        turn(bpy, job["head"], frames, job["rotations"], job["name"])
    bpy.ops.export_scene.fbx(
        filepath=job["out"],
        object_types={"EMPTY", "ARMATURE", "MESH", "OTHER"},
        add_leaf_bones=False,
        path_mode="COPY",
        embed_textures=True,
        bake_anim=True,
        bake_anim_use_all_bones=False,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True,
        bake_anim_step=1.0,
        bake_anim_simplify_factor=0.0,
    )
    print("MSMD DONE")


def turn(bpy: Any, name: str, frames: range, rotations: Sequence[Sequence[float]], clip: str) -> None:
    """Key the rotation of an object or bone so that in the world it turns by these rotations."""
    from mathutils import Quaternion  # type: ignore[import-not-found]

    bpy.context.view_layer.update()
    worlds = [Quaternion((w, x, -z, y)) for w, x, y, z in rotations]  # y up -> z up
    thing = bpy.data.objects.get(name)
    if thing is not None:
        owner, path = thing, "rotation_quaternion"
        above = thing.parent.matrix_world.to_quaternion() if thing.parent else Quaternion()
        rest = thing.matrix_basis.to_quaternion()
        local = [above.inverted() @ world @ above @ rest for world in worlds]
    else:
        armature = next((o for o in bpy.data.objects if o.type == "ARMATURE" and name in o.pose.bones), None)
        if armature is None:
            raise ValueError(f"nothing is called {name} in Blender")
        thing, owner = armature.pose.bones[name], armature
        path = f'pose.bones["{bpy.utils.escape_identifier(name)}"].rotation_quaternion'
        rest = armature.matrix_world.to_quaternion() @ thing.bone.matrix_local.to_quaternion()
        local = [rest.inverted() @ world @ rest for world in worlds]
    thing.rotation_mode = "QUATERNION"
    for before, after in pairwise(local):
        after.make_compatible(before)
    action = new_action(bpy, owner, clip + " head")
    for axis in range(4):
        key(curve(action, owner, path, axis), frames, [rotation[axis] for rotation in local])


def new_action(bpy: Any, owner: Any, name: str) -> Any:
    """An empty action on something that can be animated."""
    owner.animation_data_clear()
    owner.animation_data_create().action = bpy.data.actions.new(name)
    return owner.animation_data.action


def curve(action: Any, owner: Any, path: str, index: int = 0) -> Any:
    """A new curve; Blender 4.4 and later keep the curves of an action by what they animate."""
    if hasattr(action, "fcurve_ensure_for_datablock"):
        return action.fcurve_ensure_for_datablock(owner, path, index=index)
    return action.fcurves.new(path, index=index)


def key(fcurve: Any, frames: range, values: Sequence[float]) -> None:
    """A linear key on each frame."""
    points = fcurve.keyframe_points
    points.add(len(values))
    points.foreach_set("co", [number for pair in zip(frames, values, strict=True) for number in pair])
    points.foreach_set("interpolation", [LINEAR] * len(values))
    fcurve.update()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8")))
