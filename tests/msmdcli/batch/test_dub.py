"""`msmd dub` and the `dub` list of a manifest, from files to files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner
from voice_lines import write_sound, write_style

from msmdcli.batch.approvals import Approvals
from msmdcli.batch.dub import DubOptions, run_dub
from msmdcli.batch.planned import BatchOptions
from msmdcli.batch.run import run_batch
from msmdcli.cli import app
from msmdcli.console import Console
from msmdcli.controls.head import HeadMotion
from msmdcli.drawing.pictures import write_png
from msmdcli.errors import UsageError
from msmdcli.formats.registry import write_motion
from msmdcli.manifest.command_line import parse_choices
from msmdcli.manifest.lines import Dub, ManifestError
from msmdcli.manifest.loading import load_manifest
from msmdcli.motion.motion import Motion, load_npz, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir

RIG = Rig.load("arkit52")
HEAD = list(RIG.rotation_indices or ())


def performance(seconds: float = 6.0, fps: int = 30) -> Motion:
    """One that begins with calm brows and ends with raised ones, and turns its head meanwhile."""
    frames = round(seconds * fps)
    rng = np.random.default_rng(3)
    values = rng.uniform(0, 0.15, (frames, RIG.size)).astype(np.float32)
    late = np.arange(frames) > frames / 2
    values[late, RIG.index("browInnerUp")] += 0.7
    values[:, HEAD] = np.linspace([-0.1, -0.3, 0.0], [0.1, 0.3, 0.2], frames)
    return Motion(values, Fraction(fps), RIG)


class Stage:
    """A folder with an original and a recording, and what a run said."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.original, self.audio = folder / "take.npz", folder / "line_fr.wav"
        save_npz(self.original, performance())
        write_sound(self.audio, 4.37, seed=5)
        self.batch = BatchOptions(
            Path(), self.out, bundle=bundle, threads=1, choices=parse_choices(None, "npz", None, None)
        )
        self.events: list[dict[str, Any]] = []
        self.talk = ""

    def told(self, run: Callable[[Console], int]) -> int:
        stdout, stderr = io.StringIO(), io.StringIO()
        try:
            return run(Console(True, 0, stdout, stderr))
        finally:
            self.events = [json.loads(line) for line in stdout.getvalue().splitlines()]
            self.talk = stderr.getvalue()

    def dub(self, audio: Path | None = None, original: Path | None = None, **changes: Any) -> int:
        path = original or self.original
        own = {name: changes.pop(name) for name in ("style_follow", "head", "keep") if name in changes}
        batch = {name: changes.pop(name) for name in ("choices", "force", "dry_run", "out") if name in changes}
        options = DubOptions(Dub(path, str(path), **own), audio or self.audio, replace(self.batch, **batch), **changes)
        return self.told(lambda console: run_dub(options, console))

    def scene(self, text: str, **changes: Any) -> int:
        manifest = self.folder / "scene.yaml"
        manifest.write_text("version: 1\n" + text, encoding="utf-8")
        options = replace(self.batch, manifest=manifest, **changes)
        return self.told(lambda console: run_batch(options, console))

    def line(self, name: str = "line_fr") -> dict[str, Any]:
        return next(event for event in self.events if event["event"] == "line" and event["id"] == name)

    def made(self, name: str = "line_fr") -> Motion:
        return load_npz(self.out / f"{name}.npz")

    def bytes_of(self, out: Path) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.rglob("*.npz"))}


@pytest.fixture
def stage(tmp_path: Path, stand_in_bundle: Path) -> Stage:
    return Stage(tmp_path, stand_in_bundle)


@pytest.mark.parametrize(("seconds", "fps"), [(0.3, None), (4.37, "30"), (9.1, "30000/1001"), (2.0, "60")])
def test_a_dub_has_the_length_of_the_new_sound(stage: Stage, seconds: float, fps: str | None) -> None:
    write_sound(stage.audio, seconds)
    assert stage.dub(choices=parse_choices(None, "npz", fps, None), style_follow="timeline", head="original") == 0
    info = soundfile.info(stage.audio)
    exact = Fraction(info.frames, info.samplerate)
    assert stage.made().frames == int(exact * Fraction(fps or 25) + Fraction(1, 2))


