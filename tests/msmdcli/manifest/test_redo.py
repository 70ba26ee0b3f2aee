"""Lines to do again, as the review page writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifest_texts import RIG

from msmdcli.errors import UsageError
from msmdcli.manifest.lines import Manifest, ManifestError
from msmdcli.manifest.loading import load_manifest

LINES = """\
version: 1
lines:
  - {id: quest/a, audio: a.wav, seed: 4}
  - {id: quest/b, audio: b.wav, style: angry}
"""


def redo(tmp_path: Path, text: str, of: str = LINES) -> Manifest:
    (tmp_path / "lines.yaml").write_text(of, encoding="utf-8")
    (tmp_path / "redo.yaml").write_text(text, encoding="utf-8")
    return load_manifest(tmp_path / "redo.yaml", RIG)


def test_the_marked_lines_with_other_seeds(tmp_path: Path) -> None:
    again = redo(tmp_path, 'version: 1\nredo: lines.yaml\nlines:\n  - {id: "quest/b", seed: 5, note: "too wild"}\n')
    whole = load_manifest(tmp_path / "lines.yaml", RIG)
    (line,) = again.lines
    assert (line.id, line.choices.seed, line.audio) == ("quest/b", 5, whole.lines[1].audio)
    assert line.choices.style == whole.lines[1].choices.style and again.path == whole.path


def test_one_take(tmp_path: Path) -> None:
    text = "version: 1\nredo: lines.yaml\nlines: [{id: quest/a_take2, seed: 9}]\n"
    (line,) = redo(tmp_path, text, LINES + "defaults: {takes: 3}\n").lines
    assert (line.id, line.choices.seed, line.choices.takes) == ("quest/a_take2", 9, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1\nredo: lines.yaml\nlines: [{id: quest/c}]\n", r"redo\.yaml:3:14: .*no line.*; did you mean"),
        ("version: 1\nredo: lines.yaml\nlines: [{id: quest/a, seeds: 1}]\n", r":3:23: unknown key 'seeds' .*; did you"),
        ("version: 1\nredo: lines.yaml\nlines: [{id: quest/a, seed: -1}]\n", "seed '-1' is not a whole number"),
        ("version: 1\nredo: lines.yaml\nlines: [{id: quest/a}, {id: Quest/A}]\n", "'Quest/A' stands here twice"),
        ("version: 1\nredo: lines.yaml\nlines: []\n", r"no line to redo; lines: "),
        ("version: 1\nredo: lines.yaml\nlines: [{seed: 1}]\n", "needs an `id`"),
        ("redo: lines.yaml\nlines: [{id: quest/a}]\n", "version"),
        ("version: 1\nredo: [a]\nlines: []\n", "names the manifest"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        redo(tmp_path, text)


def test_all_errors_in_the_order_of_their_places(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        redo(tmp_path, "lines: [{id: quest/c}, {seed: 1}]\nredo: lines.yaml\n")
    places = [problem.removeprefix(f"{tmp_path}/").split(": ")[0] for problem in caught.value.problems]
    assert places == ["redo.yaml:1:1", "redo.yaml:1:14", "redo.yaml:1:24"]


def test_a_manifest_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no manifest"):
        redo(tmp_path, "version: 1\nredo: gone.yaml\nlines: [{id: a}]\n")
