"""Controls through the whole chain: manifest -> batch -> files, ledger, report. And lengths and takes."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from voice_lines import write_project

from msmdcli.batch.planned import BatchOptions
from msmdcli.batch.run import run_batch
from msmdcli.console import Console
from msmdcli.controls.blinks import find_blinks
from msmdcli.controls.controls import Controls
from msmdcli.controls.head import parse_head, scale_head
from msmdcli.controls.shot_length import ShotLength, fit, parse_length
from msmdcli.errors import MsmdError
from msmdcli.formats.registry import read_motion
from msmdcli.manifest.command_line import parse_choices
from msmdcli.manifest.lines import Choices, ManifestError
from msmdcli.manifest.loading import load_manifest
from msmdcli.manifest.takes import with_takes
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
HEAD = list(RIG.rotation_indices or ())
JAW = RIG.index("jawOpen")


class Project:
    """Recordings and styles; what one run makes of some lines."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.bundle = folder, bundle
        write_project(folder, (1.3, 2.7))
        self.out = folder / "out"

    def run(self, lines: list[dict[str, object]], defaults: dict[str, object] | None = None, **options: object) -> int:
        base = {"style": "neutral", "formats": ["npz"], "fps": 30}
        data = {"version": 1, "defaults": base | (defaults or {}), "lines": lines}
        (self.folder / "m.yaml").write_text(yaml.safe_dump(data))
        run = BatchOptions(
            self.folder / "m.yaml",
            self.out,
            bundle=self.bundle,
            styles=(self.folder / "styles",),
            device="cpu",
            threads=1,
        )
        return run_batch(replace(run, **options), Console(verbosity=-1))  # type: ignore[arg-type]

    def values(self, name: str) -> np.ndarray:
        return read_motion(self.out / f"{name}.npz").values

    def report(self) -> dict[str, dict[str, object]]:
        return {line["id"]: line for line in json.loads((self.out / "report.json").read_text())["lines"]}


@pytest.fixture
def project(tmp_path: Path, stand_in_bundle: Path) -> Project:
    return Project(tmp_path, stand_in_bundle)


def line(name: str, audio: int = 1, **choices: object) -> dict[str, object]:
    return {"id": name, "audio": f"audio/line{audio}.wav", **choices}


def test_each_control_does_its_own_and_is_told(project: Project) -> None:
    code = project.run(
        [
            line("still", head="off"),
            line("half", head=0.5),
            line("blinking", blinks=40),
            line("smooth", smooth=0.5),
            line("shot", length="50 frames", when_longer="trim"),
            line("posed", pins=[{"time": 1.0, "channels": {"jawOpen": 0.25}}, {"channels": {"headYaw": 0.1}}]),
            line("nodding", head="off", gestures=[{"name": "nod", "at": 1.0}]),
            line("gated", silence_gate=True),
        ]
    )
    assert code == 0 and np.abs(project.values("still")[:, HEAD]).max() == 0
    assert project.values("shot").shape[0] == 50 and project.values("still").shape[0] == 81
    posed = project.values("posed")
    assert posed[30, JAW] == np.float32(0.25) and (posed[:, RIG.index("headYaw")] == np.float32(0.1)).all()
    assert 0.1 < project.values("nodding")[:, RIG.index("headPitch")].max() < 0.2
    report = project.report()
    assert report["shot"]["controlled"]["overrun_ms"] == pytest.approx(2700 - 50 / 30 * 1000, abs=1)  # type: ignore[index]
    assert "1033 ms longer" in report["shot"]["warnings"][0]  # type: ignore[index]
    assert report["posed"]["controls"] == "2 pins" and report["posed"]["controlled"]["pins_met"] == 2  # type: ignore[index]
    blinks = report["blinking"]["controlled"]
    assert blinks["blinks_placed"] + blinks["blinks_kept"] >= 1  # type: ignore[index]
    assert "silent_seconds" in report["gated"]["controlled"] and "controls" not in report["smooth"].get("dub", {})  # type: ignore[operator]
    assert report["nodding"]["controls"] == "head off, nod at 1 s"


def test_controls_are_part_of_what_makes_a_line_unchanged(project: Project) -> None:
    """The same settings: skipped. Any other, or another content of a gesture's or a pin's file: made again."""
    (project.folder / "gestures").mkdir()
    gesture = project.folder / "gestures/bob.yaml"
    gesture.write_text("format_version: 1\nkeys: [{time: 0.2, channels: {headPitch: 0.1}}, {time: 0.5}]")
    settings: list[dict[str, object]] = [
        *({}, {"head": 0.5}, {"blinks": 20}, {"blinks": 21}, {"silence_gate": True}, {"silence_gate": -40}),
        *({"smooth": 0.2}, {"length": 1.0}, {"length": 3.0, "when_shorter": "keep"}, {"length": 3.0}),
        *({"gestures": [{"name": "bob", "at": 0.5}]}, {"gestures": [{"name": "bob", "at": 0.5, "scale": 0.7}]}),
        *({"pins": [{"time": 0.5, "channels": {"jawOpen": 0.2}}]}, {"pins": [{"channels": {"jawOpen": 0.2}}]}),
    ]
    for choices in settings:
        for expected in ("made", "unchanged"):
            assert project.run([line("a", 0, **choices)]) == 0
            assert project.report()["a"]["status"] == expected, choices
    assert project.run([line("a", 0, gestures=[{"name": "bob", "at": 0.5}])]) == 0
    gesture.write_text(gesture.read_text().replace("0.1", "0.15"))
    assert project.run([line("a", 0, gestures=[{"name": "bob", "at": 0.5}])]) == 0
    assert project.report()["a"]["status"] == "made"


