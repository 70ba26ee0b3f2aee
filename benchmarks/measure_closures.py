"""Do lips close on m, b and p, and on nothing else? Real emotional voices with hand-made phone labels.

    python -m benchmarks.measure_closures [--styles neutral,happy] [--bundle DIR] [-- --articulation 1.2]

For each style all utterances of four actors of EmoDB (Burkhardt et al. 2005; `speech/emodb` of the shared material;
which the closure ear never heard, and on which no threshold was chosen) are animated by `msmd batch` at 50 frames a
second, with closures and without. Measured on the head that ships, in mm:

- m, b, p: smallest gap of the middle of the lips from 30 ms before to 50 ms after the phone; closed is below 1 mm.
- f, v: within the same time the lower lip, rolled in, stands 0.2 mm below to 1.8 mm above the edge of the upper teeth.
- open vowels (SAMPA a, aI, aU, a6, A, of 60 ms and more): largest gap, and the share of those that never open.

The labels of this copy run `LATE` ahead of the sound: the murmur of m and n (the band from 600 to 3500 Hz against that
below 500 Hz) is deepest 50 to 60 ms after the middle of the labelled phone, and in its middle in synthetic speech. They
are moved by that; the second column has m, b, p with the labels as they come. What is labelled aI in "im Eisschrank"
has the murmur of an m in most utterances: an aI straight after an m is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.formats.registry import read_motion
from msmdcli.motion.lip_contact import LipContact
from msmdcli.motion.motion import Motion
from msmdcli.paths import shared_dir, shipped_bundle

ACTORS = ("10", "11", "12", "13")  # 03, 08 and 09 chose the thresholds
STYLES = "neutral,happy,angry,joyful_shout,sad"
FPS = 50
EARLY, AFTER = 0.03, 0.05  # seconds around a phone
LATE = 0.055  # seconds by which the sound is later than its labels
CLOSED = 1.0  # mm
AT_TEETH = (-0.2, 1.8)  # mm above the edge of the upper teeth
BILABIAL, LABIODENTAL = ("m", "b", "p"), ("f", "v")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--styles", default=STYLES)
    parser.add_argument("--bundle", type=Path, default=shipped_bundle())
    parser.add_argument("--every", type=int, default=1, help="of the utterances")
    parser.add_argument("--actors", default=",".join(ACTORS))
    parser.add_argument("--only-on", action="store_true", help="not without closures")
    parser.add_argument("options", nargs="*", help="further options of msmd batch, after --")
    args = parser.parse_args()
    shared = shared_dir()
    if shared is None:
        sys.exit("set MSMD_SHARED to the folder with speech/emodb")
    folder = shared / "speech" / "emodb"
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["speaker"] in args.actors.split(",")][:: args.every]
    columns = ("style", "closures", "m, b, p closed", "labels not moved", "their median gap", "f, v at the teeth")
    print("| " + " | ".join((*columns, "open vowels", "never open")) + " |")
    print("| --- " * (len(columns) + 2) + "|")
    for style in args.styles.split(","):
        for switch in ("--no-closures", "--closures")[args.only_on :]:
            motions = animated(rows, folder, style, args.bundle, [switch, *args.options])
            print(f"| {style} | {'off' if 'no' in switch else 'on'} | {measured(rows, motions)} |", flush=True)


def animated(
    rows: Sequence[dict[str, Any]], folder: Path, style: str, bundle: Path, options: Sequence[str]
) -> list[Motion]:
    """The utterances, as `msmd batch` makes them."""
    with tempfile.TemporaryDirectory() as work:
        lines = [{"id": row["id"], "audio": str(folder / row["audio"])} for row in rows]
        manifest = Path(work, "lines.json")
        manifest.write_text(json.dumps({"version": 1, "defaults": {"formats": "npz", "fps": FPS}, "lines": lines}))
        command = [sys.executable, "-m", "msmdcli", "batch", str(manifest), "--style", style, "--out", f"{work}/out"]
        command += ["--bundle", str(bundle), "--quiet", *options]
        subprocess.run(command, check=True)
        return [read_motion(Path(work, "out", f"{row['id']}.npz")) for row in rows]


def measured(rows: Sequence[dict[str, Any]], motions: Sequence[Motion]) -> str:
    """The cells of a row of the table."""
    gaps: list[float] = []
    unmoved: list[float] = []
    bites: list[bool] = []
    opened: list[float] = []
    for row, motion in zip(rows, motions, strict=True):
        contact = LipContact.of(motion.rig)
        assert contact is not None
        gap, height = contact.middle(motion.values), contact.bites(motion.values)  # [T]
        at_teeth = (
            (height > AT_TEETH[0])
            & (height < AT_TEETH[1])
            & (motion.values[:, motion.rig.index("mouthRollLower")] > 0.2)
        )
        for number, (symbol, start, stop) in enumerate(row["phones"]):
            if start <= 0.1 or stop >= row["seconds"] - 0.2 or number == 0:
                continue
            around = frames(start + LATE - EARLY, stop + LATE + AFTER)
            if symbol in BILABIAL and stop - start > 0.02:
                gaps.append(float(gap[around].min()))
                unmoved.append(float(gap[frames(start - EARLY, stop + AFTER)].min()))
            if symbol in LABIODENTAL and stop - start > 0.02:
                bites.append(bool(at_teeth[around].any()))
            mislabelled = symbol == "aI" and row["phones"][number - 1][0] == "m"
            if is_open(symbol) and not mislabelled and stop - start > 0.06:
                opened.append(float(gap[frames(start + LATE, stop + LATE)].max()))
    cells = (
        f"{np.mean(np.array(gaps) < CLOSED):.1%} of {len(gaps)}",
        f"{np.mean(np.array(unmoved) < CLOSED):.1%}",
        f"{np.median(gaps):.1f} mm",
        f"{np.mean(bites):.1%} of {len(bites)}",
        f"{np.median(opened):.1f} mm",
        f"{np.mean(np.array(opened) < CLOSED):.1%} of {len(opened)}",
    )
    return " | ".join(cells)


def frames(start: float, stop: float) -> slice:
    """From the frame before a time in seconds to that after another."""
    return slice(max(0, int(start * FPS)), int(stop * FPS) + 1)


def is_open(symbol: str) -> bool:
    """Whether a SAMPA symbol of the labels is an open vowel."""
    return symbol[:1] in ("a", "A") and len(symbol) <= 2


if __name__ == "__main__":
    main()
