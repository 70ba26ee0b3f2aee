"""MediaPipe absent, its libraries absent, a model that is none; and no chatter."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from msmdcli.errors import MsmdError, UsageError, install_command
from msmdcli.tracking import landmarker
from msmdcli.tracking.landmarker import Landmarker, quiet_stderr


def test_without_mediapipe_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarker, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="not installed") as caught:
        Landmarker(Path("any.task"))
    assert install_command("video") in caught.value.hint


@pytest.mark.parametrize("library", ["libEGL.so.1", "libGLESv2.so.2", "libGL.so.1"])
def test_without_its_libraries_the_command_to_install_them(library: str) -> None:
    with pytest.raises(UsageError, match=library) as caught, landmarker._mediapipe_errors(Path("model.task")):
        raise OSError(f"{library}: cannot open shared object file: No such file or directory")
    assert "apt-get install libegl1 libgles2 libgl1" in caught.value.hint


def test_a_model_that_is_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mediapipe")
    model = tmp_path / "model.task"
    model.write_bytes(b"no model")
    with pytest.raises(MsmdError, match="not a face model"):
        Landmarker(model)
    assert capfd.readouterr().err == ""


def test_only_what_is_written_meanwhile_is_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before ")
    with quiet_stderr():
        os.write(2, b"chatter ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"
