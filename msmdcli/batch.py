"""`msmd batch`: animate many lines. This is its contract; each sentence has a test.

- A line that fails never stops the others. The exit code is 1 if any line failed, 2 if the command or the manifest
  is wrong (then nothing was started), 130 after an interrupt, else 0.
- An output appears whole or not at all: it is written under a temporary name beside its place and renamed.
- A line is skipped when it is unchanged: the same recording, style clips, bundle and settings, judged by content and
  not by time stamps, and its files are there as we wrote them. `--force` makes it again.
- OUT/ledger.jsonl records what was made from what. A file that somebody edited after we wrote it, or that we never
  wrote, is kept and reported; `--force` overwrites it.
- A line's bytes are the same whatever its neighbours, their order, the batch size, `--jobs` or `--threads`.
- An interrupt (Ctrl-C) ends it after the current step: finished lines stay, the others leave nothing behind, the report
  is written. After a kill at any moment the next run makes what is missing and nothing else.
- `--dry-run` touches nothing; it says what would happen and roughly how long it would take.
- With `--json` there is one event per line of output on stdout; talk is on stderr.
- OUT/report.json and OUT/report.html list failed lines first, then the others with the least healthy first.
- Nothing is written outside OUT.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmdcli import __version__
from msmdcli.bundle import Bundle
from msmdcli.console import INTERRUPTED, Console, duration
from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats import get_format
from msmdcli.ledger import Entry, Ledger, key_of
from msmdcli.manifest import Choices, Line, Manifest, ManifestError, load_manifest, style_field
from msmdcli.outputs import Written, sweep
from msmdcli.paths import shipped_bundle
from msmdcli.report import Record, Report, write_report
from msmdcli.rig import did_you_mean
from msmdcli.style_field import NO_STYLE, StyleField
from msmdcli.styles import StyleLibrary, StyleReference, sha256_of

if TYPE_CHECKING:
    from msmdcli.engine import Engine, Sampling, StyleCode
    from msmdcli.line_worker import LineTask, Outcome

MOTION_VERSION = 1  # raise it when a change of the program changes the motion of a line: all lines are made again
DEFAULT_FORMATS = ("livelink-csv",)
DEFAULT_SEED = 0
HASH_THREADS = 8  # reading recordings waits for disks and networks
UNKNOWN_SECONDS = 4.0  # taken for the duration of a recording that does not say it in its header


@dataclass(frozen=True)
class BatchOptions:
    """What `msmd batch` was asked for.

    Attributes:
        manifest: a manifest, a folder of recordings, or one recording.
        out: OUT.
        choices: style, formats, fps and seed from the command line; see `msmdcli.manifest` for who wins.
        sampler, steps, guidance_audio, guidance_style: see `Sampling`; None is what the bundle recommends.
        jobs: worker processes; 1 works in this process.
        threads: per worker; 0 divides the cores among the workers.
        batch_size: rows per ONNX call; None chooses by device.
        device: auto, cpu or cuda.
        bundle: the folder of a bundle; None is the one that ships.
        styles: folders of tags, before the library that ships.
        dry_run, force: see the contract.
    """

    manifest: Path
    out: Path
    choices: Choices = field(default_factory=Choices)
    sampler: str | None = None
    steps: int | None = None
    guidance_audio: float | None = None
    guidance_style: float | None = None
    jobs: int = 1
    threads: int = 0
    batch_size: int | None = None
    device: str = "auto"
    bundle: Path | None = None
    styles: tuple[Path, ...] = ()
    dry_run: bool = False
    force: bool = False


@dataclass(frozen=True)
class PlannedLine:
    """A line with everything settled that can be settled without computing.

    Attributes:
        line: from the manifest.
        choices: all levels taken together.
        styling: its style field.
        references: `StyleRef.key` -> the clips found; None is the null style.
        audio_sha256, seconds: of the recording (seconds 0 where unknown).
        key: of its content; see `content_key`.
        outputs: format -> path below OUT, with slashes.
        status: `make`, `unchanged`, `kept` or `failed`.
        kept: outputs that somebody else wrote or edited, and that stay.
        error, hint: why it fails before it has begun.
    """

    line: Line
    choices: Choices
    styling: StyleField
    references: Mapping[tuple[str, Path], StyleReference | None] = field(default_factory=dict)
    audio_sha256: str = ""
    seconds: float = 0.0
    key: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    status: str = "make"
    kept: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""


def run_batch(options: BatchOptions, console: Console) -> int:
    """Do what the contract says; the result is the exit code.

    Raises:
        UsageError: the command or the manifest is wrong, nothing was started.
        MsmdError: the bundle or this machine cannot do it at all.
    """
    if options.jobs < 1:
        raise UsageError(f"{options.jobs} jobs", hint="give 1 or more")
    return _Batch(options, console).run()


class _Batch:
    """One run."""

    def __init__(self, options: BatchOptions, console: Console) -> None:
        from msmdcli.engine import Sampling

        self.options = options
        self.console = console
        self.bundle = Bundle.load(options.bundle or shipped_bundle())
        wished = Sampling(options.sampler, options.steps, options.guidance_audio, options.guidance_style)
        self.sampling: Sampling = wished.resolve(self.bundle)
        self.manifest: Manifest = load_manifest(options.manifest, self.bundle.rig)
        self.ledger = Ledger(options.out)
        self.records: dict[str, Record] = {}
        self.began = time.monotonic()

    def run(self) -> int:
        plan = self.plan()
        making = [planned for planned in plan if planned.status == "make"]
        self.announce(plan, making)
        for planned in plan:
            if planned.status != "make":
                self.settle(self.record(planned, planned.status))
        if self.options.dry_run:
            return 1 if any(planned.status == "failed" for planned in plan) else 0
        interrupted = False
        try:
            if making:
                self.make(making)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            if making:
                sweep(self.options.out / path for planned in making for path in planned.outputs.values())
        for planned in making:
            if planned.line.id not in self.records:
                self.records[planned.line.id] = self.record(planned, "not reached")
        return self.finish(interrupted)

    # --- planning: nothing is written, nothing is computed

    def plan(self) -> list[PlannedLine]:
        libraries = _Libraries(self.manifest, self.options.styles)
        settled = [self.settled(line) for line in self.manifest.lines]
        _check_tags(settled, libraries, self.manifest.path)
        _check_outputs(settled, self.manifest.path)
        out = self.options.out.resolve()

        def examine(planned: PlannedLine) -> PlannedLine:
            try:
                return self.examined(planned, libraries, out)
            except MsmdError as error:
                return replace(planned, status="failed", error=error.message, hint=error.hint)

        with ThreadPoolExecutor(HASH_THREADS) as pool:
            return list(pool.map(examine, settled))

    def settled(self, line: Line) -> PlannedLine:
        choices = self.manifest.choices(line, self.options.choices)
        names = choices.formats or DEFAULT_FORMATS
        outputs = {name: f"{line.id}{get_format(name).suffix}" for name in names}
        return PlannedLine(line, choices, style_field(choices, self.manifest.path.parent), outputs=outputs)

    def examined(self, planned: PlannedLine, libraries: _Libraries, out: Path) -> PlannedLine:
        """With the contents that decide what there is to do."""
        line = planned.line
        for path in planned.outputs.values():
            if not (out / path).parent.resolve().is_relative_to(out):
                raise MsmdError(f"{out / path} would be written outside {out}", hint="a folder there is a link")
        if not line.audio.is_file():
            raise MsmdError(f"no such recording: {line.audio}", hint=f"named at {line.where}")
        audio_sha256, seconds = sha256_of(line.audio), _seconds(line.audio)
        references = {ref.key: libraries.resolve(line, *ref.key) for ref in planned.styling.refs()}
        planned = replace(planned, references=references, audio_sha256=audio_sha256, seconds=seconds)
        planned = replace(planned, key=content_key(planned, self.bundle, self.sampling))
        return self.compared(planned, out)

    def compared(self, planned: PlannedLine, out: Path) -> PlannedLine:
        """Against the ledger and the files in OUT."""
        if self.options.force:
            return planned
        entry = self.ledger.latest(planned.line.id)
        current, kept = True, []
        for path in planned.outputs.values():
            digest = _existing_sha256(out / path)
            if digest is not None and not self.ledger.wrote(path, digest):
                kept.append(path)
            elif digest is None or entry is None or entry.key != planned.key or entry.outputs.get(path) != digest:
                current = False
        if len(kept) == len(planned.outputs):
            return replace(planned, status="kept", kept=tuple(kept))
        return replace(planned, status="unchanged" if current else "make", kept=tuple(kept))

    def announce(self, plan: Sequence[PlannedLine], making: Sequence[PlannedLine]) -> None:
        counts = {status: sum(p.status == status for p in plan) for status in ("make", "unchanged", "kept", "failed")}
        seconds = sum(planned.seconds or UNKNOWN_SECONDS for planned in making)
        self.console.event("plan", lines=len(plan), seconds=round(seconds, 2), dry_run=self.options.dry_run, **counts)
        parts = [f"{counts['make']} to make ({duration(seconds)} of sound)"]
        parts += [f"{counts[status]} {status}" for status in ("unchanged", "kept", "failed") if counts[status]]
        self.console.say(f"{len(plan)} lines: " + ", ".join(parts))
        characters = {planned.line.character for planned in plan if planned.line.character}
        for name in sorted(character.name for character in characters if character.curves):
            self.console.warn(
                f"character {name}: curve maps are not applied yet; its files have the rig's own channels"
            )
        if not self.options.dry_run:
            return
        for planned in making:
            outputs = [path for path in planned.outputs.values() if path not in planned.kept]
            self.console.event("would make", id=planned.line.id, outputs=outputs, kept=list(planned.kept))
            self.console.detail(f"would make {planned.line.id}: {', '.join(outputs)}")
        if making:
            speed = self.engine().seconds_per_second()
            estimate = seconds * speed / self.options.jobs
            self.console.event("estimate", seconds=round(estimate, 1), device=self.engine().device)
            self.console.say(f"that would take about {duration(estimate)} here; nothing was touched")

    # --- making

    def engine(self, threads: int | None = None) -> Engine:
        from msmdcli.engine import Engine

        o = self.options
        return Engine(self.bundle, o.device, o.threads if threads is None else threads, o.batch_size, self.sampling)

    def make(self, making: Sequence[PlannedLine]) -> None:
        from msmdcli.line_worker import LineWorker
        from msmdcli.processes import WorkerConfig, run_in_processes
        from msmdcli.runtime import available_cores

        o = self.options
        by_id = {planned.line.id: planned for planned in making}
        jobs = min(o.jobs, len(making))
        engine = self.engine()
        styles, tasks = self.encode_styles(engine, making)
        if not tasks:
            return
        o.out.mkdir(parents=True, exist_ok=True)
        sweep(o.out / path for planned in making for path in planned.outputs.values())
        outcomes: Iterator[Outcome]
        if jobs == 1:
            engine.load()
            outcomes = LineWorker(engine, styles).run(tasks)
        else:
            threads = o.threads or max(1, available_cores() // jobs)
            config = WorkerConfig(self.bundle.path, o.device, threads, o.batch_size, self.sampling, styles)
            outcomes = run_in_processes(config, tasks, jobs)
        total = sum(planned.seconds or UNKNOWN_SECONDS for planned in making)
        try:
            with self.console.progress("Lines", total, len(tasks)) as progress:
                for outcome in outcomes:
                    planned = by_id[outcome.id]
                    self.settle(self.commit(planned, outcome))
                    progress.advance(planned.seconds or UNKNOWN_SECONDS)
        finally:
            outcomes.close()  # type: ignore[attr-defined]  # a generator: its worker stops and cleans up

    def encode_styles(
        self, engine: Engine, making: Sequence[PlannedLine]
    ) -> tuple[dict[str, StyleCode | None], list[LineTask]]:
        """Each style once, and the tasks of the lines whose styles are fine; the longest lines first."""
        from msmdcli.line_worker import LineTask

        styles: dict[str, StyleCode | None] = {NO_STYLE: None}
        broken: dict[str, MsmdError] = {}
        tasks = []
        if not engine.follows_style:
            self.console.warn(f"the model {self.bundle.name} takes no style; styles are ignored")
        for planned in sorted(making, key=lambda p: (-p.seconds, p.audio_sha256, p.line.id)):
            codes = {}
            for key, reference in planned.references.items():
                codes[key] = digest = NO_STYLE if reference is None or not engine.follows_style else reference.sha256
                if reference is None or digest in styles or digest in broken:
                    continue
                try:
                    styles[digest] = engine.encode_style(reference.load())
                except MsmdError as error:
                    broken[digest] = MsmdError(f"style {reference.name}: {error.message}", hint=error.hint)
            bad = next((broken[digest] for digest in codes.values() if digest in broken), None)
            if bad is not None:
                failed = replace(planned, status="failed", error=bad.message, hint=bad.hint)
                self.settle(self.record(failed, "failed"))
                continue
            targets = {
                fmt: self.options.out / path for fmt, path in planned.outputs.items() if path not in planned.kept
            }
            tasks.append(
                LineTask(
                    id=planned.line.id,
                    audio=planned.line.audio,
                    audio_sha256=planned.audio_sha256,
                    field=planned.styling,
                    codes=codes,
                    seed=_seed(planned.choices),
                    fps=planned.choices.fps,
                    targets=targets,
                    meta=self.provenance(planned),
                )
            )
        return styles, tasks

    def provenance(self, planned: PlannedLine) -> dict[str, str]:
        """Notes for the files: how they were made, without anything that differs between machines."""
        return {
            "generator": f"msmd {__version__}",
            "synthetic": "true",
            "line": planned.line.id,
            "style": style_words(planned.styling),
            "model": f"{self.bundle.name} {self.bundle.sha256[:12]}",
            "sampler": f"{self.sampling.sampler}, {self.sampling.steps} steps",
            "seed": str(_seed(planned.choices)),
        }

    def commit(self, planned: PlannedLine, outcome: Outcome) -> Record:
        """Put a line's files in place: first the ledger, then the renames."""
        if outcome.error:
            planned = replace(planned, error=outcome.error, hint=outcome.hint)
            return replace(self.record(planned, "failed"), details=outcome.details)
        facts = {
            "seconds": outcome.seconds,
            "frames": outcome.frames,
            "health": dict(outcome.health),
            "warnings": list(outcome.warnings),
            "audio_sha256": planned.audio_sha256,
            "style": style_words(planned.styling),
            "bundle": self.bundle.sha256,
            "seed": _seed(planned.choices),
            "sampling": asdict(self.sampling),
        }
        kept, ours = list(planned.kept), {}
        try:
            for written in outcome.written:
                path = written.target.relative_to(self.options.out).as_posix()
                digest = None if self.options.force else _existing_sha256(written.target)
                if digest is not None and not self.ledger.wrote(path, digest):  # edited while we computed
                    written.abandon()
                    kept.append(path)
                else:
                    ours[path] = written
            outputs = {path: written.sha256 for path, written in ours.items()}
            before = self.ledger.latest(planned.line.id)
            if before is not None and before.key == planned.key:
                outputs = {**before.outputs, **outputs}  # made earlier in other formats, and still of the same content
            self.ledger.record(Entry(planned.line.id, planned.key, outputs, facts))
            for written in ours.values():
                written.commit()
        except MsmdError as error:
            _abandon(outcome.written)
            return self.record(replace(planned, error=error.message, hint=error.hint), "failed")
        return self.record(replace(planned, kept=tuple(kept)), "made" if ours else "kept")

    # --- telling

    def record(self, planned: PlannedLine, status: str) -> Record:
        line = planned.line
        entry = self.ledger.latest(line.id)
        there = status in ("made", "unchanged")
        facts = entry.facts if there and entry is not None and entry.key == planned.key else {}
        return Record(
            id=line.id,
            status=status,
            audio=str(line.audio),
            outputs=tuple(path for path in planned.outputs.values() if path not in planned.kept) if there else (),
            kept=planned.kept,
            seconds=float(facts.get("seconds") or planned.seconds),
            frames=int(facts.get("frames") or 0),
            style=style_words(planned.styling),
            seed=_seed(planned.choices),
            health=facts.get("health") or {},
            warnings=tuple(facts.get("warnings") or ()),
            error=planned.error,
            hint=planned.hint,
            language=planned.choices.language,
            text=line.text,
            character=line.character.name if line.character else None,
            fields=dict(line.fields),
        )

    def settle(self, record: Record) -> None:
        """A line is done with: remember and tell."""
        self.records[record.id] = record
        self.console.event("line", **record.as_event())
        if record.status == "failed":
            self.console.error(MsmdError(f"line {record.id}: {record.error}", hint=record.hint))
        elif record.kept:
            self.console.warn(f"kept {', '.join(record.kept)}: not as MSMD wrote it; --force overwrites it")
        for warning in record.warnings if record.status == "made" else ():
            self.console.warn(f"line {record.id}: {warning}")
        self.console.detail(f"{record.status} {record.id}")

    def finish(self, interrupted: bool) -> int:
        failed = any(record.status == "failed" for record in self.records.values())
        code = INTERRUPTED if interrupted else int(failed)
        report = Report(
            version=__version__,
            bundle={"name": self.bundle.name, "sha256": self.bundle.sha256, "licence": self.bundle.licence},
            settings={"sampling": asdict(self.sampling), "jobs": self.options.jobs, "device": self.options.device},
            elapsed=time.monotonic() - self.began,
            exit_code=code,
            records=tuple(self.records.values()),
        )
        path = write_report(report, self.options.out)
        counts = report.counts
        self.console.event("end", exit_code=code, report=str(path), elapsed=round(report.elapsed, 2), **counts)
        told = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
        self.console.say(f"{'Interrupted: ' if interrupted else ''}{told} in {duration(report.elapsed)}; see {path}")
        return code


