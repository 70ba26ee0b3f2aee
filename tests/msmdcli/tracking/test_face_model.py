"""Where the face model is found, and how it is fetched."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from msmdcli.errors import MsmdError
from msmdcli.paths import shared_dir
from msmdcli.tracking import face_model
from msmdcli.tracking.face_model import NAME, SHA256, find_face_model


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No model anywhere, an empty cache folder."""
    monkeypatch.delenv("MSMD_FACE_MODEL", raising=False)
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("MSMD_SHARED", str(tmp_path / "shared"))
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_order_of_places(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {name: nowhere / name / "models" / NAME for name in ("cache", "shared")}
    places |= {"variable": nowhere / "variable.task", "given": nowhere / "given.task"}
    for name, path in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        if name == "variable":
            monkeypatch.setenv("MSMD_FACE_MODEL", str(path))
        assert find_face_model(path if name == "given" else None) == path


def test_a_named_model_that_is_absent(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MsmdError, match=r"no face model at .*no\.task"):
        find_face_model(nowhere / "no.task")
    monkeypatch.setenv("MSMD_FACE_MODEL", str(nowhere / "no.task"))
    with pytest.raises(MsmdError, match="MSMD_FACE_MODEL"):
        find_face_model()


def test_it_is_fetched_once_and_checked(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = nowhere / "served.task"
    source.write_bytes(b"a model")
    monkeypatch.setattr(face_model, "ADDRESS", source.as_uri())
    with pytest.raises(MsmdError, match="sha256 differs"):
        find_face_model()
    assert not list((nowhere / "cache").rglob("*"))
    monkeypatch.setattr(face_model, "SHA256", hashlib.sha256(b"a model").hexdigest())
    found = find_face_model()
    assert found.read_bytes() == b"a model"
    source.unlink()
    assert find_face_model() == found
    assert [path.name for path in found.parent.iterdir()] == [NAME]


def test_without_network_one_sentence_tells_how(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_model, "ADDRESS", "http://127.0.0.1:9/face_landmarker.task")
    with pytest.raises(MsmdError, match="cannot be downloaded") as caught:
        find_face_model()
    assert "--face-model" in caught.value.hint and "MSMD_FACE_MODEL" in caught.value.hint


def test_the_pinned_sum_is_that_of_the_model_we_test_with() -> None:
    shared = shared_dir()
    if shared is None or not (shared / "models" / NAME).is_file():
        pytest.skip("the shared face model is not here")
    assert hashlib.sha256((shared / "models" / NAME).read_bytes()).hexdigest() == SHA256
