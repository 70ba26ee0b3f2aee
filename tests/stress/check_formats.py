"""Check what MSMD writes with programs that have nothing to do with MSMD.

    python tests/stress/check_formats.py MOTION.npz... --node NODE_MODULES [--blender PYTHON_WITH_BPY] [--chromium PATH]

Each motion is written at 24000/1001, 25, 30000/1001, 30 and 60 frames per second, and a line of 0.1 s and one of 60 s
are cut from the first. Then:

- the Khronos validator (npm `gltf-validator`) looks at every glb: no errors;
- three.js (npm `three`) plays it in headless Chromium (pip `playwright`): weights and head at three times;
- usd-core opens and checks every usda, and evaluates it at every frame;
- Blender imports glb and FBX (of the first motion at all rates, of the others at the first one: it is slow; of the
  short and of the long line): the values of all keys;
- PyYAML parses the Unity clip.

Prints one row per file and the largest difference found; exit code 1 if anything is wrong. NODE_MODULES is made by
`npm install gltf-validator three`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.formats.registry import read_motion, write_motion
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rotation import on_one_side, quaternion_from_euler

Row = tuple[str, str, float, str]  # reader, file, largest difference, problem
RATES = ("24000/1001", "25", "30000/1001", "30", "60")
CLOSE = 2e-6  # float32 rounding of values up to 1, and of angles
HERE = Path(__file__).parent
VALIDATE = """
const validator = require('gltf-validator'), fs = require('fs');
(async () => {
  for (const file of process.argv.slice(1)) {
    const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)));
    console.log(JSON.stringify({file, errors: report.issues.numErrors, warnings: report.issues.numWarnings}));
  }
})();
"""
PAGE = """<!doctype html><script type="importmap">{"imports": {"three": "/three/build/three.module.js",
"three/addons/": "/three/examples/jsm/"}}</script><script type="module">
import * as THREE from 'three';
import { GLTFLoader } from 'three/addons/loaders/GLTFLoader.js';
window.play = async (url, times) => {
  const gltf = await new GLTFLoader().loadAsync(url);
  const mixer = new THREE.AnimationMixer(gltf.scene);
  const action = mixer.clipAction(gltf.animations[0]);
  action.setLoop(THREE.LoopOnce);
  action.clampWhenFinished = true;
  action.play();
  return times.map(time => {
    mixer.setTime(time);
    const weights = {}; let head = null;
    gltf.scene.traverse(node => {
      if (node.morphTargetDictionary) for (const [name, i] of Object.entries(node.morphTargetDictionary))
        weights[name] = node.morphTargetInfluences[i];
      if (node.name === 'Head') head = node.quaternion.toArray();
    });
    return {weights, head, name: gltf.animations[0].name, duration: gltf.animations[0].duration};
  });
};
window.ready = true;
</script>"""


def main() -> int:
    """Check everything; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motions", nargs="+", type=Path)
    parser.add_argument("--node", type=Path, help="folder node_modules with gltf-validator and three")
    parser.add_argument("--blender", help="Blender, or a Python with bpy")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--head", help="head to animate (default: the one that ships)")
    given = parser.parse_args()
    wrong = checks = 0

    def tell(rows: Iterable[Row]) -> None:
        nonlocal wrong, checks
        for reader, file, difference, problem in rows:
            bad = problem or ("" if difference <= CLOSE else "too far")
            wrong, checks = wrong + bool(bad), checks + 1
            print(f"| {reader} | {file} | {difference:.2g} | {bad or 'ok'} |", flush=True)

    print("| reader | file | largest difference | |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="msmd-check-") as folder:
        clips = list(make_clips(given.motions))
        for name, clip in clips:
            write_motion(clip, Path(folder, f"{name}.glb"), "glb", {"head": given.head})
            write_motion(clip, Path(folder, f"{name}.usda"), "usda")
            write_motion(clip, Path(folder, f"{name}.anim"), "unity-anim")
        tell(check_usd(Path(folder), clips))
        tell(check_unity(Path(folder), clips))
        if given.node:
            tell(check_validator(Path(folder), clips, given.node))
            tell(check_three(Path(folder), clips, given.node, given.chromium))
        if given.blender:
            tell(check_blender(Path(folder), clips, given.blender, given.head))
    print(f"{checks - wrong} of {checks} checks are fine")
    return 1 if wrong else 0


def make_clips(paths: list[Path]) -> list[tuple[str, Motion]]:
    """The motions at all rates, with a livelier head; a very short and a long one."""
    clips = []
    for path in paths:
        source = read_motion(path)
        wave = np.sin(np.arange(source.frames)[:, None] * (0.11, 0.07, 0.13)) * (0.2, 0.4, 0.15)
        values = source.values.copy()
        values[:, list(source.rig.rotation_indices or ())] += wave.astype(np.float32)
        lively = replace(source, values=values)
        for rate in RATES:
            clips.append((f"{path.stem}_{rate.replace('/', '-')}", lively.resample(rate)))
    first = clips[0][1]
    for name, seconds in (("short", Fraction(1, 10)), ("long", Fraction(60))):
        fps = parse_fps("30000/1001" if name == "short" else "60000/1001")
        source = first.resample(fps)
        frames = max(1, round(seconds * fps))
        clips.append((name, replace(source, values=np.resize(source.values, (frames, source.rig.size)))))
    return clips


def check_usd(folder: Path, clips: list[tuple[str, Motion]]) -> Iterator[Row]:
    """usd-core: its checker, and the skeleton's own evaluation at every frame."""
    from pxr import Usd, UsdSkel, UsdValidation

    checker = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())

    for name, clip in clips:
        path = str(folder / f"{name}.usda")
        stage = Usd.Stage.Open(path)
        problems = [error.GetErrorAsString() for error in checker.Validate(stage)]
        query = UsdSkel.Cache().GetAnimQuery(UsdSkel.Animation(stage.GetDefaultPrim()))
        order = [clip.rig.index(str(token)) for token in query.GetBlendShapeOrder()]
        heads = on_one_side(quaternion_from_euler(clip.values[:, list(clip.rig.rotation_indices or ())]))
        worst = 0.0
        for frame in range(clip.frames):
            weights = np.array(query.ComputeBlendShapeWeights(frame))
            _, rotations, _ = query.ComputeJointLocalTransformComponents(frame)
            turned = np.array([rotations[0].GetReal(), *rotations[0].GetImaginary()])
            worst = max(worst, float(np.abs(weights - clip.values[frame, order]).max()))
            worst = max(worst, min(float(np.abs(turned - s * heads[frame]).max()) for s in (1, -1)))
        seconds = (stage.GetEndTimeCode() - stage.GetStartTimeCode() + 1) / stage.GetTimeCodesPerSecond()
        worst = max(worst, abs(seconds - float(clip.seconds)))
        yield ("usd-core", f"{name}.usda", worst, "; ".join(problems))


