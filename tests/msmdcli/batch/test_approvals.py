"""Approvals lie beside OUT, are not lost, and a batch keeps what was approved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_project import Project
from hypothesis import given
from hypothesis import strategies as st
from voice_lines import write_sound

from msmdcli.api import batch
from msmdcli.batch.approvals import Approvals, Mark, judged
from msmdcli.batch.ledger import Ledger
from msmdcli.errors import UsageError
from msmdcli.workers.line_worker import LineWorker
from msmdcli.workers.task import Outcome


def test_marks_come_back_and_go(tmp_path: Path) -> None:
    first, second = Approvals(tmp_path / "out"), Approvals(tmp_path / "out")
    assert first.read() == {}
    assert first.mark("a", True, "") == {"approved": True}
    assert second.mark("inn/b", False, " brows too high ") == {"note": "brows too high"}
    assert first.read() == {"a": {"approved": True}, "inn/b": {"note": "brows too high"}}
    assert first.mark("a", False, "") == {} and first.read() == {"inn/b": {"note": "brows too high"}}
    assert [path.name for path in tmp_path.iterdir()] == ["out.approvals.json"]


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", '{"version": 2, "lines": {}}', '{"version": 1, "lines": {"a": 1}}', "[" * 9999),
        '{"version": 1, "lines": {"a": {"approved": "yes"}}}',
        '{"version": 1, "lines": {"a": {"aproved": true}}}',
    ],
)
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "out.approvals.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"out\.approvals\.json"):
        Approvals(tmp_path / "out").mark("a", True, "")
    assert path.read_text(encoding="utf-8") == text


def test_two_who_write_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(number: int) -> None:
        mine = Approvals(tmp_path / "out")
        for n in range(20):
            mine.mark(f"l{number}_{n}", True, "", f"k{n}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(Approvals(tmp_path / "out").read()) == 80
    assert [path.name for path in tmp_path.iterdir()] == ["out.approvals.json"]


def test_every_way_to_write_out_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out/within").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "out/within")
    for way in (Path(".."), Path("../../out"), tmp_path / "out", Path("../../out/./within/..")):
        assert Approvals(way).path == tmp_path / "out.approvals.json"


def test_an_approval_stays_that_of_its_take(tmp_path: Path) -> None:
    approvals = Approvals(tmp_path / "out")
    assert approvals.mark("a", True, "", "k1") == {"approved": True, "key": "k1"}
    assert approvals.mark("a", True, "good", "k2") == {"approved": True, "key": "k1", "note": "good"}
    assert approvals.mark("a", False, "good", "k2") == {"note": "good"}
    assert approvals.mark("a", True, "", "k2") == {"approved": True, "key": "k2"}
    approvals.update({"b": Mark(note="x"), "a": Mark()})
    assert approvals.read() == {"b": {"note": "x"}}


@given(
    approved=st.booleans(),
    of=st.sampled_from(["", "k1", "k2"]),
    key=st.sampled_from(["k1", "k2", "k3"]),
    made=st.sampled_from([None, "k1", "k2", "k3"]),
    there=st.booleans(),
)
def test_what_an_approval_is_worth(approved: bool, of: str, key: str, made: str | None, there: bool) -> None:
    """The rule, said once more from the other end."""
    found = judged(Mark(approved, of), key, made, there)
    wanted = of or made  # the take that is approved
    if not approved:
        assert found == ""
    elif found == "changed":  # only what is there and approved stays
        assert there and key != wanted and (made == wanted or made is None)
    elif found == "gone":
        assert of and key != of and (made != of or not there)
    else:
        assert key == wanted or not (of or there)


# ---- batches ---------------------------------------------------------------------------------------------------------


def write(project: Project, *of: str) -> None:
    """Four lines, with something more of some."""
    said = dict(enumerate(of))
    project.write("".join(f"  - {{id: l{n}, audio: audio/line{n}.wav{said.get(n, '')}}}\n" for n in range(4)))


def approve(project: Project, *ids: str, keyed: bool = True) -> None:
    ledger, approvals = Ledger(project.out), Approvals(project.out)
    for line_id in ids:
        entry = ledger.latest(line_id)
        assert entry is not None
        approvals.mark(line_id, True, "", entry.key if keyed else "")


def lines(project: Project) -> dict[str, dict[str, Any]]:
    return {line["id"]: line for line in project.report()["lines"]}


@pytest.fixture
def approved(project: Project) -> Project:
    """A batch of four lines, of which l0, l1 and l2 are approved; l1 and l3 are changed in the manifest."""
    write(project)
    assert project.run() == 0
    approve(project, "l0", "l1", "l2")
    write(project, "", ", style: angry", "", ", style: angry")
    return project


def test_an_approved_line_is_made_again_with_force_only(approved: Project) -> None:
    before, beside = approved.bytes_of(), Approvals(approved.out).path.read_bytes()
    dry = approved.run(dry_run=True)
    assert dry == 0 and "1 approved line kept: l1" in approved.talk and approved.bytes_of() == before
    assert approved.run() == 0
    assert approved.statuses() == {"l0": "unchanged", "l1": "kept", "l2": "unchanged", "l3": "made"}
    assert "1 approved line kept: l1; changed since approved; `--force` makes it again" in approved.talk
    assert {"event": "kept approved", "ids": ["l1"]} in [
        {k: v for k, v in event.items() if k in ("event", "ids")} for event in approved.events
    ]
    after = approved.bytes_of()
    assert {name for name in after if after[name] != before[name]} == {"l3.csv", "l3.npz"}
    report = lines(approved)
    assert approved.report()["kept_approved"] == ["l1"]
    assert {name: line.get("approval", "") for name, line in report.items()} == {
        "l0": "holds",
        "l1": "changed",
        "l2": "holds",
        "l3": "",
    }
    assert report["l1"]["outputs"] == ["l1.csv", "l1.npz"] and report["l1"]["style"] == "neutral"
    assert report["l1"]["health"], "what is told of it is of the take that stays"
    page = (approved.out / "report.html").read_text(encoding="utf-8")
    assert "1 approved line kept: l1" in page and "the approved take stays" in page
    assert "not as MSMD wrote it" not in approved.talk

    assert approved.run() == 0 and approved.statuses()["l1"] == "kept", "again and again"
    assert approved.run(force=True) == 0
    assert set(approved.statuses().values()) == {"made"} and lines(approved)["l1"]["style"] == "angry"
    assert lines(approved)["l0"]["approval"] == "holds", "the same take, made again"
    assert lines(approved)["l1"]["approval"] == "gone" and "look at it again" in str(lines(approved)["l1"]["warnings"])
    assert approved.run() == 0 and set(approved.statuses().values()) == {"unchanged"}
    assert Approvals(approved.out).path.read_bytes() == beside, "a batch never writes it"


def test_only_one_approved_line_can_be_made_again(approved: Project) -> None:
    assert approved.run(force=True, only=("l1",)) == 0
    assert approved.statuses() == {"l1": "made"} and lines(approved)["l0"]["status"] == "unchanged"


def test_whatever_has_changed_an_approved_line_stays(approved: Project) -> None:
    """The recording, a style's clip, the command line, the frame rate; and not what leaves the motion as it is."""
    write_sound(approved.folder / "audio/line0.wav", 0.2, seed=50)
    before = approved.bytes_of()
    assert approved.run(choices=replace(approved.options.choices, seed=9)) == 0
    assert approved.statuses() == {"l0": "kept", "l1": "kept", "l2": "kept", "l3": "made"}
    assert "3 approved lines kept: l0, l1, l2; changed since approved; `--force` makes them again" in approved.talk
    after = approved.bytes_of()
    assert all(after[name] == before[name] for name in before if not name.startswith("l3"))


