"""The `dub` list of a manifest: scenes in another language, each line in the manner of its original performance.

    dub:
      - {id: scene1/010, original: takes/010.mov, audio: fr/010.wav, style_follow: timeline, head: original}

An entry becomes a `Line` like any other, with the original as its style and a word on what the head does, so that
everything that holds for lines (skipping, ledger, report, jobs) holds for dubs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn, TypeVar

from msmdcli.documents.nodes import Key, Node
from msmdcli.documents.reader import Reader
from msmdcli.errors import UsageError, did_you_mean
from msmdcli.manifest.lines import HEADS, KEEPS, LINE_KEYS, STYLE_FOLLOWS, Dub, Head, Keep, Line, StyleFollow

T = TypeVar("T", bound=str)

OWN_KEYS = ("original", "style_follow", "head", "keep", "face")
NOT_FOR_DUBS = ("style", "segments")  # the original is the style
MOST_FACES = 20


def parse_style_follow(text: str) -> StyleFollow:
    """One of `STYLE_FOLLOWS`.

    Raises:
        UsageError: it is none.
    """
    return next((known for known in STYLE_FOLLOWS if known == text), None) or _unknown(
        "style-follow", text, STYLE_FOLLOWS
    )


def parse_dub_head(text: str) -> Head:
    """One of `HEADS`.

    Raises:
        UsageError: it is none.
    """
    return next((known for known in HEADS if known == text), None) or _unknown("head", text, HEADS)


def parse_keep(text: str) -> tuple[Keep, ...]:
    """Some of `KEEPS` with commas, or `none`.

    Raises:
        UsageError: a word that is none of them.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words in (["none"], ["off"]):
        return ()
    for word in words:
        if word not in KEEPS:
            _unknown("keep", word, (*KEEPS, "none"))
    return tuple(known for known in KEEPS if known in words)


def _unknown(option: str, text: str, known: Sequence[str]) -> NoReturn:
    raise UsageError(f"--{option} {text!r} is not known", hint=did_you_mean(text, known))


ReadLine = Callable[[Node], Line | None]


def read_dubs(reader: Reader, node: Node, read_line: ReadLine) -> list[Line]:
    """The lines of a `dub` list; the reader notes what is wrong with it.

    Args:
        reader: of the manifest.
        node: the list.
        read_line: reads what an entry has in common with a line.
    """
    return [line for item in reader.list_of(node, "dub") if (line := _read_dub(reader, item, read_line)) is not None]


def _read_dub(reader: Reader, node: Node, read_line: ReadLine) -> Line | None:
    of_lines = [key for key in LINE_KEYS if key not in (*OWN_KEYS, *NOT_FOR_DUBS)]
    known = (*OWN_KEYS, *of_lines)
    entries = reader.mapping(node, "a dub", known)
    if not isinstance(node.content, dict):
        return None
    before = len(reader.problems)
    original = reader.path_of(entries["original"], "original") if "original" in entries else None
    if "original" not in entries:
        reader.wrong(node, "the dub has no original", "original: the video, Live Link CSV or npz of the performance")
    follow = _choice(reader, entries, "style_follow", STYLE_FOLLOWS, Dub.style_follow)
    head = _choice(reader, entries, "head", HEADS, Dub.head)
    keep = Dub.keep
    if "keep" in entries:
        items = entries["keep"].items if isinstance(entries["keep"].content, list) else [entries["keep"]]
        try:
            keep = parse_keep(",".join(reader.text_of(item, "keep") or "" for item in items) or "none")
        except UsageError as error:
            reader.wrong(entries["keep"], error.message.removeprefix("--"), error.hint)
    face = None
    if "face" in entries:
        face = entries["face"].integer
        if face is None or not 1 <= face <= MOST_FACES:
            reader.wrong(entries["face"], f"face is a whole number from 1 to {MOST_FACES}", "1 is the most prominent")
    rest: dict[Key, Node] = {key: value for key, value in node.entries if key.text in of_lines}
    line = read_line(Node(rest, node.line, node.column))
    if line is None or original is None or len(reader.problems) > before:
        return None
    dub = Dub(original, entries["original"].text or "", follow, head, keep, face)
    style = dub.style(reader.base, reader.place(entries["original"]))
    return replace(line, choices=replace(line.choices, style=(style,)), dub=dub)


def _choice(reader: Reader, entries: Mapping[str, Node], key: str, known: Sequence[T], usual: T) -> T:
    """The word under a key, `usual` where there is none; the reader notes an unknown word."""
    text = reader.text_of(entries[key], key) if key in entries else usual
    if text is not None and text not in known:
        reader.wrong(entries[key], f"{key} {text!r} is not known", did_you_mean(text, known))
    return next((word for word in known if word == text), usual)
