"""`run_batch`: a batch from its command to its report, in the order of the contract (`msmdcli.batch`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from msmdcli import __version__
from msmdcli.batch import dubbing
from msmdcli.batch.approvals import Approvals
from msmdcli.batch.delivery import delivery_warnings
from msmdcli.batch.ledger import NAME as LEDGER
from msmdcli.batch.ledger import Ledger
from msmdcli.batch.out_lock import alone_in
from msmdcli.batch.placing import Placer, entry_of
from msmdcli.batch.plan import Planner, chosen, claimed_by
from msmdcli.batch.planned import BatchOptions, PlannedLine
from msmdcli.batch.redoing import described_options, described_redone, merged, redone_in, with_earlier
from msmdcli.batch.report import NAMES as REPORTS
from msmdcli.batch.report import Record, Report, write_report
from msmdcli.batch.tasks import Tasks, tasks_of
from msmdcli.batch.telling import Estimate, Teller
from msmdcli.console import INTERRUPTED, Console
from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import companions
from msmdcli.manifest.lines import Manifest
from msmdcli.manifest.loading import load_manifest
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.trial import seconds_per_second
from msmdcli.paths import shipped_bundle
from msmdcli.system.files import sweep, temporary_path
from msmdcli.system.interrupts import Interrupts
from msmdcli.workers.line_worker import LineWorker, WorkerConfig
from msmdcli.workers.local import cores_divided, run_in_processes
from msmdcli.workers.task import Outcome


def run_batch(options: BatchOptions, console: Console) -> int:
    """Do what the contract says; the result is the exit code.

    Raises:
        UsageError: the command or the manifest is wrong, nothing was started.
        MsmdError: the bundle or this machine cannot do it at all.
    """
    return run_with_records(options, console)[0]


def run_with_records(options: BatchOptions, console: Console) -> tuple[int, tuple[Record, ...]]:
    """The same; the result is the exit code and the records of the lines (none of a dry run)."""
    options.check()
    with Interrupts() as interrupts:
        try:
            return _run(options, console, interrupts)
        except Exception:
            interrupts.check()  # an error that an interrupt has led to
            raise


def _run(options: BatchOptions, console: Console, interrupts: Interrupts) -> tuple[int, tuple[Record, ...]]:
    began = time.monotonic()

    # 1. Check: the model, the manifest, and every name in it. A redo has the options of the run that it belongs to.
    options, before = with_earlier(options)
    asked = described_options(options)
    bundle = Bundle.load(options.bundle or shipped_bundle())
    options = options.resolved(bundle)
    given = options.manifest
    manifest = (
        given
        if isinstance(given, Manifest)
        else load_manifest(
            given, bundle.rig, [options.out], options.all_choices, earlier=redone_in(before), redo=options.redo
        )
    )
    for note in manifest.notes:
        console.say(note)
    planner = Planner(options, bundle, manifest)
    every = planner.planned_lines()
    lines = chosen(every, options.only)

    # 2. Lock OUT.
    out = options.out.absolute()
    with nullcontext() if options.dry_run else alone_in(out):
        # 3. Plan: compare the lines with the ledger, with what is in OUT, and with what was approved.
        ledger = Ledger(options.out)
        approvals = Approvals(out)
        plan = planner.plan(lines, ledger, approvals.marks())
        making = [planned for planned in plan if planned.plan == "make"]

        # 4. Announce what is going to happen, and tell of the lines for which nothing will.
        teller = Teller(console, ledger, single=len(lines) == 1)
        teller.announce(plan, options.dry_run)
        if options.dry_run and making:
            teller.estimate(_estimate(options, bundle, making))
        for planned in plan:
            if planned.plan != "make":
                teller.tell(teller.record(planned, planned.plan))
        if options.dry_run:
            teller.tell_kept_approved([one.id for one in plan if one.plan == "kept" and one.approval == "changed"])
            return int(any(planned.plan == "failed" for planned in plan)), ()

        # 5. Make; as each line is done, place its files and tell of it.
        _sweep(out, plan, ledger)
        placer = Placer(out, ledger, options.force, options.beside, claimed_by(every))

        def still(planned: PlannedLine) -> PlannedLine:
            """The line with approvals that have come since it was planned."""
            with suppress(UsageError):  # a file that is no good now is for the next run
                return planner.with_approval(planned, approvals.marks().get(planned.id), ledger, out)
            return planned

        tasks: Tasks | None = None
        interrupted, broken = False, None
        try:
            if making:
                engine = _engine(options, bundle)
                prepared = _tasks(options, engine, making, out, teller)
                if prepared.tasks:
                    tasks = prepared  # from here on OUT is written to
                    out.mkdir(parents=True, exist_ok=True)
                    make(options, engine, making, tasks, placer, teller, interrupts, still)
        except KeyboardInterrupt:
            interrupted = True
        except Exception as error:
            interrupted = interrupts.came
            if not interrupted:
                if not isinstance(error, MsmdError) or tasks is None:
                    raise
                broken = error  # no worker can go on: what is done is reported all the same
        finally:
            if tasks is not None:
                _sweep(out, making, ledger)

        # 6. What concerns the batch as a whole: lines not reached, deliveries, files that formats need beside theirs.
        teller.add_not_reached(making)
        teller.tell_lost(out)
        if options.check_delivery:
            teller.tell_deliveries(delivery_warnings(plan, teller.records, ledger, planner.libraries))
        _write_companions(plan, placer, teller)

        # 7. Report.
        failed = any(record.status == "failed" for record in teller.records.values())
        code = INTERRUPTED if interrupted else int(failed or broken is not None)
        path = str(manifest.path.resolve())
        report = Report(
            version=__version__,
            bundle={"name": bundle.name, "sha256": bundle.sha256, "licence": bundle.licence},
            settings={
                "manifest": before["settings"].get("manifest", path) if before is not None else path,
                "sampling": options.sampling.description(),
                "options": asked if before is None else before["settings"].get("options", asked),
                **({"redone": redone} if (redone := described_redone(before, manifest, teller.records)) else {}),
                "engine": options.engine,
                "jobs": options.jobs,
                "device": options.device,
            },
            elapsed=time.monotonic() - began,
            exit_code=code,
            records=tuple(teller.records.values()),
        )
        whole = report if before is None else replace(report, records=merged(report.records, before))
        teller.end(report, write_report(whole, options.out), interrupted)
        if broken is not None:
            raise broken
        return code, report.records


def _engine(options: BatchOptions, bundle: Bundle) -> Engine:
    return Engine(bundle, options.device, options.threads, options.batch_size, options.sampling)


def _estimate(options: BatchOptions, bundle: Bundle, making: Sequence[PlannedLine]) -> Estimate:
    """How long it would take to make these lines, from the speed of this machine."""
    engine = _engine(options, bundle)
    speed = seconds_per_second(engine)
    workers, _ = _workers(options, len(making))
    seconds = sum(planned.expected_seconds for planned in making) * speed / workers
    return Estimate(seconds, engine.device, workers, here=options.engine == "local")


def _workers(options: BatchOptions, lines: int) -> tuple[int, int]:
    """(workers, threads of each) for a number of lines."""
    if options.engine == "ray":
        return options.jobs or 1, options.threads or 1  # a core each: more workers give more than more threads
    return cores_divided(options.jobs, options.threads, lines)


def _tasks(options: BatchOptions, engine: Engine, making: Sequence[PlannedLine], out: Path, teller: Teller) -> Tasks:
    """Track the originals of dubs, encode the styles, and make tasks; tell of the lines of which none can be made."""
    references = [reference for planned in making for reference in planned.references.values()]
    dubbing.track_originals(references, _workers(options, len(making))[0], teller.console)
    if not engine.follows_style:
        teller.console.warn(f"the model {engine.bundle.name} takes no style; styles are ignored")

    def refuse(planned: PlannedLine, error: MsmdError) -> None:
        teller.tell(teller.record(planned.failed(error), "failed"))

    return tasks_of(making, out, engine, refuse, teller.console.warn)


def make(
    options: BatchOptions,
    engine: Engine,
    making: Sequence[PlannedLine],
    tasks: Tasks,
    placer: Placer,
    teller: Teller,
    interrupts: Interrupts,
    still: Callable[[PlannedLine], PlannedLine] = lambda planned: planned,
) -> None:
    """Hand the tasks to workers; place and tell of each line as it is done, unless `still` says that it is kept."""
    by_id = {planned.id: planned for planned in making}
    outcomes = _outcomes(options, engine, tasks, placer.out, teller.console)
    total = sum(planned.expected_seconds for planned in making)
    stopping = closing(outcomes)  # type: ignore[type-var]  # a generator: its worker stops and cleans up
    with teller.console.alone(), stopping, teller.console.progress("Lines", total, len(tasks.tasks)) as progress:
        for outcome in outcomes:
            interrupts.check()
            planned = by_id[outcome.id]
            with interrupts.held():  # a line that is in place is told of, too
                planned = still(planned)
                if planned.plan == "kept" and not outcome.error:
                    for written in outcome.written:
                        written.abandon()
                    teller.tell(teller.record(planned, "kept"))
                else:
                    teller.tell(_placed(planned, outcome, tasks, engine, placer, teller))
            progress.advance(planned.expected_seconds)


def _outcomes(options: BatchOptions, engine: Engine, tasks: Tasks, out: Path, console: Console) -> Iterator[Outcome]:
    """The outcomes of the tasks, as workers come to them: in this process, in several, or in a cluster."""
    jobs, threads = _workers(options, len(tasks.tasks))
    bundle = engine.bundle
    config = WorkerConfig(
        bundle.path.absolute(), options.device, threads, options.batch_size, options.sampling, tasks.styles, tasks.clips
    )
    if options.engine == "ray":
        from msmdcli.workers.ray_cluster import run_with_ray

        wanted = options.jobs and min(options.jobs, len(tasks.tasks))
        seen = temporary_path(out.resolve() / LEDGER)  # a killed run's is swept with the ledger's
        return run_with_ray(config, tasks.tasks, wanted, options.ray_address, seen, bundle.sha256, console.warn)
    if jobs == 1:
        engine.load()
        return LineWorker(engine, tasks.styles, tasks.clips).run(tasks.tasks)
    return run_in_processes(config, tasks.tasks, jobs)


def _placed(
    planned: PlannedLine, outcome: Outcome, tasks: Tasks, engine: Engine, placer: Placer, teller: Teller
) -> Record:
    """Place the files of a line; the result is its record."""
    if outcome.error:
        failed = planned.failed(MsmdError(outcome.error, hint=outcome.hint))
        return teller.record(failed, "failed", details=outcome.details)
    entry = entry_of(planned, outcome, tasks.dubs.get(planned.id), engine.bundle, engine.sampling)
    try:
        placed = placer.place(entry, outcome.written, planned.outputs.values())
    except MsmdError as error:
        return teller.record(planned.failed(error), "failed")
    planned = replace(planned, kept=(*planned.kept, *placed.kept))
    return teller.record(planned, "made" if placed.outputs else "kept", placed.outputs)


def _write_companions(plan: Iterable[PlannedLine], placer: Placer, teller: Teller) -> None:
    """Write what the files of a format need once beside them."""
    there = [planned for planned in plan if teller.records[planned.id].status in ("made", "unchanged", "kept")]
    for name, text in companions(dict.fromkeys(fmt for planned in there for fmt in planned.outputs)).items():
        teller.tell_companion(placer.out / name, placer.place_text(name, text))


def _sweep(out: Path, lines: Iterable[PlannedLine], ledger: Ledger) -> None:
    """Remove what a kill has left under temporary names: of these lines, of all that the ledger knows, of our files."""
    ours = {path for planned in lines for path in (*planned.outputs.values(), *planned.targets.values())}
    sweep(out / path for path in (*ours, *ledger.outputs, LEDGER, *REPORTS))
