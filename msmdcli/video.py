"""The address that reading videos had in version 0.1, kept for scripts: see `msmdcli.media.video`."""

from msmdcli.media.suffixes import is_video
from msmdcli.media.video import VideoInfo, probe_video, read_video

__all__ = ["VideoInfo", "is_video", "probe_video", "read_video"]
