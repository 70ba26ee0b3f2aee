"""How long a change of a line in the studio takes, from the event on the page to the picture of it.

    python benchmarks/studio_latency.py [--times 20] [--threads 0] > table.md

A studio serves one line of six seconds, cut from an example recording; Chromium without a display (the head is drawn by
the processor) does each kind of change several times, by the page's own controls. A change counts from the event until
the first picture of the new take is drawn. Processor time is that of the studio, and that of the browser with all its
processes. Needs the extra `studio`, playwright, psutil and Chromium.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile

from msmdcli.media.audio import load_audio

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "examples/audio/guard_001.ogg"
SECONDS = 6.0
BROWSER_OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-background-networking", "--autoplay-policy=no-user-gesture-required"),
    *("--disable-gpu", "--enable-unsafe-swiftshader"),  # WebGL by the processor, pages as without it
]
TIMED = """async (does) => {
    const before = studio.latencies.length;
    const began = performance.now();
    await eval(does);
    while (studio.latencies.length === before || studio.making()) await new Promise(requestAnimationFrame);
    return performance.now() - began;
}"""
SLIDE = """((key, label, value) => {
    const slider = document.querySelector(`#controls [data-key=${key}] input[type=range][aria-label="${label}"]`);
    slider.value = value;
    slider.dispatchEvent(new Event("change"));
})"""
CHOOSE = """((key, value) => {
    const box = document.querySelector(`#controls [data-key=${key}] select`);
    box.value = value;
    box.dispatchEvent(new Event("change"));
})"""
CHANGES = {  # what is done the k-th time
    "style": lambda k: f"{CHOOSE}('style', '{('angry', 'happy', 'sad', 'tired', 'neutral')[k % 5]}')",
    "style mix": lambda k: (
        "studio.set('style', [{ref: 'angry', weight: 1}, {ref: 'sad', weight: " + f"{0.2 + 0.03 * k:.2f}" + "}], true)"
    ),
    "intensity": lambda k: f"{SLIDE}('intensity', 'intensity', {0.6 + 0.037 * k:.3f})",
    "another take (seed)": lambda k: "document.querySelector('#controls [data-key=seed] .body button').click()",
    "guidance by the sound": lambda k: f"{SLIDE}('guidance_audio', 'guidance_audio', {0.2 + 0.051 * k:.3f})",
    "performance amount": lambda k: f"{SLIDE}('performance_amount', 'performance_amount', {0.5 + 0.041 * k:.3f})",
    "articulation": lambda k: f"{SLIDE}('articulation', 'articulation', {0.7 + 0.031 * k:.3f})",
    "head": lambda k: f"studio.set('head', {0.3 + 0.05 * k:.2f}, true)",
    "blinks": lambda k: f"studio.set('blinks', {8 + k}, true)",
    "gesture moved": lambda k: "studio.set('gestures', [{name: 'nod', at: " + f"{0.5 + 0.2 * k:.2f}" + "}], true)",
    "segment moved": lambda k: (
        "studio.set('segments', [{start: " + f"{0.8 + 0.2 * k:.2f}" + ", style: 'happy'}], true)"
    ),
    "pin moved": lambda k: (
        "studio.set('pins', [{time: 2, channels: {jawOpen: " + f"{0.1 + 0.03 * k:.2f}" + "}}], true)"
    ),
    "retake of 1.8 to 3.2 s": lambda k: "(studio.player.range = [1.8, 3.2], studio.retake())",
    "undo": lambda k: "studio.travel('undo', 'redo')",
}


@contextmanager
def served(folder: Path, threads: int, *arguments: str) -> Iterator[tuple[str, psutil.Process]]:
    """A studio on `folder`/lines.yaml: its address and process."""
    command = [sys.executable, "-m", "msmdcli", "studio", str(folder / "lines.yaml"), "--out", str(folder / "out")]
    command += ["--no-browser", "--quiet", "--threads", str(threads), *arguments]
    as_usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=as_usual)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a display."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=BROWSER_OPTIONS)
        yield browser
        browser.close()


def write_line(folder: Path) -> None:
    """A manifest with one line of `SECONDS`."""
    audio = load_audio(RECORDING)
    soundfile.write(folder / "line.wav", np.resize(audio.samples, round(SECONDS * audio.rate)), audio.rate)
    text = "version: 1\nlines:\n  - {id: line, audio: line.wav, fps: 30}\n"
    (folder / "lines.yaml").write_text(text, encoding="utf-8")


def processor_seconds(processes: list[psutil.Process]) -> float:
    """User and system time of processes so far."""
    total = 0.0
    for process in processes:
        try:
            used = process.cpu_times()
            total += used.user + used.system
        except psutil.NoSuchProcess:
            pass
    return total


def browser_processes() -> list[psutil.Process]:
    """The browser's, children of this process."""
    return [one for one in psutil.Process().children(recursive=True) if "chrom" in one.name().lower()]


def measure(times: int, threads: int) -> list[str]:
    """The rows of the table."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_line(folder)
        with served(folder, threads) as (address, studio), chromium() as browser:
            tab = browser.new_page(viewport={"width": 1400, "height": 880}, bypass_csp=True)
            tab.goto(address)
            tab.wait_for_selector("body[data-ready]")
            tab.evaluate("import('./static/line.js').then((line) => Object.assign(studio, line))")
            everything: list[float] = []
            for name, does in CHANGES.items():
                mine = browser_processes()
                before = processor_seconds([studio]), processor_seconds(mine)
                taken = [tab.evaluate(TIMED, does(k)) for k in range(times)]
                after = processor_seconds([studio]), processor_seconds(mine)
                here, there = (1000 * (b - a) / times for a, b in zip(before, after, strict=True))
                low, high = np.percentile(taken, (50, 95))
                rows.append(f"| {name} | {low:.0f} | {high:.0f} | {here:.0f} | {there:.0f} |")
                everything += taken
                time.sleep(0.3)
            low, high = np.percentile(everything, (50, 95))
            rows.append(f"| **all** | **{low:.0f}** | **{high:.0f}** | | |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0)
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    rows = measure(asked.times, asked.threads)
    print("| change | median, ms | 95th percentile, ms | processor time of the studio, ms | of the browser, ms |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(rows))
    after = os.getloadavg()[0]
    print(f"\n{os.cpu_count()} cores, load {load:.1f} before and {after:.1f} after, {asked.times} times each.")


if __name__ == "__main__":
    main()
