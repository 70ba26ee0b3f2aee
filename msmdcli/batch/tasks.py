"""From planned lines to tasks for workers: styles are encoded, originals read, and the notes of the files written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from msmdcli import __version__
from msmdcli.batch import dubbing
from msmdcli.batch.dubbing import PreparedDub
from msmdcli.batch.planned import PlannedLine
from msmdcli.errors import MsmdError
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.sampling import Sampling
from msmdcli.model.stores import StyleStore
from msmdcli.model.style_codes import StyleCode
from msmdcli.motion.motion import Motion
from msmdcli.performance.mouth_size import has_size
from msmdcli.styles.field import NO_STYLE, style_words
from msmdcli.styles.library import StyleReference
from msmdcli.workers.mouth_sizes import MouthSizes
from msmdcli.workers.task import LineTask


@dataclass
class Tasks:
    """What the workers get.

    Attributes:
        tasks: the longest lines first, and lines that share a recording one after the other.
        styles: the encoded styles by the keys that the tasks use.
        clips: of the styles that perform, likewise.
        dubs: line id -> what was read of its original.
        sizes: what finds the scales of the mouth, with those that it has found; it stays in this process.
    """

    tasks: list[LineTask] = field(default_factory=list)
    styles: dict[str, StyleCode | None] = field(default_factory=lambda: {NO_STYLE: None})
    clips: dict[str, list[Motion]] = field(default_factory=dict)
    dubs: dict[str, PreparedDub] = field(default_factory=dict)
    sizes: MouthSizes | None = None


def tasks_of(
    making: Iterable[PlannedLine],
    out: Path,
    engine: Engine,
    refuse: Callable[[PlannedLine, MsmdError], None],
    warn: Callable[[str], None] = lambda text: None,
    known: Tasks | None = None,
) -> Tasks:
    """Encode each style once, and make the tasks of the lines whose styles are fine.

    Args:
        making: the lines.
        out: OUT, absolute: workers elsewhere have another current folder.
        engine: encodes the styles; its sampling is noted in the files.
        refuse: called for each line with a style or an original that cannot be used.
        warn: called once with what a person should know of a style or an original, such as several faces in its video.
        known: styles, clips and sizes of an earlier call; they are not read again, and new ones are added.
    """
    store = StyleStore()
    result = Tasks() if known is None else Tasks(styles=known.styles, clips=known.clips, sizes=known.sizes)
    sizes = result.sizes = result.sizes or MouthSizes(engine, store)
    usual = Sampling().resolve(engine.bundle)  # a line's own guidance makes its mouth larger, and is not taken back
    broken: dict[str, MsmdError] = {}
    for planned in sorted(making, key=lambda p: (-p.seconds, p.audio_sha256, p.id)):
        codes = {}
        for key, reference in planned.references.items():
            codes[key] = digest = NO_STYLE if reference is None or not engine.follows_style else reference.sha256
            if reference is None or digest in result.styles or digest in broken:
                continue
            try:
                clips = reference.load()
                result.styles[digest] = engine.encode_style(clips, store)
                result.clips[digest] = clips
                for text in reference.warnings():
                    warn(f"{_kind(reference)} {reference.name}: {text}")
            except MsmdError as error:
                broken[digest] = _named(reference, error)
        bad = next((broken[digest] for digest in codes.values() if digest in broken), None)
        dub = None
        if planned.line.dub is not None and bad is None:
            try:
                dub = dubbing.prepare(
                    planned.line.dub, planned.styling, planned.references, codes, result.styles, engine, store
                )
                result.dubs[planned.id] = dub
            except MsmdError as error:
                bad = error
        if bad is not None:
            refuse(planned, bad)
            continue
        sampling = planned.sampling(engine.sampling, engine.bundle)
        scales = {}
        if planned.controls.mouth_size == "reference":
            for key, digest in codes.items():
                if (style := result.styles[digest]) is not None and has_size(engine.bundle.rig):
                    scales[key] = sizes.scale(style, result.clips[digest], usual, planned.controls.closures)
            if dub is not None:  # the stretches of an original speak as all of it does
                own = next(key for key, found in planned.references.items() if isinstance(found, dubbing.Original))
                scales |= {key: scales[own] for key in dub.codes if key not in codes and own in scales}
        result.tasks.append(
            LineTask(
                id=planned.id,
                audio=planned.line.audio.absolute(),
                audio_sha256=planned.audio_sha256,
                field=dub.field if dub else planned.styling,
                codes=dub.codes if dub else codes,
                seed=planned.seed,
                fps=planned.choices.fps,
                targets={fmt: out / path for fmt, path in planned.targets.items()},
                format_options=planned.format_options,
                meta=provenance(planned, engine.bundle, sampling),
                curves=planned.curves,
                controls=planned.controls,
                noise=planned.line.noise,
                head=dub.head if dub else None,
                performers={key: "" if code == NO_STYLE else code for key, code in codes.items()},
                kept=dub.kept if dub else (),
                generated=dub.generated if dub else (),
                sampling=sampling,
                scales=scales,
            )
        )
    return result


def provenance(planned: PlannedLine, bundle: Bundle, sampling: Sampling) -> dict[str, str]:
    """Notes for the files: how they were made, without anything that differs between machines."""
    return dubbing.notes(planned.line) | {
        "generator": f"msmd {__version__}",
        "synthetic": "true",
        "line": planned.id,
        "style": style_words(planned.styling),
        **({"controls": words} if (words := planned.controls.words()) else {}),
        "model": f"{bundle.name} {bundle.sha256[:12]}",
        "sampler": f"{sampling.sampler}, {sampling.steps} steps",
        "seed": str(planned.seed),
    }


def _named(reference: StyleReference, error: MsmdError) -> MsmdError:
    """The error with the name of the style that it is about."""
    return MsmdError(f"{_kind(reference)} {reference.name}: {error.message}", hint=error.hint)


def _kind(reference: StyleReference) -> str:
    return "original" if isinstance(reference, dubbing.Original) else "style"
