"""Kept files: whole or not at all, whatever happens to them, within their limit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmdcli.checkup.doctor import _kept as examined
from msmdcli.errors import UsageError
from msmdcli.model.stores import FeatureStore
from msmdcli.system.kept_files import BLOCK_BYTES, TRAILER, KeptFiles, blocks

CONTENT = bytes(range(256)) * 3


class Things(KeptFiles):
    NAME, SUFFIX = "things", ".kept"
    VARIABLE, DEFAULT_LIMIT = "MSMD_THINGS", "4GB"


def kept(folder: Path, limit: int = 10**6) -> KeptFiles:
    return Things(folder, limit)


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    files = kept(tmp_path / "new" / "folder")
    assert files.read("a") is None
    assert files.keep("a", [CONTENT[:100], memoryview(CONTENT)[100:]])
    assert kept(files.folder).read("a") == CONTENT and files.read("b") is None
    assert files.size() == (1, len(CONTENT) + TRAILER.size)
    assert files.keep("empty", []) and files.read("empty") == b""


@given(at=st.integers(0, len(CONTENT) + TRAILER.size - 1), bit=st.integers(0, 7), cut=st.booleans())
def test_no_damage_is_believed(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int, cut: bool) -> None:
    files = kept(tmp_path_factory.mktemp("kept"))
    files.keep("a", [CONTENT])
    data = bytearray(files.path("a").read_bytes())
    data[at] ^= 1 << bit
    files.path("a").write_bytes(data[:at] if cut else data)
    assert files.read("a") is None
    assert files.keep("a", [CONTENT]) and files.read("a") == CONTENT  # made again


@pytest.mark.parametrize("content", [b"", b"short", b"another kind of file, of whatever length", CONTENT])
def test_a_foreign_file_is_not_believed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.kept").write_bytes(content)
    assert kept(tmp_path).read("a") is None


def test_a_limit_of_0_keeps_and_finds_nothing(tmp_path: Path) -> None:
    kept(tmp_path).keep("a", [CONTENT])
    assert kept(tmp_path, 0).read("a") is None and not kept(tmp_path, 0).keep("b", [CONTENT])


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield CONTENT
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept(tmp_path).keep("a", failing())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("obstacle", ["a file in the way", "a folder of that name"])
def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, obstacle: str) -> None:
    files = kept(tmp_path / "folder")
    if obstacle == "a file in the way":
        files.folder.write_text("in the way")
    else:
        (files.path("a") / "inside").mkdir(parents=True)
    assert not files.keep("a", [CONTENT]) and files.read("a") is None


def test_a_folder_that_may_only_be_read_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(path)

    kept(tmp_path).keep("a", [CONTENT])
    monkeypatch.setattr("msmdcli.system.kept_files.os.utime", refused)
    assert kept(tmp_path).read("a") == CONTENT


def test_what_was_used_longest_ago_goes_first_and_so_does_what_a_kill_left(tmp_path: Path) -> None:
    one = len(CONTENT) + TRAILER.size
    files = kept(tmp_path, 3 * one)
    (tmp_path / ".left").mkdir()
    (tmp_path / ".left" / "half").write_bytes(CONTENT)
    os.utime(tmp_path / ".left", (0, 0))
    for number, name in enumerate("abc"):
        files.keep(name, [CONTENT])
        os.utime(files.path(name), (number + 1, number + 1))
    assert files.read("a") == CONTENT  # used again
    files.keep("d", [CONTENT])
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c", "d"}
    assert files.size() == (3, 3 * one)


def test_many_at_once(tmp_path: Path) -> None:
    """Readers find the whole content or none while others write it."""

    def use(number: int) -> bool:
        files = kept(tmp_path)
        files.keep("a", (CONTENT[i : i + 10] for i in range(0, len(CONTENT), 10)))
        return files.read("a") == CONTENT

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(60)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.kept"]


@pytest.mark.parametrize("length", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES - 1])
def test_blocks_are_the_file_up_to_a_length(tmp_path: Path, length: int) -> None:
    data = os.urandom(3 * BLOCK_BYTES)
    (tmp_path / "f").write_bytes(data)
    with (tmp_path / "f").open("rb") as file:
        assert b"".join(map(bytes, blocks(file, length))) == data[:length]


def test_folder_and_limit_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path))
    for wish, size in (("off", 0), ("500MB", 5 * 10**8), ("1.5 gb", 15 * 10**8), ("", 4 * 10**9)):
        monkeypatch.setenv("MSMD_THINGS", wish)
        assert Things().limit == size and Things().folder == tmp_path / "things"
    monkeypatch.setenv("MSMD_THINGS", "plenty")
    with pytest.raises(UsageError, match="MSMD_THINGS=plenty"):
        Things()


def test_the_doctor_tells_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path))
    monkeypatch.delenv("MSMD_FEATURE_CACHE")
    monkeypatch.setenv("MSMD_GRAPH_CACHE", "plenty")
    FeatureStore().keep("a", [bytes(2_000_000)])
    found = {finding.what: finding for finding in examined()}
    assert found["audio features"].detail == "1 kept, 2 MB; at most 4 GB (MSMD_FEATURE_CACHE)"
    assert found["style codes"].detail.startswith("0 kept") and found["style codes"].fine
    assert not found["optimised graphs"].fine and "MSMD_GRAPH_CACHE=plenty" in found["optimised graphs"].detail
