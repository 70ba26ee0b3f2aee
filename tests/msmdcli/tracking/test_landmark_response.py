"""What the landmarks do where the face moves."""

from __future__ import annotations

import numpy as np

from msmdcli.tracking.face_correspondence import shipped_correspondence
from msmdcli.tracking.landmark_response import ALONG, BROWS, LOWERED, PUCKER, SNEER

FACE = shipped_correspondence()


def test_lowered_brows_come_down_and_hardly_draw_together() -> None:
    for side, brow in BROWS.items():
        moved = FACE.seen_deltas[FACE.index(f"browDown{side}")][list(brow)]
        np.testing.assert_allclose(moved[:, 1], -LOWERED * np.array(ALONG), atol=0.05)
        towards_the_middle = -moved[:, 0] * np.sign(FACE.points[list(brow), 0])
        assert (towards_the_middle > 0).all() and (towards_the_middle < 0.25 * LOWERED).all()


def test_sides_mirror_each_other() -> None:
    for kind in ("browDown", "noseSneer"):
        left, right = (FACE.seen_deltas[FACE.index(f"{kind}{side}")] for side in ("Left", "Right"))
        np.testing.assert_allclose(left[FACE.mirror] * (-1, 1, 1), right, atol=0.06)


def test_all_other_channels_are_the_skin_s() -> None:
    shares = {"noseSneerLeft": SNEER, "noseSneerRight": SNEER, "mouthPucker": PUCKER}
    for i, name in enumerate(FACE.channels):
        if name in shares:
            np.testing.assert_allclose(FACE.seen_deltas[i], shares[name] * FACE.deltas[i])
        elif not name.startswith("browDown"):
            np.testing.assert_array_equal(FACE.seen_deltas[i], FACE.deltas[i])
