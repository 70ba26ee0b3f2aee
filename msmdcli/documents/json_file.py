"""Reads JSON that somebody else may have made, whole or a value a line, within limits and with one kind of error.

Python's reader takes what the standard (RFC 8259) does not know: NaN, Infinity, numbers of any length. Here a number is
finite, and fits a float.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msmdcli.documents.nodes import DocumentError

MOST_BYTES = 256 << 20


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """The value in a JSON file.

    Raises:
        DocumentError: it is no ordinary file, too large, or not JSON.
    """
    return json_value(_content(path, most_bytes), str(path))


def read_json_lines(path: Path, most_bytes: int = MOST_BYTES) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects in a file of JSON lines, each with the number of its line; empty lines are passed over.

    Raises:
        DocumentError: it is no ordinary file or too large, or a line is no JSON object.
    """
    for number, line in enumerate(_content(path, most_bytes).split(b"\n"), start=1):
        if line.strip():
            value = json_value(line, f"{path}, line {number}")
            if not isinstance(value, dict):
                raise DocumentError(f"{path}, line {number} is no JSON object")
            yield number, value


def json_value(content: bytes | str, where: str) -> Any:
    """The value of a text of JSON.

    Raises:
        DocumentError: it is not JSON; the message begins with `where`.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        return json.loads(text, parse_constant=_refused, parse_float=_number, parse_int=_whole)
    except UnicodeDecodeError as error:
        raise DocumentError(f"{where}: this is not UTF-8 text") from error
    except RecursionError as error:
        raise DocumentError(f"{where}: nested too deeply") from error
    except ValueError as error:
        raise DocumentError(f"{where}: this is not JSON: {error}") from error


def _content(path: Path, most_bytes: int) -> bytes:
    try:
        if not path.is_file():  # reading a pipe or a device may never end
            raise DocumentError(f"{path} is not a file" if path.exists() else f"no such file: {path}")
        if path.stat().st_size > most_bytes:
            raise DocumentError(f"{path} is larger than {most_bytes >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror or error}") from error


def _refused(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _whole(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > 2**64:
        raise ValueError(f"the number {text[:20]} is too large")
    return value
