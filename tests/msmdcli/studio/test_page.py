"""The page in a browser: open, play, change, keep, and what the batch then writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from batch_project import Project
from studio_page import opened, shown

from msmdcli.formats.registry import read_motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
MANY = 10_000


@pytest.mark.slow
def test_change_keep_and_the_batch_writes_what_was_shown(browser: Any, project: Project, serve: Callable) -> None:
    project.write(
        "  # the first\n  - id: line1   # shouted\n    audio: audio/line1.wav\n"
        "  - {id: line2, audio: audio/line2.wav}\n"
    )
    before = project.manifest.read_text(encoding="utf-8")
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    first = shown(tab)
    assert tab.locator(".row.now .id").text_content() == "line1"
    tab.select_option("[data-key=style] select", "angry")
    tab.wait_for_function("studio.before !== null")
    assert not np.array_equal(shown(tab), first)
    tab.keyboard.press("Control+z")
    tab.wait_for_function("studio.now.view.style === 'neutral'")
    assert np.array_equal(shown(tab), first), "undo gives the very take"
    tab.keyboard.press("Control+Shift+Z")
    tab.wait_for_function("studio.now.view.style === 'angry'")
    tab.fill("[data-key=intensity] input[type=number]", "1.25")
    tab.keyboard.press("Enter")
    tab.wait_for_function("studio.now.view.style === 'angry x1.25'")
    tab.click("[data-key=style] button:text('Mix with another')")
    tab.wait_for_function("studio.now.view.style.includes('+')")
    last = shown(tab)
    tab.click("#keep")
    tab.wait_for_selector("#message.good")
    text = project.manifest.read_text(encoding="utf-8")
    added = "    style: [{ref: angry, weight: 1}, {ref: afraid_whisper, weight: 0.5}]\n    intensity: 1.25\n"
    assert text == before.replace("    audio: audio/line1.wav\n", "    audio: audio/line1.wav\n" + added)
    assert tab.locator("#keep").is_disabled()
    tab.keyboard.press("Control+z")  # what was kept can be taken back
    tab.wait_for_function("studio.now.view.style === 'angry x1.25' && !studio.making()")
    assert tab.evaluate("studio.changes.get('line1').keys") == {"style": "angry"}
    tab.keyboard.press("Control+Shift+Z")
    tab.wait_for_function("studio.now.view.style.includes('+') && !studio.making()")
    assert tab.locator("#keep").is_disabled() and np.array_equal(shown(tab), last)
    project.manifest.write_text(text.replace("intensity: 1.25", "intensity: 1.5"), encoding="utf-8")  # an editor
    tab.wait_for_function("studio.now?.view.style.endsWith('x1.5')")
    project.manifest.write_text(text, encoding="utf-8")
    assert errors == []
    tab.close()
    assert project.run() == 0
    np.testing.assert_array_equal(read_motion(project.out / "line1.npz").values, last)


@pytest.mark.slow
def test_play_loop_step_and_compare(browser: Any, project: Project, serve: Callable) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    tab.evaluate("studio.list.onChoose('line2')")
    tab.wait_for_function("studio.now?.view.id === 'line2' && studio.player.sound.readyState >= 3")
    tab.keyboard.press("l")  # else it may have ended before anybody looks
    tab.keyboard.press("Space")
    tab.wait_for_function("studio.player.playing && studio.player.time > 0.2 && studio.head.drawn > 2")
    tab.keyboard.press("Space")
    tab.wait_for_function("!studio.player.playing")
    tab.keyboard.press("l")
    for key, frame in (("Home", 0), ("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10)):
        tab.keyboard.press(key)
        assert tab.evaluate("studio.player.frame") == frame, key
    jaw = "studio.head.places.reduce((sum, x) => sum + Math.abs(x), 0)"
    places = tab.evaluate(jaw)
    tab.keyboard.press("Shift+ArrowRight")
    assert tab.evaluate(jaw) != places, "the head is posed for the frame"
    for key in ("[", "["):
        tab.keyboard.press(key)
    assert tab.evaluate("studio.player.sound.playbackRate") == 0.5
    box = tab.locator("#wave").bounding_box()
    x = lambda time: box["x"] + tab.evaluate(f"studio.timeline.x({time})")  # noqa: E731
    tab.mouse.move(x(0.5), box["y"] + 30)
    tab.mouse.down()
    tab.mouse.move(x(0.9), box["y"] + 30, steps=4)
    tab.mouse.up()
    low, high = tab.evaluate("studio.player.range")
    assert abs(low - 0.5) < 0.02 and abs(high - 0.9) < 0.02 and tab.evaluate("studio.player.loop")
    tab.keyboard.press("Space")
    tab.evaluate(
        """(async () => {
            window.times = [];
            for (let i = 0; i < 60; i += 1) {
                await new Promise(requestAnimationFrame);
                times.push([studio.player.time, performance.now() / 1000]);
            }
        })()"""
    )
    tab.keyboard.press("Space")
    times = tab.evaluate("times")
    late = max(b - a for (_, a), (_, b) in pairwise(times))  # a picture may be; the sound goes on meanwhile
    assert all(0.45 <= time <= 1.0 + 2 * late for time, _ in times)
    tab.keyboard.press("n")  # another take
    tab.wait_for_function("studio.before !== null")
    now, before = tab.evaluate("[studio.now.view.seed, studio.before.view.seed]")
    assert (now, before) == ("1", "0")
    tab.keyboard.press("b")
    assert tab.evaluate("studio.comparing") and "seed 0" in tab.locator("#facts").text_content()
    assert errors == []
    tab.close()


@pytest.mark.slow
def test_blocks_pins_and_a_retake(browser: Any, project: Project, serve: Callable) -> None:
    """What is drawn on the timeline is said in the manifest, and the batch writes what was shown."""
    project.write("  - id: line2\n    audio: audio/line2.wav\n    gestures: [{name: nod, at: 0.5}]  # agreed\n")
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    sheet = tab.locator("#sheet").bounding_box()

    def at(row: str, seconds: float, y: str = "row.top + row.height / 2") -> tuple[float, float]:
        found = f"const row = studio.timeline.rows.find({row}); return [studio.timeline.x({seconds}), {y}];"
        right, down = tab.evaluate(f"(() => {{ {found} }})()")
        return sheet["x"] + right, sheet["y"] + down

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        tab.mouse.move(*start)
        tab.mouse.down()
        tab.mouse.move(*end, steps=5)
        tab.mouse.up()
        tab.wait_for_function("!studio.making()")

    gestures, segments = "one => one.lane?.name === 'gestures'", "one => one.lane?.name === 'segments'"
    drag(at(gestures, 0.6), at(gestures, 1.6))
    assert abs(tab.evaluate("studio.lists.list('gestures')[0].at") - 1.5) < 0.03
    tab.mouse.dblclick(*at(segments, 1.0))
    tab.wait_for_function("studio.lists.list('segments').length === 1 && !studio.making()")
    tab.select_option("#block [data-key=style] select", "angry")
    tab.wait_for_function("studio.now.view.style.includes('s: angry') && !studio.making()")
    assert abs(tab.evaluate("studio.lists.list('segments')[0].start") - 1.0) < 0.02
    tab.keyboard.press("Escape")

    tab.evaluate("studio.timeline.toggle('jaw')")
    jaw = "one => one.inner && one.channels[0] === 'jawOpen'"
    tab.evaluate("studio.timeline.curves.scrollTop = 0")
    value = "motion.values[25 * motion.width + motion.column.get('jawOpen')]"
    curve = f"(({{motion}}) => row.y({value}, 'jawOpen'))(studio.now)"
    drag(at(jaw, 1.0, curve), at(jaw, 1.0, "row.top + 5"))
    (pin,) = tab.evaluate("studio.lists.list('pins')")
    assert pin["time"] == 1.0 and list(pin["channels"]) == ["jawOpen"]
    jaw_open = RIG.index("jawOpen")
    assert shown(tab)[25, jaw_open] == np.float32(pin["channels"]["jawOpen"]), "the pin is met"

    before = shown(tab)
    tab.evaluate("studio.player.range = [1.4, 2.2]; studio.player.tell()")
    tab.keyboard.press("r")
    tab.wait_for_function("studio.now.view.seed === '1' && !studio.making()")
    last = shown(tab)
    np.testing.assert_array_equal(last[: round(1.4 * 25)], before[: round(1.4 * 25)])
    np.testing.assert_array_equal(last[round(2.2 * 25) + 1 :], before[round(2.2 * 25) + 1 :])
    assert np.abs(last - before)[36:54].max() > 0.01
    assert "all of this line but 1.36 to 2.24 s" in tab.locator("#held").text_content()
    tab.click("#free")
    tab.wait_for_function("studio.lists.list('pins').length === 0 && !studio.making()")
    assert not tab.is_visible("#held") and np.abs(shown(tab) - last)[:30].max() > 0
    tab.keyboard.press("Control+z")
    tab.wait_for_function("studio.lists.list('pins').length === 2 && !studio.making()")
    assert np.array_equal(shown(tab), last)
    tab.keyboard.press("Control+s")
    tab.wait_for_selector("#message.good")
    assert errors == []
    tab.close()
    assert "# agreed" in project.manifest.read_text(encoding="utf-8")
    assert project.run() == 0
    np.testing.assert_array_equal(read_motion(project.out / "line2.npz").values, last)


@pytest.mark.slow
def test_every_choice_of_the_schema_has_a_control(browser: Any, project: Project, serve: Callable) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    keys = studio.json("api/project")["keys"]
    for name in keys:
        assert tab.locator(f"[data-key={name}]").count() == 1, name
    kinds = tab.evaluate(
        """import('./static/refine.js').then(({kindOf}) => {
            const mood = {anyOf: [{type: 'number', minimum: 0, maximum: 2}, {type: 'null'}]};
            const keys = Object.entries({...studio.about.keys, mood});
            return Object.fromEntries(keys.map(([key, schema]) => [key, kindOf(schema).kind]));
        })"""
    )
    assert kinds["style"] == "style" and kinds["mood"] == "number" and kinds["seed"] == "number"
    assert kinds["blinks"] == "either" and kinds["when_longer"] == "words" and kinds["pins"] == "json"
    assert errors == []
    tab.close()


@pytest.mark.slow
def test_ten_thousand_lines_cost_what_is_seen(browser: Any, project: Project, serve: Callable) -> None:
    project.write(
        "".join(f"  - {{id: quest/line_{n:05d}, audio: audio/line0.wav, text: words of {n}}}\n" for n in range(MANY))
    )
    project.out.mkdir()
    records = [
        {"id": f"quest/line_{n:05d}", "status": "failed" if n == 7000 else "made", "score": n % 97} for n in range(MANY)
    ]
    (project.out / "report.json").write_text(
        json.dumps({"lines": records, "settings": {"manifest": str(project.manifest)}})
    )
    studio = serve(str(project.out))
    tab, errors = opened(browser, studio.address)
    assert tab.evaluate("studio.lines.size") == MANY
    assert tab.locator(".row").first.locator(".id").text_content() == "quest/line_07000"  # the failed one
    assert tab.locator(".row").count() < 60
    assert tab.evaluate("studio.counted.requests") <= 5, "project, lines, one line, its head"
    tab.keyboard.press("/")
    tab.keyboard.type("words 1234")
    assert tab.evaluate("studio.list.shown.length") == 1
    assert tab.locator(".row").count() == 1
    tab.keyboard.press("Escape")
    assert tab.evaluate("studio.counted.requests") <= 5, "searching asks for nothing"
    tab.fill("#search", "")
    tab.evaluate("studio.list.box.scrollTop = 1e9")
    tab.wait_for_function(f"studio.list.rows.has({MANY - 1})")
    assert tab.locator(".row").count() < 60 and errors == []
    tab.close()


@pytest.mark.slow
def test_the_page_works_under_its_own_policy_and_no_other_page_reaches_it(
    browser: Any, project: Project, serve: Callable
) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address, bypass_csp=False)
    assert tab.locator("#view canvas").count() == 1 and errors == []
    tab.close()
    other = serve(str(project.manifest), "--out", str(project.out))  # another port of this machine: another origin
    evil = browser.new_page(bypass_csp=True)
    evil.goto(other.address)
    asking = """async ([address, how]) => {
        try {
            const answer = await fetch(address, how);
            return [answer.type, answer.status];
        } catch (error) {
            return ["refused", 0];
        }
    }"""
    body = json.dumps({"id": "line1", "keys": {"style": "angry"}})
    before = project.manifest.read_text(encoding="utf-8")
    assert evil.evaluate(asking, [studio.address + "api/lines", {}])[0] == "refused"
    evil.evaluate(asking, [studio.address + "api/keep", {"method": "POST", "mode": "no-cors", "body": body}])
    assert project.manifest.read_text(encoding="utf-8") == before
    evil.close()
