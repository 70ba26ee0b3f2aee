"""Another implementation beside ours in `msmd bench --peer-path`: a Python file of the user's, or a checkout."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msmdcli.errors import UsageError
from msmdcli.system.machine import available_cores


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


def load_peer(path: Path, threads: int = 0) -> Peer:
    """Load a peer. Its code is run, so name only what you wrote or read.

    Weights may be random: time does not depend on them. If it uses PyTorch, that gets as many threads as we do.

    Args:
        path: a Python file that defines `NAME`, `step()` (one denoising step of one window of 4 s with the guidance
            branches that it uses by default) and, if wanted, `window()` (the whole window at its own default number of
            steps); or the folder of a checkout, see `msmdcli.peer_checkout`.
        threads: within an operator; 0 is one per core.

    Raises:
        UsageError: nothing is there, or it cannot be run, or it lacks what is needed.
    """
    if path.is_dir():
        from msmdcli.peer_checkout import load_checkout

        peer = load_checkout(path)
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
    except Exception as error:  # whatever the user's file does
        raise UsageError(f"the peer {path} cannot be loaded: {type(error).__name__}: {error}") from error
    step = getattr(module, "step", None)
    if not callable(step):
        raise UsageError(f"the peer {path} defines no function step()", hint="see `msmd bench --help`")
    window = getattr(module, "window", None)
    return Peer(str(getattr(module, "NAME", path.stem)), step, window if callable(window) else None)
