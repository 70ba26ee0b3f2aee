"""What a tracked take shows, in words: how much expression by region, how sure, and whether it looks as called.

Whether a look fits a word is judged by the action units of Ekman and Friesen's prototypes (EMFACS), in ARKit's names,
against each other. It is a check for mislabelled takes, not a judgement of acting: it speaks up only where the take
clearly shows another emotion than its word.
"""

from __future__ import annotations

import re

import numpy as np

from msmdcli.motion.motion import Motion
from msmdcli.tracking.face_correspondence import UNSEEN

REGIONS = {  # region -> beginnings of channels' names
    "brows": ("brow",),
    "eyes": ("eyeBlink", "eyeSquint", "eyeWide"),
    "cheeks and nose": ("cheekSquint", "noseSneer"),
    "jaw": ("jaw",),
    "mouth": ("mouth",),
    "gaze": ("eyeLook",),
}
SHOWN = 2  # channels named for a region
LOUD = 0.95  # quantile of frames that is told as the most

# Prototypes: how much each channel (its sides averaged) belongs to an emotion's look.
LOOKS = {
    "angry": {"browDown": 1.0, "noseSneer": 0.6, "eyeSquint": 0.5, "mouthPress": 0.3, "browInnerUp": -0.7},
    "disgusted": {"noseSneer": 1.0, "mouthUpperUp": 0.7, "browDown": 0.4, "cheekSquint": 0.4, "browOuterUp": -0.5},
    "sad": {"mouthFrown": 1.0, "browInnerUp": 0.6, "eyeSquint": 0.4, "mouthShrugLower": 0.3, "eyeWide": -0.6},
    "afraid": {"eyeWide": 1.0, "browInnerUp": 0.8, "mouthStretch": 0.6, "browOuterUp": 0.3, "mouthSmile": -0.6},
    "happy": {"mouthSmile": 1.2, "cheekSquint": 0.5, "mouthFrown": -0.7, "browDown": -0.3},
    "surprised": {"browOuterUp": 1.0, "browInnerUp": 0.7, "eyeWide": 0.6, "jawOpen": 0.4, "browDown": -0.7},
}
WORDS = {
    "angry": ("angry", "anger", "furious", "fury", "rage", "enraged", "mad", "hostile", "livid"),
    "disgusted": ("disgust", "disgusted", "revolted"),
    "sad": ("sad", "sadness", "grief", "grieving", "sorrow", "crying", "mournful"),
    "afraid": ("afraid", "fear", "fearful", "scared", "terrified", "panic", "terror"),
    "happy": ("happy", "happiness", "joy", "joyful", "cheerful", "laughing", "glad", "delighted"),
    "surprised": ("surprise", "surprised", "astonished", "amazed"),
}
LIKE = (  # pairs that share so much of a look that one is not held against the other
    *({"afraid", "surprised"}, {"happy", "surprised"}),
    *({"angry", "disgusted"}, {"sad", "disgusted"}, {"sad", "afraid"}),
    {"angry", "sad"},  # who weeps draws the brows down and bares the teeth
)
CLEAR = 0.3  # a look this strong is one
# Without a known neutral face low brows and wide eyes may be the person's own; a smile is hardly ever (channels of
# smiles keep their size without a known neutral, those of brows and lids do not: `benchmarks/capture.md`).
CLEAR_OF_A_STRANGER = 0.6
OWN_IN_NO_FACE = ("happy",)
FOUND = "found in the take"  # what a motion's meta says of a neutral face that nobody named
FAR = 2.5  # times: another look so much stronger than the word's is a contradiction


def region_lines(motion: Motion, channel_confidence: np.ndarray, found: np.ndarray) -> list[str]:
    """A line for each region: its strongest channels, its range, and how sure that is.

    Args:
        motion: on arkit52, T frames.
        channel_confidence: [T, D].
        found: [T] frames with the face.
    """
    channels, values = motion.rig.channels, motion.values[found].astype(np.float64)
    lines = []
    for region, starts in REGIONS.items():
        columns = [i for i, name in enumerate(channels) if name.startswith(starts) and name not in UNSEEN]
        most = np.quantile(values[:, columns], LOUD, axis=0)
        order = np.argsort(-most, kind="stable")[:SHOWN]
        named = ", ".join(f"{channels[columns[i]]} up to {most[i]:.2f}" for i in order)
        mean, moved = values[:, columns].mean(), values[:, columns].std(axis=0).mean()
        trust = channel_confidence[found][:, [columns[i] for i in order]].mean()
        lines.append(f"{region}: {named}; on average {mean:.2f}, moves by {moved:.3f}; sure {trust:.2f}")
    head = np.degrees(values[:, list(motion.rig.rotation_indices or ())])
    if head.size:
        pitch, yaw, roll = head.std(axis=0)
        lines.append(f"head: moves by pitch {pitch:.1f}, yaw {yaw:.1f}, roll {roll:.1f} degrees")
    lines.append(f"not seen: {', '.join(UNSEEN)}")
    return lines


def look_strengths(motion: Motion) -> dict[str, float]:
    """How strongly a take looks like each emotion: the mean weights along its prototype."""
    channels, means = list(motion.rig.channels), motion.values.mean(axis=0)

    def level(kind: str) -> float:
        sides = [means[channels.index(n)] for n in (kind, f"{kind}Left", f"{kind}Right") if n in channels]
        return float(np.mean(sides)) if sides else 0.0

    strengths = {}
    for emotion, look in LOOKS.items():
        length = np.sqrt(sum(weight**2 for weight in look.values()))
        strengths[emotion] = sum(weight * level(kind) for kind, weight in look.items()) / length
    return strengths


def contradiction(word: str, motion: Motion) -> str | None:
    """A sentence where a tag's or take's name says one emotion and the take clearly looks like another, else None."""
    said = set(re.split(r"[^a-z]+", word.lower()))
    meant = [emotion for emotion, words in WORDS.items() if said & set(words)]
    if len(meant) != 1:
        return None
    strengths = look_strengths(motion)
    best = max(strengths, key=lambda emotion: strengths[emotion])
    own = max(strengths[meant[0]], 0.0)
    stranger = motion.meta.get("neutral", FOUND) == FOUND and best not in OWN_IN_NO_FACE
    clear = CLEAR_OF_A_STRANGER if stranger else CLEAR
    if best == meant[0] or {best, meant[0]} in LIKE or strengths[best] < max(clear, FAR * own):
        return None
    return (
        f"it is called {meant[0]} and looks {best} ({strengths[best]:.2f} against {own:.2f}); "
        "if the look is meant, all is well; else check the take, or name the performer's neutral face (--neutral)"
    )
