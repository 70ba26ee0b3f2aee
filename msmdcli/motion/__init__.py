"""What an animation is. `msmdcli.motion` was a file in version 0.1; the names that scripts use are still found here."""

from importlib import import_module
from typing import Any

KEPT = ("Motion", "load_npz", "save_npz", "parse_fps")  # of `msmdcli.motion.motion`


def __getattr__(name: str) -> Any:
    """A kept name, from the module that defines it (PEP 562)."""
    if name not in KEPT:
        raise AttributeError(f"module 'msmdcli.motion' has no attribute {name!r}")
    return getattr(import_module("msmdcli.motion.motion"), name)
