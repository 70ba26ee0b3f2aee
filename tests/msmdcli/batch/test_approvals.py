"""Approvals lie beside OUT, and are not lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from msmdcli.errors import UsageError
from msmdcli.studio.approvals import Approvals


def test_marks_come_back_and_go(tmp_path: Path) -> None:
    first, second = Approvals(tmp_path / "out"), Approvals(tmp_path / "out")
    assert first.read() == {}
    assert first.mark("a", True, "") == {"approved": True}
    assert second.mark("inn/b", False, " brows too high ") == {"note": "brows too high"}
    assert first.read() == {"a": {"approved": True}, "inn/b": {"note": "brows too high"}}
    assert first.mark("a", False, "") == {} and first.read() == {"inn/b": {"note": "brows too high"}}
    assert [path.name for path in tmp_path.iterdir()] == ["out.approvals.json"]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"version": 2, "lines": {}}', '{"version": 1, "lines": {"a": 1}}', "[" * 9999]
)
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "out.approvals.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"out\.approvals\.json"):
        Approvals(tmp_path / "out").mark("a", True, "")
    assert path.read_text(encoding="utf-8") == text
