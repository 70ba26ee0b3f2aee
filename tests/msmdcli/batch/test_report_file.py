"""report.json of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from msmdcli.batch.report_file import read_report
from msmdcli.errors import UsageError

LINE = {"id": "a", "status": "made", "audio": "/rec/a.wav", "outputs": ["q/a.csv"], "health": {"jitter": 0.1}}


def report(folder: Path, **changes: Any) -> Path:
    data = {"lines": [LINE], "bundle": {"name": "x"}, "settings": {}, "counts": {}, "limits": {}} | changes
    (folder / "report.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_a_report_as_it_was_written(tmp_path: Path) -> None:
    assert read_report(report(tmp_path))["lines"] == [LINE]


@pytest.mark.parametrize(
    "line",
    [
        1.5,
        [],
        {},
        {"id": 3},
        {"id": ""},
        LINE | {"audio": [1]},
        LINE | {"audio": "a\0b"},
        LINE | {"outputs": 5},
        LINE | {"outputs": [5]},
        LINE | {"outputs": ["../x.csv"]},
        LINE | {"outputs": ["/etc/passwd"]},
        LINE | {"outputs": ["a/..\\..\\x"]},
        LINE | {"outputs": ["C:x.csv"]},
        LINE | {"seconds": "long"},
        LINE | {"health": []},
        LINE | {"health": {"jitter": "x"}},
        LINE | {"warnings": "w"},
        LINE | {"fields": [1]},
    ],
)
def test_lines_that_are_none(tmp_path: Path, line: Any) -> None:
    with pytest.raises(UsageError, match=r"report\.json is no report that MSMD wrote: .*line 2 of its lines"):
        read_report(report(tmp_path, lines=[LINE, line]))


@pytest.mark.parametrize("change", [{"lines": {}}, {"bundle": "x"}, {"settings": [1]}, {"counts": 3}, {"limits": None}])
def test_reports_that_are_none(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is no report that MSMD wrote"):
        read_report(report(tmp_path, **change))
