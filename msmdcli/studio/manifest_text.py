"""A line's keys changed in the text of a manifest; every other line of the text stays as it is, byte for byte.

JSON and tables: see `manifest_json` and `manifest_table`. In YAML, PyYAML says where the line's mapping begins and ends
in the text. That piece alone is read by ruamel.yaml, which keeps comments, quotes and the order of keys, changed,
written and put back. What comes out is read again by the manifest's own reader before anything is saved (`keep`): each
line must choose what it chose before, and the changed one what was meant. So a text that is too clever for this
(anchors, a piece that ruamel sees otherwise) is refused, never spoiled.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msmdcli.errors import MsmdError, UsageError
from msmdcli.manifest.lines import Line, Manifest
from msmdcli.studio.manifest_json import with_json_keys
from msmdcli.studio.manifest_table import with_table_keys
from msmdcli.studio.project import TABLES, Keys
from msmdcli.system.files import whole_file

WIDEST = 4096  # columns: no line of the text is broken


class Piece(NamedTuple):
    """Where a mapping stands in a text: its first and last character, its column, whether in braces."""

    first: int
    last: int
    column: int
    braces: bool


def with_keys(text: str, line_id: str, keys: Keys) -> str:
    """The text of a manifest in which a line has other values of some keys.

    Args:
        text: YAML, with any line ends.
        line_id: of the line.
        keys: what it chooses; None takes a key away.

    Raises:
        UsageError: there is no such line, or its text cannot be changed without changing more.
    """
    ends = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n")
    piece = _find(plain, line_id)
    before = plain[piece.first : piece.last]
    after = _changed(before, piece, keys)
    return (plain[: piece.first] + after + plain[piece.last :]).replace("\n", ends)


def keep(path: Path, line_id: str, keys: Keys, before: Manifest, read: Callable[[str], Manifest]) -> None:
    """Write a line's keys into its manifest.

    Args:
        path: the manifest.
        line_id: of the line.
        keys: what it chooses; None takes a key away.
        before: the manifest as it is.
        read: reads another text of it.

    Raises:
        MsmdError: the file cannot be read or written, or the change would reach farther than the line.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MsmdError(f"{path} cannot be changed: {error}", hint="save it as UTF-8, or change it by hand") from None
    changed = _with_keys(text, path, line_id, keys, before)
    try:
        after = read(changed)
    except MsmdError as error:
        raise _too_clever(path, line_id) from error
    if _but_choices(before, line_id) != _but_choices(after, line_id):
        raise _too_clever(path, line_id)
    mark = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
    try:
        with whole_file(path.resolve()) as temporary:
            temporary.write_bytes(mark + changed.encode())
            if path.read_bytes() != content:
                raise MsmdError(f"{path} was changed meanwhile", hint="look at the line again, and keep it once more")
            temporary.chmod(path.stat().st_mode)
    except OSError as error:
        raise MsmdError(f"{path} cannot be written: {error.strerror or error}") from error


def _with_keys(text: str, path: Path, line_id: str, keys: Keys, before: Manifest) -> str:
    """The text of a manifest, of the kind that its suffix says, in which a line has other values of some keys."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        return with_json_keys(text, line_id, keys)
    if suffix in TABLES:
        where = next((line.where for line in before.lines if line.id == line_id), "0:0")  # file:line:column
        return with_table_keys(text, int(where.split(":")[-2]), keys)
    return with_keys(text, line_id, keys)


def _but_choices(manifest: Manifest, line_id: str) -> list[Any]:
    """All that a manifest says but the choices of one line."""

    def said(line: Line) -> Any:
        return line.id, line.audio, line.text, line.character, line.fields, _but_own(line, line_id)

    return [manifest.defaults, *map(said, manifest.lines)]


def _but_own(line: Line, line_id: str) -> Any:
    """What a line chooses; of the one that is changed, only what it dubs."""
    if line.id != line_id:
        return line.choices, line.dub
    return None if line.dub is None else (line.dub.original, line.dub.name)


def _too_clever(path: Path, line_id: str) -> UsageError:
    return UsageError(f"{path}: the text of {line_id} cannot be changed alone", hint="change it by hand")


def _find(text: str, line_id: str) -> Piece:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        raise UsageError(f"the manifest is no YAML any more: {error}", hint="correct it") from None
    groups = [_child(root, "lines"), _child(root, "dub")]
    groups += [_child(value, "lines") for _, value in getattr(_child(root, "characters"), "value", ())]
    for group in groups:
        for item in group.value if isinstance(group, yaml.SequenceNode) else ():
            found = _child(item, "id")
            if isinstance(found, yaml.ScalarNode) and found.value == line_id:
                return _piece(text, item)
    raise UsageError(f"the manifest has no line {line_id!r} any more", hint="load the page again")


def _child(node: Any, name: str) -> Any:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if getattr(key, "value", None) == name), None)


def _piece(text: str, node: Any) -> Piece:
    """Where a mapping stands. One without braces ends with the line of text on which its last value ends."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)

    def place(mark: Any) -> int:
        return int(starts[mark.line] + mark.column)

    first = place(node.start_mark)
    if node.flow_style:
        return Piece(first, place(node.end_mark), node.start_mark.column, True)
    last = max(place(mark) for mark in _ends(node, node.start_mark.line))
    last = len(text[:last].rstrip())
    end = text.find("\n", last)
    return Piece(first, len(text) if end < 0 else end, node.start_mark.column, False)


