"""The review page as files: what it holds, what it leaves alone, and that it needs nothing else."""

from __future__ import annotations

import base64
import json
import os
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from batch_project import Project
from hypothesis import given
from hypothesis import strategies as st

from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import read_motion
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.review.modules import IMPORT, module_texts, packed, unpacked
from msmdcli.review.page import ReviewOptions, take_before, write_review
from msmdcli.review.takes import key_of_take, take_text

RIG = Rig.load("arkit52")
Made = Callable[..., Path]
LARGE = 1 << 26


def take_of(text: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """What the page unpacks: description, [T, D] values, peaks."""
    content = unpacked(text, LARGE)
    (size,) = struct.unpack_from("<I", content)
    about = json.loads(content[4 : 4 + size])
    frames, channels = about["curves"]["frames"], about["curves"]["channels"]
    moves = np.frombuffer(content, "<i2", frames * len(channels), 4 + size).reshape(len(channels), frames)
    values = np.cumsum(moves, axis=1, dtype=np.int16) * about["step"]
    return about, values.T, np.frombuffer(content[4 + size + moves.nbytes :], np.uint8)


def data_of(out: Path, number: int = 0) -> list[str]:
    """The parts of the data of a line, the first by default: take, take before, media type, sound."""
    page = (out / "review.html").read_text(encoding="utf-8")
    lines = json.loads(re.search(r'id="lines-data">(.*?)</script>', page)[1])  # type: ignore[index]
    name = lines[number]["script"]
    inside = re.search(rf'id="{name}">(.*?)</script>', page)
    if inside:
        return inside[1].split(",")
    text = (out / "review" / f"{name}.js").read_text(encoding="utf-8")
    return json.loads(f"[{text.removeprefix('msmdLine(').removesuffix(');' + chr(10))}]")[1].split(",")


def test_curves_come_back_from_the_page(tmp_path: Path, made_batch: Made) -> None:
    out = made_batch(tmp_path, 1, fps=30)
    write_review(out)
    about, values, peaks = take_of(data_of(out)[0])
    motion = read_motion(out / "line.npz")
    assert about["curves"]["fps"] == 30 and about["curves"]["frames"] == 30 and len(peaks) == about["peaks"] > 0
    assert about["curves"]["channels"] == list(RIG.channels)
    np.testing.assert_allclose(values, motion.values, atol=0.51e-4)


@given(scale=st.sampled_from([1e-5, 0.3, 1.0, 100.0, 1e5]), frames=st.integers(1, 40), seed=st.integers(0, 99))
def test_any_motion_comes_back(scale: float, frames: int, seed: int) -> None:
    values = (np.random.default_rng(seed).uniform(-scale, scale, (frames, RIG.size))).astype(np.float32)
    motion = Motion(values, Fraction(25), RIG)
    about, found, _ = take_of(take_text(motion, np.zeros(0, np.uint8), "k", {"seconds": 1.0}))
    np.testing.assert_allclose(found, values, atol=max(1e-4, scale / 32000) * 0.51)
    assert about["key"] == "k"


def test_no_import_of_a_module_is_left_open() -> None:
    texts = module_texts()
    assert {"review.js", "head.js", "player.js", "timeline.js", "list.js", "refine.js"} <= set(texts)
    for name, text in texts.items():
        assert not IMPORT.search(text.replace('"three"', "")), name
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        for found in re.findall(r"""(?:\bfrom|\bimport)\s*["']([^"']+\.js)["']""", code):
            assert found in texts, f"{name} imports {found}"
    assert "document" in json.loads(unpacked(packed(json.dumps(texts).encode()), LARGE))["review.js"]


def test_text_of_a_line_cannot_end_the_script(tmp_path: Path, made_batch: Made) -> None:
    for options in (ReviewOptions(), ReviewOptions(one_file=True)):
        page = write_review(made_batch(tmp_path / str(options.one_file), 2), options).page.read_text(encoding="utf-8")
        assert "</script><b>" not in page
        blocks = 1 + (2 if options.one_file else 0)  # the head, and the lines
        assert page.count("</script>") == page.count("<script") == 4 + blocks
        assert not re.search(r"https?://(?!www\.w3\.org)", page), "the page must not need a network"
    address = re.compile(r"https?://(?!www\.w3\.org)")
    ours = {name: text for name, text in module_texts().items() if "three" not in name and "Orbit" not in name}
    assert len(ours) > 6 and not any(address.search(text) for text in ours.values())


def test_a_page_can_be_made_again_and_forgets_lines_that_are_gone(tmp_path: Path, made_batch: Made) -> None:
    out = made_batch(tmp_path, 3)
    write_review(out)
    first = sorted(p.name for p in (out / "review").glob("*.js"))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    report["lines"] = report["lines"][:1]
    (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
    write_review(out)
    left = sorted(p.name for p in (out / "review").glob("*.js"))
    assert len(first) == 2 and len(left) == 1 and left[0] in first


def test_copied_recordings_lie_beside_the_page(tmp_path: Path, made_batch: Made) -> None:
    out = made_batch(tmp_path, 1)
    page = write_review(out, ReviewOptions(copy_audio=True)).page.read_text(encoding="utf-8")
    found = re.search(r'"audio":"(review/audio/[^"]+)"', page)
    assert found and (out / found[1]).read_bytes() == (tmp_path / "a voice.wav").read_bytes()


def test_other_files_of_the_folder_stay(tmp_path: Path, made_batch: Made) -> None:
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


def test_nothing_is_written_through_a_link_or_over_a_file_of_others(tmp_path: Path, made_batch: Made) -> None:
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


def test_only_what_is_sound_is_copied(tmp_path: Path, made_batch: Made) -> None:
    out = made_batch(tmp_path, 1)
    secret = tmp_path / "id_rsa"
    secret.write_text("TOP-SECRET")
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for name in (secret, tmp_path / "pipe", Path("/dev/zero")):
        if name.name == "pipe":
            os.mkfifo(name)
        report["lines"][0]["audio"] = str(name)
        (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
        page = write_review(out, ReviewOptions(copy_audio=True)).page.read_text(encoding="utf-8")
        assert not list((out / "review/audio").iterdir()) and "TOP-SECRET" not in page
        assert '"unreadable"' in page or name.name != "id_rsa"


def test_a_copy_does_not_follow_a_link(tmp_path: Path, made_batch: Made) -> None:
    out = made_batch(tmp_path, 1)
    write_review(out, ReviewOptions(copy_audio=True))
    (copy,) = (out / "review/audio").iterdir()
    precious = tmp_path / "precious"
    precious.write_text("mine")
    copy.unlink()
    copy.symlink_to(precious)
    write_review(out, ReviewOptions(copy_audio=True))
    assert precious.read_text() == "mine" and not copy.is_symlink()


def test_a_folder_without_a_report_is_told(tmp_path: Path, made_batch: Made) -> None:
    with pytest.raises(UsageError, match=r"holds no report\.json"):
        write_review(tmp_path)
    (tmp_path / "report.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read"):
        write_review(tmp_path)


def test_one_file_holds_the_recordings(tmp_path: Path, made_batch: Made) -> None:
    out = made_batch(tmp_path, 2, seconds=2.0)
    made = write_review(out, ReviewOptions(one_file=True))
    assert made.beside == 0 and not (out / "review").exists() and made.size == made.page.stat().st_size
    _, _, kind, content = data_of(out)
    (tmp_path / "back.ogg").write_bytes(base64.b64decode(content))
    sound, rate = soundfile.read(tmp_path / "back.ogg")
    assert kind == "audio/ogg" and rate == 16000 and len(sound) == 32000
    original, _ = soundfile.read(tmp_path / "a voice.wav")
    assert np.corrcoef(sound, original)[0, 1] > 0.6, (
        "the same sound (of noise, which compresses worst), at the same time"
    )
    lag = np.argmax([np.dot(sound[100:-100], original[100 + k : len(original) - 100 + k]) for k in range(-50, 51)]) - 50
    assert lag == 0


def test_small_recordings_stay_as_they_are(tmp_path: Path, made_batch: Made) -> None:
    out = made_batch(tmp_path, 1)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    samples, rate = soundfile.read(tmp_path / "a voice.wav")
    soundfile.write(tmp_path / "small.ogg", samples, rate)
    report["lines"][0]["audio"] = str(tmp_path / "small.ogg")
    (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
    write_review(out, ReviewOptions(one_file=True))
    assert base64.b64decode(data_of(out)[3]) == (tmp_path / "small.ogg").read_bytes()


def test_the_take_before_stays_on_the_next_page(project: Project) -> None:
    project.write("  - {id: l0, audio: audio/line1.wav}\n")
    options = replace(project.options, choices=replace(project.options.choices, formats=("npz",)))
    assert project.run(choices=options.choices) == 0
    first = read_motion(project.out / "l0.npz").values
    write_review(project.out)
    write_review(project.out)
    assert data_of(project.out)[1] == "", "the same take is none before"
    for seed in (1, 2):
        project.write(f"  - {{id: l0, audio: audio/line1.wav, seed: {seed}}}\n")
        assert project.run(choices=options.choices) == 0
        for one_file in (True, False, False):
            write_review(project.out, ReviewOptions(one_file=one_file))
            now, before, *_ = data_of(project.out)
            np.testing.assert_allclose(take_of(now)[1], read_motion(project.out / "l0.npz").values, atol=0.51e-4)
            assert key_of_take(now) != key_of_take(before) != ""
            if seed == 1:
                np.testing.assert_allclose(take_of(before)[1], first, atol=0.51e-4)
    assert not np.allclose(take_of(before)[1], first, atol=1e-3), "the last one before, not the first"


@pytest.mark.parametrize(
    "text",
    [
        "msmdLine(",
        "msmdLine(1, 2);",
        'msmdLine("aa", {"fps": 25});',
        'msmdLine("aa", "x,y,,");',
        f'msmdLine("0123456789abcdef", "{packed(b"abcdefgh")},,,");',
        f'msmdLine("0123456789abcdef", "{packed(bytes(100_000_000))},,,");',
        "msmdLine(" + "[" * 9999,
    ],
)
def test_a_script_that_makes_no_sense_is_no_take(tmp_path: Path, text: str) -> None:
    script = tmp_path / "0123456789abcdef.js"
    script.write_text(text, encoding="utf-8")
    assert take_before(script, "k") == ""


def test_a_page_of_the_version_before_is_replaced(tmp_path: Path, made_batch: Made) -> None:
    out = made_batch(tmp_path, 1)
    head = ("<!doctype html>", '<html lang="en">', '<meta charset="utf-8">')
    view = '<meta name="viewport" content="width=device-width">'
    (out / "review.html").write_text("\n".join([*head, view, "<title>MSMD review</title>"]))
    assert 'data-msmd="review"' in write_review(out).page.read_text(encoding="utf-8")


def test_a_thousand_lines_are_small(tmp_path: Path, made_batch: Made) -> None:
    """The page holds the head and the list; a line of a second of noise, which nothing compresses, is 4 kB."""
    small, large = write_review(made_batch(tmp_path / "a", 10)), write_review(made_batch(tmp_path / "b", 1000))
    assert small.size < 1.6e6 and large.size - small.size < 0.7e6 and large.beside / 999 < 8000


def test_heads_of_characters_and_what_no_head_shows(project: Project) -> None:
    from msmdcli.paths import SHIPPED_HEAD

    own = project.folder / "hero.glb"
    own.write_bytes(SHIPPED_HEAD.read_bytes())
    project.manifest.write_text(
        "version: 1\ncharacters: {hero: {head: hero.glb, lines: [{id: a, audio: audio/line0.wav}]}}\n"
        "lines: [{id: b, audio: audio/line0.wav}, {id: c, audio: audio/line0.wav, formats: [maya]}]\n"
    )
    assert project.run() == 0
    page = write_review(project.out).page.read_text(encoding="utf-8")
    found = re.search(r'id="lines-data">(.*?)</script>', page)
    assert found is not None
    lines = {one["id"]: one for one in json.loads(found[1])}
    assert lines["a"]["head"] != lines["b"]["head"] and {lines["a"]["head"], lines["b"]["head"]} == {0, 1}
    assert page.count('id="head-') == 2 and "head" not in lines["c"] and "data" not in lines["c"]
