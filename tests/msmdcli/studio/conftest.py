"""A project to work on, and a studio that runs in a process of its own as `msmd studio` starts it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from batch_project import Project
from studio_page import browser  # noqa: F401  a fixture

from msmdcli.paths import shared_dir

PATIENCE = 300  # seconds, for whatever takes one where the machine has nothing else to do


@pytest.fixture
def project(tmp_path: Path, stand_in_bundle: Path) -> Iterator[Project]:
    for needed in ("starlette", "uvicorn", "ruamel.yaml"):
        pytest.importorskip(needed, reason="needs the extra `studio`")
    project = Project(tmp_path, stand_in_bundle)
    yield project
    for end in project.at_end:
        end()


@pytest.fixture
def face_film() -> Path:
    """A short video of a face, and all that tracking needs."""
    pytest.importorskip("mediapipe")
    shared = shared_dir()
    if shared is None or not (shared / "models/face_landmarker.task").is_file():
        pytest.skip("needs the face landmarker's file")
    clips = sorted((shared / "corpus/clips").rglob("*.mp4"))
    if not clips:
        pytest.skip("needs a film of a face")
    return min(clips, key=lambda path: path.stat().st_size)


class Served:
    """A running studio.

    Attributes:
        address: that it printed.
        process: of the command.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.address = process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.address
        self.port, self.root = urlsplit(self.address).port, urlsplit(self.address).path

    def asked(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, root: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer, asked for as a program does that can say anything."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port or 0, timeout=PATIENCE)
        try:
            data = None if body is None else json.dumps(body)
            method = "GET" if body is None else "POST"
            connection.request(method, (self.root if root is None else root) + path, data, headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def sent(self, path: str, content: bytes, headers: dict[str, str], root: str | None = None) -> tuple[int, bytes]:
        """Status and body of the answer to a POST of bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port or 0, timeout=PATIENCE)
        try:
            connection.request("POST", (self.root if root is None else root) + path, content, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def json(self, path: str, body: Any = None) -> Any:
        status, _, content = self.asked(path, body)
        assert status == 200, content
        return json.loads(content)

    def stop(self) -> int:
        """Ctrl-C; the result is the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@pytest.fixture
def serve(project: Project) -> Iterator[Callable[..., Served]]:
    """Starts a studio on the project."""
    running: list[Served] = []

    def start(*arguments: str, cache: Path | None = None) -> Served:
        command = [sys.executable, "-m", "msmdcli", "studio", *arguments, "--no-browser", "--threads", "1"]
        command += ["--bundle", str(project.options.bundle), "--styles", str(project.folder / "styles")]
        root = Path(__file__).parents[3]
        ours = {} if cache is None else {"MSMD_CACHE": str(cache)}
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=root, stdout=pipe, stderr=pipe, text=True, env=os.environ | ours)
        running.append(Served(process))
        return running[-1]

    yield start
    for one in running:
        one.stop()
        for stream in (one.process.stdout, one.process.stderr):
            if stream is not None:
                stream.close()