class _Libraries:
    """The style library of each line: its character's folder of tags before the command line's and the shipped one."""

    def __init__(self, manifest: Manifest, folders: Sequence[Path]) -> None:
        own = {line.character.styles for line in manifest.lines if line.character and line.character.styles}
        self._general = StyleLibrary(folders)
        self._own = {folder: StyleLibrary([folder, *folders]) for folder in own}
        self._found: dict[tuple[StyleLibrary, str, Path], StyleReference | MsmdError | None] = {}

    def of(self, line: Line) -> StyleLibrary:
        folder = line.character.styles if line.character else None
        return self._general if folder is None else self._own[folder]

    def resolve(self, line: Line, name: str, base: Path) -> StyleReference | None:
        """As `StyleLibrary.resolve`, once for each style."""
        key = (self.of(line), name, base)
        if key not in self._found:
            try:
                self._found[key] = key[0].resolve(name, base)
            except MsmdError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, MsmdError):
            raise found
        return found


def _check_tags(plan: Iterable[PlannedLine], libraries: _Libraries, path: Path) -> None:
    """Refuse tags that no library has, all at once."""
    problems: dict[str, None] = {}
    for planned in plan:
        library = libraries.of(planned.line)
        for ref in planned.styling.refs():
            if not library.knows(ref.name, ref.base):
                known = did_you_mean(ref.name, [*library.tags, NO_STYLE])
                place = ref.where or ("--style" if planned.choices.style else "the default style")
                problems[f"{place}: there is no style {ref.name!r}; {known}"] = None
    if problems:
        hint = "`msmd styles list` shows the tags; --styles adds a folder of them"
        raise ManifestError(list(problems), path, hint)


