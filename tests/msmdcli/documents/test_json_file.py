"""JSON of others: what the standard has, and nothing that Python's reader takes besides."""

from __future__ import annotations

from pathlib import Path

import pytest

from msmdcli.documents.json_file import json_value, read_json, read_json_lines
from msmdcli.documents.nodes import DocumentError


def test_values_as_they_are() -> None:
    text = '{"a": [1, -2.5e3, true, null, "\\u00e4"], "n": 18446744073709551616}'
    assert json_value(text, "x") == {"a": [1, -2500.0, True, None, "ä"], "n": 2**64}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"NaN", "NaN is no number"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b"1e400", "too large"),
        (b"1" + b"0" * 400, "too large"),
        (b"1" * 10_000, "too large"),
        (b"[" * 100_000, "nested too deeply"),
        (b'"\xff"', "not UTF-8"),
        (b"{} {}", "Extra data"),
        (b"", "Expecting value"),
    ],
)
def test_what_is_no_json(text: bytes, says: str) -> None:
    with pytest.raises(DocumentError, match=f"^here: .*{says}"):
        json_value(text, "here")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(path) == [1]
    with pytest.raises(DocumentError, match="larger than 0 MB"):
        read_json(path, most_bytes=3)
    with pytest.raises(DocumentError, match="is not a file"):
        read_json(Path("/dev/zero"))
    with pytest.raises(DocumentError, match="no such file"):
        read_json(tmp_path / "absent.json")


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n')
    assert list(read_json_lines(path)) == [(1, {"a": 1}), (3, {"a": 2})]
    path.write_text('{"a": 1}\n[2]\n')
    with pytest.raises(DocumentError, match=r"a\.jsonl, line 2 is no JSON object"):
        list(read_json_lines(path))
