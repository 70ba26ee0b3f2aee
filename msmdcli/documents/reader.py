"""The strict reader: what is expected of a document, said value by value; what is wrong is collected with its place.

A reader of one kind of file (a manifest, a curve map) is a `Reader` with methods of its own. It never stops at the
first error: it goes on with what can be read, and in the end everything that is wrong is raised as one `ProblemList`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from msmdcli.documents.names import path_problem
from msmdcli.documents.nodes import Key, Node
from msmdcli.documents.spelling import spelled
from msmdcli.errors import MsmdError, UsageError, did_you_mean

T = TypeVar("T")
W = TypeVar("W", bound=str)

MAX_PROBLEMS = 50  # shown in one message; their number is always given


class ProblemList(UsageError):
    """Everything that is wrong with a document, at once.

    Attributes:
        problems: one text per error, each beginning with file:line:column.
    """

    kind = ""  # of the document, as a message of several problems calls it
    usual_hint = ""

    def __init__(self, problems: Sequence[str], path: Path, hint: str = "") -> None:
        self.problems = list(problems)
        shown = self.problems[:MAX_PROBLEMS]
        more = len(self.problems) - len(shown)
        if len(self.problems) == 1:
            message = self.problems[0]
        else:
            name = f"{self.kind} {path}" if self.kind else str(path)
            message = f"{len(self.problems)} errors in {name}:\n  " + "\n  ".join(shown)
            message += f"\n  ... and {more} more" if more else ""
        super().__init__(message, hint or self.usual_hint)


class Reader:
    """Reads the values of one document and collects what is wrong with them.

    A method that reads a value gives None (or an empty mapping or list) where the value is not of that kind, and has
    noted the problem by then.

    Attributes:
        path: the document.
        base: the folder that relative paths in it start from.
        problems: (line, column, text) of each problem so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base = path.parent
        self.problems: list[tuple[int, int, str]] = []

    def place(self, at: Node | Key) -> str:
        """`file:line:column` of a value or key."""
        return f"{self.path}:{at.line}:{at.column}"

    def wrong(self, at: Node | Key, what: str, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append((at.line, at.column, f"{self.place(at)}: {what}" + (f"; {hint}" if hint else "")))

    def texts(self) -> list[str]:
        """The problems in the order of their places."""
        return [text for *_, text in sorted(self.problems)]

    def mapping(self, node: Node, what: str, keys: Sequence[str]) -> dict[str, Node]:
        """The entries of a mapping with known keys only. Keys whose value is null count as not given."""
        if not isinstance(node.content, dict):
            self.wrong(node, f"{what} is a mapping of keys, not a {node.kind}", f"keys: {', '.join(keys)}")
            return {}
        found = {}
        for key, value in node.content.items():
            if key.text not in keys:
                self.wrong(key, f"unknown key {key.text!r} in {what}", self.hint_for_key(key.text, what, keys))
            elif not value.is_null:
                found[key.text] = value
        return found

    def hint_for_key(self, key: str, what: str, keys: Sequence[str]) -> str:
        """The hint for an unknown key."""
        return did_you_mean(key, keys)

    def named(self, node: Node, what: str) -> Iterator[tuple[Key, Node]]:
        """The entries of a mapping whose keys are free."""
        if not isinstance(node.content, dict):
            self.wrong(node, f"{what} is a mapping of names, not a {node.kind}")
        return node.entries

    def list_of(self, node: Node, what: str) -> list[Node]:
        """The items of a list."""
        if not isinstance(node.content, list):
            self.wrong(node, f"{what} is a list, not a {node.kind}", "each entry begins with `- `")
        return node.items

    def text_of(self, node: Node, what: str) -> str | None:
        """Any scalar as the text that was written."""
        text = node.text
        if text is None:
            self.wrong(node, f"{what} is a text, not " + ("empty" if node.is_null else f"a {node.kind}"))
        return text

    def path_of(self, node: Node, what: str) -> Path | None:
        """A path; a relative one starts from the document's folder."""
        text = self.text_of(node, what)
        if text is None:
            return None
        if (why := path_problem(text)) is not None:
            self.wrong(node, f"{what} {self.show(node)} is no path: {why}")
            return None
        try:
            return spelled(self.base / (Path(text).expanduser() if text.startswith("~") else text))
        except RuntimeError:
            self.wrong(node, f"{what} {self.show(node)} begins with a user that this machine does not know")
            return None

    def number_of(self, node: Node, what: str, low: float, high: float) -> float | None:
        """A number within bounds, both included."""
        value = node.number
        if value is None or not low <= value <= high:
            hint = "a number has no quotes" if node.quoted else ""
            self.wrong(node, f"{what} {self.show(node)} is not a number from {low:g} to {high:g}", hint)
            return None
        return value

    def one_of(self, node: Node, what: str, known: Sequence[W]) -> W | None:
        """One of a few words."""
        text = self.text_of(node, what)
        found = next((word for word in known if word == text), None)
        if found is None and text is not None:
            self.wrong(node, f"{what} {self.show(node)} is not one of {', '.join(known)}")
        return found

    def parsed(self, node: Node, what: str, parse: Callable[[str], T]) -> T | None:
        """A scalar as `parse` reads it, whose errors are noted at the scalar's place."""
        text = self.text_of(node, what)
        if text is None:
            return None
        if node.quoted and Node(node.content, node.line, node.column).number is not None:
            self.wrong(node, f"{what} {self.show(node)} is a text", "a number has no quotes")
            return None
        try:
            return parse(text)
        except MsmdError as error:
            self.wrong(node, error.message, error.hint)
            return None

    @staticmethod
    def show(node: Node) -> str:
        """A value as messages quote it: the beginning of a scalar, else its kind."""
        return repr(node.content[:40]) if isinstance(node.content, str) else f"(a {node.kind})"
