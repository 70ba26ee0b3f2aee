"""Clips as `msmd curate` leaves them when it has looked at them: records and lists, to be made a data set of."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.media.audio import RATE
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from training.curation.clip_data import ClipData, Measures
from training.curation.clip_names import ClipFacts
from training.curation.listing import SourceClip
from training.curation.store import Row, Store, write_bytes

RIG = Rig.load("arkit52")
LAGS = tuple(float(0.6 * np.exp(-0.5 * (lag / 2.5) ** 2)) for lag in range(-10, 11))


def data_of(seed: int, **changes: object) -> ClipData:
    """A clip as if it had been looked at: 3 s at 30000/1001 fps."""
    rng = np.random.default_rng(seed)
    values = np.zeros((90, RIG.size), np.float32)
    values[:, RIG.index("jawOpen")] = rng.uniform(0, 1, 90)
    measures: dict[str, object] = {
        "seconds": 3.003,
        "frames": 90,
        "fps": "30000/1001",
        "sound": True,
        "sound_share": 1.0,
        "loudness": -12.0,
        "speech_seconds": 2.0,
        "speech_share": 0.66,
        "tracked": True,
        "found": 1.0,
        "longest_loss": 0.0,
        "several": 0.0,
        "turn": 4.0,
        "turn_often": 6.0,
        "jump": 2.0,
        "confidence": 0.9,
        "face_pixels": 120.0,
        "lag_agreement": LAGS,
    }
    sound = rng.integers(-9000, 9000, round(3.003 * RATE)).astype(np.int16)
    thumbnail = rng.integers(0, 255, (72, 128, 3)).astype(np.uint8)
    motion = Motion(values, Fraction(30000, 1001), RIG)
    return ClipData(Measures(**(measures | changes)), motion, sound, thumbnail)  # type: ignore[arg-type]


CLIPS: dict[str, tuple[str, ClipData | None, str]] = {
    "a1": ("anna", data_of(1), ""),
    "a2": ("anna", data_of(2), ""),
    "b1": ("ben", data_of(3), ""),
    "b2": ("ben", data_of(4, turn_often=60.0), ""),
    "c1": ("cleo", data_of(5), ""),
    "c1_again": ("cleo", data_of(5), ""),
    "c2": ("cleo", None, "labelled eat"),
}


def fill(out: Path, shards: int = 1) -> None:
    """Write records and lists as looking at CLIPS leaves them."""
    store = Store(out)
    store.begin()
    rows = []
    for name, (person, data, dropped) in CLIPS.items():
        key = ""
        if data is not None:
            content = data.to_bytes()
            key = hashlib.sha256(content).hexdigest()
            write_bytes(store.record(key), content)
        facts = ClipFacts(speaker=person, tag="angry", intensity="high", dropped=dropped, commercial=person != "ben")
        rows.append(Row.of(SourceClip(f"takes_{name}", Path(name), f"{name}.mp4", "takes", "plain", facts), key))
    for number in range(shards):
        store.write_shard(number + 1, shards, rows[number::shards])
