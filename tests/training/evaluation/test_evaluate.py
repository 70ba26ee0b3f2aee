"""The protocol on a small made-up data set, with models whose behaviour is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from stand_in import make_bundle

from msmdcli.errors import MsmdError
from msmdcli.media.audio import Audio
from msmdcli.model.lines import Job
from msmdcli.model.style_codes import StyleCode
from msmdcli.motion.motion import Motion, frame_count, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir
from training.data.records import ClipRecord
from training.evaluation.delivered import baseline_life
from training.evaluation.evaluate import evaluate
from training.evaluation.material import EvaluateOptions, load_material
from training.evaluation.measuring import ComparisonHead, baseline, measure_clip, over_the_line
from training.evaluation.one_model import evaluate_model
from training.evaluation.scores import summarise

RIG = Rig.load("arkit52")
JAW, SMILE, BROW = RIG.index("jawOpen"), RIG.index("mouthSmileLeft"), RIG.index("browDownLeft")
SPEAKERS = {"ann": 0.1, "bob": 0.5, "cid": 0.8}  # how much each of them smiles


def performance(smile: float, seed: int, frames: int, brow: float = 0.0) -> np.ndarray:
    """[T, D]: a smile, and a jaw that follows `loudness`."""
    values = np.zeros((frames, RIG.size), np.float32)
    values[:, SMILE], values[:, BROW] = smile, brow
    values[:, JAW] = loudness(seed, frames)
    return values


def loudness(seed: int, frames: int) -> np.ndarray:
    return 0.3 + 0.2 * np.sin(np.arange(frames) * 0.5 + seed)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three test speakers (two clips of 2.4 s each), a training speaker, an emotional reference with its neutral."""
    import soundfile

    folder = tmp_path_factory.mktemp("data")
    (folder / "audio").mkdir()
    (folder / "motion").mkdir()
    records = []

    def add(name: str, speaker: str, values: np.ndarray, split: str, tag: str, sound: bool = True) -> None:
        audio = f"audio/{name}.flac" if sound else None
        if audio:  # the level of each 40 ms is the jaw's opening
            level = np.repeat(values[:, JAW], 640)
            soundfile.write(folder / audio, level * np.sin(np.arange(len(level)) * 0.3), 16000, subtype="PCM_16")
        save_npz(folder / "motion" / f"{name}.npz", Motion(values, Fraction(25), RIG))
        about = {"speaker": speaker, "source": "made_up", "tag": tag, "language": "en", "split": split}
        files = {"audio": audio, "motion": f"motion/{name}.npz", "known": None}
        measured = {"seconds": len(values) / 25, "fps": "25/1", "av_offset_frames": 0.0, "found": 1.0}
        records.append(ClipRecord(id=name, **files, **about, **measured, commercial=True, licence="none needed"))

    for number, (speaker, smile) in enumerate(SPEAKERS.items()):
        for take in (0, 1):
            add(f"{speaker}_{take}", speaker, performance(smile, 10 * number + take, 60), "test", "neutral")
    add("short", "ann", performance(0.1, 5, 40), "test", "neutral")  # under 2 s: not tested
    add("trained", "dan", performance(0.3, 7, 60), "train", "neutral")
    add("calm", "eve", performance(0.2, 8, 50), "style", "neutral_level1", sound=False)
    add("angry", "eve", performance(0.0, 9, 50, brow=0.9), "style", "angry_level3", sound=False)
    (folder / "index.jsonl").write_text("".join(json.dumps(asdict(r)) + "\n" for r in records), encoding="utf-8")
    return folder


class Oracle:
    """Hears the loudness, and wears the mean expression of its reference (of nobody, without one)."""

    follows_style = True

    def encode_audio(self, audio: Audio) -> np.ndarray:
        frames = frame_count(audio.seconds, 25)
        power = np.sqrt((audio.samples[: frames * 640].reshape(frames, 640) ** 2).mean(axis=1) * 2)
        return power[:, None].astype(np.float32)

    def encode_style(self, reference: Motion) -> StyleCode:
        return StyleCode.of(reference.values.mean(axis=0), np.zeros(1, np.float32))

    def animate(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Motion]]:
        for job in reversed(list(jobs)):  # a real engine gives no order either
            style = job.entries[0].style
            values = np.zeros((len(job.features), RIG.size), np.float32)
            if style is not None:
                values += style.code
            values[:, JAW] = job.features[:, 0]
            yield job, Motion(values, Fraction(25), RIG)