def check_unity(folder: Path, clips: list[tuple[str, Motion]]) -> Iterator[Row]:
    """PyYAML, on the clips that are short enough for it."""
    import yaml

    for name, clip in clips:
        if clip.frames > 600:
            continue
        text = (folder / f"{name}.anim").read_text(encoding="utf-8").split("\n", 3)[3]
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        data = yaml.load(text, loader)["AnimationClip"]  # a safe loader, whichever it is
        worst = 0.0
        for curve in data["m_FloatCurves"]:
            column = clip.values[:, clip.rig.index(curve["attribute"].removeprefix("blendShape."))]
            keys = curve["curve"]["m_Curve"]
            worst = max(worst, float(np.abs(np.array([key["value"] for key in keys]) / 100 - column).max()))
            times = np.array([key["time"] for key in keys]) * float(clip.fps)
            worst = max(worst, float(np.abs(times - np.arange(clip.frames)).max()))
        yield ("PyYAML", f"{name}.anim", worst, "" if data["m_Name"] == name else f"called {data['m_Name']}")


def check_validator(folder: Path, clips: list[tuple[str, Motion]], modules: Path) -> Iterator[Row]:
    """The Khronos glTF validator."""
    done = subprocess.run(
        ["node", "-e", VALIDATE, *(str(folder / f"{name}.glb") for name, _ in clips)],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        check=True,
    )
    for report in map(json.loads, done.stdout.splitlines()):
        bad = report["errors"] or report["warnings"]
        yield "Khronos validator", Path(report["file"]).name, 0.0, str(report) if bad else ""


