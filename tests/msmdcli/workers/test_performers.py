"""Who performs a line, as a worker plans it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.controls.controls import Controls
from msmdcli.controls.head import HeadMotion
from msmdcli.controls.performance import PerformanceOptions
from msmdcli.controls.shot_length import ShotLength
from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.paths import shipped_styles
from msmdcli.styles.field import Segment, StyleField, StyleRef
from msmdcli.workers.performers import Performers
from msmdcli.workers.task import LineTask

BASE = Path()
ANGRY, NONE = StyleRef("angry", BASE), StyleRef("none", BASE)


def clips(tag: str) -> list[Motion]:
    return [load_npz(path) for path in sorted((shipped_styles() / tag).glob("*.npz"))]


def task(*segments: Segment, **changes: object) -> LineTask:
    field = StyleField(segments or (Segment(0.0, (ANGRY,)),))
    performers = {ANGRY.key: "angry-clips", NONE.key: ""}
    plain = LineTask("a", BASE, "", field, {}, 0, None, {}, {}, performers=performers)
    return replace(plain, **changes)  # type: ignore[arg-type]


def line(bundle: Bundle, seconds: float = 4.0) -> tuple[Audio, Motion]:
    sound = np.random.Generator(np.random.Philox(0)).normal(0, 0.1, round(16000 * seconds)).astype(np.float32)
    values = np.full((round(25 * seconds), bundle.rig.size), 0.1, np.float32)
    return Audio(sound, 16000, 16000, 1, Fraction(seconds)), Motion(values, Fraction(25), bundle.rig)


def test_a_style_performs_and_no_style_does_not(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)
    performers = Performers({"angry-clips": clips("angry")}, bundle)
    audio, motion = line(bundle)
    assert performers.perform(task(), audio, motion) is not None
    assert performers.perform(task(performers={}), audio, motion) is None
    half = task(Segment(0.0, (ANGRY,)), Segment(2.0, (NONE,), fade=0.2))
    performance = performers.perform(half, audio, motion)
    assert performance is not None
    values = performance.on(motion).values
    brow = bundle.rig.index("browDownLeft")
    assert values[:45, brow].min() > 0.3
    np.testing.assert_allclose(values[60:, brow], 0.1, atol=1e-6)


def test_a_reference_is_prepared_once_for_each_head_pose(stand_in_bundle: Path) -> None:
    performers = Performers({"angry-clips": clips("angry")}, Bundle.load(stand_in_bundle))
    first = performers.reference("angry-clips", None)
    assert performers.reference("angry-clips", None) is first
    assert performers.reference("angry-clips", False) is not first


def test_a_longer_shot_is_performed_to_its_end(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)
    performers = Performers({"angry-clips": clips("angry")}, bundle)
    audio, motion = line(bundle)
    controls = Controls(length=ShotLength(seconds=Fraction(12)))
    performance = performers.perform(task(controls=controls), audio, motion)
    assert performance is not None
    assert performance.stretches["head"][-1].start > 6
    day = Controls(length=ShotLength(seconds=Fraction(86400)))
    performance = performers.perform(task(controls=day), audio, motion)
    assert performance is not None
    assert performance.stretches["head"][-1].start < 620


def test_a_head_that_is_given_is_left_alone(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)
    performers = Performers({"angry-clips": clips("angry")}, bundle)
    audio, motion = line(bundle)
    performance = performers.perform(task(head=HeadMotion.still()), audio, motion)
    assert performance is not None
    head = list(bundle.rig.rotation_indices or ())
    np.testing.assert_array_equal(performance.on(motion).values[:, head], motion.values[:, head])
    off = task(controls=Controls(performance=PerformanceOptions("off")))
    performance = performers.perform(off, audio, motion)
    assert performance is not None
    assert not performance.movements


def test_a_take_of_a_face_alone_is_lent_a_head(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)
    head = list(bundle.rig.rotation_indices or ())
    faces = [replace(clip, values=clip.values.copy()) for clip in clips("angry")]
    for face in faces:
        face.values[:, head] = 0
    audio, motion = line(bundle)
    lent = Performers({"angry-clips": faces}, bundle).perform(task(), audio, motion)
    own = Performers({"angry-clips": clips("angry")}, bundle).perform(task(), audio, motion)
    neutral = Performers({"angry-clips": clips("neutral")}, bundle).perform(task(), audio, motion)
    assert lent is not None and own is not None and neutral is not None
    turns = [np.abs(np.diff(p.on(motion).values[:, head], axis=0)).mean() for p in (lent, own, neutral)]
    assert 0.3 * turns[2] < turns[0] < 2 * turns[2]
    brow = bundle.rig.index("browDownLeft")
    assert lent.on(motion).values[:, brow].mean() > 0.3  # the face stays its own
    still = task(generated=("head",))
    kept = Performers({"angry-clips": faces}, bundle).perform(still, audio, motion)
    assert kept is not None and np.abs(np.diff(kept.on(motion).values[:, head], axis=0)).max() < 1e-6
