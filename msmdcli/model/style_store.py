"""Style codes on disk: a style reference is encoded once, whatever the number of runs.

A file in `cache_dir()/style_codes` holds what the style encoder made of one reference, and its resting pose, float32,
so a line has the same bytes with and without the cache. Its name is a sha256 of everything that decides its content:
the motion of the clips, the bundle, and what computes (ONNX Runtime's version, device, processor). What is damaged is
made again; see `KeptFiles`. It is switched off together with the audio features (`MSMD_FEATURE_CACHE=off`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from msmdcli.model.feature_store import FeatureStore
from msmdcli.system.kept_files import KeptFiles
from msmdcli.system.processor import processor_kind

if TYPE_CHECKING:
    from msmdcli.model.bundle import Bundle
    from msmdcli.motion.motion import Motion

Array = NDArray[np.float32]

VERSION = 1  # raise it when a change of the program changes codes or resting poses
MOST_BYTES = 20_000_000  # 15,000 references


class StyleStore(KeptFiles):
    """The folder of style codes."""

    NAME, SUFFIX = "style_codes", ".style"
    VARIABLE = FeatureStore.VARIABLE

    @classmethod
    def usual_limit(cls) -> int:
        return min(FeatureStore.usual_limit(), MOST_BYTES)

    def recall(self, key: str, sizes: Sequence[int], encode: Callable[[], Sequence[Array]]) -> list[Array]:
        """Vectors of the given sizes: those that are stored under `key`, else what `encode` gives."""
        content = self.read(key)
        if content is not None and len(content) == 4 * sum(sizes):
            return np.split(np.frombuffer(content, np.float32), np.cumsum(sizes)[:-1])
        vectors = list(encode())
        self.keep(key, [np.asarray(vector, np.float32).tobytes() for vector in vectors])
        return vectors


def style_key(clips: Sequence[Motion], bundle: Bundle, longest: int, device: str, runtime: str) -> str:
    """What decides the code of a style reference: sha256.

    Args:
        clips: their motion counts, not their files.
        bundle: its style encoder, rig, frame rate and normalisation.
        longest: seconds that are encoded at once.
        device, runtime: where the encoder runs, and the version of ONNX Runtime.
    """
    motions = [
        [clip.rig.name, clip.rig.channels, str(clip.fps), hashlib.sha256(clip.values.data).hexdigest()]
        for clip in clips
    ]
    content = [VERSION, bundle.sha256, motions, longest, device, runtime, processor_kind()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