@pytest.fixture(scope="module")
def face() -> ComparisonHead:
    shared = shared_dir()
    if shared is None or not (shared / "heads" / "ict_head_arkit52.glb").is_file():
        pytest.skip("the shared ICT head is not here")
    return ComparisonHead.find(None)


def test_material(data: Path) -> None:
    material = load_material(data, EvaluateOptions())
    assert {clip.record.id for clip in material.clips} == {f"{s}_{take}" for s in SPEAKERS for take in (0, 1)}
    speakers = {clip.record.id: clip.record.speaker for clip in material.clips}
    smiles = {id: motion.values[0, SMILE] for id, motion in material.wrong.items()}
    assert all(smiles[id] != pytest.approx(SPEAKERS[speaker]) for id, speaker in speakers.items())  # never one's own
    assert len(set(smiles.values())) == 3  # and every person serves once
    assert [style.record.id for style in material.styles] == ["angry"]
    assert material.average is not None
    assert material.average[SMILE] == pytest.approx(0.3)
    assert len(load_material(data, EvaluateOptions(max_clips=2)).clips) == 2
    with pytest.raises(MsmdError, match="no clip with sound"):
        load_material(data, EvaluateOptions(split="val"))


def test_baselines(data: Path) -> None:
    material = load_material(data, EvaluateOptions())
    clip = material.clips[0]
    still, copy = baseline("still", clip, None), baseline("copy", clip, None)
    assert still is not None
    assert copy is not None
    np.testing.assert_allclose(still[0][5], clip.motion.values[30:].mean(axis=0), atol=1e-6)  # from the *other* half
    np.testing.assert_array_equal(copy[1], clip.motion.values[:30])
    assert baseline("average", clip, None) is None


def test_the_truth_measures_perfect(data: Path, face: ComparisonHead) -> None:
    clip = load_material(data, EvaluateOptions()).clips[0]
    found = measure_clip(face, clip, [clip.motion.values[at] for at in clip.halves()])
    assert found["mse"] == found["lve"] == found["fdd"] == found["mod"] == found["head"] == 0
    assert found["jaw"] == found["jaw_best"] == pytest.approx(1.0)
    assert found["jaw_lag"] == 0
    assert found["amplitude_jaw"] == pytest.approx(1.0)


def test_what_a_mouth_does_before_the_first_sound_counts_for_the_line_only(data: Path, face: ComparisonHead) -> None:
    clip = load_material(data, EvaluateOptions()).clips[0]
    start = 20
    samples = clip.audio.samples.copy()
    samples[: int((start + 0.5) / 25 * clip.audio.rate)] = 0
    late = replace(clip, audio=replace(clip.audio, samples=samples))
    made = clip.motion.values.copy()
    made[: start - 3, JAW] = 0.9 - made[: start - 3, JAW]  # held otherwise than the actor held it
    found = over_the_line(face, late, [made, made])
    assert found["jaw_heard"] == pytest.approx(1.0)
    assert found["jaw_line"] < 0.8
    still = np.repeat(made[:1], len(made), axis=0)
    assert over_the_line(face, late, [made, still])["jaw_heard"] == pytest.approx(0.5)  # a still jaw follows nothing


def test_a_jaw_that_does_not_move_follows_nothing(data: Path, face: ComparisonHead) -> None:
    clip = load_material(data, EvaluateOptions()).clips[0]
    still = baseline("still", clip, None)
    assert still is not None
    assert measure_clip(face, clip, still)["jaw"] == 0.0
    assert np.isnan(measure_clip(face, clip, still, generated=False)["jaw"])