def _check_outputs(plan: Iterable[PlannedLine], path: Path) -> None:
    """Refuse ids of which one needs a folder where another has its file, as `a.csv/b` beside `a`."""
    files = {output: planned.line for planned in plan for output in planned.outputs.values()}
    problems = [
        f"{planned.line.where}: the id {planned.line.id!r} needs a folder where line {files[folder].id!r} has its file"
        for planned in plan
        for parent in Path(planned.line.id).parents
        if (folder := parent.as_posix()) in files
    ]
    if problems:
        raise ManifestError(problems, path)


def content_key(planned: PlannedLine, bundle: Bundle, sampling: Sampling) -> str:
    """sha256 of everything that decides a line's motion. Formats are not in it: the same motion in another format is
    the same line.
    """
    fps: Fraction = planned.choices.fps or bundle.fps
    styles = {name: ref.sha256 if ref else NO_STYLE for (name, _), ref in planned.references.items()}
    return key_of(
        {
            "motion_version": MOTION_VERSION,
            "id": planned.line.id,
            "audio": planned.audio_sha256,
            "bundle": bundle.sha256,
            "styles": styles,
            "field": planned.styling.description(),
            "sampling": asdict(sampling),
            "seed": _seed(planned.choices),
            "fps": str(fps),
        }
    )


