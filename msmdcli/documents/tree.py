"""YAML, JSON and CSV as one kind of tree in which every value knows its line and column.

Only what a manifest needs: mappings with text keys, lists, and scalars kept as they were written (so that an id of
`007` stays `007`). Anchors, aliases and the merge key `<<` of YAML work; nothing is ever constructed from a tag.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from msmdcli.documents.json_text import parse_json
from msmdcli.documents.nodes import MAX_DEPTH, DocumentError, Key, Node
from msmdcli.documents.table import parse_table

MAX_BYTES = 256 * 1024 * 1024
SMALL_BYTES = 1 << 20
FREE_ALIASES = 100_000  # values that aliases may stand for beyond the length of the text: no file grows a billionfold
QUOTED = ("'", '"', "|", ">")  # styles of a scalar that is a text whatever it looks like
MERGE, PLAIN = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"


def read_document(path: Path) -> Node:
    """Read a file as its suffix says: .json, .csv/.tsv, else YAML.

    Raises:
        DocumentError: it cannot be read or parsed.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DocumentError(f"{path} is larger than {MAX_BYTES >> 20} MB", hint="is it really a manifest?")
        text = _decode(path, path.read_bytes())
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_document(text, path)


def parse_document(text: str, path: Path) -> Node:
    """Parse the text of a file as its suffix says.

    Raises:
        DocumentError: it cannot be parsed.
    """
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return parse_table(text, path)
    if suffix == ".json":
        return parse_json(text, path)
    return parse_yaml(text, str(path))


def _decode(path: Path, content: bytes) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DocumentError(f"{path}:{line}: this is not UTF-8 text", hint="save the file as UTF-8") from error


def load_small_yaml(path: Path, most: int = SMALL_BYTES) -> Any:
    """The plain values of a YAML file of at most so many bytes, which somebody else may have made: a rig, a style's
    description, a gesture, a configuration.

    Raises:
        DocumentError: it is no ordinary file, too large, not YAML, or endless (aliases in a circle, or a bomb of them).
    """
    import yaml

    try:
        if not path.is_file():  # reading a pipe or a device may never end
            raise DocumentError(f"{path} is not a file" if path.exists() else f"no such file: {path}")
        if path.stat().st_size > most:
            raise DocumentError(f"{path} is larger than {most >> 20} MB")
        text = _decode(path, path.read_bytes())
        loader = _loader(typed=True)(text)
        try:
            root = loader.get_single_node()
            _measure(root, str(path), FREE_ALIASES + len(text))
            return None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _not_yaml(error, str(path), text) from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        # A value is not of the type that its tag promises; PyYAML lets through what its conversion raises.
        raise DocumentError(f"{path} holds a value that cannot be read ({error})") from error


def parse_yaml(text: str, name: str) -> Node:
    """Parse one YAML document. `name` is the file's, for messages."""
    import yaml

    try:
        root = yaml.compose(text, Loader=_loader(typed=False))
    except (yaml.YAMLError, RecursionError) as error:
        raise _not_yaml(error, name, text) from error
    if root is None:
        raise DocumentError(f"{name} is empty")
    return _Composer(name, FREE_ALIASES + len(text)).node(root, ())


def _not_yaml(error: Exception, name: str, text: str) -> DocumentError:
    """The error that users see for one of the parser."""
    import yaml

    if isinstance(error, RecursionError) or _too_deep_before(error, text):
        return DocumentError(f"{name}: nested too deeply")
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return DocumentError(f"{name}:{line}: a character that YAML does not allow ({error.reason})")
    if not isinstance(error, yaml.MarkedYAMLError):
        return DocumentError(f"{name} is not YAML: {' '.join(str(error).split())}")
    mark = error.problem_mark or error.context_mark
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    what = " ".join(part for part in (error.context, error.problem) if part)
    return DocumentError(f"{place}: this is not YAML: {what}", hint="check indentation, brackets, quotes")


def _too_deep_before(error: Exception, text: str) -> bool:
    """Whether the text nests deeper than `MAX_DEPTH` before the place where the parser failed.

    The scanner of PyYAML (6.0.4 and later) has a limit of its own and runs ahead of the composer, which knows ours: it
    may fail first. So what lies before that place is composed once more.
    """
    import yaml

    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return False
    try:
        yaml.compose(text[: mark.index], Loader=_loader(typed=False))
    except RecursionError:
        return True
    except yaml.YAMLError:
        return False
    return False


