"""The performance as a whole, on the styles that ship: a take of another style stands for the generated line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import chain

import numpy as np
import pytest

from msmdcli.controls.performance import PerformanceOptions
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shipped_styles
from msmdcli.performance.blinks import AGAINST, ALONG, LIDS, SHUT, separate_blinks
from msmdcli.performance.fixations import LOOKS
from msmdcli.performance.line import Part, Performance, plan
from msmdcli.performance.reference import Reference, groups_of
from msmdcli.performance.rhythm import Rhythm, rhythm_of
from msmdcli.performance.stretches import peaks

RIG = Rig.load("arkit52")
GROUPS = groups_of(RIG)
LID = RIG.index("eyeBlinkLeft")
TAGS = sorted(path.parent.name for path in shipped_styles().glob("*/style.yaml"))
WHOLE = np.ones((1, 1))


@cache
def clips(tag: str) -> list[Motion]:
    return [load_npz(path) for path in sorted((shipped_styles() / tag).glob("*.npz"))]


@cache
def reference(tag: str) -> Reference:
    return Reference.of(clips(tag))


def long_line(tag: str = "neutral") -> Motion:
    """A line of about a minute that speaks and does nothing else."""
    takes = clips(tag)
    values = np.concatenate([takes[0].values, takes[1].values, takes[0].values[::-1]])
    still = values.copy()
    still[:, list(chain(*GROUPS.values()))] = 0.1
    return Motion(still, Fraction(25), RIG)


def performed(
    parts: Sequence[Part], line: Motion, name: str = "a", options: PerformanceOptions | None = None, **more: object
) -> Performance:
    seconds, fps = float(line.seconds), float(line.fps)
    chosen = options or PerformanceOptions()
    return plan(parts, RIG, fps, rhythm_of(line), seconds, 0, name, chosen, **more)  # type: ignore[arg-type]


def speed(motions: Sequence[Motion], columns: Sequence[int]) -> float:
    """Mean speed of the curves, smoothed over 0.2 s."""
    found = []
    for motion in motions:
        smooth = np.apply_along_axis(np.convolve, 0, motion.values[:, columns], np.ones(5) / 5, "valid")
        found.append(np.abs(np.diff(smooth, axis=0)).mean())
    return float(np.mean(found))


def blink_count(motions: Sequence[Motion]) -> int:
    return sum(int(((m.values[1:, LID] >= 0.5) & (m.values[:-1, LID] < 0.5)).sum()) for m in motions)


@pytest.fixture(scope="module")
def lines() -> dict[str, Motion]:
    """A long line of every tag, performed."""
    line = long_line()
    return {tag: performed([Part(reference(tag), WHOLE)], line).on(line).clip() for tag in TAGS}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("group", ["head", "brows", "gaze"])
def test_it_moves_as_much_as_the_reference(lines: dict[str, Motion], tag: str, group: str) -> None:
    share = speed([lines[tag]], GROUPS[group]) / speed(clips(tag), GROUPS[group])
    assert 0.8 <= share <= 1.25


@pytest.mark.parametrize("tag", TAGS)
def test_it_blinks_as_often_as_the_reference(lines: dict[str, Motion], tag: str) -> None:
    own = blink_count(clips(tag)) / sum(float(clip.seconds) for clip in clips(tag))
    made = blink_count([lines[tag]]) / float(lines[tag].seconds)
    assert made == pytest.approx(own, rel=0.3)


@pytest.mark.parametrize("tag", TAGS)
def test_every_blink_shuts_the_lids_at_every_frame_rate(tag: str) -> None:
    line = long_line().slice(0, 750)
    plan_ = performed([Part(reference(tag), WHOLE)], line)
    assert plan_.blinks
    for fps in (24, 25, 30, 60):
        motion = plan_.on(line.resample(fps)).clip()
        for blink in plan_.blinks:
            bottom = round(blink.time * fps)
            assert motion.values[bottom, [LID, RIG.index("eyeBlinkRight")]].min() >= 0.8


@pytest.mark.parametrize("tag", ["angry", "happy", "sad"])
@pytest.mark.parametrize("group", ["head", "brows", "cheeks"])
def test_no_step_where_stretches_join(tag: str, group: str) -> None:
    """Neither in place nor in speed, and the movement is no faster there (gaze and lids join in jumps)."""
    line = long_line()
    plan_ = performed([Part(reference(tag), WHOLE)], line)
    movement = plan_.movements[group]
    usual, instant = movement.usual, 0.002
    for cut in movement.cuts[1:]:
        before, at, after = movement.at(cut + instant * np.array([-1.0, 0.0, 1.0]))
        assert np.linalg.norm(at - before) <= 40 * usual * instant
        turn = np.linalg.norm((after - at) - (at - before)) / instant
        speeds = [np.linalg.norm(step) / instant for step in (at - before, after - at)]
        assert turn <= max(0.5 * max(speeds), 1.5 * usual)
    steps = np.linalg.norm(np.diff(plan_.on(line).values[:, GROUPS[group]], axis=0), axis=1)
    there = np.zeros(len(steps), bool)
    for cut in movement.cuts[1:]:
        there[max(0, int(cut * 25) - 1) : int(cut * 25) + 2] = True
    assert steps[there].mean() <= 1.1 * steps[~there].mean()


def test_the_mouth_stays_with_speech(lines: dict[str, Motion]) -> None:
    mouth = np.concatenate([RIG.indices(region) for region in ("jaw", "lips", "tongue")])
    line = long_line()
    mouth = np.setdiff1d(mouth, GROUPS["corners"])
    for motion in lines.values():
        np.testing.assert_array_equal(motion.values[:, mouth], line.values[:, mouth])


def test_a_smile_comes_and_goes_as_the_references(lines: dict[str, Motion]) -> None:
    """Slow movement of the corners is added to what speech makes of them: about as much as the reference's."""
    corners = [RIG.index("mouthSmileLeft"), RIG.index("mouthSmileRight")]
    slow = Reference.of(clips("happy")).takes[0].values[:, corners].std(axis=0).max()
    made = lines["happy"].values[:, corners].std(axis=0).max()
    assert 0.6 * slow < made < 1.4 * slow
    still = performed([Part(reference("happy"), WHOLE)], long_line(), options=PerformanceOptions("off"))
    np.testing.assert_allclose(still.on(long_line()).values[:, corners], 0.1, atol=1e-6)


