"""Measure on the head that ships how its channels part and meet the lips.

    python -m training.faces.make_lip_contact

Written to `msmdcli/shipped/heads/ict_head.lips.json`, which `msmdcli.motion.lip_contact` reads: for `PAIRS` of vertices
along the line where the lips meet, the height of the upper above the lower one at rest, and what each channel adds to
it; the same for the height of the lower lip's middle above the cutting edge of the upper front teeth. Millimetres, by
unit of the channel; channels that move none of them by 0.02 mm are left out. The head is linear, so this is exact.
"""

from __future__ import annotations

import json

import numpy as np

from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED_HEAD

TARGET = SHIPPED_HEAD.with_suffix(".lips.json")
FORMAT_VERSION = 1
SPREAD = (-14.0, -10.0, -6.0, 0.0, 6.0, 10.0, 14.0)  # mm from the middle, where pairs are taken
LEAST = 0.02  # mm
FRONT = (2.0, 100.0)  # the middle upper teeth: |x| below the first, z above the second, mm


def pairs(head: MeshDecoder) -> np.ndarray:
    """[K, 2] (upper, lower) vertices: at each place of `SPREAD` the two of the mouth's line nearest to each other."""
    line = head.mouth
    moved = np.linalg.norm(head.deltas[head.channels.index("jawOpen")][line], axis=1)
    upper, lower = line[moved < 0.35 * moved.max()], line[moved > 0.5 * moved.max()]
    found = []
    for place in SPREAD:
        near_upper = upper[np.argsort(np.abs(head.neutral[upper, 0] - place), kind="stable")[:6]]
        near_lower = lower[np.argsort(np.abs(head.neutral[lower, 0] - place), kind="stable")[:6]]
        apart = np.linalg.norm(head.neutral[near_upper][:, None] - head.neutral[near_lower][None], axis=2)
        first, second = np.unravel_index(apart.argmin(), apart.shape)
        found.append((int(near_upper[first]), int(near_lower[second])))
    found[SPREAD.index(0.0)] = head.mid_lips
    return np.array(found)


def teeth_edge(head: MeshDecoder) -> float:
    """Height in mm of the cutting edge of the upper middle teeth: the lowest vertex there that the jaw leaves still."""
    part = next(part.vertices for part in head.parts if part.name == "teeth")
    numbers = np.arange(part.start, part.stop)
    still = np.abs(head.deltas[head.channels.index("jawOpen")][numbers]).max(axis=1) < 1e-3
    place = head.neutral[numbers]
    front = still & (np.abs(place[:, 0]) < FRONT[0]) & (place[:, 2] > FRONT[1])
    return float(place[front, 1].min())


def measured(head: MeshDecoder) -> dict[str, object]:
    """What the file holds."""
    found = pairs(head)
    gap = head.neutral[found[:, 0], 1] - head.neutral[found[:, 1], 1]  # [K]
    parted = head.deltas[:, found[:, 0], 1] - head.deltas[:, found[:, 1], 1]  # [C, K]
    middle = int(found[SPREAD.index(0.0), 1])
    raised = head.deltas[:, middle, 1]  # [C]
    moving = [c for c in range(len(head.channels)) if max(np.abs(parted[c]).max(), abs(raised[c])) >= LEAST]
    return {
        "format_version": FORMAT_VERSION,
        "pairs": found.tolist(),
        "gap": [round(float(v), 3) for v in gap],
        "bite": round(float(head.neutral[middle, 1]) - teeth_edge(head), 3),
        "channels": {
            head.channels[c]: {"gap": [round(float(v), 3) for v in parted[c]], "bite": round(float(raised[c]), 3)}
            for c in moving
        },
    }


def main() -> None:
    """Write the file."""
    document = measured(load_head(SHIPPED_HEAD, Rig.load("arkit52")))
    channels = document.pop("channels")
    assert isinstance(channels, dict)
    head = json.dumps(document)[:-1] + ', "channels": {\n'
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in channels.items())
    TARGET.write_text(head + rows + "\n}}\n", encoding="utf-8")
    print(f"{TARGET}: {len(channels)} channels")


if __name__ == "__main__":
    main()
