from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.controls.gesture import Gesture, GestureLibrary, load_clip, place
from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.motion_file import MotionFile
from msmdcli.formats.registry import write_motion
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
SHIPPED = GestureLibrary()
PITCH, YAW = RIG.index("headPitch"), RIG.index("headYaw")


def face(seconds: float = 4, fps: int = 30, value: float = 0.1) -> Motion:
    return Motion(np.full((round(seconds * fps), RIG.size), value, np.float32), Fraction(fps), RIG)


def placed(motion: Motion, name: str, library: GestureLibrary = SHIPPED, **how: object) -> Motion:
    gesture = Gesture(name, Path(), **{"at": 1.0, **how}).located(library)  # type: ignore[arg-type]
    return place(motion, gesture)[0]


@pytest.mark.parametrize("name", SHIPPED.names)
def test_every_shipped_gesture_does_something_smoothly_and_is_gone_afterwards(name: str) -> None:
    for fps in (24, 60):
        motion = face(fps=fps)
        made = placed(motion, name)
        away = np.abs(made.values - motion.values)
        assert away.max() > 0.08, name
        outside = (np.arange(motion.frames) / fps < 1.0) | (np.arange(motion.frames) / fps > 2.6)
        assert away[outside].max() == 0, name
        assert (made.values >= RIG.lower).all() and (made.values <= RIG.upper).all()
        step = np.abs(np.diff(made.values, axis=0)).max() * fps / 60  # as at 60 fps
        assert step < 0.27, name  # a blink is the fastest


def test_a_nod_goes_down_and_a_shake_to_both_sides() -> None:
    motion = face(value=0.0)
    nod = placed(motion, "nod").values[:, PITCH]
    assert 0.12 < nod.max() < 0.2 and abs(nod.min()) < 0.05
    shake = placed(motion, "head_shake").values[:, YAW]
    assert shake.max() > 0.15 and shake.min() < -0.15
    wink = placed(motion, "wink_left").values
    assert wink[:, RIG.index("eyeBlinkLeft")].max() > 0.95 and wink[:, RIG.index("eyeBlinkRight")].max() < 0.2


def test_scale_length_and_channels() -> None:
    motion = face(value=0.0)
    full, half = (placed(motion, "nod", scale=scale).values[:, PITCH] for scale in (1.0, 0.5))
    np.testing.assert_allclose(half, full * 0.5, atol=1e-6)
    slow = placed(motion, "nod", length=1.4).values[:, PITCH]
    assert np.flatnonzero(slow)[-1] == pytest.approx(30 + 42, abs=2) and slow.max() == pytest.approx(
        full.max(), abs=0.01
    )
    head = placed(motion, "nod", channels=("head",)).values
    assert np.abs(np.delete(head, PITCH, axis=1)).max() == 0 < head[:, PITCH].max()
    with pytest.raises(MsmdError, match="moves none of its `channels`"):
        placed(motion, "nod", channels=("lips",))


def test_add_comes_on_top_and_replace_takes_the_place() -> None:
    motion = face(value=0.6)
    added = placed(motion, "brow_raise", blend="add").values[:, RIG.index("browInnerUp")]
    assert added.max() == 1.0  # 0.6 + 0.75, held within the range
    replaced = placed(motion, "brow_raise", blend="replace").values[:, RIG.index("browInnerUp")]
    assert replaced.max() == pytest.approx(0.75, abs=0.02)


def test_a_recording_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    """Live Link Face CSV and npz; what departs from the line between first and last pose is added."""
    time = np.linspace(0, 1, 31)
    values = np.full((31, RIG.size), 0.2, np.float32)
    values[:, PITCH] = 0.1 + 0.2 * np.sin(np.pi * time) + 0.1 * time
    take = Motion(values, Fraction(30), RIG)
    write_motion(take, tmp_path / "nod.csv", "livelink-csv")
    write_motion(take, tmp_path / "bow.npz", "npz")
    library = GestureLibrary([tmp_path])
    assert library.names["nod"] == tmp_path / "nod.csv" and library.names["wink_left"] == SHIPPED.names["wink_left"]
    for name in ("nod", "bow", str(tmp_path / "bow.npz")):
        made = placed(face(value=0.0), name, library, fade=0.0).values
        assert made[:, PITCH].max() == pytest.approx(0.2, abs=0.005) and made[45, PITCH] == made[:, PITCH].max()
        assert np.abs(np.delete(made, PITCH, axis=1)).max() == 0
    with pytest.raises(UsageError):
        GestureLibrary([tmp_path / "nowhere"])
    GestureLibrary([], tmp_path / "nowhere")  # the one beside the manifest need not exist


def test_it_may_go_on_after_the_end() -> None:
    gesture = Gesture("nod", Path(), at=3.7).located(SHIPPED)
    assert "400 ms after the end" in place(face(), gesture)[1]
    assert "after the end" in place(face(), Gesture("nod", Path(), at=99).located(SHIPPED))[1]
    with pytest.raises(MsmdError, match="nod"):
        Gesture("nodd", Path(), at=1).located(SHIPPED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("[1]", "not a mapping"),
        ("format_version: 2\nkeys: [{time: 1}]", "gesture format 2"),
        ("format_version: 1\nkies: []", "did you mean keys"),
        ("format_version: 1\nkeys: []", "no keys"),
        ("format_version: 1\nkeys: [{time: 0}]", "takes no time"),
        ("format_version: 1\nkeys: [{time: 1}, {time: 1}]", "does not come after"),
        ("format_version: 1\nkeys: [{time: .inf}]", "a key is"),
        ("format_version: 1\nkeys: [{time: 1, channels: {jawOpne: 1}}]", "did you mean jawOpen"),
        ("format_version: 1\nkeys: [{time: 1, channels: {jawOpen: x}}]", "not a number"),
        ("format_version: 1\nblend: mix\nkeys: [{time: 1}]", "add or replace"),
        ("a: &a [*a]", "an alias that contains itself"),
        ("a: &a [*a]\nformat_version: *a", "an alias that contains itself"),
        ("{" * 3000, "gesture"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "gesture.yaml"
    path.write_text(text)
    with pytest.raises(MsmdError) as error:
        load_clip(MotionFile(path).located(), RIG)
    assert words in str(error.value) and "gesture.yaml" in str(error.value)


def test_between_keys_nothing_overshoots(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    keys = "".join(
        f"  - {{time: {0.1 * k:.1f}, channels: {{jawOpen: {v}}}}}\n"
        for k, v in enumerate((0, 0.2, 0.9, 0.9, 0.1, 0), 1)
    )
    path.write_text(f"format_version: 1\nkeys:\n{keys}")
    curve = load_clip(MotionFile(path).located(), RIG).curves[RIG.index("jawOpen")]
    dense = curve.at(np.linspace(0, 0.6, 601))
    assert dense.min() >= 0 and dense.max() <= 0.9
    np.testing.assert_allclose(curve.at(curve.times), curve.values, atol=1e-12)
    assert np.abs(np.diff(dense, 2)).max() < 5e-4  # no corners
