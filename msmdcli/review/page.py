"""The review page of a batch: see and hear every line in one click, and mark what is good and what to do again.

`write_review` makes OUT/review.html. The page itself holds the head, the player and the list of lines. What a line
shows lies in OUT/review, a small script per line that is loaded when the line is looked at, so a thousand lines open as
fast as ten; or, as one file to be mailed, within the page. Nothing needs a network or a server.

Marks live in the browser until they are downloaded, as a file that `msmd batch FILE` makes lines again from
(`msmdcli.manifest.redo`) and `msmd review OUT --import FILE` takes approvals and notes from (`marks`).

OUT may have come from somebody else, or be a folder with other files. So nothing is replaced or removed but what this
module wrote (its scripts and its page begin with their marks), nothing is written through a link, and only what could
be decoded as sound is copied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.batch.approvals import Approvals, Mark
from msmdcli.batch.ledger import Ledger
from msmdcli.batch.report_file import read_report
from msmdcli.errors import MsmdError
from msmdcli.media.audio import load_audio
from msmdcli.review.heads import Heads
from msmdcli.review.modules import STATIC, packed, packed_modules, style_text
from msmdcli.review.said import Said, said_of
from msmdcli.review.sounds import SOUNDS, copied, where_it_lies, within
from msmdcli.review.takes import key_of_take, shown_motion, take_text
from msmdcli.studio.line_view import peaks_of
from msmdcli.system.files import TEMPORARY, cannot_write, encoded, write_text

PAGE, FOLDER = "review.html", "review"
READERS = 4
# Of report.json's lines: what the list and the details show.
LISTED = (
    "id",
    "status",
    "style",
    "seed",
    "seconds",
    "score",
    "concerns",
    "warnings",
    "error",
    "hint",
    "language",
    "text",
    "character",
    "health",
    "outputs",
    "controls",
    "take_of",
)
SCRIPT_MARK = b"msmdLine("
OLD_PAGE = (
    b'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
    b"<title>MSMD review</title>"
)
MARKS = {".js": (SCRIPT_MARK,), ".html": (b'<!doctype html>\n<html lang="en" data-msmd="review">\n', OLD_PAGE)}

Progress = Callable[[], None]


@dataclass(frozen=True)
class ReviewOptions:
    """How the page is made.

    Attributes:
        copy_audio: copy the recordings into the folder, so that it can be sent to somebody; else the page plays them
            where they are.
        one_file: everything within the page, the recordings too.
    """

    copy_audio: bool = False
    one_file: bool = False


@dataclass(frozen=True)
class Review:
    """A page that was made.

    Attributes:
        page: its path.
        size: its bytes.
        beside: bytes of the files that it loads from its folder.
    """

    page: Path
    size: int
    beside: int


def write_review(out: Path, options: ReviewOptions = ReviewOptions(), progress: Progress = lambda: None) -> Review:
    """Make the page of the batch in OUT.

    Args:
        out: a folder that `msmd batch` wrote.
        options: see ReviewOptions.
        progress: called after each line.

    Raises:
        UsageError: OUT holds no report, or one that MSMD did not write.
        MsmdError: the page or its folder cannot be written, or lie where somebody else's files do.
    """
    report = read_report(out)
    lines = report["lines"]
    folder, page = out / FOLDER, out / PAGE
    if not options.one_file:
        make_folder(folder)
    if options.copy_audio and not options.one_file:
        make_folder(out / SOUNDS)
    if page.exists() and not is_ours(page):
        raise MsmdError(f"{page} is not a page that MSMD wrote", hint="move it elsewhere")
    ledger, marks, heads = Ledger(out), Approvals(out).marks(), Heads()
    said = said_of(out, report)

    def prepare(number: int) -> tuple[dict[str, Any], str]:
        try:
            return _prepared(lines[number], out, options, ledger, marks, heads, said)
        finally:
            progress()

    with ThreadPoolExecutor(READERS) as pool:
        prepared = list(pool.map(prepare, range(len(lines))))
    scripts = {script_name(entry["id"]): data for entry, data in prepared if data}
    beside = 0
    if not options.one_file:
        for name, data in scripts.items():
            write_text(folder / name, f"msmdLine({json.dumps(Path(name).stem)}, {json.dumps(data)});\n")
        remove_others(folder, scripts)
        beside = sum((folder / name).stat().st_size for name in scripts)
    about = {
        "title": out.resolve().name,
        "manifest": str(report["settings"].get("manifest", "")),
        "bundle": str(report["bundle"].get("name", "")),
        "counts": report["counts"],
        "limits": report["limits"],
        "key": hashlib.sha256(encoded(str(out.resolve()))).hexdigest()[:16],
        "choices": said.about,
    }
    inside = scripts if options.one_file else {}
    write_text(page, as_page(about, [entry for entry, _ in prepared], heads.packs, inside))
    return Review(page, page.stat().st_size, beside)


def _prepared(
    line: Mapping[str, Any],
    out: Path,
    options: ReviewOptions,
    ledger: Ledger,
    marks: Mapping[str, Mark],
    heads: Heads,
    said: Said,
) -> tuple[dict[str, Any], str]:
    """What the list says of a line, and the line's own data: its take, the take before, its sound; with commas."""
    entry = {name: line[name] for name in LISTED if name in line}
    made, mark = ledger.latest(line["id"]), marks.get(line["id"], Mark())
    entry["key"] = made.key if made is not None else ""
    entry["note"], entry["now"] = mark.note, said.choices.get(line["id"], {})
    if line["id"] in said.redone:
        entry["redone"] = True
    entry["approved"] = mark.approved and mark.key in ("", entry["key"])
    if mark.approved and not entry["approved"]:
        entry["stale"] = True  # another take was approved
    entry["script"] = Path(script_name(line["id"])).stem
    sound = Path(line["audio"]) if line.get("audio") else None
    kind = content = take = ""
    peaks, seconds = np.zeros(0, np.uint8), 0.0
    try:
        if sound is not None and sound.is_file():
            heard = load_audio(sound)
            peaks, seconds = peaks_of(heard.samples), float(heard.seconds)
            if options.one_file:
                kind, content = within(sound, seconds)
            else:
                entry["audio"] = copied(sound, out) if options.copy_audio else where_it_lies(sound, out)
        motion = shown_motion(out, (*line.get("outputs", ()), *line.get("kept", ())))
        if motion is not None:
            entry["head"] = heads.number(line.get("head"), motion.rig)
            take = take_text(motion, peaks, entry["key"], {"seconds": seconds or float(motion.seconds)})
    except MsmdError as error:
        entry["unreadable"] = error.message
    if not take and not content:
        return entry, ""
    before = take_before(out / FOLDER / script_name(line["id"]), entry["key"]) if take else ""
    if before:
        entry["before"] = True
    entry["data"] = True
    return entry, ",".join([take, before, kind, content])