def test_it_says_how_much_longer_or_shorter_it_is(stage: Stage) -> None:
    assert stage.dub() == 0
    facts = stage.line()["dub"]
    assert facts["original_seconds"] == 6.0 and facts["longer_seconds"] == pytest.approx(-1.63, abs=1e-3)
    assert facts["longer_percent"] == pytest.approx(-27.2, abs=0.05)
    assert "line_fr: 4.37 s, 1.63 s (27 %) shorter than the original" in stage.talk
    report = json.loads((stage.out / "report.json").read_text(encoding="utf-8"))
    assert report["lines"][0]["dub"] == facts
    page = (stage.out / "report.html").read_text(encoding="utf-8")
    assert "1.63 s (27 %) shorter" in page and "take.npz" in page
    write_sound(stage.audio, 7.5)
    assert stage.dub() == 0 and "1.50 s (25 %) longer" in stage.talk
    assert stage.dub() == 0 and "1.50 s (25 %) longer" in stage.talk and stage.line()["status"] == "unchanged"
    write_sound(stage.audio, 6)
    assert stage.dub() == 0 and "as long as the original" in stage.talk


def test_an_approved_dub_is_made_again_with_force_only(stage: Stage) -> None:
    assert stage.dub() == 0
    Approvals(stage.out).mark("line_fr", True, "")
    before = stage.bytes_of(stage.out)
    assert stage.dub(intensity=0.5) == 0 and stage.line()["status"] == "kept"
    assert "1 approved line kept: line_fr" in stage.talk and stage.bytes_of(stage.out) == before
    assert stage.dub(intensity=0.5, force=True) == 0 and stage.line()["status"] == "made"
    assert stage.bytes_of(stage.out) != before


def test_the_style_follows_the_original_through_time(stage: Stage) -> None:
    brow = RIG.index("browInnerUp")
    rise = {}
    for follow in ("whole", "timeline"):
        generated = parse_choices(None, "npz", None, None, performance="generated")
        assert stage.dub(style_follow=follow, id=follow, choices=generated) == 0
        curve = stage.made(follow).values[:, brow]
        rise[follow] = float(curve[-35:].mean() - curve[:35].mean())
    assert rise["timeline"] > 0.3 > 0.15 > abs(rise["whole"])
    assert stage.line("timeline")["dub"]["stretches"] > 2
    assert stage.made("timeline").meta["style"].endswith("take.npz through time")


def test_upper_face_and_head_run_along_with_the_original(stage: Stage) -> None:
    """Over the whole dub, from the original's start to its end; what is not kept is placed by rhythm."""
    brow, original = RIG.index("browInnerUp"), performance()
    write_sound(stage.audio, 5.6)
    curves = {}
    for name, keep in (("both", ("upper", "head")), ("head", ("head",)), ("none", ())):
        assert stage.dub(keep=keep, id=name) == 0
        curves[name] = stage.made(name).values
    along = HeadMotion.of(original).stretched(len(curves["both"]))
    for name in ("both", "head"):
        moved = curves[name][:, HEAD] - curves[name][:, HEAD].mean(axis=0)
        np.testing.assert_allclose(moved, along - along.mean(axis=0), atol=np.radians(1.5))
    assert np.abs(curves["none"][:, HEAD] - curves["both"][:, HEAD]).max() > 0.01
    rise = {name: float(values[-35:, brow].mean() - values[:35, brow].mean()) for name, values in curves.items()}
    assert rise["both"] > 0.3
    assert curves["head"][:, brow].tobytes() != curves["both"][:, brow].tobytes()


def test_an_original_too_short_to_follow_is_used_as_a_whole(stage: Stage) -> None:
    save_npz(stage.original, performance(2.0))
    assert stage.dub(style_follow="timeline") == 0
    assert "too short to follow through time" in stage.talk and stage.line()["dub"]["stretches"] == 1


