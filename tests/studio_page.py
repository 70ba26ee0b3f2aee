"""The studio's page, opened in a browser, and what it shows."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

PATIENCE = 300_000  # ms, for whatever takes one second where the machine has nothing else to do
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BROWSER_OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-background-networking", "--autoplay-policy=no-user-gesture-required"),
    *("--disable-gpu", "--enable-unsafe-swiftshader"),  # WebGL by the processor, pages as without it
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a display."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if BROWSER is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=BROWSER, args=BROWSER_OPTIONS, timeout=PATIENCE)
        yield running
        running.close()


def opened(browser: Any, address: str, **options: Any) -> tuple[Any, list[str]]:
    """The page in a new tab, and the errors it has thrown so far. Tests look into it, so they pass by its policy."""
    tab = browser.new_page(**({"viewport": {"width": 1400, "height": 880}, "bypass_csp": True} | options))
    tab.set_default_timeout(PATIENCE)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.goto(address)
    tab.wait_for_selector("body[data-ready]")
    return tab, errors


def shown(tab: Any) -> np.ndarray:
    """[T, D] what the page shows."""
    return values_of(tab.evaluate("studio.now.view.curves"))


def values_of(curves: Mapping[str, Any]) -> np.ndarray:
    """[T, D] the values of curves as the studio sends them."""
    values = np.frombuffer(base64.b64decode(curves["values"]), np.float32)
    return values.reshape(curves["frames"], len(curves["channels"]))