def test_what_is_not_there_is_made(approved: Project) -> None:
    for name in ("l0.npz", "l1.csv", "l1.npz", "l2.csv"):
        (approved.out / name).unlink()
    before = approved.bytes_of()
    assert approved.run() == 0
    assert approved.statuses() == {"l0": "made", "l1": "made", "l2": "made", "l3": "made"}
    after = approved.bytes_of()
    assert after["l0.csv"] == before["l0.csv"] and after["l2.npz"] == before["l2.npz"], (
        "the approved takes, byte for byte"
    )
    assert lines(approved)["l1"]["approval"] == "gone" and lines(approved)["l1"]["style"] == "angry"


def test_no_file_of_an_approved_line_shows_another_take(approved: Project) -> None:
    (approved.out / "l1.npz").unlink()
    assert approved.run() == 0 and approved.statuses()["l1"] == "kept"
    assert lines(approved)["l1"]["outputs"] == ["l1.csv"] and not (approved.out / "l1.npz").exists()
    assert "not made: l1.npz" in str(lines(approved)["l1"]["warnings"])
    write(approved)  # back to what was approved
    assert approved.run() == 0 and approved.statuses()["l1"] == "made" and lines(approved)["l1"]["approval"] == "holds"


def test_what_was_approved_before_it_was_made_is_made(project: Project) -> None:
    """As in the studio: a change is kept, seen, approved, and then the batch writes it."""
    write(project)
    assert project.run() == 0
    write(project, ", style: angry")
    other = project.folder / "other"
    assert project.run(out=other) == 0
    Approvals(project.out).mark("l0", True, "", Ledger(other).latest("l0").key)  # type: ignore[union-attr]
    assert project.run() == 0 and project.statuses()["l0"] == "made" and lines(project)["l0"]["approval"] == "holds"
    write(project, ", style: angry, seed: 3")
    assert project.run() == 0 and project.statuses()["l0"] == "kept"


