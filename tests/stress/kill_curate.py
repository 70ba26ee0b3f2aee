"""Kill a curation at random moments and see that the finished data set is the same.

    python tests/stress/kill_curate.py [VIDEOS] [--kills 10] [--clips 8] [--jobs 1] [--seed 0] [--keep FOLDER]

A few short videos (of VIDEOS, or of the shared corpus) and a text that calls itself a video are curated, once
undisturbed, and then again and again into one folder, each run killed (SIGKILL of the main process, or of all its
processes) at a random moment: while it starts, when some more records are there, or while it writes the data set. A run
that finishes before it is killed begins again from an empty folder, as do half of those killed with all records made.
After each kill no torn file may lie under a final
name; after the last a run is left alone, and every file of its data set must be byte for byte that of the undisturbed
run. Exit code 1 if anything is not so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from msmdcli.media.suffixes import VIDEO_SUFFIXES  # noqa: E402
from msmdcli.paths import shared_dir  # noqa: E402

MOMENTS = ("starting", "looking", "looking", "writing")


def collect(videos: Path | None, folder: Path, clips: int) -> None:
    """Put `clips` short videos into `folder`, and a text."""
    if videos is None:
        shared = shared_dir()
        if shared is None:
            raise SystemExit("name a folder of videos, or set MSMD_SHARED")
        videos = shared / "corpus" / "clips" / "lrwar"
    found = sorted(p for p in videos.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)[:clips]
    for number, path in enumerate(found):
        target = folder / f"person{number % 3}" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (folder / "text.mp4").write_text("Dear diary,\n")


def content(out: Path) -> dict[str, bytes]:
    """Every file of the data set; the working folder is no part of it."""
    files = [p for p in out.rglob("*") if p.is_file() and ".curation" not in p.parts]
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in files}


def records(out: Path) -> int:
    """Records that are there."""
    return sum(1 for _ in (out / ".curation" / "records").rglob("[!.]*.npz"))


def start(videos: Path, out: Path, jobs: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "msmdcli", "curate", str(videos), "--out", str(out), "--jobs", str(jobs), "-q"]
    return subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True)


def wait_for(moment: str, process: subprocess.Popen[bytes], out: Path, rng: np.random.Generator) -> bool:
    """Wait for a moment to kill; False if the run has ended before."""
    begin, there, now = time.monotonic(), records(out), time.time()
    more = int(rng.integers(1, 4))
    delay = float(rng.uniform(0, 3.0 if moment == "starting" else 0.4))
    written = rng.choice(["motion", "audio", "report", "dataset.json"])
    while process.poll() is None:
        reached = {
            "starting": True,
            "looking": records(out) >= there + more,
            "writing": (out / written).exists() and (out / written).stat().st_mtime > now,
        }[moment]
        if reached:
            time.sleep(delay)
            return process.poll() is None
        if time.monotonic() - begin > 600:
            raise SystemExit("the run does not come on")
        time.sleep(0.02)
    return False


def torn(out: Path, whole: dict[str, bytes]) -> list[str]:
    """Files under a final name that are not those of the undisturbed run."""
    return [name for name, data in content(out).items() if not name.endswith(".msmd-tmp") and whole.get(name) != data]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", type=Path, nargs="?")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder to work in and to leave")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="kill-curate-"))
    videos, calm, out = folder / "videos", folder / "calm", folder / "killed"
    collect(options.videos, videos, options.clips)

    if start(videos, calm, options.jobs).wait():
        raise SystemExit("the undisturbed run failed")
    whole = content(calm)
    made = records(calm)
    print(f"undisturbed: {made} records, {len(whole)} files", flush=True)

    kills: Counter[str] = Counter()
    wrong: list[str] = []
    finished = 0
    while sum(kills.values()) < options.kills:
        moment = str(rng.choice(MOMENTS))
        process = start(videos, out, options.jobs)
        if not wait_for(moment, process, out, rng):
            finished += 1
            process.wait()
            wrong += [f"a finished run differs: {name}" for name in sorted(set(whole) ^ set(content(out)))]
            wrong += [f"a finished run differs: {name}" for name in torn(out, whole)]
            shutil.rmtree(out)
            continue
        everyone = bool(rng.random() < 0.5)
        os.killpg(process.pid, signal.SIGKILL) if everyone else process.kill()
        process.wait()
        time.sleep(1.0)  # workers see that their parent is gone
        kills[moment] += 1
        wrong += [f"torn after a kill while {moment}: {name}" for name in torn(out, whole)]
        print(f"killed {'all' if everyone else 'main'} while {moment}: {records(out)} of {made} records", flush=True)
        if records(out) == made and sum(kills.values()) < options.kills and rng.random() < 0.5:
            shutil.rmtree(out)

    before = records(out)
    if start(videos, out, options.jobs).wait():
        wrong.append("the last run failed")
    last = content(out)
    wrong += [f"differs: {name}" for name in sorted(set(whole) | set(last)) if whole.get(name) != last.get(name)]
    wrong += [f"left behind: {p}" for p in (out / ".curation").rglob("*.msmd-tmp")]
    print(f"{sum(kills.values())} kills ({dict(kills)}), {finished} runs finished before theirs; last run began with")
    print(f"{before} of {made} records; {len(last)} files compared: {'all the same' if not wrong else 'NOT the same'}")
    for line in wrong:
        print(f"  {line}")
    if options.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
