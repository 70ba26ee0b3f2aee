"""The studio's addresses: what the page asks for, and what it gets. Every answer to a mistake is one sentence.

GET  /TOKEN/                    the page; below `static/` its parts
GET  /TOKEN/api/project         names, tags, gestures, the keys of a line and what they may be
GET  /TOKEN/api/lines           all lines, the worst first
GET  /TOKEN/api/now             whether a batch is at work in OUT, and what has changed on disk
GET  /TOKEN/api/sound?id=       a line's recording
GET  /TOKEN/api/head?id=        the head of a line's character; without a line the usual one
GET  /TOKEN/api/picture?number= a video that a style of a line is made of, whole or in parts
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
import re
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from msmdcli.errors import MsmdError, UsageError
from msmdcli.studio.answers import Studio
from msmdcli.studio.guard import TAKE

STATIC = Path(__file__).parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}  # of the parts of the page

Kind = type | tuple[type, ...]


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

    parts = {
        path.relative_to(STATIC).as_posix(): (path.read_bytes(), TYPES[path.suffix])
        for path in STATIC.rglob("*")
        if path.suffix in TYPES
    }

    async def index(request: Request) -> Response:
        return HTMLResponse(page)

    async def part(request: Request) -> Response:
        """From memory: while a manifest is read every change of threads has to wait."""
        content, kind = parts.get(request.path_params["path"], (None, ""))
        return Response(status_code=404) if content is None else Response(content, media_type=kind)

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
        Route("/api/picture", asked(studio.films.answer, "number")),
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
        Route("/static/{path:path}", part),
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