def test_a_model_that_follows_style_and_sound_is_found_to(data: Path, face: ComparisonHead) -> None:
    options = EvaluateOptions(seeds=(0, 1))
    found = evaluate_model(Oracle(), load_material(data, options), face, options, lambda _: None)
    rows, emotion_rows = ([{"model": "oracle", **row} for row in found[name]] for name in ("rows", "emotion"))
    report = summarise(rows, emotion_rows, ["oracle"])
    by_system = {line["system"]: line for line in report["systems"]}
    assert set(by_system) == {"right", "wrong", "none"}
    assert by_system["right"]["metrics"]["mse"]["mean"] < 0.2
    assert by_system["right"]["metrics"]["mse"]["mean"] < by_system["wrong"]["metrics"]["mse"]["mean"]
    assert by_system["right"]["jaw"]["jaw"]["median"] > 0.95
    assert by_system["right"]["jaw"]["group_lag"] == 0
    assert by_system["right"]["clips"] == 6
    emotion = report["emotion"]["oracle"]
    assert emotion["agreement"]["median"] > 0.95
    assert emotion["gain"]["median"] == pytest.approx(1.0, abs=0.1)
    against_wrong = next(t for t in report["tests"] if t["second"] == ["oracle", "wrong"] and t["metric"] == "mse")
    assert against_wrong["difference"] < 0
    assert (against_wrong["n"], against_wrong["per_person"]["n"]) == (6, 3)

    # A model without style is held against others by all that it has.
    plain = [{**row, "model": "plain"} for row in rows if row["system"] == "none"]
    both = summarise([*rows, *plain], emotion_rows, ["plain", "oracle"])
    pair = ["plain", "none"], ["oracle", "right"]
    against = next(t for t in both["tests"] if (t["first"], t["second"]) == pair and t["metric"] == "mse")
    assert against["difference"] > 0 and against["n"] == 6


def test_still_has_no_life_and_copy_has_all_of_it(data: Path) -> None:
    found = baseline_life(load_material(data, EvaluateOptions()))
    assert found["copy"]["movement"]["jaw"] == pytest.approx(1, rel=0.02)
    assert found["still"]["movement"]["jaw"] == pytest.approx(0, abs=1e-6)
    assert "brows" not in found["copy"]["movement"]  # the references hold them still: no share of that


@pytest.mark.slow
def test_a_bundle_from_end_to_end(data: Path, face: ComparisonHead, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    bundle, out, said = make_bundle(tmp_path / "bundle"), tmp_path / "report", []
    options = EvaluateOptions(seeds=(0,), emotion_lines=1, pictures=1, threads=1)
    first = evaluate([bundle], data, out, options, said.append)
    assert any(line.startswith("no straight line") for line in said)  # 60 frames to train on fit none
    assert {p.name for p in out.iterdir()} == {
        "models",
        "report.json",
        "report.html",
        "report.md",
        "rows.jsonl",
        "jaw.png",
        "faces-1.png",
    }
    stored = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert stored["data"]["clips"] == 6
    assert {line["system"] for line in stored["systems"]} == {
        *("right", "wrong", "none", "delivered"),
        *("still", "copy", "average", "tracked"),
    }
    life = {(line["model"], line["system"]) for line in stored["life"]}
    assert life == {("", "still"), ("", "copy"), ("stand-in", "right"), ("stand-in", "delivered")}
    assert "*delivered*: its own style, as `msmd batch` writes it" in (out / "report.md").read_text(encoding="utf-8")
    assert "| **stand-in** | in the wild |" in (out / "report.md").read_text(encoding="utf-8")

    said.clear()
    second = evaluate([bundle], data, out, options, said.append)  # nothing is computed twice
    assert "stand-in: results of an earlier run" in said
    assert json.dumps(second) == json.dumps(first)

    fresh = evaluate([bundle], data, tmp_path / "again", options, said.append)  # and it would be the same
    assert json.dumps(fresh) == json.dumps(first)


def test_the_model_alone(data: Path, face: ComparisonHead, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    bundle = make_bundle(tmp_path / "bundle")
    few = EvaluateOptions(seeds=(0,), max_clips=2, emotion_lines=0, pictures=0, threads=1, judges=False)
    options = replace(few, model_alone=True)
    report = evaluate([bundle], data, tmp_path / "report", options, [].append)
    systems = {line["system"] for line in report["systems"] if line["model"]}
    assert {"right", "none"} <= systems and "delivered" not in systems
    assert {(line["model"], line["system"]) for line in report["life"] if line["model"]} == {("stand-in", "right")}
    assert not [line for line in report["generators"] if line["model"]]


def test_errors(data: Path, tmp_path: Path) -> None:
    with pytest.raises(MsmdError, match="no model"):
        evaluate([], data, tmp_path)
    with pytest.raises(MsmdError, match="no such head"):
        options = EvaluateOptions(head=tmp_path / "absent.glb")
        evaluate([make_bundle(tmp_path / "b")], data, tmp_path, options, lambda _: None)
