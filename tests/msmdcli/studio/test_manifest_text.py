"""What is kept goes into the manifest's text, and nothing else of the text changes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest

from msmdcli.documents.tree import parse_yaml
from msmdcli.errors import UsageError
from msmdcli.manifest.lines import Manifest
from msmdcli.manifest.reading import ManifestReader
from msmdcli.motion.rig import Rig
from msmdcli.studio.manifest_text import keep, with_keys

pytest.importorskip("ruamel.yaml", reason="needs the extra `studio`")

RIG = Rig.load("arkit52")
TEXT = """\
# The tavern, first pass
version: 1
defaults: {style: neutral}   # for all
characters:
  guard:
    defaults: {style: angry}
    lines:
      - {id: guard_001, audio: "a.wav", text: 'Ho!'}  # the famous one
      # between
lines:
  - id: keeper_007   # ask Jo
    audio: a.wav

    style: happy     # she is
    # before the seed
    seed: 3
    segments:
      - start: 1.5   # here
        style: sad
  # above the smuggler
  - audio: a.wav
    id: smuggler
    text: |
      Some text,
      and more
    # the end of the smuggler
  -   id: last
      audio: a.wav
      pins: []
# end
"""


def read(text: str) -> Manifest:
    return ManifestReader(Path("lines.yaml"), RIG).read(parse_yaml(text, "lines.yaml"))


def changes(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines of text that have gone, and those that have come."""
    found = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return [one[2:] for one in found if one[0] == "-"], [one[2:] for one in found if one[0] == "+"]


@pytest.mark.parametrize(
    ("line_id", "keys", "gone", "come"),
    [
        (
            "guard_001",
            {"style": "sad", "intensity": 1.2},
            ["      - {id: guard_001, audio: \"a.wav\", text: 'Ho!'}  # the famous one"],
            [
                "      - {id: guard_001, audio: \"a.wav\", text: 'Ho!', style: sad, intensity: 1.2}  # the famous one",
            ],
        ),
        ("keeper_007", {"style": "angry"}, ["    style: happy     # she is"], ["    style: angry     # she is"]),
        ("keeper_007", {"style": None}, ["    style: happy     # she is"], []),
        ("keeper_007", {"seed": None}, ["    seed: 3"], []),
        (
            "keeper_007",
            {"style": [{"ref": "angry", "weight": 0.7}, {"ref": "sad", "weight": 0.3}]},
            ["    style: happy     # she is"],
            ["    style: [{ref: angry, weight: 0.7}, {ref: sad, weight: 0.3}] # she is"],
        ),
        (
            "keeper_007",
            {"segments": None},
            ["    segments:", "      - start: 1.5   # here", "        style: sad"],
            [],
        ),
        ("keeper_007", {"blinks": "off"}, [], ["    blinks: off"]),
        (
            "smuggler",
            {"gestures": [{"name": "nod", "at": 1.2}], "head": 0.5},
            [],
            ["    gestures: [{name: nod, at: 1.2}]", "    head: 0.5"],
        ),
        ("last", {"smooth": 0.25, "pins": None}, ["      pins: []"], ["      smooth: 0.25"]),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_only_the_lines_own_keys_change(
    tmp_path: Path, line_id: str, keys: dict[str, Any], gone: list[str], come: list[str], ends: str
) -> None:
    path = tmp_path / "lines.yaml"
    before = TEXT.replace("\n", ends)
    path.write_bytes(before.encode())
    keep(path, line_id, keys, read(before), read)
    after = path.read_bytes().decode()
    assert after.count("\n") == after.count(ends) and after.count(ends) == before.count(ends) + len(come) - len(gone)
    assert changes(before, after) == (gone, come)


def test_there_and_back_is_the_text_that_was(tmp_path: Path) -> None:
    for line_id in ("guard_001", "keeper_007", "smuggler", "last"):
        there = with_keys(TEXT, line_id, {"intensity": 1.5, "blinks": 18})
        assert there != TEXT
        back = with_keys(there, line_id, {"intensity": None, "blinks": None})
        assert back == TEXT


def test_a_byte_order_mark_and_rights_stay(tmp_path: Path) -> None:
    path = tmp_path / "lines.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    path.chmod(0o640)
    keep(path, "last", {"seed": 4}, read(TEXT), read)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf# The tavern") and path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("version: 1\nlines:\n  - {id: a, audio: &x a.wav}\n  - {id: last, audio: *x}\n", "undefined alias"),
        ("version: 1\nlines:\n  - &one {id: last, audio: a.wav}\n  - {<<: *one, id: b}\n", "cannot be changed alone"),
        ("version: 1\nlines:\n  - {id: other, audio: a.wav}\n", "no line 'last' any more"),
    ],
)
def test_a_text_that_is_too_clever_is_refused_and_stays(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "lines.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=why):
        keep(path, "last", {"style": "sad"}, read(text), read)
    assert path.read_text(encoding="utf-8") == text
    assert [one.name for one in tmp_path.iterdir()] == ["lines.yaml"]