def test_an_approval_without_a_key_is_of_what_there_is(project: Project) -> None:
    write(project)
    assert project.run() == 0
    approve(project, "l0", "l1", keyed=False)
    Approvals(project.out).mark("nobody", True, "")
    write(project, ", style: angry")
    assert project.run() == 0 and project.statuses()["l0"] == "kept" and project.statuses()["l1"] == "unchanged"


def test_edited_files_of_an_approved_line_stay_too(approved: Project) -> None:
    (approved.out / "l1.csv").write_text("mine", encoding="utf-8")
    for options in ({}, {"beside": True}):
        assert approved.run(**options) == 0
        assert approved.statuses()["l1"] == "kept" and (approved.out / "l1.csv").read_text() == "mine"
        assert not (approved.out / "l1.new.csv").exists() and lines(approved)["l1"]["kept"] == ["l1.csv"]
    assert approved.run(force=True) == 0 and (approved.out / "l1.csv").read_text() != "mine"


def test_a_line_that_is_approved_while_the_batch_runs_stays(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project)
    assert project.run() == 0
    write(project, *[", style: angry"] * 4)
    before, worked = project.bytes_of(), LineWorker.run

    def approving(worker: LineWorker, tasks: Any) -> Iterator[Outcome]:
        for outcome in worked(worker, tasks):
            if outcome.id == "l1":  # it is done, and not yet in place
                approve(project, "l1")
            yield outcome

    monkeypatch.setattr(LineWorker, "run", approving)
    assert project.run() == 0 and project.statuses()["l1"] == "kept"
    assert "1 approved line kept: l1" in project.talk and lines(project)["l1"]["style"] == "neutral"
    after = project.bytes_of()
    assert after["l1.npz"] == before["l1.npz"] and after["l2.npz"] != before["l2.npz"]
    assert not list(project.out.rglob("*.msmd-tmp"))


def test_takes_redos_and_a_resumed_batch(project: Project) -> None:
    project.write("  - {id: l0, audio: audio/line0.wav, takes: 2}\n  - {id: l1, audio: audio/line1.wav}\n")
    assert project.run() == 0
    approve(project, "l0_take2", "l1")
    (project.out / "ledger.jsonl").open("a").write('{"ledger": 1, "id": "l1", "ke')  # killed while it wrote
    redo = project.folder / "redo.yaml"
    redo.write_text(
        "version: 1\nredo: lines.yaml\nlines: [{id: l0_take1, seed: 7}, {id: l0_take2, seed: 8}, {id: l1, seed: 9}]\n"
    )
    before = project.bytes_of()
    assert project.run(manifest=redo) == 0
    assert project.statuses() == {"l0_take1": "made", "l0_take2": "kept", "l1": "kept"}
    assert project.bytes_of()["l1.npz"] == before["l1.npz"] and lines(project)["l0_take1"]["take_of"] == "l0"
    assert project.run(manifest=redo, force=True) == 0 and set(project.statuses().values()) == {"made"}


def test_the_api_says_so(approved: Project) -> None:
    result = batch(replace(approved.options))
    assert result.exit_code == 0 and result.kept_approved == ("l1",)
    assert {record.id: record.approval for record in result.records}["l1"] == "changed"


def test_approvals_that_cannot_be_read_stop_the_batch_before_it_starts(approved: Project) -> None:
    path = Approvals(approved.out).path
    path.write_text("{", encoding="utf-8")
    before = approved.bytes_of()
    with pytest.raises(UsageError, match=r"out\.approvals\.json cannot be read"):
        approved.run()
    assert (
        approved.bytes_of() == before and json.loads((approved.out / "report.json").read_text())["counts"]["made"] == 4
    )
