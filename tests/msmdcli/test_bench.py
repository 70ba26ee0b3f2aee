"""`msmd bench`: what it measures is there, adds up, and comes with its conditions."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import soundfile
from stand_in import make_bundle
from typer.testing import CliRunner

from msmdcli.bench import BenchOptions, Measure, bench, load_peer
from msmdcli.cli import app
from msmdcli.errors import UsageError

PEER = """
import time
NAME = "slow one"
def step():
    time.sleep(0.05)
def window():
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny bundle, and a folder of two recordings of 1 s."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "sound").mkdir()
    for number in range(2):
        soundfile.write(folder / "sound" / f"{number}.wav", [0.01] * 16000, 16000)
    return make_bundle(folder / "bundle"), folder / "sound"


def test_everything_is_measured_under_stated_conditions(material: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, sound = material
    peer = tmp_path / "peer.py"
    peer.write_text(PEER, encoding="utf-8")
    options = BenchOptions(bundle, (sound,), repeat=1, device="cpu", memory=False, peer=peer)
    begin = time.perf_counter()
    result = bench(options, lambda _: None)
    whole = time.perf_counter() - begin
    found = {measure.name: measure for measure in result.measures}
    assert {"start-up", "first line", "main job", "another style", "step, 3 rows", "window"} <= set(found)
    assert 0 < found["start-up"].value < found["first line"].value < whole
    job_seconds = found["main job"].value * 2  # two seconds of sound
    assert found["lines"].value == pytest.approx(2 / job_seconds * 3600, rel=1e-6)
    assert found["slow one, step"].value == pytest.approx(50, abs=25)
    ours, theirs = found["window"].value, found["slow one, window"].value
    assert found["ratio of windows"].value == pytest.approx(theirs / ours, rel=0.01)
    assert result.conditions["recordings"] == 2 and result.conditions["device"] == "cpu"
    table = result.markdown()
    assert all(name in table for name in found) and "onnxruntime" in table
    json.dumps(result.as_dict())


def test_the_median_counts() -> None:
    measure = Measure.of("x", "s", [3.0, 1.0, 2.0], "nothing")
    assert (measure.value, measure.low, measure.high) == (2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no peer at"),
        ("def step(:", "SyntaxError"),
        ("x = 1", "no function step"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_peer_that_cannot_be_used(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "peer.py"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        load_peer(path)


def test_recordings_that_are_not_there(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["bench", str(tmp_path / "gone"), "--repeat", "1"])
    assert run.exit_code == 2 and "no recording or folder" in run.stderr
    run = CliRunner().invoke(app, ["bench", str(tmp_path), "--repeat", "1"])
    assert run.exit_code == 2 and "no recordings" in run.stderr
