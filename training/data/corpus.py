"""The shared research corpus as a training data set.

``python -m training.data.corpus --out DIR [--sources grid|research|all] [--tracks DIR]`` reads the corpus of
talking-face clips (``corpus/`` of the shared folder: mp4 clips, ``metadata.csv``, one tracked npz per clip) and writes

    DIR/index.jsonl          one JSON object per clip (fields: ``ClipRecord``)
    DIR/audio/<id>.flac      sound, 16 kHz mono; absent (``"audio": null``) for silent clips
    DIR/motion/<id>.npz      motion on the ``arkit52`` rig at 25 fps
    DIR/dataset.json         counts, audio-picture offsets that were removed, clips that were left out and why

Time. Second 0 of sound and motion is the presentation time of the first picture; sound that starts earlier is cut,
sound that starts later is preceded by silence (AAC priming is already removed by the demuxer's edit lists, or moves
both streams alike). Picture i is shown at its own presentation time. Constant offsets between picture and sound that a
recording brought along (``corpus.yaml``) are removed by moving the motion; at the end the last pose is held.

Tracking. MediaPipe's 52 scores, as the corpus stores them, are 51 ARKit channels after ``_neutral``; ``tongueOut``
stays 0. Head angles (degrees; pitch, yaw, roll) become radians. Channels solved from landmarks take their place where a
folder of such tracks is named, or lies as ``tracks/`` beside the corpus; a clip without such a track is left out then.
``python -m training.faces.corpus_tracks --out DIR`` makes them (``DIR/tracks``), and so do recipes. Lost frames at
either end are cut off with their sound, lost frames inside are interpolated; a clip with more than 20 % lost is left
out.

Splits hold whole persons and depend on names only (``split_of``): ``train``, ``val``, ``test``, and ``style`` for
silent emotional clips that serve as style references in tests.

The corpus is for research; only the sources marked ``commercial`` in the index may train a model that is released.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion, frame_count, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir
from msmdcli.system.files import write_text
from training.data.clip_track import ClipTrack
from training.data.records import ClipRecord, counts, unit_hash

FPS = Fraction(25)
AUDIO_RATE = 16000
MAX_LOST = 0.2  # share of frames without a face above which a clip is left out
SourceSet = Literal["grid", "research", "all"]
SOURCE_SETS: dict[str, str] = {
    "grid": "the GRID clips only (CC BY 4.0: a model trained on them may be released)",
    "research": "everything but GRID (research use only)",
    "all": "both",
}


@dataclass(frozen=True)
class CorpusNotes:
    """The contents of ``corpus.yaml`` (see the comments there)."""

    offsets: dict[str, float]
    recording_offsets: dict[str, float]
    same_person: dict[str, str]
    left_out: dict[str, str]
    grid_test_speakers: frozenset[str]
    style_test_speakers: frozenset[str]
    wild_shares: dict[str, float]
    train_sources: frozenset[str]
    train_sources_val_share: float
    commercial_sources: frozenset[str]

    @classmethod
    def load(cls, path: Path | None = None) -> CorpusNotes:
        path = path or Path(__file__).with_name("corpus.yaml")
        data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return cls(
            offsets={source: float(entry["frames"]) for source, entry in data["av_offset_frames"].items()},
            recording_offsets={
                name: float(entry["frames"]) for name, entry in data["recordings_av_offset_frames"].items()
            },
            same_person=dict(data["same_person"]),
            left_out=dict(data["left_out"]),
            grid_test_speakers=frozenset(data["grid_test_speakers"]),
            style_test_speakers=frozenset(data["style_test_speakers"]),
            wild_shares=dict(data["wild_shares"]),
            train_sources=frozenset(data["train_sources"]),
            train_sources_val_share=float(data["train_sources_val_share"]),
            commercial_sources=frozenset(data["commercial_sources"]),
        )

    def person(self, speaker: str) -> str:
        """The person behind a speaker label."""
        return self.same_person.get(speaker, speaker)

    def offset(self, source: str, person: str) -> float:
        """How many frames later than its sound the picture of a recording comes."""
        return self.recording_offsets.get(f"{source}/{person}", self.offsets.get(source, 0.0))


def split_of(clip: str, person: str, source: str, silent: bool, speaks: bool, notes: CorpusNotes) -> str:
    """Which split a clip belongs to. `silent`: it is a style clip; `speaks`: its person has speaking clips, too.

    Decided in this order:

    1. Persons of ``style_test_speakers``: their silent clips are ``style``, their speaking clips ``test``.
    2. GRID: three speakers ``test``; of speaker 1 a few clips ``val``, everything else ``train``. The Arabic words
       likewise ``train`` with a few ``val``.
    3. Everybody else ("in the wild"): the whole person goes to test, val or train by the hash of the name; silent clips
       of those who went to test or val are ``style``. Persons with silent clips only train (audio condition dropped).
    """
    if person in notes.style_test_speakers:
        return "style" if silent else "test"
    if person in notes.grid_test_speakers:
        return "test"
    if source in notes.train_sources:
        return "val" if unit_hash(clip) < notes.train_sources_val_share else "train"
    if source in notes.commercial_sources or not speaks:
        return "train"
    u = unit_hash(person)
    if u < notes.wild_shares["test"]:
        return "style" if silent else "test"
    if u < notes.wild_shares["test"] + notes.wild_shares["val"]:
        return "style" if silent else "val"
    return "train"


def read_clip(path: Path, want_audio: bool) -> tuple[np.ndarray, Fraction, np.ndarray | None]:
    """Picture times and sound of an mp4 clip.

    Returns:
        (times [T] float64 of the pictures in seconds after the first, nominal picture rate, samples [S] float32 at
        16 kHz mono starting at the time of the first picture, or None without a sound stream or when not wanted).

    Raises:
        MsmdError: the file cannot be decoded.
    """
    import av

    try:
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            assert video.time_base is not None
            pts = sorted(p.pts for p in container.demux(video) if p.pts is not None and not p.is_discard)
            start = pts[0] * video.time_base
            times = np.array([float((p - pts[0]) * video.time_base) for p in pts])
            fps = Fraction(video.average_rate or video.guessed_rate or FPS)
        samples = _read_audio(path, start) if want_audio else None
    except (av.FFmpegError, IndexError, OSError) as error:
        raise MsmdError(
            f"cannot decode {path}: {error}", hint="the corpus file may be damaged; copy it again"
        ) from error
    return times, fps, samples


def _read_audio(path: Path, start: Fraction) -> np.ndarray | None:
    """Sound from `start` (seconds on the file's clock) on: [S] float32 mono 16 kHz, or None without a sound stream."""
    import av
    import soxr

    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        to_float = av.AudioResampler(format="fltp")  # sample format only; soxr does the rate
        chunks: list[np.ndarray] = []  # each [channels, n]
        first: Fraction | None = None
        rate = 0
        for frame in container.decode(container.streams.audio[0]):
            if first is None:
                first = Fraction(0) if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
                rate = frame.sample_rate
            chunks.extend(f.to_ndarray() for f in to_float.resample(frame))
    if first is None:
        return None
    mono = np.concatenate(chunks, axis=1).mean(axis=0)  # [S at source rate]
    lead = round((start - first) * rate)
    mono = mono[lead:] if lead >= 0 else np.concatenate([np.zeros(-lead, mono.dtype), mono])
    return np.clip(soxr.resample(mono, rate, AUDIO_RATE, quality="HQ"), -1.0, 1.0).astype(np.float32)


def shift_earlier(values: np.ndarray, frames: float) -> np.ndarray:
    """values [T, D] moved `frames` earlier (negative: later); the edge pose is held. Exact for whole frames."""
    if frames == 0:
        return values
    at = np.arange(len(values)) + frames
    return np.stack([np.interp(at, np.arange(len(values)), column) for column in values.T], axis=1).astype(values.dtype)


def _native_rate(tracked: float, stream: Fraction) -> Fraction:
    """The exact picture rate: the stream's where it agrees with the tracker's rounded one, else the latter."""
    if abs(float(stream) - tracked) < 0.01:
        return stream
    return Fraction(tracked).limit_denominator(1001)


def corpus_rows(corpus: Path) -> Iterator[dict[str, str]]:
    """The rows of metadata.csv for faces that can be used (everything but ``bad/``)."""
    try:
        with (corpus / "metadata.csv").open(newline="", encoding="utf-8") as file:
            yield from (row for row in csv.DictReader(file) if not row["path"].startswith("bad/"))
    except FileNotFoundError as error:
        raise MsmdError(
            f"no talking-face corpus in {corpus}: metadata.csv is missing",
            hint="point MSMD_SHARED at the folder that holds corpus/",
        ) from error


def tracks_beside(corpus: Path) -> Path | None:
    """The folder of tracks solved from landmarks that lies beside a corpus, if there is one."""
    folder = corpus.parent / "tracks"
    return folder if folder.is_dir() else None


def build_corpus(
    corpus: Path,
    out: Path,
    sources: SourceSet = "all",
    notes: CorpusNotes | None = None,
    tracks: Path | None = None,
) -> list[ClipRecord]:
    """Write the data set (module docstring) and return its index.

    Args:
        corpus: folder of the corpus.
        out: data set folder, created when absent; files of the same names are overwritten.
        sources: which licence group (SOURCE_SETS).
        notes: offsets, persons and splits; default: ``corpus.yaml``.
        tracks: folder of tracks solved from landmarks; by default MediaPipe's scores are taken.

    Raises:
        MsmdError: the corpus or the folder of tracks is absent, or a clip cannot be decoded.
    """
    import soundfile

    notes = notes or CorpusNotes.load()
    rig = Rig.load("arkit52")
    if tracks is not None and not tracks.is_dir():
        raise MsmdError(f"{tracks} is no folder", hint="python -m training.faces.corpus_tracks makes one of tracks")
    for folder in ("audio", "motion"):
        (out / folder).mkdir(parents=True, exist_ok=True)

    records: list[ClipRecord] = []
    left_out: dict[str, str] = {}
    rows = list(corpus_rows(corpus))
    speaking = {notes.person(row["speaker"]) for row in rows if not _silent(row)}
    for row in _progress([row for row in rows if _wanted(row, sources, notes)]):
        clip, source = row["clip"], Path(row["path"]).parent.name
        if clip in notes.left_out:
            left_out[clip] = notes.left_out[clip]
            continue
        if tracks is None:
            track = ClipTrack.of_scores(corpus / "tracked" / f"{clip}.npz", rig)
        elif (tracks / f"{clip}.npz").is_file():
            track = ClipTrack.of_landmarks(tracks / f"{clip}.npz", rig)
        else:
            left_out[clip] = "no track"
            continue
        found = float(track.found.mean())
        if 1.0 - found > MAX_LOST:
            left_out[clip] = f"no face in {1.0 - found:.0%} of the frames"
            continue

        # Sound of silent style clips is absent or not the speech that moves the face (music, hiss).
        silent = _silent(row)
        times, stream_fps, samples = read_clip(corpus / row["path"], want_audio=not silent)
        fps = _native_rate(track.fps, stream_fps)
        if len(times) != len(track.found):
            times = np.arange(len(track.found)) / float(fps)
        motion, cut = track.motion(times, fps, rig)

        person = notes.person(row["speaker"])
        offset = notes.offset(source, person)
        seconds = Fraction(motion.frames) / fps
        if samples is not None:
            samples = samples[round(cut * AUDIO_RATE) :]
            samples = samples[: round(min(seconds, Fraction(len(samples), AUDIO_RATE)) * AUDIO_RATE)]
            seconds = Fraction(len(samples), AUDIO_RATE)
        motion = motion.resample(FPS, frames=frame_count(seconds, FPS))
        motion = Motion(
            values=shift_earlier(motion.values, offset),
            fps=FPS,
            rig=rig,
            meta={"clip": clip, "source": source, "tracker": track.tracker},
        ).clip()

        save_npz(out / "motion" / f"{clip}.npz", motion)
        if samples is not None:
            soundfile.write(out / "audio" / f"{clip}.flac", samples, AUDIO_RATE, subtype="PCM_16")
        records.append(
            ClipRecord(
                id=clip,
                audio=None if samples is None else f"audio/{clip}.flac",
                motion=f"motion/{clip}.npz",
                known=None,
                speaker=person,
                source=source,
                tag=row["emotion_or_tag"],
                language=row["language"] or "und",
                seconds=float(seconds),
                fps=f"{FPS.numerator}/{FPS.denominator}",
                av_offset_frames=offset,
                found=found,
                split=split_of(clip, person, source, silent, person in speaking, notes),
                commercial=source in notes.commercial_sources,
                licence=row["licence_or_dataset"],
            )
        )

    records.sort(key=lambda record: record.id)
    _write_lines(out / "index.jsonl", (json.dumps(asdict(record), ensure_ascii=False) for record in records))
    summary = {
        "format_version": 1,
        "made_by": f"python -m training.data.corpus --sources {sources}" + (" --tracks" if tracks else ""),
        "counts": counts(records),
        "av_offset_frames": {**notes.offsets, **notes.recording_offsets},
        "left_out": left_out,
    }
    _write_lines(out / "dataset.json", [json.dumps(summary, indent=1, ensure_ascii=False)])
    return records


def _wanted(row: dict[str, str], sources: SourceSet, notes: CorpusNotes) -> bool:
    commercial = Path(row["path"]).parent.name in notes.commercial_sources
    return sources == "all" or commercial == (sources == "grid")


def _silent(row: dict[str, str]) -> bool:
    return row["path"].startswith("style_silent/")


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    write_text(path, "".join(f"{line}\n" for line in lines))


def _progress(rows: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    for number, row in enumerate(rows):
        if number % 100 == 0:
            print(f"clip {number} of {len(rows)}", file=sys.stderr)
        yield row


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.corpus", description="Turn the shared corpus into a data set."
    )
    parser.add_argument("--out", type=Path, required=True, help="data set folder to write")
    parser.add_argument(
        "--sources",
        choices=sorted(SOURCE_SETS),
        default="all",
        help="; ".join(f"{k}: {v}" for k, v in SOURCE_SETS.items()),
    )
    parser.add_argument(
        "--source-offsets-only",
        action="store_true",
        help="leave the audio-picture offsets of single recordings in (corpus.yaml says what they are)",
    )
    parser.add_argument(
        "--tracks", type=Path, metavar="DIR", help="channels solved from landmarks (default: tracks/ beside the corpus)"
    )
    parser.add_argument("--scores", action="store_true", help="take MediaPipe's scores all the same")
    options = parser.parse_args(arguments)
    notes = CorpusNotes.load()
    if options.source_offsets_only:
        notes = replace(notes, recording_offsets={})
    try:
        shared = shared_dir()
        if shared is None:
            raise MsmdError(
                "the shared material was not found", hint="set MSMD_SHARED to the folder that holds corpus/"
            )
        tracks = None if options.scores else options.tracks or tracks_beside(shared / "corpus")
        records = build_corpus(shared / "corpus", options.out, options.sources, notes, tracks)
    except MsmdError as error:
        print(f"Error: {error.message}\nHint: {error.hint}", file=sys.stderr)
        return error.exit_code
    for split, row in counts(records).items():
        print(f"{split}: {row['clips']:.0f} clips, {row['minutes']:.1f} min, {row['persons']:.0f} persons")
    by_source = Counter((record.source, record.split) for record in records)
    for (source, split), number in sorted(by_source.items()):
        print(f"  {source:20} {split:6} {number}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
