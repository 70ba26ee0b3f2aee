"""Lips and lids that touch where the landmarks touch.

A least-squares fit spreads its error, so a closed mouth comes out a little open and a blink not quite shut. Here the
opening that the landmarks show is taken as it is, and the weights are moved to meet it: `mouthClose` for the lips where
they are near each other, `eyeBlink` for each eye. Openings are in mm in the head's space, on the scale of the ICT head.
"""

from __future__ import annotations

import numpy as np

from msmdcli.tracking.face_correspondence import LEFT_LID_PAIRS, RIGHT_LID_PAIRS, FaceCorrespondence
from msmdcli.tracking.neutral_face import NeutralFace, lip_gaps

NEAR, FAR = 0.5, 3.0  # mm: lips nearer than NEAR are met exactly, beyond FAR the fit stands
TOUCH = 0.7  # mm by which the landmarks of lips that touch are apart at times
WITNESS = 3.0  # mm for each mm that the lips are apart by MediaPipe's scores: where these touch, they touch
AJAR = 0.5  # mm by which lids that are open pass their rest at times
BLINK_FROM = 0.6  # of the way: a short dip that comes this far was a blink between two pictures
BLINK_SECONDS = 0.5  # longest time from open to open
YIELD = (0.75, 0.95)  # closures between which other channels of the lids give way to the blink
YIELDS = {
    "eyeWide": 1.0,
    "eyeSquint": 1.0,
    "cheekSquint": 1.0,
    "eyeLookDown": 0.5,
}  # by which share of what they do to the lids


def lip_openings(points: np.ndarray, neutral: NeutralFace, by_scores: np.ndarray) -> np.ndarray:
    """How far the lips are apart beyond touching: [T] mm.

    Two witnesses, and lips touch where either says so: dark lips over light ones pass for an open mouth with the
    landmarks, and with the scores do not.

    Args:
        points: [T, V, 3] landmarks.
        neutral: the performer's.
        by_scores: [T] mm by which the ICT head's lips would be apart beyond rest under MediaPipe's scores.
    """
    seen = np.maximum(lip_gaps(points) - neutral.lip_gap - TOUCH, 0.0)
    return np.minimum(seen, WITNESS * np.maximum(by_scores, 0.0))


def meet_lips(
    weights: np.ndarray, channels: tuple[str, ...], openings: np.ndarray, face: FaceCorrespondence
) -> np.ndarray:
    """Weights [T, C] whose lips on the ICT head are apart by `openings` [T] mm beyond rest, where those are small."""
    weights = weights.copy()
    by = face.lip_gap_by[[face.index(name) for name in channels]]  # [C] mm
    close = channels.index("mouthClose")
    held = 1.0 - np.clip((openings - NEAR) / (FAR - NEAR), 0.0, 1.0)
    excess = held * (weights @ by - openings)  # [T] mm
    weights[:, close] = np.clip(weights[:, close] + np.maximum(excess, 0) / -by[close], 0.0, 1.0)
    # Lips that would pass through each other: what presses them together gives way.
    through = np.maximum(-(weights @ by) - face.lip_gap, 0.0)  # [T] mm
    pressing = by < 0
    pressed = -(weights[:, pressing] @ by[pressing])
    weights[:, pressing] *= (1.0 - np.minimum(through / np.maximum(pressed, 1e-6), 1.0))[:, None]
    return weights


def lid_gaps(points: np.ndarray) -> np.ndarray:
    """[..., 2] mm between the left and between the right lids of landmarks [..., V, 3]: the mean of three places."""
    sides = []
    for pairs in (LEFT_LID_PAIRS, RIGHT_LID_PAIRS):
        upper, lower = zip(*pairs, strict=True)
        sides.append((points[..., list(upper), 1] - points[..., list(lower), 1]).mean(axis=-1))
    return np.stack(sides, axis=-1)


def complete_blinks(closures: np.ndarray, fps: float) -> np.ndarray:
    """Closures [T, 2] in which each short dip of the lids that comes most of the way goes all of it.

    At 25 pictures a second the moment at which the lids touch lies between two of them more often than not. A dip that
    comes to `BLINK_FROM` and is over within `BLINK_SECONDS` is stretched so that its deepest picture is shut.
    """
    closures = closures.copy()
    reach = max(1, round(BLINK_SECONDS * fps))
    for side in closures.T:
        inner = side[1:-1]
        peaks = 1 + np.flatnonzero((inner >= BLINK_FROM) & (inner < 1.0) & (inner >= side[:-2]) & (inner > side[2:]))
        for peak in peaks:
            first, last = _feet(side, int(peak))
            if last - first > reach:
                continue
            foot = max(float(side[first]), float(side[last]), 0.0)
            height = float(side[peak]) - foot
            if height > 0.3:
                part = side[first : last + 1]
                above = np.maximum(part - foot, 0.0)
                side[first : last + 1] = np.maximum(part, foot + above * (1.0 - foot) / height * (part > foot))
    return closures


def _feet(side: np.ndarray, peak: int) -> tuple[int, int]:
    """Where the hill around a peak begins and ends."""
    first = last = peak
    while first > 0 and side[first - 1] < side[first]:
        first -= 1
    while last < len(side) - 1 and side[last + 1] < side[last]:
        last += 1
    return first, last


def meet_lids(
    weights: np.ndarray, channels: tuple[str, ...], closures: np.ndarray, face: FaceCorrespondence
) -> np.ndarray:
    """Weights [T, C] under which the lids of the ICT head are closed by `closures` [T, 2]: by eyeBlink, or eyeWide.

    `channels` may hold eyeLook channels, which move the lids, too.
    """
    weights = weights.copy()
    rows = [face.index(name) for name in channels]
    for number, side in enumerate(("Left", "Right")):
        blink = channels.index(f"eyeBlink{side}")
        full = -face.lid_gap_by[face.index(f"eyeBlink{side}"), number]  # mm
        wanted = np.minimum(closures[:, number], 1.0) * full  # below 0: wider than at rest
        closed = -(weights @ face.lid_gap_by[rows, number])
        # Shut is shut, by the blink: nothing holds the lids open, and what a squint or a look down closes of them on
        # this head leaves a slit, and on other rigs may do nothing.
        yielding = np.clip((closures[:, number] - YIELD[0]) / (YIELD[1] - YIELD[0]), 0.0, 1.0)
        for kind, share in YIELDS.items():
            if (name := f"{kind}{side}") in channels:
                closed += (
                    share * yielding * weights[:, channels.index(name)] * face.lid_gap_by[face.index(name), number]
                )
        wide = channels.index(f"eyeWide{side}")
        weights[:, wide] *= 1.0 - yielding
        blinked = np.clip(weights[:, blink] + (wanted - closed) / full, 0.0, 1.0)
        closed += (blinked - weights[:, blink]) * full
        weights[:, blink] = blinked
        # What the lids open beyond rest is a wide eye's.
        missing = np.maximum(closed - wanted - AJAR, 0.0) / face.lid_gap_by[face.index(f"eyeWide{side}"), number]
        weights[:, wide] = np.minimum(weights[:, wide] + missing, 1.0)
    return weights
