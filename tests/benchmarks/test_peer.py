"""Peers: another implementation as a file of the user's, or as a checkout with the interface of DiffPoseTalk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stand_in import make_bundle

from benchmarks.peers.peer import compare, load_peer
from msmdcli.errors import MsmdError, UsageError
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "peers" / "peer.py"
SLOW = """
import time
from pathlib import Path
NAME = "slow one"
def step():
    time.sleep(0.05)
def window():
    with Path(__file__).with_suffix(".windows").open("a") as file:
        file.write("w")
    time.sleep(0.1)
"""

OPTIONS = """
def add_model_options(parser):
    parser.add_argument("--n_diff_steps", type=int, default=5)
    parser.add_argument("--guiding_conditions", type=str, default="audio,style")
    parser.add_argument("--feature_dim", type=int, default=16)
    parser.add_argument("--n_motions", type=int, default=10)
    parser.add_argument("--n_prev_motions", type=int, default=3)
    parser.add_argument("--d_style", type=int, default=4)
    parser.add_argument("--style_enc_ckpt", type=str, default=None)
    parser.add_argument("--use_indicator", action="store_true", default=INDICATOR)
"""

NETWORK = """
import torch
from torch import nn
from models.parts import MOTION


class DenoisingNetwork(nn.Module):
    def __init__(self, args, device):
        super().__init__()
        self.motion_feat_dim = MOTION
        self.feature_dim = args.feature_dim
        self.indicator = args.use_indicator
        self.with_style = args.style_enc_ckpt is not None
        self.calls = []
        PERSON
        self.motion = nn.Linear(MOTION, args.feature_dim)
        self.out = nn.Linear(args.feature_dim, MOTION)
        self.to(device)

    def forward(self, motion_feat, audio_feat, person_feat, prev_motion_feat, prev_audio_feat, step, indicator=None):
        assert self.with_style and not self.training and not torch.is_grad_enabled()
        assert (indicator is not None) == self.indicator and step.dtype == torch.long
        self.calls.append([tuple(value.shape) for value in (motion_feat, audio_feat, person_feat, step)])
        person = self.embed(person_feat)
        before = self.motion(prev_motion_feat) + prev_audio_feat
        tokens = torch.cat([person, before, self.motion(motion_feat) + audio_feat], dim=1)
        return self.out(tokens)[:, -motion_feat.shape[1] :]
