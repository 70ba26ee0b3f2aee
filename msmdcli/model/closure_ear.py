"""The closure ear: where m, b and p, f and v, and open vowels sound, heard in the audio features of a line.

`closures.onnx` of a bundle takes features [F, C0] at the audio encoder's own pace and gives, for each row, how likely
each of its sounds is. `python -m training.speech.closures` trains it and puts it into a bundle; a bundle without one
animates as before, its lips close as its network closes them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msmdcli.model.bundle import Bundle
from msmdcli.model.runtime import Graph
from msmdcli.model.stores import Features

Array = NDArray[np.float32]

CLOSURES_GRAPH = "closures.onnx"
BLOCK = 1500  # frames of motion heard at once: a long line in flat memory
REACH = 32  # frames of motion heard beside a block; the network reaches 14 rows to either side


def hear_closures(graph: Graph, features: Features, bundle: Bundle) -> Array:
    """How likely each of the ear's sounds is, [F, 3], F = T stack: a row every 1 / (fps stack) seconds.

    Blocks lie at fixed places and overlap by more than the network's reach, so a row does not depend on them.

    Args:
        graph: `closures.onnx`, with one thread.
        features: [T, C0 stack] of the line.
        bundle: whose encoder made them.
    """
    form, frames = bundle.audio_encoder, len(features)
    heard = []
    for start in range(0, frames, BLOCK):
        stop = min(start + BLOCK, frames)
        first = max(0, start - REACH)
        rows = np.asarray(features[first : min(stop + REACH, frames)], np.float32).reshape(-1, form.dim)
        likely = graph.run({"features": rows}, ("likely",))["likely"]
        heard.append(likely[(start - first) * form.stack : (stop - first) * form.stack])
    return np.concatenate(heard).astype(np.float32)