def jumps(motion: Motion) -> float:
    """Saccades a second."""
    fast = np.linalg.norm(np.diff(motion.resample(25).values[:, GROUPS["gaze"]], axis=0), axis=1) > 0.07
    return float((np.diff(fast.astype(int)) == 1).sum()) / float(motion.seconds)


def test_a_gaze_changes_hands_while_it_rests_and_no_saccade_is_added(lines: dict[str, Motion]) -> None:
    rates = []
    for tag in ("neutral", "angry", "sad", "afraid_whisper", "sarcastic"):
        line = long_line()
        plan_ = performed([Part(reference(tag), WHOLE)], line)
        steps = np.linalg.norm(np.diff(lines[tag].values[:, GROUPS["gaze"]], axis=0), axis=1)
        there = np.zeros(len(steps), bool)
        for cut in plan_.movements["gaze"].cuts[1:]:
            there[max(0, int(cut * 25) - 1) : int(cut * 25) + 2] = True
        assert there.sum() > 20
        assert steps[there].mean() < 0.8 * steps[~there].mean(), tag
        rates.append(jumps(lines[tag]) / np.mean([jumps(clip) for clip in clips(tag)]))
    assert 0.8 < np.mean(rates) < 1.15


def test_cheeks_that_never_move_in_a_reference_rest_in_the_line() -> None:
    """A guess of the model's is no performance of somebody whose cheeks rest."""
    line = long_line()
    cheeks = GROUPS["cheeks"]
    moved = replace(line, values=line.values.copy())
    moved.values[:, cheeks] += 0.05 * np.sin(np.arange(line.frames) / 5)[:, None].astype(np.float32)
    resting = [replace(clip, values=clip.values.copy()) for clip in clips("happy")]
    for clip in resting:
        clip.values[:, cheeks] = 0.2
    made = performed([Part(Reference.of(resting), WHOLE)], moved).on(moved)
    np.testing.assert_allclose(made.values[:, cheeks], 0.2, atol=1e-5)


