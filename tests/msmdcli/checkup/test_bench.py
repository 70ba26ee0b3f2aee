"""`msmd bench`: what it measures is there, adds up, and comes with its conditions."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import soundfile
from stand_in import make_bundle
from typer.testing import CliRunner

from msmdcli.checkup.bench import BenchOptions, Measure, bench
from msmdcli.cli import app
from msmdcli.errors import MsmdError
from msmdcli.model.stores import FeatureStore
from msmdcli.workers.mouth_sizes import TRIAL_SPEECH


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny bundle, and a folder of two recordings of 1 s."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "sound").mkdir()
    for number in range(2):
        soundfile.write(folder / "sound" / f"{number}.wav", [0.01] * 16000, 16000)
    return make_bundle(folder / "bundle"), folder / "sound"


def test_everything_is_measured_under_stated_conditions(material: tuple[Path, Path]) -> None:
    bundle, sound = material
    options = BenchOptions(bundle, (sound,), repeat=1, device="cpu", memory=False)
    begin = time.perf_counter()
    result = bench(options, lambda _: None)
    whole = time.perf_counter() - begin
    found = {measure.name: measure for measure in result.measures}
    assert {"start-up", "first line", "main job", "another style", "step, 3 rows", "window"} <= set(found)
    assert all(0 < found[name].value < whole for name in ("start-up", "first line"))
    job_seconds = found["main job"].value * 2  # two seconds of sound
    assert found["lines"].value == pytest.approx(2 / job_seconds * 3600, rel=1e-6)
    assert result.conditions["recordings"] == 2 and result.conditions["device"] == "cpu"
    table = result.markdown()
    assert all(name in table for name in found) and "onnxruntime" in table
    json.dumps(result.as_dict())


def test_memory_is_the_childs_own(tmp_path: Path) -> None:
    """A process's peak is counted from its start; what this process holds is none of it."""
    from msmdcli.checkup.bench import _run

    ballast = bytearray(400_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    seconds, peak = _run(["--help"])
    assert peak is not None and 10 < peak < 300 and seconds > 0
    assert len(ballast) == 400_000_000
    with pytest.raises(MsmdError, match="no-such-command"):
        _run(["no-such-command"])


def test_the_median_counts() -> None:
    measure = Measure.of("x", "s", [3.0, 1.0, 2.0], "nothing")
    assert (measure.value, measure.low, measure.high) == (2.0, 1.0, 3.0)


def test_the_main_job_hears_every_recording_anew(
    material: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first style of each turn finds no audio features kept, the second finds those of the first."""
    import msmdcli.checkup.bench

    run, seen = msmdcli.checkup.bench._run, []

    def watched(arguments: list[str], cache: Path | None = None) -> tuple[float, float | None]:
        if cache is not None and cache.name.startswith("cache_") and cache.name[6:].isdigit():
            seen.append(len(list(cache.rglob(f"*{FeatureStore.SUFFIX}"))))
        return run(arguments, cache)

    monkeypatch.setattr("msmdcli.checkup.bench._run", watched)
    bundle, sound = material
    bench(BenchOptions(bundle, (sound,), repeat=2, device="cpu", memory=False), lambda _: None)
    heard = 1 + len(
        list(TRIAL_SPEECH.glob("*.ogg"))
    )  # both recordings sound the same; a new bundle says the trial speech
    assert seen == [0, heard, 0, heard]


def test_recordings_that_are_not_there(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["bench", str(tmp_path / "gone"), "--repeat", "1"])
    assert run.exit_code == 2 and "no recording or folder" in run.stderr
    run = CliRunner().invoke(app, ["bench", str(tmp_path), "--repeat", "1"])
    assert run.exit_code == 2 and "no recordings" in run.stderr
