"""The address that reading audio had in version 0.1, kept for scripts that use it: see `msmdcli.media.audio`."""

from msmdcli.media.audio import Audio, load_audio

__all__ = ["Audio", "load_audio"]