def test_a_line_moves_about_as_much_as_a_take_that_moves_in_bursts() -> None:
    (take, _) = clips("angry")
    brows = GROUPS["brows"]
    still = take.values[:, brows].mean(axis=0)
    quiet = 0.15 + 0.85 * (np.arange(take.frames) % 300 < 100)[:, None]
    bursts = replace(take, values=take.values.copy())
    bursts.values[:, brows] = still + quiet.astype(np.float32) * (take.values[:, brows] - still)
    own, performer = speed([bursts], brows), Part(Reference.of([bursts]), WHOLE)
    off: dict[bool, list[float]] = {True: [], False: []}
    for name in "abcdef":
        line = long_line().slice(0, 200)
        plan_ = performed([performer], line, name)
        for evened, version in ((True, plan_), (False, replace(plan_, factors={}))):
            off[evened].append(abs(float(np.log(speed([version.on(line)], brows) / own))))
        assert all(0.75 <= factor <= 1.3 for factor in plan_.factors.values()) and "lids" not in plan_.factors
    assert np.mean(off[True]) < 0.85 * np.mean(off[False])


def test_emphasis_falls_on_stressed_syllables() -> None:
    """Nods come with stress in the reference; in the line more than in the same movement, shifted in time."""
    line = long_line("surprised")
    stress = rhythm_of(line).stress
    gained = []
    for tag in ("angry", "joyful_shout", "determined", "happy", "neutral"):
        pitch = performed([Part(reference(tag), WHOLE)], line).on(line).values[:, GROUPS["head"][0]]
        slow = np.convolve(pitch, np.ones(25) / 25, "same")
        nods = [float(np.corrcoef(np.roll(stress, lag), pitch - slow)[0, 1]) for lag in (1, *range(60, 600, 30))]
        gained.append(nods[0] - np.mean(nods[1:]))
    assert min(gained) > 0.0
    assert np.mean(gained) > 0.08


def test_a_minute_does_not_repeat_itself() -> None:
    """No two pieces of 2.5 s of the head's movement look the same within 20 s."""
    for tag in ("neutral", "angry", "sarcastic"):
        line = long_line()
        head = performed([Part(reference(tag), WHOLE)], line).on(line).values[:, GROUPS["head"]]
        size = 62
        pieces = np.lib.stride_tricks.sliding_window_view(head, size, axis=0)[::5].reshape(-1, 3, size)
        pieces = pieces - pieces.mean(axis=2, keepdims=True)
        flat = pieces.reshape(len(pieces), -1)
        alike = flat @ flat.T / np.outer(np.linalg.norm(flat, axis=1), np.linalg.norm(flat, axis=1))
        apart = np.abs(np.subtract.outer(np.arange(len(flat)), np.arange(len(flat)))) * 5
        near = (apart > size) & (apart < 500)
        assert alike[near].max() < 0.97, tag  # one slow swing is like another; the same stretch again is 1


def test_bytes_depend_on_the_line_alone() -> None:
    line = long_line().slice(0, 300)
    one = performed([Part(reference("happy"), WHOLE)], line).on(line).values
    again = performed([Part(Reference.of(clips("happy")), WHOLE)], line).on(line).values
    other = performed([Part(reference("happy"), WHOLE)], line, name="b").on(line).values
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_the_frame_rate_of_the_output_changes_no_decision() -> None:
    line = long_line().slice(0, 300)
    plan_ = performed([Part(reference("happy"), WHOLE)], line)
    at_25, at_50 = plan_.on(line).values, plan_.on(line.resample(50)).values
    for group in ("head", "brows"):
        np.testing.assert_allclose(at_50[::2, GROUPS[group]], at_25[:, GROUPS[group]], atol=1e-5)


