"""The address that rigs had in version 0.1, kept for scripts that use it: see `msmdcli.motion.rig`."""

from msmdcli.motion.rig import Rig

__all__ = ["Rig"]
