"""Pictures of a head: what is seen where, and files that others can read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.drawing.numpy_renderer import render_frame
from msmdcli.drawing.pictures import contact_sheet, posed, write_png
from msmdcli.errors import MsmdError
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.media.mp4 import write_mp4
from msmdcli.motion.motion import Motion
from msmdcli.paths import shared_dir

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def head() -> MeshDecoder:
    shared = shared_dir()
    path = shared / "heads" / "ict_head_arkit52.glb" if shared else None
    if path is None or not path.is_file():
        pytest.skip("the shared ICT head is not here")
    return load_head(path)


def values(head: MeshDecoder, **channels: float) -> np.ndarray:
    found = np.zeros(head.rig.size, np.float32)
    for name, value in channels.items():
        found[head.rig.index(name)] = value
    return found


def test_a_face_on_a_background(head: MeshDecoder) -> None:
    picture = render_frame(head, values(head), 96)
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8
    corner, cheek = picture[2, 2].astype(int), picture[60, 40].astype(int)
    assert cheek[0] > cheek[2] + 20  # skin is warm
    assert abs(corner[0] - corner[2]) < 15  # the background is not
    assert (picture == render_frame(head, values(head), 96)).all()


def test_expressions_change_the_picture_where_they_are(head: MeshDecoder) -> None:
    rest = render_frame(head, values(head), 96).astype(int)
    opened = np.abs(render_frame(head, values(head, jawOpen=1.0), 96).astype(int) - rest).sum(axis=2)
    blinked = render_frame(head, values(head, eyeBlinkLeft=1.0, eyeBlinkRight=1.0), 96).astype(int)
    closed = np.abs(blinked - rest).sum(axis=2)
    assert opened[:40].max() < 60 < opened[50:].max()  # the jaw is in the lower half
    assert closed[55:].max() < 60 < closed[25:50].max()  # the eyes are in the upper one


def test_the_left_eye_is_the_person_s_own(head: MeshDecoder) -> None:
    rest = render_frame(head, values(head), 96).astype(int)
    changed = np.abs(render_frame(head, values(head, eyeBlinkLeft=1.0), 96).astype(int) - rest).sum(axis=(0, 2))
    assert changed[48:].sum() > 5 * changed[:48].sum()  # on the right of the picture


def test_the_head_turns_as_the_rig_says(head: MeshDecoder) -> None:
    nose, crown = head.neutral[head.skin][:, 2].argmax(), head.neutral[head.skin][:, 1].argmax()

    def moved(**angles: float) -> np.ndarray:
        turned = posed(head, values(head, **angles))
        return np.stack([turned[head.skin[nose]], turned[head.skin[crown]]]) - head.neutral[head.skin[[nose, crown]]]

    assert moved(headYaw=0.3)[0, 0] > 10  # to the person's own left, +x
    assert moved(headPitch=0.3)[0, 1] < -10  # a nod down
    assert moved(headRoll=0.3)[1, 0] < -10  # the crown to the person's right shoulder


def test_contact_sheet_has_a_place_for_each_picture(head: MeshDecoder) -> None:
    motion = Motion(np.stack([values(head, jawOpen=x) for x in (0.0, 0.5, 1.0)]), 25, head.rig)
    sheet = contact_sheet(head, motion, columns=2, rows=2, size=32)
    assert sheet.shape == (64, 64, 3)
    assert len(np.unique(sheet[32:, 32:].reshape(-1, 3), axis=0)) == 1  # the fourth place is empty
    assert (sheet[:32, :32] == render_frame(head, motion.values[0], 32)).all()


def test_too_small_a_picture_is_refused(head: MeshDecoder) -> None:
    with pytest.raises(MsmdError, match="cannot be drawn"):
        render_frame(head, values(head), 2)


def test_png_and_mp4_can_be_read_again(tmp_path: Path) -> None:
    import av

    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    write_png(tmp_path / "a.png", picture)
    with av.open(str(tmp_path / "a.png")) as container:
        read = next(container.decode(video=0)).to_ndarray(format="rgb24")
    np.testing.assert_array_equal(read, picture)

    tone = np.sin(np.arange(16000) * 0.2).astype(np.float32) * 0.3
    write_mp4(tmp_path / "a.mp4", (np.full((32, 48, 3), 10 * i, np.uint8) for i in range(25)), Fraction(25), tone)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].average_rate == 25
        assert len(list(container.decode(video=0))) == 25
    with av.open(str(tmp_path / "a.mp4")) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(sound) / 16000 == pytest.approx(1.0, abs=0.1)