def test_a_longer_shot_goes_on_moving() -> None:
    line = long_line().slice(0, 100)
    plan_ = plan([Part(reference("happy"), WHOLE)], RIG, 25.0, rhythm_of(line), 8.0, 0, "a", PerformanceOptions())
    held = Motion(np.concatenate([line.values, np.repeat(line.values[-1:], 100, axis=0)]), Fraction(25), RIG)
    values = plan_.on(held).values
    assert np.abs(np.diff(values[120:, GROUPS["head"]], axis=0)).sum(axis=0).max() > 0.02


def test_amounts_scale_the_movement_and_leave_the_rest() -> None:
    line, parts = long_line().slice(0, 500), [Part(reference("angry"), WHOLE)]
    full = performed(parts, line).on(line)
    half = performed(parts, line, options=PerformanceOptions(amounts=(("all", 1.0), ("head", 0.5)))).on(line)
    assert speed([half], GROUPS["head"]) == pytest.approx(0.5 * speed([full], GROUPS["head"]), rel=0.01)
    np.testing.assert_array_equal(half.values[:, GROUPS["brows"]], full.values[:, GROUPS["brows"]])


def test_off_rests_as_the_style_does() -> None:
    line, angry = long_line().slice(0, 500), reference("angry")
    values = performed([Part(angry, WHOLE)], line, options=PerformanceOptions("off")).on(line).values
    columns = list(chain(*(GROUPS[name] for name in GROUPS if name != "corners")))
    np.testing.assert_allclose(values[:, columns], np.tile(angry.rest[columns], (500, 1)), atol=1e-6)


def test_generated_keeps_the_models_movement_but_not_the_cameras_angle() -> None:
    line, turned = long_line().slice(0, 200), clips("neutral")[0]
    line.values[:, GROUPS["head"]] = (0.0, 0.2, 0.1)
    turned = replace(turned, values=turned.values.copy(), meta={})
    turned.values[:, GROUPS["head"]] += (0.0, 0.2, 0.1)
    values = performed([Part(Reference.of([turned]), WHOLE)], line, options=PerformanceOptions("generated")).on(line)
    assert np.abs(values.values[:, GROUPS["head"][1:]].mean(axis=0)).max() < np.radians(1)
    kept = PerformanceOptions("generated", keep_head_pose=True)
    values = performed([Part(Reference.of([turned], True), WHOLE)], line, options=kept).on(line)
    blinking = [RIG.index(name) for name in (*LIDS, *ALONG, *AGAINST, *LOOKS)]
    rest = np.delete(np.arange(RIG.size), blinking)
    np.testing.assert_array_equal(values.values[:, rest], line.values[:, rest])
    eyes = replace(kept, amounts=(("eyes", 0.0),))
    values = performed([Part(Reference.of([turned], True), WHOLE)], line, options=eyes).on(line)
    np.testing.assert_array_equal(values.values, line.values)


@pytest.mark.parametrize("dips", [0, 4, 40])
def test_generated_blinks_are_whole_and_as_many_as_the_styles(dips: int) -> None:
    """A model of means dips its lids half, too seldom or too often."""
    line, neutral = long_line(), reference("neutral")
    lids = [RIG.index(name) for name in LIDS]
    usual = np.concatenate([np.linspace(0, 1, 4), np.linspace(1, 0, 6)[1:]])
    times = np.linspace(1.0, float(line.seconds) - 1.0, dips)
    for time in times:
        at = round(time * 25)
        line.values[at - 3 : at + 6, lids] = 0.1 + 0.5 * usual[:, None]
    found = separate_blinks(line)[1]
    assert len(found) == dips
    options = PerformanceOptions("generated")
    made = performed([Part(neutral, WHOLE)], line, options=options, dips=found).on(line)
    wanted = neutral.blinks_per_minute * float(line.seconds) / 60
    _, blinks = separate_blinks(made)
    assert len(blinks) == pytest.approx(wanted, abs=1.5) and blink_count([made]) == len(blinks)
    bottoms = [made.values[round(blink.time * 25), LID] for blink in blinks]
    assert min(bottoms) >= SHUT
    moments = sum(bool(np.abs(times - blink.time).min(initial=9) < 0.1) for blink in blinks)
    assert moments >= min(dips, len(blinks)) - 1  # where the model dips its lids, as far as it does
    nobody = performed([Part(None, WHOLE)], line, options=options, dips=found).on(line)
    np.testing.assert_array_equal(nobody.values, line.values)


