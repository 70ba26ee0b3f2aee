"""`msmd track` as a user calls it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_video import constant_times, write_video

from msmdcli.formats.registry import read_motion
from msmdcli.media.video import read_video
from msmdcli.paths import shared_dir
from msmdcli.tracking.track import load_track


def msmd(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "msmdcli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a talking face, with sound."""
    pytest.importorskip("mediapipe")
    shared = shared_dir()
    source = shared / "corpus/clips/grid_multi/grid_lbbc2a.mp4" if shared else None
    if source is None or not source.is_file():
        pytest.skip("the shared corpus of talking faces is not here")
    pictures = [picture for _, picture in read_video(source, stop=1.0)]
    sound = (0.1 * np.sin(np.arange(16000) / 20).astype(np.float32), Fraction(0))
    path = tmp_path_factory.mktemp("clip") / "take one.mp4"
    return write_video(path, pictures, constant_times(25, Fraction(25)), sound=sound)


def test_good_and_bad_videos(clip: Path, tmp_path: Path) -> None:
    text, out = tmp_path / "text.mp4", tmp_path / "out"
    text.write_text("no video at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    ran = msmd("track", text, clip, tmp_path / "empty.mp4", "--out", out, "--audio", "--json", "--jobs", 2)
    assert ran.returncode == 1, ran.stderr
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [event["event"] for event in events].count("failed") == 2
    assert events[-1] == {"event": "finished", "tracked": 1, "skipped": 0, "failed": 2}
    assert "Traceback" not in ran.stderr and "W0000" not in ran.stderr and "INFO" not in ran.stderr
    assert ran.stderr.count("Error: ") == 2
    names = {path.name for path in out.iterdir()}
    assert names == {f"take one{suffix}" for suffix in (".npz", ".csv", ".wav", ".confidence.csv")}

    track = load_track(out / "take one.npz")
    assert track.motion.frames == 25 and track.motion.fps == 25
    live = read_motion(out / "take one.csv")
    assert live.fps == 25 and np.abs(live.values - track.motion.values).max() < 1e-5
    with (out / "take one.confidence.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 25 and float(rows[10]["seconds"]) == 0.4
    assert abs(float(rows[10]["confidence"]) - track.confidence[10]) < 0.001
    import soundfile

    assert soundfile.info(out / "take one.wav").duration == pytest.approx(1.0, abs=0.01)

    for path in out.iterdir():
        os.utime(path, (1, 1))
    again = msmd("track", clip, "--out", out, "--audio", "--json")
    assert again.returncode == 0 and json.loads(again.stdout.splitlines()[0])["event"] == "skipped"
    assert {path.stat().st_mtime for path in out.iterdir()} == {1}
    other = msmd("track", clip, "--out", out, "--solver", "scores", "--neutral", "clip")
    assert other.returncode == 1 and "--force" in other.stderr
    forced = msmd("track", clip, "--out", out, "--solver", "scores", "--neutral", "clip", "--force", "--quiet")
    assert forced.returncode == 0 and forced.stderr == ""
    assert load_track(out / "take one.npz").motion.meta["neutral"] == "removed"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a/take.mp4", "b/take.mov"], "would both be written"),
        (["a.mp4", "--formats", "fax"], "unknown format"),
        (["a.mp4", "--from", "3", "--to", "2"], "is empty"),
        (["a.mp4", "--face-model", "nowhere.task"], "no face model"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    ran = msmd("track", *arguments, "--out", tmp_path / "out")
    assert ran.returncode in (1, 2) and says in ran.stderr and "Traceback" not in ran.stderr
    assert not (tmp_path / "out").exists()
