"""Stored landmarks solved again: clips that were tracked before, without decoding a picture.

    python -m training.faces.solve_landmarks FOLDER --out DIR [--neutral-of TAG]

FOLDER is the shared corpus, or one of tracks that `msmd track --landmarks` wrote. For each clip with landmarks, DIR
gets a motion npz on arkit52 with `channel_confidence` and `found`; the head's angles are told from the performer's
resting direction. `--neutral-of neutral_level1` takes the clip of that tag as each speaker's known neutral face.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import euler_from_quaternion, on_one_side, smooth_rotation
from msmdcli.tracking.capture import Landmarks, capture, neutral_of_frames
from msmdcli.tracking.face_correspondence import UNSEEN
from msmdcli.tracking.frames import interpolated
from msmdcli.tracking.landmark_solver import VERSION
from msmdcli.tracking.neutral_face import NeutralFace
from msmdcli.tracking.resting_head import relative_to, resting_direction
from training.faces.landmark_clips import LandmarkClip, read_clips


def landmarks_of(clip: LandmarkClip) -> Landmarks:
    """The frames of a clip, those without a face filled in linearly."""
    at, every = np.flatnonzero(clip.found), np.arange(len(clip.found))
    places = interpolated(every, at, clip.landmarks.reshape(len(at), -1)).reshape(len(every), -1, 3)
    return Landmarks(places, interpolated(every, at, clip.scores), clip.names, clip.aspect, clip.fps)


def solve(clip: LandmarkClip, neutral: NeutralFace | None = None) -> tuple[Motion, dict[str, np.ndarray]]:
    """A clip's motion, and what is stored beside it."""
    rig = Rig.load("arkit52")
    taken = capture(landmarks_of(clip), neutral)
    columns = [rig.index(name) for name in taken.channels]
    values = np.zeros((len(clip.found), rig.size), np.float32)
    confidence = np.zeros_like(values)
    values[:, columns], confidence[:, columns] = taken.values, taken.confidence
    confidence[~clip.found] = 0.0
    head = smooth_rotation(taken.head, clip.fps)
    rest = resting_direction(head[clip.found])
    angles = euler_from_quaternion(on_one_side(relative_to(rest, head), first_up=True))
    values[:, list(rig.rotation_indices or ())] = np.unwrap(angles, axis=0)
    meta = {
        "source": Path(clip.path).name or clip.name,
        "tracker": "MediaPipe FaceLandmarker",
        "solver": f"landmarks {VERSION}",
        "unseen": " ".join(UNSEEN),
        "neutral": "found in the take" if neutral is None else "the speaker's neutral clip",
        "head_rest_degrees": " ".join(f"{a:.2f}" for a in np.degrees(euler_from_quaternion(rest))),
    }
    fps = Fraction(clip.fps).limit_denominator(1001)
    return Motion(values, fps, rig, meta).clip(), {"channel_confidence": confidence, "found": clip.found}


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.faces.solve_landmarks`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.faces.solve_landmarks", description=str(__doc__).split("\n", 1)[0]
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--neutral-of", metavar="TAG", help="a speaker's clip of this tag shows the neutral face")
    options = parser.parse_args(arguments)
    try:
        neutrals = {}
        if options.neutral_of is not None:
            for clip in read_clips(options.folder):
                if clip.tag == options.neutral_of:
                    neutrals[clip.speaker] = neutral_of_frames(landmarks_of(clip), known=True)
        options.out.mkdir(parents=True, exist_ok=True)
        count = frames = 0
        for clip in read_clips(options.folder):
            motion, extra = solve(clip, neutrals.get(clip.speaker))
            save_npz(options.out / f"{clip.name}.npz", motion, extra)
            count, frames = count + 1, frames + motion.frames
        if not count:
            raise MsmdError(f"{options.folder} holds no landmarks", hint="`msmd track --landmarks` keeps them")
    except MsmdError as error:
        print(f"Error: {error.message}", *([f"Hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return error.exit_code
    print(f"{options.out}: {count} clips, {frames} frames; {len(neutrals)} speakers' neutral faces known")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