def take_before(script: Path, key: str) -> str:
    """The take that the page before has shown of a line, if that was another one; else the one before that.

    Args:
        script: of that page.
        key: of the take that there is now.
    """
    if not is_ours(script):
        return ""
    try:
        name, data = json.loads(f"[{script.read_text(encoding='utf-8').strip()[len(SCRIPT_MARK) : -2]}]")
        take, before, *_ = data.split(",")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
    shown = key_of_take(take)
    found = take if shown != key else before
    return found if shown and name == script.stem and key_of_take(found) else ""


def as_page(
    about: Mapping[str, Any], entries: list[dict[str, Any]], heads: Iterable[bytes], scripts: Mapping[str, str]
) -> str:
    """The page; data goes in as JSON that cannot end its script element, or in base64.

    Args:
        about: the batch.
        entries: of the list.
        heads: as `head_pack` gives them.
        scripts: data of lines that lie within the page, by the names of their scripts.
    """
    blocks = [f'<script type="text/plain" id="head-{n}">{packed(pack)}</script>' for n, pack in enumerate(heads)]
    blocks += [f'<script type="text/plain" id="{Path(name).stem}">{data}</script>' for name, data in scripts.items()]
    text = (STATIC / "review.html").read_text(encoding="utf-8")
    for name, content in (
        ("STYLE", style_text()),
        ("BOOT", (STATIC / "boot.js").read_text(encoding="utf-8")),
        ("ABOUT", _inside(about)),
        ("LINES", _inside(entries)),
        ("MODULES", packed_modules()),
        ("BLOCKS", "\n".join(blocks)),
    ):
        before, _, after = text.partition(f"/*{name}*/")
        text = before + content + after
    return text


def script_name(line_id: str) -> str:
    """The name of a line's script."""
    return f"{hashlib.sha256(encoded(line_id)).hexdigest()[:16]}.js"


def _inside(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def remove_others(folder: Path, wanted: Iterable[str]) -> None:
    """Remove our scripts of lines that are no longer in the report, and what a kill has left of our files."""
    names = set(wanted)
    for path in folder.glob(".*.msmd-tmp"):
        left = TEMPORARY.fullmatch(path.name)
        if left and is_script(left["name"]):
            path.unlink(missing_ok=True)
    for path in folder.glob("*.js"):
        if path.name not in names and is_script(path.name) and is_ours(path):
            path.unlink(missing_ok=True)


def is_script(name: str) -> bool:
    """Whether a name is that of a script of ours."""
    stem, dot, suffix = name.partition(".")
    return len(stem) == 16 and set(stem) <= set("0123456789abcdef") and (dot, suffix) == (".", "js")


def is_ours(path: Path) -> bool:
    """Whether a file is one that this module wrote."""
    known = MARKS[path.suffix]
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(max(map(len, known))).startswith(known)
    except OSError:
        return False


def make_folder(folder: Path) -> None:
    """Make a folder of ours.

    Raises:
        MsmdError: a link or a file is there, or it cannot be made.
    """
    if folder.is_symlink():
        raise MsmdError(f"{folder} is a link", hint="remove it: the page's files would land where it leads")
    if folder.exists() and not folder.is_dir():
        raise MsmdError(f"{folder} is a file", hint="move it elsewhere: the page's files belong into a folder there")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
