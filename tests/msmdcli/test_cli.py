"""The command line as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from computing_time import least_ratio, of_children
from typer.testing import CliRunner
from voice_lines import write_project

from msmdcli.cli import app
from msmdcli.errors import UsageError
from msmdcli.manifest.command_line import parse_choices, parse_style
from msmdcli.motion.motion import load_npz

ROOT = Path(__file__).parents[2]
RUNNER = CliRunner()


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def process(*arguments: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "msmdcli"]
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=False,
    )


def test_help_is_quick() -> None:
    """Less than three times what it costs to load the libraries that draw the help, which is half a second here."""

    def ours() -> None:
        assert process("--help").returncode == 0

    def libraries() -> None:
        assert process(code="import typer, rich.markdown, rich.panel, rich.table").returncode == 0

    assert least_ratio(ours, libraries, 3, of_children) < 3


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['msmd', 'batch', '--help']\n"
        "from msmdcli.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'onnxruntime', 'yaml', 'soundfile', 'av', 'torch') if m in sys.modules])"
    )
    assert process(code=code).stdout.rstrip().endswith("[]")


@pytest.mark.parametrize(
    "command",
    [["batch"], ["convert"], ["inspect"], ["doctor"], ["styles", "list"], ["styles", "show"], ["styles", "check"]]
    + [["styles", "add"], ["styles", "remove"]]
    + [["rig", "show"], ["dub"]],
)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0 and "msmd " + " ".join(command) in " ".join(out.split())


def test_no_module_needs_torch(tmp_path: Path, stand_in_bundle: Path) -> None:
    """The wall: with torch, transformers and onnx blocked, every module imports and a batch runs."""
    manifest = write_project(tmp_path, (0.5,))
    code = f"""
import importlib, pkgutil, sys
for name in ("torch", "transformers", "onnx", "training", "export"):
    sys.modules[name] = None
import msmdcli
for module in pkgutil.walk_packages(msmdcli.__path__, "msmdcli."):
    if module.name != "msmdcli.__main__":
        importlib.import_module(module.name)
from msmdcli.cli import app
app(["batch", {str(manifest)!r}, "--bundle", {str(stand_in_bundle)!r}, "--styles", {str(tmp_path / "styles")!r},
     "--out", {str(tmp_path / "out")!r}])
"""
    result = process(code=code)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out/line0.csv").is_file()


def test_batch_from_the_command_line(tmp_path: Path, stand_in_bundle: Path) -> None:
    manifest = write_project(tmp_path, (0.5, 1.0))
    fixed = ["--bundle", stand_in_bundle, "--styles", tmp_path / "styles", "--out", tmp_path / "out"]
    code, out, err = run("batch", manifest, "--style", "angry=0.7,neutral=0.3", "--formats", "npz", *fixed)
    assert code == 0 and out == "" and "2 made" in err
    assert load_npz(tmp_path / "out/line0.npz").meta["style"] == "0.7 angry + 0.3 neutral"
    code, out, err = run("batch", manifest, "--json", "--quiet", *fixed)
    assert code == 0 and err == ""
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["plan", "line", "line", "end"]
    (tmp_path / "audio/line0.wav").unlink()
    code, _, err = run("batch", manifest, *fixed)
    assert code == 1 and "Error: line line0: no such recording" in err
    code, _, err = run("batch", tmp_path / "nowhere.yaml", *fixed)
    assert code == 2 and err.startswith("Error: there is no manifest") and "\nHint: " in err
    code, _, err = run("batch", manifest, "--engine", "cloud", *fixed)
    assert code == 2 and "cloud" in err
    code, _, _ = run("batch", manifest, "--no-such-option")
    assert code == 2
    code, _, err = run("batch", manifest, "--bundle", tmp_path)
    assert code == 1 and "no bundle" in err


def test_module_and_version() -> None:
    assert process("--version").stdout.startswith("msmd ")


def test_styles_commands(tmp_path: Path) -> None:
    write_project(tmp_path, (0.5,))
    styles = ("--styles", tmp_path / "styles")
    code, out, _ = run("styles", "list", *styles)
    assert code == 0 and "angry" in out and "random motion 1" in out
    code, out, _ = run("styles", "show", "angry", *styles)
    assert code == 0 and "licence: MIT" in out and "mean pose: " in out
    code, out, _ = run("styles", "check", "angry", "neutral", *styles)
    assert code == 0 and "angry: fine" in out
    code, _, err = run("styles", "show", "angri", *styles)
    assert code == 1 and "did you mean angry?" in err
    (tmp_path / "styles/angry/clip.npz").write_bytes(b"x")
    code, out, err = run("styles", "check", "angry", "--json", *styles)
    assert code == 1 and "sha256" in json.loads(out)["problems"][0] and "1 of 1" in err


def test_rig_show() -> None:
    code, out, _ = run("rig", "show")
    assert code == 0 and len(out.splitlines()) == 55 and "jawOpen" in out
    code, out, _ = run("rig", "show", "--json")
    assert json.loads(out.splitlines()[-1])["name"] == "headRoll"
    code, _, err = run("rig", "show", "nowhere")
    assert code == 1 and "Error: " in err


def test_convert_and_inspect(tmp_path: Path, stand_in_bundle: Path) -> None:
    write_project(tmp_path, (0.5,))
    clip = tmp_path / "styles/angry/clip.npz"
    csv = tmp_path / "clip.csv"
    code, _, err = run("convert", clip, "--to", "livelink-csv", "--out", csv)
    assert code == 0 and "80 frames at 30 fps" in err
    code, _, err = run("convert", clip, "--to", "livelink-csv", "--out", csv)
    assert code == 2 and "there already" in err
    code, _, _ = run("convert", csv, "--to", "npz", "--fps", "60", "--out", tmp_path / "new/deep.npz")
    assert code == 0 and load_npz(tmp_path / "new/deep.npz").frames == 160
    code, _, err = run("convert", clip, "--to", "avi")
    assert code == 2 and "avi" in err
    code, out, _ = run("inspect", csv)
    assert code == 0 and "frames: 80" in out and "channels that move most" in out
    code, out, _ = run("inspect", stand_in_bundle)
    assert code == 0 and "window: 20 frames" in out
    code, out, _ = run("inspect", tmp_path / "audio/line0.wav", "--json")
    assert json.loads(out)["seconds"] == 0.5
    code, _, err = run("inspect", tmp_path / "lines.yaml")
    assert code == 1 and "no motion file" in err


def test_doctor(tmp_path: Path, stand_in_bundle: Path) -> None:
    write_project(tmp_path, (0.5,))
    code, out, _ = run("doctor", "--bundle", stand_in_bundle, "--device", "cpu", "--json")
    findings = {finding["what"]: finding for finding in map(json.loads, out.splitlines())}
    assert findings["same bytes"]["fine"] and findings["ONNX Runtime"]["fine"] and findings["model"]["fine"]
    code, out, err = run("doctor", "--bundle", tmp_path)
    assert code == 1 and "BAD  model: no bundle" in out and "Error: " in err


def test_style_on_the_command_line() -> None:
    assert [(ref.name, ref.weight) for ref in parse_style("a=0.7, b/c.npz=0.3,d=0")] == [("a", 0.7), ("b/c.npz", 0.3)]
    assert parse_style("None")[0].name == "none"
    for wrong in ("", "a=x", "a=1,b", "a=-1,b=1", "=1", "a=0"):
        with pytest.raises(UsageError):
            parse_style(wrong)
    for arguments in ((None, "", None, None), (None, "avi", None, None), (None, None, "fast", None)):
        with pytest.raises(UsageError):
            parse_choices(*arguments)
