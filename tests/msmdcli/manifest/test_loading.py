from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from computing_time import least_ratio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_texts import RIG, lines, problems

from msmdcli.errors import MsmdError, UsageError
from msmdcli.manifest.lines import ManifestError
from msmdcli.manifest.loading import load_manifest


def test_a_folder_and_a_single_recording(tmp_path: Path) -> None:
    for name in ("b.wav", "sub/a.FLAC", "sub/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [line.id for line in load_manifest(tmp_path, RIG).lines] == ["b", "sub/a"]
    assert [line.id for line in load_manifest(tmp_path / "b.wav", RIG).lines] == ["b"]
    (tmp_path / "B.ogg").touch()
    with pytest.raises(ManifestError, match="case"):
        load_manifest(tmp_path, RIG)
    for wrong in (tmp_path / "sub/notes.txt", tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            load_manifest(wrong, RIG)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "l.yaml").write_bytes(b"version: 1\nlines: \xff\n")
    with pytest.raises(ManifestError, match=r"l\.yaml:2: this is not UTF-8"):
        load_manifest(tmp_path / "l.yaml", RIG)


def test_ten_thousand_lines_are_read_at_once(tmp_path: Path) -> None:
    entries = [f"{{id: q/line_{i:05}, audio: audio/{i}.wav, style: angry, seed: {i}}}" for i in range(10_000)]
    path = tmp_path / "lines.yaml"
    text = lines(*entries)
    path.write_text(text)
    plain = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    # About as long as PyYAML alone takes to make plain values of it, less than a second.
    assert least_ratio(lambda: load_manifest(path, RIG), lambda: yaml.load(text, plain), 3) < 3
    assert len(load_manifest(path, RIG).lines) == 10_000
    path.write_text(lines(*(entry.replace("seed", "sed") for entry in entries)))
    with pytest.raises(ManifestError) as error:
        load_manifest(path, RIG)
    assert len(error.value.problems) == 10_000 and error.value.message.count("\n") < 60  # all found, not all told


def test_a_small_file_cannot_stand_for_a_large_one(tmp_path: Path) -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    start = time.thread_time()
    assert "aliases stand for more values" in problems(tmp_path, laughs)[0]
    for deep in ("[" * 100_000, "- " * 100_000, "{" * 100_000):  # the C parser would overflow its stack
        assert "nested too deeply" in problems(tmp_path, deep)[0]
    assert "not a frame rate" in problems(tmp_path, lines("{id: a, audio: a.wav, fps: 1e999999999}"))[0]
    assert time.thread_time() - start < 60  # some tenths of a second, or for ever


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data())
def test_no_manifest_makes_it_crash(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever the text: a manifest or an MsmdError."""
    words = ["version", "1", "lines", "id", "audio", "style", "regions", "upper", "segments", "start", "a.wav", "fps"]
    words += ["weight", "ref", "formats", "npz", "characters", "defaults", "intensity", "nan", "1e9999", "-", "&a"]
    punctuation = [":", ": ", "\n", "\n  ", "- ", "{", "}", "[", "]", ", ", "'", '"', "\t", "\x00", "!!int", "<<: "]
    text = "".join(data.draw(st.lists(st.sampled_from(words + punctuation), max_size=40)))
    if data.draw(st.booleans()):
        text = "version: 1\nlines:\n  - {id: a, audio: a.wav, " + text
    suffix = data.draw(st.sampled_from([".yaml", ".json", ".csv"]))
    path = tmp_path / f"fuzz{suffix}"
    path.write_text(text, encoding="utf-8")
    try:
        load_manifest(path, RIG)
    except MsmdError as error:
        assert error.exit_code == 2 and error.message
