"""The examples, the scripts that the README names, and what the README promises about commands."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import typer

from msmdcli.cli import app
from msmdcli.formats.registry import write_motion
from msmdcli.manifest.lines import Line, style_field
from msmdcli.manifest.loading import load_manifest
from msmdcli.media.audio import load_audio
from msmdcli.motion.motion import Motion, frame_count
from msmdcli.motion.rig import Rig
from msmdcli.styles.field import NO_STYLE
from msmdcli.styles.library import StyleLibrary

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = REPOSITORY / "examples"
README = REPOSITORY / "README.md"
RIG = Rig.load("arkit52")
MANIFEST = load_manifest(EXAMPLES / "lines.yaml", RIG)
FPS = Fraction(30)


def line_names(line: Line) -> str:
    return line.id


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    """`.ci/check_outputs.py` as a module."""
    spec = importlib.util.spec_from_file_location("check_outputs", REPOSITORY / ".ci" / "check_outputs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The lines


def test_the_lines_show_what_a_manifest_can_do() -> None:
    lines = MANIFEST.lines
    assert 8 <= len(lines) <= 12
    assert len({line.choices.language for line in lines}) >= 6
    assert any(line.choices.segments for line in lines)
    assert any(line.choices.regions for line in lines)
    assert any(line.choices.style and len(line.choices.style) > 1 for line in lines)
    assert any(line.choices.intensity and line.choices.seed for line in lines)
    free = [line for line in lines if not (line.choices.style or line.choices.segments or line.choices.regions)]
    assert len(free) >= 4  # `--style` must have something to do
    assert len({line.audio.suffix for line in lines}) > 1


def test_all_styles_named_are_in_the_library() -> None:
    tags = {*StyleLibrary().tags, NO_STYLE}
    for line in MANIFEST.lines:
        field = style_field(MANIFEST.choices(line), EXAMPLES)
        assert {ref.name for ref in field.refs()} <= tags


@pytest.mark.parametrize("line", MANIFEST.lines, ids=line_names)
def test_each_line_is_speech_of_a_sensible_length(line: Line) -> None:
    audio = load_audio(line.audio)
    assert line.text and line.fields["voice"]
    seconds_per_letter = float(audio.seconds) / len(line.text)
    assert 0.03 < seconds_per_letter < 0.2
    level = np.sqrt(np.mean(np.square(audio.samples)))
    assert 0.02 < level < 0.3
    assert 0.4 < np.abs(audio.samples).max() <= 1
    assert np.abs(audio.samples[:1600]).max() < 0.02  # it begins in silence: the mouth can open in time
    last = max((segment.start for segment in line.choices.segments or ()), default=0)
    assert last < float(audio.seconds)


def test_one_line_lasts_half_a_minute_and_all_are_small() -> None:
    files = [line.audio for line in MANIFEST.lines]
    assert max(load_audio(file).seconds for file in files) >= 30
    assert sum(file.stat().st_size for file in files) < 1_500_000
    assert sorted(files) == sorted((EXAMPLES / "audio").iterdir())  # nothing lies around


# The main job


def test_the_lines_can_be_animated(stand_in_bundle: Path, checker: ModuleType, tmp_path: Path) -> None:
    """With a stand-in for the model: every line, both formats, the right number of frames."""
    command = [sys.executable, "-m", "msmdcli", "batch", str(EXAMPLES / "lines.yaml"), "--style", "angry"]
    command += ["--out", str(tmp_path), "--bundle", str(stand_in_bundle), "--quiet", "--threads", "1"]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=300)
    for line in MANIFEST.lines:
        frames = frame_count(load_audio(line.audio).seconds, FPS)
        values, channels, found = checker.read(tmp_path / f"{line.id}.npz", frames, FPS)
        assert found == []
        assert checker.check_csv(tmp_path / f"{line.id}.csv", values, channels) == []


# The checker of continuous integration must not be blind.


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[Path, Path]:
    """Outputs that are as they should be: speech-like jaws, a frown in one, a smile in the other."""
    angry, happy = tmp_path / "angry", tmp_path / "happy"
    for line in MANIFEST.lines:
        frames = frame_count(load_audio(line.audio).seconds, FPS)
        own = line.choices.style or line.choices.segments or line.choices.regions
        for folder, channel in ((angry, "browDown"), (happy, "mouthSmile")):
            values = np.zeros((frames, RIG.size), np.float32)
            values[:, RIG.index("jawOpen")] = 0.1 + 0.1 * np.sin(np.arange(frames))
            if not own:
                values[:, [RIG.index(f"{channel}Left"), RIG.index(f"{channel}Right")]] = 0.5
            for form in ("npz", "livelink-csv"):
                path = folder / f"{line.id}.{'npz' if form == 'npz' else 'csv'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_motion(Motion(values, FPS, RIG), path, form)
    return angry, happy


def test_the_checker_passes_what_is_right(checker: ModuleType, two_runs: tuple[Path, Path]) -> None:
    assert checker.main(EXAMPLES / "lines.yaml", *two_runs) == 0


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", "is missing"),
        ("short", "shape"),
        ("nan", "not all values are finite"),
        ("range", "face channels from"),
        ("rate", "frames per second"),
        ("still", "jaw moves"),
        ("row", "rows instead of"),
        ("curve", "differ in jawOpen"),
        ("swapped", "styles hardly differ"),
        ("own", "a manner of its own"),
    ],
)
def test_the_checker_sees_faults(
    fault: str, message: str, checker: ModuleType, two_runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    angry, happy = two_runs
    npz, table = angry / "gate" / "guard_001.npz", angry / "gate" / "guard_001.csv"
    with np.load(npz) as file:
        data = dict(file)
    if fault == "missing":
        npz.unlink()
    elif fault == "row":
        table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    elif fault == "swapped":
        angry, happy = happy, angry
    elif fault == "own":
        npz = angry / "chapel" / "healer_es.npz"
        with np.load(npz) as file:
            data = dict(file)
        data["values"][3, RIG.index("cheekPuff")] = 0.2
    elif fault == "short":
        data["values"] = data["values"][:-1]
    elif fault == "nan":
        data["values"][5, 5] = np.nan
    elif fault == "range":
        data["values"][5, 5] = 1.2
    elif fault == "rate":
        data["fps"] = np.array("25/1")
    elif fault == "still":
        data["values"][:, RIG.index("jawOpen")] = 0.1
    elif fault == "curve":
        data["values"][9, RIG.index("jawOpen")] += 0.1
    if fault not in ("missing", "row", "swapped"):
        np.savez(npz, **data)
    assert checker.main(EXAMPLES / "lines.yaml", angry, happy) == 1
    assert message in capsys.readouterr().err


# Scripts and README


@pytest.mark.parametrize("script", ["examples/run.sh", "examples/environment.sh", "tests/run.sh", ".ci/run"])
def test_scripts_are_well_formed(script: str) -> None:
    path = REPOSITORY / script
    subprocess.run(["bash", "-n", str(path)], check=True)
    if "environment" not in script:
        assert path.stat().st_mode & 0o100, f"{script} is not executable"
        assert "set -euo pipefail" in path.read_text()


def in_environment(commands: str, tmp_path: Path) -> str:
    """What a script says that sources environment.sh, with stand-ins for apt-get, and for Python in its environment.

    The stand-ins write what they were asked to do to `log`; python3 is unfit until apt-get has installed it.
    """
    bin_folder, venv = tmp_path / "bin", tmp_path / "venv"
    log = tmp_path / "log"
    stubs = {
        bin_folder / "apt-get": f'echo "apt-get $*" >> {log}; touch {tmp_path}/fit',
        bin_folder / "sudo": 'exec "$@"',
        bin_folder / "python3": f"""
            case "$*" in
              *ensurepip*) test -f {tmp_path}/fit ;;
              *venv*) mkdir -p {venv}/bin; cp {bin_folder}/venv-python {venv}/bin/python ;;
            esac""",
        bin_folder / "venv-python": f'echo "${{@: -1}}" >> {log}',
    }
    bin_folder.mkdir(exist_ok=True)
    for path, text in stubs.items():
        path.write_text(f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)
    script = f"set -euo pipefail; PATH={bin_folder}:$PATH; source {EXAMPLES}/environment.sh; {commands}"
    subprocess.run(["bash", "-c", script], env={**os.environ, "MSMD_VENV": str(venv)}, check=True, capture_output=True)
    return log.read_text() if log.exists() else ""


def test_an_environment_is_set_up_once_per_need(tmp_path: Path) -> None:
    commands = "environment cpu; environment cpu; environment cpu,dev; environment cpu; environment dev"
    said = in_environment(commands, tmp_path).splitlines()
    assert [line for line in said if "apt-get" in line] == [
        "apt-get update -qq",
        "apt-get install -qq -y --no-install-recommends python3 python3-venv",
    ]
    assert [line for line in said if "apt-get" not in line] == [f"{REPOSITORY}[cpu]", f"{REPOSITORY}[cpu,dev]"]


def test_what_the_readme_runs_is_what_continuous_integration_runs() -> None:
    ci = (REPOSITORY / ".ci" / "run").read_text()
    for command in ("./examples/run.sh", "./tests/run.sh"):
        assert command in README.read_text()
        assert command in ci


def test_links_in_the_documents_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (REPOSITORY / name).read_text(encoding="utf-8")):
            assert target.startswith("https://") or (REPOSITORY / target).exists(), f"{name}: {target}"


def readme_commands() -> list[str]:
    """Every `msmd ...` of the README: lines of shell blocks, and commands named in the text."""
    text = README.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    commands = [part.strip() for line in blocks.splitlines() for part in line.split("#")[0].split("&&")]
    commands += re.findall(r"`(msmd [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return sorted({command for command in commands if command.startswith("msmd ")})


@pytest.mark.parametrize("command", readme_commands())
def test_commands_in_the_readme_exist_with_their_options(command: str) -> None:
    node = typer.main.get_command(app)
    _, *words = shlex.split(command)
    while words and not words[0].startswith("-") and words[0] in getattr(node, "commands", {}):
        node = node.commands[words.pop(0)]  # type: ignore[attr-defined]
    assert not hasattr(node, "commands"), f"{command}: not a command"
    known = {option for parameter in node.params for option in parameter.opts}
    for word in words:
        assert not word.startswith("--") or word in known, f"{command}: no option {word}"


def test_the_readme_lists_the_tags_that_ship() -> None:
    section = README.read_text(encoding="utf-8").split("### Styles")[1].split("\n## ")[0]
    assert set(re.findall(r"\| `(\w+)` (?=\|)", section)) == {*StyleLibrary().tags, "none"}
