"""Performed speech: synthetic speech with a whole face and head, in random manners.

    python -m training.speech.performed --hours 10 --out DIR --seed 0

`training.speech.speech` gives the sound and its phones, `training.speech.performance` plays them. A manner is drawn at
random (`draw_performance`) and performed in `CLIPS` clips by other voices with other texts: a model that is shown one
of them as the style reference of another can learn the manner from nothing but the reference. Each clip is performed in
`PERFORMANCES` manners, so the sound tells nothing of the manner. Nobody's face or voice is in it.

Written to DIR:

    index.jsonl           one object per performance: id, audio, motion, known (null: all channels), manner,
                          speaker, source "performed", mouth, phones, voice, language, seconds, fps, split, text,
                          visemes (sha256 of the viseme table that performed it)
    audio/<id>.flac       16 kHz mono
    motion/<id>.npz       rig arkit52 at 25 fps, one per performance
    mouth/<id>.npz        what the ear learns: `curves` float16 [T, M], the mouth of the same phones in a plain voice;
                          `channels` [M]; `kinds` uint8 [T], the visual class that sounds; `names` of the classes
    phones/<id>.json      [[IPA symbol, start, end, level], ...]
    meta.json             how it was made

Clip n depends only on (seed, n, installed voices); a run that was stopped goes on where it stood. Of every
`HELD_OUT_EVERY` manners one is split "heldout": nothing is trained or chosen on it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion, frame_count, save_npz
from msmdcli.motion.rig import Rig
from training.data.augment import PROTOTYPES
from training.data.lip_gap import sealed
from training.speech.acted_manner import ActedManner, Articulation, BlinkManner, GazeManner, Glance, HeadManner
from training.speech.lips import bilabial
from training.speech.performance import perform
from training.speech.speech import FPS, RATE, Cast, Texts, cast, spoken_clip
from training.speech.visemes import Phone, VisemeTable

FORMAT_VERSION = 1
CLIPS = 3  # of one manner
PERFORMANCES = 3  # manners in which each clip is performed: the sound costs more than the face
HELD_OUT_EVERY = 25  # manners
SOURCE = "performed"
AHEAD = 3  # clips in work or waiting, for each process

# What may rest or flash on a face beyond the emotion prototypes: channels without their side.
RESTING = (
    "browInnerUp", "browDown", "browOuterUp", "eyeSquint", "eyeWide", "cheekSquint", "noseSneer", "mouthSmile",
    "mouthFrown", "mouthStretch", "mouthDimple", "mouthPress", "mouthUpperUp", "mouthLowerDown", "mouthShrugLower",
    "mouthShrugUpper", "mouthRollLower", "mouthPucker", "jawForward", "eyeBlink",
)  # fmt: skip
FLASHING = (
    "browInnerUp", "browOuterUp", "browDown", "eyeWide", "noseSneer", "mouthSmile", "cheekSquint", "mouthUpperUp",
    "mouthFrown", "mouthStretch",
)  # fmt: skip
ARTICULATED = (
    "mouthFunnel",
    "mouthPucker",
    "mouthStretch",
    "mouthSmile",
    "mouthLowerDown",
    "mouthUpperUp",
    "mouthPress",
)


def draw_performance(rng: np.random.Generator) -> ActedManner:
    """A random manner. Its ranges hold the tags of the library with room around them, and real talkers' too.

    Tempo and pauses stay 1: the sound is there already.
    """

    def spread(middle: float, sigma: float, low: float, high: float) -> float:
        return float(np.clip(middle * np.exp(sigma * rng.standard_normal()), low, high))

    pose: dict[str, float] = {}
    if rng.random() < 0.8:
        names = sorted(PROTOTYPES)
        for _ in range(1 + (rng.random() < 0.3)):
            strength = float(rng.uniform(0.15, 1.1))
            for channel, value in PROTOTYPES[names[int(rng.integers(len(names)))]].items():
                size = value * strength * float(np.exp(0.3 * rng.standard_normal()))
                pose[channel] = min(pose.get(channel, 0.0) + size, 0.95)
    for channel in RESTING:
        if rng.random() < 0.25:
            pose[channel] = min(pose.get(channel, 0.0) + float(rng.exponential(0.07)), 0.95)
    pose["eyeBlink"] = min(pose.get("eyeBlink", 0.0), 0.3)
    pose["jawOpen"] = min(pose.get("jawOpen", 0.0), 0.12)

    flash = {}
    if rng.random() < 0.85:
        for channel in rng.choice(FLASHING, size=int(rng.integers(1, 4)), replace=False).tolist():
            flash[channel] = float(min(0.04 + rng.exponential(0.14), 0.5))

    jaw = spread(1.05, 0.32, 0.45, 2.0)  # jaw and lips go together, mostly
    lively = rng.standard_normal()  # head, gaze and flashes of one person go together, too
    glances: tuple[Glance, ...] = ()
    if rng.random() < 0.4:
        glances = tuple(
            Glance(float(rng.normal(0, 14)), float(rng.normal(2, 9)), float(rng.uniform(0.1, 0.3)))
            for _ in range(int(rng.integers(1, 3)))
        )
    moves = float(np.exp(0.35 * lively))
    return ActedManner(
        pose=pose,
        asymmetry=float(min(rng.exponential(0.07), 0.4)),
        swell=spread(0.11, 0.4, 0.03, 0.35),
        emphasis=float(rng.uniform(0.0, 0.4)),
        flash=flash,
        breath=spread(1.0, 0.4, 0.2, 2.0),
        speech=Articulation(
            jaw=jaw,
            lips=float(np.clip(jaw * np.exp(0.2 * rng.standard_normal()), 0.5, 1.8)),
            effort=spread(1.0, 0.35, 0.4, 2.0),
            channels={name: spread(1.0, 0.25, 0.4, 2.0) for name in ARTICULATED},
        ),
        blinks=BlinkManner(
            per_minute=spread(15.0, 0.45, 4.0, 40.0),
            close=spread(0.08, 0.2, 0.05, 0.15),
            hold=spread(0.04, 0.4, 0.02, 0.12),
            open=spread(0.17, 0.25, 0.10, 0.35),
            depth=float(rng.uniform(0.85, 1.0)),
        ),
        gaze=GazeManner(
            yaw=float(rng.normal(0, 3)),
            pitch=float(rng.normal(1.5, 4)),
            wander=spread(1.6 * moves, 0.4, 0.4, 6.0),
            fixation=spread(1.5, 0.35, 0.5, 3.5),
            glances=glances,
        ),
        head=HeadManner(
            pose=(float(rng.normal(0, 4)), float(rng.normal(0, 3)), float(rng.normal(0, 2.5))),
            drift=tuple(spread(d * moves, 0.35, 0.3, 6.0) for d in (1.3, 1.7, 1.1)),  # type: ignore[arg-type]
            period=spread(3.2, 0.25, 1.5, 6.0),
            nod=spread(2.4 * moves, 0.5, 0.2, 9.0),
            shake=spread(1.2 * moves, 0.6, 0.1, 7.0),
            tilt=spread(0.9 * moves, 0.6, 0.1, 5.0),
            tremor=float(rng.uniform(0.05, 0.3)) if rng.random() < 0.1 else 0.0,
        ),
    )


def manner_rng(seed: int, manner: int) -> np.random.Generator:
    """The stream of manner number `manner`."""
    digest = hashlib.sha256(f"performed {FORMAT_VERSION} {seed} {manner}".encode()).digest()
    return np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "little")))


def save_mouth(path: Path, phones: Sequence[Phone], frames: int, table: VisemeTable) -> None:
    """Write what the ear learns from a clip (module docstring)."""
    times = np.arange(frames) / float(FPS)
    kinds = np.zeros(frames, np.uint8)
    for kind, phone in table.segments(phones):
        kinds[int(np.ceil(phone.start * float(FPS))) : int(np.ceil(phone.end * float(FPS)))] = kind
    np.savez_compressed(
        path,
        curves=table.curves(phones, times).astype(np.float16),
        channels=np.array(table.channels),
        kinds=kinds,
        names=np.array([c.name for c in table.classes]),
    )


def held(values: np.ndarray, frames: int) -> np.ndarray:
    """[T, D] -> [frames, D]: cut, or its last row held."""
    return values[np.minimum(np.arange(frames), len(values) - 1)]


def performed(
    phones: Sequence[Phone], manner: ActedManner, seed: str, frames: int, rig: Rig, table: VisemeTable
) -> Motion:
    """A take of `frames` frames in a manner, whose lips meet on every m, b and p.

    The viseme table, fitted to a tracked face, leaves them open by a millimetre or three where a manner articulates
    strongly: a model can only close what its material closes.
    """
    motion = perform(phones, manner, seed, rig, table, FPS)
    values = held(motion.values, frames)
    closed = bilabial(phones, np.arange(frames) / float(FPS), table).astype(np.float32)
    meta = {"source": SOURCE, "generator": "training.speech.performed", "synthetic": "true"}
    return Motion(sealed(values, closed, rig), FPS, rig, meta)


def write_clip(
    who: Cast, texts: Texts, table: VisemeTable, rig: Rig, seed: int, number: int, out: Path
) -> list[dict[str, Any]]:
    """Speak clip `number`, perform it in `PERFORMANCES` manners, and return its lines of the index. A clip that is
    there is kept; one that was performed by another viseme table keeps its sound and is performed anew."""
    name = f"performed_{seed}_{number:05d}"
    entry = out / "entries" / f"{name}.json"
    rows: list[dict[str, Any]] = json.loads(entry.read_text(encoding="utf-8")) if entry.exists() else []
    if rows and rows[0].get("visemes") == table.digest:
        return rows
    for folder in ("audio", "motion", "mouth", "phones", "entries"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    if rows:
        said = rows[0]
    else:
        clip = spoken_clip(who, texts, table, 1_000_000 + seed, number)
        written = [[p.symbol, round(p.start, 4), round(p.end, 4), round(p.level, 1)] for p in clip.phones]
        (out / f"phones/{name}.json").write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")
        soundfile.write(out / f"audio/{name}.flac", clip.samples, RATE, format="FLAC", subtype="PCM_16")
        said = {
            "speaker": clip.voice.id, "voice": f"{clip.voice.id}@{clip.shift:.2f}", "language": clip.voice.language,
            "seconds": round(len(clip.samples) / RATE, 4), "text": clip.text,
        }  # fmt: skip
    phones = [Phone(*p) for p in json.loads((out / f"phones/{name}.json").read_text(encoding="utf-8"))]
    frames = frame_count(Fraction(soundfile.info(out / f"audio/{name}.flac").frames, RATE), FPS)
    save_mouth(out / f"mouth/{name}.npz", phones, frames, table)
    rows = []
    for take in range(PERFORMANCES):
        group = number // CLIPS * PERFORMANCES + take
        motion = performed(phones, draw_performance(manner_rng(seed, group)), f"{name}/{take}", frames, rig, table)
        save_npz(out / f"motion/{name}_{take}.npz", motion)
        rows.append({
            "id": f"{name}_{take}", "audio": f"audio/{name}.flac", "motion": f"motion/{name}_{take}.npz", "known": None,
            "mouth": f"mouth/{name}.npz", "phones": f"phones/{name}.json", "visemes": table.digest,
            "manner": f"{seed}/{group}", "speaker": said["speaker"], "source": SOURCE, "voice": said["voice"],
            "language": said["language"], "seconds": said["seconds"], "fps": f"{FPS}/1",
            "split": "heldout" if number // CLIPS % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 else "train",
            "text": said["text"],
        })  # fmt: skip
    part = entry.with_name("." + entry.name)
    part.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    part.replace(entry)  # last: an entry that exists stands for a whole clip
    return rows


def build(out: Path, hours: float, seed: int = 0, only: Sequence[str] = (), jobs: int = 1) -> Iterator[float]:
    """Make the data set at `out`; yields the seconds of sound so far after each clip. The index is written anew every
    few minutes, so that training may begin before the last hour is made.

    Args:
        out: its folder; clips that are there are kept.
        hours: of sound, at least.
        seed: of all that is drawn.
        only: these synthesisers alone; empty: all that are installed.
        jobs: processes. They may leave a few clips that the index does not name; a longer build takes them up.

    Raises:
        MsmdError: no synthesiser is installed.
    """
    if hours <= 0:
        raise MsmdError(f"{hours} hours of speech", hint="give a number above 0")
    who = cast(only)
    lines: list[dict[str, Any]] = []
    done, written = 0.0, time.monotonic()
    with closing(_clips(out, seed, only, jobs)) as clips:
        for number, rows in enumerate(clips, start=1):
            lines += rows
            done += rows[0]["seconds"]
            if time.monotonic() - written > 60.0:
                _write_index(out, lines, who, seed)
                written = time.monotonic()
            yield done
            if done >= hours * 3600.0 and number % CLIPS == 0:
                break
    _write_index(out, lines, who, seed)


def _clips(out: Path, seed: int, only: Sequence[str], jobs: int) -> Generator[list[dict[str, Any]]]:
    """The lines of the index of one clip after the other, without an end."""
    if jobs <= 1:
        _start_worker(seed, out, tuple(only))
        yield from map(_work, count())
    with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(seed, out, tuple(only))) as pool:
        waiting = deque(pool.submit(_work, number) for number in range(AHEAD * jobs))
        try:
            for number in count(len(waiting)):
                rows = waiting.popleft().result()
                waiting.append(pool.submit(_work, number))
                yield rows
        finally:
            pool.shutdown(cancel_futures=True)


_worker: dict[str, Any] = {}  # what a process needs for every clip


def _start_worker(seed: int, out: Path, only: tuple[str, ...]) -> None:
    _worker.update(who=cast(only), texts=Texts(), table=VisemeTable.load(), rig=Rig.load("arkit52"), seed=seed, out=out)


def _work(number: int) -> list[dict[str, Any]]:
    return write_clip(number=number, **_worker)


def _write_index(out: Path, lines: Sequence[dict[str, Any]], who: Cast, seed: int) -> None:
    used = {line["voice"].split("@")[0] for line in lines}
    meta = {
        "format_version": FORMAT_VERSION,
        "made_by": "python -m training.speech.performed",
        "seed": seed,
        "clips": len({line["audio"] for line in lines}),
        "hours": round(sum(line["seconds"] for line in lines) / PERFORMANCES / 3600.0, 4),
        "performances": PERFORMANCES,
        "languages": dict(Counter(line["language"] for line in lines).most_common()),
        "engines": {name: engine.version for name, engine in who.engines.items()},
        "missing": list(who.missing),
        "voices": {v.id: {"licence": v.licence, "language": v.language} for v in who.voices if v.id in used},
    }
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    for name, content in (("index.jsonl", text), ("meta.json", json.dumps(meta, indent=1, ensure_ascii=False))):
        part = out / f".{name}"
        part.write_text(content, encoding="utf-8")
        part.replace(out / name)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.speech.performed", description="Make hours of performed synthetic speech."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--hours", type=float, default=1.0, help="how much (default 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--engine", action="append", default=[], help="use only this synthesiser (repeatable)")
    options = parser.parse_args(arguments)
    try:
        seconds, shown, n = 0.0, time.monotonic(), 0
        made = build(options.out, options.hours, options.seed, options.engine, options.jobs)
        for n, seconds in enumerate(made, start=1):
            if time.monotonic() - shown > 20.0:
                shown = time.monotonic()
                print(f"{n} clips, {seconds / 3600:.2f} h", file=sys.stderr, flush=True)
    except MsmdError as error:
        print(f"Error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"Hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    print(f"{n} clips, {seconds / 3600:.2f} h in {options.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
