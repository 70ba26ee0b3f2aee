"""The corpus as a data set: time, channels, splits; on a made-up corpus of two clips, and on the notes that ship."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.media.mp4 import write_mp4
from msmdcli.motion.motion import Motion, load_npz, save_npz
from msmdcli.motion.rig import Rig
from training.data.clip_track import ClipTrack
from training.data.corpus import CorpusNotes, build_corpus, shift_earlier, split_of, tracks_beside
from training.data.records import read_index

RIG = Rig.load("arkit52")
NAMES = ["_neutral", *(name for name in RIG.channels if name != "tongueOut" and not name.startswith("head"))]
FIELDS = ["clip", "path", "speaker", "emotion_or_tag", "language", "licence_or_dataset"]


def track(frames: int, found: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """A tracked clip whose jaw opens by 0.01 a frame and whose head yaws by 1 degree a frame."""
    blendshapes = np.zeros((frames, 52), np.float16)
    blendshapes[:, 0] = 0.77  # _neutral, to be dropped
    blendshapes[:, NAMES.index("jawOpen")] = np.arange(frames) * 0.01
    euler = np.zeros((frames, 3))
    euler[:, 1] = np.arange(frames)
    found = np.ones(frames, bool) if found is None else found
    blendshapes[~found], euler[~found] = 0, 0
    return {"blendshapes": blendshapes, "names": np.array(NAMES), "head_euler_deg": euler, "found": found}


def seen(folder: Path, arrays: dict[str, np.ndarray]) -> ClipTrack:
    np.savez(folder / "seen.npz", fps=25.0, **arrays)
    return ClipTrack.of_scores(folder / "seen.npz", RIG)


def test_scores_become_channels_and_degrees_radians(tmp_path: Path) -> None:
    motion, cut = seen(tmp_path, track(10)).motion(np.arange(10) / 25, Fraction(25), RIG)
    assert cut == 0
    np.testing.assert_allclose(motion.values[:, RIG.index("jawOpen")], np.arange(10) * 0.01, atol=1e-4)
    np.testing.assert_allclose(motion.values[:, RIG.index("headYaw")], np.radians(np.arange(10)), atol=1e-6)
    rest = np.delete(motion.values, [RIG.index("jawOpen"), RIG.index("headYaw")], axis=1)
    assert (rest == 0).all()  # _neutral went nowhere


def test_lost_frames_are_interpolated_inside_and_cut_off_at_the_ends(tmp_path: Path) -> None:
    found = np.ones(12, bool)
    found[[0, 1, 5, 6, 11]] = False
    motion, cut = seen(tmp_path, track(12, found)).motion(np.arange(12) / 25, Fraction(25), RIG)
    assert cut == pytest.approx(2 / 25)
    np.testing.assert_allclose(motion.values[:, RIG.index("jawOpen")], np.arange(2, 11) * 0.01, atol=1e-4)


def test_pictures_at_irregular_times_come_onto_the_grid(tmp_path: Path) -> None:
    times = np.delete(np.arange(11) / 25, 4)  # the fifth picture was dropped, all others are at their own time
    scores = track(11)
    dropped = {name: np.delete(scores[name], 4, axis=0) for name in ("blendshapes", "head_euler_deg", "found")}
    motion, _ = seen(tmp_path, {**scores, **dropped}).motion(times, Fraction(25), RIG)
    np.testing.assert_allclose(motion.values[:, RIG.index("jawOpen")], np.arange(11) * 0.01, atol=1e-4)


def test_motion_moves_earlier_and_holds_the_edge() -> None:
    values = np.arange(6, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(shift_earlier(values, 2)[:, 0], [2, 3, 4, 5, 5, 5])
    np.testing.assert_array_equal(shift_earlier(values, -1)[:, 0], [0, 0, 1, 2, 3, 4])
    np.testing.assert_allclose(shift_earlier(values, 0.5)[:, 0], [0.5, 1.5, 2.5, 3.5, 4.5, 5])


def test_splits_hold_whole_persons() -> None:
    notes = CorpusNotes.load()
    for person in (f"somebody_{i}" for i in range(40)):
        speaking = {split_of(f"{person}_{clip}", person, "wild", False, True, notes) for clip in range(5)}
        assert len(speaking) == 1
        silent = split_of(f"{person}_silent", person, "style", True, True, notes)
        assert (silent == "train") == (speaking == {"train"})
    shares = [split_of("c", f"somebody_{i}", "wild", False, True, notes) for i in range(2000)]
    assert shares.count("test") / 2000 == pytest.approx(0.45, abs=0.05)
    assert shares.count("val") / 2000 == pytest.approx(0.15, abs=0.04)


def test_splits_of_the_known_sources() -> None:
    notes = CorpusNotes.load()
    assert split_of("a", "grid_x_id2", "grid_multi", False, True, notes) == "test"
    assert split_of("a", "grid_x_sbia1a", "grid_multi", False, True, notes) == "train"
    assert split_of("a", "mead_W009", "mead_dreamtalk", True, False, notes) == "style"
    assert split_of("a", "mead_M030", "mead_spectre", False, True, notes) == "test"
    assert split_of("a", "stylewild_nice", "styletalk", True, False, notes) == "train"
    grid = [split_of(f"clip{i}", "grid_s1", "grid_s1", False, True, notes) for i in range(2000)]
    assert set(grid) == {"train", "val"}
    assert grid.count("val") / 2000 == pytest.approx(0.02, abs=0.01)
    assert not notes.grid_test_speakers & {notes.person("grid_x_bbaf2n"), "grid_s1"}


@pytest.fixture
def small_corpus(tmp_path: Path) -> Path:
    """Two speaking clips of 2 s (one of GRID's source) and one without a face, in the corpus's own layout."""
    corpus = tmp_path / "corpus"
    (corpus / "tracked").mkdir(parents=True)
    tone = np.sin(np.arange(32000) * 0.2).astype(np.float32) * 0.3
    rows = []
    for clip, source in (("one", "wild"), ("two", "grid_multi"), ("faceless", "wild")):
        path = corpus / "clips" / source / f"{clip}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mp4(path, (np.full((32, 32, 3), i, np.uint8) for i in range(60)), Fraction(30), tone)
        lost = np.arange(60) < (20 if clip == "faceless" else 0)
        np.savez(corpus / "tracked" / f"{clip}.npz", fps=30.0, **track(60, ~lost))
        about = (clip, f"clips/{source}/{clip}.mp4", f"speaker_of_{clip}", "neutral", "en", "made up / free")
        rows.append(dict(zip(FIELDS, about, strict=True)))
    with (corpus / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    return corpus


def test_a_small_corpus(small_corpus: Path, tmp_path: Path) -> None:
    import soundfile

    out = tmp_path / "data"
    records = {record.id: record for record in build_corpus(small_corpus, out)}
    assert read_index(out) == sorted(records.values(), key=lambda r: r.id)
    assert set(records) == {"one", "two"}  # the one without a face is left out
    for record in records.values():
        samples, rate = soundfile.read(out / str(record.audio))
        motion = load_npz(out / record.motion)
        assert (rate, motion.fps, record.fps) == (16000, 25, "25/1")
        assert record.seconds == pytest.approx(len(samples) / 16000)
        assert motion.frames == round(record.seconds * 25)
        assert record.seconds == pytest.approx(2.0, abs=0.1)
    jaw = RIG.index("jawOpen")
    one, two = (load_npz(out / records[name].motion).values[:, jaw] for name in ("one", "two"))
    inner = np.arange(5, 40)  # 0.01 a frame at 30 fps, seen at 25
    np.testing.assert_allclose(one[inner], inner / 25 * 30 * 0.01, atol=1e-3)
    assert records["two"].av_offset_frames == 2
    np.testing.assert_allclose(
        two[inner], one[inner + 2], atol=1e-3
    )  # GRID's picture is late, so its motion comes earlier
    assert (records["one"].commercial, records["two"].commercial) == (False, True)


def test_tracks_solved_from_landmarks_take_the_place_of_scores(small_corpus: Path, tmp_path: Path) -> None:
    tracks = small_corpus.parent / "tracks"
    assert tracks_beside(small_corpus) is None
    tracks.mkdir()
    assert tracks_beside(small_corpus) == tracks  # the default of the command and of recipes
    values = np.zeros((60, RIG.size), np.float32)
    values[:, RIG.index("noseSneerLeft")] = np.arange(60) * 0.01
    found = np.arange(60) >= 3
    motion = Motion(values, Fraction(30), RIG, {"solver": "landmarks 3"})
    save_npz(tracks / "one.npz", motion, {"found": found})
    (record,) = build_corpus(small_corpus, tmp_path / "data", tracks=tracks)  # the other clip has no track
    made = load_npz(tmp_path / "data" / record.motion)
    inner = np.arange(5, 40)
    sneer = made.values[:, RIG.index("noseSneerLeft")]
    np.testing.assert_allclose(sneer[inner], (3 + inner / 25 * 30) * 0.01, atol=1e-3)  # lost frames are cut off
    assert "landmarks 3" in made.meta["tracker"] and record.found == pytest.approx(57 / 60)
    save_npz(tracks / "one.npz", motion)
    with pytest.raises(MsmdError, match="does not say in which frames"):
        build_corpus(small_corpus, tmp_path / "again", tracks=tracks)


def test_source_sets_are_licence_groups(small_corpus: Path, tmp_path: Path) -> None:
    assert [r.id for r in build_corpus(small_corpus, tmp_path / "grid", "grid")] == ["two"]
    assert [r.id for r in build_corpus(small_corpus, tmp_path / "research", "research")] == ["one"]


def test_errors_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MsmdError, match=r"metadata\.csv is missing"):
        build_corpus(tmp_path, tmp_path / "out")
    with pytest.raises(MsmdError, match="no data set"):
        read_index(tmp_path / "nowhere")
    (tmp_path / "index.jsonl").write_text('{"id": "a"}\n', encoding="utf-8")
    with pytest.raises(MsmdError, match="line 1: not a clip"):
        read_index(tmp_path)
