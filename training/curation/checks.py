"""The limits, and the verdict on a clip: which of them its measures break, by how much.

Measuring and judging are apart: changing a limit tracks nothing again.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.curation.clip_data import Measures

REASONS = {
    "unreadable": "the file cannot be read",
    "label": "the data set's own label says that this is not speech with a free face",
    "duplicate": "the same file is there under another name",
    "too-short": "too short",
    "no-audio": "no sound track, or one that does not belong to the picture",
    "silent-audio": "the sound track is silent",
    "no-face": "no face, or it is lost for long",
    "several-faces": "more than one face",
    "not-a-person": "the face has proportions that no person has: drawn, a doll, a mask",
    "cut": "the picture cuts to another shot",
    "pose-jump": "the head jumps",
    "turned": "the face is turned away",
    "low-confidence": "the tracking is not to be trusted",
    "no-speech": "nobody speaks",
    "out-of-sync": "sound and mouth do not belong together",
}
"""Reasons for a rejection, in the order in which they are looked for; the first that applies is the clip's reason."""


@dataclass(frozen=True)
class Limits:
    """What a clip must keep to. Shares are of the clip's frames.

    Attributes:
        min_seconds: length of the picture.
        min_sound_share: part of the picture that has sound.
        min_loudness: dB of full scale that the sound must reach at least once.
        min_speech_seconds, min_speech_share: speech, as the detector finds it; one of the two is enough.
        min_found: frames with a face.
        max_loss: seconds without it in one piece.
        max_several: frames with more than one face; a bystander for a moment is no reason.
        max_unusual: standard deviations by which proportions of the face may differ from people's.
        max_turn: degrees away from the camera for more than a quarter of the time. Stricter than the 45 degrees that
            are usual: the far half of the mouth is a guess of the tracker's long before.
        max_jump: degrees within 80 ms.
        min_confidence: mean confidence of the tracking.
        min_agreement: agreement of sound and mouth, see `training.curation.sync`.
        min_sync_seconds: shorter clips are not judged by it, chance has too much to say.
    """

    min_seconds: float = 1.0
    min_sound_share: float = 0.8
    min_loudness: float = -55.0
    min_speech_seconds: float = 0.5
    min_speech_share: float = 0.1
    min_found: float = 0.75
    max_loss: float = 1.0
    max_several: float = 0.35
    max_unusual: float = 5.0
    max_turn: float = 29.0
    max_jump: float = 30.0
    min_confidence: float = 0.4
    min_agreement: float = 0.03
    min_sync_seconds: float = 2.5


@dataclass(frozen=True)
class Rejection:
    """Why a clip is not taken.

    Attributes:
        reason: one of REASONS.
        value: the measured number; None where there is none.
        limit: what it would have to be.
        text: for people.
    """

    reason: str
    value: float | None
    limit: float | None
    text: str


def fails_before_tracking(measures: Measures, limits: Limits) -> bool:
    """Whether tracking the clip would be in vain."""
    return bool(_file_and_sound(measures, limits))


def judge(measures: Measures, limits: Limits) -> list[Rejection]:
    """All that is wrong with a clip taken by itself, in the order of REASONS. Synchronisation is judged with the other
    clips of its source (`training.curation.timing`)."""
    found = _file_and_sound(measures, limits)
    found += _cuts(measures)
    if measures.tracked:
        found += _face(measures, limits)
        found += _speech(measures, limits)
    order = list(REASONS)
    return sorted(found, key=lambda rejection: order.index(rejection.reason))


def _file_and_sound(m: Measures, limits: Limits) -> list[Rejection]:
    if m.error:
        return [Rejection("unreadable", None, None, m.error)]
    found = []
    if m.seconds < limits.min_seconds:
        text = f"{m.seconds:.2f} s, at least {limits.min_seconds:g}"
        found.append(Rejection("too-short", m.seconds, limits.min_seconds, text))
    if not m.sound:
        return [*found, Rejection("no-audio", 0.0, limits.min_sound_share, "there is no sound track")]
    if m.sound_error:
        return [*found, Rejection("no-audio", 0.0, limits.min_sound_share, m.sound_error)]
    if m.sound_share is not None and m.sound_share < limits.min_sound_share:
        text = f"the sound covers {m.sound_share:.0%} of the picture, at least {limits.min_sound_share:.0%}"
        found.append(Rejection("no-audio", m.sound_share, limits.min_sound_share, text))
    if m.loudness is not None and m.loudness < limits.min_loudness:
        text = f"the sound never exceeds {m.loudness:.0f} dB, at least {limits.min_loudness:g}"
        found.append(Rejection("silent-audio", m.loudness, limits.min_loudness, text))
    return found


def _cuts(m: Measures) -> list[Rejection]:
    if not m.cuts:
        return []
    where = ", ".join(f"{time:.2f} s" for time in m.cuts[:5]) + (", ..." if len(m.cuts) > 5 else "")
    return [Rejection("cut", float(len(m.cuts)), 0.0, f"{len(m.cuts)} cut{'s' * (len(m.cuts) > 1)}: {where}")]


def _face(m: Measures, limits: Limits) -> list[Rejection]:
    found: list[Rejection] = []

    def check(reason: str, value: float | None, limit: float, at_least: bool, text: str) -> None:
        if value is not None and (value < limit if at_least else value > limit):
            bound = f"at least {limit:g}" if at_least else f"at most {limit:g}"
            found.append(Rejection(reason, value, limit, f"{text.format(value)}, {bound}"))

    check("no-face", m.found, limits.min_found, True, "a face in {:.2f} of the frames")
    if not found:
        check("no-face", m.longest_loss, limits.max_loss, False, "the face is lost for {:.2f} s")
    check("several-faces", m.several, limits.max_several, False, "more than one face in {:.2f} of the frames")
    check("not-a-person", m.unusual, limits.max_unusual, False, "proportions {:.1f} standard deviations from people's")
    check(
        "turned",
        m.turn_often,
        limits.max_turn,
        False,
        "turned away by {:.0f} degrees or more for a quarter of the time",
    )
    check("pose-jump", m.jump, limits.max_jump, False, "the head moves by {:.0f} degrees within 80 ms")
    check("low-confidence", m.confidence, limits.min_confidence, True, "mean tracking confidence {:.2f}")
    return found


def _speech(m: Measures, limits: Limits) -> list[Rejection]:
    if m.speech_seconds is None or m.speech_share is None:
        return []
    if m.speech_seconds >= limits.min_speech_seconds or m.speech_share >= limits.min_speech_share:
        return []
    text = f"{m.speech_seconds:.2f} s of speech ({m.speech_share:.0%}), at least {limits.min_speech_seconds:g} s"
    return [Rejection("no-speech", m.speech_seconds, limits.min_speech_seconds, text)]
