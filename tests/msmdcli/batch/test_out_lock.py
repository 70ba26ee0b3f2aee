"""The lock of OUT: who has it, what becomes of it, and file systems without locks. See also test_batch.py."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from msmdcli.batch.out_lock import NAME, alone_in
from msmdcli.errors import MsmdError, UsageError

HOLD = "import sys\nfrom pathlib import Path\nfrom msmdcli.batch.out_lock import alone_in\n"
HOLD += "with alone_in(Path(sys.argv[1])):\n    print('mine', flush=True)\n    sys.stdin.read()\n"


def holding(out: Path) -> subprocess.Popen[str]:
    """A process that works in OUT until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None and process.stdout.readline() == "mine\n"
    return process


def test_another_process_is_refused_and_told_who_works_there(tmp_path: Path) -> None:
    with holding(tmp_path) as process:
        with pytest.raises(UsageError, match=rf"another batch is at work in .* \(process {process.pid} on ") as caught:
            alone_in(tmp_path).__enter__()
        assert "choose another --out" in caught.value.hint and caught.value.exit_code == 2
        process.communicate("")
    with alone_in(tmp_path):
        assert (tmp_path / NAME).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    with holding(tmp_path) as process:
        process.kill()
    assert (tmp_path / NAME).exists()
    with alone_in(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_threads_of_one_process_are_two_batches(tmp_path: Path) -> None:
    caught: list[BaseException] = []

    def second() -> None:
        try:
            alone_in(tmp_path).__enter__()
        except UsageError as error:
            caught.append(error)

    with alone_in(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_of_many_that_come_and_go_never_two_are_inside(tmp_path: Path) -> None:
    """Each tries until it has been inside so often; a lock that lets nobody in any more ends it after a while."""
    inside, most, entered = [0], [0], [0] * 4
    latest = time.monotonic() + 300

    def work(number: int) -> None:
        while entered[number] < 50 and time.monotonic() < latest:
            try:
                with alone_in(tmp_path):
                    inside[0] += 1
                    time.sleep(0)  # the others may run
                    most[0] = max(most[0], inside[0])
                    inside[0] -= 1
                    entered[number] += 1
            except UsageError:
                continue

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] and entered == [50] * 4
    assert list(tmp_path.iterdir()) == []


def test_folders_that_nothing_was_put_into_go_again(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ZeroDivisionError), alone_in(tmp_path / "there/a/b"):
        _ = 1 // 0
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]
    with alone_in(tmp_path / "a/b"):
        (tmp_path / "a/b/report.json").touch()
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["report.json"]


def test_out_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MsmdError, match="cannot be written"):
        alone_in(tmp_path / "file").__enter__()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MsmdError, match="is a link"):
        alone_in(tmp_path / "out").__enter__()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF])
def test_a_file_system_without_locks_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", none)
    with alone_in(tmp_path), alone_in(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_gives_other_numbers_each_time_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msmdcli.batch.out_lock._is", lambda descriptor, path: False)
    with alone_in(tmp_path), pytest.raises(UsageError, match="another batch"):
        alone_in(tmp_path).__enter__()


def test_a_lock_that_nobody_may_read_still_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(descriptor: int, count: int) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    with alone_in(tmp_path):
        monkeypatch.setattr("os.read", denied)
        with pytest.raises(UsageError) as caught:
            alone_in(tmp_path).__enter__()
    assert caught.value.message == f"another batch is at work in {tmp_path}"


def test_windows_locks_a_byte_after_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def locking(descriptor: int, mode: int, count: int) -> None:
        import os

        if taken:
            raise PermissionError(errno.EACCES, "Permission denied")
        taken.append(os.lseek(descriptor, 0, os.SEEK_CUR))

    module: Any = SimpleNamespace(locking=locking, LK_NBLCK=2)
    monkeypatch.setitem(sys.modules, "msvcrt", module)
    monkeypatch.setattr("msmdcli.batch.out_lock.sys", SimpleNamespace(platform="win32"))
    with alone_in(tmp_path):
        assert taken == [1 << 30] and (tmp_path / NAME).stat().st_size < 300
        with pytest.raises(UsageError, match=r"\(process "):
            alone_in(tmp_path).__enter__()
