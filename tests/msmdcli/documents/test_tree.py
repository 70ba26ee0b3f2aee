"""YAML and JSON of others, however they are made: every reader of the product ends with one sentence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msmdcli.controls.gesture import load_clip
from msmdcli.documents.nodes import DocumentError
from msmdcli.documents.tree import load_small_yaml, parse_yaml
from msmdcli.errors import MsmdError
from msmdcli.formats.motion_file import MotionFile
from msmdcli.manifest.loading import load_manifest
from msmdcli.model.bundle import Bundle
from msmdcli.motion.rig import Rig
from msmdcli.review.page import ReviewOptions, write_review
from msmdcli.styles.library import StyleLibrary
from training.config import load_config
from training.curation.split import read_split_file


def laughs(merge: bool) -> str:
    """Ten to the power of nine values in ten lines."""
    lines = ["a0: &a0 {k: v}"] if merge else ["a0: &a0 [x]"]
    for i in range(1, 10):
        ten = ", ".join([f"*a{i - 1}"] * 10)
        lines.append(f"a{i}: &a{i} {{<<: [{ten}]}}" if merge else f"a{i}: &a{i} [{ten}]")
    return "\n".join(lines)


ENDLESS = {
    "lists": "[" * 100_000,
    "mappings": "{a: " * 100_000,
    "indentation": "- " * 100_000,
    "closed": "[" * 100_000 + "]" * 100_000,
    "aliases one on the other": "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 5000))]),
    "a circle": "a: &a [*a]",
    "a circle of keys": "a: &a {b: &b {c: *a, d: *b}}",
    "laughs": laughs(merge=False),
    "merged laughs": laughs(merge=True),
}
WRONG = {
    "an integer of 5000 digits": "a: " + "9" * 5000,
    "an empty integer": "a: !!int ''",
    "no time": "a: !!timestamp noon",
    "no truth": "a: !!bool perhaps",
    "no day": "a: 2001-99-99",
    "an object": "a: !!python/object/apply:os.system [exit]",
    "keys that are lists": "[a, b]: c",
    "control characters": "a: \x07",
    "half a document": "a: 'b",
    "two documents": "a: 1\n---\nb: 2",
}


def read_style(path: Path) -> Any:
    return StyleLibrary([path.parents[1]]).resolve(path.parent.name, Path())


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "values": ("some.yaml", load_small_yaml),
    "manifest": ("lines.yaml", lambda path: load_manifest(path, Rig.load("arkit52"))),
    "rig": ("rig.yaml", lambda path: Rig.load(str(path))),
    "style": ("styles/mine/style.yaml", read_style),
    "gesture": ("nod.yaml", lambda path: load_clip(MotionFile(path).located(), Rig.load("arkit52"))),
    "configuration": ("config.yaml", lambda path: load_config(None, path)),
    "split": ("split.yaml", read_split_file),
}


@pytest.mark.parametrize("what", [*ENDLESS, *WRONG])
@pytest.mark.parametrize("reader", READERS)
def test_no_yaml_crashes_or_hangs_a_reader(tmp_path: Path, reader: str, what: str) -> None:
    name, read = READERS[reader]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((ENDLESS | WRONG)[what], encoding="utf-8")
    begin = time.thread_time()
    with pytest.raises(MsmdError) as caught:
        read(path)
    assert time.thread_time() - begin < 60  # some tenths of a second, or for ever
    assert len(caught.value.message) < 1000 and str(path) in caught.value.message


@pytest.mark.parametrize("what", ENDLESS)
def test_what_is_endless_is_called_so(tmp_path: Path, what: str) -> None:
    (tmp_path / "some.yaml").write_text(ENDLESS[what], encoding="utf-8")
    with pytest.raises(DocumentError, match=r"nested too deeply|alias that contains itself|aliases stand for more"):
        load_small_yaml(tmp_path / "some.yaml")


@pytest.mark.parametrize("deep", ["[" * 3000, "a: " + "[" * 3000, "{a: " * 3000, "- " * 3000, "[" * 51 + "]" * 51])
def test_our_limit_of_depth_holds_before_the_library_s(tmp_path: Path, deep: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_yaml(deep, "lines.yaml")
    assert caught.value.message == "lines.yaml: nested too deeply"
    (tmp_path / "some.yaml").write_text(deep, encoding="utf-8")
    with pytest.raises(DocumentError, match="nested too deeply"):
        load_small_yaml(tmp_path / "some.yaml")


def test_brackets_in_a_text_are_no_depth() -> None:
    with pytest.raises(DocumentError, match=r"lines\.yaml:4:1: this is not YAML"):
        parse_yaml("a: '" + "[" * 3000 + "'\nb: [1\nc", "lines.yaml")
    assert parse_yaml("[" * 49 + "]" * 49, "lines.yaml").items


def test_plain_values_are_those_of_yaml(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("\ufeffa: &a [1, 2.5, yes, ~, 'x', é]\nb: {<<: {c: 1}, d: *a}\ne: 0x1f\n", encoding="utf-8")
    a = [1, 2.5, True, None, "x", "é"]
    assert load_small_yaml(path) == {"a": a, "b": {"c": 1, "d": a}, "e": 31}
    path.write_text("")
    assert load_small_yaml(path) is None
    path.write_text("a:\n  b: [1\n")
    with pytest.raises(DocumentError, match=r"some\.yaml:3:1: this is not YAML"):
        load_small_yaml(path)


@pytest.mark.parametrize("name", ["lines.json", "bundle.json", "report.json"])
def test_no_json_crashes_a_reader(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    readers: dict[str, Callable[[], Any]] = {
        "lines.json": lambda: load_manifest(path, Rig.load("arkit52")),
        "bundle.json": lambda: Bundle.load(tmp_path),
        "report.json": lambda: write_review(tmp_path, ReviewOptions()),
    }
    for text in ("[" * 100_000, '{"lines":' * 100_000, json.dumps({"lines": "9" * 9}).replace('"9', "9" * 5000 + '"')):
        path.write_text(text)
        with pytest.raises(MsmdError):
            readers[name]()