def test_head_motion_is_generated_off_or_the_original_s(stage: Stage) -> None:
    heads = {}
    for head in ("generated", "off", "original"):
        assert stage.dub(head=head, id="same", force=True) == 0
        heads[head] = stage.made("same")
    faces = [np.delete(motion.values, HEAD, axis=1) for motion in heads.values()]
    assert (faces[0] == faces[1]).all() and (faces[0] == faces[2]).all()
    assert (heads["off"].values[:, HEAD] == 0).all()
    expected = HeadMotion.of(performance()).stretched(heads["original"].frames)
    np.testing.assert_allclose(heads["original"].values[:, HEAD], expected, atol=1e-6)
    assert np.abs(heads["generated"].values[:, HEAD] - expected).max() > 0.01


def test_what_is_stretched_too_far_is_told(stage: Stage) -> None:
    write_sound(stage.audio, 2.0)
    assert stage.dub(head="original") == 0
    assert "head motion runs 3.0 times as fast as in the original" in stage.talk
    assert stage.dub(head="generated") == 0 and "times as" not in stage.talk


def test_an_original_in_which_nobody_speaks_is_told(stage: Stage) -> None:
    assert stage.dub() == 0 and "hardly moves" not in stage.talk
    silent = performance()
    silent.values[:] = silent.values.mean(axis=0)
    save_npz(stage.original, silent)
    assert stage.dub() == 0 and "the mouth hardly moves in the original" in stage.talk


def test_the_same_input_gives_the_same_bytes(stage: Stage) -> None:
    wanted = {"style_follow": "timeline", "head": "original"}
    assert stage.dub(**wanted) == 0
    expected = stage.bytes_of(stage.out)
    assert stage.dub(out=stage.folder / "again", **wanted) == 0
    assert stage.bytes_of(stage.folder / "again") == expected
    assert stage.dub(out=stage.folder / "other", **wanted, choices=parse_choices(None, "npz", None, 7)) == 0
    assert stage.bytes_of(stage.folder / "other") != expected


def test_every_kind_of_original(stage: Stage) -> None:
    write_motion(performance(), stage.folder / "take.csv", "livelink-csv")
    assert stage.dub(original=stage.folder / "take.csv") == 0 and stage.line()["status"] == "made"
    assert stage.dub(original=Path(f"{stage.original}@1.0-4.0"), id="part") == 0
    assert stage.line("part")["dub"]["original_seconds"] == 3.0


def test_a_dub_is_made_again_when_something_that_decides_it_changes(stage: Stage) -> None:
    def status(**changes: Any) -> str:
        assert stage.dub(**changes) == 0
        return str(stage.line()["status"])

    assert [status(), status()] == ["made", "unchanged"]
    assert [status(head="off"), status(head="off")] == ["made", "unchanged"]
    assert [status(style_follow="timeline"), status()] == ["made", "made"]
    save_npz(stage.original, performance(5.0))
    assert [status(), status(intensity=1.3)] == ["made", "made"]
    (stage.out / "line_fr.npz").write_bytes(b"edited")
    assert status() == "kept" and (stage.out / "line_fr.npz").read_bytes() == b"edited"


def test_a_dry_run_touches_nothing(stage: Stage) -> None:
    assert stage.dub(dry_run=True) == 0
    assert not stage.out.exists() and any(event["event"] == "would make" for event in stage.events)


# ---- bad input -------------------------------------------------------------------------------------------------------


def broken_files(folder: Path) -> dict[str, Path]:
    """Things that are neither a performance nor a recording."""
    files = {name: folder / name for name in ("zero.mp4", "text.mp4", "noise.mp4", "picture.png", "folder", "gone.mp4")}
    files["zero.mp4"].touch()
    files["text.mp4"].write_text("this is no video but a letter\n" * 9)
    files["noise.mp4"].write_bytes(np.random.default_rng(0).bytes(5000))
    write_png(files["picture.png"], np.full((32, 32, 3), 90, np.uint8))
    files["folder"].mkdir()
    return files


def one_sentence(stage: Stage, line: str = "line_fr") -> str:
    """The error of a failed line, told once, without a traceback."""
    event = stage.line(line)
    assert event["status"] == "failed" and "Traceback" not in stage.talk and "internal" not in event["error"]
    assert "\n" not in event["error"] and not list(stage.out.rglob("*.npz"))
    return str(event["error"])


