"""The ledger on a full disk, after a kill, and after somebody has taken it away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from msmdcli.batch.ledger import Ledger, LedgerEntry
from msmdcli.errors import MsmdError


def entry(name: str, digest: str = "d") -> LedgerEntry:
    return LedgerEntry(name, "k", {f"{name}.csv": digest}, {"note": '{"ledger": 1, "id": "fake"}'})


def full_disk(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Let `os.write` write `room` bytes and say so, as a full disk does."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:room]))


def test_a_short_write_is_an_error_and_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(entry("a"))
    with monkeypatch.context() as patch:
        full_disk(patch, 20)
        with pytest.raises(MsmdError, match=r"ledger\.jsonl cannot be written: No space left"):
            ledger.record(entry("b"))
    assert ledger.latest("b") is None and not ledger.wrote("b.csv", "d")
    assert not ledger.path.read_bytes().endswith(b"\n")
    ledger.record(entry("c"))  # there is room again: a line of its own
    again = Ledger(tmp_path)
    assert again.latest("a") == entry("a") and again.latest("b") is None and again.latest("c") == entry("c")


def test_a_torn_line_is_closed_off_by_the_next_run(tmp_path: Path) -> None:
    Ledger(tmp_path).record(entry("a"))
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(path.read_bytes() + b'{"ledger": 1, "id": "b", "ke')
    ledger = Ledger(tmp_path)
    assert ledger.latest("b") is None
    ledger.record(entry("c"))
    assert [Ledger(tmp_path).latest(name) is not None for name in "abc"] == [True, False, True]


def test_an_entry_behind_a_torn_one_is_read(tmp_path: Path) -> None:
    """Another machine, which knows nothing of the torn line, appends to it."""
    Ledger(tmp_path).record(entry("a"))
    path = tmp_path / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + whole.replace(b'"a"', b'"z"').replace(b"a.csv", b"z.csv"))
    assert Ledger(tmp_path).latest("z") == entry("z")


def test_a_ledger_that_is_taken_away_during_the_run_is_not_begun_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(entry("a"))
    ledger.path.unlink()
    with pytest.raises(MsmdError, match="was removed during the run"):
        ledger.record(entry("b"))
    assert not ledger.path.exists()


@pytest.mark.parametrize(
    "line",
    [
        b'{"ledger": 1, "id": 3, "key": "k", "outputs": {}, "facts": {}}',
        b'{"ledger": 1, "id": "x", "key": [], "outputs": {}, "facts": {}}',
        b'{"ledger": 1, "id": "x", "key": "k", "outputs": {"x.csv": 5}, "facts": {}}',
        b'{"ledger": 1, "id": "x", "key": "k", "outputs": [["a"]], "facts": {}}',
        b'{"ledger": 1, "id": "x", "key": "k", "outputs": {}, "facts": 1.5}',
        b"\xff\x00",
        b"[" * 5000,
    ],
)
def test_nonsense_is_passed_over(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(line + b"\n")
    ledger = Ledger(tmp_path)
    assert ledger.latest("x") is None
    ledger.record(entry("a"))
    assert Ledger(tmp_path).latest("a") == entry("a")


def test_a_ledger_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ledger.jsonl")
    with pytest.raises(MsmdError, match="is not a file"):
        Ledger(tmp_path)