def _ends(node: Any, line: int) -> list[Any]:
    """The marks at which the keys and values of a mapping end; what an alias stands for is elsewhere, and left out."""
    import yaml

    if node.start_mark.line < line:
        return []
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        return [node.end_mark]
    children = [one for pair in node.value for one in (pair if isinstance(pair, tuple) else (pair,))]
    return [mark for child in children for mark in _ends(child, line)]


def _changed(piece_text: str, piece: Piece, keys: Keys) -> str:
    """The mapping's text with other values."""
    margin = " " * piece.column
    text = piece_text if piece.braces else _without(margin, piece_text) + "\n"
    if not piece.braces:
        text = _without_keys(text, [key for key, value in keys.items() if value is None])
    lines = _edited(text, keys, piece.braces).rstrip("\n").split("\n")
    return "\n".join([lines[0], *(margin + line if line.strip() and margin else line for line in lines[1:])])


def _edited(text: str, keys: Keys, braces: bool) -> str:
    """The text of a mapping, by ruamel.yaml; as it is where nothing is left to do."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.util import load_yaml_guess_indent

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDEST
    try:
        data = yaml.load(text)
        _, indent, offset = (None, 2, 0) if braces else load_yaml_guess_indent(text)
    except YAMLError as error:
        said = str(getattr(error, "problem", "") or "its text cannot be read alone")
        raise UsageError(f"this line cannot be changed here: {said}", hint="change it by hand") from None
    yaml.indent(mapping=2, sequence=max(indent or 2, (offset or 0) + 2), offset=offset or 0)
    done = True
    for key, value in keys.items():
        if value is None and key in data:
            del data[key]
            done = False
        elif value is not None and not (key in data and _same(data[key], value)):
            data[key] = _in_one_line(value)
            done = False
    if done:
        return text
    made = io.StringIO()
    yaml.dump(data, made)
    return made.getvalue()


def _without_keys(text: str, keys: list[str]) -> str:
    """The text of a mapping without the lines of some of its keys; a key on the first line is left to ruamel.yaml."""
    import yaml

    if not keys:
        return text
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text  # ruamel.yaml says what is wrong
    lines = text.split("\n")
    gone: set[int] = set()
    for key, value in getattr(root, "value", ()):
        first = key.start_mark.line
        if key.value in keys and first > 0:
            last = max(mark.line if mark.column else mark.line - 1 for mark in (*_ends(value, first), key.end_mark))
            while last > first and not lines[last].strip():
                last -= 1
            gone.update(range(first, last + 1))
    return "\n".join(line for number, line in enumerate(lines) if number not in gone)


def _without(margin: str, text: str) -> str:
    """The text without the spaces before each line but the first, which begins behind them."""
    first, *others = text.split("\n")
    return "\n".join([first, *(one.removeprefix(margin) if one.strip() else one for one in others)])


def _same(old: Any, new: Any) -> bool:
    return type(old) is type(new) and bool(old == new)


def _in_one_line(value: Any) -> Any:
    """Lists and mappings as ruamel writes them in brackets, on one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, Mapping):
        made: Any = CommentedMap((key, _in_one_line(item)) for key, item in value.items())
    elif isinstance(value, list):
        made = CommentedSeq(_in_one_line(item) for item in value)
    else:
        return value
    made.fa.set_flow_style()
    return made
