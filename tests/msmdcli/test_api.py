"""The Python API: what is promised, and that it is what a batch does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import msmdcli as msmd

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "audio"
GUIDE = ROOT / "examples" / "guides" / "python.md"


def blocks(text: str) -> list[str]:
    """The Python examples of a guide."""
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_every_name_is_there_and_told_of_in_the_guide() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for name in msmd.__all__:
        assert getattr(msmd, name) is not None
        assert re.search(rf"`(msmd\.)?{name}[`(]", text), f"{name} is not in {GUIDE.name}"
    assert set(msmd.__all__) <= set(dir(msmd))
    with pytest.raises(AttributeError, match="no attribute 'anmate'"):
        _ = msmd.anmate


HEAVY = ("numpy", "onnxruntime", "soundfile", "av", "rich", "typer", "yaml")


def test_the_import_is_light() -> None:
    code = f"import sys, msmdcli; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.slow
def test_the_guides_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    for name, source in {"guard": "guard_001.ogg", "smuggler": "smuggler_003.ogg"}.items():
        (tmp_path / f"{name}.ogg").write_bytes((EXAMPLES / source).read_bytes())
    (tmp_path / "lines.yaml").write_text("version: 1\nlines:\n  - {id: guard, audio: guard.ogg}\n", encoding="utf-8")
    found = blocks(GUIDE.read_text(encoding="utf-8"))
    assert len(found) >= 4
    space: dict[str, object] = {}
    for block in found:
        exec(compile(block, str(GUIDE), "exec"), space)
    assert (tmp_path / "guard.csv").is_file() and (tmp_path / "out" / "guard.csv").is_file()


@pytest.mark.slow
def test_animate_gives_what_a_batch_writes(tmp_path: Path) -> None:
    for name, source in {"guard": "guard_001.ogg", "inn/keeper": "keeper_007.ogg"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.ogg").write_bytes((EXAMPLES / source).read_bytes())
    style = "[{ref: angry, weight: 0.7}, {ref: sad, weight: 0.3}]"
    text = f"version: 1\ndefaults: {{style: {style}, fps: 30, seed: 7, blinks: 18, formats: [npz, livelink-csv]}}\n"
    text += "lines:\n  - {id: guard, audio: guard.ogg}\n  - {id: inn/keeper, audio: inn/keeper.ogg}\n"
    (tmp_path / "lines.yaml").write_text(text, encoding="utf-8")
    result = msmd.batch(tmp_path / "lines.yaml", tmp_path / "out")
    assert result.exit_code == 0 and [record.status for record in result.records] == ["made", "made"]
    made: dict[str, msmd.Motion] = {}
    with msmd.Animator(threads=1) as animator:
        recordings = {"guard": tmp_path / "guard.ogg", "inn/keeper": msmd.load_audio(tmp_path / "inn/keeper.ogg")}
        controls = msmd.Controls(blinks=msmd.Blinks(18))
        mix = animator.style({"angry": 0.7, "sad": 0.3})
        made.update(animator.animate_many(recordings, style=mix, seed=7, fps=30, controls=controls))
    (tmp_path / "api" / "inn").mkdir(parents=True)
    for key, motion in made.items():
        for fmt, suffix in {"npz": ".npz", "livelink-csv": ".csv"}.items():
            path = tmp_path / "api" / f"{key}{suffix}"
            msmd.write_motion(motion, path, fmt)
            assert path.read_bytes() == (tmp_path / "out" / f"{key}{suffix}").read_bytes(), path.name


@pytest.mark.slow
def test_a_motion_is_a_style_like_its_file(tmp_path: Path) -> None:
    take = ROOT / "styles" / "angry" / "take1.npz"
    with msmd.Animator() as animator:
        one = animator.animate(EXAMPLES / "guard_001.ogg", style=str(take))
        two = animator.animate(EXAMPLES / "guard_001.ogg", style=msmd.read_motion(take))
        other = animator.animate(EXAMPLES / "guard_001.ogg", style="happy")
    assert np.array_equal(one.values, two.values) and not np.array_equal(one.values, other.values)


def test_mistakes_are_told_in_a_sentence(tmp_path: Path) -> None:
    animator = msmd.Animator()
    audio = EXAMPLES / "guard_001.ogg"
    with pytest.raises(msmd.MsmdError, match="no style 'angyr'"):
        animator.animate(audio, style="angyr")
    with pytest.raises(msmd.MsmdError, match="no such recording"):
        animator.animate(tmp_path / "a.wav")
    with pytest.raises(msmd.UsageError, match="weight -1"):
        animator.style({"angry": -1})
    with pytest.raises(msmd.UsageError, match="empty mix"):
        animator.style({})
    with pytest.raises(msmd.UsageError, match="seed -1"):
        animator.animate(audio, seed=-1)
    with pytest.raises(msmd.UsageError, match="intensity 9"):
        animator.animate(audio, intensity=9)
    with pytest.raises(msmd.UsageError, match="cannot be the id"):
        animator.animate(audio, id="../x")
    with pytest.raises(msmd.UsageError, match="has no name"):
        animator.animate(msmd.load_audio(audio))
    with pytest.raises(msmd.UsageError, match="without a folder"):
        msmd.batch(audio)
    with pytest.raises(msmd.UsageError, match="jbos"):
        msmd.batch(audio, tmp_path, jbos=3)
    animator.close()
    with pytest.raises(msmd.MsmdError, match="closed"):
        animator.animate(audio)
