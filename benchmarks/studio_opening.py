"""How long the studio takes to open a manifest of many lines: until its address is printed, the page is there, the list
is shown, the first line is drawn.

    python benchmarks/studio_opening.py [--lines 10000] [--times 3]

Seconds since the command began, and the studio's processor time at that moment. Needs the extra `studio`, playwright,
psutil and Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from studio_latency import chromium, processor_seconds, served, write_line

MARKS = ("address", "page", "list", "first line")


def write_lines(folder: Path, number: int) -> None:
    """A manifest of that many lines, all of one recording, and a report of them."""
    write_line(folder)
    entries = (f"  - {{id: quest/line_{n:05d}, audio: line.wav, text: words of {n}}}\n" for n in range(number))
    (folder / "lines.yaml").write_text("version: 1\nlines:\n" + "".join(entries), encoding="utf-8")
    records = [{"id": f"quest/line_{n:05d}", "status": "made", "score": n % 97, "concerns": []} for n in range(number)]
    (folder / "out").mkdir()
    settings = {"manifest": str(folder / "lines.yaml")}
    (folder / "out/report.json").write_text(json.dumps({"lines": records, "settings": settings}), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    load, taken = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        folder = Path(temporary)
        write_lines(folder, asked.lines)
        for _ in range(asked.times):
            tab = browser.new_page(viewport={"width": 1400, "height": 880})
            began, started, marks = time.perf_counter(), time.time(), []
            with served(folder, 0) as (address, studio):
                marks.append((time.perf_counter() - began, processor_seconds([studio])))
                tab.goto(address)
                for wanted in ("h1:not(:text('MSMD studio'))", "body[data-listed]", "body[data-ready]"):
                    tab.wait_for_selector(wanted)
                    marks.append((time.perf_counter() - began, processor_seconds([studio])))
                listed = tab.evaluate("studio.listed") / 1000 - started  # by the page's own clock: a picture of it
                marks[MARKS.index("list")] = (listed, marks[MARKS.index("list")][1])
                tab.close()
            taken.append(marks)
    print(f"| {asked.lines} lines | seconds (median of {asked.times}) | processor time of the studio, s |")
    print("| --- | --- | --- |")
    for name, (seconds, used) in zip(MARKS, np.median(np.array(taken), axis=0), strict=True):
        print(f"| {name} | {seconds:.2f} | {used:.2f} |")
    print(f"\n{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after.")


if __name__ == "__main__":
    main()