def test_intensity_scales_pose_and_movement() -> None:
    line, angry = long_line().slice(0, 500), reference("angry")
    brow = RIG.index("browDownLeft")
    means, speeds = [], []
    for intensity in (0.5, 1.0, 1.3):
        values = performed([Part(angry, WHOLE, intensity)], line).on(line)
        means.append(values.values[:, brow].mean())
        speeds.append(speed([values], GROUPS["head"]))
    assert means[0] < 0.65 * means[1] < means[1] < means[2]
    assert speeds[0] == pytest.approx(0.5 * speeds[1], rel=0.02)


def test_styles_mix_without_averaging_movement_out() -> None:
    line = long_line()
    references = [reference("angry"), reference("happy")]
    parts = [Part(references[0], np.full((1, 1), 0.5)), Part(references[1], np.full((1, 1), 0.5))]
    plan_ = performed(parts, line)
    values = plan_.on(line)
    least = min(speed(clips(tag), GROUPS["head"]) for tag in ("angry", "happy"))
    assert speed([values], GROUPS["head"]) > 0.8 * least
    rest = 0.5 * (references[0].rest + references[1].rest)
    np.testing.assert_allclose(values.values[:, GROUPS["brows"]].mean(axis=0), rest[GROUPS["brows"]], atol=0.03)
    ends = [stretch.start for stretch in plan_.stretches["head"][1:]] + [float(line.seconds)]
    lasts = [0.0, 0.0]
    for stretch, end in zip(plan_.stretches["head"], ends, strict=True):
        lasts[stretch.reference] += end - stretch.start
    assert lasts[0] / sum(lasts) == pytest.approx(0.5, abs=0.12)


def test_regions_take_their_own_styles_performance() -> None:
    line = long_line().slice(0, 500)
    head = np.zeros((1, RIG.size))
    head[0, GROUPS["head"]] = 1
    angry, sad = reference("angry"), reference("sad")
    plan_ = performed([Part(angry, 1 - head), Part(sad, head)], line)
    alone = performed([Part(angry, WHOLE)], line)
    assert {stretch.reference for stretch in plan_.stretches["brows"]} == {0}
    assert {stretch.reference for stretch in plan_.stretches["head"]} == {1}
    values = plan_.on(line).values
    assert values[:, GROUPS["head"][0]].mean() == pytest.approx(sad.rest[GROUPS["head"][0]], abs=0.03)
    brows = values[:, GROUPS["brows"]].mean(axis=0)
    np.testing.assert_allclose(brows, alone.on(line).values[:, GROUPS["brows"]].mean(axis=0), atol=0.03)


def test_a_segment_changes_the_performer_where_it_begins() -> None:
    line = long_line().slice(0, 500)
    first = (np.arange(500) < 250).astype(float)[:, None]
    smooth = np.convolve(np.pad(first[:, 0], 4, mode="edge"), np.ones(9) / 9, "valid")[:, None]
    plan_ = performed([Part(reference("angry"), smooth), Part(reference("sad"), 1 - smooth)], line)
    switches = [s.start for a, s in zip(plan_.stretches["head"], plan_.stretches["head"][1:], strict=False)
                if a.reference != s.reference]  # fmt: skip
    assert len(switches) == 1
    assert switches[0] == pytest.approx(10.0, abs=0.4)
    values = plan_.on(line).values[:, GROUPS["head"]]
    steps = np.linalg.norm(np.diff(values, axis=0), axis=1)
    assert steps[240:265].max() <= 2.5 * np.percentile(steps, 95)


def test_no_style_leaves_the_generated_movement() -> None:
    line = long_line().slice(0, 100)
    np.testing.assert_array_equal(performed([Part(None, WHOLE)], line).on(line).values, line.values)


