"""The studio's addresses: what the page asks for, and what it gets. Every answer to a mistake is one sentence.

GET  /TOKEN/                    the page; below `static/` its parts
GET  /TOKEN/api/project         names, tags, gestures, the keys of a line and what they may be
GET  /TOKEN/api/lines           all lines, the worst first
GET  /TOKEN/api/now             whether a batch is at work in OUT, and what has changed on disk
GET  /TOKEN/api/sound?id=       a line's recording
GET  /TOKEN/api/head?id=        the head of a line's character; without a line the usual one
POST /TOKEN/api/make            {id, keys}: the line as it would be; nothing is written
POST /TOKEN/api/reference       {id, keys}: the performance that it follows
POST /TOKEN/api/take?name=      the content of a file: a take beside the manifest
POST /TOKEN/api/keep            {id, keys}: these keys into the manifest
POST /TOKEN/api/mark            {id, approved, note}: into the approvals beside OUT
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from msmdcli import __version__
from msmdcli.batch.approvals import Approvals
from msmdcli.batch.planned import PlannedLine
from msmdcli.controls.gesture import GestureLibrary
from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.audio import load_audio
from msmdcli.motion.rig import Rig
from msmdcli.paths import find_head
from msmdcli.studio.choices import about_choices
from msmdcli.studio.dropped import Dropped
from msmdcli.studio.guard import TAKE
from msmdcli.studio.head_pack import head_pack
from msmdcli.studio.line_view import line_view, lines_table
from msmdcli.studio.making import Maker
from msmdcli.studio.manifest_text import keep
from msmdcli.studio.project import Project
from msmdcli.studio.reference_view import reference_view
from msmdcli.studio.retake import Retakes
from msmdcli.studio.videos import Videos
from msmdcli.styles.library import StyleLibrary

STATIC = Path(__file__).parent / "static"
PLAYED = {  # suffixes of recordings that every browser plays as they are
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
}
PLAIN_WAVES = ("PCM_16", "PCM_24", "PCM_U8", "FLOAT")  # kinds of WAV that they play
EXACT = 2**53  # the largest whole number that a page has exactly

Kind = type | tuple[type, ...]


class Studio:
    """What the addresses share.

    Args:
        project: the manifest and OUT.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.maker = Maker(project.options, project.bundle)
        self.approvals = Approvals(project.out)
        self.retakes = Retakes(project.path)
        self.dropped = Dropped(project.path, project.bundle.rig)
        self.videos = Videos()
        self.work = ThreadPoolExecutor(1, thread_name_prefix="msmd-studio")  # lines are made one after the other
        self.reading = ThreadPoolExecutor(2, thread_name_prefix="msmd-studio-read")
        self._heads: dict[tuple[str, tuple[str, ...]], bytes] = {}

    def close(self) -> None:
        """Let what is being made end, drop what waits, and remove what nobody kept."""
        self.videos.close()
        for pool in (self.work, self.reading):
            pool.shutdown(wait=True, cancel_futures=True)
        with suppress(OSError, ValueError, RecursionError):
            text = self.project.path.read_text(encoding="utf-8-sig", errors="replace")
            if self.project.path.suffix.lower() == ".json":  # where letters may be written as escapes
                text = json.dumps(json.loads(text), ensure_ascii=False)
            self.retakes.sweep(text)

    # ---- what the page asks for; each is called in one of the threads ------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What the page needs once."""
        project = self.project
        options = project.options
        tags = StyleLibrary(options.styles).tags
        gestures = GestureLibrary(options.gestures, project.path.parent / "gestures").names
        return {
            "version": __version__,
            "title": project.path.name,
            "manifest": str(project.path),
            "out": str(options.out),
            "bundle": project.bundle.name,
            "sampling": f"{options.sampling.sampler}, {options.sampling.steps} steps",
            "takes": self.dropped.names(),
        } | about_choices(project.bundle.rig, options.sampling, tags, gestures)

    def lines(self) -> dict[str, Any]:
        """The list."""
        state = self.project.state
        return lines_table(state.lines, self.project.records(), self.approvals.read()) | {"stamp": list(state.stamp)}

    def make(self, line_id: str, keys: dict[str, Any]) -> dict[str, Any]:
        """A line as it would be with these keys."""
        project = self.project
        planned = project.changed(line_id, keys)
        about: dict[str, Any] = {}
        if not keys:
            about = {
                "own": project.own_keys(line_id),
                "inherited": project.inherited(line_id),
                "fixed": project.why_fixed(line_id),
                "text": planned.line.text or "",
                "written": project.written_id(line_id),
                "take": project.take_number(line_id),
                "dub": planned.line.dub is not None,
            }
            if (chosen := project.choosing(line_id)) and chosen["seed"] <= EXACT:
                about["choosing"] = chosen
        if waiting := self.videos.waiting(planned.references.values()):
            return about | {"waiting": f"tracking {waiting[0]}", "share": waiting[1]}
        made = self.maker.make(planned)
        head = self._head_of(planned)[2]
        return line_view(made, planned, head) | about | {"head": head}

    def reference(self, line_id: str, keys: dict[str, Any]) -> dict[str, Any]:
        """The performance that a line follows with these keys."""
        planned = self.project.changed(line_id, keys)
        if waiting := self.videos.waiting(planned.references.values()):
            return {"waiting": f"tracking {waiting[0]}", "share": waiting[1]}
        made = self.maker.make(planned)  # it was made just before, so this is a look into what is kept
        curves = planned.curves if self._head_of(planned)[2] == "mapped" else None
        return reference_view(made, self.maker.performers(made), curves)

    def retake(self, line_id: str, keys: dict[str, Any], start: float, end: float) -> dict[str, Any]:
        """A line of which a range is made anew, and the rest stays as it is with `keys`; and the keys that say so."""
        if why := self.project.why_fixed(line_id):
            raise UsageError(f"line {line_id} stays as it is", hint=why)
        planned = self.project.changed(line_id, keys)
        said = self.project.inherited(line_id) | self.project.own_keys(line_id) | keys
        drawn = self.maker.make(planned).drawn
        found = self.retakes.keys(line_id, drawn, start, end, planned.seed, said.get("pins") or [])
        said = self.project.choosing(line_id) | found  # only one take can be held by its pins
        return self.make(line_id, {**keys, **said}) | {"keys": said}

    def keep(self, line_id: str, keys: dict[str, Any]) -> dict[str, Any]:
        """Write keys into the manifest."""
        project = self.project
        if why := project.why_fixed(line_id):
            raise UsageError(f"line {line_id} stays as it is", hint=why)
        before = project.changed(line_id, keys)  # what is wrong is said before anything is written
        keep(project.path, project.written_id(line_id), keys, project.state.manifest, project.manifest_of)
        project.reread()
        after = project.changed(before.id, {})  # a take that was chosen is now its line
        if after.key != before.key:
            raise MsmdError(f"{project.path} now says something else of {line_id}", hint="look at it in an editor")
        return {"id": before.id, "own": project.own_keys(before.id), "key": after.key}

    def mark(self, line_id: str, approved: bool, note: str) -> dict[str, Any]:
        """Approve a line as the manifest has it, or not."""
        key = self.project.changed(line_id, {}).key if approved else ""
        self.project.line(line_id)
        return self.approvals.mark(line_id, approved, note, key)

    def head(self, line_id: str) -> bytes:
        """The head that shows a line."""
        usual = find_head(), self.project.bundle.rig, "usual"
        path, rig, _ = self._head_of(self.project.line(line_id)) if line_id else usual
        key = (str(path), rig.channels)
        if key not in self._heads:
            self._heads[key] = head_pack(path, rig)
        return self._heads[key]

    def _head_of(self, planned: PlannedLine) -> tuple[Path, Rig, str]:
        """Path, rig and name of the head of a line: its character's, where that fits, else the usual one."""
        from msmdcli.heads.loading import load_head

        character, rig = planned.line.character, self.project.bundle.rig
        given = character.head if character is not None else None
        if given is not None and given.is_file():
            if planned.curves is not None and self._fits(given, planned.curves.rig, load_head):
                return given, planned.curves.rig, "mapped"
            if self._fits(given, rig, load_head):
                return given, rig, f"own:{given}"
        return find_head(), rig, "usual"

    def _fits(self, path: Path, rig: Rig, load: Callable[[Path, Rig], object]) -> bool:
        key = (str(path), rig.channels)
        if key in self._heads:
            return True
        try:
            self._heads[key] = head_pack(path, rig)
        except MsmdError:
            return False
        return True

    def sound(self, line_id: str) -> Response:
        """A line's recording, as it is where a browser plays that, else decoded."""
        path = self.project.line(line_id).line.audio
        if not path.is_file():
            raise MsmdError(f"no such recording: {path}")
        kind = PLAYED.get(path.suffix.lower()) or ("audio/wav" if _is_plain_wave(path) else None)
        if kind is not None:
            return FileResponse(path, media_type=kind)
        import soundfile

        audio, wave = load_audio(path), io.BytesIO()
        soundfile.write(wave, audio.samples, audio.rate, format="WAV", subtype="PCM_16")
        return Response(wave.getvalue(), media_type="audio/wav")


