"""Pictures as video keeps them, NV12: a plane of brightness, below it one of colour for each two by two pixels.

An array [H * 3 / 2, W] uint8: H rows of brightness, then H / 2 rows of blueness and redness in turn; H and W are even.
Two pictures side by side are therefore `np.hstack` of them. The numbers are those of ITU-R BT.709 (sections 3 and 4) in
"limited" range, brightness 16 to 235 and colour 16 to 240; here they are shares of 255, as shaders take them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BT709, LIMITED = 1, 1  # as ISO/IEC 23091-2 numbers them
LUMA = (0.2126, 0.7152, 0.0722)  # brightness of red, green, blue
BLUE_SPAN, RED_SPAN = 2 * (1 - LUMA[2]), 2 * (1 - LUMA[0])  # of blue or red without brightness, from -1 to 1 of it
BLACK, WHITE = 16 / 255, 219 / 255  # brightness of black; from there to white
MIDDLE, CHROMA = 128 / 255, 224 / 255  # colour of grey; from full colour to its opposite


def nv12_of(picture: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 sRGB, H and W even -> [H * 3 / 2, W] uint8."""
    import av

    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame.reformat(format="nv12", dst_colorspace=BT709, dst_color_range=LIMITED).to_ndarray()


def coded(colour: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Brightness, blueness, redness (shares of 255) of an sRGB colour 0..1."""
    red, green, blue = (float(value) for value in colour)
    bright = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return (
        BLACK + WHITE * bright,
        MIDDLE + CHROMA * (blue - bright) / BLUE_SPAN,
        MIDDLE + CHROMA * (red - bright) / RED_SPAN,
    )