def test_a_reference_without_a_head_leaves_the_generated_one() -> None:
    line, clip = long_line().slice(0, 100), clips("angry")[0]
    values = clip.values.copy()
    values[:, GROUPS["head"]] = 0
    made = performed([Part(Reference.of([replace(clip, values=values)]), WHOLE)], line).on(line).values
    np.testing.assert_array_equal(made[:, GROUPS["head"]], line.values[:, GROUPS["head"]])
    assert np.ptp(made[:, GROUPS["brows"]], axis=0).max() > 0.02


@pytest.mark.parametrize("seconds", [1.0, 2.0, 4.5])
def test_a_short_reference_fills_a_long_line(seconds: float) -> None:
    line, clip = long_line(), clips("happy")[0].slice(50, 50 + round(25 * seconds))
    made = performed([Part(Reference.of([clip]), WHOLE)], line).on(line)
    assert np.isfinite(made.values).all()
    share = speed([made], GROUPS["head"]) / speed([clip], GROUPS["head"])
    assert 0.6 <= share <= 1.5


@pytest.mark.parametrize("frames", [1, 2, 5, 20])
def test_a_line_of_a_few_frames(frames: int) -> None:
    line = long_line().slice(0, frames)
    made = performed([Part(reference("happy"), WHOLE)], line).on(line)
    assert made.frames == frames
    assert np.isfinite(made.values).all()


def test_a_dub_keeps_the_original_from_start_to_end() -> None:
    original = clips("happy")[0]
    line = long_line("neutral").slice(0, round(original.frames * 1.15))
    parts = [Part(Reference.of([original]), WHOLE)]
    plan_ = performed(parts, line, kept=("head", "brows", "gaze", "lids", "cheeks", "corners"))
    assert all(len(stretches) == 1 for stretches in plan_.stretches.values())
    assert len(plan_.blinks) == len(parts[0].reference.takes[0].blinks)  # type: ignore[union-attr]
    values = plan_.on(line).values
    np.testing.assert_allclose(values[0, GROUPS["head"]], original.values[0, GROUPS["head"]], atol=1e-4)
    np.testing.assert_allclose(values[-1, GROUPS["head"]], original.values[-1, GROUPS["head"]], atol=2e-2)


def test_a_dub_of_another_length_is_placed_by_rhythm() -> None:
    original = clips("happy")[0].slice(0, 200)
    plan_ = performed([Part(Reference.of([original]), WHOLE)], long_line(), kept=("head",))
    assert len(plan_.stretches["head"]) > 3


@pytest.mark.parametrize("seconds", [3.2, 8.0])
def test_a_dub_that_is_much_longer_begins_and_ends_as_the_original(seconds: float) -> None:
    """Of 3.2 s, too: a short take is unfolded (forwards, backwards) for the search, and once ended as it began."""
    original = clips("happy")[0].slice(0, round(seconds * 25))
    line = long_line().slice(0, round(1.65 * original.frames))
    reference_ = Reference.of([original], True)
    plan_ = performed([Part(reference_, WHOLE)], line, kept=("head", "brows"))
    first, last = plan_.stretches["head"][0], plan_.stretches["head"][-1]
    assert (first.take, first.sources[0], first.mirrored) == (0, 0.0, False)
    assert last.sources[-1] == pytest.approx(reference_.takes[0].performed)
    values, columns = plan_.on(line).values, GROUPS["head"]
    factor = plan_.factors["head"]
    for there, own in ((0, 0), (-1, -1)):
        rest = reference_.rest[columns]
        wanted = rest + factor * (original.values[own, columns] - rest)
        np.testing.assert_allclose(values[there, columns], wanted, atol=3e-2)


def test_rhythm_of_silence_is_all_pause() -> None:
    silent = Motion(np.zeros((50, RIG.size), np.float32), Fraction(25), RIG)
    rhythm = rhythm_of(silent, np.zeros(32000, np.float32), 16000)
    assert isinstance(rhythm, Rhythm)
    assert rhythm.pause.min() > 0.9
    assert not peaks(rhythm.stress)