def studio_app(studio: Studio, token: str) -> tuple[Starlette, str]:
    """The application (without its guard), and the content security policy of its page."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script type=\"importmap\">(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src 'self' " + " ".join(f"'sha256-{value}'" for value in hashes),
            "style-src 'self'",
            "connect-src 'self'",
            "media-src 'self'",
            "img-src 'self' data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )

    async def index(request: Request) -> Response:
        return HTMLResponse(page)

    def asked(what: Callable[..., Any], *names: str) -> Callable[[Request], Awaitable[Response]]:
        """A GET whose query names its arguments."""

        async def answer(request: Request) -> Response:
            arguments = [request.query_params.get(name, "") for name in names]
            return await _answer(studio.reading, what, *arguments)

        return answer

    def posted(
        pool: ThreadPoolExecutor, what: Callable[..., Any], **kinds: Kind
    ) -> Callable[[Request], Awaitable[Response]]:
        """A POST whose JSON body has these arguments."""

        async def answer(request: Request) -> Response:
            try:
                body = await request.json()
                arguments = [body[name] for name in kinds]
            except (ValueError, KeyError, TypeError, RecursionError):
                return _wrong(UsageError("this request cannot be read", hint="load the page again"))
            if not all(isinstance(value, kind) for value, kind in zip(arguments, kinds.values(), strict=True)):
                return _wrong(UsageError("this request cannot be read", hint="load the page again"))
            return await _answer(pool, what, *arguments)

        return answer

    async def take(request: Request) -> Response:
        """A file that was dropped on the page."""
        name = request.query_params.get("name", "")
        try:
            temporary = await studio.dropped.receive(name, request.stream())
        except Exception as error:
            return _wrong(error)
        return await _answer(studio.reading, lambda: {"ref": studio.dropped.accept(temporary, name)})

    def now() -> dict[str, Any]:
        return {"busy": studio.project.busy, "stamp": list(studio.project.stamp)}

    routes = [
        Route("/", index),
        Route("/api/project", asked(studio.about)),
        Route("/api/lines", asked(studio.lines)),
        Route("/api/now", asked(now)),
        Route("/api/sound", asked(studio.sound, "id")),
        Route("/api/head", asked(studio.head, "id")),
        Route("/api/make", posted(studio.work, studio.make, id=str, keys=dict), methods=["POST"]),
        Route("/api/reference", posted(studio.work, studio.reference, id=str, keys=dict), methods=["POST"]),
        Route(TAKE, take, methods=["POST"]),
        Route(
            "/api/retake",
            posted(studio.work, studio.retake, id=str, keys=dict, start=(int, float), end=(int, float)),
            methods=["POST"],
        ),
        Route("/api/keep", posted(studio.work, studio.keep, id=str, keys=dict), methods=["POST"]),
        Route("/api/mark", posted(studio.reading, studio.mark, id=str, approved=bool, note=str), methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(routes=[Mount(f"/{token}", routes=routes)]), policy


async def _answer(pool: ThreadPoolExecutor, what: Callable[..., Any], *arguments: Any) -> Response:
    """What a call gives, or the sentence of its error."""
    try:
        found = await asyncio.get_running_loop().run_in_executor(pool, what, *arguments)
    except Exception as error:
        return _wrong(error)
    if isinstance(found, Response):
        return found
    return Response(found, media_type="application/octet-stream") if isinstance(found, bytes) else JSONResponse(found)


def _wrong(error: Exception) -> JSONResponse:
    if isinstance(error, MsmdError):
        return JSONResponse({"error": error.message, "hint": error.hint}, 400)
    text = f"internal error: {type(error).__name__}: {error}"
    details = "".join(traceback.format_exception(error))
    return JSONResponse({"error": text, "hint": "the studio goes on; please report it", "details": details}, 500)


def _is_plain_wave(path: Path) -> bool:
    import soundfile

    if path.suffix.lower() != ".wav":
        return False
    try:
        return soundfile.info(path).subtype in PLAIN_WAVES
    except soundfile.LibsndfileError:
        return False
