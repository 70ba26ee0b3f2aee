"""MSMD: voice lines to facial animation in a chosen performance style.

What is in `__all__` is the Python API (`examples/guides/python.md`); it is loaded when it is first used, so that
`import msmdcli` and `msmd --help` load neither NumPy nor ONNX Runtime. Anything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msmdcli.api import Animator, BatchResult, animate, batch, load_manifest
    from msmdcli.batch.planned import BatchOptions
    from msmdcli.controls.articulation import Articulation
    from msmdcli.controls.blinks import Blinks
    from msmdcli.controls.controls import Controls
    from msmdcli.errors import MsmdError, UsageError
    from msmdcli.formats.registry import read_motion, write_motion
    from msmdcli.media.audio import Audio, load_audio
    from msmdcli.motion.motion import Motion
    from msmdcli.motion.rig import Rig
    from msmdcli.styles.library import StyleLibrary

__version__ = "0.2.0"

__all__ = [
    "Animator",
    "Articulation",
    "Audio",
    "BatchOptions",
    "BatchResult",
    "Blinks",
    "Controls",
    "Motion",
    "MsmdError",
    "Rig",
    "StyleLibrary",
    "UsageError",
    "animate",
    "batch",
    "load_audio",
    "load_manifest",
    "read_motion",
    "write_motion",
]

_HOME = {
    "Animator": "msmdcli.api",
    "Articulation": "msmdcli.controls.articulation",
    "Audio": "msmdcli.media.audio",
    "BatchOptions": "msmdcli.batch.planned",
    "BatchResult": "msmdcli.api",
    "Blinks": "msmdcli.controls.blinks",
    "Controls": "msmdcli.controls.controls",
    "Motion": "msmdcli.motion.motion",
    "MsmdError": "msmdcli.errors",
    "Rig": "msmdcli.motion.rig",
    "StyleLibrary": "msmdcli.styles.library",
    "UsageError": "msmdcli.errors",
    "animate": "msmdcli.api",
    "batch": "msmdcli.api",
    "load_audio": "msmdcli.media.audio",
    "load_manifest": "msmdcli.api",
    "read_motion": "msmdcli.formats.registry",
    "write_motion": "msmdcli.formats.registry",
}


def __getattr__(name: str) -> Any:
    """A name of the API, from the module that defines it (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'msmdcli' has no attribute {name!r}")
    value = import_module("msmdcli.batch") if name == "batch" else getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
