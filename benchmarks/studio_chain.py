"""The whole way through the studio, on the lines of `examples/lines.yaml`, with real mouse and keys, then the batch.

    python benchmarks/studio_chain.py [--msmd .venv/bin/msmd] [--film take.mp4] [--pictures DIR]

Open, play, change the style, drag a point of a curve to a pin, make a range anew, drop a film as a style (where one is
given and can be tracked), approve, keep; a second tab; a page of another origin that asks and writes; then a batch:
its bytes are compared with what the page showed, and the manifest's comments with what they were. Every step says how
many actions (clicks, drags, keys) and seconds it took. Needs the extra `studio`, playwright and Chromium; `--msmd` may
be of another environment.
"""

from __future__ import annotations

import argparse
import base64
import json
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

from studio_latency import chromium

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LINE, APPROVED = "gate/guard_001", "inn/keeper_007"
PATIENCE = 600_000  # milliseconds
DROP = """async ([name, text]) => {
    const raw = atob(text), made = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i += 1) made[i] = raw.charCodeAt(i);
    const data = new DataTransfer();
    data.items.add(new File([made], name));
    for (const type of ["dragenter", "dragover", "drop"]) {
        const event = new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: data});
        document.querySelector("#view").dispatchEvent(event);
    }
}"""
ASKS = """async ([address, how]) => {
    try {
        const answer = await fetch(address, how);
        return `${answer.type} ${answer.status}`;
    } catch {
        return "refused";
    }
}"""
SHOWN = "studio.now.view.curves.values"


