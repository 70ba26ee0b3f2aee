"""Another implementation beside ours, on the same machine and in the same turns.

    python benchmarks/peers/peer.py PEER [--bundle FOLDER] [--repeat 3] [--threads 1] [--steps N] [--peer-device cpu]

PEER is a Python file that defines `NAME`, `step()` (one denoising step of one window of 4 s with the guidance branches
that it uses by default) and, if wanted, `window()` (the whole window at its own default number of steps), such as
`plain_torch.py` beside this file; or the folder of a checkout that is laid out as DiffPoseTalk's is. Its code is run,
so name only what you wrote or read. The row of the README: `peer.py benchmarks/peers/plain_torch.py --threads 1`.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from msmdcli.checkup.bench import Measure, per_window, table
from msmdcli.errors import MsmdError, UsageError
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.sampling import Sampling
from msmdcli.paths import shipped_bundle
from msmdcli.system.machine import available_cores

NETWORK, OPTIONS = "models.diff_talking_head", "options.dpt"
KNOWN = {  # the published defaults, for options that its file leaves to other files
    "n_diff_steps": 500,
    "guiding_conditions": "audio,style",
    "feature_dim": 512,
    "n_motions": 100,
    "n_prev_motions": 10,
    "fps": 25,
    "d_style": 128,
    "style_enc_ckpt": None,
    "use_indicator": False,
}
SHAPE_DIM = 100  # of a person's features, beside the style
OTHERWISE = "give a Python file that defines NAME, step() and window() instead; see the head of peers/peer.py"


@dataclass(frozen=True)
class Peer:
    """Another implementation.

    Attributes:
        name: for the table.
        step: one denoising step of one window with all guidance branches.
        window: one window from noise to motion at its own default settings, or None.
        contains: what `window` is, in words.
    """

    name: str
    step: Callable[[], object]
    window: Callable[[], object] | None
    contains: str = "the peer's own window()"


def load_peer(path: Path, threads: int = 0, device: str = "cpu") -> Peer:
    """Load a peer. Its code is run, so name only what you wrote or read.

    Weights may be random: time does not depend on them. If it uses PyTorch, that gets as many threads as we do.

    Args:
        path: a Python file that defines `NAME`, `step()` (one denoising step of one window of 4 s with the guidance
            branches that it uses by default) and, if wanted, `window()` (the whole window at its own default number of
            steps); or the folder of a checkout, see `load_checkout`.
        threads: within an operator; 0 is one per core.
        device: of a checkout's network, as PyTorch calls it.

    Raises:
        UsageError: nothing is there, or it cannot be run, or it lacks what is needed.
    """
    if path.is_dir():
        peer = load_checkout(path, device)
    elif path.is_file():
        peer = _load_file(path)
    else:
        hint = "give a Python file that defines NAME, step() and window(), or the folder of a checkout"
        raise UsageError(f"no peer at {path}", hint=hint)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads or available_cores())
    return peer


def _load_file(path: Path) -> Peer:
    spec = importlib.util.spec_from_file_location("msmd_peer", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file", hint="its name ends with .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # anything the user's file does
        raise UsageError(f"the peer {path} cannot be loaded: {type(error).__name__}: {error}") from error
    step = getattr(module, "step", None)
    if not callable(step):
        raise UsageError(f"the peer {path} defines no function step()", hint="see the head of peers/peer.py")
    window = getattr(module, "window", None)
    return Peer(str(getattr(module, "NAME", path.stem)), step, window if callable(window) else None)


def load_checkout(folder: Path, device: str = "cpu") -> Peer:
    """Build the network of a checkout that is laid out as DiffPoseTalk's is, with random weights, and try one step.

    What is used of it is its interface: the class `DenoisingNetwork(args, device)` in `models/diff_talking_head.py`,
    and `add_model_options(parser)` in `options/dpt.py`, whose defaults are the arguments. A step is one call for one
    window with all guidance branches as rows; a window is all steps, one after the other. That is a lower bound of the
    peer's real time: neither its audio encoder nor the arithmetic of its sampler is in it (ours has the latter).
    PyTorch is imported here only; the checkout needs whatever else it imports.

    Raises:
        UsageError: it is laid out otherwise, or its network cannot be built or called as described above.
        MsmdError: PyTorch is not installed.
    """
    for name in (NETWORK, OPTIONS):
        file = Path(*name.split(".")).with_suffix(".py")
        if not (folder / file).is_file():
            raise UsageError(f"the peer {folder} has no {file.as_posix()}", hint=OTHERWISE)
    try:
        import torch
    except ImportError as error:
        raise MsmdError(f"a peer's checkout needs PyTorch: {error}", hint="pip install torch") from error
    try:
        with _importable(folder):
            arguments = _arguments(importlib.import_module(OPTIONS))
            module = importlib.import_module(NETWORK)
            _set_default_device(folder, device)
            network = module.DenoisingNetwork(arguments, torch.device(device)).to(device).eval()
        inputs = _inputs(network, arguments, device)
        peer = _peer(folder.resolve().name, network, inputs, arguments)
        peer.step()
    except (Exception, SystemExit) as error:  # anything the checkout does
        said = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {said[0] if said else ''}"
        missing = "pip install what it needs; or " if isinstance(error, ImportError) else ""
        raise UsageError(f"the peer in {folder} cannot be run: {reason}", hint=missing + OTHERWISE) from error
    return peer


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Its modules can be imported meanwhile, and are forgotten afterwards: `models` is anybody's name."""
    root = folder.resolve()
    own = {path.stem for path in root.iterdir() if path.is_dir() or path.suffix == ".py"}

    def taken_out() -> dict[str, ModuleType]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in own}

    hidden = taken_out()
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))
        taken_out()
        sys.modules.update(hidden)


