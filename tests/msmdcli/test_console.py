"""What reaches a terminal or a log: words of others cannot start an escape sequence or a line of their own."""

from __future__ import annotations

import io
import json

import pytest

from msmdcli.console import Console, printable
from msmdcli.errors import MsmdError

NASTY = {
    "x\x1b]0;TITLE\x07.wav": "x\\x1b]0;TITLE\\x07.wav",
    "no\nError: fake\r\n.wav": "no\\nError: fake\\r\\n.wav",
    "a\x9b31m\x7f": "a\\x9b31m\\x7f",
    "\udcff.wav": "\\udcff.wav",  # a name that is no UTF-8
    "gnp\u202ewav.exe": "gnp\\u202ewav.exe",
}


@pytest.mark.parametrize("text", NASTY)
def test_words_of_others_are_shown_readably(text: str) -> None:
    assert printable(text) == NASTY[text]


def test_what_people_write_is_left_alone() -> None:
    text = "Grüße, señor: 你好, नमस्ते, 👩\u200d🚀, C:\\audio\\new, 2 errors in l.yaml:\n  first\n  second"
    assert printable(text) == text


@pytest.mark.parametrize("text", NASTY)
def test_every_way_to_talk_is_safe(text: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    talk = Console(verbosity=1, stdout=out, stderr=err)
    talk.say(text)
    talk.detail(text)
    talk.warn(text)
    talk.error(MsmdError(text, hint=text))
    talk.result(text)
    shown = NASTY[text]
    assert err.getvalue().splitlines() == [shown, shown, f"Warning: {shown}", f"Error: {shown}", f"Hint: {shown}"]
    assert out.getvalue() == shown + "\n"


@pytest.mark.parametrize("text", NASTY)
def test_events_are_safe_and_exact(text: str) -> None:
    out = io.StringIO()
    Console(json_lines=True, stdout=out).event("line", id=text)
    printed = out.getvalue()
    printed.encode("utf-8")
    assert all(c.isprintable() for c in printed.removesuffix("\n"))
    assert json.loads(printed) == {"event": "line", "id": text}
