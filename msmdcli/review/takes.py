"""A take as the page draws it, in few bytes: its curves at their own frame rate, and the waveform's peaks.

One block: the length of a JSON text (4 bytes, little endian), that text, the curves as steps from frame to frame
(int16, channel after channel), the peaks (uint8); then raw deflate and base64. A page that is made again keeps the take
that the page before has shown, so that both can be compared.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.motion.motion import Motion
from msmdcli.review.modules import packed, unpacked
from msmdcli.studio.line_view import curves_of

FINEST = 1e-4  # of a value; radians and shares alike
LARGEST = 32_000  # steps that a value may be from 0
MOST_FPS = Fraction(60)
MOST_HEADER = 1 << 20  # bytes that are looked at in a block of an earlier page


def take_text(motion: Motion, peaks: np.ndarray, key: str, facts: dict[str, Any]) -> str:
    """One take, packed.

    Args:
        motion: [T, D], in step with the recording.
        peaks: [n] uint8, of the recording.
        key: of the take, by the ledger.
        facts: what the page says of it.
    """
    if motion.fps > MOST_FPS:
        motion = motion.resample(MOST_FPS)
    largest = float(np.abs(motion.values).max(initial=0.0))
    step = max(FINEST, largest / LARGEST)
    whole = np.round(motion.values.T / step).astype(np.int32)  # [D, T]
    moves = np.diff(whole, axis=1, prepend=0).astype("<i2")  # wraps around, and back when it is summed up
    curves = {name: value for name, value in curves_of(motion).items() if name != "values"}
    text = json.dumps({"key": key, "step": step, "curves": curves, "peaks": len(peaks), **facts}).encode()
    text += b" " * (-len(text) % 4)
    return packed(struct.pack("<I", len(text)) + text + moves.tobytes() + np.asarray(peaks, np.uint8).tobytes())


def key_of_take(text: str) -> str:
    """The key of a packed take; empty where it is none."""
    try:
        content = unpacked(text, MOST_HEADER)
        (size,) = struct.unpack_from("<I", content)
        key = json.loads(content[4 : 4 + size])["key"]
    except (ValueError, KeyError, TypeError, struct.error, zlib.error, RecursionError):
        return ""
    return key if isinstance(key, str) else ""


def shown_motion(out: Path, outputs: Iterable[str]) -> Motion | None:
    """The motion of a line that is shown: of its first file that can be read back, in step with the recording.

    Args:
        out: the batch's folder.
        outputs: paths below it.

    Raises:
        MsmdError: a file is damaged.
    """
    from msmdcli.formats.registry import FORMATS, read_motion
    from msmdcli.motion.roll import without_roll

    readable = {form.suffix for form in FORMATS.values() if form.readable}
    for path in outputs:
        if Path(path).suffix in readable and (out / path).is_file():
            return without_roll(read_motion(out / path))
    return None
