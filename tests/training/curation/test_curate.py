"""Curation as a whole: records to a data set, shards, reruns; and real videos where there are some."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from made_curation import data_of, fill
from typer.testing import CliRunner

from msmdcli.cli import app
from msmdcli.console import Console
from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.audio import RATE
from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir
from training.curation.checks import Limits
from training.curation.clip_data import ClipData
from training.curation.curate import CurateOptions, run_curate
from training.curation.split import parse_shard
from training.data.records import read_index

RIG = Rig.load("arkit52")
QUIET = Console(verbosity=-1)


def content(out: Path) -> dict[str, bytes]:
    """Every file of the data set."""
    files = [p for p in out.rglob("*") if p.is_file() and ".curation" not in p.parts]
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in files}


def merge(out: Path, **changes: object) -> dict[str, bytes]:
    run_curate(QUIET, CurateOptions(sources=(), out=out, merge=True, **changes))  # type: ignore[arg-type]
    return content(out)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("curated") / "data"
    fill(out)
    merge(out)
    return out


def test_training_and_evaluation_read_it(data_set: Path) -> None:
    records = read_index(data_set)
    assert [record.id for record in records] == ["takes_a1", "takes_a2", "takes_b1", "takes_c1"]
    assert all(record.tag == "angry" for record in records)
    lines = (data_set / "index.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["intensity"] == "high" for line in lines)
    for record in records:
        motion = load_npz(data_set / record.motion, RIG)
        assert motion.fps == 25 and motion.frames == round(record.seconds * 25)
        import soundfile

        info = soundfile.info(data_set / str(record.audio))
        assert (info.samplerate, info.channels) == (RATE, 1) and info.frames == round(record.seconds * RATE)


def test_splits_hold_whole_persons(data_set: Path) -> None:
    sides: dict[str, set[str]] = {}
    for record in read_index(data_set):
        sides.setdefault(record.speaker, set()).add(record.split)
    assert all(len(splits) == 1 for splits in sides.values())
    assert {split for splits in sides.values() for split in splits} == {"train", "val"}


def test_the_report_has_every_reason_with_its_number(data_set: Path) -> None:
    report = json.loads((data_set / "report" / "report.json").read_text())
    why = {clip["id"]: clip["rejections"][0] for clip in report["clips"] if not clip["accepted"]}
    assert {name: r["reason"] for name, r in why.items()} == {
        "takes_b2": "turned",
        "takes_c1_again": "duplicate",
        "takes_c2": "label",
    }
    assert (why["takes_b2"]["value"], why["takes_b2"]["limit"]) == (60.0, Limits().max_turn)
    assert report["summary"]["may train a released model"]["clips"] == 3
    assert (data_set / "report" / "rejects.png").read_bytes().startswith(b"\x89PNG")
    page = (data_set / "report" / "report.html").read_text()
    assert "takes_b2" in page and page.count("<svg") == 10


@pytest.mark.parametrize(("shards", "jobs"), [(3, 1), (1, 2)])
def test_the_division_of_the_work_does_not_matter(data_set: Path, tmp_path: Path, shards: int, jobs: int) -> None:
    fill(tmp_path / "other", shards)
    assert merge(tmp_path / "other", jobs=jobs) == content(data_set)


def test_other_limits_need_no_new_look_and_leave_nothing_behind(data_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    shutil.copytree(data_set, out)
    (out / "motion" / ".takes_a1.npz.0123abcd.msmd-tmp").write_bytes(b"from a killed run")
    loose = merge(out, limits=Limits(max_turn=90.0))
    assert "motion/takes_b2.npz" in loose
    assert merge(out) == content(data_set)


def test_a_split_file_rules(data_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "split"
    shutil.copytree(data_set, out)
    (tmp_path / "split.yaml").write_text("test: [cleo]\nval: [anna]\n")
    merge(out, split_file=tmp_path / "split.yaml")
    assert {r.speaker: r.split for r in read_index(out)} == {"anna": "val", "ben": "train", "cleo": "test"}


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "data", 3)
    (tmp_path / "data" / ".curation" / "shards" / "2-of-3.jsonl").unlink()
    with pytest.raises(MsmdError, match="1 of 3 shards are not done: 2"):
        merge(tmp_path / "data")


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "data")
    record = next((tmp_path / "data" / ".curation" / "records").rglob("*.npz"))
    record.write_bytes(record.read_bytes()[:100])
    with pytest.raises(MsmdError, match="damaged"):
        merge(tmp_path / "data")


def test_records_keep_what_they_hold(tmp_path: Path) -> None:
    data = data_of(1)
    (tmp_path / "record.npz").write_bytes(data.to_bytes())
    again = ClipData.load(tmp_path / "record.npz")
    assert again.measures == data.measures and again.motion is not None and data.motion is not None
    assert (again.motion.values == data.motion.values).all() and again.motion.fps == data.motion.fps
    assert (again.sound == data.sound).all() and (again.thumbnail == data.thumbnail).all()
    assert again.to_bytes() == data.to_bytes()


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("dear")
    wrong = [
        CurateOptions(sources=(), out=tmp_path / "new"),
        CurateOptions(sources=(tmp_path,), out=tmp_path / "new", merge=True),
        CurateOptions(sources=(tmp_path,), out=tmp_path / "mine"),
        CurateOptions(sources=(tmp_path,), out=tmp_path / "new", engine="cluster"),
        CurateOptions(sources=(tmp_path / "nowhere",), out=tmp_path / "new"),
    ]
    for options in wrong:
        with pytest.raises(UsageError):
            run_curate(QUIET, options)
    assert not (tmp_path / "new").exists()
    for text in ("0/4", "5/4", "3", "a/b", "1/", "/2", "-1/2"):
        with pytest.raises(UsageError):
            parse_shard(text)
    assert parse_shard("3/16") == (3, 16)


def test_real_videos_and_files_that_are_none(tmp_path: Path) -> None:
    shared = shared_dir()
    if shared is None or not (shared / "corpus" / "bad").is_dir():
        pytest.skip("needs the shared corpus")
    pytest.importorskip("mediapipe")
    corpus, videos = shared / "corpus", tmp_path / "videos"
    videos.mkdir()
    shutil.copy(sorted((corpus / "clips" / "lrwar").glob("*.mp4"))[0], videos / "good.mp4")
    shutil.copy(corpus / "bad" / "bad_no_audio_track.mp4", videos / "mute.mp4")
    (videos / "text.mp4").write_text("Dear diary,\n" * 100)
    (videos / "nothing.mp4").touch()
    (videos / "picture.mp4").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    (videos / "folder.mp4").mkdir()
    out = tmp_path / "data"
    ran = CliRunner().invoke(app, ["curate", str(videos), "--out", str(out), "--json"])
    assert ran.exit_code == 0, ran.output
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    reasons = {e["file"]: e.get("reason") for e in events if e["event"] == "clip"}
    assert reasons == {
        "good.mp4": None,
        "mute.mp4": "no-audio",
        "nothing.mp4": "unreadable",
        "picture.mp4": "unreadable",
        "text.mp4": "unreadable",
    }
    before = content(out)
    again = CliRunner().invoke(app, ["curate", str(videos), "--out", str(out), "--quiet"])
    assert again.exit_code == 0 and content(out) == before
