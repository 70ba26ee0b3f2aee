"""Who may call the studio: only the page that was opened with its token, on this machine, under its own name.

A page of somebody else that the same browser shows can send requests to any port of this machine. So every request must
name this machine as its `Host` (else a foreign name could be made to point here: DNS rebinding), come from our own page
if it says from where (`Origin`, `Sec-Fetch-Site`), and begin its path with the token.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NAMES = ("127.0.0.1", "localhost")
LARGEST_BODY = 1 << 20  # bytes
LARGEST_TAKE = 2 << 30  # bytes of a recorded performance
TAKE = "/api/take"  # where it is sent


class Guard:
    """Lets through what comes from our page, and refuses all else.

    Args:
        app: what is guarded.
        token: the first part of every path.
        port: that the server listens on.
        policy: the content security policy of the answers.
    """

    def __init__(self, app: App, token: str, port: int, policy: str) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())
        self._origins = {f"http://{host}" for host in self._hosts}
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI)."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSocket is spoken here: the server closes it
        why = self.refusal(
            scope["path"], {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        )

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        if why:
            text = f"{why}\n".encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
            await answer({"type": "http.response.start", "status": 403, "headers": headers})
            await answer({"type": "http.response.body", "body": text})
            return
        await self._app(scope, receive, answer)

    def refusal(self, path: str, headers: dict[str, str]) -> str:
        """Why a request is refused; empty if it is let through."""
        if headers.get("host") not in self._hosts:
            return "the studio answers only under its own address"
        if headers.get("origin", "null" if "origin" in headers else "") not in {"", *self._origins}:
            return "the studio answers only its own page"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "the studio answers only its own page"
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        if not hmac.compare_digest(first.encode(), self._token.encode()):
            return "open the address that the command has printed: its token is missing here"
        most = LARGEST_TAKE if path == f"/{self._token}{TAKE}" else LARGEST_BODY
        if not headers.get("content-length", "0").isdigit() or int(headers.get("content-length", "0")) > most:
            return "that is too much at once"
        return ""
