"""A line that a redo made is shown as it is in OUT, and stays so once it is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_project import Project as BatchProject
from studio_page import PATIENCE, opened, values_of

from msmdcli.documents.nodes import Node
from msmdcli.formats.registry import read_motion
from msmdcli.manifest.lines import RedoEntry
from msmdcli.review.page import write_review
from msmdcli.studio.places import Place
from msmdcli.studio.project import Project
from msmdcli.studio.redone import redone_keys

LINES = """\
  - {id: line0, audio: audio/line1.wav}
  - {id: line1, audio: audio/line2.wav, seed: 3}
  - {id: many, audio: audio/line0.wav, takes: 2}
"""


@pytest.fixture
def redone(project: BatchProject) -> BatchProject:
    project.write(LINES)
    assert project.run() == 0
    redo = project.folder / "redo.yaml"
    redo.write_text(
        "version: 1\nredo: lines.yaml\nlines:\n  - {id: line1, seed: 5, style: angry, note: louder}\n"
        "  - {id: many_take2, seed: 8}\n"
    )
    assert project.run(manifest=redo) == 0
    return project


def test_it_is_shown_as_it_is_in_out_and_kept_for_good(redone: BatchProject) -> None:
    pytest.importorskip("starlette")
    from msmdcli.studio.answers import Studio

    there = redone.bytes_of()
    studio = Studio(Project(redone.options))
    try:
        assert studio.make("line0", {})["redone"] == {} and studio.make("many_take1", {})["redone"] == {}
        keys = studio.make("line1", {})["redone"]
        assert keys == {"seed": 5, "style": "angry"}
        table = studio.lines()
        place = table["columns"].index("redone")
        assert {row[0] for row in table["rows"] if row[place]} == {"line1", "many_take2"}
        studio.keep("line1", keys)
        assert studio.make("line1", {})["redone"] == {}
    finally:
        studio.close()
    assert redone.run() == 0
    assert redone.statuses()["line1"] == "unchanged" and redone.bytes_of()["line1.npz"] == there["line1.npz"]


def test_a_report_of_another_manifest_says_nothing(redone: BatchProject, tmp_path: Path) -> None:
    report = redone.out / "report.json"
    said = json.loads(report.read_text(encoding="utf-8"))
    said["settings"]["manifest"] = str(tmp_path / "other.yaml")
    report.write_text(json.dumps(said), encoding="utf-8")
    assert Project(redone.options).redone("line1") == {}


def test_paths_start_from_the_manifest_again(tmp_path: Path) -> None:
    place = Place(Node({}, 1, 1))
    for name in ("project/takes", "reviews"):
        (tmp_path / name).mkdir(parents=True)
    entry = "{id: a, style: [{ref: ../project/takes/x.csv@1-2, weight: 0.5}, {ref: angry, weight: 0.5}], seed: 2}"
    found = redone_keys([RedoEntry(tmp_path / "reviews", entry)], place, tmp_path / "project")
    assert found["style"][1]["ref"] == "angry" and found["seed"] == 2
    found_at = tmp_path / "project" / found["style"][0]["ref"].removesuffix("@1-2")
    assert found_at.resolve() == tmp_path / "project/takes/x.csv"


def test_a_take_is_shown_as_it_is_in_out_and_becomes_the_line(redone: BatchProject) -> None:
    pytest.importorskip("starlette")
    from msmdcli.studio.answers import Studio

    there = read_motion(redone.out / "many_take2.npz").values
    studio = Studio(Project(redone.options))
    try:
        usual = studio.make("many_take2", {})
        assert usual["seed"] == "1" and usual["take"] == 2 and usual["redone"] == {"seed": 8, "takes": None}
        made = studio.make("many_take2", usual["redone"])
        np.testing.assert_array_equal(values_of(made["curves"]), there)
        assert not np.array_equal(values_of(usual["curves"]), there)
        assert studio.keep("many_take2", usual["redone"])["id"] == "many"
        assert "{id: many, audio: audio/line0.wav, seed: 8}" in redone.manifest.read_text(encoding="utf-8")
    finally:
        studio.close()
    assert redone.run() == 0
    np.testing.assert_array_equal(read_motion(redone.out / "many.npz").values, there)


def test_the_review_page_says_which_lines_and_takes_are_redone(redone: BatchProject) -> None:
    write_review(redone.out)
    text = (redone.out / "review.html").read_text(encoding="utf-8")
    found = re.search(r'id="lines-data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    lines = {line["id"]: line for line in json.loads(found[1])}
    assert {name for name, line in lines.items() if line.get("redone")} == {"line1", "many_take2"}
    assert lines["many_take2"]["now"]["seed"] == 8, "its controls begin where it is"


@pytest.mark.slow
def test_the_page_says_so_and_undo_shows_the_manifest(browser: Any, redone: BatchProject, serve: Callable) -> None:
    studio = serve(str(redone.manifest), "--out", str(redone.out), "--formats", "livelink-csv,npz")
    tab, errors = opened(browser, studio.address)
    assert tab.locator(".row[data-id=line1] .more").text_content().startswith("redone")
    tab.evaluate("studio.list.onChoose('line0')")
    tab.wait_for_function("studio.now?.view.id === 'line0'")
    assert not tab.is_visible("#redone")
    tab.evaluate("studio.list.onChoose('line1')")
    tab.wait_for_function("studio.now?.view.id === 'line1' && studio.now.view.seed === '5'", timeout=PATIENCE)
    assert tab.is_visible("#redone") and tab.is_enabled("#keep")
    tab.keyboard.press("Control+z")
    tab.wait_for_function("studio.now.view.seed === '3'")
    assert not tab.is_visible("#redone") and not tab.is_enabled("#keep")
    tab.keyboard.press("Control+Shift+z")
    tab.wait_for_function("studio.now.view.seed === '5'")
    tab.keyboard.press("Control+s")
    tab.wait_for_function("document.querySelector('#keep').disabled")
    assert "seed: 5" in redone.manifest.read_text(encoding="utf-8") and not tab.is_visible("#redone")
    tab.wait_for_function("!document.querySelector('.row[data-id=line1] .more').textContent.startsWith('redone')")
    tab.evaluate("studio.list.onChoose('many_take2')")
    tab.wait_for_function("studio.now?.view.seed === '8' && !studio.making()")
    assert tab.is_visible("#redone") and "other takes go" in tab.locator("#redone").text_content()
    assert tab.locator(".row[data-id=many_take2] .more").text_content().startswith("redone")
    tab.keyboard.press("Control+s")
    tab.wait_for_function("studio.current === 'many' && studio.lines.size === 3")
    assert not errors


SLOW = """() => {
  const real = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await real(...asked);
    if (String(asked[0]).includes("keep")) await new Promise((done) => setTimeout(done, 7000));
    return answer;
  };
}"""


@pytest.mark.slow
def test_a_take_that_is_kept_stays_open_however_long_the_answer_takes(
    browser: Any, redone: BatchProject, serve: Callable
) -> None:
    """Twice the page looks at the disk while the manifest is written, where the take is no line any more."""
    studio = serve(str(redone.manifest), "--out", str(redone.out), "--formats", "livelink-csv,npz")
    tab, errors = opened(browser, studio.address)
    tab.evaluate(SLOW)
    tab.evaluate("studio.list.onChoose('many_take2')")
    tab.wait_for_function("studio.now?.view.seed === '8' && !studio.making()")
    tab.keyboard.press("Control+s")
    tab.wait_for_function("studio.writing")
    tab.wait_for_function("!studio.writing")
    assert tab.evaluate("studio.current") == "many" and tab.evaluate("studio.lines.size") == 3
    assert not errors
