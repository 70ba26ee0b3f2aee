"""The batch again after a change, and only then."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_project import Project
from voice_lines import write_sound, write_style

from msmdcli.batch.approvals import Approvals
from msmdcli.batch.watching import watch_batch
from msmdcli.console import Console
from msmdcli.errors import UsageError

Step = Callable[[], object]


def watched(project: Project, steps: list[Step], **changes: Any) -> tuple[list[dict[str, str]], str]:
    """What each round did (line id -> status), and the talk, when one step happens in each wait, then Ctrl-C.

    A step is followed by two waits: a change is taken up once it is quiet.
    """

    def waits() -> Iterator[Step]:
        for step in steps:
            yield step
            yield lambda: None
        while True:
            yield interrupt

    def interrupt() -> None:
        raise KeyboardInterrupt

    waiting = waits()
    stdout, stderr = io.StringIO(), io.StringIO()
    options = replace(project.options, **changes)
    assert watch_batch(options, Console(True, 0, stdout, stderr), lambda: next(waiting)()) == 0
    rounds: list[dict[str, str]] = [{}]
    for event in (json.loads(line) for line in stdout.getvalue().splitlines()):
        if event["event"] == "line":
            rounds[-1][event["id"]] = event["status"]
        if event["event"] == "watching":
            rounds.append({})
    return rounds[:-1], stderr.getvalue()


def write(project: Project, lines: str) -> Step:
    return lambda: project.write(lines)


def test_each_kind_of_change_is_taken_up_once(project: Project) -> None:
    lines = "  - {id: a, audio: audio/line1.wav, style: angry}\n  - {id: b, audio: audio/line3.wav}\n"
    project.write(lines)
    rounds, _ = watched(
        project,
        [
            lambda: None,  # nothing: no round
            lambda: write_sound(project.folder / "audio/line1.wav", 1.1, seed=77),
            lambda: write_style(project.folder / "styles/angry", 9),
            lambda: (project.folder / "unrelated.txt").write_text("x"),
            write(project, lines.replace("style: angry", "style: angry, seed: 5")),
            write(project, lines + "  - {id: c, audio: audio/line0.wav}\n"),
        ],
    )
    assert rounds == [
        {"a": "made", "b": "made"},
        {"a": "made", "b": "unchanged"},
        {"a": "made", "b": "unchanged"},
        {"a": "made", "b": "unchanged"},
        {"a": "made", "b": "unchanged", "c": "made"},
    ]


def test_a_manifest_that_is_wrong_is_said_and_watched_on(project: Project) -> None:
    good = "  - {id: a, audio: audio/line1.wav}\n"
    project.write(good)
    rounds, talk = watched(
        project, [write(project, good + "  - {id: b, audoi: x.wav}\n"), write(project, good.replace("line1", "line3"))]
    )
    assert rounds == [{"a": "made"}, {}, {"a": "made"}]
    assert "audoi" in talk


def test_a_file_that_grows_is_read_when_it_is_quiet(project: Project) -> None:
    project.write("  - {id: a, audio: audio/line1.wav}\n")
    sizes: list[int] = []

    def grow(seconds: float) -> Step:
        def step() -> None:
            write_sound(project.folder / "audio/line1.wav", seconds, seed=int(seconds * 10))
            sizes.append((project.folder / "audio/line1.wav").stat().st_size)

        return step

    steps = iter([grow(0.5), grow(0.8), grow(1.2), lambda: None])

    def pause() -> None:
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    stdout = io.StringIO()
    watch_batch(project.options, Console(True, -1, stdout, io.StringIO()), pause)
    events = [json.loads(line) for line in stdout.getvalue().splitlines()]
    made = [event["seconds"] for event in events if event["event"] == "line"]
    assert made == pytest.approx([1.3, 1.2], abs=0.01) and len(sizes) == 3


def test_a_folder_of_recordings_is_watched_for_new_ones(project: Project) -> None:
    rounds, _ = watched(
        project,
        [lambda: write_sound(project.folder / "audio/more/line9.wav", 0.4, seed=9)],
        manifest=project.folder / "audio",
        out=project.folder / "audio" / "out",
    )
    assert rounds[1] == dict.fromkeys(("line0", "line1", "line2", "line3"), "unchanged") | {"more/line9": "made"}
    assert len(rounds) == 2, "what it writes itself is no change"


def test_there_must_be_a_manifest(project: Project) -> None:
    with pytest.raises(UsageError, match="there is no manifest"):
        watched(project, [], manifest=Path("nothing.yaml"))


def test_an_approval_that_is_taken_back_is_a_change_and_so_is_the_manifest_of_a_redo(project: Project) -> None:
    line = "  - {id: a, audio: audio/line0.wav}\n"
    project.write(line)
    redo = project.folder / "redo.yaml"
    redo.write_text("version: 1\nredo: lines.yaml\nlines: [{id: a, seed: 1}]\n", encoding="utf-8")
    approvals = Approvals(project.out)
    rounds, talk = watched(
        project,
        [
            lambda: approvals.mark("a", True, ""),
            write(project, line.replace("line0", "line3")),
            lambda: approvals.mark("a", False, ""),
        ],
        manifest=redo,
    )
    assert rounds == [{"a": "made"}, {"a": "unchanged"}, {"a": "kept"}, {"a": "made"}]
    assert "1 approved line kept: a" in talk