def check_three(folder: Path, clips: list[tuple[str, Motion]], modules: Path, chromium: str) -> Iterator[Row]:
    """three.js in headless Chromium, at the first, a middle and the last frame."""
    from playwright.sync_api import Route, sync_playwright

    def serve(route: Route) -> None:
        path = route.request.url.split("/", 3)[3].split("?")[0]
        if path == "":
            route.fulfill(body=PAGE, content_type="text/html")
            return
        file = modules / path if path.startswith("three/") else folder / path
        kind = "text/javascript" if file.suffix == ".js" else "model/gltf-binary"
        route.fulfill(body=file.read_bytes(), content_type=kind)

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium,
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.route("http://check.test/**", serve)
        page.goto("http://check.test/")
        page.wait_for_function("window.ready")
        for name, clip in clips:
            frames = [0, clip.frames // 2, clip.frames - 1]
            times = [float(np.float32(float(frame / clip.fps))) for frame in frames]
            seen = page.evaluate("([url, times]) => window.play(url, times)", [f"/{name}.glb", times])
            worst = 0.0
            heads = quaternion_from_euler(clip.values[:, list(clip.rig.rotation_indices or ())])
            for frame, state in zip(frames, seen, strict=True):
                for channel, weight in state["weights"].items():
                    worst = max(worst, abs(weight - float(clip.values[frame, clip.rig.index(channel)])))
                turned = np.array(state["head"])[[3, 0, 1, 2]]
                worst = max(worst, min(float(np.abs(turned - s * heads[frame]).max()) for s in (1, -1)))
            worst = max(worst, abs(seen[0]["duration"] - times[-1]))
            yield ("three.js", f"{name}.glb", worst, "" if seen[0]["name"] == name else "wrong name")
        browser.close()


def check_blender(folder: Path, clips: list[tuple[str, Motion]], blender: str, head: str | None) -> Iterator[Row]:
    """Blender: glb and FBX, imported anew; every key of every shape, and the head's turn in the world."""
    from msmdcli.formats.fbx import blender_command, run_blender

    for number, (name, clip) in enumerate(clips):
        if not (number < len(RATES) or number % len(RATES) == 0 or name in ("short", "long")):
            continue
        write_motion(clip, folder / f"{name}.fbx", "fbx", {"blender": blender, "head": head})
        for suffix in ("glb", "fbx"):
            out = folder / "blender.json"
            job = [str(folder / f"{name}.{suffix}"), str(out), str(clip.fps.numerator), str(clip.fps.denominator)]
            run_blender(blender_command(blender), job, HERE / "read_in_blender.py")
            yield ("Blender", f"{name}.{suffix}", *compare_blender(json.loads(out.read_text()), clip))


def compare_blender(seen: dict[str, Any], clip: Motion) -> tuple[float, str]:
    """(largest difference, problem) between a motion and what Blender found."""
    worst, problem = 0.0, ""
    if len(seen["times"]) != clip.frames:
        return np.inf, f"{len(seen['times'])} frames instead of {clip.frames}"
    drift = np.abs((np.array(seen["times"]) - seen["times"][0]) * float(clip.fps) - np.arange(clip.frames)).max()
    if drift > 1e-3:
        problem = f"keys are up to {drift:.3f} frames off"
    if seen["apart"] > CLOSE:
        problem += f" meshes differ by {seen['apart']:.2g}"
    evaluated = seen["shapes"]
    moving = [
        c for c in clip.rig.channels if c not in (clip.rig.rotation or ()) and np.ptp(clip.values[:, clip.rig.index(c)])
    ]
    absent = [channel for channel in moving if channel not in evaluated]
    if absent:
        problem += f" no curve for {', '.join(absent)}"
    for channel, values in evaluated.items():
        worst = max(worst, float(np.abs(np.array(values) - clip.values[:, clip.rig.index(channel)]).max()))
    heads = quaternion_from_euler(clip.values[:, list(clip.rig.rotation_indices or ())])[:, [0, 1, 3, 2]] * (
        1,
        1,
        -1,
        1,
    )
    turned = np.array(seen["head"])  # z up
    signs = np.sign(np.sum(turned * heads, axis=1, keepdims=True))
    worst = max(worst, float(np.abs(turned * signs - heads).max()))
    return worst, problem


if __name__ == "__main__":
    sys.exit(main())
