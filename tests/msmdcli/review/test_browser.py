"""The page in a browser, opened from a disk: play, step, compare, mark, carry back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_project import Project

from msmdcli.batch.approvals import Approvals
from msmdcli.formats.registry import read_motion
from msmdcli.manifest.loading import load_manifest
from msmdcli.motion.rig import Rig
from msmdcli.review.marks import take_in
from msmdcli.review.page import ReviewOptions, write_review

RIG = Rig.load("arkit52")
PATIENCE = 300_000  # ms
Made = Callable[..., Path]


def opened(browser: Any, page: Path, **options: Any) -> tuple[Any, list[str]]:
    """The page in a new tab, and the errors it has thrown so far."""
    tab = browser.new_page(**({"viewport": {"width": 1400, "height": 880}} | options))
    tab.set_default_timeout(PATIENCE)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.goto(page.as_uri())
    tab.wait_for_selector("body[data-ready]")
    return tab, errors


def saved(tab: Any, to: Path) -> Path:
    """The file that the button gives."""
    with tab.expect_download() as download:
        tab.click("#download")
    assert download.value.suggested_filename.endswith("-review.yaml")
    download.value.save_as(to)
    return to


@pytest.mark.slow
@pytest.mark.parametrize("one_file", [False, True])
def test_see_hear_step_and_loop(browser: Any, tmp_path: Path, made_batch: Made, one_file: bool) -> None:
    out = made_batch(tmp_path, 6, seconds=2.0, fps=30)
    page = write_review(out, ReviewOptions(one_file=one_file)).page
    if one_file:  # as somebody gets it by mail
        page = Path(shutil.move(page, tmp_path / "mail.html"))
        shutil.rmtree(out)
        (tmp_path / "a voice.wav").unlink()
    tab, errors = opened(browser, page)
    assert tab.evaluate("review.lines[0].text") == "</script><b>not markup</b>"
    tab.wait_for_function("review.now !== null && review.player.sound.readyState >= 3 && review.head.drawn > 0")
    assert abs(tab.evaluate("review.player.sound.duration") - 2.0) < 0.05
    values = read_motion(out / "line.npz").values if not one_file else None
    for key, frame in (("Home", 0), ("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10)):
        tab.keyboard.press(key)
        assert tab.evaluate("review.player.frame") == frame, key
    if values is not None:
        jaw = tab.evaluate(
            "review.now.motion.values[10 * review.now.motion.width + review.now.motion.column.get('jawOpen')]"
        )
        assert abs(jaw - values[10, RIG.index("jawOpen")]) < 1e-3
    places = "review.head.places.reduce((sum, x) => sum + Math.abs(x), 0)"
    before = tab.evaluate(places)
    tab.keyboard.press("Shift+ArrowRight")
    assert tab.evaluate(places) != before, "the head is posed for the frame"
    tab.keyboard.press("t")
    assert tab.evaluate("review.head.camera.position.x") > 100
    tab.evaluate(
        "window.posed = []; const pose = review.head.pose.bind(review.head);"
        "review.head.pose = (m, at) => { posed.push([at, review.player.time]); pose(m, at); }; null"
    )
    tab.evaluate("review.player.range = [0.5, 0.9]; review.player.loop = true")
    tab.keyboard.press("Space")
    back = "posed.some(([, time], k) => k > 2 && time < posed[k - 1][1] - 0.1)"
    tab.wait_for_function(back)  # it has looped
    tab.keyboard.press("Space")
    posed = tab.evaluate("posed.slice(2, -2)")
    assert np.median([abs(at / 30 - time) for at, time in posed]) < 0.02, "the picture is that of the sound"
    assert all(time > 0.4 for _, time in posed)
    assert errors == []
    tab.close()


@pytest.mark.slow
def test_mark_save_and_carry_back(browser: Any, project: Project) -> None:
    project.write("".join(f"  - {{id: l{n}, audio: audio/line{n}.wav, text: words of {n}}}\n" for n in range(4)))
    assert project.run() == 0
    tab, errors = opened(browser, write_review(project.out, ReviewOptions(one_file=True)).page)
    assert tab.locator("#download").is_disabled()
    for line, keys in (("l0", "a"), ("l1", "r"), ("l2", "r"), ("l3", "")):
        tab.evaluate(f"review.list.onChoose('{line}')")
        tab.wait_for_function(f"review.current.id === '{line}'")
        for key in keys:
            tab.keyboard.press(key)
    tab.fill("#note", 'ask Jo: "is it\u2028#1"?')
    tab.evaluate("review.list.onChoose('l2')")
    assert tab.evaluate("Object.keys(review.marks.of(review.current).keys)") == ["seed"]
    tab.select_option("[data-key=style] select", "angry")
    tab.fill("[data-key=intensity] input[type=number]", "1.25")
    tab.keyboard.press("Enter")
    tab.click("[data-key=seed] .reset")
    tab.fill("#note", "more anger")
    assert tab.locator("#marked").text_content() == "1 approved, 2 to redo"
    tab.select_option("#filters select[name=mark]", "to redo")
    assert tab.evaluate("review.list.shown.map((line) => line.id).sort()") == ["l1", "l2"]
    path = saved(tab, project.folder / "mail.yaml")
    tab.reload()
    tab.wait_for_selector("body[data-ready]")
    assert tab.locator("#marked").text_content() == "1 approved, 2 to redo", "marks stay in the browser"
    assert errors == []
    tab.close()

    lines = {line.id: line for line in load_manifest(path, RIG).lines}
    assert lines["l1"].choices.seed == 1 and lines["l1"].choices.style is None
    assert lines["l2"].choices.intensity == 1.25 and lines["l2"].choices.style[0].name == "angry"  # type: ignore[index]
    assert lines["l2"].choices.seed is None
    found = take_in(path, project.out)
    assert (found.approved, found.redo, found.noted, found.stale) == (("l0",), ("l1", "l2"), ("l3",), ())
    assert Approvals(project.out).read()["l3"] == {"note": 'ask Jo: "is it\u2028#1"?'}
    assert project.run(manifest=path) == 0 and project.statuses() == {"l1": "made", "l2": "made"}
    assert {line["id"]: line["style"] for line in project.report()["lines"]}["l2"] == "angry x1.25"

    tab, errors = opened(browser, write_review(project.out, ReviewOptions(one_file=True)).page)
    assert tab.locator("#marked").text_content() == "1 approved, 0 to redo", "marks of takes that are gone are over"
    tab.evaluate("review.list.onChoose('l2')")
    tab.keyboard.press("r")
    assert tab.evaluate("review.current.now.style") == "angry", "the controls begin where the line is"
    tab.evaluate("review.list.onChoose('l0')")
    tab.keyboard.press("u")
    path = saved(tab, project.folder / "mail.yaml")
    assert take_in(path, project.out).withdrawn == ("l0",) and "l0" not in Approvals(project.out).read()
    assert errors == []
    tab.close()


@pytest.mark.slow
def test_the_take_before_and_other_takes(browser: Any, project: Project) -> None:
    project.write(
        "  - {id: l2, audio: audio/line2.wav}\n  - {id: many, audio: audio/line1.wav, takes: 3}\n", "{style: angry}"
    )
    assert project.run() == 0
    write_review(project.out)
    redo = project.folder / "redo.yaml"
    redo.write_text("version: 1\nredo: lines.yaml\nlines: [{id: l2, seed: 5}]\n", encoding="utf-8")
    assert project.run(manifest=redo) == 0
    tab, errors = opened(browser, write_review(project.out).page)
    tab.evaluate("review.list.onChoose('l2')")
    tab.wait_for_function("review.before !== null && review.player.sound.readyState >= 3")
    tab.evaluate("review.player.seek(1.0)")
    tab.wait_for_function("!review.player.sound.seeking")
    shape = "review.head.places.reduce((sum, x) => sum + Math.abs(x), 0)"
    now = tab.evaluate(shape)
    tab.keyboard.press("b")
    assert tab.evaluate("review.comparing") and tab.evaluate(shape) != now
    assert abs(tab.evaluate("review.player.time") - 1.0) < 0.05, "at the same place of the sound"
    tab.keyboard.press("b")
    assert abs(tab.evaluate(shape) - now) < 1e-3
    tab.evaluate("review.list.onChoose('many_take1')")
    tab.wait_for_function("review.now !== null && review.player.sound.readyState >= 3")
    assert tab.locator("#compare").text_content() == "Other take"
    tab.evaluate("review.player.seek(0.6)")
    for name in ("many_take2", "many_take3", "many_take1"):
        tab.keyboard.press("b")
        tab.wait_for_function(f"review.current.id === '{name}' && review.now !== null && review.player.time > 0.5")
    assert errors == []
    tab.close()


@pytest.mark.slow
@pytest.mark.parametrize("one_file", [False, True])
def test_a_thousand_lines_stay_usable(browser: Any, tmp_path: Path, made_batch: Made, one_file: bool) -> None:
    page = write_review(made_batch(tmp_path, 1000), ReviewOptions(one_file=one_file)).page
    tab, errors = opened(browser, page)
    assert tab.evaluate("review.lines.length") == 1000 and tab.locator(".row").count() < 60
    for _ in range(20):
        tab.keyboard.press("j")
    tab.wait_for_function("review.current.id === 'quest/line_0020' && review.now !== null")
    assert tab.locator(".row.now .id").text_content() == "quest/line_0020"
    tab.keyboard.press("/")
    tab.keyboard.type("words of 734")
    assert tab.locator(".row").count() == 1
    tab.keyboard.press("Escape")
    tab.fill("#search", "")
    tab.select_option("#filters select[name=status]", "failed")
    assert tab.locator(".row .id").all_text_contents() == ["quest/line_0001"]
    assert errors == []
    tab.close()


@pytest.mark.slow
def test_what_is_missing_is_said(browser: Any, tmp_path: Path, made_batch: Made) -> None:
    out = made_batch(tmp_path, 2)
    page = write_review(out).page
    shutil.rmtree(out / "review")
    tab, _ = opened(browser, page)
    tab.wait_for_selector("#message:not([hidden])")
    assert "send the whole folder" in tab.locator("#message").text_content()
    tab.keyboard.press("j")
    tab.wait_for_function("review.current.status === 'failed'")
    assert "no such recording" in tab.locator("#about-line").text_content()
    tab.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (900, "dark")])
def test_nothing_lies_over_anything(browser: Any, project: Project, width: int, scheme: str) -> None:
    assert project.run(choices=replace(project.options.choices, formats=("npz",))) == 0
    view = {"width": width, "height": 800}
    tab, errors = opened(browser, write_review(project.out).page, viewport=view, color_scheme=scheme)
    tab.wait_for_function("review.now !== null")
    tab.keyboard.press("r")
    for side in ("lines", "refine") if width < 1150 else ("",):
        if side:
            tab.click(f"#sides button[data-to={side}]")
        boxes = {
            name: tab.locator(name).bounding_box()
            for name in ("header", "#lines", "main", "#refine")
            if tab.locator(name).is_visible()
        }
        assert len(boxes) == (3 if side else 4)
        for name, a in boxes.items():
            assert a["x"] >= 0 and a["x"] + a["width"] <= width + 0.5 and a["y"] + a["height"] <= 800.5, name
            for other, b in boxes.items():
                apart = (
                    a["x"] + a["width"] <= b["x"] + 0.5
                    or b["x"] + b["width"] <= a["x"] + 0.5
                    or a["y"] + a["height"] <= b["y"] + 0.5
                    or b["y"] + b["height"] <= a["y"] + 0.5
                )
                assert name == other or apart, (name, other)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width and errors == []
    tab.close()
