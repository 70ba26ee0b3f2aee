"""A path that differs from a file's in what nobody can see."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from msmdcli.documents.spelling import missing_hint, spelled

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Café/ぎ é.wav") for form in ("NFC", "NFD"))


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(("there", "asked"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED), (COMPOSED, COMPOSED)])
def test_normalisation(tmp_path: Path, there: str, asked: str) -> None:
    path = touch(tmp_path / there)
    assert spelled(tmp_path / asked) == path


def test_the_exact_name_wins_and_two_others_mean_neither(tmp_path: Path) -> None:
    touch(tmp_path / COMPOSED)
    touch(tmp_path / DECOMPOSED)
    assert spelled(tmp_path / COMPOSED) == tmp_path / COMPOSED
    one, other = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    for name in (one + one, other + other):
        touch(tmp_path / name)
    assert spelled(tmp_path / (one + other)) == tmp_path / (one + other)
    assert spelled(tmp_path / "nö/such.wav") == tmp_path / "nö/such.wav"


def test_backslashes_are_folders_where_no_file_is_called_so(tmp_path: Path) -> None:
    path = touch(tmp_path / "sub/a.wav")
    assert spelled(tmp_path / "sub\\a.wav") == path
    odd = touch(tmp_path / "sub\\b.wav")
    touch(tmp_path / "sub/b.wav")
    assert spelled(tmp_path / "sub\\b.wav") == odd
    assert "/" in missing_hint(tmp_path / "x\\a.wav", "else") and missing_hint(tmp_path / "a.wav", "else") == "else"


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / COMPOSED)
    monkeypatch.chdir(tmp_path)
    assert spelled(Path(DECOMPOSED)) == Path(COMPOSED)
