"""Ray: the same bytes as local workers, lost workers survived, unfit nodes refused in a sentence."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from voice_lines import write_project

from msmdcli import __version__
from msmdcli.batch.planned import BatchOptions
from msmdcli.batch.run import run_batch
from msmdcli.console import Console
from msmdcli.errors import MsmdError, UsageError
from msmdcli.model.bundle import Bundle
from msmdcli.model.sampling import Sampling
from msmdcli.workers.line_worker import WorkerConfig
from msmdcli.workers.ray_cluster import _Worker

PATIENT = {  # workers and nodes may take their time, and none is killed because others fill the memory
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_health_check_timeout_ms": "600000",
    "RAY_gcs_server_request_timeout_seconds": "600",
    "RAY_memory_monitor_refresh_ms": "0",
}
SKIP = ("ledger.jsonl", "report.json", "report.html")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray on this machine, with two cores, started once for all tests here."""
    module = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.update(PATIENT)
    given = {"num_cpus": 2, "object_store_memory": 128 << 20, "include_dashboard": False, "log_to_driver": False}
    for attempt in range(3):  # Ray gives itself 30 s to start, which a busy machine may not have
        try:
            module.init("local", **given)
            break
        except Exception:
            module.shutdown()
            if attempt == 2:
                pytest.skip("Ray does not start on this machine now")
    yield module
    module.shutdown()


@pytest.fixture
def options(tmp_path: Path, stand_in_bundle: Path) -> BatchOptions:
    manifest = write_project(tmp_path, (0.4,) * 24 + (1.5, 2.7))
    return BatchOptions(manifest, tmp_path / "out", bundle=stand_in_bundle, styles=(tmp_path / "styles",), threads=1)


def bytes_of(out: Path) -> dict[str, str]:
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in SKIP]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Watching(io.StringIO):
    """Events as they come; `act` is called at the first line that is made."""

    def __init__(self, act: Any) -> None:
        super().__init__()
        self.act = act

    def write(self, text: str) -> int:
        if self.act and '"made"' in text and '"line"' in text:
            act, self.act = self.act, None
            act()
        return super().write(text)


def ray_workers() -> list[Any]:
    """Of the Ray that these tests have started, not of another on this machine."""
    import psutil

    below = psutil.Process().children(recursive=True)
    return [process for process in below if process.is_running() and process.name().startswith("ray::_Worker")]


def test_the_same_bytes_as_local_even_when_a_worker_is_killed(
    ray: Any, options: BatchOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_batch(options, Console(verbosity=-1)) == 0
    expected = bytes_of(options.out)
    assert len(expected) == 26
    killed: list[int] = []

    def kill() -> None:
        worker = ray_workers()[0]
        killed.append(worker.pid)
        worker.kill()
        print("chatter")  # as Ray's of the dead worker, on stdout, where events are

    events = Watching(kill)
    out = options.out.with_name("by_ray")
    slow = {"sampling": Sampling("ddpm", 60), "batch_size": 2}  # both workers together hold twelve lines at most
    code = run_batch(replace(options, out=out, engine="ray", jobs=2, **slow), Console(True, -1, events, io.StringIO()))
    made = [json.loads(line) for line in events.getvalue().splitlines()]
    assert code == 0 and killed and made[-1]["made"] == 26
    assert "chatter" not in capsys.readouterr().out
    assert run_batch(replace(options, out=options.out.with_name("slow"), **slow), Console(verbosity=-1)) == 0
    assert bytes_of(out) == bytes_of(options.out.with_name("slow"))
    assert run_batch(replace(options, out=options.out, engine="ray"), Console(verbosity=-1)) == 0  # all unchanged
    assert not list(out.glob(".*"))
    latest = time.monotonic() + 300
    while ray_workers() and time.monotonic() < latest:  # they are told to go; Ray takes its time
        time.sleep(0.1)
    assert not ray_workers()


def config_of(bundle: Path) -> WorkerConfig:
    return WorkerConfig(bundle, "cpu", 1, None, Sampling().resolve(Bundle.load(bundle)), {})


def test_a_node_that_is_not_fit_says_why(tmp_path: Path, stand_in_bundle: Path) -> None:
    config, digest = config_of(stand_in_bundle), Bundle.load(stand_in_bundle).sha256
    seen = tmp_path / "seen"
    seen.touch()
    for version, bundle, file, why in (
        ("0.0.1", digest, seen, "not 0.0.1"),
        (__version__, "0" * 64, seen, "another bundle"),
        (__version__, digest, tmp_path / "nowhere/seen", "does not see"),
    ):
        answer = asyncio.run(_Worker().load(config, version, bundle, file))
        assert isinstance(answer, MsmdError) and why in answer.message
    answer = asyncio.run(_Worker().load(replace(config, bundle=tmp_path), __version__, digest, seen))
    assert isinstance(answer, MsmdError) and "bundle" in answer.message


def test_without_ray_there_is_a_sentence(options: BatchOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        run_batch(replace(options, engine="ray"), Console(verbosity=-1, stderr=io.StringIO()))
    assert "pip install" in caught.value.hint


def test_a_wrong_engine_and_an_address_without_ray_are_refused(options: BatchOptions) -> None:
    with pytest.raises(UsageError, match="spark"):
        run_batch(replace(options, engine="spark"), Console(verbosity=-1))
    with pytest.raises(UsageError, match="--engine ray"):
        run_batch(replace(options, ray_address="auto"), Console(verbosity=-1))
    assert not options.out.exists()
