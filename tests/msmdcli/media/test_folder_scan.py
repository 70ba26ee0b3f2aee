"""One search of folders: what is taken, what is passed over and why, links, OUT."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from msmdcli.batch.ledger import NAME as LEDGER
from msmdcli.errors import MsmdError
from msmdcli.media import folder_scan
from msmdcli.media.folder_scan import scan_all, scan_folder
from msmdcli.media.suffixes import RECORDING_SUFFIXES, SOUND_SUFFIXES, VIDEO_SUFFIXES, is_sound, is_video
from msmdcli.review.page import FOLDER as REVIEW


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def taken(folder: Path, *leave: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in scan_folder(folder, SOUND_SUFFIXES, leave).files]


def test_every_suffix_is_taken_in_any_case_and_is_of_one_kind() -> None:
    assert not set(SOUND_SUFFIXES) & set(VIDEO_SUFFIXES)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in RECORDING_SUFFIXES)
    assert is_video("a/B.MXF") and is_video("a.wmv") and is_sound("A.Mka") and not is_sound("wav")


def test_companions_of_other_systems_are_no_recordings(tmp_path: Path) -> None:
    names = [
        "de/._a.wav",
        "__MACOSX/de/a.wav",
        ".AppleDouble/a.wav",
        "@eaDir/a.wav/x.wav",
        ".hidden/b.wav",
        "de/.b.wav",
    ]
    made(tmp_path, "de/a.wav", "de/b.WAV", "de/notes.txt", *names)
    assert taken(tmp_path) == ["de/a.wav", "de/b.WAV"]
    (note,) = scan_folder(tmp_path, SOUND_SUFFIXES).notes()
    assert "companions of another system 2 (@eaDir, __MACOSX)" in note and "kinds of files 1 (.txt 1)" in note
    assert "hidden 4 (.AppleDouble, .hidden, de/._a.wav, ...)" in note
    assert scan_folder(made(tmp_path / "clean", "a.wav"), SOUND_SUFFIXES).notes() == ()


def test_what_msmd_wrote_is_no_recording(tmp_path: Path) -> None:
    assert (folder_scan.LEDGER, folder_scan.REVIEW) == (LEDGER, REVIEW)  # of layers above
    made(
        tmp_path,
        "a.wav",
        "out/b.wav",
        "before/ledger.jsonl",
        "before/review/audio/c.wav",
        "before/d.wav",
        "review/e.wav",
    )
    assert taken(tmp_path, tmp_path / "out") == ["a.wav", "review/e.wav"]  # a review of their own is theirs
    made(tmp_path, "ledger.jsonl")  # OUT is the folder itself
    assert taken(tmp_path, tmp_path) == ["a.wav", "out/b.wav"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    made(tmp_path / "elsewhere", "far.wav")
    folder = made(tmp_path / "rec", "z/own.wav", "b.wav")
    (folder / "a").symlink_to(folder / "z")  # before z in the order, and yet z goes by its own name
    (folder / "y").symlink_to(tmp_path / "elsewhere")
    (folder / "z/loop").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    (folder / "link.wav").symlink_to(folder / "b.wav")
    (folder / "gone.wav").symlink_to(folder / "nothing")
    (folder / "self.wav").symlink_to(folder / "self.wav")
    os.mkfifo(folder / "pipe.wav")
    assert taken(folder) == taken(folder, tmp_path / "out") == ["b.wav", "link.wav", "y/far.wav", "z/own.wav"]
    why = scan_folder(folder, SOUND_SUFFIXES).passed_over
    assert {path.name: reason for path, reason in why.items()} == {
        "a": folder_scan.AGAIN,
        "loop": folder_scan.AGAIN,
        "up": folder_scan.AGAIN,
        "gone.wav": folder_scan.NOWHERE,
        "self.wav": folder_scan.NOWHERE,
        "pipe.wav": folder_scan.SPECIAL,
    }


def test_every_file_is_taken_or_told_once(tmp_path: Path) -> None:
    folder = made(tmp_path, "a.wav", "b/c.wav", "b/d.txt", ".e", "f", "__MACOSX/g.wav")
    scan = scan_folder(folder, SOUND_SUFFIXES)
    told = [*scan.files, *scan.passed_over]
    assert len(told) == len(set(told)) == 6


def test_only_the_folder_itself(tmp_path: Path) -> None:
    made(tmp_path, "a.wav", "below/b.wav")
    assert [path.name for path in scan_folder(tmp_path, SOUND_SUFFIXES, below=False).files] == ["a.wav"]
    with pytest.raises(MsmdError, match="cannot be read"):
        scan_folder(tmp_path / "nowhere", SOUND_SUFFIXES)


def test_files_and_folders_together(tmp_path: Path) -> None:
    made(tmp_path, "one.odd", "rec/b.wav", "rec/a.wav", "rec/c.txt")
    files, notes = scan_all([tmp_path / "one.odd", tmp_path / "rec"], SOUND_SUFFIXES)
    assert [path.name for path in files] == ["one.odd", "a.wav", "b.wav"] and len(notes) == 1


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    for name in (b"k\xf6nig.wav", b"a.wav"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    assert len(scan_folder(tmp_path, SOUND_SUFFIXES).files) == 2
    assert unicodedata.category(taken(tmp_path)[1][1]) == "Cs"
