"""How fast `msmd track` tracks, against the plain MediaPipe loop that everybody writes.

    python benchmarks/tracking_speed.py VIDEO... [--rounds 5] [--face-model FILE]

The plain loop: PyAV decodes, every picture goes to `detect_for_video`, scores and matrices are collected; nothing else.
Ours: `track_video`, which also counts faces, measures confidence and turn, and smooths and resamples. Both open a new
landmarker for each clip, as a tracker must not carry a face from one clip to the next. One round runs plain, one
process and two processes on the same clips, in turns, so that other work on the machine hits all alike; the result is
the median over the rounds of the ratios of frames per second. The packages are loaded before the clock starts, and the
two processes have been started.

CPU seconds are printed, too: on a busy machine they say more than the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.track import TrackOptions
from msmdcli.tracking.tracker import track_video


def plain(path: Path, model: Path) -> int:
    """The plain loop; returns the number of pictures."""
    import av
    from mediapipe import Image, ImageFormat
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    collected = []
    with vision.FaceLandmarker.create_from_options(options) as landmarker, av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            image = Image(image_format=ImageFormat.SRGB, data=frame.to_ndarray(format="rgb24").copy())
            result = landmarker.detect_for_video(image, i * 40)
            scores = [score.score for face in result.face_blendshapes for score in face]
            collected.append((scores, result.facial_transformation_matrixes))
    return len(collected)


def ours(path: Path, model: Path) -> int:
    """`track_video`; returns the number of pictures."""
    return track_video(path, TrackOptions(face_model=model)).info.frames


def timed(work: Callable[[], list[int]]) -> tuple[int, float, float]:
    """Pictures, seconds by the clock, CPU seconds of this process."""
    begin, cpu = time.perf_counter(), time.process_time()
    return sum(work()), time.perf_counter() - begin, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--face-model", type=Path)
    arguments = parser.parse_args()
    model, videos = find_face_model(arguments.face_model), arguments.videos
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the plain loop chatters
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for work in (plain, ours):
            work(videos[0], model)
        list(pool.map(ours, [videos[0]] * 4, [model] * 4))
        one, two, cpu = [], [], []
        for number in range(arguments.rounds):
            frames, base, base_cpu = timed(lambda: [plain(video, model) for video in videos])
            _, single, single_cpu = timed(lambda: [ours(video, model) for video in videos])
            _, double, _ = timed(lambda: list(pool.map(ours, videos, [model] * len(videos))))
            one.append(base / single)
            two.append(base / double)
            cpu.append(base_cpu / single_cpu)
            print(
                f"round {number + 1}: plain {frames / base:.1f} frames/s, one process {frames / single:.1f} "
                f"({one[-1]:.2f}x, by CPU time {cpu[-1]:.2f}x), two processes {frames / double:.1f} ({two[-1]:.2f}x)",
                flush=True,
            )
    print(
        f"median of {arguments.rounds}: one process {statistics.median(one):.2f}x the plain loop (by CPU time "
        f"{statistics.median(cpu):.2f}x), two processes {statistics.median(two):.2f}x; {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
