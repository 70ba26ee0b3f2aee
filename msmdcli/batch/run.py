"""`msmd batch`: animate many lines. This is its contract; each sentence has a test that was seen to fail when the
behaviour was broken on purpose (`benchmarks/break_contract.py` breaks it again).

- A line that fails never stops the others. The exit code is 1 if any line failed, 2 if the command or the manifest
  is wrong (then nothing was started), 130 after an interrupt, else 0.
- An output appears whole or not at all: it is written under a temporary name beside its place and renamed.
- A line is skipped when it is unchanged: the same recording, style clips, bundle and settings, judged by content and
  not by time stamps, and its files are there as we wrote them. `--force` makes it again.
- OUT/ledger.jsonl records what was made from what. A file that somebody edited after we wrote it, or that we never
  wrote, is kept and reported; `--beside` writes ours as `<id>.new.<suffix>` next to it, `--force` overwrites it.
- A line's bytes are the same whatever its neighbours, their order, the batch size, `--jobs`, `--threads` or `--engine`.
- An interrupt (Ctrl-C, or the SIGTERM of a farm) ends it after the current step: finished lines stay, in OUT as in
  the ledger and the report, which is written; the others leave nothing behind. After a kill at any moment the next run
  makes what is missing and nothing else.
- One batch at a time works in one OUT: a second one ends with exit code 2 before it starts anything, and a lock that a
  kill has left blocks nobody.
- A worker or a node that dies takes no line with it but one that kills its workers; that one fails.
- `--dry-run` touches nothing; it says what would happen and roughly how long it would take.
- With `--json` there is one event per line of output on stdout; talk is on stderr.
- OUT/report.json and OUT/report.html list failed lines first, then the others with the least healthy first.
- A voice that is much livelier or calmer than its style gives its line a warning (`--no-delivery-check`: not).
- What the files of a format need once beside them (Unreal's import script) is written into OUT by the same rules.
- Nothing is written outside OUT but the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msmdcli import __version__
from msmdcli.batch import dubbing as dub_line
from msmdcli.batch.ledger import NAME as LEDGER
from msmdcli.batch.ledger import Entry, Ledger, key_of
from msmdcli.batch.out_lock import alone_in
from msmdcli.batch.report import NAMES as REPORTS
from msmdcli.batch.report import Record, Report, write_report
from msmdcli.console import INTERRUPTED, Console, duration
from msmdcli.controls.controls import Controls
from msmdcli.controls.gesture import GestureLibrary
from msmdcli.documents.names import folded
from msmdcli.errors import MsmdError, UsageError, did_you_mean
from msmdcli.formats import get_format
from msmdcli.formats.registry import companions
from msmdcli.manifest.format_options import FormatOptions, OptionKeys, options_for, unused_options
from msmdcli.manifest.lines import Choices, Line, Manifest, ManifestError, seed_of, style_field
from msmdcli.manifest.loading import curve_maps_of, load_manifest
from msmdcli.manifest.takes import with_takes
from msmdcli.model.bundle import Bundle
from msmdcli.motion.curve_map import CurveMap
from msmdcli.paths import shipped_bundle
from msmdcli.styles.field import NO_STYLE, StyleField, style_words
from msmdcli.styles.library import StyleLibrary, StyleReference
from msmdcli.system.files import Written, sha256_of, sweep, write_text
from msmdcli.system.interrupts import Interrupts

if TYPE_CHECKING:
    from msmdcli.batch.delivery import Delivery, Manner
    from msmdcli.batch.dubbing import PreparedDub
    from msmdcli.model.engine import Engine
    from msmdcli.model.sampling import Sampling
    from msmdcli.model.style_codes import StyleCode
    from msmdcli.workers.line_worker import LineTask, Outcome

MOTION_VERSION = 2  # raise it when a change of the program changes the motion of a line: all lines are made again
DEFAULT_FORMATS = ("livelink-csv",)
ENGINES = ("local", "ray")
HASH_THREADS = 8  # reading recordings waits for disks and networks
UNKNOWN_SECONDS = 4.0  # taken for the duration of a recording that does not say it in its header


@dataclass(frozen=True)
class BatchOptions:
    """What `msmd batch` was asked for.

    Attributes:
        manifest: a manifest, a folder of recordings, or one recording; or a manifest that is read already.
        out: OUT.
        choices: style, formats, fps and seed from the command line; see `msmdcli.manifest.lines` for who wins.
        sampler, steps, guidance_audio, guidance_style, guidance_interval, guidance_rescale: see `Sampling`; None is
            what the bundle recommends.
        engine: `local` (this machine) or `ray` (see `msmdcli.workers.ray_cluster`).
        ray_address: of a cluster; None is this machine, or RAY_ADDRESS.
        jobs: workers. None is one here (1 works in this process), and all that there is room for in a Ray cluster.
        threads: per worker; 0 divides the cores among the workers.
        batch_size: rows per ONNX call; None chooses by device.
        device: auto, cpu or cuda.
        bundle: the folder of a bundle; None is the one that ships.
        styles: folders of tags, before the library that ships.
        gestures: folders of gestures, before the one beside the manifest and those that ship.
        dry_run, force, beside, delivery_check: see the contract.
    """

    manifest: Path | Manifest
    out: Path
    choices: Choices = field(default_factory=Choices)
    sampler: str | None = None
    steps: int | None = None
    guidance_audio: float | None = None
    guidance_style: float | None = None
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float | None = None
    engine: str = "local"
    ray_address: str | None = None
    jobs: int | None = None
    threads: int = 0
    batch_size: int | None = None
    device: str = "auto"
    bundle: Path | None = None
    styles: tuple[Path, ...] = ()
    gestures: tuple[Path, ...] = ()
    dry_run: bool = False
    force: bool = False
    beside: bool = False
    delivery_check: bool = True

    def check(self) -> None:
        """Refuse what cannot be meant."""
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"{self.jobs} jobs", hint="give 1 or more")
        if self.engine not in ENGINES:
            raise UsageError(f"engine {self.engine!r} is not known", hint=f"choose one of: {', '.join(ENGINES)}")
        if self.ray_address is not None and self.engine != "ray":
            raise UsageError("--ray-address without --engine ray", hint="add --engine ray")
        if self.force and self.beside:
            raise UsageError("--force overwrites edited files, --beside keeps them", hint="give one of the two")


@dataclass(frozen=True)
class PlannedLine:
    """A line with everything settled that can be settled without computing.

    Attributes:
        line: from the manifest.
        choices: all levels taken together.
        styling: its style field.
        controls: what is asked of it beyond its style.
        curves: the curve map of its character.
        references: `StyleRef.key` -> the clips found; None is the null style.
        audio_sha256, seconds: of the recording (seconds 0 where unknown).
        key: of its content; see `content_key`.
        outputs: format -> path below OUT, with slashes.
        format_options: format -> what is asked of it.
        option_keys: format -> what of that decides its file's bytes.
        targets: those of them that are ours to write, and with `--beside` the paths next to those that are not.
        status: `make`, `unchanged`, `kept` or `failed`.
        kept: outputs that somebody else wrote or edited, and that stay.
        error, hint: why it fails before it has begun.
    """

    line: Line
    choices: Choices
    styling: StyleField
    controls: Controls = field(default_factory=Controls)
    curves: CurveMap | None = None
    references: Mapping[tuple[str, Path], StyleReference | None] = field(default_factory=dict)
    audio_sha256: str = ""
    seconds: float = 0.0
    key: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    format_options: FormatOptions = field(default_factory=dict)
    option_keys: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
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
    options.check()
    with Interrupts() as interrupts:
        try:
            return _Batch(options, console, interrupts).run()
        except Exception:
            interrupts.check()  # an error that an interrupt has led to
            raise


class _Batch:
    """One run."""

    def __init__(self, options: BatchOptions, console: Console, interrupts: Interrupts) -> None:
        from msmdcli.model.sampling import Sampling

        self.options = options
        self.console = console
        self.interrupts = interrupts
        self.bundle = Bundle.load(options.bundle or shipped_bundle())
        wished = Sampling(
            options.sampler,
            options.steps,
            options.guidance_audio,
            options.guidance_style,
            options.guidance_interval,
            options.guidance_rescale,
        )
        self.sampling: Sampling = wished.resolve(self.bundle)
        given = options.manifest
        self.manifest = given if isinstance(given, Manifest) else load_manifest(given, self.bundle.rig)
        self.curve_maps = curve_maps_of(self.manifest, self.bundle.rig)
        self.out = options.out.absolute()  # workers elsewhere have another current folder
        self.records: dict[str, Record] = {}
        self.dubs: dict[str, PreparedDub] = {}  # by line id
        self.option_keys = OptionKeys()
        self.started = False  # whether anything was written
        self.began = time.monotonic()

    def run(self) -> int:
        settled = self.settled_lines()
        with nullcontext() if self.options.dry_run else alone_in(self.out):
            self.ledger = Ledger(self.options.out)
            return self.run_alone(settled)

    def run_alone(self, settled: Sequence[PlannedLine]) -> int:
        """While no other batch works in OUT."""
        plan = self.plan(settled)
        making = [planned for planned in plan if planned.status == "make"]
        self.announce(plan, making)
        for planned in plan:
            if planned.status != "make":
                self.settle(self.record(planned, planned.status))
        if self.options.dry_run:
            return 1 if any(planned.status == "failed" for planned in plan) else 0
        interrupted, broken = False, None
        try:
            if making:
                self.make(making)
        except KeyboardInterrupt:
            interrupted = True
        except Exception as error:
            interrupted = self.interrupts.came
            if not interrupted:
                if not isinstance(error, MsmdError) or not self.started:
                    raise
                broken = error  # no worker can go on: what is done is reported all the same
        finally:
            if self.started:
                self.sweep(making)
        for planned in making:
            if planned.line.id not in self.records:
                self.records[planned.line.id] = self.record(planned, "not reached")
        if self.options.delivery_check:
            self.check_deliveries(plan)
        self.write_companions(plan)
        code = self.finish(interrupted, broken)
        if broken is not None:
            raise broken
        return code

    def sweep(self, making: Iterable[PlannedLine]) -> None:
        """Remove what a kill has left under temporary names, of these lines and of our own files."""
        sweep(self.out / path for planned in making for path in planned.targets.values())
        sweep(self.out / name for name in (LEDGER, *REPORTS))

    # --- planning: nothing is written, nothing is computed

    def settled_lines(self) -> list[PlannedLine]:
        """With all that the manifest and the command line say, and nothing wrong in it."""
        libraries = self.libraries = Libraries(self.manifest, self.options.styles)
        gestures = self.gestures = GestureLibrary(self.options.gestures, self.manifest.path.parent / "gestures")
        settled = [self.settled(line) for line in with_takes(self.manifest, self.options.choices)]
        _check_tags(settled, libraries, self.manifest.path)
        _check_gestures(settled, gestures, self.manifest.path)
        _check_outputs(settled, self.manifest.path)
        _check_curves(settled, self.manifest.path)
        _check_options(settled, self.options.choices)
        return settled

    def plan(self, settled: Sequence[PlannedLine]) -> list[PlannedLine]:
        self.claimed = {folded(path) for planned in settled for path in planned.outputs.values()}
        out = self.options.out.resolve()

        def examine(planned: PlannedLine) -> PlannedLine:
            try:
                return self.examined(planned, self.libraries, self.gestures, out)
            except MsmdError as error:
                return replace(planned, status="failed", error=error.message, hint=error.hint)

        with ThreadPoolExecutor(HASH_THREADS) as pool:
            return list(pool.map(examine, settled))

    def settled(self, line: Line) -> PlannedLine:
        choices = self.manifest.choices(line, self.options.choices)
        names = choices.formats or DEFAULT_FORMATS
        outputs = {name: f"{line.id}{get_format(name).suffix}" for name in names}
        styling = dub_line.followed(style_field(choices, self.manifest.path.parent), line)
        curves = self.curve_maps.get(line.character.curves) if line.character and line.character.curves else None
        controls = choices.controls()
        if line.dub is not None:  # a dub says itself what its head does
            controls = replace(controls, head=1.0)
        asked = options_for(names, choices.format_options, line.character.head if line.character else None)
        return PlannedLine(
            line, choices, styling, controls, curves=curves, outputs=outputs, format_options=asked, targets=outputs
        )

    def examined(self, planned: PlannedLine, libraries: Libraries, gestures: GestureLibrary, out: Path) -> PlannedLine:
        """With the contents that decide what there is to do."""
        line = planned.line
        for path in planned.outputs.values():
            if not (out / path).parent.resolve().is_relative_to(out):
                raise MsmdError(f"{out / path} would be written outside {out}", hint="a folder there is a link")
        originals = dub_line.find_originals(line)
        if not line.audio.is_file():
            raise MsmdError(f"no such recording: {line.audio}", hint=f"named at {line.where}")
        audio_sha256, seconds = sha256_of(line.audio), _seconds(line.audio)
        others = (ref for ref in planned.styling.refs() if ref.key not in originals)
        references = {**originals, **{ref.key: libraries.resolve(line, *ref.key) for ref in others}}
        controls = planned.controls.located(gestures)
        planned = replace(planned, references=references, audio_sha256=audio_sha256, seconds=seconds, controls=controls)
        planned = replace(planned, option_keys=self.option_keys.of(planned.format_options))
        planned = replace(planned, key=content_key(planned, self.bundle, self.sampling))
        return self.compared(planned, out)

    def compared(self, planned: PlannedLine, out: Path) -> PlannedLine:
        """Against the ledger and the files in OUT."""
        if self.options.force:
            return planned
        entry = self.ledger.latest(planned.line.id)
        current, kept, targets = True, [], {}
        for fmt, path in planned.outputs.items():
            digest = _existing_sha256(out / path)
            if not self.is_ours(path, digest):
                kept.append(path)
                if not self.options.beside:
                    continue
                path = self.beside(path)
                digest = _existing_sha256(out / path)
                if not self.is_ours(path, digest):
                    kept.append(path)
                    continue
            targets[fmt] = path
            current &= digest is not None and entry is not None and entry.key == planned.key
            current &= entry is not None and entry.outputs.get(path) == digest
        status = "kept" if not targets else "unchanged" if current else "make"
        return replace(planned, status=status, kept=tuple(kept), targets=targets)

    def is_ours(self, path: str, digest: str | None) -> bool:
        """Whether a place below OUT is free, or holds what we wrote there."""
        return digest is None or self.ledger.wrote(path, digest)

    def beside(self, path: str) -> str:
        """Where our version of a kept file goes."""
        place = PurePosixPath(path)
        new = place.with_name(f"{place.stem}.new{place.suffix}").as_posix()
        if folded(new) in self.claimed:
            raise MsmdError(f"{path} was edited, and {new} is the output of another line", hint="rename that line")
        return new

    def announce(self, plan: Sequence[PlannedLine], making: Sequence[PlannedLine]) -> None:
        counts = {status: sum(p.status == status for p in plan) for status in ("make", "unchanged", "kept", "failed")}
        seconds = sum(planned.seconds or UNKNOWN_SECONDS for planned in making)
        self.console.event("plan", lines=len(plan), seconds=round(seconds, 2), dry_run=self.options.dry_run, **counts)
        parts = [f"{counts['make']} to make ({duration(seconds)} of sound)"]
        parts += [f"{counts[status]} {status}" for status in ("unchanged", "kept", "failed") if counts[status]]
        self.console.say(f"{len(plan)} lines: " + ", ".join(parts))
        references = [reference for planned in making for reference in planned.references.values()]
        for name in sorted({reference.name for reference in references if reference and reference.private}):
            self.console.warn(f"style {name} is private: keep what it makes until licence and consent are stated")
        if not self.options.dry_run:
            return
        for planned in making:
            outputs = list(planned.targets.values())
            self.console.event("would make", id=planned.line.id, outputs=outputs, kept=list(planned.kept))
            self.console.detail(f"would make {planned.line.id}: {', '.join(outputs)}")
        if making:
            from msmdcli.model import trial

            speed = trial.seconds_per_second(self.engine())
            workers = self.jobs(len(making))[0]
            estimate = seconds * speed / workers
            self.console.event("estimate", seconds=round(estimate, 1), device=self.engine().device, workers=workers)
            here = "here" if self.options.engine == "local" else f"with {workers} workers like this machine"
            self.console.say(f"that would take about {duration(estimate)} {here}; nothing was touched")

    # --- making

    def engine(self, threads: int | None = None) -> Engine:
        from msmdcli.model.engine import Engine

        o = self.options
        return Engine(self.bundle, o.device, o.threads if threads is None else threads, o.batch_size, self.sampling)

    def make(self, making: Sequence[PlannedLine]) -> None:
        from msmdcli.workers.line_worker import LineWorker
        from msmdcli.workers.local import WorkerConfig, run_in_processes

        o = self.options
        by_id = {planned.line.id: planned for planned in making}
        engine = self.engine()
        styles, tasks = self.encode_styles(engine, making)
        if not tasks:
            return
        self.started = True
        self.out.mkdir(parents=True, exist_ok=True)
        self.sweep(making)
        jobs, threads = self.jobs(len(tasks))
        config = WorkerConfig(self.bundle.path.absolute(), o.device, threads, o.batch_size, self.sampling, styles)
        outcomes: Iterator[Outcome]
        if o.engine == "ray":
            from msmdcli.workers.ray_cluster import run_with_ray

            warn, wanted = self.console.warn, o.jobs and min(o.jobs, len(tasks))
            outcomes = run_with_ray(config, tasks, wanted, o.ray_address, self.out, self.bundle.sha256, warn)
        elif jobs == 1:
            engine.load()
            outcomes = LineWorker(engine, styles).run(tasks)
        else:
            outcomes = run_in_processes(config, tasks, jobs)
        total = sum(planned.seconds or UNKNOWN_SECONDS for planned in making)
        stopping = closing(outcomes)  # type: ignore[type-var]  # a generator: its worker stops and cleans up
        with self.console.alone(), stopping, self.console.progress("Lines", total, len(tasks)) as progress:
            for outcome in outcomes:
                self.interrupts.check()
                planned = by_id[outcome.id]
                with self.interrupts.held():  # a line that is in place is told of, too
                    self.settle(self.commit(planned, outcome))
                progress.advance(planned.seconds or UNKNOWN_SECONDS)

    def jobs(self, lines: int) -> tuple[int, int]:
        """(workers, threads of each). Here they never ask for more threads than there are cores."""
        from msmdcli.model.runtime import available_cores

        o, cores = self.options, available_cores()
        if o.engine == "ray":
            return o.jobs or 1, o.threads or 1  # a core each: more workers give more than more threads
        if o.jobs is None or o.jobs == 1:
            return 1, min(o.threads, cores)
        jobs = min(o.jobs, lines, cores)
        return jobs, min(o.threads or cores, max(1, cores // jobs))

    def encode_styles(
        self, engine: Engine, making: Sequence[PlannedLine]
    ) -> tuple[dict[str, StyleCode | None], list[LineTask]]:
        """Each style once, and the tasks of the lines whose styles are fine; the longest lines first."""
        from msmdcli.model.stores import StyleStore
        from msmdcli.workers.line_worker import LineTask

        store = StyleStore()
        styles: dict[str, StyleCode | None] = {NO_STYLE: None}
        broken: dict[str, MsmdError] = {}
        tasks = []
        references = [reference for planned in making for reference in planned.references.values()]
        dub_line.track_originals(references, self.jobs(len(making))[0], self.console)
        if not engine.follows_style:
            self.console.warn(f"the model {self.bundle.name} takes no style; styles are ignored")
        for planned in sorted(making, key=lambda p: (-p.seconds, p.audio_sha256, p.line.id)):
            codes = {}
            for key, reference in planned.references.items():
                codes[key] = digest = NO_STYLE if reference is None or not engine.follows_style else reference.sha256
                if reference is None or digest in styles or digest in broken:
                    continue
                try:
                    styles[digest] = engine.encode_style(reference.load(), store)
                except MsmdError as error:
                    what = "original" if isinstance(reference, dub_line.Original) else "style"
                    broken[digest] = MsmdError(f"{what} {reference.name}: {error.message}", hint=error.hint)
            bad = next((broken[digest] for digest in codes.values() if digest in broken), None)
            dub = None
            if planned.line.dub is not None and bad is None:
                try:
                    dub = dub_line.prepare(
                        planned.line.dub, planned.styling, planned.references, codes, styles, engine, store
                    )
                    self.dubs[planned.line.id] = dub
                except MsmdError as error:
                    bad = error
            if bad is not None:
                failed = replace(planned, status="failed", error=bad.message, hint=bad.hint)
                self.settle(self.record(failed, "failed"))
                continue
            targets = {fmt: self.out / path for fmt, path in planned.targets.items()}
            tasks.append(
                LineTask(
                    id=planned.line.id,
                    audio=planned.line.audio.absolute(),
                    audio_sha256=planned.audio_sha256,
                    field=dub.field if dub else planned.styling,
                    codes=dub.codes if dub else codes,
                    seed=seed_of(planned.choices),
                    fps=planned.choices.fps,
                    targets=targets,
                    format_options=planned.format_options,
                    meta=self.provenance(planned),
                    curves=planned.curves,
                    controls=planned.controls,
                    noise=planned.line.noise,
                    head=dub.head if dub else None,
                )
            )
        return styles, tasks

    def provenance(self, planned: PlannedLine) -> dict[str, str]:
        """Notes for the files: how they were made, without anything that differs between machines."""
        return dub_line.notes(planned.line) | {
            "generator": f"msmd {__version__}",
            "synthetic": "true",
            "line": planned.line.id,
            "style": style_words(planned.styling),
            **({"controls": words} if (words := planned.controls.words()) else {}),
            "model": f"{self.bundle.name} {self.bundle.sha256[:12]}",
            "sampler": f"{self.sampling.sampler}, {self.sampling.steps} steps",
            "seed": str(seed_of(planned.choices)),
        }

    def commit(self, planned: PlannedLine, outcome: Outcome) -> Record:
        """Put a line's files in place: first the ledger, then the renames."""
        if outcome.error:
            planned = replace(planned, error=outcome.error, hint=outcome.hint)
            return replace(self.record(planned, "failed"), details=outcome.details)
        dub = self.dubs.get(planned.line.id)
        facts = {
            "seconds": outcome.seconds,
            "dub": dub.length_facts(outcome.seconds) if dub else {},
            "frames": outcome.frames,
            "health": dict(outcome.health),
            "controls": dict(outcome.controls),
            "voice": dict(outcome.voice),
            "warnings": [*outcome.warnings, *(dub.length_warnings(outcome.seconds) if dub else ())],
            "audio_sha256": planned.audio_sha256,
            "style": style_words(planned.styling),
            "bundle": self.bundle.sha256,
            "seed": seed_of(planned.choices),
            "sampling": self.sampling.description(),
        }
        kept, ours = list(planned.kept), {}
        try:
            for written in outcome.written:
                path = written.target.relative_to(self.out).as_posix()
                digest = None if self.options.force else _existing_sha256(written.target)
                if self.is_ours(path, digest):
                    ours[path] = written
                    continue
                kept.append(path)  # edited while we computed
                if self.options.beside and path in planned.outputs.values():
                    beside = self.out / self.beside(path)
                    if self.is_ours(self.beside(path), _existing_sha256(beside)):
                        ours[self.beside(path)] = replace(written, target=beside)
                        continue
                written.abandon()
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
        return self.record(replace(planned, kept=tuple(kept)), "made" if ours else "kept", tuple(ours))

    # --- telling

    def record(self, planned: PlannedLine, status: str, outputs: tuple[str, ...] | None = None) -> Record:
        line = planned.line
        entry = self.ledger.latest(line.id)
        there = status in ("made", "unchanged")
        facts = entry.facts if there and entry is not None and entry.key == planned.key else {}
        return Record(
            id=line.id,
            status=status,
            audio=str(line.audio),
            outputs=(tuple(planned.targets.values()) if outputs is None else outputs) if there else (),
            kept=planned.kept,
            seconds=float(facts.get("seconds") or planned.seconds),
            frames=int(facts.get("frames") or 0),
            style=style_words(planned.styling),
            controls=planned.controls.words(),
            controlled=facts.get("controls") or {},
            seed=seed_of(planned.choices),
            health=facts.get("health") or {},
            warnings=tuple(facts.get("warnings") or ()),
            error=planned.error,
            hint=planned.hint,
            language=planned.choices.language,
            text=line.text,
            character=line.character.name if line.character else None,
            fields=dict(line.fields),
            dub=facts.get("dub") or {},
        )

    def settle(self, record: Record) -> None:
        """A line is done with: remember and tell."""
        self.records[record.id] = record
        self.console.event("line", **record.as_event())
        if record.status == "failed":
            self.console.error(MsmdError(f"line {record.id}: {record.error}", hint=record.hint))
        elif record.kept:
            how = "--beside writes ours next to it, --force overwrites it"
            self.console.warn(f"kept {', '.join(record.kept)}: not as MSMD wrote it; {how}")
        for warning in record.warnings if record.status == "made" else ():
            self.console.warn(f"line {record.id}: {warning}")
        self.console.detail(f"{record.status} {record.id}")
        if record.dub:
            tell = self.console.say if len(self.manifest.lines) == 1 else self.console.detail
            tell(f"{record.id}: {dub_line.length_words(record.dub, record.seconds)}")

    def check_deliveries(self, plan: Sequence[PlannedLine]) -> None:
        """Warn of voices that contradict their styles. All lines must be known: a character has a usual voice."""
        from msmdcli.batch.delivery import check_deliveries

        lines, found = [], {}
        for planned in plan:
            entry, record = self.ledger.latest(planned.line.id), self.records[planned.line.id]
            if record.status not in ("made", "unchanged") or entry is None or not entry.facts.get("voice"):
                continue
            lines.append(_delivery(planned, record, entry.facts["voice"]))
            found.update({reference.sha256: reference for reference in planned.references.values() if reference})
        if not lines:
            return
        manners = {digest: manner for digest, reference in found.items() if (manner := _manner(reference))}

        def tags() -> dict[str, Manner]:
            found = ((tag, manners.get(one.sha256) or _manner(one)) for tag, one in self.libraries.all_tags())
            return {tag: manner for tag, manner in found if manner}

        for line, warning in check_deliveries(lines, manners, tags).items():
            record = self.records[line]
            self.records[line] = replace(record, warnings=(*record.warnings, warning))
            self.console.event("delivery", id=line, warning=warning)
            self.console.warn(f"line {line}: {warning}")

    def write_companions(self, plan: Iterable[PlannedLine]) -> None:
        """What the files of a format need once beside them."""
        there = [planned for planned in plan if self.records[planned.line.id].status in ("made", "unchanged", "kept")]
        for name, text in companions(dict.fromkeys(fmt for planned in there for fmt in planned.outputs)).items():
            new = hashlib.sha256(text.replace("\n", os.linesep).encode()).hexdigest()
            found = _existing_sha256(self.out / name)
            if found == new:
                continue
            if not self.options.force and not self.is_ours(name, found):
                self.console.warn(f"kept {name}: not as MSMD wrote it; --force overwrites it")
                continue
            self.ledger.record(Entry(f"/{name}", new, {name: new}))  # no line has an id with a slash in front
            write_text(self.out / name, text)
            self.console.say(f"{self.out / name}: how it is used is written at its top")

    def finish(self, interrupted: bool, broken: MsmdError | None) -> int:
        failed = any(record.status == "failed" for record in self.records.values())
        o = self.options
        code = INTERRUPTED if interrupted else int(failed or broken is not None)
        report = Report(
            version=__version__,
            bundle={"name": self.bundle.name, "sha256": self.bundle.sha256, "licence": self.bundle.licence},
            settings={
                "manifest": str(self.manifest.path.resolve()),
                "sampling": self.sampling.description(),
                "engine": o.engine,
                "jobs": o.jobs,
                "device": o.device,
            },
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


class Libraries:
    """The style library of each line: its character's folder of tags before the command line's and the shipped one."""

    def __init__(self, manifest: Manifest, folders: Sequence[Path]) -> None:
        own = {line.character.styles for line in manifest.lines if line.character and line.character.styles}
        self._general = StyleLibrary(folders)
        self._own = {folder: StyleLibrary([folder, *folders]) for folder in own}
        self._found: dict[tuple[StyleLibrary, str, Path], StyleReference | MsmdError | None] = {}

    def of(self, line: Line) -> StyleLibrary:
        folder = line.character.styles if line.character else None
        return self._general if folder is None else self._own[folder]

    def all_tags(self) -> Iterator[tuple[str, StyleReference]]:
        """Every tag of the command line's folders and of the shipped one, and its clips; broken ones are left out."""
        for tag in self._general.tags:
            try:
                reference = self._general.resolve(tag, Path())
            except MsmdError:
                continue
            if reference is not None:
                yield tag, reference

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


def _delivery(planned: PlannedLine, record: Record, voice: Mapping[str, float]) -> Delivery:
    """A line for the delivery check: the shares of its styles over time, by the sha256 of their clips."""
    from msmdcli.batch.delivery import Delivery

    mix: dict[str, float] = {}
    for key, share in planned.styling.shares(record.seconds).items():
        reference = planned.references.get(key)
        digest = NO_STYLE if reference is None else reference.sha256
        mix[digest] = mix.get(digest, 0.0) + share
    return Delivery(record.id, record.character or "", voice, record.style, mix)


def _manner(reference: StyleReference) -> Manner | None:
    """How a style looks; None where its clips cannot be read (then its lines have failed already) or judged."""
    from msmdcli.batch.delivery import Manner

    try:
        return Manner.of(reference.load())
    except MsmdError:
        return None


def _check_tags(plan: Iterable[PlannedLine], libraries: Libraries, path: Path) -> None:
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


def _check_gestures(plan: Iterable[PlannedLine], library: GestureLibrary, path: Path) -> None:
    """Refuse gestures that no folder has, all at once."""
    problems: dict[str, None] = {}
    for gesture in (gesture for planned in plan for gesture in planned.controls.gestures):
        if not library.knows(gesture.name):
            known = did_you_mean(gesture.name, library.names)
            problems[f"{gesture.where}: there is no gesture {gesture.name!r}; {known}"] = None
    if problems:
        raise ManifestError(list(problems), path, hint="--gestures adds a folder of them")


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


def _check_curves(plan: Iterable[PlannedLine], path: Path) -> None:
    """Refuse formats that cannot hold what a curve map makes."""
    problems = [
        f"{planned.line.where}: format {name} holds the channels of {get_format(name).rig} only, and the curve map"
        f" {planned.curves.name} makes others"
        for planned in plan
        if planned.curves is not None
        for name in planned.outputs
        if not get_format(name).holds(planned.curves.rig)
    ]
    if problems:
        raise ManifestError(problems, path, hint="choose other `formats` for this character, such as npz or json")


def _check_options(plan: Iterable[PlannedLine], given: Choices) -> None:
    """Refuse options of the command line that would do nothing."""
    formats = {name for planned in plan for name in planned.outputs}
    if given.format_options and (unused := unused_options(given.format_options, formats)):
        known = "no line is written in a format that has it"
        raise UsageError(
            f"option {unused[0]}: {known}", hint=f"the formats of this batch: {', '.join(sorted(formats))}"
        )


def content_key(planned: PlannedLine, bundle: Bundle, sampling: Sampling) -> str:
    """sha256 of everything that decides a line's motion, and of what is asked of its formats. Which formats it has is
    not in it: the same motion in another format is the same line.
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
            "sampling": sampling.description(),
            "seed": seed_of(planned.choices),
            "fps": str(fps),
            **({"curves": planned.curves.sha256} if planned.curves else {}),
            **({"controls": described} if (described := planned.controls.description()) else {}),
            **({"noise": planned.line.noise} if planned.line.noise is not None else {}),
            **({"format_options": dict(planned.option_keys)} if planned.option_keys else {}),
        }
        | dub_line.key_part(planned.line)
    )


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
