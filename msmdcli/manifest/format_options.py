"""What a batch asks of its formats beyond their names: the manifest's `format_options`, or the command line's.

    format_options: {glb: {head: hero.glb}, maya: {namespace: hero, reduce_keys: 0.005}}

Each format knows its own (`msmd convert --formats` lists them). Levels are taken together option by option: what a line
says about `glb.head` leaves the manifest's `glb.reduce_keys` alone. Paths are relative to the manifest, on the command
line to the current folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from msmdcli.documents.names import path_problem
from msmdcli.errors import MsmdError, UsageError, did_you_mean
from msmdcli.formats.registry import FORMATS, check_options, get_format, options_key

if TYPE_CHECKING:
    from msmdcli.documents.nodes import Node
    from msmdcli.documents.reader import Reader

FormatOptions = Mapping[str, Mapping[str, str]]  # format -> option -> value as it was written

NONE = "none"  # a word of the formats for "no head", never a file
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # what USD's resolver looks up, as `asset:hero`
PROBED_FPS = Fraction(30)  # values are checked before the frame rate is known
ROLLS = ("pre_roll", "post_roll", "roll")


def parse_value(fmt: str, name: str, text: str, base: Path) -> str:
    """An option's value, checked as far as that goes without the motion; a path is placed below `base`.

    Raises:
        UsageError: the format has no such option, or it cannot have that value.
    """
    checked = check_options(fmt, {name: text})
    key = next(iter(checked))
    if key in ROLLS:
        _check_roll(key, text)
    if key not in get_format(fmt).path_options or text == NONE or ADDRESS.match(text):
        return text
    if (why := path_problem(text)) is not None:
        raise UsageError(f"{name} {text!r} is no path: {why}")
    try:
        return str((base / Path(text).expanduser()).absolute())
    except RuntimeError:
        raise UsageError(f"{name} {text!r} begins with a user that this machine does not know") from None


def _check_roll(name: str, text: str) -> None:
    import numpy as np

    from msmdcli.motion.motion import Motion
    from msmdcli.motion.rig import Rig
    from msmdcli.motion.roll import roll

    rig = Rig.load("arkit52")
    probe = Motion(np.zeros((1, rig.size), np.float32), PROBED_FPS, rig)
    given: dict[str, str] = {"pre_roll": "0", "post_roll": "0", "roll": "ease", name: text}
    roll(probe, given["pre_roll"], given["post_roll"], given["roll"])


def read_format_options(reader: Reader, node: Node) -> FormatOptions | None:
    """The manifest's `format_options`. The reader notes what is wrong, with its place."""
    before = len(reader.problems)
    found: dict[str, dict[str, str]] = {}
    for fmt, given in reader.mapping(node, "format_options", tuple(FORMATS)).items():
        for name, value in reader.mapping(given, f"the options of {fmt}", tuple(get_format(fmt).all_options)).items():
            text = reader.text_of(value, name)
            if text is None:
                continue
            try:
                found.setdefault(fmt, {})[name] = parse_value(fmt, name, text, reader.base)
            except MsmdError as error:
                reader.wrong(value, error.message, error.hint)
    return found if len(reader.problems) == before else None


def parse_format_options(
    given: Iterable[str], everywhere: Mapping[str, str | None], here: Path | None = None
) -> FormatOptions | None:
    """Those of the command line; None where there are none.

    Args:
        given: of `--option`, as `glb.head=hero.glb`.
        everywhere: options of their own (`--reduce-keys`), for all formats that have them; None is not given.
        here: where relative paths start; None is the current folder.
    """
    here = here or Path.cwd()
    found: dict[str, dict[str, str]] = {}
    for name, value in everywhere.items():
        if value is None:
            continue
        for fmt in (form.name for form in FORMATS.values() if name in form.all_options):
            try:
                found.setdefault(fmt, {})[name] = parse_value(fmt, name, value, here)
            except MsmdError as error:
                raise UsageError(f"--{name.replace('_', '-')}: {error.message}", hint=error.hint) from None
    for text in given:
        place, equals, value = text.partition("=")
        fmt, dot, name = (part.strip() for part in place.partition("."))
        if not (equals and dot and fmt and name):
            raise UsageError(f"--option {text!r} is not FORMAT.NAME=VALUE", hint="as in --option glb.head=hero.glb")
        if fmt not in FORMATS:
            raise UsageError(f"--option {text}: there is no format {fmt!r}", hint=did_you_mean(fmt, FORMATS))
        try:
            found.setdefault(fmt, {})[name.replace("-", "_")] = parse_value(fmt, name, value, here)
        except MsmdError as error:
            raise UsageError(f"--option {text}: {error.message}", hint=error.hint) from None
    return found or None


def merge_options(stronger: FormatOptions, weaker: FormatOptions) -> FormatOptions:
    """Two levels as one, option by option."""
    return {fmt: {**weaker.get(fmt, {}), **stronger.get(fmt, {})} for fmt in dict.fromkeys((*stronger, *weaker))}


def options_for(formats: Iterable[str], given: FormatOptions | None, head: Path | None) -> FormatOptions:
    """What is asked of each of a line's formats; those of which nothing is asked are left out.

    Args:
        formats: of the line.
        given: what its levels say.
        head: its character's, taken by formats that animate a head where nothing else is said. Failing that they take
            MSMD_HEAD, which is named here so that another machine takes the same and another head is another file.
    """
    found: dict[str, dict[str, str]] = {}
    usual = str(head.absolute()) if head is not None else os.environ.get("MSMD_HEAD")
    for fmt in formats:
        options = dict((given or {}).get(fmt, {}))
        if usual and "head" in get_format(fmt).path_options:
            options.setdefault("head", str(Path(usual).expanduser().absolute()))
        if options:
            found[fmt] = options
    return found


class OptionKeys:
    """What of the options decides the bytes of files; a head that many lines share is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def of(self, options: FormatOptions) -> dict[str, str]:
        """Format -> `options_key`.

        Raises:
            MsmdError: a file that they name cannot be read.
        """
        return {fmt: self._key(fmt, given) for fmt, given in options.items()}

    def _key(self, fmt: str, given: Mapping[str, str]) -> str:
        place = fmt, json.dumps(given, sort_keys=True)
        if place not in self._known:
            _look_at_files(fmt, given)
            try:
                self._known[place] = options_key(fmt, given)
            except OSError as error:
                raise MsmdError(f"{error.filename} cannot be read: {error.strerror or error}") from error
        return self._known[place]


def _look_at_files(fmt: str, given: Mapping[str, str]) -> None:
    for name in get_format(fmt).path_options:
        path = given.get(name, NONE)
        if path != NONE and not ADDRESS.match(path) and not Path(path).is_file():
            raise MsmdError(f"there is no {name} for {fmt} at {path}", hint=f"{name}: {get_format(fmt).options[name]}")


def unused_options(given: FormatOptions, formats: Iterable[str]) -> list[str]:
    """Options of the command line that reach no file: `head` where no line is written as glb or fbx."""
    written = set(formats)
    places: dict[str, list[str]] = {}
    for fmt, options in given.items():
        for name in options:
            places.setdefault(name, []).append(fmt)
    return [f"{name} ({', '.join(known)})" for name, known in places.items() if not written.intersection(known)]
