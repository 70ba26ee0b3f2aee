"""A guard against getting slower: what a whole batch computes, counted. What an earlier run has computed is not
computed again, whatever was changed between; and the files are the same bytes as without any cache."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from msmdcli.cli import app
from msmdcli.model.bundle import Bundle
from msmdcli.model.graph_store import GraphStore
from msmdcli.model.runtime import Graph
from msmdcli.model.style_codes import StyleEncoder
from msmdcli.model.windows import window_count
from msmdcli.paths import shipped_bundle
from msmdcli.workers.mouth_sizes import TRIAL_SPEECH

SECONDS = (1, 3)
TRIAL = len(list(TRIAL_SPEECH.glob("*.ogg")))  # recordings by which a style's mouth is measured, once
STEPS = 2  # of the shipped model for a window: what its speed rests on


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each thing that takes time is done."""
    counted: Counter[str] = Counter()

    def count(owner: type, method: str, name: Callable[..., str]) -> None:
        original = getattr(owner, method)

        def wrapped(self: object, *arguments: object, **named: object) -> object:
            counted[name(self)] += 1
            return original(self, *arguments, **named)

        monkeypatch.setattr(owner, method, wrapped)

    count(Graph, "run_on_device", lambda graph: graph.name)
    count(GraphStore, "optimised", lambda _: "optimised")
    count(StyleEncoder, "encode_clips", lambda _: "styles")
    return counted


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches of this test's own, with the usual limits."""
    for name in ("MSMD_FEATURE_CACHE", "MSMD_GRAPH_CACHE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def batch(folder: Path, style: str, bundle: Path, out: str) -> dict[str, bytes]:
    """The files of a batch of two lines."""
    rng = np.random.default_rng(0)
    lines = []
    for seconds in SECONDS:
        soundfile.write(folder / f"{seconds}.wav", rng.standard_normal(seconds * 16000) * 0.05, 16000)
        lines.append({"id": f"line{seconds}", "audio": f"{seconds}.wav"})
    (folder / "lines.json").write_text(json.dumps({"version": 1, "lines": lines}), encoding="utf-8")
    arguments = ["batch", str(folder / "lines.json"), "--style", style, "--bundle", str(bundle), "--device", "cpu"]
    run = CliRunner().invoke(app, [*arguments, "--threads", "1", "--out", str(folder / out)])
    assert run.exit_code == 0, run.output
    return {path.name: path.read_bytes() for path in sorted((folder / out).rglob("*.csv"))}


def test_nothing_is_computed_twice(
    stand_in_bundle: Path, tmp_path: Path, calls: Counter[str], caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = batch(tmp_path, "angry", stand_in_bundle, "first")
    assert calls["audio_encoder.onnx"] == 2 + TRIAL and calls["styles"] == 1 and calls["optimised"] == 4
    assert {path.name for path in caches.iterdir()} >= {"features", "style_codes", "graphs"}

    solved = calls["denoiser.onnx"]
    calls.clear()
    again = batch(tmp_path, "angry", stand_in_bundle, "again")
    assert not {"audio_encoder.onnx", "style_encoder.onnx", "styles", "optimised"} & set(calls)
    assert calls["denoiser.onnx"] < solved  # the trial speech is not said again

    calls.clear()
    batch(tmp_path, "sad", stand_in_bundle, "sad")
    assert calls["styles"] == 1 and not {"audio_encoder.onnx", "optimised"} & set(calls)

    for name in ("MSMD_FEATURE_CACHE", "MSMD_GRAPH_CACHE"):
        monkeypatch.setenv(name, "off")
    without = batch(tmp_path, "angry", stand_in_bundle, "without")
    assert len(first) >= 2 and first == again == without


def test_the_shipped_model_takes_few_steps(tmp_path: Path, calls: Counter[str], caches: Path) -> None:
    """By default: one call of the denoiser for both lines in each step, of which there are two in a window."""
    if not shipped_bundle().is_dir():
        pytest.skip("the starter bundle is not here")
    bundle = Bundle.load(shipped_bundle())
    batch(tmp_path, "neutral", bundle.path, "measures the style's mouth")
    calls.clear()
    batch(tmp_path, "neutral", bundle.path, "out")
    windows = [window_count(round(seconds * bundle.fps), bundle.window) for seconds in SECONDS]
    assert max(windows) <= calls["conditioner.onnx"] <= sum(windows)
    assert calls["denoiser.onnx"] == STEPS * calls["conditioner.onnx"]