def _set_default_device(folder: Path, device: str) -> None:
    """Have the functions of a checkout's modules that take a device, and CUDA unless they are given one, take ours."""
    root = str(folder.resolve())
    for module in list(sys.modules.values()):
        if not str(getattr(module, "__file__", None) or "").startswith(root):
            continue
        owners = [module, *(value for value in vars(module).values() if inspect.isclass(value))]
        for function in (value for owner in owners for value in vars(owner).values() if inspect.isfunction(value)):
            wanted = {
                name: device
                for name, parameter in inspect.signature(function).parameters.items()
                if name == "device" and str(parameter.default).startswith("cuda")
            }
            if not wanted:
                continue
            parameters = inspect.signature(function).parameters.values()
            function.__defaults__ = tuple(
                wanted.get(p.name, p.default)
                for p in parameters
                if p.default is not p.empty and p.kind is not p.KEYWORD_ONLY
            )
            if function.__kwdefaults__:
                function.__kwdefaults__.update({k: v for k, v in wanted.items() if k in function.__kwdefaults__})


def _arguments(options: Any) -> argparse.Namespace:
    """The defaults of its options, with a style encoder named: with none it is built without style."""
    parser = argparse.ArgumentParser()
    options.add_model_options(parser)
    arguments = parser.parse_args([])
    for name, value in KNOWN.items():
        if not hasattr(arguments, name):
            setattr(arguments, name, value)
    arguments.style_enc_ckpt = arguments.style_enc_ckpt or "none.pt"
    return arguments


def _inputs(network: Any, arguments: argparse.Namespace, device: str) -> tuple[Any, ...]:
    """One window with its guidance branches, drawn at random, in the order of the network's `forward`."""
    import torch

    rows = 1 + len(_conditions(arguments))
    motion = int(network.motion_feat_dim)
    sound = int(getattr(network, "feature_dim", arguments.feature_dim))
    frames, previous = int(arguments.n_motions), int(arguments.n_prev_motions)
    shapes = [(frames, motion), (frames, sound), (1, _person_dim(network, arguments)), (previous, motion)]
    drawn = [torch.randn(rows, *shape).to(device) for shape in (*shapes, (previous, sound))]
    step = torch.full((rows,), int(arguments.n_diff_steps) // 2, dtype=torch.long, device=device)  # [N]
    indicator = torch.ones(rows, frames, device=device) if arguments.use_indicator else None
    return (*drawn, step, indicator)


def _conditions(arguments: argparse.Namespace) -> list[str]:
    return [name for name in str(arguments.guiding_conditions or "").split(",") if name.strip()]


def _person_dim(network: Any, arguments: argparse.Namespace) -> int:
    """Width of a person's features: what the network says, or what the layer of that name takes."""
    if hasattr(network, "person_feat_dim"):
        return int(network.person_feat_dim)
    for name, layer in network.named_modules():
        if "person" in name and hasattr(layer, "in_features"):
            return int(layer.in_features)
    return int(getattr(network, "shape_feat_dim", SHAPE_DIM)) + int(arguments.d_style)


def _peer(name: str, network: Any, inputs: tuple[Any, ...], arguments: argparse.Namespace) -> Peer:
    import torch

    steps, rows = int(arguments.n_diff_steps), len(inputs[0])

    def step() -> object:
        with torch.inference_mode():
            return network(*inputs)

    def window() -> object:
        for _ in range(steps):
            step()
        return None

    contains = f"{steps} steps of {rows} rows, random weights; without its audio encoder"
    return Peer(name, step, window, contains)


def compare(engine: Engine, peer: Peer, repeat: int) -> list[Measure]:
    """Steps and windows of both, and their ratios. The peer's window may take minutes: it is measured without a
    warm-up, and once for every three repetitions."""
    windows: list[float] = []

    def window() -> None:
        if peer.window is not None and len(windows) < max(1, repeat // 3):
            begin = time.perf_counter()
            peer.window()
            windows.append(1000 * (time.perf_counter() - begin))

    timed = per_window(engine, repeat, {"peer step": peer.step}, each_turn=window)
    steps = [a / b for a, b in zip(timed["step, 3 rows"], timed["peer step"], strict=True)]
    measures = [
        Measure.of("step, 3 rows", "ms", timed["step, 3 rows"], "one denoiser call"),
        Measure.of("window", "ms", timed["window"], "conditioner and all steps of one window"),
        Measure.of(f"{peer.name}, step", "ms", timed["peer step"], "the peer's own step()"),
        Measure.of("ratio of steps", "", steps, f"ours with 3 rows / {peer.name}, pairs of the same turn"),
    ]
    if windows:
        ours = statistics.median(timed["window"])
        measures.append(Measure.of(f"{peer.name}, window", "ms", windows, peer.contains))
        ratios = [theirs / ours for theirs in windows]
        measures.append(Measure.of("ratio of windows", "x faster", ratios, f"{peer.name} / ours, defaults"))
    return measures


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("peer", type=Path, metavar="PEER")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", default="auto", help="ours")
    parser.add_argument("--peer-device", default="cpu", help="of a checkout's network, as PyTorch calls it")
    options = parser.parse_args()
    try:
        peer = load_peer(options.peer, options.threads, options.peer_device)
        bundle = Bundle.load(options.bundle or shipped_bundle())
        engine = Engine(bundle, options.device, options.threads, sampling=Sampling(steps=options.steps))
        print(table(compare(engine, peer, options.repeat)))
    except MsmdError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
