from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from msmdcli.cli import app
from msmdcli.formats.registry import FORMATS, read_motion, write_motion
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Three lines of 30 frames at 30000/1001."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"line{i}.npz" for i in range(3)]
    for path in paths:
        write_motion(Motion(rng.random((30, RIG.size)) / 2, parse_fps("29.97"), RIG), path, "npz")
    return paths


def test_several_files_and_one_that_is_broken(tmp_path: Path, clips: list[Path]) -> None:
    clips[1].write_bytes(b"no npz")
    out = tmp_path / "new/folder"
    code, stdout, stderr = run("convert", *clips, "--to", "json", "--out", out, "--json", "--quiet")
    events = [json.loads(line) for line in stdout.splitlines()]
    assert code == 1 and [event["event"] for event in events] == ["converted", "failed", "converted", "end"]
    assert events[-1]["converted"] == 2 and "line1.npz" in stderr and stderr.startswith("Error: ")
    assert sorted(path.name for path in out.iterdir()) == ["line0.json", "line2.json"]


def test_all_there_and_back(tmp_path: Path, clips: list[Path]) -> None:
    """Through every readable format in a chain; the values and the rate of the first are those of the last."""
    path, names = clips[0], [name for name, form in FORMATS.items() if form.readable and name != "usda"]
    for i, name in enumerate([*names, "npz"]):
        target = tmp_path / f"step{i}{FORMATS[name].suffix}"
        option = ["--option", "head=none"] if name == "glb" else []
        code, _, err = run("convert", path, "--to", name, "--out", target, *option)
        assert code == 0, err
        path = target
    first, last = read_motion(clips[0]), read_motion(path)
    assert last.fps == first.fps == parse_fps("30000/1001")
    np.testing.assert_allclose(last.values, first.values, atol=2e-6)


def test_reduction_and_rolls_are_told(tmp_path: Path, clips: list[Path]) -> None:
    options = ["--reduce-keys", "0.3", "--pre-roll", "0.5", "--post-roll", "0.2", "--roll", "hold"]
    code, stdout, err = run("convert", clips[0], "--to", "maya", *options, "--json", "-o", "namespace=hero")
    event = json.loads(stdout)
    assert code == 0 and event["frames"] == 30 + 15 + 6 and "of 2805 keys" in err
    assert event["keys"] < event["keys_before"] and event["largest_error"] <= 0.3
    assert "NAMESPACE = 'hero'" in (tmp_path / "line0.maya.py").read_text()


def test_unreal_brings_its_script(tmp_path: Path, clips: list[Path]) -> None:
    code, _, err = run("convert", *clips, "--to", "unreal", "--out", tmp_path / "unreal")
    assert code == 0 and "msmd_unreal_import.py" in err
    assert (tmp_path / "unreal/msmd_unreal_import.py").is_file() and len(list((tmp_path / "unreal").iterdir())) == 4
    code, _, err = run("convert", clips[0], "--to", "unreal", "--out", tmp_path / "one")  # a folder of one, too
    assert code == 0, err
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"line0.unreal.csv", "msmd_unreal_import.py"}


def test_what_cannot_be_meant_is_refused_before_anything_is_written(tmp_path: Path, clips: list[Path]) -> None:
    before = sorted(tmp_path.iterdir())
    (tmp_path / "sub").mkdir()
    twin = tmp_path / "sub/line0.npz"
    twin.write_bytes(clips[0].read_bytes())
    for arguments, says in (
        ([clips[0], "--to", "glb", "-o", "haed=x"], "did you mean head"),
        ([clips[0], "--to", "glb", "-o", "head"], "not NAME=VALUE"),
        ([clips[0], "--to", "npz", "--reduce-keys", "0.1"], "no option 'reduce_keys'"),
        ([clips[0], "--to", "npz"], "there already"),
        ([clips[0], clips[1], "--to", "json", "--out", clips[2]], "is a file"),
        ([clips[0], twin, "--to", "json", "--out", tmp_path / "out"], "would both become"),
        ([clips[0], "--to", "jsn"], "did you mean json"),
    ):
        code, _, err = run("convert", *arguments)
        assert code == 2 and says in err, err
    assert sorted(path for path in tmp_path.iterdir() if path.name != "sub") == before
    code, _, err = run("convert", clips[0], "--to", "maya", "--fps", "fast")
    assert code == 1 and "not a frame rate" in err


def test_formats_are_listed_and_heads_inspected(tmp_path: Path, clips: list[Path]) -> None:
    code, out, _ = run("convert", "--formats")
    assert code == 0 and all(name in out for name in FORMATS) and "mesh_path: " in out
    glb = tmp_path / "a.glb"
    run("convert", clips[0], "--to", "glb", "--out", glb)
    code, out, _ = run("inspect", glb)
    assert code == 0 and "52 of them arkit52 channels" in out and "frames: 30" in out and "animations: a" in out
    from msmdcli.paths import SHIPPED_HEAD

    code, out, _ = run("inspect", SHIPPED_HEAD)
    assert code == 0 and "head node: Head" in out and "animations: none" in out
    (tmp_path / "a.fbx").write_bytes(b"Kaydara FBX Binary")
    code, _, err = run("inspect", tmp_path / "a.fbx")
    assert code == 1 and "does not read" in err
