"""One line fixed, before and after: with an editor, `msmd batch` and `msmd review`, and in the studio.

    python benchmarks/studio_one_line.py

The note says: "brows too high after 2 s, lips too small, look left at 3 s". Both ways write the same manifest and the
same files (the script compares them). Actions are counted as the hand does them; the machine's seconds are measured. A
person's seconds are estimated by the keystroke-level model (Card, Moran, Newell, Communications of the ACM 23(7),
1980): 0.28 s a key, 1.1 s to point and 0.2 s to click, 0.4 s between keyboard and mouse, 1.35 s to think before a step.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from studio_latency import ROOT, chromium, served

LINES = 24
LINE = "quest/guard_023"
FIX = {
    "segments": "[{start: 2, regions: {brows: tired}}]",
    "articulation": "{lips: 1.3}",
    "gestures": "[{name: look_left, at: 3}]",
}
KEY, POINT, CLICK, HOME, THINK = 0.28, 1.1, 0.2, 0.4, 1.35  # seconds of a person


class Hand:
    """Counts what a hand does, and does it where there is a page."""

    def __init__(self, tab: Any = None) -> None:
        self.tab = tab
        self.steps = self.keys = self.clicks = self.changes = 0
        self._at = "keyboard"

    def _take(self, device: str) -> None:
        self.changes += device != self._at
        self._at = device

    def step(self) -> None:
        """Something new is begun: a thought before it."""
        self.steps += 1

    def press(self, key: str) -> None:
        self._take("keyboard")
        self.keys += 1 + key.count("+")
        if self.tab is not None:
            self.tab.keyboard.press(key)

    def type(self, text: str) -> None:
        self._take("keyboard")
        self.keys += len(text)
        if self.tab is not None:
            self.tab.keyboard.type(text)

    def click(self, selector: str = "", position: dict[str, float] | None = None) -> None:
        self._take("mouse")
        self.clicks += 1
        if self.tab is not None:
            self.tab.click(selector, position=position) if position else self.tab.click(selector)

    def choose(self, selector: str, value: str) -> None:
        """One of a list: two clicks."""
        self._take("mouse")
        self.clicks += 2
        if self.tab is not None:
            self.tab.select_option(selector, value)

    @property
    def actions(self) -> int:
        return self.keys + self.clicks

    @property
    def seconds(self) -> float:
        """Of a person, estimated."""
        return self.keys * KEY + self.clicks * (POINT + CLICK) + self.changes * HOME + self.steps * THINK


def project(folder: Path) -> None:
    """A batch of lines that is made already."""
    recordings = sorted((ROOT / "examples/audio").glob("*.ogg"))
    recordings = [path for path in recordings if "narrator" not in path.name]
    entries = "".join(
        f"  - id: quest/guard_{n:03d}\n    audio: {recordings[n % len(recordings)]}\n    style: angry\n"
        for n in range(LINES)
    )
    (folder / "lines.yaml").write_text(f"version: 1\ndefaults: {{formats: [npz, livelink-csv]}}\nlines:\n{entries}")
    batch(folder)


def command(folder: Path, *arguments: str) -> float:
    """Seconds of a command."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "msmdcli", *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def batch(folder: Path) -> float:
    return command(folder, "batch", str(folder / "lines.yaml"), "--out", str(folder / "out"), "--jobs", "1")


def made(folder: Path) -> dict[str, str]:
    """The line's files."""
    files = sorted((folder / "out/quest").glob("guard_023*"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def by_editor(folder: Path) -> tuple[Hand, float]:
    """Find the line in an editor, write the keys, run the batch and the review, find the line there, play it."""
    hand = Hand()
    path = folder / "lines.yaml"
    text = path.read_text()
    hand.step()
    hand.press("Control+f")
    hand.type(LINE)
    hand.press("Enter")
    hand.press("Escape")
    place = f"  - id: {LINE}\n"
    at = text.index("    style: angry\n", text.index(place)) + len("    style: angry\n")
    for _ in range(2):
        hand.press("ArrowDown")
    hand.press("End")
    for key, value in FIX.items():
        hand.step()
        hand.press("Enter")  # the editor indents by itself
        hand.type(f"{key}: {value}")
    path.write_text(text[:at] + "".join(f"    {key}: {value}\n" for key, value in FIX.items()) + text[at:])
    hand.press("Control+s")
    hand.step()
    hand.press("Alt+Tab")
    hand.type("msmd batch lines.yaml --out out && msmd review out")
    hand.press("Enter")
    seconds = batch(folder) + command(folder, "review", str(folder / "out"))
    hand.step()
    hand.press("Alt+Tab")
    hand.press("F5")
    hand.click()  # the search
    hand.type("guard_023")
    hand.click()  # the line
    hand.click()  # play
    return hand, seconds


def by_studio(folder: Path) -> tuple[Hand, float]:
    """The same on the page, which is open."""
    with served(folder, 1) as (address, _), chromium() as browser:
        tab = browser.new_page(viewport={"width": 1400, "height": 880}, bypass_csp=True)
        tab.goto(address)
        tab.wait_for_selector("body[data-ready]")
        hand = Hand(tab)
        began = time.perf_counter()

        def seen() -> None:
            tab.wait_for_function("studio.now !== null && !studio.making()")

        def go(seconds: float) -> None:
            box = tab.locator("#wave").bounding_box()
            hand.click("#wave", {"x": tab.evaluate(f"studio.timeline.x({seconds}) + 0.5"), "y": box["height"] / 2})

        hand.step()
        hand.press("/")
        hand.type("023")
        hand.click(".row")
        tab.wait_for_function(f"studio.now?.view.id === '{LINE}'")
        hand.step()  # brows too high after 2 s
        go(2)
        hand.press("s")
        hand.click("#block [data-key=regions] button:text('A style for a region')")
        hand.choose("#block [data-key=regions] [aria-label='style of brows']", "tired")
        seen()
        hand.step()  # lips too small
        hand.click("#controls [data-key=articulation] .apart")
        hand.click("#controls [data-key=articulation] input[type=number][aria-label=lips]")
        hand.press("Control+a")
        hand.type("1.3")
        hand.press("Enter")
        hand.press("Escape")
        seen()
        hand.step()  # look left at 3 s
        go(3)
        hand.press("g")
        hand.choose("#block [data-key=name] select", "look_left")
        seen()
        hand.step()
        hand.press("Escape")
        tab.evaluate("studio.player.sound.addEventListener('play', () => (window.heard = true))")
        hand.press("Space")
        tab.wait_for_function("window.heard")
        hand.press("a")  # kept and approved
        tab.wait_for_function(f"studio.lines.get('{LINE}').approved")
        return hand, time.perf_counter() - began


def main() -> None:
    rows = []
    files = []
    for name, way in (("editor, batch, review", by_editor), ("studio", by_studio)):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            project(folder)
            hand, seconds = way(folder)
            if way is by_studio:
                print((folder / "lines.yaml").read_text().split("guard_023", 1)[1].split("- id", 1)[0], file=sys.stderr)
                batch(folder)
            files.append(made(folder))
        person = f"{hand.keys} keys, {hand.clicks} clicks"
        rows.append(f"| {name} | {hand.actions} ({person}) | {seconds:.1f} | {hand.seconds:.0f} |")
    print("| way | actions | the machine's seconds, measured | a person's seconds, estimated |")
    print("| --- | --- | --- | --- |")
    print("\n".join(rows))
    print(f"\nThe files are {'the same' if files[0] == files[1] else 'NOT the same'}.")


if __name__ == "__main__":
    main()