@cache
def _loader(typed: bool) -> Any:
    """PyYAML's safe loader, which descends no deeper than `MAX_DEPTH` (its C parser would overflow the stack).

    Args:
        typed: look at every scalar for what type it may be; without, every scalar but the merge key is text.
    """
    import yaml

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def resolve(self: Any, kind: Any, value: Any, implicit: Any) -> str:
        return MERGE if value == "<<" and implicit[0] else PLAIN

    def descend(self: Any, parent: Any, index: Any) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise RecursionError

    def ascend(self: Any) -> None:
        self.depth -= 1

    hooks = {"descend_resolver": descend, "ascend_resolver": ascend, "depth": 0}
    return type("Loader", (base,), hooks if typed else hooks | {"resolve": resolve})


def _measure(root: Any, name: str, most: int) -> None:
    """Refuse what would grow beyond all bounds when PyYAML makes values of it: circles, and bombs of aliases.

    Args:
        root: PyYAML's node; None for an empty document.
        most: values that it may stand for, those of an alias counted each time.
    """
    known: dict[int, tuple[int, int]] = {}  # node -> values, levels; an anchor comes before its aliases

    def size(node: Any, inside: frozenset[int]) -> tuple[int, int]:
        if id(node) in known:
            return known[id(node)]
        place = f"{name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
        if id(node) in inside:
            raise DocumentError(f"{place}: an alias that contains itself")
        if node.id == "scalar":
            return 1, 1
        inside |= {id(node)}
        items = node.value if node.id == "sequence" else [item for pair in node.value for item in pair]
        sizes = [size(item, inside) for item in items]
        values, levels = 1 + sum(s[0] for s in sizes), 1 + max((s[1] for s in sizes), default=0)
        if values > most:
            raise DocumentError(f"{place}: aliases stand for more values than such a file can hold")
        if levels > MAX_DEPTH:
            raise DocumentError(f"{place}: nested too deeply")
        known[id(node)] = values, levels
        return values, levels

    if root is not None:
        size(root, frozenset())


class _Composer:
    """Makes nodes of PyYAML's, following aliases.

    Args:
        name: of the file, for messages.
        most: nodes that may be made.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._left = most

    def node(self, node: Any, inside: tuple[int, ...]) -> Node:
        name = self._name
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        self._left -= 1
        if id(node) in inside or len(inside) > MAX_DEPTH or self._left < 0:
            what = "an alias that contains itself" if id(node) in inside else "nested too deeply"
            if self._left < 0:
                what = "aliases stand for more values than a manifest can hold"
            raise DocumentError(f"{name}:{line}:{column}: {what}")
        if node.id == "scalar":
            self._left += 1
            return self._scalar(node)
        inside = (*inside, id(node))
        if node.id == "sequence":
            return Node([self.node(item, inside) for item in node.value], line, column)
        entries: dict[Key, Node] = {}
        merged: list[Any] = []
        seen: set[str] = set()
        for key, value in node.value:
            place = key.start_mark.line + 1, key.start_mark.column + 1
            if key.id != "scalar":
                raise DocumentError(f"{name}:{place[0]}:{place[1]}: a key must be a word")
            if key.tag == MERGE:
                merged += value.value if value.id == "sequence" else [value]
                continue
            if key.value in seen:
                raise DocumentError(f"{name}:{place[0]}:{place[1]}: the key {key.value!r} is there twice")
            seen.add(key.value)
            entries[Key(key.value, *place)] = self._scalar(value) if value.id == "scalar" else self.node(value, inside)
        for source in merged:
            for key, value in self.node(source, inside).entries:
                if key.text not in seen:
                    seen.add(key.text)
                    entries[key] = value
        return Node(entries, line, column)

    def _scalar(self, node: Any) -> Node:
        mark = node.start_mark
        self._left -= 1
        if self._left < 0:
            place = f"{self._name}:{mark.line + 1}:{mark.column + 1}"
            raise DocumentError(f"{place}: aliases stand for more values than a manifest can hold")
        return Node(node.value, mark.line + 1, mark.column + 1, node.style in QUOTED)