def test_what_is_no_original_is_told_in_a_sentence(stage: Stage) -> None:
    cut = stage.folder / "cut.npz"
    cut.write_bytes(stage.original.read_bytes()[:2000])
    voice = stage.folder / "voice.mp4"
    shutil.copy(stage.audio, voice)
    for path, words in [
        *((path, path.name) for path in broken_files(stage.folder).values()),
        (cut, "not a readable npz"),
        (voice, "sound recording and shows no performance"),
        (Path(f"{stage.original}@8-9"), "after the end of the take"),
    ]:
        assert stage.dub(original=path) == 1, path
        assert words in one_sentence(stage), path


def test_what_is_no_recording_is_told_in_a_sentence(stage: Stage) -> None:
    cut = stage.folder / "cut.wav"
    cut.write_bytes(stage.audio.read_bytes()[:30000])
    silent = stage.folder / "silent.mp4"
    write_video(silent, [(200, 0, 0)] * 10, Fraction(25))
    for path, words in [
        *((path, path.name) for path in broken_files(stage.folder).values()),
        (cut, "damaged or cut off"),
        (silent, "no sound track"),
    ]:
        assert stage.dub(path, id="line_fr") == 1, path
        assert words in one_sentence(stage), path


def test_original_and_audio_swapped(stage: Stage) -> None:
    assert stage.dub(stage.original, stage.audio, id="line_fr") == 1
    assert "shows no performance" in one_sentence(stage) and "msmd dub ORIGINAL AUDIO" in stage.talk
    assert stage.dub(stage.original, stage.original, id="line_fr") == 1
    assert "motion, not sound" in one_sentence(stage)


def test_wrong_usage_starts_nothing(stage: Stage) -> None:
    with pytest.raises(UsageError, match="cannot be an id"):
        stage.dub(id="../outside")
    with pytest.raises(UsageError, match="no such head"):
        stage.dub(preview=True, head_model=stage.folder / "none.glb")
    assert not stage.out.exists()


# ---- scenes ----------------------------------------------------------------------------------------------------------

SCENE = """\
defaults: {style: angry}
lines:
  - {id: plain, audio: line_fr.wav}
dub:
  - {id: scene/a, original: take.npz, audio: line_fr.wav, style_follow: timeline, head: original, language: fr}
  - {id: scene/b, original: take.npz, audio: line_fr.wav, head: off, text: Bonjour, fields: {shot: 12}}
  - {id: scene/c, original: folder, audio: line_fr.wav}
  - {id: scene/d, original: take.npz, audio: nowhere.wav}
"""


