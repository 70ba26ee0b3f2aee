"""Only the studio's own page is answered."""

from __future__ import annotations

import pytest

from msmdcli.studio.guard import LARGEST_BODY, Guard

GOOD = {"host": "127.0.0.1:8123", "origin": "http://127.0.0.1:8123", "sec-fetch-site": "same-origin"}


async def nothing(scope: object, receive: object, send: object) -> None:
    raise AssertionError("not asked for")


@pytest.mark.parametrize(
    ("path", "headers", "refused"),
    [
        ("/secret/api/lines", GOOD, ""),
        ("/secret/", {"host": "localhost:8123", "sec-fetch-site": "none"}, ""),
        ("/secret/", {"host": "evil.example:8123"}, "own address"),  # a name made to point at this machine
        ("/secret/", {"host": "127.0.0.1:9999"}, "own address"),
        ("/secret/", {}, "own address"),
        ("/secret/api/keep", GOOD | {"origin": "http://evil.example"}, "own page"),
        ("/secret/api/keep", GOOD | {"origin": "null"}, "own page"),
        ("/secret/api/keep", GOOD | {"origin": "http://127.0.0.1:9999"}, "own page"),
        ("/secret/api/sound", {"host": "127.0.0.1:8123", "sec-fetch-site": "cross-site"}, "own page"),
        ("/secret/api/sound", {"host": "127.0.0.1:8123", "sec-fetch-site": "same-site"}, "own page"),
        ("/secre/api/lines", GOOD, "token"),
        ("/secrets/api/lines", GOOD, "token"),
        ("/", GOOD, "token"),
        ("/static/../secret/", GOOD, "token"),
        ("/secret/api/make", GOOD | {"content-length": str(LARGEST_BODY + 1)}, "too much"),
        ("/secret/api/make", GOOD | {"content-length": "-1"}, "too much"),
    ],
)
def test_who_is_refused(path: str, headers: dict[str, str], refused: str) -> None:
    why = Guard(nothing, "secret", 8123, "default-src 'none'").refusal(path, headers)
    assert refused in why if refused else why == ""
