"""The review page: its data, its marks, and (where a browser is there) the page itself."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from msmdcli.batch.review import ANGLE_RANGE, ReviewOptions, line_data, write_review
from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import write_motion
from msmdcli.manifest.loading import load_manifest
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 300_000  # ms, for whatever takes one second where the machine has nothing else to do
BROWSER_OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def made_batch(folder: Path, count: int, seconds: float = 1.0) -> Path:
    """OUT as a batch leaves it, with `count` lines of one recording and one motion."""
    out = folder / "out"
    out.mkdir(parents=True)
    sound = folder / "a voice.wav"
    rng = np.random.default_rng(0)
    soundfile.write(sound, rng.normal(scale=0.1, size=round(16000 * seconds)), 16000)
    values = rng.uniform(0, 1, (round(25 * seconds), RIG.size)).astype(np.float32)
    values[:, list(RIG.rotation_indices or ())] -= 0.5
    write_motion(Motion(values, Fraction(25), RIG), out / "line.npz", "npz")
    manifest = folder / "lines.yaml"
    ids = [f"quest/line_{n:04d}" for n in range(count)]
    lines = "".join(f"  - {{id: {id}, audio: 'a voice.wav'}}\n" for id in ids)
    manifest.write_text(f"version: 1\nlines:\n{lines}", encoding="utf-8")
    records: list[dict[str, Any]] = [
        {
            "id": id,
            "status": "made",
            "audio": str(sound),
            "outputs": ["line.npz"],
            "style": "angry" if n % 2 else "happy",
            "seed": 4,
            "seconds": seconds,
            "text": "</script><b>not markup</b>" if n == 0 else f"words of {n}",
        }
        for n, id in enumerate(ids)
    ]
    if count > 1:
        records[1] |= {"status": "failed", "error": "no such recording", "outputs": []}
    report = {
        "format_version": 1,
        "bundle": {"name": "tiny"},
        "settings": {"manifest": str(manifest)},
        "counts": {"made": count},
        "limits": {},
        "lines": records,
    }
    (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return out


def test_curves_come_back_from_the_page_to_a_byte(tmp_path: Path) -> None:
    out = made_batch(tmp_path, 1)
    data = line_data(out, ["line.npz"], tmp_path / "a voice.wav")
    assert data is not None and data["frames"] == 25 and data["channels"] == list(RIG.channels)
    curves = np.frombuffer(base64.b64decode(data["curves"]), np.uint8).reshape(RIG.size, 25) / 255
    with np.load(out / "line.npz", allow_pickle=False) as file:
        values = file["values"]
    jaw, yaw = RIG.index("jawOpen"), RIG.index("headYaw")
    np.testing.assert_allclose(curves[jaw], values[:, jaw], atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose((2 * curves[yaw] - 1) * ANGLE_RANGE, values[:, yaw], atol=ANGLE_RANGE / 255 + 1e-6)


def test_text_of_a_line_cannot_end_the_script(tmp_path: Path) -> None:
    page = write_review(made_batch(tmp_path, 2)).read_text(encoding="utf-8")
    assert "</script><b>" not in page
    assert page.count("</script>") == 1
    assert not re.search(r"https?://(?!www\.w3\.org)", page), "the page must not need a network"


def test_a_page_can_be_made_again_and_forgets_lines_that_are_gone(tmp_path: Path) -> None:
    out = made_batch(tmp_path, 3)
    write_review(out)
    first = sorted(p.name for p in (out / "review").glob("*.js"))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    report["lines"] = report["lines"][:1]
    (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
    write_review(out)
    left = sorted(p.name for p in (out / "review").glob("*.js"))
    assert len(first) == 2 and len(left) == 1 and left[0] in first


def test_copied_recordings_lie_beside_the_page(tmp_path: Path) -> None:
    out = made_batch(tmp_path, 1)
    page = write_review(out, ReviewOptions(copy_audio=True)).read_text(encoding="utf-8")
    found = re.search(r'"audio":"(review/audio/[^"]+)"', page)
    assert found and (out / found[1]).read_bytes() == (tmp_path / "a voice.wav").read_bytes()


def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    out = made_batch(tmp_path, 3)
    write_review(out)
    foreign = {"app.js": "mine", "0123456789abcdef.js": "mine, too", "notes.txt": "x", ".a.js.01234567.msmd-tmp": "x"}
    for name, text in foreign.items():
        (out / "review" / name).write_text(text)
    (out / "review/fedcba9876543210.js").write_text('msmdLine("gone", {});')  # ours, of a line that is gone
    (out / "review/.fedcba9876543210.js.01234567.msmd-tmp").write_text("msm")  # left by a kill
    write_review(out)
    left = {path.name for path in (out / "review").iterdir()}
    assert set(foreign) <= left and all((out / "review" / name).read_text() == text for name, text in foreign.items())
    assert "fedcba9876543210.js" not in left and ".fedcba9876543210.js.01234567.msmd-tmp" not in left


def test_nothing_is_written_through_a_link_or_over_a_file_of_others(tmp_path: Path) -> None:
    out = made_batch(tmp_path, 1)
    elsewhere = tmp_path / "web"
    elsewhere.mkdir()
    (elsewhere / "site.js").write_text("mine")
    (out / "review").symlink_to(elsewhere)
    with pytest.raises(MsmdError, match="is a link"):
        write_review(out)
    assert [path.name for path in elsewhere.iterdir()] == ["site.js"]
    (out / "review").unlink()
    (out / "review").write_text("a file")
    with pytest.raises(MsmdError, match="is a file"):
        write_review(out)
    (out / "review").unlink()
    (out / "review.html").write_text("<!doctype html><title>mine</title>")
    with pytest.raises(MsmdError, match="is not a page that MSMD wrote"):
        write_review(out)
    assert "mine" in (out / "review.html").read_text()


def test_only_what_is_sound_is_copied(tmp_path: Path) -> None:
    out = made_batch(tmp_path, 1)
    secret = tmp_path / "id_rsa"
    secret.write_text("TOP-SECRET")
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for name in (secret, tmp_path / "pipe", Path("/dev/zero")):
        if name.name == "pipe":
            os.mkfifo(name)
        report["lines"][0]["audio"] = str(name)
        (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
        page = write_review(out, ReviewOptions(copy_audio=True)).read_text(encoding="utf-8")
        assert not list((out / "review/audio").iterdir()) and "TOP-SECRET" not in page
        assert '"unreadable"' in page or name.name != "id_rsa"


def test_a_copy_does_not_follow_a_link(tmp_path: Path) -> None:
    out = made_batch(tmp_path, 1)
    write_review(out, ReviewOptions(copy_audio=True))
    (copy,) = (out / "review/audio").iterdir()
    precious = tmp_path / "precious"
    precious.write_text("mine")
    copy.unlink()
    copy.symlink_to(precious)
    write_review(out, ReviewOptions(copy_audio=True))
    assert precious.read_text() == "mine" and not copy.is_symlink()


def test_a_folder_without_a_report_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no report\.json"):
        write_review(tmp_path)
    (tmp_path / "report.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read"):
        write_review(tmp_path)


# ---- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Any:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if BROWSER is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=BROWSER, args=BROWSER_OPTIONS, timeout=PATIENCE)
        yield running
        running.close()


def opened(browser: Any, page: Path) -> tuple[Any, list[str]]:
    """The page in a new tab, and the errors it has thrown so far."""
    tab = browser.new_page(viewport={"width": 1300, "height": 850})
    tab.set_default_timeout(PATIENCE)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(page.as_uri())
    tab.wait_for_selector(".row.now")
    return tab, errors


def test_open_play_filter_mark_download(browser: Any, tmp_path: Path) -> None:
    page = write_review(made_batch(tmp_path, 6))
    tab, errors = opened(browser, page)
    assert tab.locator(".row").count() == 6
    assert tab.evaluate("LINES[0].text") == "</script><b>not markup</b>"
    tab.wait_for_function("shown.data !== null")
    tab.evaluate("document.querySelector('audio').currentTime = 0.5")
    tab.wait_for_function("document.querySelector('audio').currentTime > 0.4")
    tab.wait_for_function("Math.max(...$('face').getContext('2d').getImageData(320, 320, 1, 1).data.slice(0, 3)) > 60")
    tab.keyboard.press("a")
    tab.keyboard.press("j")
    tab.keyboard.press("j")
    tab.keyboard.press("r")
    assert tab.locator(".row.now .id").text_content() == "quest/line_0002"
    tab.select_option("#filter", "to redo")
    assert tab.locator(".row").count() == 1
    tab.select_option("#filter", "failed")
    assert tab.locator(".row .id").text_content() == "quest/line_0001"
    tab.select_option("#filter", "all lines")
    tab.keyboard.press("/")
    tab.keyboard.type("words of 4")
    assert tab.locator(".row").count() == 1
    with tab.expect_download() as download:
        tab.click("#download")
    saved = tmp_path / "redo.yaml"
    download.value.save_as(saved)
    (line,) = load_manifest(saved, RIG).lines
    assert (line.id, line.choices.seed) == ("quest/line_0002", 5)
    tab.reload()
    tab.wait_for_selector(".row.now")
    assert tab.locator("#marked").text_content() == "1"  # marks stay
    assert errors == []
    tab.close()


def test_a_thousand_lines_stay_usable(browser: Any, tmp_path: Path) -> None:
    page = write_review(made_batch(tmp_path, 1000))
    tab, errors = opened(browser, page)
    assert tab.locator(".row").count() == 1000
    step = "(() => { const t = performance.now(); step(1); return performance.now() - t })()"
    quickest = min(tab.evaluate(step) for _ in range(20))  # some come when the machine does something else
    assert tab.locator(".row.now .id").text_content() == "quest/line_0020"
    assert quickest < 1000, f"{quickest:.0f} ms a key press"  # a guard against quadratic work, not a benchmark
    assert errors == []
    tab.close()
