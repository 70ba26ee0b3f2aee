"""`msmd evaluate`: models on people they have never seen.

Protocol
    Clips    Of the data set's split `test`: with sound and at least 2 s long. Their persons are in no other split.
    Style    Each clip is cut in the middle. Each half is animated with the other half as style reference (*right*), so
             that the reference is the adjacent, non-overlapping stretch of the same performance. GRID's clips are 3 s
             long: their references last 1.5 s. The model hears the whole line; only the half that is not the reference
             is measured.
    Systems  *right*; *wrong*: a stretch of another person (the persons of the test set in the order of their names'
             sha256, each taking the next one's); *none*: the learned null style. And without any model: *still*: the
             reference's mean pose held; *copy*: the reference played as it is; *average*: the mean pose of the training
             persons held.
    Seeds    Every generated system with several seeds; right, wrong and none start from the same noise.
    Judges   Sync and manner (`judges`), trained on real clips of the split `train` only. They also judge
             *tracked*, the real performance itself: what a perfect system would get.
    Numbers  `metrics` on the two halves and averaged over halves and seeds: one number per clip, system and
             metric. Jaw timing and silence are measured on the whole clip, both halves joined; for the timing each
             half's mean is taken off, tracked and made, because the halves have different references and a step between
             them is no lip motion. Beside it, *over the line*: the line as it comes out with one reference, correlated
             as it is, averaged over the two references; and the same *from the first sound* on (3 frames before it),
             since what a mouth does before is not to be heard. Those two contain the frames of the reference itself.
             Tests pair clips (`training.evaluation.scores`).

Emotional references: the silent clips of split `style` of persons who also have a neutral one from the same source.
Lines are the test clips whose tag begins with `neutral`. The offset of the generated mean expression under an emotional
reference from that under the same person's neutral reference is compared with the offset between the two references
themselves: correlation over the face channels.

Results of a model are kept in OUT/models/ and used again while model, data set and options are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.heads.mesh import MeshDecoder, find_mesh
from msmdcli.media.audio import Audio, load_audio
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.style_codes import StyleCode, StyleEntry
from msmdcli.motion.health import measure as measure_health
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.paths import shared_dir
from training.data.corpus import ClipRecord, read_index, unit_hash
from training.evaluation import metrics
from training.evaluation.judges import Judges, judges_of, shipped_encoder

PROTOCOL_VERSION = 5
MIN_SECONDS = 2.0
BEFORE_SOUND = 3  # frames: lips move before they are heard
GENERATED = ("right", "wrong", "none")
BASELINES = ("still", "copy", "average")
TRACKED = "tracked"

Say = Callable[[str], None]


class Animator(Protocol):
    """What is evaluated: an `msmdcli.model.engine.Engine`, or anything that behaves like one."""

    @property
    def follows_style(self) -> bool: ...

    def encode_audio(self, audio: Audio) -> np.ndarray: ...

    def encode_style(self, reference: Motion) -> StyleCode: ...

    def animate(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Motion]]: ...


@dataclass(frozen=True)
class Options:
    """What can be chosen.

    Attributes:
        seeds: of the noise; their number sets the time it takes.
        split: of the data set.
        max_clips: take only so many clips, those with the smallest hash of their name (None: all).
        emotion_lines: neutral lines that each emotional reference is tried on (0: leave the test out).
        head: head with ARKit morph targets; None: the ICT head of the shared material.
        sampler, steps, guidance_audio, guidance_style: None: what each bundle recommends.
        threads: of ONNX Runtime (0: one per core).
        pictures: number of clips drawn as faces in the report.
        judges: also ask the judges of sync and manner.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    split: str = "test"
    max_clips: int | None = None
    emotion_lines: int = 8
    head: Path | None = None
    sampler: str | None = None
    steps: int | None = None
    guidance_audio: float | None = None
    guidance_style: float | None = None
    threads: int = 0
    pictures: int = 3
    judges: bool = True


# ---- the material ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TestClip:
    """A clip, cut in two.

    Attributes:
        record: its line of the index.
        motion: [T, D], tracked.
        audio: its sound.
        cut: first frame of the second half.
    """

    __test__ = False  # no test, for pytest

    record: ClipRecord
    motion: Motion
    audio: Audio
    cut: int

    @property
    def group(self) -> str:
        return group_of(self.record)

    def halves(self) -> tuple[slice, slice]:
        """Frames of the two halves."""
        return slice(0, self.cut), slice(self.cut, self.motion.frames)

    def half(self, part: int) -> Motion:
        """One half of the motion."""
        frames = self.halves()[part]
        return self.motion.slice(frames.start, frames.stop)


