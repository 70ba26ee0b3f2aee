"""The contract of `msmd batch`: unchanged lines are skipped, judged by content."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from batch_project import RIG, Project, change_audio
from stand_in import make_bundle
from voice_lines import write_style

from msmdcli.manifest.command_line import parse_choices
from msmdcli.model.sampling import Sampling


def test_unchanged_lines_are_skipped_whatever_the_time_stamps(project: Project) -> None:
    assert project.run() == 0
    before = {path: path.stat().st_mtime_ns for path in project.out.glob("line*")}
    for path in [*project.folder.rglob("*.wav"), *project.folder.rglob("clip.npz"), *project.out.glob("line*")]:
        os.utime(path, (1, 1))
    assert project.run() == 0
    assert set(project.statuses().values()) == {"unchanged"}
    assert all(path.stat().st_mtime_ns == 10**9 for path in before)
    assert project.run(force=True) == 0
    assert set(project.statuses().values()) == {"made"}


def change_style(project: Project) -> dict[str, Any]:
    write_style(project.folder / "styles/neutral", seed=42)
    return {}


def lose_output(project: Project) -> dict[str, Any]:
    (project.out / "line1.csv").unlink()
    return {}


def empty_output(project: Project) -> dict[str, Any]:
    (project.out / "line1.csv").write_bytes(b"")
    return {}


def change_seed_of_one_line(project: Project) -> dict[str, Any]:
    text = project.manifest.read_text().replace("audio: audio/line1.wav", "audio: audio/line1.wav, seed: 5")
    project.manifest.write_text(text)
    return {}


@pytest.mark.parametrize(
    ("change", "made"),
    [
        (change_audio, {"line1"}),
        (lose_output, {"line1"}),
        (empty_output, {"line1"}),
        (change_seed_of_one_line, {"line1"}),
        (change_style, {"line0", "line1", "line2", "line3"}),
        (lambda project: {"sampling": Sampling(steps=3)}, {"line0", "line1", "line2", "line3"}),
        (lambda project: {"sampling": Sampling(guidance_style=0.5)}, {"line0", "line1", "line2", "line3"}),
        (lambda project: {"choices": parse_choices("angry", "livelink-csv,npz", None, None)}, {"line0", "line3"}),
        (lambda project: {"choices": parse_choices(None, "livelink-csv,npz", "30", None)}, {"line0", "line3"}),
        (lambda project: {"threads": 2, "batch_size": 1}, set()),
        (lambda project: {"choices": parse_choices(None, "npz", None, None)}, set()),
    ],
)
def test_only_what_changed_is_made_again(
    project: Project, change: Callable[[Project], dict[str, Any]], made: set[str]
) -> None:
    project.run()
    options = change(project)
    assert project.run(**options) == 0
    remade = {line for line, status in project.statuses().items() if status == "made"}
    assert remade >= made if made else remade == set()
    assert made != {"line1"} or remade == made
    project.run(**options)
    assert set(project.statuses().values()) == {"unchanged"}


def test_another_bundle_makes_all_lines_again(project: Project) -> None:
    project.run()
    renamed = make_bundle(project.folder / "renamed_bundle", name="same weights", training={"note": "told at length"})
    assert project.run(bundle=renamed) == 0
    assert set(project.statuses().values()) == {"unchanged"}
    std = [0.0 if name == "tongueOut" else 0.11 for name in RIG.channels]
    other = make_bundle(project.folder / "other_bundle", normalisation={"mean": [0.2] * RIG.size, "std": std})
    assert project.run(bundle=other) == 0
    assert set(project.statuses().values()) == {"made"}


def test_another_format_is_added_without_losing_the_first(project: Project) -> None:
    project.run(choices=parse_choices(None, "npz", None, None))
    project.run(choices=parse_choices(None, "livelink-csv", None, None))
    assert set(project.statuses().values()) == {"made"}
    project.run()
    assert set(project.statuses().values()) == {"unchanged"}
