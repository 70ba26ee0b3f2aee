"""The page in a browser: by keys alone, beside its reference, a dropped take, a dub, and sound and picture in step."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from batch_project import Project
from studio_page import opened, shown
from voice_lines import write_sound

from msmdcli.formats.registry import read_motion
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
DRIFT = 0.02  # seconds between sound and picture
DROP = """async ([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name));
    for (const kind of ["dragenter", "dragover", "drop"]) {
        const event = new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
        document.getElementById("stage").dispatchEvent(event);
        if (kind === "dragover") window.overlay = !document.getElementById("drop").hidden;
    }
}"""


def settled(tab: Any) -> None:
    tab.wait_for_function("!studio.making() && studio.now !== null")


@pytest.mark.slow
def test_a_line_is_changed_by_keys_alone(browser: Any, project: Project, serve: Callable) -> None:
    project.write("  - {id: line2, audio: audio/line2.wav}\n  - {id: line1, audio: audio/line1.wav}\n")
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    press = tab.keyboard.press
    press("ArrowDown")
    tab.wait_for_function("studio.now?.view.id === 'line1'")
    press("ArrowUp")
    tab.wait_for_function("studio.now?.view.id === 'line2' && studio.player.sound.readyState >= 1")
    for _ in range(2):
        press("Shift+ArrowRight")
    press("g")  # a gesture at frame 20
    settled(tab)
    (gesture,) = tab.evaluate("studio.lists.list('gestures')")
    assert gesture["name"] == "nod" and abs(gesture["at"] - 0.8) < 0.05
    assert tab.evaluate("document.activeElement.closest('#block') !== null"), "its controls come next"
    press("Escape")
    press("Alt+ArrowRight")
    settled(tab)
    assert tab.evaluate("studio.lists.list('gestures')[0].at") > gesture["at"]
    press("i")
    press("Shift+ArrowRight")
    press("o")
    low, high = tab.evaluate("studio.player.range")
    assert low < high and tab.evaluate("studio.player.loop")
    press("p")  # held for the range
    settled(tab)
    (pin,) = tab.evaluate("studio.lists.list('pins')")
    assert abs(pin["hold"] - (high - low)) < 0.02 and list(pin["channels"]) == ["browInnerUp"]
    press("Escape")
    press("Escape")
    assert tab.evaluate("studio.player.range") is None
    press(",")
    assert tab.evaluate("studio.lists.selected.name") in ("gestures", "pins")
    press("Delete")
    settled(tab)
    assert len(tab.evaluate("[...studio.lists.list('pins'), ...studio.lists.list('gestures')]")) == 1
    press("v")
    tab.wait_for_function("studio.reference.found !== null && studio.reference.head.drawn > 0")
    press("a")  # keeps first: an approval is of what the manifest says
    tab.wait_for_function("studio.lines.get('line2').approved")
    assert tab.locator("#keep").is_disabled()
    assert "gestures" in project.manifest.read_text(encoding="utf-8") or "pins" in project.manifest.read_text("utf-8")
    assert errors == []
    tab.close()


@pytest.mark.slow
def test_the_reference_beside_the_line(browser: Any, project: Project, serve: Callable) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    tab.evaluate("studio.list.onChoose('line2')")
    tab.wait_for_function("studio.now?.view.id === 'line2' && studio.player.sound.readyState >= 1")
    tab.click("#beside")
    tab.wait_for_function("studio.reference.found !== null && studio.reference.head.drawn > 0")
    assert tab.locator("#clip option").all_text_contents() == ["in step", "neutral, from its start"]
    places = "[...studio.reference.head.places].reduce((sum, x) => sum + Math.abs(x), 0)"
    tab.evaluate("studio.player.seek(0.5)")
    first = tab.evaluate(places)
    tab.evaluate("studio.player.seek(1.5)")
    assert tab.evaluate(places) != first, "it plays in step"
    assert "neutral" in tab.locator("#plays").text_content()
    widths = tab.evaluate("['view', 'performer'].map((id) => document.getElementById(id).clientWidth)")
    assert abs(widths[0] - widths[1]) <= 2
    tab.select_option("#clip", "0")
    assert "of 2.67 s" in tab.locator("#plays").text_content()
    tab.keyboard.press("t")
    same = "studio.reference.head.camera.position.distanceTo(studio.head.camera.position)"
    assert tab.evaluate(same) < 1e-6, "both are seen from one side"
    tab.select_option("#controls [data-key=style] select", "angry")
    tab.wait_for_function("studio.reference.found?.clips[0]?.name === 'angry'")
    tab.keyboard.press("v")
    assert tab.locator("#reference").is_hidden() and errors == []
    tab.close()


@pytest.mark.slow
def test_a_dropped_take_is_the_style_that_the_batch_takes(browser: Any, project: Project, serve: Callable) -> None:
    values = np.random.default_rng(5).uniform(0, 0.4, (90, RIG.size)).astype(np.float32)
    save_npz(project.folder / "mine.npz", Motion(values, Fraction(30), RIG))
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    tab.evaluate("studio.list.onChoose('line2')")
    tab.wait_for_function("studio.now?.view.id === 'line2'")
    content = base64_of((project.folder / "mine.npz").read_bytes())
    tab.evaluate(DROP, ["my take.npz", content])
    assert tab.evaluate("overlay") is True and tab.locator("#drop").is_hidden()
    tab.wait_for_function("studio.now?.view.style === 'takes/my_take.npz'")
    last = shown(tab)
    tab.evaluate(DROP, ["notes.txt", base64_of(b"hello")])
    tab.wait_for_selector("#message:not([hidden])")
    assert "notes.txt is no performance" in tab.locator("#message span").text_content()
    tab.keyboard.press("Control+s")
    tab.wait_for_selector("#message.good")
    tab.close()
    assert [one for one in errors if "400" not in one] == []
    assert project.run() == 0
    np.testing.assert_array_equal(read_motion(project.out / "line2.npz").values, last)


@pytest.mark.slow
def test_a_take_is_chosen_and_a_dub_changed(browser: Any, project: Project, serve: Callable) -> None:
    values = np.random.default_rng(3).uniform(0, 0.3, (90, RIG.size)).astype(np.float32)
    save_npz(project.folder / "take.npz", Motion(values, Fraction(30), RIG))
    project.write("  - {id: many, audio: audio/line2.wav, takes: 3}\n")
    with project.manifest.open("a", encoding="utf-8") as file:
        file.write("dub:\n  - {id: scene, original: take.npz, audio: audio/line1.wav}  # French\n")
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    tab.evaluate("studio.list.onChoose('many_take3')")
    tab.wait_for_function("studio.now?.view.id === 'many_take3'")
    take = shown(tab)
    tab.keyboard.press("c")
    tab.wait_for_function("studio.now?.view.id === 'many' && !studio.making()")
    assert np.array_equal(shown(tab), take)
    tab.keyboard.press("Control+s")
    tab.wait_for_function("studio.current === 'many' && studio.now !== null")
    assert tab.locator("#take").is_hidden() and tab.evaluate("[...studio.lines.keys()].sort()") == ["many", "scene"]
    tab.evaluate("studio.list.onChoose('scene')")
    tab.wait_for_function("studio.now?.view.id === 'scene'")
    assert tab.locator("#controls [data-key=style]").count() == 0, "the original is the style"
    tab.select_option("#controls [data-key=head] select", "off")
    tab.wait_for_function("studio.before !== null && !studio.making()")
    dub = shown(tab)
    tab.keyboard.press("Control+s")
    tab.wait_for_selector("#message.good")
    text = project.manifest.read_text(encoding="utf-8")
    assert "head: off" in text.replace("'", "").replace('"', "") and "# French" in text and "takes" not in text
    assert errors == []
    tab.close()
    assert project.run() == 0
    np.testing.assert_array_equal(read_motion(project.out / "many.npz").values, take)
    np.testing.assert_array_equal(read_motion(project.out / "scene.npz").values, dub)


@pytest.mark.slow
def test_sound_and_picture_stay_in_step_for_a_minute(browser: Any, project: Project, serve: Callable) -> None:
    """What is drawn against the sound's own clock at that moment, over 60 s of playing; and that clock against time."""
    write_sound(project.folder / "audio/long.wav", 62.0, seed=1)
    project.write("  - {id: long, audio: audio/long.wav}\n")
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    tab.wait_for_function("studio.player.sound.readyState >= 3")
    tab.evaluate(
        """() => {
            const { head, player, now } = studio;
            window.seen = [];
            const draw = head.renderer.render.bind(head.renderer);
            head.renderer.render = (...given) => {
                draw(...given);
                head.renderer.getContext().finish(); // the picture is there
                const picture = head.posed / now.drawn.fps;
                if (player.playing) seen.push([performance.now() / 1000, player.sound.currentTime, picture]);
            };
        }"""
    )
    tab.keyboard.press("Space")
    tab.wait_for_function("studio.player.time >= 60.5")
    tab.keyboard.press("Space")
    clock, sound, picture = np.array(tab.evaluate("seen")).T
    assert sound[-1] - sound[0] > 59
    if len(sound) < 120:
        pytest.skip(f"a machine that draws {len(sound)} pictures in a minute shows no drift")
    behind = sound - picture  # how old the picture is when it has been drawn
    first, last = behind[sound < 10], behind[sound > 50]
    assert abs(np.median(last) - np.median(first)) < DRIFT, "no drift"
    assert abs(np.median(behind)) < DRIFT and np.percentile(np.abs(behind), 90) < 2 * DRIFT, np.median(behind)
    rate = np.polyfit(clock, sound, 1)[0]
    assert abs(rate - 1) < 0.01, "the sound plays at its own rate"
    assert errors == []
    tab.close()