@dataclass(frozen=True, eq=False)
class StyleClip:
    """An emotional reference and the neutral one of the same person."""

    record: ClipRecord
    motion: Motion
    neutral: Motion


@dataclass(frozen=True, eq=False)
class Material:
    """All that a data set gives for an evaluation.

    Attributes:
        clips: the test clips.
        wrong: clip id -> stretch of another person; empty when there is only one person.
        styles: emotional references.
        lines: test clips that they are tried on.
        average: [D] mean over the training persons of their mean poses, or None without any.
    """

    clips: list[TestClip]
    wrong: dict[str, Motion]
    styles: list[StyleClip]
    lines: list[TestClip]
    average: np.ndarray | None
    key: str = field(repr=False)


def group_of(record: ClipRecord) -> str:
    """The group that a clip is reported in."""
    if record.source.startswith("grid"):
        return "GRID"
    return "Arabic words" if record.source == "lrwar" else "in the wild"


def load_material(data: Path, options: Options) -> Material:
    """Read a data set.

    Raises:
        MsmdError: no data set, or no clip in it that can be tested.
    """
    index = read_index(data)
    wanted = [r for r in index if r.split == options.split and r.audio is not None and r.seconds >= MIN_SECONDS]
    wanted = sorted(wanted, key=lambda r: unit_hash(r.id))[: options.max_clips]
    if not wanted:
        raise MsmdError(
            f"no clip with sound of at least {MIN_SECONDS:g} s in split {options.split!r} of {data}",
            hint=f"its splits: {', '.join(sorted({r.split for r in index})) or 'none'}",
        )
    clips = []
    for record in wanted:
        motion, audio = load_npz(data / record.motion), load_audio(data / str(record.audio))
        clips.append(TestClip(record, motion, audio, motion.frames // 2))

    lines = [clip for clip in clips if clip.record.tag.startswith("neutral")][: options.emotion_lines]
    styles = []
    if lines:
        silent = [r for r in index if r.split == "style"]
        neutral = {(r.speaker, r.source): load_npz(data / r.motion) for r in silent if r.tag.startswith("neutral")}
        styles = [
            StyleClip(r, load_npz(data / r.motion), neutral[r.speaker, r.source])
            for r in silent
            if (r.speaker, r.source) in neutral and not r.tag.startswith("neutral")
        ]
    return Material(clips, _other_persons(clips), styles, lines, _average_pose(data, index), _material_key(data, clips))


def _other_persons(clips: list[TestClip]) -> dict[str, Motion]:
    """For each clip a stretch of the person after its own in the order of hashed names (the last takes the first's)."""
    persons = sorted({clip.record.speaker for clip in clips}, key=unit_hash)
    if len(persons) < 2:
        return {}
    following = dict(zip(persons, persons[1:] + persons[:1], strict=True))
    chosen = {}
    for clip in clips:
        candidates = [c for c in clips if c.record.speaker == following[clip.record.speaker]]
        other = min(candidates, key=lambda c: unit_hash(f"{clip.record.id} takes {c.record.id}"))
        chosen[clip.record.id] = other.half(0)
    return chosen


def _average_pose(data: Path, index: list[ClipRecord]) -> np.ndarray | None:
    poses: dict[str, list[np.ndarray]] = {}
    for record in index:
        if record.split == "train":
            poses.setdefault(record.speaker, []).append(load_npz(data / record.motion).values.mean(axis=0))
    if not poses:
        return None
    return np.asarray(np.mean([np.mean(clips, axis=0) for clips in poses.values()], axis=0, dtype=np.float64))


def _material_key(data: Path, clips: list[TestClip]) -> str:
    digest = hashlib.sha256((data / "index.jsonl").read_bytes())
    for clip in clips:
        digest.update(clip.motion.values.tobytes() + clip.audio.samples.tobytes())
    return digest.hexdigest()


# ---- measuring -------------------------------------------------------------------------------------------------------


class Face:
    """The head on which faces are compared, with the vertices that the metrics need.

    A metric whose vertices the head does not have (a learned code may name none) is NaN.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mesh = MeshDecoder.load(path)
        named = {"face": "face", "lips": "lips", "upper": "upper_face", "mid": "mouth_opening"}
        sets = {key: self.mesh.vertex_set(name) for key, name in named.items() if self.mesh.has(name)}
        self.vertices = np.unique(np.concatenate(list(sets.values())))
        self._at = {key: np.searchsorted(self.vertices, numbers) for key, numbers in sets.items()}
        self.mid_lips = sets.get("mid")
        self._neutral = self.mesh.neutral[sets.get("upper", np.zeros(0, np.int64))]

    @classmethod
    def find(cls, path: Path | None) -> Face:
        """The head at `path` (GLB or rig file), or the shared one, or the one that ships.

        Raises:
            MsmdError: there is no such file.
        """
        if path is None:
            shared = shared_dir()
            path = shared / "heads" / "ict_head_arkit52.glb" if shared else None
            if path is None or not path.is_file():
                path = find_mesh()
        return cls(path)

    def compare(self, real: np.ndarray, made: np.ndarray) -> dict[str, float]:
        """Metrics of one stretch, values [T, D] each."""
        rig = self.mesh.rig
        a, b = self.mesh.decode(real, self.vertices), self.mesh.decode(made, self.vertices)  # [T, n, 3]
        at = self._at
        face = rig.face_columns
        head = list(rig.rotation_indices or ())

        def on(key: str, metric: Callable[..., float], *more: np.ndarray) -> float:
            return metric(a[:, at[key]], b[:, at[key]], *more) if key in at else float("nan")

        return {
            "mse": on("face", metrics.vertex_error),
            "lve": on("lips", metrics.lip_vertex_error),
            "fdd": on("upper", metrics.upper_face_dynamics_deviation, self._neutral),
            "mod": on("mid", metrics.mouth_opening_difference),
            "head": metrics.head_error(real[:, head], made[:, head]) if head else float("nan"),
            "agreement": metrics.expression_agreement(real[:, face].mean(axis=0), made[:, face].mean(axis=0)),
            **{f"amplitude_{name}": ratio for name, ratio in metrics.amplitude_ratios(real, made, rig).items()},
        }

    def opening(self, values: np.ndarray) -> np.ndarray:
        """[T] mm of mouth opening of values [T, D]; 0 where the head has no such points."""
        if self.mid_lips is None:
            return np.zeros(len(values))
        return metrics.mouth_opening(self.mesh.decode(values, self.mid_lips))

    def jaw(self, values: np.ndarray) -> np.ndarray:
        """[T] what tells the timing of the mouth in values [T, D]: jawOpen, or in a learned code the opening."""
        rig = self.mesh.rig
        return values[:, rig.index("jawOpen")] if "jawOpen" in rig.channels else self.opening(values)


@dataclass(frozen=True, eq=False)
class Judging:
    """The judges, with what they need to know of the clips.

    Attributes:
        judges: see `training.evaluation.judges`.
        features: clip id -> [T, C] of its sound in the judges' ears.
        others: clip id -> a stretch of another person.
    """

    judges: Judges
    features: dict[str, np.ndarray]
    others: dict[str, Motion]

    def verdict(self, clip: TestClip, made: Sequence[np.ndarray]) -> dict[str, float]:
        """See `Judges.verdict`: each half is compared with the other half of the real clip, its style reference."""
        features = self.features[clip.record.id][: clip.motion.frames]
        missing = clip.motion.frames - len(features)  # a sound may end a frame early
        features = np.concatenate([features, np.repeat(features[-1:], missing, axis=0)]) if missing else features
        other = self.others.get(clip.record.id)
        references = [clip.half(1).values, clip.half(0).values]
        return self.judges.verdict(features, made, references, None if other is None else other.values)


def measure(
    face: Face, clip: TestClip, made: Sequence[np.ndarray], generated: bool = True, judging: Judging | None = None
) -> dict[str, Any]:
    """All numbers of one clip under one system.

    Args:
        face: where to measure.
        clip: the clip.
        made: animation of its two halves, [T_half, D] each.
        generated: by a model, which is expected to move the jaw.
        judging: whom to ask about sync and manner.

    Returns:
        metric -> number (mean over the halves where a metric is one of stretches); `jaw_curve`: correlation of the jaw
        opening at the lags -8..8.
    """
    halves = [face.compare(clip.motion.values[at], part) for at, part in zip(clip.halves(), made, strict=True)]
    found: dict[str, Any] = {name: _mean([half[name] for half in halves]) for name in halves[0]}
    whole = np.concatenate(made)
    real_jaw, made_jaw = (
        np.concatenate([curve - curve.mean() for curve in map(face.jaw, halves_of)])
        for halves_of in ([clip.motion.values[at] for at in clip.halves()], made)
    )
    timing = metrics.sync(real_jaw, made_jaw)
    found |= {"jaw": timing.at_zero, "jaw_best": timing.best, "jaw_lag": timing.lag}
    found["jaw_curve"] = metrics.lag_correlations(real_jaw, made_jaw).tolist()
    if generated and np.isnan(timing.at_zero) and real_jaw.std() > metrics.FLAT:
        found |= {
            "jaw": 0.0,
            "jaw_best": 0.0,
        }  # a jaw that stays where it is follows nothing; leaving it out would flatter
    silent = metrics.silent_frames(clip.audio.samples, clip.audio.rate, clip.motion.fps, clip.motion.frames)
    for name, values in (("silence", whole), ("silence_tracked", clip.motion.values)):
        found[name] = metrics.movement_in_silence(face.opening(values), silent, clip.motion.fps)
    found |= _health(clip, made)
    return found | (judging.verdict(clip, made) if judging else {})


def over_the_line(face: Face, clip: TestClip, lines: Sequence[np.ndarray]) -> dict[str, float]:
    """`jaw_line`, `jaw_heard`: correlation of the jaw over whole lines [T, D], and from the first sound on; the mean of
    the lines. A jaw that stays where it is follows nothing: 0."""
    real = face.jaw(clip.motion.values)
    start = metrics.first_sound(clip.audio.samples, clip.audio.rate, clip.motion.fps, clip.motion.frames)
    start = max(0, start - BEFORE_SOUND)

    def mean(start: int) -> float:
        if real[start:].std() <= metrics.FLAT:
            return float("nan")
        found = np.array([metrics.correlation(real[start:], face.jaw(line)[start:]) for line in lines])  # [lines]
        return float(np.nan_to_num(found).mean())

    return {"jaw_line": mean(0), "jaw_heard": mean(start)}


def _health(clip: TestClip, made: Sequence[np.ndarray]) -> dict[str, float]:
    """What animators care about, half by half: `jitter`, mean absolute second difference of the face relative to the
    tracked one, and `blinks` per minute beside the tracked `blinks_tracked`."""
    rig, fps = clip.motion.rig, clip.motion.fps
    real = [clip.motion.values[at] for at in clip.halves()]
    of_made, of_real = (
        [measure_health(half, fps, rig, window=len(half)) for half in halves] for halves in (list(made), real)
    )
    nan = float("nan")
    ratios = [
        a.jitter / b.jitter if a.jitter is not None and b.jitter else nan for a, b in zip(of_made, of_real, strict=True)
    ]
    found = {"jitter": _mean(ratios)}
    for name, halves in (("blinks", of_made), ("blinks_tracked", of_real)):
        found[name] = _mean([nan if h.blinks_per_minute is None else h.blinks_per_minute for h in halves])
    return found


def baseline(name: str, clip: TestClip, average: np.ndarray | None) -> list[np.ndarray] | None:
    """The two halves [T_half, D] under a system that needs no model; None where it cannot be had."""
    if name == "average":
        return (
            None
            if average is None
            else [np.tile(average.astype(np.float32), (m.frames, 1)) for m in map(clip.half, (0, 1))]
        )
    if name == TRACKED:
        return [clip.half(part).values for part in (0, 1)]
    made = []
    for part in (0, 1):
        reference, frames = clip.half(1 - part).values, clip.half(part).frames
        if name == "still":
            made.append(np.tile(reference.mean(axis=0), (frames, 1)))
        else:
            made.append(reference[np.arange(frames) % len(reference)])
    return made


def _mean(values: Sequence[float]) -> float:
    finite = [v for v in values if np.isfinite(v)]
    return float(np.mean(finite)) if finite else float("nan")


# ---- one model -------------------------------------------------------------------------------------------------------


def evaluate_model(
    model: Animator,
    material: Material,
    face: Face,
    options: Options,
    say: Say,
    judging: Judging | None = None,
    window: int = 100,
) -> dict[str, Any]:
    """All results of one model.

    Returns:
        `rows`: one per clip, generated system and seed (clip, person, ..., and the numbers of `measure`);
        `emotion`: one per emotional reference and line (see `emotion_rows`);
        `curves`: for the plots: clip -> jaw opening [T] under *right* with the first seed.
    """
    say(f"  audio of {len(material.clips)} clips")
    features = {clip.record.id: model.encode_audio(clip.audio) for clip in material.clips}
    systems = [name for name in GENERATED if model.follows_style or name == "none"]
    if not material.wrong:
        systems = [name for name in systems if name != "wrong"]

    jobs: dict[Job, tuple[TestClip, str, int, tuple[int, ...]]] = {}  # -> clip, system, seed, halves that it serves
    for clip in material.clips:
        id = clip.record.id
        for name in systems:
            styles: list[tuple[StyleEntry, tuple[int, ...]]]
            if name == "right":
                styles = [(StyleEntry(model.encode_style(clip.half(1 - part))), (part,)) for part in (0, 1)]
            elif name == "wrong":
                styles = [(StyleEntry(model.encode_style(material.wrong[id])), (0, 1))]
            else:
                styles = [(StyleEntry(None), (0, 1))]
            for seed in options.seeds:
                for entry, parts in styles:  # the noise depends on id and seed alone: all systems start from the same
                    jobs[Job(id, features[id], [entry], seed)] = (clip, name, seed, parts)

    made: dict[tuple[str, str, int], dict[int, np.ndarray]] = {}
    lines: dict[tuple[str, str, int], list[np.ndarray]] = {}
    seams: dict[tuple[str, str, int], list[float]] = {}
    for done, (job, motion) in enumerate(model.animate(jobs), start=1):
        clip, name, seed, parts = jobs[job]
        seam = measure_health(motion.values, motion.fps, motion.rig, window).seam_jump
        seams.setdefault((clip.record.id, name, seed), []).append(float("nan") if seam is None else seam)
        values = motion.resample(clip.motion.fps, frames=clip.motion.frames).values
        lines.setdefault((clip.record.id, name, seed), []).append(values)
        for part in parts:
            made.setdefault((clip.record.id, name, seed), {})[part] = values[clip.halves()[part]]
        if done % 50 == 0 or done == len(jobs):
            say(f"  {done} of {len(jobs)} lines animated")

    rows, curves = [], {}
    for clip in material.clips:
        for name in systems:
            for seed in options.seeds:
                halves = made[clip.record.id, name, seed]
                numbers = measure(face, clip, [halves[0], halves[1]], judging=judging)
                numbers |= over_the_line(face, clip, lines[clip.record.id, name, seed])
                numbers["seam"] = _mean(seams[clip.record.id, name, seed])
                rows.append(_row(clip, name, seed, numbers))
        shown = made[clip.record.id, systems[0], options.seeds[0]]
        curves[clip.record.id] = np.concatenate([shown[0], shown[1]])
    say("  measured")
    emotion = emotion_rows(model, material, features, options.seeds[0]) if model.follows_style else []
    return {"systems": systems, "rows": rows, "emotion": emotion, "curves": curves}


def _row(clip: TestClip, system: str, seed: int, found: dict[str, Any]) -> dict[str, Any]:
    record = clip.record
    about = {"clip": record.id, "person": record.speaker, "source": record.source, "group": clip.group}
    return {**about, "system": system, "seed": seed, **found}


def emotion_rows(
    model: Animator, material: Material, features: dict[str, np.ndarray], seed: int = 0
) -> list[dict[str, Any]]:
    """How the mean expression follows emotional references.

    Returns:
        One row per reference and line: `agreement`: correlation over the face channels of the generated and the
        reference's offset from neutral, neutral being what the same person's neutral reference gives (and is);
        `population`: both offsets from the average pose of the training persons instead; `gain`: how far the generated
        offset goes along the reference's, 1 = all the way.
    """
    if not material.styles:
        return []
    rig = material.clips[0].motion.rig
    moved = np.stack([style.motion.values.std(axis=0) for style in material.styles]).max(axis=0) > 0
    face = np.array([column for column in rig.face_columns if moved[column]])

    jobs: dict[Job, tuple[str, int]] = {}  # -> line, reference (-1 - number of the neutral one)
    neutral_of = {style.record.speaker: style.neutral for style in material.styles}
    persons = sorted(neutral_of)
    codes = [model.encode_style(style.motion) for style in material.styles]
    neutral_codes = [model.encode_style(neutral_of[person]) for person in persons]
    for line in material.lines:
        id = line.record.id
        for number, code in enumerate(codes):
            jobs[Job(id, features[id], [StyleEntry(code)], seed)] = (id, number)
        for number, code in enumerate(neutral_codes):
            jobs[Job(id, features[id], [StyleEntry(code)], seed)] = (id, -1 - number)
    means = {jobs[job]: motion.values[:, face].mean(axis=0) for job, motion in model.animate(jobs)}

    rows = []
    for number, style in enumerate(material.styles):
        reference, neutral = style.motion.values[:, face].mean(axis=0), style.neutral.values[:, face].mean(axis=0)
        for line in material.lines:
            generated = means[line.record.id, number]
            generated_neutral = means[line.record.id, -1 - persons.index(style.record.speaker)]
            wanted, got = reference - neutral, generated - generated_neutral
            row = {
                "reference": style.record.id,
                "person": style.record.speaker,
                "tag": style.record.tag,
                "line": line.record.id,
                "agreement": metrics.correlation(wanted, got),
                "gain": float(got @ wanted / (wanted @ wanted)),
            }
            if material.average is not None:
                origin = material.average[face]
                row["population"] = metrics.expression_agreement(reference, generated, origin)
            rows.append(row)
    return rows


# ---- several models --------------------------------------------------------------------------------------------------


def evaluate(
    models: Sequence[Path], data: Path, out: Path, options: Options | None = None, say: Say = print
) -> dict[str, Any]:
    """Evaluate bundles on a data set and write the report.

    Args:
        models: bundle folders.
        data: data set folder.
        out: report folder: report.json, report.md, pictures.
        options: see Options.
        say: where progress goes, a line at a time.

    Returns:
        The contents of report.json.

    Raises:
        MsmdError: a bundle, the data set or the head cannot be used.
    """
    from msmdcli.model.bundle import Bundle
    from msmdcli.model.engine import Engine
    from training.evaluation.report import write_report
    from training.evaluation.scores import summarise

    options = options or Options()
    if not models:
        raise MsmdError("no model to evaluate", hint="name at least one bundle folder")
    bundles = [Bundle.load(path) for path in models]
    labels = _labels([bundle.name for bundle in bundles])
    material = load_material(data, options)
    face = Face.find(options.head)
    (out / "models").mkdir(parents=True, exist_ok=True)
    say(
        f"{len(material.clips)} clips of {len({c.record.speaker for c in material.clips})} persons, "
        f"{len(material.styles)} emotional references on {len(material.lines)} lines"
    )

    judging = judging_of(data, material, say) if options.judges else None
    rows: list[dict[str, Any]] = []
    for name in (*BASELINES, TRACKED):
        for clip in material.clips:
            made = baseline(name, clip, material.average)
            if made is not None:
                numbers = measure(face, clip, made, generated=False, judging=judging)
                rows.append({"model": "", **_row(clip, name, 0, numbers)})

    emotion: list[dict[str, Any]] = []
    curves: dict[str, dict[str, np.ndarray]] = {}
    described = []
    sampling = Sampling(options.sampler, options.steps, options.guidance_audio, options.guidance_style)
    for path, label, bundle in zip(models, labels, bundles, strict=True):
        resolved = sampling.resolve(bundle)
        key = _result_key(path, material, face, options, resolved)
        found = _stored(out / "models" / f"{label}.npz", key)
        if found is None:
            say(f"{label}: {path}")
            engine = Engine(bundle, threads=options.threads, sampling=sampling)
            found = evaluate_model(engine, material, face, options, say, judging, bundle.window)
            _store(out / "models" / f"{label}.npz", key, found)
        else:
            say(f"{label}: results of an earlier run")
        rows += [{"model": label, **row} for row in found["rows"]]
        emotion += [{"model": label, **row} for row in found["emotion"]]
        curves[label] = found["curves"]
        described.append(
            {"label": label, "name": bundle.name, "sampling": resolved.description(), "training": bundle.training}
        )

    report = {
        "format_version": 1,
        "protocol_version": PROTOCOL_VERSION,
        "data": {
            "split": options.split,
            "key": material.key,
            "clips": len(material.clips),
            "persons": len({clip.record.speaker for clip in material.clips}),
            "groups": {g: sum(c.group == g for c in material.clips) for g in sorted({c.group for c in material.clips})},
        },
        "head": {"file": face.path.name, "face": len(face.mesh.face), "lips": len(face.mesh.lips)},
        "seeds": list(options.seeds),
        "judges": judging.judges.checked if judging else None,
        "models": described,
        **summarise(rows, emotion, labels),
    }
    write_report(report, rows, curves, material, face, options, out)
    return report


def judging_of(data: Path, material: Material, say: Say) -> Judging | None:
    """The judges of a data set, ready for its clips; None where it has too few people to train them."""
    encode = shipped_encoder()
    judges = judges_of(data, encode, material.clips[0].motion.rig, say)
    if judges is None:
        return None
    features = {clip.record.id: encode(data / str(clip.record.audio)) for clip in material.clips}
    return Judging(judges, features, material.wrong)


def run_evaluate(
    models: Sequence[Path],
    *,
    data: Path,
    out: Path,
    options: Options | None = None,
    as_json: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """What `msmd evaluate` does, apart from reading its options.

    Progress goes to stderr; to stdout the report's place, or with `as_json` its numbers.

    Raises:
        MsmdError: as `evaluate`.
    """
    import sys

    report = evaluate(
        models, data, out, options, (lambda _: None) if quiet else lambda text: print(text, file=sys.stderr)
    )
    if as_json:
        from training.evaluation.report import without_nan

        brief = {name: report[name] for name in ("data", "models", "systems", "tests", "emotion")}
        print(json.dumps(without_nan({"event": "evaluated", "report": str(out / "report.md"), **brief})), flush=True)
    elif not quiet:
        print(out / "report.md", flush=True)
    return report


def _labels(names: list[str]) -> list[str]:
    """Names of models made unique, and safe as file names."""
    safe = ["".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".") or "model" for name in names]
    return [name if safe.count(name) == 1 else f"{name}-{safe[: i + 1].count(name)}" for i, name in enumerate(safe)]


def _result_key(path: Path, material: Material, face: Face, options: Options, sampling: Sampling) -> str:
    """What results depend on; threads, the report's pictures and paths do not matter."""
    parts = {
        "protocol": PROTOCOL_VERSION,
        "bundle": hashlib.sha256((path / "bundle.json").read_bytes()).hexdigest(),
        "material": material.key,
        "head": hashlib.sha256(face.path.read_bytes()).hexdigest(),
        "options": asdict(replace(options, threads=0, pictures=0, head=None)),
        "sampling": sampling.description(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _store(path: Path, key: str, found: dict[str, Any]) -> None:
    table = json.dumps({"key": key, **{name: value for name, value in found.items() if name != "curves"}})
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file, table=np.array(table), **{f"clip:{id}": curve for id, curve in found["curves"].items()}
        )
    partial.replace(path)


def _stored(path: Path, key: str) -> dict[str, Any] | None:
    """Results of an earlier run, or None where there are none with this key."""
    try:
        with np.load(path, allow_pickle=False) as file:
            table = json.loads(str(file["table"]))
            if table.pop("key") != key:
                return None
            curves = {name.removeprefix("clip:"): file[name] for name in file.files if name.startswith("clip:")}
            return {**table, "curves": curves}
    except (OSError, ValueError, KeyError, EOFError):
        return None


def main(arguments: list[str] | None = None) -> int:
    """`python -m training.evaluation.evaluate`: the same without the rest of the command line."""
    import argparse
    import sys

    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.evaluate", description="Measure models on unseen people."
    )
    parser.add_argument("models", type=Path, nargs="+", help="bundle folders")
    parser.add_argument("--data", type=Path, required=True, help="data set folder")
    parser.add_argument("--out", type=Path, required=True, help="report folder")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--split", default="test")
    parser.add_argument("--max-clips", type=int)
    parser.add_argument("--head", type=Path)
    parser.add_argument("--sampler")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance-audio", type=float)
    parser.add_argument("--guidance-style", type=float)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = vars(parser.parse_args(arguments))
    models, data, out, as_json = (given.pop(name) for name in ("models", "data", "out", "json"))
    options = Options(**{**given, "seeds": tuple(range(given["seeds"]))})
    try:
        run_evaluate(models, data=data, out=out, options=options, as_json=as_json)
    except MsmdError as error:
        print(f"Error: {error.message}\nHint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
