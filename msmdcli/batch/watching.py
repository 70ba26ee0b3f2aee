"""`msmd watch`: the batch again whenever a file that it reads has changed. What has not changed it skips, as ever.

The files that matter are asked for their time and size once a second: the manifest, the recordings, and the clips,
gestures, motion files, curve maps and heads that the lines name, and the approvals of OUT. That needs no package and
works on network drives. A change is taken up once it has been quiet for a second, so no half-written file is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from msmdcli.batch.approvals import Approvals
from msmdcli.batch.plan import Planner
from msmdcli.batch.planned import BatchOptions, PlannedLine
from msmdcli.batch.redoing import sources
from msmdcli.batch.run import run_batch
from msmdcli.console import INTERRUPTED, Console
from msmdcli.errors import MsmdError, UsageError
from msmdcli.manifest.lines import Manifest
from msmdcli.manifest.loading import load_manifest
from msmdcli.model.bundle import Bundle
from msmdcli.paths import shipped_bundle
from msmdcli.styles.library import RANGE

PAUSE = 1.0  # seconds between two looks

Stamp = tuple[int, int] | None  # time in nanoseconds and size; None: it is not there


def watch_batch(options: BatchOptions, console: Console, pause: Callable[[], None] = lambda: time.sleep(PAUSE)) -> int:
    """Run the batch now, and again after every change, until Ctrl-C.

    Args:
        options: of the batch; the manifest is a path.
        console: where the batch talks. What is wrong with a manifest is said, and it is watched on.
        pause: waits between two looks.

    Returns:
        The exit code: 0, or 130 where a batch was interrupted.

    Raises:
        UsageError: there is no manifest.
    """
    path = options.manifest
    if isinstance(path, Manifest) or not path.expanduser().exists():
        raise UsageError(f"there is no manifest {path}", hint="give a YAML, JSON or CSV file, a folder, or a recording")
    watched = Watched(options)
    try:
        while True:
            before = watched.stamps(again=True)
            try:
                if run_batch(options, console) == INTERRUPTED:
                    return INTERRUPTED
            except MsmdError as error:
                console.error(error)
            console.say(f"Watching {len(before)} files. Ctrl-C ends it.")
            console.event("watching", files=len(before))
            _wait_for_change(watched, before, pause)
    except KeyboardInterrupt:
        console.say("The watch is over.")
        return 0


def _wait_for_change(watched: Watched, before: dict[Path, Stamp], pause: Callable[[], None]) -> None:
    """Return once something is different, and stays so for one pause."""
    seen = watched.stamps()
    while True:
        pause()
        now = watched.stamps()
        if now == seen and now != before:
            return
        seen = now


@dataclass
class Watched:
    """The files that a batch reads, as its manifest was read last.

    Attributes:
        options: of the batch.
        files: besides those that lie in a folder that is the manifest.
    """

    options: BatchOptions
    files: set[Path] = field(default_factory=set)

    def stamps(self, again: bool = False) -> dict[Path, Stamp]:
        """Each file with its time and size.

        Args:
            again: read the manifest, for files that it names by now.
        """
        manifest = self.options.manifest
        assert isinstance(manifest, Path)
        manifest = manifest.expanduser()
        if again:
            with suppress(MsmdError):  # a manifest that is wrong names what it named before
                self.files = set(self._read(manifest))
        own = {path for path in manifest.rglob("*") if path.is_file()} if manifest.is_dir() else {manifest}
        own |= {Approvals(self.options.out).path, *sources(manifest)}
        out = self.options.out.absolute()
        read = {path for path in own | self.files if not path.absolute().is_relative_to(out)}
        return {path: _stamp(path) for path in sorted(read)}

    def _read(self, path: Path) -> Iterator[Path]:
        bundle = Bundle.load(self.options.bundle or shipped_bundle())
        planner = Planner(self.options.resolved(bundle), bundle, load_manifest(path, bundle.rig))
        for planned in planner.planned_lines():
            yield from _files_of(planned, planner)


def _files_of(planned: PlannedLine, planner: Planner) -> Iterator[Path]:
    """What a line is made of."""
    line, character = planned.line, planned.line.character
    yield line.audio
    if line.dub is not None:
        yield line.dub.original
    if character is not None:
        yield from (path for path in (character.head, character.curves) if path is not None)
    for ref in planned.styling.refs():
        found = RANGE.fullmatch(ref.name)
        yield ref.base / (found["path"] if found else ref.name)  # a take; of a tag nothing is there, and nothing comes
        with suppress(MsmdError):  # the batch says what is wrong
            reference = planner.libraries.resolve(line, *ref.key)
            yield from reference.clips if reference is not None else ()
    for gesture in planned.controls.gestures:
        yield planner.gestures.names.get(gesture.name, gesture.base / gesture.name)
    yield from (pin.file.path for pin in planned.controls.pins if pin.file is not None)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
