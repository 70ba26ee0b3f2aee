"""A folder as what is to be converted: one file of each line, and nothing else that lies there."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from msmdcli.cli import app
from msmdcli.errors import UsageError
from msmdcli.formats.motion_folder import motion_in
from msmdcli.formats.registry import write_motion
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")


def out(folder: Path) -> Path:
    """An OUT: `a` in three formats, `q/b` in one, and what a batch writes beside them."""
    values = np.random.default_rng(3).uniform(0, 1, (8, RIG.size)).astype(np.float32)
    (folder / "q").mkdir(parents=True)
    for name, fmt in (
        ("a.json", "json"),
        ("a.csv", "livelink-csv"),
        ("a.unreal.csv", "unreal"),
        ("q/b.csv", "livelink-csv"),
    ):
        write_motion(Motion(values, Fraction(25), RIG), folder / name, fmt)
    for name in ("report.json", "report.html", "ledger.jsonl", "table.csv", "settings.json"):
        (folder / name).write_text("{}")
    return folder


def test_one_file_of_each_line(tmp_path: Path) -> None:
    scan = motion_in(out(tmp_path / "out"))
    assert [path.name for path in scan.files] == ["a.csv", "b.csv"]  # the tables are for Unreal, JSON comes after
    told = {path.name for path in scan.passed_over}
    assert told == {
        "a.json",
        "a.unreal.csv",
        "report.json",
        "report.html",
        "ledger.jsonl",
        "table.csv",
        "settings.json",
    }
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no motion"):
        motion_in(tmp_path / "empty")


def convert(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_takes_a_folder_and_keeps_its_folders(tmp_path: Path) -> None:
    folder = out(tmp_path / "out")
    code, said = convert(folder, "--to", "npz", "--out", tmp_path / "npz")
    assert code == 0 and "2 of 2 converted" in said
    made = sorted(path.relative_to(tmp_path / "npz").as_posix() for path in (tmp_path / "npz").rglob("*.npz"))
    assert made == ["a.npz", "q/b.npz"]
    assert convert(tmp_path / "npz", "--to", "unreal", "--out", tmp_path / "unreal")[0] == 0
    assert (tmp_path / "unreal/msmd_unreal_import.py").is_file() and (tmp_path / "unreal/q/b.unreal.csv").is_file()
    assert convert(folder, "--to", "npz", "--out", folder / "npz")[0] == 0  # below the folder that is read
    code, said = convert(folder, "--to", "npz", "--out", folder / "npz", "--force")
    assert code == 0 and "2 of 2" in said


def test_a_pattern_that_matches_nothing_names_the_folder(tmp_path: Path) -> None:
    code, said = convert(out(tmp_path / "out") / "*.npz", "--to", "glb")
    assert code == 2 and f"msmd convert {tmp_path / 'out'}" in said.replace("\n", "")
