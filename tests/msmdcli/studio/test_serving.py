"""The studio as a process: who is answered, which files are served, and how it ends."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from batch_project import Project
from studio_page import values_of

from msmdcli.batch.out_lock import alone_in
from msmdcli.formats.registry import read_motion
from msmdcli.manifest.lines import Choices
from msmdcli.studio.serving import listening_at

Serve = Callable[..., "Served"]  # noqa: F821  (conftest's)


def test_only_its_own_page_is_answered(project: Project, serve: Serve) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    body = {"id": "line0", "keys": {}}
    hostile = [
        {"Host": "evil.example"},
        {"Host": f"evil.example:{studio.port}"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ]
    for headers in hostile:
        assert studio.asked("api/lines", headers=headers)[0] == 403, headers
        assert studio.asked("api/keep", body, headers)[0] == 403, headers
    for root in ("/", "/wrong/", studio.root[:-2] + "/"):
        status, _, content = studio.asked("api/lines", root=root)
        assert status == 403 and b"token" in content
    status, headers, content = studio.asked("")
    assert status == 200 and b"MSMD studio" in content
    assert (
        "default-src 'none'" in headers["content-security-policy"]
        and "unsafe" not in headers["content-security-policy"]
    )
    assert headers["x-frame-options"] == "DENY" and headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers and "access-control-allow-origin" not in headers
    assert b"http://" not in content and b"https://" not in content, "the page must not need a network"
    assert studio.stop() == 0


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """Nagle's algorithm is off, else the body of an answer waits for the browser's delayed acknowledgement (40 ms)."""

    async def said(listening: socket.socket) -> bool:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def met(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            at_once = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            found.set_result(at_once)

        async with await asyncio.start_server(met, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            writer.close()
            return bool(await found)

    with listening_at(0) as listening:
        assert asyncio.run(said(listening))


def test_only_files_of_the_manifest_are_served(project: Project, serve: Serve) -> None:
    project.write("  - {id: line0, audio: audio/line1.wav}\n  - {id: gone, audio: audio/none.wav}\n")
    (project.folder / "secret.wav").write_bytes(b"secret")
    studio = serve(str(project.manifest), "--out", str(project.out))
    status, headers, content = studio.asked("api/sound?id=line0")
    assert status == 200 and headers["content-type"] == "audio/wav"
    assert content == (project.folder / "audio/line1.wav").read_bytes()
    status, headers, part = studio.asked("api/sound?id=line0", headers={"Range": "bytes=100-199"})
    assert status == 206 and part == content[100:200], "browsers seek by ranges"
    for path in ("api/sound?id=gone", "api/sound?id=../secret", "api/sound?id=/etc/passwd", "api/head?id=nobody"):
        status, _, content = studio.asked(path)
        assert status == 400 and "error" in json.loads(content), path
    for path in (
        "static/../app.py",
        "static/%2e%2e/app.py",
        "static//etc/passwd",
        "static/..%2f..%2fcli.py",
        "nothing",
    ):
        assert studio.asked(path)[0] == 404, path


def test_mistakes_are_sentences_and_the_studio_goes_on(project: Project, serve: Serve) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    wrong = [
        ({"id": "line1", "keys": {"style": "furious"}}, 400, "furious"),
        ({"id": "line1", "keys": {"intensity": "loud"}}, 400, "intensity"),
        ({"id": "line1", "keys": []}, 400, "cannot be read"),
        ({"keys": {}}, 400, "cannot be read"),
        ([], 400, "cannot be read"),
    ]
    for body, expected, words in wrong:
        status, _, content = studio.asked("api/make", body)
        assert status == expected and words in json.loads(content)["error"], content
    (project.folder / "audio/line1.wav").write_bytes(b"RIFF")
    assert studio.asked("api/make", {"id": "line1", "keys": {}})[0] == 400
    assert studio.json("api/make", {"id": "line2", "keys": {}})["curves"]["frames"] > 0
    project.manifest.write_text("version: 1\nlines: [\n", encoding="utf-8")
    status, _, content = studio.asked("api/lines")
    assert status == 400 and "lines.yaml" in json.loads(content)["error"]
    project.write("  - {id: line3, audio: audio/line3.wav}\n")
    assert [row[0] for row in studio.json("api/lines")["rows"]] == ["line3"]


def test_two_studios_and_a_batch_do_not_disturb_each_other(project: Project, serve: Serve) -> None:
    project.write("  - {id: line1, audio: audio/line1.wav}\n  - {id: line3, audio: audio/line3.wav}\n")
    first = serve(str(project.manifest), "--out", str(project.out))
    second = serve(str(project.manifest), "--out", str(project.out))
    assert first.json("api/keep", {"id": "line1", "keys": {"style": "angry"}})["own"] == {"style": "angry"}
    assert second.json("api/keep", {"id": "line3", "keys": {"seed": 4}})["own"] == {"seed": 4}
    marks = {
        "line1": first.json("api/mark", {"id": "line1", "approved": True, "note": ""}),
        "line3": second.json("api/mark", {"id": "line3", "approved": True, "note": "x"}),
    }
    assert marks["line1"]["approved"] and marks["line3"]["note"] == "x"
    for studio in (first, second):
        assert {row[0]: row[2] for row in studio.json("api/lines")["rows"]} == {"line1": "angry", "line3": "neutral"}
        assert [row[9] for row in studio.json("api/lines")["rows"]] == [True, True]
    assert not project.out.exists(), "OUT belongs to the batch"
    with alone_in(project.out):
        assert first.json("api/now")["busy"] is True
        assert first.json("api/make", {"id": "line1", "keys": {}})["curves"]["frames"] > 0
        assert list(project.out.iterdir()) == [project.out / ".msmd-lock"]
    assert first.json("api/now")["busy"] is False
    assert project.run(choices=Choices()) == 0 and project.statuses() == {"line1": "made", "line3": "made"}
    keys = {line["id"]: line["key"] for line in project.report()["lines"]}
    assert keys == {name: mark["key"] for name, mark in marks.items()}, "the batch writes what was approved"
    assert {line["approval"] for line in project.report()["lines"]} == {"holds"}


def test_out_brings_the_options_of_its_run(project: Project, serve: Serve) -> None:
    """The page of OUT shows what its run has made, and a keep changes nothing but what is kept."""
    arguments = ("--style", "angry", "--fps", "24", "--seed", "7", "--steps", "3", "--blinks", "12", "--formats", "npz")
    done = subprocess.run(project.command(*arguments), capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    studio = serve(str(project.out))
    view = studio.json("api/make", {"id": "line2", "keys": {}})
    line = next(line for line in project.report()["lines"] if line["id"] == "line2")
    assert (view["key"], view["style"], view["seed"]) == (line["key"], "angry", "7")
    np.testing.assert_array_equal(values_of(view["curves"]), read_motion(project.out / "line2.npz").values)
    assert view["curves"]["fps"] == 24 and view["inherited"]["style"] == [{"ref": "angry", "weight": 1.0}]
    other = serve(str(project.manifest), "--out", str(project.out))
    assert other.json("api/make", {"id": "line2", "keys": {}})["style"] == "neutral", "a manifest brings none"


def test_ctrl_c_leaves_no_process(project: Project, serve: Serve) -> None:
    psutil = pytest.importorskip("psutil")
    studio = serve(str(project.manifest), "--out", str(project.out))
    studio.json("api/make", {"id": "line2", "keys": {}})
    children = psutil.Process(studio.process.pid).children(recursive=True)
    idle = socket.create_connection(("127.0.0.1", studio.port))  # a browser keeps its connections open
    assert studio.stop() == 0
    assert not [child for child in children if child.is_running()]
    idle.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", studio.port), timeout=5)
    assert not project.out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nothing.yaml"], "there is no manifest"), (["{manifest}", "--port", "{taken}"], "cannot be used")],
)
def test_what_cannot_be_opened_is_said_at_once(project: Project, arguments: list[str], words: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        known = {"manifest": str(project.manifest), "taken": str(taken.getsockname()[1])}
        command = [sys.executable, "-m", "msmdcli", "studio", *(one.format(**known) for one in arguments)]
        command += ["--no-browser", "--bundle", str(project.options.bundle), "--styles", str(project.folder / "styles")]
        root = Path(__file__).parents[3]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
