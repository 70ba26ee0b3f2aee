"""A video that a line follows is played beside it, in step; and no other file can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from batch_project import Project
from made_video import constant_times, numbered, write_video
from studio_page import PATIENCE, opened

from msmdcli.errors import UsageError
from msmdcli.styles.library import StyleReference

pytest.importorskip("starlette")
from msmdcli.studio.films import Films


def test_a_video_has_a_number_and_nothing_else_can_be_asked_for(tmp_path: Path) -> None:
    film = tmp_path / "take.mp4"
    write_video(film, [numbered(n) for n in range(5)], constant_times(5, Fraction(25)))
    films = Films()
    found = films.by_name({"a": StyleReference("a", (film, tmp_path / "b.npz"), "0" * 64, 1.5), "none": None})
    assert found == {"a": [{"number": 0, "name": "take.mp4", "start": 1.5}, None]}
    assert films.of(StyleReference("c", (film,), "1" * 64))[0]["number"] == 0, "one file has one number"  # type: ignore[index]
    assert films.answer("0").path == film and films.answer("0").media_type == "video/mp4"
    for wrong in ("1", "-1", "", "../take.mp4", str(film), "0x0", "9" * 40):
        with pytest.raises(UsageError, match="not there"):
            films.answer(wrong)
    film.unlink()
    with pytest.raises(UsageError, match="not there"):
        films.answer("0")


@pytest.fixture
def performed(tmp_path: Path, face_film: Path) -> bytes:
    """A short video of a face in an open format, which every build of Chromium plays."""
    made = tmp_path / "made.webm"
    with av.open(str(face_film)) as given, av.open(str(made), "w") as film:
        stream = film.add_stream("libvpx", rate=25)
        for number, picture in enumerate(given.decode(video=0)):
            if number == 0:
                stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
            if number == 60:
                break
            frame = picture.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return made.read_bytes()


@pytest.mark.slow
def test_the_picture_beside_the_line(browser: Any, project: Project, serve: Callable, performed: bytes) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    assert studio.sent("api/take?name=face.webm", performed, {})[0] == 200
    tab, errors = opened(browser, studio.address)
    tab.evaluate("studio.list.onChoose('line2')")
    tab.wait_for_function("studio.now?.view.id === 'line2' && studio.player.sound.readyState >= 1")
    tab.keyboard.press("v")
    tab.wait_for_function("studio.reference.found !== null")
    tab.keyboard.press("v")
    assert tab.locator("#reference").is_hidden(), "a style of motion files has no picture"
    asked = {"id": "line2", "keys": {"style": "takes/face.webm"}}
    while studio.json("api/make", asked).get("waiting"):
        pass
    tab.reload()  # so that the take is among the choices
    tab.wait_for_selector("body[data-ready]")
    tab.evaluate("studio.list.onChoose('line2')")
    tab.wait_for_function("studio.now?.view.id === 'line2' && studio.player.sound.readyState >= 1")
    tab.select_option("#controls [data-key=style] select", "takes/face.webm")
    tab.wait_for_function("studio.now.view.style === 'takes/face.webm' && !studio.making()")
    tab.keyboard.press("v")
    tab.wait_for_function("studio.reference.found?.clips[0].film")
    assert tab.locator("#picture").is_hidden() and tab.locator("#performer").is_visible()
    tab.keyboard.press("v")
    tab.wait_for_function("document.querySelector('#picture').readyState >= 2", timeout=PATIENCE)
    assert tab.locator("#picture").is_visible() and tab.evaluate("document.querySelector('#picture').muted")
    for time in (0.4, 1.2):
        tab.evaluate(f"studio.player.seek({time})")
        tab.wait_for_function(
            """(time) => {
                const { source, step } = studio.reference.found;
                const picture = document.querySelector("#picture");
                const there = source.seconds[Math.floor(time * step.fps)];
                return !picture.seeking && Math.abs(picture.currentTime - there) < 0.05;
            }""",
            arg=time,
        )
    tab.select_option("#clip", "0")
    assert tab.locator("#picture").is_visible()
    tab.keyboard.press("v")
    assert tab.locator("#reference").is_hidden() and tab.evaluate("document.querySelector('#picture').paused")
    status, headers, content = studio.asked("api/picture?number=0", headers={"Range": "bytes=10-29"})
    assert status == 206 and content == performed[10:30] and headers["content-range"] == f"bytes 10-29/{len(performed)}"
    assert studio.asked("api/picture?number=1")[0] == 400
    assert studio.asked("api/picture?number=0", headers={"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert errors == []
    tab.close()
