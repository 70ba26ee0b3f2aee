"""The shared corpus tracked with the solver of today, once, kept on disk.

    python -m training.faces.corpus_tracks --out DIR [--jobs N]

    DIR/landmarks/<clip>.npz    what MediaPipe saw, as `msmd track --landmarks` writes it: the slow part, made once
    DIR/tracks/<clip>.npz       channels solved from it (`training.faces.solve_landmarks`), made anew by a new solver
    DIR/without_face.txt        clips in which no face was found, and why

What is there is kept, so a run that was stopped goes on. Clips whose landmarks the corpus stores are not looked at
again. `python -m training.data.corpus --tracks DIR/tracks` reads them, and so does every preset whose recipe holds the
corpus (`msmd train` without `--data` tracks it on its way, in the cache folder).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import load_npz, save_npz
from msmdcli.paths import shared_dir
from msmdcli.system.files import whole_file
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.landmark_solver import VERSION
from msmdcli.tracking.landmarker import Landmarker
from msmdcli.tracking.track import TrackOptions, save_track
from msmdcli.tracking.tracker import track_video
from training.data.corpus import corpus_rows
from training.faces.landmark_clips import LandmarkClip, corpus_clip, track_clip
from training.faces.solve_landmarks import solve

LOOKING = 0.4  # s of a core for a second of video: decoding and MediaPipe
SOLVING = 0.05
TALK_EVERY = 60.0  # s
Talk = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """A clip of the corpus that has no track of today's solver."""

    corpus: Path
    out: Path
    row: dict[str, str]

    @property
    def name(self) -> str:
        return self.row["clip"]

    @property
    def landmarks(self) -> Path:
        return self.out / "landmarks" / f"{self.name}.npz"

    @property
    def track(self) -> Path:
        return self.out / "tracks" / f"{self.name}.npz"


def make_tracks(corpus: Path, out: Path, talk: Talk, jobs: int = 1) -> Path:
    """Track what is not tracked yet, and return the folder of tracks.

    Raises:
        MsmdError: there is no corpus; clips must be looked at, and MediaPipe or its model is absent.
    """
    for folder in ("landmarks", "tracks"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    without = out / "without_face.txt"
    known = {line.split(":")[0] for line in without.read_text().splitlines()} if without.is_file() else set()
    tasks = [Task(corpus, out, row) for row in corpus_rows(corpus) if row["clip"] not in known]
    tasks = [task for task in tasks if not is_current(task.track)]
    if not tasks:
        return out / "tracks"
    unseen = [task for task in tasks if not task.landmarks.is_file() and _stored(task) is None]
    if unseen:
        with Landmarker(find_face_model()):
            pass  # says what is missing before anything is done
    work = SOLVING * _seconds(tasks) + LOOKING * _seconds(unseen)
    minutes = round(work / 60 / jobs)
    talk(
        f"Tracking {len(tasks)} clips of the corpus into {out}: "
        f"{f'about {minutes} minutes' if minutes > 1 else 'a minute or two'}, once (what is there is kept)"
    )
    done = seconds = 0.0
    began = said = time.monotonic()
    whole = _seconds(tasks)
    for task, reason in zip(tasks, _mapped(_make, tasks, jobs), strict=True):
        done, seconds = done + 1, seconds + _seconds([task])
        if reason is not None:
            with without.open("a", encoding="utf-8") as file:
                file.write(f"{task.name}: {reason}\n")
        now = time.monotonic()
        if now - said > TALK_EVERY:
            said, left = now, (now - began) * (whole - seconds) / max(seconds, 1e-6)
            talk(f"  {done:.0f} of {len(tasks)} clips; {left / 60:.0f} minutes to go")
    return out / "tracks"


def is_current(path: Path) -> bool:
    """Whether a file holds a track of today's solver."""
    try:
        return path.is_file() and load_npz(path).meta.get("solver") == f"landmarks {VERSION}"
    except MsmdError:
        return False  # cut off


def _make(task: Task) -> str | None:
    """Track a clip; a sentence if it has no face."""
    clip = _stored(task) or (track_clip(task.landmarks) if task.landmarks.is_file() else None)
    if clip is None:
        try:
            track = track_video(task.corpus / task.row["path"], TrackOptions(landmarks=True))
        except MsmdError as error:
            return error.message
        with whole_file(task.landmarks) as temporary:
            save_track(temporary, track)
        clip = track_clip(task.landmarks)
    if clip is None:
        return "no face in any frame"
    motion, extra = solve(replace(clip, name=task.name, path=task.row["path"]))
    with whole_file(task.track) as temporary:
        save_npz(temporary, motion, extra)
    return None


def _stored(task: Task) -> LandmarkClip | None:
    """A clip's landmarks, where the corpus has them."""
    return corpus_clip(task.corpus / "tracked" / f"{task.name}.npz", task.row)


def _seconds(tasks: Sequence[Task]) -> float:
    return sum(float(task.row.get("seconds") or 4.0) for task in tasks)


def _mapped(function: Callable[[Task], str | None], tasks: Iterable[Task], jobs: int) -> Iterator[str | None]:
    if jobs < 2:
        yield from map(function, tasks)
        return
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(jobs, get_context("spawn")))
        yield from pool.map(function, tasks)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.faces.corpus_tracks`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.faces.corpus_tracks", description=str(__doc__).split("\n", 1)[0]
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="clips that are tracked at a time")
    options = parser.parse_args(arguments)
    shared = shared_dir()
    try:
        if shared is None:
            raise MsmdError(
                "the shared material was not found", hint="set MSMD_SHARED to the folder that holds corpus/"
            )
        tracks = make_tracks(shared / "corpus", options.out, lambda text: print(text, file=sys.stderr), options.jobs)
    except MsmdError as error:
        print(f"Error: {error.message}", *([f"Hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return error.exit_code
    print(f"{tracks}: {sum(1 for _ in tracks.glob('*.npz'))} tracks")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
