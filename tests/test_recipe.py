"""The preset that ships, from nothing and without data of one's own, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import msmd
from made_data import make_data

from training.speech.synthesisers import find_engines


def test_the_starter_s_recipe_from_nothing(tmp_path: Path, tiny_whisper: Path) -> None:
    """The preset that ships, shortened, without --data: speech is synthesised and performed, the ear and the mouth
    learn from it, the bundle hears closures, and a batch animates. What is small is the network and the hours.
    """
    engines, missing = find_engines()
    if not {"espeak-ng", "flite"} & set(engines):
        pytest.skip("; ".join(missing))
    (tmp_path / "small.yaml").write_text(
        "preset: starter\n"
        "model: {width: 32, layers: 2, heads: 2, feedforward: 64, style_width: 32, style_layers: 1, style_heads: 2}\n"
        f"audio: {{path: {tiny_whisper}}}\n"
        "recipe: {corpus: false, performed_hours: 0.008, speech_engines: [espeak-ng, flite]}\n"
        "data: {sources: {performed: 1.0}, voices: {}}\n"
        "ear: {rank: 12, width: 8, iterations: 4, batch: 2, seconds: 2.0}\n"
        "optimiser: {batch: 2, iterations: 4}\nmouth_iterations: 2\nmouth_anew: 2\n"
        "schedule: {validate_every: 4, checkpoint_every: 2, log_every: 2}\n"
    )
    soundfile.write(tmp_path / "line.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    for command in (
        ("train", "--config", "small.yaml", "--out", "run"),
        ("export-onnx", "run", "--out", "bundle", "--guidance-audio", "0.3"),
        ("batch", "line.wav", "--bundle", "bundle", "--style", "angry", "--out", "out"),
    ):
        done = msmd(*command, cwd=tmp_path)
        assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    (performed,) = (tmp_path / "cache" / "data").glob("performed-*")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["model"]["mouth_heard"] > 0 and (tmp_path / "run" / "ear.safetensors").is_file()
    assert set(json.loads((tmp_path / "run" / "provenance.json").read_text())["sources"]) == {"performed"}
    assert (tmp_path / "out" / "line.csv").is_file()
    ear = [sys.executable, "-m", "training.speech.closures", "--speech", performed, "--bundle", tmp_path / "bundle"]
    done = subprocess.run(ear, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = msmd("batch", "line.wav", "--bundle", "bundle", "--style", "angry", "--out", "heard", cwd=tmp_path)
    assert again.returncode == 0 and (tmp_path / "heard" / "line.csv").is_file(), again.stderr


def test_sources_that_a_configuration_names_itself_stay(tmp_path: Path, tiny_whisper: Path) -> None:
    make_data(tmp_path / "data")
    own = f"preset: tiny\naudio: {{path: {tiny_whisper}}}\ndata: {{sources: {{nobody: 1.0}}}}\n"
    (tmp_path / "own.yaml").write_text(own)
    done = msmd("train", "--config", "own.yaml", "--data", "data", "--out", "run", cwd=tmp_path)
    assert done.returncode == 1 and "holds no clip to train on" in done.stderr
    assert "nobody" in done.stderr and "Traceback" not in done.stderr
