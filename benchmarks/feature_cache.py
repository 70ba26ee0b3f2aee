"""What kept audio features gain: whole `msmd batch` processes without and with them, in turns.

    python benchmarks/feature_cache.py FOLDER [--turns 5] [--threads 1]

Every turn runs the recordings of FOLDER once with the cache off and once with it (filled by a turn that does not
count), in another style, as a user would. Prints the median of the ratios, and seconds per second of sound.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from msmdcli.checkup.bench import BenchOptions, _batch, _manifest, _recordings, _run
from msmdcli.media.audio import load_audio
from msmdcli.model.stores import FeatureStore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="*", help="none: 50 lines of 5 s of made-up sound")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    options = BenchOptions(threads=given.threads)
    without: list[float] = []
    kept: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        recordings = _recordings(given.folder, scratch)
        seconds = sum(float(load_audio(path).seconds) for path in recordings)
        manifest = _manifest(scratch / "lines.json", recordings)
        os.environ["MSMD_CACHE"] = str(scratch / "cache")
        for turn in range(given.turns + 1):
            for style, limit, times in (("neutral", "off", without), ("angry", "4GB", kept)):
                os.environ[FeatureStore.VARIABLE] = limit
                taken, _ = _run(_batch(options, manifest, scratch / "out", style))
                if turn:
                    times.append(taken)
    ratios = [b / a for a, b in zip(without, kept, strict=True)]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"{len(recordings)} recordings, {seconds:.0f} s: {middle:.2f} of the time ({low:.2f} to {high:.2f})")
    for what, times in (("heard again", without), ("kept", kept)):
        print(f"{what}: {statistics.median(times) / seconds:.3f} s per s of sound")


if __name__ == "__main__":
    main()
