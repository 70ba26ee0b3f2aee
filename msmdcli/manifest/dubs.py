"""The `dub` list of a manifest: scenes in another language, each line in the manner of its original performance.

    dub:
      - {id: scene1/010, original: takes/010.mov, audio: fr/010.wav, style_follow: timeline, head: original}

An entry becomes a `Line` like any other, with the original as its style and a word on what the head does, so that
everything that holds for lines (skipping, ledger, report, jobs) holds for dubs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar, get_args

from msmdcli.documents.tree import Key, Node
from msmdcli.errors import UsageError, did_you_mean
from msmdcli.styles.field import StyleRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msmdcli.manifest.reading import Character, Line, _Reader

T = TypeVar("T", bound=str)

StyleFollow = Literal["whole", "timeline"]
Head = Literal["generated", "off", "original"]
STYLE_FOLLOWS: tuple[StyleFollow, ...] = get_args(StyleFollow)
HEADS: tuple[Head, ...] = get_args(Head)

OWN_KEYS = ("original", "style_follow", "head", "face")
NOT_FOR_DUBS = ("style", "segments")  # the original is the style
MOST_FACES = 20


@dataclass(frozen=True)
class Dub:
    """What a line that dubs a performance knows beyond an ordinary line.

    Attributes:
        original: the performance: a video, a Live Link Face CSV or a motion npz.
        name: the original as it was written.
        style_follow: `whole`, one style from all of it; `timeline`, the style follows it through time.
        head: head motion: `generated` by the model, `off`, or the `original`'s stretched in time.
        face: which face of a video with several, 1 being the most prominent; None takes that.
        face_model: the face landmarker's file; None looks in the usual places.
    """

    original: Path
    name: str
    style_follow: StyleFollow = "whole"
    head: Head = "generated"
    face: int | None = None
    face_model: Path | None = None

    def style(self, base: Path, where: str = "") -> StyleRef:
        """The original as a style reference; a name without a slash or suffix is told apart from a tag."""
        named_like_a_file = "/" in self.name or "\\" in self.name or Path(self.name).suffix
        return StyleRef(self.name if named_like_a_file else f"./{self.name}", base, where=where)


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


def _unknown(option: str, text: str, known: Sequence[str]) -> NoReturn:
    raise UsageError(f"--{option} {text!r} is not known", hint=did_you_mean(text, known))


def read_dubs(reader: _Reader, node: Node, characters: Mapping[str, Character]) -> list[Line]:
    """The lines of a `dub` list. What is wrong with it is told to the reader."""
    return [line for item in reader.list_of(node, "dub") if (line := _read_dub(reader, item, characters)) is not None]


def _read_dub(reader: _Reader, node: Node, characters: Mapping[str, Character]) -> Line | None:
    from msmdcli.manifest.reading import LINE_KEYS

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
    face = None
    if "face" in entries:
        face = entries["face"].integer
        if face is None or not 1 <= face <= MOST_FACES:
            reader.wrong(entries["face"], f"face is a whole number from 1 to {MOST_FACES}", "1 is the most prominent")
    rest: dict[Key, Node] = {key: value for key, value in node.entries if key.text in of_lines}
    line = reader.line(Node(rest, node.line, node.column), characters)
    if line is None or original is None or len(reader.problems) > before:
        return None
    dub = Dub(original, entries["original"].text or "", follow, head, face)
    at = entries["original"]
    style = dub.style(reader.base, f"{reader.path}:{at.line}:{at.column}")
    return replace(line, choices=replace(line.choices, style=(style,)), dub=dub)


def _choice(reader: _Reader, entries: Mapping[str, Node], key: str, known: Sequence[T], usual: T) -> T:
    """The word under a key, `usual` where there is none; an unknown word is told to the reader."""
    text = reader.text_of(entries[key], key) if key in entries else usual
    if text is not None and text not in known:
        reader.wrong(entries[key], f"{key} {text!r} is not known", did_you_mean(text, known))
    return next((word for word in known if word == text), usual)
