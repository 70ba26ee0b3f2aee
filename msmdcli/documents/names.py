"""What may be the id of a line: it becomes a file name below OUT, on Linux, macOS and Windows alike."""

from __future__ import annotations

import os
import re
import unicodedata

MAX_PART = 100  # characters of one part; file systems allow 255 bytes, and suffixes and temporary names come on top
MAX_LENGTH = 200
MAX_PATH, MAX_NAME = 2000, 255  # characters of a path; bytes of one name in it
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?", re.IGNORECASE)
FORBIDDEN = '<>:"|?*\\'
INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories: control, format, surrogate, line ends
IN_NO_NAME = re.compile(f"[{re.escape(FORBIDDEN)}]")
PLAIN = re.compile(r"[ -~]*")  # printable ASCII: nothing of it is invisible, and a character is a byte
OURS = ("report", "ledger")  # OUT/report.json, OUT/report.html, OUT/ledger.jsonl


def id_problem(line_id: str) -> str | None:
    """Why a text cannot be the id of a line, or None if it can. `/` makes folders."""
    if not line_id:
        return "it is empty"
    if len(line_id) > MAX_LENGTH:
        return f"it has more than {MAX_LENGTH} characters"
    plain = PLAIN.fullmatch(line_id) is not None  # nothing in it is invisible
    bad = IN_NO_NAME.search(line_id) if plain else next(filter(_forbidden, line_id), None)
    if bad is not None:
        return f"{bad[0]!r} cannot be part of a file name everywhere"
    if line_id.startswith("/"):
        return "it starts with /, so it would leave the output folder"
    for part in line_id.split("/"):
        if part == "..":
            return "'..' would leave the output folder"
        if part in ("", "."):
            return "it has an empty part between slashes"
        if part[0] in " ." or part[-1] in " .":
            return f"{part!r} begins or ends with a space or a dot"
        if len(part) > MAX_PART:
            return f"a part of it has more than {MAX_PART} characters"
        if RESERVED.fullmatch(part):
            return f"{part!r} is a reserved name on Windows"
    if folded(line_id) in OURS:
        return f"OUT/{line_id} is where MSMD writes its own {line_id}"
    return None


def path_problem(text: str) -> str | None:
    """Why a text cannot be the path of any file, or None if it can.

    U+DC80 to U+DCFF are how Python keeps bytes of a name that are no UTF-8.
    """
    if len(text) <= MAX_NAME and PLAIN.fullmatch(text):
        return None
    if "\0" in text or any(unicodedata.category(c) == "Cs" and not "\udc80" <= c <= "\udcff" for c in text):
        return "it holds a character that no path can have"
    if any(unicodedata.category(c) == "Cc" for c in text):
        return (
            "it holds control characters, as a backslash in double quotes makes them; write folders with /,"
            " or the path in single quotes"
        )
    if len(text) > MAX_PATH or any(len(os.fsencode(part)) > MAX_NAME for part in re.split(r"[/\\]", text)):
        return "it is longer than a path can be"
    return None


def _forbidden(character: str) -> bool:
    return IN_NO_NAME.match(character) is not None or unicodedata.category(character) in INVISIBLE


def folded(line_id: str) -> str:
    """The id as a file system that ignores case and Unicode's variants sees it; equal means the same file."""
    if line_id.isascii():
        return line_id.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", line_id).casefold())


def readable_name(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 (names of old archives and shares) are read as Windows-1252."""
    if not any("\udc80" <= character <= "\udcff" for character in name):
        return name
    content = os.fsencode(name)
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return content.decode("latin-1")
