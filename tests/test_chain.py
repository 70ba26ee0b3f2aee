"""The real chain in miniature: sound and motion -> train -> export -> batch, through the command line, with the
networks of the `tiny` preset."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import msmd
from made_curation import fill
from made_data import make_data

from msmdcli.formats.registry import read_motion
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, tiny_whisper: Path) -> Path:
    """A bundle trained for some seconds and exported, by the commands a user would type."""
    folder = tmp_path_factory.mktemp("chain")
    make_data(folder / "data")
    (folder / "tiny.yaml").write_text(f"preset: tiny\naudio: {{path: {tiny_whisper}}}\n")
    done = msmd(
        "train",
        "--config",
        "tiny.yaml",
        "--data",
        "data",
        "--variant",
        "msmd-anchor",
        "--iterations",
        "40",
        "--out",
        "run",
        "--json",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "trained" and any(e["event"] == "validation" for e in events)
    done = msmd("export-onnx", "run", "--out", "bundle", "--precision", "fp16", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    parities = [e for line in done.stdout.splitlines() if (e := json.loads(line))["event"] == "parity"]
    assert {"denoiser", "whole line"} <= {p["graph"] for p in parities}
    return folder / "bundle"


def test_lines_are_animated_in_the_style_of_an_example(bundle: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lengths = {"short": 0.1, "long": 7.3, "windows": 3.0}
    for name, seconds in lengths.items():
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(int(22050 * seconds)), 22050)
    smile = np.zeros((60, RIG.size), np.float32)
    smile[:, RIG.index("mouthSmileLeft")] = 0.7
    save_npz(tmp_path / "smile.npz", Motion(smile, Fraction(25), RIG))
    save_npz(tmp_path / "calm.npz", Motion(smile * 0, Fraction(25), RIG))
    means = {}
    for style in ("smile", "calm"):
        done = msmd("batch", tmp_path, "--style", tmp_path / f"{style}.npz", "--bundle", bundle, "--fps", "30",
        "--formats", "npz,livelink-csv", "--out", style,
                    cwd=tmp_path, blocked=("torch", "transformers", "accelerate"))  # fmt: skip
        assert done.returncode == 0, done.stderr
        for name, seconds in lengths.items():
            for suffix in (".npz", ".csv"):
                motion = read_motion(tmp_path / style / f"{name}{suffix}")
                assert motion.frames == round(seconds * 30)
            values = read_motion(tmp_path / style / f"{name}.npz").values
            assert (values >= RIG.lower - 1e-6).all() and (values <= RIG.upper + 1e-6).all()
        means[style] = values[:, RIG.index("mouthSmileLeft")].mean()
    assert means["smile"] > means["calm"] + 0.3  # the anchor's resting pose arrives


def test_the_chain_of_the_guide(tmp_path: Path, tiny_whisper: Path) -> None:
    """curate -> train -> export-onnx -> evaluate -> batch, as README and guide write it, on clips of one's own.

    The preset names the sources of its own recipe, which these clips are not, and curating keeps nobody apart for a
    test. What is small here is the network, and the clips have been looked at already.
    """
    fill(tmp_path / "data")
    sizes = "{width: 32, layers: 2, heads: 2, feedforward: 64, style_width: 32, style_layers: 1, style_heads: 2}"
    (tmp_path / "small.yaml").write_text(
        f"preset: starter\nmodel: {sizes}\naudio: {{path: {tiny_whisper}}}\n"
        "ear: {rank: 12, width: 8, iterations: 4, batch: 2, seconds: 2.0}\n"
        "optimiser: {batch: 2}\nschedule: {validate_every: 2, checkpoint_every: 2}\n"
    )
    soundfile.write(tmp_path / "line.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    for command in (
        ("curate", "--merge", "--out", "data"),
        ("train", "--config", "small.yaml", "--data", "data", "--iterations", "2", "--out", "run"),
        ("export-onnx", "run", "--out", "bundle"),
        ("evaluate", "bundle", "--data", "data", "--out", "report", "--seeds", "1"),
        ("batch", "line.wav", "--bundle", "bundle", "--out", "out"),
    ):
        done = msmd(*command, cwd=tmp_path)
        assert done.returncode == 0, f"{command[0]}: {done.stderr}"
        if command[0] == "train":
            assert "All clips are trained on" in done.stderr
    measured = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))["data"]
    assert measured["split"] == "val" and measured["clips"] > 0
    assert (tmp_path / "out" / "line.csv").is_file()
