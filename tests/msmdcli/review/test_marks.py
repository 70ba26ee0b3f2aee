"""Marks of a page, taken in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from batch_project import Project
from typer.testing import CliRunner

from msmdcli.batch.approvals import Approvals
from msmdcli.batch.ledger import Ledger
from msmdcli.cli import app
from msmdcli.errors import UsageError
from msmdcli.review.marks import take_in


@pytest.fixture
def reviewed(project: Project) -> tuple[Project, dict[str, str]]:
    """A batch, and the keys of its takes."""
    project.write("".join(f"  - {{id: l{n}, audio: audio/line{n % 4}.wav}}\n" for n in range(6)))
    assert project.run() == 0
    ledger = Ledger(project.out)
    return project, {f"l{n}": ledger.latest(f"l{n}").key for n in range(6)}  # type: ignore[union-attr]


def write(project: Project, text: str) -> Path:
    path = project.folder / "mail.yaml"
    path.write_text(f"version: 1\nredo: lines.yaml\n{text}", encoding="utf-8")
    return path


def test_each_kind_of_mark(reviewed: tuple[Project, dict[str, str]]) -> None:
    project, keys = reviewed
    approvals = Approvals(project.out)
    for name in ("l2", "l3", "l4"):
        approvals.mark(name, True, "before", keys[name])
    path = write(
        project,
        "lines: [{id: l2, seed: 1, note: slower}]\n"
        f"approved: [{{id: l0, key: {keys['l0']}, note: good}}, {{id: l1, key: 0ld, note: hm}},"
        " {id: l5}, {id: l9}]\n"
        "withdrawn: [{id: l3}]\nnoted: [{id: l4, note: ask Jo}]\n",
    )
    found = take_in(path, project.out)
    assert found.approved == ("l0", "l5") and found.stale == ("l1",) and found.unknown == ("l9",)
    assert found.withdrawn == ("l3",) and found.noted == ("l4",) and found.redo == ("l2",)
    assert found.words() == "2 approved, 1 approval withdrawn, 1 noted, 1 to make again"
    assert approvals.read() == {
        "l0": {"approved": True, "key": keys["l0"], "note": "good"},
        "l1": {"note": "hm"},
        "l2": {"note": "slower"},
        "l4": {"approved": True, "key": keys["l4"], "note": "ask Jo"},
        "l5": {"approved": True, "key": keys["l5"]},
    }
    again = Approvals(project.out).path.read_bytes()
    take_in(path, project.out)
    assert Approvals(project.out).path.read_bytes() == again, "twice is as once"


def test_from_the_mail_to_the_batch(reviewed: tuple[Project, dict[str, str]]) -> None:
    """What a technical director does with the attachment."""
    project, keys = reviewed
    approved = "".join(f"  - {{id: {name}, key: {key}}}\n" for name, key in keys.items() if name != "l2")
    path = write(project, f"lines: [{{id: l2, seed: 1, style: angry}}]\napproved:\n{approved}")
    done = CliRunner().invoke(app, ["review", str(project.out), "--import", str(path)])
    assert done.exit_code == 0 and "5 approved, 1 to make again" in done.output
    assert f"msmd batch {path} --out {project.out}" in done.output
    before = project.bytes_of()
    assert project.run(manifest=path) == 0 and project.statuses() == {"l2": "made"}
    project.write("".join(f"  - {{id: l{n}, audio: audio/line{n % 4}.wav, seed: 9}}\n" for n in range(6)))
    assert project.run() == 0
    assert project.statuses() == {"l2": "made"} | dict.fromkeys(set(keys) - {"l2"}, "kept")
    after = project.bytes_of()
    assert all(after[f"{name}.npz"] == before[f"{name}.npz"] for name in keys if name != "l2")
    done = CliRunner().invoke(app, ["review", str(project.out), "--import", str(path), "--json"])
    event = next(json.loads(line) for line in done.stdout.splitlines() if '"import"' in line)
    assert event["stale"] == [] and event["redo"] == ["l2"] and len(event["approved"]) == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("approved: [{key: ab}]", "needs an `id`"),
        ("approved: [{id: l0, aproved: yes}]", "unknown key 'aproved'"),
        ("approved: l0", "is a list"),
        ("aproved: [{id: l0}]", "unknown key 'aproved'"),
        ("approved: [{id: l0}, {id: l0}]", "stands here twice"),
        ("approved: [{id: l0}]\nnoted: [{id: l0, note: x}]", "named twice"),
        ("approved: [{id: [l0]}]", "id is a text"),
        ("approved: [", "not YAML"),
    ],
)
def test_a_file_that_is_wrong_changes_nothing(reviewed: tuple[Project, dict[str, str]], text: str, words: str) -> None:
    project, _ = reviewed
    with pytest.raises(UsageError, match=words):
        take_in(write(project, text + "\n"), project.out)
    assert not Approvals(project.out).path.exists()


def test_a_file_of_another_kind(reviewed: tuple[Project, dict[str, str]]) -> None:
    project, _ = reviewed
    with pytest.raises(UsageError, match="not what a review page saves"):
        take_in(project.manifest, project.out)
    with pytest.raises(UsageError, match="there is no file"):
        take_in(project.folder / "none.yaml", project.out)
