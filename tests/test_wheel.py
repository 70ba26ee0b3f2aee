"""The wheel, away from the repository: it installs `msmdcli` alone and finds what ships. (`.ci/run` trains with it.)"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

REPOSITORY = Path(__file__).parents[1]
FOLDERS = ("msmdcli", "training", "export", "styles")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no build folder of an earlier day has a say."""
    pytest.importorskip("setuptools", "77")
    folder = tmp_path_factory.mktemp("wheel")
    for name in FOLDERS:
        shutil.copytree(REPOSITORY / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(REPOSITORY / name, folder / "source" / name)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=folder / "source", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "source")
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel: a folder for `PYTHONPATH`. The dependencies are this Python's."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def python(program: str, *arguments: str | Path, installed: Path, cwd: Path) -> str:
    """Run a program with the unpacked wheel before everything else; returns what it printed."""
    environment = {**os.environ, "MSMD_CACHE": str(cwd / "cache"), "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def msmd(*arguments: str | Path, installed: Path, cwd: Path) -> str:
    return python("from msmdcli.cli import main; main()", *arguments, installed=installed, cwd=cwd)


@pytest.mark.slow
def test_it_installs_one_package(wheel: Path) -> None:
    assert wheel.name.startswith("msmd_face-")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    assert {name.split("/")[0].removesuffix(".dist-info").split("-")[0] for name in names} == {"msmdcli", "msmd_face"}
    tracked = subprocess.run(["git", "ls-files", *FOLDERS], cwd=REPOSITORY, capture_output=True, text=True).stdout
    files = [name for name in tracked.splitlines() if (REPOSITORY / name).is_file()]
    wanted = {name if name.startswith("msmdcli/") else f"msmdcli/_beside/{name}" for name in files}
    assert wanted - names == set()


@pytest.mark.slow
def test_what_ships_is_found_in_it(installed: Path, tmp_path: Path) -> None:
    program = "from msmdcli import paths; print(paths.shipped_styles(), paths.shipped_bundle(), paths.SHIPPED_HEAD)"
    for path in python(program, installed=installed, cwd=tmp_path).split():
        assert Path(path).exists() and Path(path).is_relative_to(installed)
    soundfile.write(tmp_path / "line.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    msmd("batch", "line.wav", "--style", "angry", "--out", "out", "--quiet", installed=installed, cwd=tmp_path)
    assert list(tmp_path.glob("out/**/line.csv"))


WHERE = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

def main():
    from msmdcli.paths import add_training_to_path
    add_training_to_path()
    from training.data.records import unit_hash
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(unit_hash, "anna").result() == unit_hash("anna")
    import export.onnx_export, training.command
    print(training.__file__, export.__file__)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_the_training_code_is_its_own_in_workers_too(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("accelerate")
    pytest.importorskip("onnxscript")
    for path in python(WHERE, installed=installed, cwd=tmp_path).split():
        assert Path(path).is_relative_to(installed)