def test_a_scene_beside_ordinary_lines(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    write_style(stage.folder / "styles/angry", 1)
    (stage.folder / "folder").mkdir()
    stage.batch = replace(stage.batch, styles=(stage.folder / "styles",))
    assert stage.scene(SCENE) == 1
    statuses = {event["id"]: event["status"] for event in stage.events if event["event"] == "line"}
    assert statuses == {"plain": "made", "scene/a": "made", "scene/b": "made", "scene/c": "failed", "scene/d": "failed"}
    assert "dub" not in stage.line("plain") and stage.line("scene/a")["dub"]["head"] == "original"
    report = json.loads((stage.out / "report.json").read_text(encoding="utf-8"))
    b = next(line for line in report["lines"] if line["id"] == "scene/b")
    assert (b["text"], b["fields"]) == ("Bonjour", {"shot": "12"})
    expected = stage.bytes_of(stage.out)
    assert stage.scene(SCENE) == 1
    statuses = {event["id"]: event["status"] for event in stage.events if event["event"] == "line"}
    assert statuses["scene/a"] == statuses["scene/b"] == "unchanged"
    monkeypatch.setattr("msmdcli.system.machine.available_cores", lambda: 2)  # one core has one worker
    assert stage.scene(SCENE, jobs=2, out=stage.folder / "two") == 1
    assert stage.bytes_of(stage.folder / "two") == expected


def test_the_command_makes_what_the_scene_makes(stage: Stage) -> None:
    assert stage.scene("dub:\n  - {id: x, original: take.npz, audio: line_fr.wav, style_follow: timeline}\n") == 0
    scene = stage.made("x").values
    assert stage.dub(style_follow="timeline", id="x", out=stage.folder / "alone") == 0
    assert (load_npz(stage.folder / "alone/x.npz").values == scene).all()


def test_the_command_takes_what_batch_takes(stage: Stage, stand_in_bundle: Path) -> None:
    """The options that are about motion and files, not about lines: each does what it does in a batch."""

    def run(name: str, *more: str) -> Motion:
        out = stage.folder / name
        command = ["dub", str(stage.original), str(stage.audio), "--id", "x", "--bundle", str(stand_in_bundle)]
        done = CliRunner().invoke(app, [*command, "--out", str(out), "--formats", "npz", *more])
        assert done.exit_code == 0, done.output
        return load_npz(out / "x.npz")

    plain = run("plain")
    rolled = run("rolled", "--pre-roll", "0.2", "--post-roll", "0.4")
    assert rolled.frames == plain.frames + round(0.2 * 25) + round(0.4 * 25)
    draft, one = run("draft", "--quality", "draft"), run("one", "--sampler", "dpmpp-2m", "--steps", "1")
    assert (draft.values == one.values).all() and (draft.values != plain.values).any()
    guided = run("guided", "--guidance-audio", "1")
    assert (guided.values != plain.values).any()
    assert (run("never", "--guidance-audio", "1", "--guidance-interval", "0-0").values == plain.values).all()
    assert (run("tamed", "--guidance-audio", "1", "--guidance-rescale", "1").values != guided.values).any()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{id: a, audio: x.wav}", "the dub has no original"),
        ("{id: a, original: t.npz}", "no audio"),
        ("{id: a, original: t.npz, audio: x.wav, style: angry}", "unknown key 'style' in a dub"),
        ("{id: a, original: t.npz, audio: x.wav, head: sideways}", "head 'sideways' is not known"),
        ("{id: a, original: t.npz, audio: x.wav, style_folow: whole}", "did you mean style_follow"),
        ("{id: a, original: t.npz, audio: x.wav, style_follow: timelin}", "did you mean timeline"),
        ("{id: a, original: t.npz, audio: x.wav, face: 0}", "face is a whole number from 1"),
        ("take.npz", "a dub is a mapping of keys"),
    ],
)
def test_what_is_wrong_with_a_dub_list(tmp_path: Path, entry: str, words: str) -> None:
    manifest = tmp_path / "scene.yaml"
    manifest.write_text(f"version: 1\ndub:\n  - {entry}\n")
    with pytest.raises(ManifestError) as caught:
        load_manifest(manifest, RIG)
    assert words in str(caught.value) and "scene.yaml:3:" in str(caught.value)


def test_ids_are_unique_across_lines_and_dubs(tmp_path: Path) -> None:
    manifest = tmp_path / "scene.yaml"
    manifest.write_text(
        "version: 1\nlines:\n  - {id: a, audio: x.wav}\ndub:\n  - {id: A, original: t.npz, audio: x.wav}\n"
    )
    with pytest.raises(ManifestError, match="one file where case is ignored"):
        load_manifest(manifest, RIG)


# ---- the command, its imports, videos, previews ----------------------------------------------------------------------