class Chain:
    """One run.

    Attributes:
        tab: the page.
        rows: of the table: step, actions, seconds.
        actions: clicks, drags and keys so far.
    """

    def __init__(self, tab: Any, pictures: Path | None) -> None:
        self.tab = tab
        self.rows: list[tuple[str, int, float]] = []
        self._pictures = pictures
        self.actions = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Do something, and wait until the page has done it."""
        before, began = self.actions, time.perf_counter()
        yield
        self.tab.wait_for_function("!studio.making() && !studio.busy()")
        self.rows.append((name, self.actions - before, time.perf_counter() - began))
        if self._pictures is not None:
            self.tab.wait_for_timeout(600)
            self.tab.screenshot(path=str(self._pictures / f"{len(self.rows):02d}.png"))

    def click(self, selector: str) -> None:
        self.tab.click(selector)
        self.actions += 1

    def press(self, key: str) -> None:
        self.tab.keyboard.press(key)
        self.actions += 1

    def choose(self, selector: str, value: str) -> None:
        self.tab.select_option(selector, value)
        self.actions += 1

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.tab.mouse.move(*start)
        self.tab.mouse.down()
        self.tab.mouse.move(*end, steps=6)
        self.tab.mouse.up()
        self.actions += 1

    def x(self, seconds: float) -> float:
        """Where a time lies on the screen."""
        return float(
            self.tab.locator("#sheet").bounding_box()["x"] + self.tab.evaluate(f"studio.timeline.x({seconds})")
        )

    def open(self, line_id: str) -> None:
        """Choose a line of the list."""
        self.click(f".row[data-id='{line_id}']")
        self.tab.wait_for_function(f"studio.now?.view.id === '{line_id}' && !studio.making()")

    def values(self) -> bytes:
        """The curves that are shown."""
        return base64.b64decode(self.tab.evaluate(SHOWN))


def refined(chain: Chain, film: Path | None) -> dict[str, bytes]:
    """What the page shows of each line in the end."""
    tab = chain.tab
    shown: dict[str, bytes] = {}
    with chain.step("open a line"):
        chain.open(LINE)
    with chain.step("play two seconds"):
        tab.wait_for_function("studio.player.sound.readyState >= 3")
        chain.press("Space")
        tab.wait_for_function("studio.player.time > 2")
        chain.press("Space")
    with chain.step("another style"):
        chain.choose("#controls [data-key=style] select", "angry")
        tab.wait_for_function("studio.now.view.style === 'angry'")
    with chain.step("a point of a curve becomes a pin"):
        top = tab.evaluate("studio.timeline.rows.find((one) => one.region === 'brows')?.top ?? 0")
        box = tab.locator("#sheet").bounding_box()
        tab.evaluate(f"studio.timeline.curves.scrollTop = {top}")
        box = tab.locator("#sheet").bounding_box()
        tab.mouse.click(box["x"] + 30, box["y"] + top + 15)
        chain.actions += 1
        row = tab.evaluate(
            """(() => {
                const row = studio.timeline.rows.find((one) => one.inner && one.channels[0] === "browInnerUp");
                studio.timeline.curves.scrollTop = row.top - 20;
                const {motion} = studio.now;
                const frame = Math.round(2.4 * motion.fps);
                const value = motion.values[frame * motion.width + motion.column.get("browInnerUp")];
                return [row.y(value, "browInnerUp"), row.top];
            })()"""
        )
        box = tab.locator("#sheet").bounding_box()
        chain.drag((chain.x(2.4), box["y"] + row[0]), (chain.x(2.4), box["y"] + row[1] + 4))
        tab.wait_for_function("studio.lists.list('pins').length === 1")
    with chain.step("a range anew"):
        wave = tab.locator("#wave").bounding_box()
        chain.drag((chain.x(3.6), wave["y"] + 30), (chain.x(5.0), wave["y"] + 30))
        before = tab.evaluate("studio.now.view.seed")
        chain.press("r")
        tab.wait_for_function(f"studio.now.view.seed !== '{before}'")
    if film is not None:
        with chain.step(f"a film of {film.stat().st_size >> 10} KB dropped as a style"):
            tab.evaluate(DROP, ["performance.mp4", base64.b64encode(film.read_bytes()).decode()])
            chain.actions += 1
            tab.wait_for_function("studio.now.view.style.startsWith('takes/')")
    with chain.step("keep"):
        chain.press("Control+s")
        tab.wait_for_selector("#message.good")
    shown[LINE] = chain.values()
    with chain.step("another line: a mix, and approve it"):
        chain.open(APPROVED)
        chain.click("#controls [data-key=style] button:text('Mix with another')")
        tab.wait_for_function("studio.now.view.style.includes('+') && !studio.making()")
        chain.press("a")
        tab.wait_for_function(f"studio.lines.get('{APPROVED}').approved")
    shown[APPROVED] = chain.values()
    return shown


def second_tab(browser: Any, address: str, first: Any) -> bool:
    """Whether two tabs that keep one line after the other both end in the manifest, and follow each other."""
    other = browser.new_page(viewport={"width": 900, "height": 700}, bypass_csp=True)
    other.set_default_timeout(PATIENCE)
    other.goto(address)
    other.wait_for_selector("body[data-ready]")
    other.click(".row[data-id='chapel/healer_es']")
    other.wait_for_function("studio.now?.view.id === 'chapel/healer_es'")
    other.evaluate("document.querySelector('#sides [data-to=refine]').click()")
    other.fill("#controls [data-key=intensity] input[type=number]", "1.1")
    other.keyboard.press("Enter")
    other.wait_for_function("studio.now.view.style.endsWith('x1.1') && !studio.making()")
    other.keyboard.press("Control+s")
    other.wait_for_selector("#message.good")
    first.wait_for_function("studio.lines.get('chapel/healer_es').style.endsWith('x1.1')")  # it has seen the change
    other.close()
    return True


def hostile(browser: Any, address: str, manifest: Path) -> bool:
    """Whether a page of another origin gets nothing and writes nothing."""
    page = browser.new_page(bypass_csp=True)
    page.goto("data:text/html,<title>another origin</title>")
    before = manifest.read_bytes()
    body = json.dumps({"id": LINE, "keys": {"style": "sad"}})
    asked = page.evaluate(ASKS, [address + "api/lines", {}])
    page.evaluate(ASKS, [address + "api/keep", {"method": "POST", "mode": "no-cors", "body": body}])
    page.close()
    return bool(asked == "refused") and manifest.read_bytes() == before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--msmd", default="")
    parser.add_argument("--film", type=Path)
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    msmd = [asked.msmd] if asked.msmd else [sys.executable, "-m", "msmdcli"]
    environment = {name: value for name, value in os.environ.items() if not (asked.msmd and name == "PYTHONPATH")}
    said: list[tuple[str, bool]] = []
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        folder = Path(temporary)
        shutil.copytree(EXAMPLES / "audio", folder / "audio")
        manifest, out = folder / "lines.yaml", folder / "out"
        shutil.copy(EXAMPLES / "lines.yaml", manifest)
        comments = [line for line in manifest.read_text(encoding="utf-8").splitlines() if line.strip().startswith("#")]
        command = [*msmd, "studio", str(manifest), "--out", str(out), "--no-browser", "--quiet"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        errors: list[str] = []
        tab = browser.new_page(viewport={"width": 1400, "height": 880}, bypass_csp=True)
        tab.set_default_timeout(PATIENCE)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(address)
        tab.wait_for_selector("body[data-ready]")
        chain = Chain(tab, asked.pictures)
        shown = refined(chain, asked.film)
        said.append(("two tabs keep, and see each other's", second_tab(browser, address, tab)))
        said.append(("a page of another origin gets and writes nothing", hostile(browser, address, manifest)))
        process.send_signal(signal.SIGINT)
        said.append(("Ctrl-C ends it", process.wait(60) == 0))
        batch = [*msmd, "batch", str(manifest), "--out", str(out)]
        done = subprocess.run(batch, capture_output=True, text=True, env=environment)
        said.append(("msmd batch makes all lines", done.returncode == 0))
        for line_id, values in shown.items():
            said.append(
                (f"the batch wrote what the page showed of {line_id}", values == motion_in(out / f"{line_id}.npz"))
            )
        text = manifest.read_text(encoding="utf-8")
        left = [line for line in text.splitlines() if line.strip().startswith("#")]
        said.append((f"all {len(comments)} comments of the manifest are where they were", left == comments))
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        approvals = {line["id"]: line.get("approval") for line in report["lines"]}
        said.append(("the batch knows the approval", approvals[APPROVED] == "holds"))
        said.append(("no error on the page", not errors))
    print("| step | actions | seconds |\n| --- | --- | --- |")
    for name, actions, seconds in chain.rows:
        print(f"| {name} | {actions} | {seconds:.1f} |")
    print()
    for what, holds in said:
        print(f"- {'yes' if holds else 'NO'}: {what}")
    for error in errors:
        print(error)
    return 0 if all(holds for _, holds in said) else 1


def motion_in(path: Path) -> bytes:
    """The values of a motion file, as the page gets them."""
    import numpy as np

    with np.load(path, allow_pickle=False) as data:
        return np.asarray(data["values"], "<f4").tobytes()


if __name__ == "__main__":
    sys.exit(main())
