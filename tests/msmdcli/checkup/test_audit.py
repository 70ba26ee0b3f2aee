"""`msmd audit`: each kind of trouble is found, and nothing else."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from voice_lines import write_sound, write_style

from msmdcli.checkup.audit import run_audit, split_language
from msmdcli.console import Console

RATE = 24000


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 0.1
    return samples * np.abs(np.sin(np.arange(len(samples)) / 3000))


def audited(manifest: Path, bundle: Path, **options: Any) -> tuple[int, list[dict[str, Any]], str]:
    out = io.StringIO()
    code = run_audit(manifest, Console(True, -1, out, io.StringIO()), bundle, estimate=False, **options)
    return code, [json.loads(line) for line in out.getvalue().splitlines()], out.getvalue()


def write(folder: Path, lines: str) -> Path:
    manifest = folder / "lines.yaml"
    manifest.write_text(f"version: 1\ndefaults: {{style: none}}\nlines:\n{lines}", encoding="utf-8")
    return manifest


def sound(folder: Path, name: str, samples: np.ndarray, rate: int = RATE) -> None:
    soundfile.write(folder / name, samples, rate)


TROUBLE: dict[str, Any] = {
    "missing": lambda folder: None,
    "empty": lambda folder: (folder / "a.wav").touch(),
    "unreadable": lambda folder: (folder / "a.wav").write_bytes(b"RIFF but no sound"),
    "silent": lambda folder: sound(folder, "a.wav", np.zeros(2 * RATE)),
    "clipped": lambda folder: sound(folder, "a.wav", np.clip(speech(2) * 20, -1, 1) * 0.6),  # turned down afterwards
    "recording": lambda folder: sound(folder, "a.wav", speech(2)[:, None] * [1, -1]),  # one channel is upside down
    "too quiet": lambda folder: sound(folder, "a.wav", speech(2) * 0.01),
    "mostly silence": lambda folder: sound(folder, "a.wav", np.concatenate([speech(1), np.zeros(4 * RATE)])),
    "rate": lambda folder: sound(folder, "a.wav", speech(2), 8000),
    "very short": lambda folder: sound(folder, "a.wav", speech(0.1)),
    "very long": lambda folder: sound(folder, "a.wav", np.tile(speech(5), 30)),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_each_trouble_is_found_alone(kind: str, tmp_path: Path, stand_in_bundle: Path) -> None:
    TROUBLE[kind](tmp_path)
    sound(tmp_path, "good.wav", speech(2, seed=1))
    manifest = write(tmp_path, "  - {id: a, audio: a.wav}\n  - {id: good, audio: good.wav}\n")
    code, events, _ = audited(manifest, stand_in_bundle)
    found = [(event["problem"], event["where"]) for event in events if event["event"] == "finding"]
    assert found == [(kind, "a")]
    assert code == int(kind in ("missing", "empty", "unreadable"))
    assert events[-1]["event"] == "audit" and events[-1]["counts"] == {kind: 1}


def test_a_clean_batch_has_no_findings(tmp_path: Path, stand_in_bundle: Path) -> None:
    for i in range(5):
        sound(tmp_path, f"{i}.flac", speech(1 + i, seed=i))
    tone = 0.9 * np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE)  # loud and low, and not clipped
    sound(tmp_path, "tone.wav", tone)
    code, events, _ = audited(tmp_path, stand_in_bundle)
    assert code == 0 and [event["event"] for event in events] == ["audit"]
    assert events[0]["lines"] == 6 and events[0]["seconds"] == pytest.approx(17.0, abs=0.1)


def test_duplicates_and_orphans(tmp_path: Path, stand_in_bundle: Path) -> None:
    samples = np.round(speech(1) * 32767).astype(np.int16)
    sound(tmp_path, "a.wav", samples)
    sound(tmp_path, "copy.flac", samples)  # another container, the same samples
    sound(tmp_path, "forgotten.wav", speech(1, seed=2))
    (tmp_path / "notes.txt").write_text("no recording")
    lines = "  - {id: a, audio: a.wav}\n  - {id: again, audio: a.wav}\n  - {id: b, audio: copy.flac}\n"
    code, events, _ = audited(write(tmp_path, lines), stand_in_bundle)
    found = {(event["problem"], Path(event["where"]).name) for event in events if event["event"] == "finding"}
    assert found == {("duplicate", "b"), ("orphaned", "forgotten.wav")} and code == 0


def test_unknown_and_unusable_styles_fail_their_lines(tmp_path: Path, stand_in_bundle: Path) -> None:
    sound(tmp_path, "a.wav", speech(1))
    write_style(tmp_path / "styles/broken", 5, clips=[{"file": "clip.npz", "sha256": "0" * 64}])
    lines = (
        "  - {id: a, audio: a.wav, style: angri}\n  - {id: b, audio: a.wav, style: broken}\n"
        "  - {id: c, audio: a.wav, style: nowhere.npz}\n  - {id: d, audio: a.wav, style: angry}\n"
    )
    code, events, _ = audited(write(tmp_path, lines), stand_in_bundle, folders=(tmp_path / "styles",))
    found = {event["where"]: (event["problem"], event["text"]) for event in events if event["event"] == "finding"}
    assert code == 1 and set(found) == {"a", "b", "c"}
    assert found["a"][0] == "unknown style" and "did you mean angry?" in found["a"][1]
    assert found["b"][0] == found["c"][0] == "unusable style"


@pytest.mark.parametrize(
    ("line_id", "language", "expected"),
    [
        ("de/guard_001", None, ("guard_001", "de")),
        ("quest/pt-BR/guard_001", None, ("quest/guard_001", "pt-br")),
        ("guard_001_de", None, ("guard_001", "de")),
        ("fr.guard_001", None, ("guard_001", "fr")),
        ("guard_001_xx", None, None),
        ("guard_001", None, None),
        ("guard_001", "de", ("guard_001", "de")),
        ("guard_001_de", "de-DE", ("guard_001", "de-de")),
        ("take_it", "en", ("take_it", "en")),  # not Italian: the line says what it is
    ],
)
def test_the_language_of_an_id(line_id: str, language: str | None, expected: tuple[str, str] | None) -> None:
    assert split_language(line_id, language) == expected


def test_languages_are_compared(tmp_path: Path, stand_in_bundle: Path) -> None:
    for name, seconds in (("en/a", 2.0), ("de/a", 3.0), ("en/b", 2.0), ("de/b", 2.1), ("en/c", 1.0)):
        write_sound(tmp_path / f"{name}.wav", seconds, seed=round(seconds * 10) + ord(name[-1]))
    code, events, _ = audited(tmp_path, stand_in_bundle)
    groups = {event["id"]: event["seconds"] for event in events if event["event"] == "languages"}
    assert groups == {"a": {"de": 3.0, "en": 2.0}, "b": {"de": 2.1, "en": 2.0}} and code == 0
    (finding,) = (event for event in events if event["event"] == "finding")
    assert finding["problem"] == "language lengths" and finding["where"] == "a"
    assert finding["text"] == "de has 3.00 s, 1.00 s (50%) longer than en"