def test_the_command_needs_neither_torch_nor_transformers(stage: Stage) -> None:
    code = f"""
import sys
for name in ("torch", "transformers", "onnx", "training", "export"):
    sys.modules[name] = None
from msmdcli.cli import app
app(["dub", {str(stage.original)!r}, {str(stage.audio)!r}, "--bundle", {str(stage.batch.bundle)!r},
     "--out", {str(stage.out)!r}, "--style-follow", "timeline", "--head", "original", "--threads", "1"])
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert "shorter than the original" in result.stderr and (stage.out / "line_fr.csv").is_file()


def write_video(
    path: Path, colours: list[tuple[int, int, int]], fps: Fraction, size: tuple[int, int] = (96, 64)
) -> None:
    """A video of plain pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for colour in colours:
            picture = np.full((size[1], size[0], 3), colour, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def ict_head() -> Path:
    shared = shared_dir()
    head = shared / "heads" / "ict_head_arkit52.glb" if shared else None
    if head is None or not head.is_file():
        pytest.skip("the shared ICT head is not here")
    return head


def test_a_preview_under_the_rules_of_every_output(stage: Stage) -> None:
    wanted = {"preview": True, "head_model": ict_head(), "preview_height": 64}
    write_sound(stage.audio, 0.6)
    assert stage.dub(**wanted, choices=parse_choices(None, None, "60", None)) == 0
    video = stage.out / "line_fr.mp4"
    with av.open(str(video)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.width, picture.height) == (128, 64) and picture.average_rate == 30  # half of 60
        assert picture.frames == 18
        assert float(sound.duration * sound.time_base) == pytest.approx(0.6, abs=0.1)
    assert "stretched to the length of the dub" in stage.talk and not list(stage.out.glob(".*"))
    os.utime(video, (1, 1))
    assert stage.dub(**wanted, choices=parse_choices(None, None, "60", None)) == 0
    assert video.stat().st_mtime == 1  # unchanged
    video.write_bytes(b"cut by hand")
    assert stage.dub(**wanted) == 0 and video.read_bytes() == b"cut by hand" and "kept" in stage.talk
    assert stage.dub(**wanted, force=True) == 0 and video.stat().st_size > 1000


def test_a_video_is_stretched_to_the_dub(tmp_path: Path) -> None:
    from msmdcli.drawing.side_by_side import write_side_by_side

    head = ict_head()
    write_video(tmp_path / "take.mp4", [(220, 20, 20)] * 10 + [(20, 20, 220)] * 10, Fraction(10))
    dub = Motion(np.zeros((20, RIG.size), np.float32), Fraction(25), RIG)  # 0.8 s against 2 s
    for start, stop, red in ((0.0, None, 10), (0.0, 1.25, 16)):
        out = tmp_path / "both.mp4"
        write_side_by_side(
            out, tmp_path / "take.mp4", dub, head, np.zeros(12800, np.float32), 16000, start=start, stop=stop, height=64
        )
        with av.open(str(out)) as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(pictures) == 20 and pictures[0].shape == (64, 96 + 64, 3)
        shown = ["red" if picture[32, 40, 0] > picture[32, 40, 2] else "blue" for picture in pictures]
        assert shown == ["red"] * red + ["blue"] * (20 - red)


@pytest.mark.slow
def test_a_real_video_is_tracked_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mediapipe")
    shared = shared_dir()
    take = "corpus/style_silent/mead_dreamtalk/meadstyle_M030_front_angry_level3_001.mp4"
    if shared is None or not (shared / take).is_file() or not (shared / "models/face_landmarker.task").is_file():
        pytest.skip("the shared corpus is not here")
    monkeypatch.setenv("MSMD_CACHE", str(stage.folder / "cache"))
    part = Path(f"{shared / take}@0-1.2")
    assert stage.dub(original=part, head="original") == 0
    assert stage.line()["dub"]["original_seconds"] == pytest.approx(1.2, abs=0.05)
    assert len(list((stage.folder / "cache").rglob("*.npz"))) == 1
    assert np.abs(stage.made().values[:, HEAD]).max() > 0.01
    no_face = shared / "corpus/bad/bad_no_face.mp4"
    assert stage.dub(original=Path(f"{no_face}@0-1"), id="nobody") == 1
    assert "no face" in stage.line("nobody")["error"]


def test_a_dub_adds_its_line_to_the_report(stage: Stage) -> None:
    def lines() -> dict[str, str]:
        report = json.loads((stage.out / "report.json").read_text(encoding="utf-8"))
        return {line["id"]: line["status"] for line in report["lines"]}

    assert stage.dub() == 0
    (first,) = lines()
    assert stage.dub(id="another") == 0
    assert lines() == {"another": "made", first: "unchanged"}
    assert stage.dub(id="another") == 0 and lines() == {"another": "unchanged", first: "unchanged"}
    page = (stage.out / "report.html").read_text(encoding="utf-8")
    assert f"<code>{first}</code>" in page and "<code>another</code>" in page
    (stage.out / "report.json").write_text("[", encoding="utf-8")  # none that could be added to
    assert stage.dub() == 0 and lines() == {first: "unchanged"}