"""
PERSONS = {
    "a layer called so": ("self.person_proj = self.embed = nn.Linear(9, args.feature_dim)", 9),
    "an attribute": ("self.person_feat_dim = 7; self.embed = nn.Linear(7, args.feature_dim)", 7),
    "shape and style": ("self.shape_feat_dim = 20; self.embed = nn.Linear(24, args.feature_dim)", 24),
    "the usual shape and style": ("self.embed = nn.Linear(104, args.feature_dim)", 104),
}


def checkout(folder: Path, network: str = NETWORK, person: str = "a layer called so", indicator: bool = False) -> Path:
    """A stand-in with the interface of a checkout."""
    for name, text in {
        "models/diff_talking_head.py": network.replace("PERSON", PERSONS[person][0]),
        "models/parts.py": "MOTION = 6",
        "options/dpt.py": OPTIONS.replace("INDICATOR", str(indicator)),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("person", PERSONS)
@pytest.mark.parametrize("indicator", [False, True])
def test_a_checkout_runs_with_random_weights(tmp_path: Path, person: str, indicator: bool) -> None:
    pytest.importorskip("torch")
    before, path = set(sys.modules), list(sys.path)
    peer = load_peer(checkout(tmp_path / "Other", person=person, indicator=indicator), threads=1)
    assert peer.name == "Other" and peer.contains.startswith("5 steps of 3 rows")
    assert peer.step().shape == (3, 10, 6)  # type: ignore[attr-defined]
    network = inside(peer.step, "network")
    assert network.calls[0] == [(3, 10, 6), (3, 10, 16), (3, 1, PERSONS[person][1]), (3,)]
    network.calls.clear()
    assert peer.window is not None
    peer.window()
    assert len(network.calls) == 5
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] in ("models", "options")}
    assert sys.path == path


def inside(function: object, name: str):  # type: ignore[no-untyped-def]
    """What a function calls `name`."""
    code, cells = function.__code__, function.__closure__  # type: ignore[attr-defined]
    return dict(zip(code.co_freevars, cells, strict=True))[name].cell_contents


def test_two_checkouts_do_not_mix(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    first = load_peer(checkout(tmp_path / "a"))
    second = load_peer(checkout(tmp_path / "b", person="an attribute"))
    for peer, dim in ((first, 9), (second, 7)):
        assert inside(peer.step, "inputs")[2].shape == (3, 1, dim)


def test_options_that_are_kept_elsewhere_have_the_published_values(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = checkout(tmp_path / "Other")
    (folder / "options" / "dpt.py").write_text("def add_model_options(parser):\n    pass\n", encoding="utf-8")
    peer = load_peer(folder)
    assert peer.contains.startswith("500 steps of 3 rows")
    assert peer.step().shape == (3, 100, 6)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("models/diff_talking_head.py", None, r"has no models/diff_talking_head\.py"),
        ("options/dpt.py", None, r"has no options/dpt\.py"),
        ("models/diff_talking_head.py", "class Other:\n    pass\n", "DenoisingNetwork"),
        ("models/diff_talking_head.py", "class DenoisingNetwork(:\n", "SyntaxError"),
        ("models/diff_talking_head.py", "import no_such_library\n", "no_such_library"),
        ("models/diff_talking_head.py", NETWORK.replace("PERSON", "self.embed = nn.Linear(3, 16)"), "RuntimeError"),
        ("models/diff_talking_head.py", NETWORK.replace("person_feat, prev", "prev"), "cannot be run"),
        (
            "options/dpt.py",
            "def add_model_options(parser):\n    parser.add_argument('--x', required=True)\n",
            "SystemExit",
        ),
        ("options/dpt.py", "x = 1\n", "add_model_options"),
    ],
)
def test_a_checkout_that_does_not_fit(tmp_path: Path, file: str, text: str | None, told: str) -> None:
    pytest.importorskip("torch")
    path = checkout(tmp_path / "Other") / file
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told) as error:
        load_peer(tmp_path / "Other")
    assert "NAME, step() and window()" in error.value.hint and "\n" not in error.value.message


def test_a_checkout_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout(tmp_path / "Other")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MsmdError, match="needs PyTorch"):
        load_peer(folder)


def test_a_peer_that_does_not_fit_is_refused_in_a_sentence(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
    assert run.returncode == 2 and "has no models/diff_talking_head.py" in run.stderr and "Traceback" not in run.stderr


def test_steps_and_windows_are_measured_in_the_same_turns(tmp_path: Path) -> None:
    path = tmp_path / "peer.py"
    path.write_text(SLOW, encoding="utf-8")
    engine = Engine(Bundle.load(make_bundle(tmp_path / "bundle")), "cpu", 1)
    found = {measure.name: measure.value for measure in compare(engine, load_peer(path), repeat=1)}
    assert found["slow one, step"] >= 50
    assert found["ratio of windows"] == pytest.approx(found["slow one, window"] / found["window"], rel=0.01)
    assert path.with_suffix(".windows").read_text() == "w"  # it may take minutes: once is enough


def test_a_checkout_that_takes_cuda_by_default_is_given_the_device(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    helper = "def mask(size, device='cuda', *, more=1):\n    return torch.zeros(size, device=device)\n\n\nclass Den"
    network = NETWORK.replace("class Den", helper).replace(
        "        self.to(device)", "        mask(3)\n        self.to(device)"
    )
    folder = checkout(tmp_path / "Other", network.replace("from torch import nn", "from torch import nn", 1))
    if not torch.cuda.is_available():
        assert load_peer(folder).step().device.type == "cpu"  # type: ignore[attr-defined]


def test_the_plain_peer_is_of_the_papers_size() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    peer = load_peer(SCRIPT.with_name("plain_torch.py"), threads=1)
    assert peer.name == "plain PyTorch" and peer.window is not None
    assert peer.step().shape == (3, 100, 55)  # type: ignore[attr-defined]


def test_a_file_that_runs_a_checkout(tmp_path: Path) -> None:
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
