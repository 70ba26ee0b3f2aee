"""Closures and articulation in a whole batch: same bytes whoever computes, and a change of them makes lines again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from batch_project import RIG, Project

from msmdcli.model.bundle import Bundle
from training.speech.closures import ClosureEar, onnx_graph, put_into

LINES = """\
  - {id: line0, audio: audio/line0.wav, style: angry}
  - {id: line1, audio: audio/line1.wav, fps: 60, articulation: {jaw: 1.3}}
  - {id: line2, audio: audio/line2.wav, closures: off}
"""


@pytest.fixture
def hearing(project: Project, stand_in_bundle: Path, tmp_path: Path) -> Project:
    """The project with a bundle whose ear hears closures at random, but hears them."""
    folder = tmp_path / "hearing"
    shutil.copytree(stand_in_bundle, folder)
    torch.manual_seed(1)
    ear = ClosureEar(Bundle.load(folder).audio_encoder.dim)
    with torch.no_grad():
        ear.leave.bias.fill_(-0.2)
        ear.leave.weight.mul_(6)
    put_into(folder, onnx_graph(ear.eval()), (0.5, 0.5), {})
    project.options = replace(project.options, bundle=folder)
    project.write(LINES)
    return project


def values(project: Project, name: str) -> np.ndarray:
    with np.load(project.out / f"{name}.npz", allow_pickle=False) as motion:
        return np.asarray(motion["values"])


def test_same_bytes_for_any_jobs_and_neighbours(hearing: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msmdcli.system.machine.available_cores", lambda: 2)
    assert hearing.run() == 0
    expected = hearing.bytes_of()
    facts = {line["id"]: line.get("controlled", {}) for line in hearing.report()["lines"]}
    assert facts["line0"]["closures"] > 0
    assert "closures" not in facts["line2"]
    for number, changes in enumerate(({"batch_size": 1}, {"jobs": 2})):
        out = hearing.folder / f"out{number}"
        assert hearing.run(out=out, **changes) == 0
        assert hearing.bytes_of(out) == expected, changes


def test_only_the_mouth_is_closed_and_only_where_it_is_asked_for(hearing: Project, stand_in_bundle: Path) -> None:
    assert hearing.run() == 0
    with_ear = {name: values(hearing, name) for name in ("line0", "line2")}
    hearing.options = replace(hearing.options, bundle=stand_in_bundle)
    assert hearing.run(force=True) == 0
    upper = [RIG.index(name) for name in (*RIG.regions["upper"], *RIG.regions["head"])]
    np.testing.assert_array_equal(values(hearing, "line0")[:, upper], with_ear["line0"][:, upper])
    assert (values(hearing, "line0") != with_ear["line0"]).any()
    np.testing.assert_array_equal(values(hearing, "line2"), with_ear["line2"])


def test_turning_them_off_makes_the_lines_again_that_had_them(hearing: Project) -> None:
    assert hearing.run() == 0
    hearing.write(LINES, defaults="{style: neutral, closures: off}")
    assert hearing.run() == 0
    assert hearing.statuses() == {"line0": "made", "line1": "made", "line2": "unchanged"}
