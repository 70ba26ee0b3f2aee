"""`msmd bench`: what it measures is there, adds up, and comes with its conditions."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import soundfile
from stand_in import make_bundle
from typer.testing import CliRunner

from msmdcli.bench import BenchOptions, Measure, bench, load_peer
from msmdcli.cli import app
from msmdcli.errors import MsmdError, UsageError
from msmdcli.feature_store import SUFFIX

PEER = """
import time
NAME = "slow one"
def step():
    time.sleep(0.05)
def window():
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny bundle, and a folder of two recordings of 1 s."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "sound").mkdir()
    for number in range(2):
        soundfile.write(folder / "sound" / f"{number}.wav", [0.01] * 16000, 16000)
    return make_bundle(folder / "bundle"), folder / "sound"


def test_everything_is_measured_under_stated_conditions(material: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, sound = material
    peer = tmp_path / "peer.py"
    peer.write_text(PEER, encoding="utf-8")
    options = BenchOptions(bundle, (sound,), repeat=1, device="cpu", memory=False, peer=peer)
    begin = time.perf_counter()
    result = bench(options, lambda _: None)
    whole = time.perf_counter() - begin
    found = {measure.name: measure for measure in result.measures}
    assert {"start-up", "first line", "main job", "another style", "step, 3 rows", "window"} <= set(found)
    assert 0 < found["start-up"].value < found["first line"].value < whole
    job_seconds = found["main job"].value * 2  # two seconds of sound
    assert found["lines"].value == pytest.approx(2 / job_seconds * 3600, rel=1e-6)
    assert 50 <= found["slow one, step"].value < 1000 * whole
    ours, theirs = found["window"].value, found["slow one, window"].value
    assert found["ratio of windows"].value == pytest.approx(theirs / ours, rel=0.01)
    assert result.conditions["recordings"] == 2 and result.conditions["device"] == "cpu"
    table = result.markdown()
    assert all(name in table for name in found) and "onnxruntime" in table
    json.dumps(result.as_dict())


def test_memory_is_the_childs_own(tmp_path: Path) -> None:
    """A process's peak is counted from its start; what this process holds is none of it."""
    from msmdcli.bench import _run

    ballast = bytearray(400_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    seconds, peak = _run(["--help"])
    assert peak is not None and 10 < peak < 300 and seconds > 0.05
    assert len(ballast) == 400_000_000
    with pytest.raises(MsmdError, match="no-such-command"):
        _run(["no-such-command"])


def test_the_median_counts() -> None:
    measure = Measure.of("x", "s", [3.0, 1.0, 2.0], "nothing")
    assert (measure.value, measure.low, measure.high) == (2.0, 1.0, 3.0)


def test_a_peer_from_a_checkout(tmp_path: Path) -> None:
    """As for another project's network: its class from its folder, its sizes from its options, weights at random."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "other_network.py").write_text(
        "import numpy as np\n"
        "class Network:\n"
        "    def __init__(self, width):\n"
        "        self.weight = np.random.default_rng(0).standard_normal((width, width))\n"
        "    def denoise(self, x):\n"
        "        return x @ self.weight\n",
        encoding="utf-8",
    )
    (checkout / "options.json").write_text('{"width": 8, "steps": 3}', encoding="utf-8")
    peer = tmp_path / "peer.py"
    peer.write_text(
        "import json, sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "CHECKOUT = Path(__file__).parent / 'checkout'\n"
        "sys.path.insert(0, str(CHECKOUT))\n"
        "from other_network import Network\n"
        "OPTIONS = json.loads((CHECKOUT / 'options.json').read_text())\n"
        "NAME, network = 'other', Network(OPTIONS['width'])\n"
        "def step():\n"
        "    return network.denoise(np.ones((3, OPTIONS['width'])))\n"
        "def window():\n"
        "    return [step() for _ in range(OPTIONS['steps'])]\n",
        encoding="utf-8",
    )
    found = load_peer(peer)
    assert found.name == "other" and found.window is not None
    assert found.step().shape == (3, 8) and len(found.window()) == 3  # type: ignore[attr-defined,arg-type]


def test_the_main_job_hears_every_recording_anew(
    material: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first style of each turn finds no audio features kept, the second finds those of the first."""
    import msmdcli.bench

    run, seen = msmdcli.bench._run, []

    def watched(arguments: list[str], cache: Path | None = None) -> tuple[float, float | None]:
        if cache is not None and cache.name.startswith("cache_") and cache.name[6:].isdigit():
            seen.append(len(list(cache.rglob(f"*{SUFFIX}"))))
        return run(arguments, cache)

    monkeypatch.setattr("msmdcli.bench._run", watched)
    bundle, sound = material
    bench(BenchOptions(bundle, (sound,), repeat=2, device="cpu", memory=False), lambda _: None)
    assert seen == [0, 1, 0, 1]  # both recordings sound the same


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no peer at"),
        ("def step(:", "SyntaxError"),
        ("x = 1", "no function step"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_peer_that_cannot_be_used(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "peer.py"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        load_peer(path)


def test_recordings_that_are_not_there(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["bench", str(tmp_path / "gone"), "--repeat", "1"])
    assert run.exit_code == 2 and "no recording or folder" in run.stderr
    run = CliRunner().invoke(app, ["bench", str(tmp_path), "--repeat", "1"])
    assert run.exit_code == 2 and "no recordings" in run.stderr