def style_words(style: StyleField) -> str:
    """A style field in a few words: `angry`, `0.7 angry + 0.3 sad`, `upper: happy`, `from 1.8 s: angry`."""
    segments = style.description()

    def mix(refs: list[list[Any]]) -> str:
        total = sum(weight for _, weight in refs)
        return " + ".join(name if len(refs) == 1 else f"{weight / total:g} {name}" for name, weight in refs)

    words = []
    for segment in segments:
        start = f"from {segment['start']:g} s: " if len(segments) > 1 else ""
        regions = [f"{name}: {mix(refs)}" for name, refs in segment["regions"].items()]
        strength = f" x{segment['intensity']:g}" if segment["intensity"] != 1 else ""
        words.append(start + ", ".join([mix(segment["style"]), *regions]) + strength)
    return "; ".join(words)


def _seed(choices: Choices) -> int:
    return DEFAULT_SEED if choices.seed is None else choices.seed


def _seconds(audio: Path) -> float:
    """The duration that a recording's header tells; 0 where it does not."""
    import soundfile

    try:
        return float(soundfile.info(audio).duration)
    except (soundfile.LibsndfileError, OSError):
        return 0.0


def _existing_sha256(path: Path) -> str | None:
    """sha256 of a file that is there; None for none, and for an empty one: no format writes that, so it is damage."""
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return None
    except OSError as error:
        raise MsmdError(f"{path} cannot be read: {error.strerror or error}") from error
    return sha256_of(path)


def _abandon(files: Iterable[Written]) -> None:
    for file in files:
        file.abandon()
