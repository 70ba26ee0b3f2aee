"""A small project to animate: recordings, styles and a manifest, made from noise."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
import yaml

from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig

RATE = 22050


def write_sound(path: Path, seconds: float, seed: int = 0) -> None:
    """Noise that swells and fades like syllables."""
    samples = round(seconds * RATE)
    noise = np.random.default_rng(seed).standard_normal(samples) * 0.1
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise * np.abs(np.sin(np.arange(samples) / 3000)), RATE)


def write_style(folder: Path, seed: int, **changes: object) -> None:
    """A tag called like its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rig = Rig.load("arkit52")
    values = np.random.default_rng(seed).uniform(0, 0.5, (80, rig.size)).astype(np.float32)
    save_npz(folder / "clip.npz", Motion(values, Fraction(30), rig))
    digest = hashlib.sha256((folder / "clip.npz").read_bytes()).hexdigest()
    description: dict[str, object] = {
        "format_version": 1,
        "tag": folder.name,
        "description": f"random motion {seed}",
        "licence": "MIT",
        "consent": "nobody was recorded",
        "source": "made for tests",
        "synthetic": True,
        "created_by": "tests/voice_lines.py",
        "clips": [{"file": "clip.npz", "sha256": digest}],
    }
    (folder / "style.yaml").write_text(yaml.safe_dump(description | changes), encoding="utf-8")


def write_project(folder: Path, seconds: tuple[float, ...] = (0.1, 1.3, 2.7, 0.9)) -> Path:
    """Recordings line0.wav, line1.wav, ..., the tags `neutral` and `angry`, and a manifest, whose path is returned."""
    for i, duration in enumerate(seconds):
        write_sound(folder / f"audio/line{i}.wav", duration, seed=i)
    for seed, tag in enumerate(("neutral", "angry")):
        write_style(folder / "styles" / tag, seed)
    lines = "".join(f"  - {{id: line{i}, audio: audio/line{i}.wav}}\n" for i in range(len(seconds)))
    manifest = folder / "lines.yaml"
    manifest.write_text(f"version: 1\ndefaults: {{style: neutral}}\nlines:\n{lines}", encoding="utf-8")
    return manifest
