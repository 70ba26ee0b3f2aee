from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_in import N, P, make_bundle

from msmdcli.errors import MsmdError
from msmdcli.model.bundle import Bundle
from msmdcli.paths import shipped_bundle


def test_a_bundle_loads(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)
    assert (bundle.window, bundle.previous, bundle.fps, bundle.rig.size) == (N, P, 25, 55)
    assert bundle.file("denoiser.onnx").is_file()
    assert len(bundle.sha256) == 64


def test_a_channel_that_never_moved_stays_constant(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)
    tongue = bundle.rig.index("tongueOut")
    values = np.random.default_rng(0).uniform(0, 1, (9, 55)).astype(np.float32)
    normal = bundle.normalisation.forward(values)
    assert np.isfinite(normal).all() and (normal[:, tongue] == 0).all()
    back = bundle.normalisation.inverse(normal)
    assert (back[:, tongue] == np.float32(0.2)).all()
    np.testing.assert_allclose(np.delete(back, tongue, 1), np.delete(values, tongue, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 3}, "bundle format 3"),
        ({"channels": ["jawOpen"]}, "channels"),
        ({"channels": ["a\nb"]}, r"(a\nb)"),  # a message has one line
        ({"normalisation": {"mean": [0.0], "std": [1.0]}}, "normalisation"),
        ({"normalisation": {"mean": [0.0] * 55, "std": [-1.0] * 55}}, "negative"),
        ({"window": {"frames": 10, "previous": 20}}, "previous"),
        ({"window": {"frames": 10}}, "'previous'"),
        ({"diffusion": {"schedule": "linear"}}, "linear"),
        ({"diffusion": {"prediction": "epsilon"}}, "epsilon"),
        ({"files": {}}, "denoiser.onnx"),
        ({"rig": "arkit99"}, "arkit99"),
        ({"audio_encoder": {"name": "x"}}, "audio_encoder"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MsmdError, match=r"bundle\.json") as error:
        Bundle.load(make_bundle(tmp_path, **changes))
    assert words in error.value.message and error.value.hint


def test_a_file_outside_the_bundle_is_refused(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    description = json.loads((tmp_path / "bundle.json").read_text())
    description["files"]["../evil.onnx"] = {"sha256": "0", "bytes": 1}
    (tmp_path / "bundle.json").write_text(json.dumps(description))
    with pytest.raises(MsmdError, match="not inside"):
        Bundle.load(tmp_path)


def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    Bundle.load(tmp_path)  # once whole, so that a cached sha256 would be noticed
    graph = tmp_path / "denoiser.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    os.utime(graph, (1, 1))  # where clocks are coarse, it would else be as old as the whole one
    with pytest.raises(MsmdError, match=r"denoiser\.onnx"):
        Bundle.load(tmp_path)
    graph.unlink()
    with pytest.raises(MsmdError, match=r"denoiser\.onnx is missing"):
        Bundle.load(tmp_path)
    with pytest.raises(MsmdError, match="no bundle"):
        Bundle.load(tmp_path / "nowhere")
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(MsmdError, match="cannot be read"):
        Bundle.load(tmp_path)


def described(folder: Path, **changes: Any) -> Path:
    make_bundle(folder)
    path = folder / "bundle.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for place, value in changes.items():
        *above, last = place.split("__")
        inside = data
        for name in above:
            inside = inside[name]
        inside[last] = value
    path.write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"normalisation__mean": [7.5] * 55}, "no motion"),
        ({"normalisation__std": [9.0] * 55}, "no motion"),
        ({"normalisation__mean": ["0.1"] * 55}, "no list of numbers"),
        ({"normalisation__mean": [True] * 55}, "no list of numbers"),
        ({"normalisation": []}, "`normalisation` is no object"),
        ({"defaults": {"guidance": {"style": "x"}}}, "defaults.guidance.style"),
        ({"defaults": {"guidance": {"audio": 1e9}}}, "defaults.guidance.audio"),
        ({"defaults": {"steps": 0}}, "defaults.steps"),
        ({"defaults": {"sampler": 3}}, "defaults.sampler"),
        ({"files__denoiser.onnx": "x"}, "denoiser.onnx has no sha256"),
        ({"window__frames": 10**6}, "window.frames"),
        ({"window__frames": 100.5}, "window.frames"),
        ({"diffusion__steps": -1}, "diffusion.steps"),
        ({"audio_encoder__feature_rate": "1e999999999"}, "feature_rate"),
        ({"audio_encoder__chunk_seconds": 1e-9}, "chunk_seconds"),
        ({"model": "x"}, "`model` is no object"),
        ({"rig": "/etc/passwd"}, "is not known"),
        ({"rig": 10**30}, "too large"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MsmdError, match=r"bundle\.json") as caught:
        Bundle.load(described(tmp_path / "b", **changes))
    assert words in caught.value.message


def test_a_description_that_was_changed_after_its_export_is_refused(tmp_path: Path) -> None:
    shutil.copytree(shipped_bundle(), tmp_path / "b")
    path = tmp_path / "b/bundle.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    Bundle.load(tmp_path / "b")
    data["name"], data["licence"] = "ours", {"weights": "read and noted"}  # what a studio may note
    path.write_text(json.dumps(data), encoding="utf-8")
    Bundle.load(tmp_path / "b")
    data["normalisation"]["std"][17] = 0  # plausible, and wrong
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(MsmdError, match="not as it was exported"):
        Bundle.load(tmp_path / "b")
