"""Batches to review, and a browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from batch_project import Project
from studio_page import browser  # noqa: F401  a fixture

from msmdcli.formats.registry import write_motion
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")


@pytest.fixture
def project(tmp_path: Path, stand_in_bundle: Path) -> Iterator[Project]:
    """A project to run batches of."""
    project = Project(tmp_path, stand_in_bundle)
    yield project
    for end in project.at_end:
        end()


def write_batch(folder: Path, count: int, seconds: float = 1.0, fps: int = 25) -> Path:
    """OUT as a batch leaves it, with `count` lines of one recording and one motion."""
    out = folder / "out"
    out.mkdir(parents=True)
    sound = folder / "a voice.wav"
    rng = np.random.default_rng(0)
    soundfile.write(sound, rng.normal(scale=0.1, size=round(16000 * seconds)), 16000)
    values = rng.uniform(0, 1, (round(fps * seconds), RIG.size)).astype(np.float32)
    values[:, list(RIG.rotation_indices or ())] -= 0.5
    write_motion(Motion(values, Fraction(fps), RIG), out / "line.npz", "npz")
    manifest = folder / "lines.yaml"
    ids = [f"quest/line_{n:04d}" for n in range(count)]
    lines = "".join(f"  - {{id: {id}, audio: 'a voice.wav'}}\n" for id in ids)
    manifest.write_text(f"version: 1\nlines:\n{lines}", encoding="utf-8")
    records: list[dict[str, Any]] = [
        {
            "id": id,
            "status": "made",
            "audio": str(sound),
            "outputs": ["line.npz"],
            "style": "angry" if n % 2 else "happy",
            "seed": 4,
            "seconds": seconds,
            "text": "</script><b>not markup</b>" if n == 0 else f"words of {n}",
        }
        for n, id in enumerate(ids)
    ]
    if count > 1:
        records[1] |= {"status": "failed", "error": "no such recording", "outputs": []}
    report = {
        "format_version": 1,
        "bundle": {"name": "tiny"},
        "settings": {"manifest": str(manifest)},
        "counts": {"made": count},
        "limits": {},
        "lines": records,
    }
    (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return out


@pytest.fixture
def made_batch() -> Callable[..., Path]:
    """See `write_batch`."""
    return write_batch