@pytest.mark.slow
def test_a_picture_that_stays_has_smooth_edges(browser: Any, project: Project, serve: Callable) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    if tab.evaluate("studio.head.smoothing === null"):
        pytest.skip("a graphics card draws smooth edges at once")
    soft = """(draws) => {
        const { head } = studio;
        draws === "smooth" ? head.smoothing.render(head.scene, head.camera) : head.draw();
        const pen = head.renderer.getContext();
        const { drawingBufferWidth: width, drawingBufferHeight: height } = pen;
        const pixels = new Uint8Array(4 * width * height);
        pen.readPixels(0, 0, width, height, pen.RGBA, pen.UNSIGNED_BYTE, pixels);
        return [pixels.some((x) => x > 0), pixels.filter((x, i) => i % 4 === 3 && x > 0 && x < 255).length];
    }"""
    assert tab.evaluate(soft, "plain") == [True, 0]
    something, edge = tab.evaluate(soft, "smooth")
    assert something and edge > 50, "pixels that the head covers in part"
    smooth = "studio.head.smoothing.drawn"
    before = tab.evaluate(f"studio.head.smoothing.busy = () => true, studio.head.draw(), {smooth}")
    tab.wait_for_timeout(700)
    assert tab.evaluate(smooth) == before, "another picture comes"
    tab.evaluate("studio.head.smoothing.busy = studio.busy")
    tab.wait_for_function(f"{smooth} > {before}")
    drawn, smoothed = tab.evaluate(f"[studio.head.drawn, {smooth}]")
    tab.wait_for_timeout(700)
    assert tab.evaluate(f"[studio.head.drawn, {smooth}]") == [drawn, smoothed], "nothing is drawn at rest"
    assert errors == []
    tab.close()


