"""`msmd doctor`: what is missing is found, and each finding that is not fine says what mends it."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import msmdcli
from msmdcli.checkup import doctor
from msmdcli.checkup.doctor import EXTRAS, NEEDED, Check, examine
from msmdcli.cli import app
from msmdcli.errors import install_command

ROOT = Path(msmdcli.__file__).parent.parent


@pytest.fixture(autouse=True)
def nothing_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MSMD_HEAD", "MSMD_FACE_MODEL", "MSMD_BLENDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MSMD_SHARED", str(tmp_path / "nowhere"))
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MSMD_STYLES", str(tmp_path / "styles"))


def found(bundle: Path) -> dict[str, Check]:
    findings = list(examine("cpu", bundle, ()))
    assert len({finding.what for finding in findings}) == len(findings)
    for finding in findings:
        assert finding.fine or finding.mend, finding
        assert not (finding.fine and finding.mend), finding
    return {finding.what: finding for finding in findings}


def test_a_machine_that_lacks_everything_is_told_what_mends_it(
    stand_in_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_extras = {name for names, _ in EXTRAS.values() for name in names}
    version = doctor.version_of
    monkeypatch.setattr(doctor, "version_of", lambda name: None if name in of_extras else version(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "bpy", None)
    monkeypatch.setenv("MSMD_HEAD", str(tmp_path / "no.glb"))
    (tmp_path / "styles").write_text("a file", encoding="utf-8")
    findings = found(stand_in_bundle)
    for extra in EXTRAS:
        assert findings[f"extra {extra}"].mend == install_command(extra)
    for what in ("face model", "head", "your styles", "shared material"):
        assert not findings[what].fine and not findings[what].needed
    assert findings["face model"].mend.startswith(f"curl --create-dirs -o {tmp_path / 'cache'}")
    assert findings["head"].mend == "unset MSMD_HEAD"
    assert not (tmp_path / "cache").exists()  # nothing is downloaded or made


def test_what_is_here_is_fine(stand_in_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "face.task"
    model.write_bytes(b"x")
    monkeypatch.setenv("MSMD_FACE_MODEL", str(model))
    (tmp_path / "styles/mine").mkdir(parents=True)
    findings = found(stand_in_bundle)
    for what in (*NEEDED, "ONNX Runtime", "provider CPU", "model", "device", "same bytes", "head"):
        assert findings[what].fine, findings[what]
    assert findings["provider CPU"].detail == "runs"
    assert findings["face model"].detail == str(model)
    assert findings["your styles"].fine and "none yet" in findings["your styles"].detail


def test_a_provider_that_does_not_load_is_not_called_running(
    stand_in_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    findings = {finding.what: finding for finding in doctor.providers(stand_in_bundle)}
    assert findings["provider CPU"].fine
    if onnxruntime.get_device() != "GPU":
        assert not findings["provider CUDA"].fine and "onnxruntime-gpu" in findings["provider CUDA"].mend


def test_the_extras_are_those_of_the_project() -> None:
    project = ROOT / "pyproject.toml"
    if not project.is_file():
        pytest.skip("MSMD is not run from its source")
    told = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    extras = told["optional-dependencies"]
    assert set(EXTRAS) | {"cpu", "gpu", "fbx", "dev"} == set(extras)  # the first three have findings of their own
    for extra, (names, _) in EXTRAS.items():
        assert set(names) <= {entry.split(">")[0].split("[")[0] for entry in extras[extra]}
    assert {entry.split(">")[0].lower() for entry in told["dependencies"]} == {name.lower() for name in NEEDED}


def test_exit_code_and_json(stand_in_bundle: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--bundle", str(stand_in_bundle), "--device", "cpu", "--json"])
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0 and all(event["event"] == "finding" for event in events)
    assert {"what", "fine", "detail", "needed", "mend"} <= set(events[0])
    result = CliRunner().invoke(app, ["doctor", "--bundle", str(tmp_path), "--device", "cpu"])
    assert result.exit_code == 1
    bad = [line for line in result.stdout.splitlines() if line.startswith("BAD")]
    assert [line.split(":")[0] for line in bad] == ["BAD  model"]
