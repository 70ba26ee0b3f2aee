"""A peer from a checkout that is laid out as DiffPoseTalk's is: its denoiser, with random weights.

What is used of it is its interface: the class `DenoisingNetwork(args, device)` in `models/diff_talking_head.py`, and
`add_model_options(parser)` in `options/dpt.py`, whose defaults are the arguments. A step is one call for one window
with all guidance branches as rows; a window is all steps, one after the other. That is a lower bound of the peer's real
time: neither its audio encoder nor the arithmetic of its sampler is in it (ours has the latter). PyTorch is imported
here only; the checkout needs whatever else it imports.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from msmdcli.errors import MsmdError, UsageError
from msmdcli.peer import Peer

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
OTHERWISE = "give a Python file that defines NAME, step() and window() instead; see `msmd bench --help`"


def load_checkout(folder: Path) -> Peer:
    """Build the network of a checkout and try one step.

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
            network = importlib.import_module(NETWORK).DenoisingNetwork(arguments, torch.device("cpu")).eval()
        inputs = _inputs(network, arguments)
        peer = _peer(folder.resolve().name, network, inputs, arguments)
        peer.step()
    except (Exception, SystemExit) as error:  # whatever the checkout does
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


def _inputs(network: Any, arguments: argparse.Namespace) -> tuple[Any, ...]:
    """One window with its guidance branches, drawn at random, in the order of the network's `forward`."""
    import torch

    rows = 1 + len(_conditions(arguments))
    motion = int(network.motion_feat_dim)
    sound = int(getattr(network, "feature_dim", arguments.feature_dim))
    frames, previous = int(arguments.n_motions), int(arguments.n_prev_motions)
    shapes = [(frames, motion), (frames, sound), (1, _person_dim(network, arguments)), (previous, motion)]
    drawn = [torch.randn(rows, *shape) for shape in (*shapes, (previous, sound))]
    step = torch.full((rows,), int(arguments.n_diff_steps) // 2, dtype=torch.long)  # [N]
    indicator = torch.ones(rows, frames) if arguments.use_indicator else None
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
