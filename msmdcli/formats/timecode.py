"""Where a clip starts: a frame number, or a timecode that counts frames at the motion's own rate.

Timecode at 30000/1001 frames per second is non-drop: it counts to 30, so that every frame has a number of its own.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from msmdcli.errors import UsageError


def start_frame(start: object, fps: Fraction) -> int:
    """The number of the first frame, from `1001`, -12 or "01:00:00:00"."""
    text = str(start).strip()
    if re.fullmatch(r"[+-]?\d{1,9}", text):
        return int(text)
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2}):(\d{1,2}):(\d{1,3})", text)
    count = math.ceil(fps)
    if found:
        hour, minute, second, frame = (int(part) for part in found.groups())
        if hour < 24 and minute < 60 and second < 60 and frame < count:
            return ((hour * 60 + minute) * 60 + second) * count + frame
    raise UsageError(
        f"start {start!r} is neither a frame number nor a timecode HH:MM:SS:FF with FF below {count}",
        hint="examples: 1001, 01:00:00:00",
    )


def timecode(frame: int, fps: Fraction) -> str:
    """HH:MM:SS:FF of a frame number, within a day; a frame before 0 counts from the end of the day."""
    count = math.ceil(fps)
    seconds, rest = divmod(frame % (24 * 3600 * count), count)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"