@pytest.mark.slow
def test_a_wrong_manifest_is_told_and_followed(browser: Any, project: Project, serve: Callable) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, _ = opened(browser, studio.address)
    good = project.manifest.read_text(encoding="utf-8")
    project.manifest.write_text(good + "  - {id: line9}\n", encoding="utf-8")
    tab.wait_for_selector("#message:not([hidden])")
    assert "no audio" in tab.locator("#message span").text_content()
    tab.evaluate("studio.player.sound.load()")  # as a browser asks for more of it
    tab.wait_for_function("studio.player.sound.readyState >= 1")
    assert "no audio" in tab.locator("#message span").text_content(), "an open line plays on"
    project.manifest.write_text(good.replace("line3.wav", "line1.wav"), encoding="utf-8")
    tab.wait_for_function("studio.now !== null && studio.stamp !== null")
    tab.close()


@pytest.mark.slow
def test_why_a_recording_is_not_played_is_said(browser: Any, project: Project, serve: Callable) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, _ = opened(browser, studio.address)
    tab.wait_for_function("studio.player.sound.readyState >= 1")
    recording = project.folder / "audio" / f"{tab.evaluate('studio.current')}.wav"
    recording.write_bytes(b"no sound")
    asked = "id => { studio.player.sound.src = `api/sound?id=${studio.current}&${id}`; }"  # past the browser's cache
    said = "text => document.querySelector('#message span').textContent.includes(text)"
    tab.evaluate(asked, "again")
    tab.wait_for_function(said, arg=recording.name)
    assert "cannot be played" not in tab.locator("#message span").text_content()
    recording.unlink()
    tab.evaluate(asked, "once more")
    tab.wait_for_function(said, arg="no such recording")
    assert recording.name in tab.locator("#message span").text_content()
    tab.close()


def base64_of(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode()


@pytest.mark.slow
def test_changed_lines_are_marked_and_kept_together(browser: Any, project: Project, serve: Callable) -> None:
    project.write("  - {id: line1, audio: audio/line1.wav}  # one\n  - {id: line2, audio: audio/line2.wav}  # two\n")
    studio = serve(str(project.manifest), "--out", str(project.out))
    tab, errors = opened(browser, studio.address)
    tab.select_option("[data-key=style] select", "angry")
    tab.wait_for_selector(".row.changed[data-id=line1]")
    assert not tab.is_visible("#keepall") and tab.locator(".row.changed").count() == 1
    tab.keyboard.press("Control+z")
    tab.wait_for_function("!document.querySelector('.row.changed')")
    tab.keyboard.press("Control+Shift+Z")
    tab.evaluate("studio.list.onChoose('line2')")
    tab.wait_for_function("studio.now?.view.id === 'line2'")
    tab.fill("[data-key=intensity] input[type=number]", "1.25")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#keepall:text('Keep all 2')")
    assert "2 changed" in tab.locator("#count").text_content()
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("Control+Shift+S")
    tab.wait_for_function("!document.querySelector('.row.changed')")
    text = project.manifest.read_text(encoding="utf-8")
    assert "style: angry}  # one" in text and "intensity: 1.25}  # two" in text
    assert not tab.is_visible("#keepall") and errors == []
    tab.fill("#search", "nothing has these words")
    tab.click(".none button")
    assert tab.locator(".row").count() == 2 and tab.input_value("#search") == ""
    tab.close()
