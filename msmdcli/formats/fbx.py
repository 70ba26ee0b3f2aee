"""FBX, through Blender: the head is imported from glTF, keyed on every frame, and exported by Blender's own exporter.

Blender is a program of its own, so its licence (GPL) does not touch what it writes, and nothing of it is imported here.
Found in this order: the option `blender`, the environment variable MSMD_BLENDER, `blender` on the PATH, the module
`bpy` beside this Python (the extra `fbx`). The first two may name Blender, or the Python of another
environment that has bpy.

The exporter's settings keep every frame: nothing is simplified, and only this one animation is written.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msmdcli.errors import MsmdError, install_command
from msmdcli.formats.curves import head_of
from msmdcli.formats.glb import carrier, find_head_node, load_head, morph_targets, nodes_by_mesh
from msmdcli.formats.head_turn import NONE
from msmdcli.formats.numbers import start_frame
from msmdcli.motion.motion import Motion
from msmdcli.motion.rotation import on_one_side, quaternion_from_euler
from msmdcli.paths import find_head

SCRIPT = Path(__file__).with_name("blender_fbx.py")
MOST_SECONDS = 600  # for one line; an export takes a few
DONE = "MSMD DONE"  # what the script prints at its end: Blender exits with 0 even where a script fails


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write the head with the motion.

    Options:
        head, head_node: see `msmdcli.formats.glb`.
        start: number or timecode of the first frame, default 0.
        blender: Blender, or a Python with bpy.
    """
    command = blender_command(options.get("blender"))
    given, wanted = options.get("head"), options.get("head_node")
    file = carrier(motion.rig) if str(given) == NONE else load_head(find_head(given))
    file.tree.pop("animations", None)
    warnings: list[str] = []
    found: dict[str, list[float]] = {}
    for number in nodes_by_mesh(file.tree):
        targets, doubts = morph_targets(file.tree["meshes"][number], motion.rig)
        warnings += [text for text in doubts if text not in warnings]
        for target in targets:
            if target.channel is not None:
                found[target.name] = motion.values[:, motion.rig.index(target.channel)].tolist()
    if not found:
        raise MsmdError(
            f"the head has no morph targets named like the channels of rig {motion.rig.name}", "e.g. jawOpen"
        )
    job: dict[str, Any] = {
        "name": str(options["name"]),
        "fps": [motion.fps.numerator, motion.fps.denominator],
        "start": start_frame(options.get("start", 0), motion.fps),
        "frames": motion.frames,
        "shapes": found,
    }
    angles = head_of(motion)
    if angles is not None and str(wanted) != NONE:
        node = find_head_node(file.tree, wanted)
        if node is None:
            warnings.append("head motion was left out: the head has no node called head; head_node names one")
        else:
            job["head"] = file.tree["nodes"][node]["name"]
            job["rotations"] = on_one_side(quaternion_from_euler(angles)).tolist()  # [T, 4] w, x, y, z
    with tempfile.TemporaryDirectory(prefix="msmd-fbx-") as folder:
        head, written = Path(folder, "head.glb"), Path(folder, "out.fbx")
        file.save(head)
        Path(folder, "job.json").write_text(
            json.dumps({**job, "glb": str(head), "out": str(written)}), encoding="utf-8"
        )
        run_blender(command, [str(Path(folder, "job.json"))])
        shutil.copyfile(written, path)
    return {"warnings": warnings}


def blender_command(given: object = None) -> list[str]:
    """The beginning of a command that runs a script within Blender.

    Raises:
        MsmdError: there is no Blender.
    """
    named = str(given) if given else os.environ.get("MSMD_BLENDER")
    if named:
        program = shutil.which(named)
        if program is None:
            raise MsmdError(f"no such program: {named} (it should be Blender, or a Python with bpy)")
        return [program] if "python" in Path(program).name.lower() else _background(program)
    blender = shutil.which("blender")
    if blender is not None:
        return _background(blender)
    if find_spec("bpy") is not None:
        return [sys.executable]
    raise MsmdError(
        "writing FBX needs Blender, and there is none here",
        hint="install Blender (blender.org), or put bpy into an environment of its own "
        f"({install_command('fbx')} there) and name its Python in MSMD_BLENDER",
    )


def _background(program: str) -> list[str]:
    return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python"]


def run_blender(command: list[str], arguments: list[str], script: Path = SCRIPT) -> str:
    """Run a script within Blender; what it printed.

    Raises:
        MsmdError: it failed; the message ends with its own last words.
    """
    separator = ["--"] if "--background" in command else []
    try:
        done = subprocess.run(
            [*command, str(script), *separator, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=MOST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MsmdError(f"Blender could not be run ({error})") from error
    if DONE not in done.stdout:
        words = [line for line in (done.stderr + done.stdout).strip().splitlines() if line.strip()]
        raise MsmdError(
            f"Blender failed: {words[-1].strip() if words else f'exit code {done.returncode}'}",
            hint=f"the program was {command[0]}; it must be Blender 3.6 or later, or a Python with bpy",
        )
    return done.stdout