def test_bytes_depend_on_nothing_but_the_line(project: Project) -> None:
    control = {"blinks": 30, "smooth": 0.2, "pins": [{"time": 0.6, "channels": {"jawOpen": 0.3}}], "takes": 2}
    lines = [line("a", 1, **control), line("b", 1, silence_gate=True), line("c", 0, **control)]
    assert project.run(lines) == 0
    together = {path.name: path.read_bytes() for path in project.out.glob("*.npz")}
    assert set(together) == {"a_take1.npz", "a_take2.npz", "b.npz", "c_take1.npz", "c_take2.npz"}
    alone = replace_out = project.folder / "alone"
    project.out = replace_out
    for one in reversed(lines):
        assert project.run([one], batch_size=1) == 0
    assert {path.name: path.read_bytes() for path in alone.glob("*.npz")} == together


def test_a_take_is_the_line_itself_with_another_seed(project: Project) -> None:
    assert project.run([line("a", takes=3, seed=5, blinks=30)]) == 0
    takes = [project.values(f"a_take{number}") for number in (1, 2, 3)]
    assert len({take.tobytes() for take in takes}) == 3
    assert project.run([line("a", seed=6, blinks=30)]) == 0
    np.testing.assert_array_equal(project.values("a"), takes[1])
    assert {project.report()["a"]["seed"]} == {6}


def test_ids_of_takes_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("version: 1\nlines: [{id: a, audio: a.wav, takes: 2}, {id: A_take2, audio: a.wav}]")
    with pytest.raises(ManifestError, match="that of a take"):
        with_takes(load_manifest(path, RIG))
    path.write_text(f"version: 1\nlines: [{{id: {'x' * 98}, audio: a.wav, takes: 2}}]")
    with pytest.raises(ManifestError, match="cannot be an id"):
        with_takes(load_manifest(path, RIG))
    path.write_text("version: 1\nlines: [{id: a, audio: a.wav}]")
    assert [one.id for one in with_takes(load_manifest(path, RIG), Choices(takes=2))] == ["a_take1", "a_take2"]


def test_unknown_gestures_are_refused_all_at_once_and_bad_files_fail_their_line(project: Project) -> None:
    with pytest.raises(ManifestError) as error:
        project.run([line("a", gestures=[{"name": "nodd", "at": 1}, {"name": "wnik", "at": 1}])])
    assert len(error.value.problems) == 2 and "did you mean nod" in error.value.problems[0]
    assert project.run([line("a", pins=[{"channels": ["eyes"], "file": "no.npz"}]), line("b")]) == 1
    assert {name: entry["status"] for name, entry in project.report().items()} == {"a": "failed", "b": "made"}
    assert project.run([line("a", length=1.0, when_longer="fail")]) == 1
    assert "1700 ms longer" in project.report()["a"]["error"]  # type: ignore[operator]


def test_levels_and_the_command_line(project: Project, tmp_path: Path) -> None:
    choices = parse_choices(None, None, None, None, head_motion="off", blinks="30", silence_gate="on", smooth="0.1")
    assert project.run([line("a"), line("b", head="generated", blinks="off")], {"head": 0.5}, choices=choices) == 0
    assert np.abs(project.values("a")[:, HEAD]).max() == 0 < np.abs(project.values("b")[:, HEAD]).max()
    assert not find_blinks(read_motion(project.out / "b.npz"))
    assert project.report()["a"]["controls"] == "head off, 30 blinks/min, smooth 0.1"
    for option, text in (("blinks", "often"), ("smooth", "9"), ("takes", "0"), ("head_motion", "x")):
        with pytest.raises(MsmdError) as error:
            parse_choices(None, None, None, None, **{option: text})  # type: ignore[arg-type]
        assert error.value.exit_code == 2 and f"--{option.replace('_', '-')}" in error.value.message


def test_lengths_of_shots() -> None:
    motion = Motion(np.linspace(0, 1, 100)[:, None].repeat(RIG.size, 1).astype(np.float32), Fraction(25), RIG)
    seconds = Fraction(4)
    trimmed = fit(motion, seconds, parse_length("3.5"), "trim", "hold")
    np.testing.assert_array_equal(trimmed.motion.values, motion.values[:88])
    assert trimmed.overrun_ms == 500 and "500 ms longer" in trimmed.warning
    held = fit(motion, seconds, parse_length("126 frames"), "trim", "hold")
    assert held.motion.frames == 126 and (held.motion.values[100:] == motion.values[-1]).all()
    assert held.overrun_ms == pytest.approx(-1040) and not held.warning
    assert fit(motion, seconds, parse_length("5000 ms"), "trim", "keep").motion is motion
    assert fit(motion, seconds, parse_length("1 s"), "keep", "hold").motion is motion
    assert parse_length("4.004").frames_at(Fraction(30000, 1001)) == 120
    assert parse_length("12f") == ShotLength(frames=12)
    for text in ("0", "-1", "1e9", "0 frames", "1.5 frames", "two", "", "9999999"):
        with pytest.raises(MsmdError, match="length"):
            parse_length(text)


def test_head_words() -> None:
    motion = Motion(np.full((5, RIG.size), 0.2, np.float32), Fraction(25), RIG)
    assert scale_head(motion, parse_head("generated")) is motion
    np.testing.assert_allclose(scale_head(motion, parse_head("1.5")).values[:, HEAD], 0.3, atol=1e-6)
    assert (scale_head(motion, parse_head("Off")).values[:, HEAD] == 0).all()
    with pytest.raises(MsmdError) as error:
        parse_head("guard.glb")
    assert "belongs to a character" in error.value.hint


def test_no_control_changes_nothing() -> None:
    assert Controls().description() == {} and Controls().words() == ""
