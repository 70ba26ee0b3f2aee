"""Tracking real clips: agreement with reference curves, time, lost faces, several faces, files."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_video import constant_times, write_video

from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.video import read_video
from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir
from msmdcli.tracking.frames import without_neutral
from msmdcli.tracking.track import Track, TrackOptions, load_track, save_track
from msmdcli.tracking.tracker import track_video, tracked_motion

RIG = Rig.load("arkit52")
HEAD = RIG.indices("head")
FACE = np.setdiff1d(np.arange(RIG.size), HEAD)
CLIP, OTHER = "clips/grid_multi/grid_lbbc2a.mp4", "clips/grid_multi/grid_bbab8n.mp4"

pytest.importorskip("mediapipe")


def corpus_file(name: str) -> Path:
    shared = shared_dir()
    if shared is None or not (shared / "corpus" / name).is_file():
        pytest.skip("the shared corpus of talking faces is not here")
    return shared / "corpus" / name


@pytest.fixture(scope="module")
def whole() -> Track:
    """The clip, tracked as it is."""
    return track_video(corpus_file(CLIP), TrackOptions(landmarks=True))


@pytest.fixture(scope="module")
def scored() -> Track:
    """The clip with MediaPipe's own scores."""
    return track_video(corpus_file(CLIP), TrackOptions(solver="scores"))


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """The clip's 75 pictures, 25 a second."""
    return [picture for _, picture in read_video(corpus_file(CLIP))]


def difference(a: Track, b: Track, frames: slice = slice(None)) -> tuple[float, float]:
    """Mean absolute difference of blendshapes, and of head angles in degrees."""
    apart = np.abs(a.motion.values[frames] - b.motion.values[frames])
    return float(apart[:, FACE].mean()), float(np.degrees(apart[:, HEAD]).mean())


def test_it_agrees_with_the_reference(scored: Track, whole: Track) -> None:
    with np.load(corpus_file(f"tracked/{Path(CLIP).stem}.npz"), allow_pickle=False) as reference:
        names = reference["names"].tolist()
        columns = [RIG.index(name) for name in names if name in RIG.channels]
        shapes = reference["blendshapes"][:, [name in RIG.channels for name in names]]
        angles = reference["head_euler_deg"].astype(np.float64)
    assert scored.motion.fps == 25 and scored.motion.frames == len(shapes) == 75
    assert np.abs(scored.motion.values[:, columns] - shapes).mean() < 0.002
    assert np.abs(np.degrees(scored.motion.values[:, HEAD]) - angles).mean() < 0.3
    assert scored.motion.rig.channels[HEAD[0]] == "headPitch"
    assert not scored.motion.values[:, RIG.index("tongueOut")].any()
    assert scored.found.all() and scored.gaps == () and scored.warnings == ()
    assert (scored.faces == 1).all() and scored.confidence.min() > 0.5 and scored.turn.max() < 20
    assert whole.landmarks is not None and whole.landmarks.shape == (75, 478, 3)
    assert ((scored.box[:, 2:] - scored.box[:, :2]) > 0.1).all()


def test_variable_rate_keeps_the_time(whole: Track, pictures: list[np.ndarray], tmp_path: Path) -> None:
    rng = np.random.Generator(np.random.Philox(5))
    kept = np.flatnonzero(rng.random(75) > 0.25)  # a quarter of the pictures is never written
    kept = np.union1d(kept, [0, 1, 2, 74])
    path = write_video(tmp_path / "phone.mp4", [pictures[i] for i in kept], [Fraction(int(i), 25) for i in kept])
    track = track_video(path)
    assert track.info.variable and track.motion.fps == 25 and abs(track.motion.frames - 75) <= 1
    shapes, angles = difference(track, whole, slice(0, 74))
    assert shapes < 0.015 and angles < 0.5
    jaw = RIG.index("jawOpen")
    late = [
        np.abs(np.roll(track.motion.values[:74, jaw], k) - whole.motion.values[:74, jaw])[5:-5].mean()
        for k in range(-3, 4)
    ]
    assert int(np.argmin(late)) == 3  # not a frame early or late


def test_film_rate_and_another_rate(pictures: list[np.ndarray], tmp_path: Path) -> None:
    film = Fraction(24000, 1001)
    path = write_video(tmp_path / "film.mkv", pictures[:24], constant_times(24, film))
    assert track_video(path).motion.fps == film
    track = track_video(path, TrackOptions(fps=Fraction(30)))
    assert track.motion.fps == 30 and track.motion.frames == 30  # 1.001 s
    assert len(track.found) == len(track.confidence) == len(track.turn) == len(track.box) == 30


def test_a_phone_held_upright(whole: Track, pictures: list[np.ndarray], tmp_path: Path) -> None:
    lying = [np.ascontiguousarray(np.rot90(picture, -1)) for picture in pictures]
    track = track_video(write_video(tmp_path / "up.mp4", lying, constant_times(75, Fraction(25)), rotation=90))
    shapes, angles = difference(track, whole)
    assert shapes < 0.02 and angles < 1.0


def test_lost_and_found(whole: Track, pictures: list[np.ndarray], tmp_path: Path) -> None:
    shown = list(pictures)
    for i in [*range(20, 24), *range(40, 62)]:
        shown[i] = np.zeros_like(shown[i])
    track = track_video(write_video(tmp_path / "lost.mp4", shown, constant_times(75, Fraction(25))))
    assert not track.found[20:24].any() and not track.found[40:62].any()
    assert track.found[:20].all() and track.found[26:40].all() and track.found[64:].all()
    (gap,) = track.gaps
    assert gap[0] == 40 and 62 <= gap[1] <= 64
    assert len(track.warnings) == 1 and "1.6-" in track.warnings[0]
    assert (track.confidence[~track.found] == 0).all() and np.isnan(track.box[45]).all()
    inside = track.motion.values[19:25, FACE]  # straight lines across the short gap
    np.testing.assert_allclose(inside[1:5], inside[0] + np.outer(np.arange(1, 5) / 5, inside[5] - inside[0]), atol=1e-4)
    assert difference(track, whole, slice(0, 19))[0] < 0.02


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, pictures: list[np.ndarray]) -> Path:
    """The clip at the left, another speaker at half the size to the right."""
    others = [picture for _, picture in read_video(corpus_file(OTHER), max_height=144)]
    both = []
    for picture, other in zip(pictures[:40], others[:40], strict=True):
        canvas = np.full((288, 552, 3), 90, np.uint8)
        canvas[:, :360] = picture[:, :360]
        canvas[72:216, 364 : 364 + other.shape[1]] = other[:, :188]
        both.append(canvas)
    return write_video(tmp_path_factory.mktemp("two") / "two.mp4", both, constant_times(40, Fraction(25)))


def test_of_several_faces_the_largest_unless_told(two: Path, whole: Track) -> None:
    track = track_video(two)
    assert (track.faces == 2).mean() > 0.8 and "2 faces" in track.warnings[0] and "--face" in track.warnings[0]
    assert difference(track, whole_part(whole, 40))[0] < 0.02
    turned = track.motion.values[:, HEAD] - whole.motion.values[:40, HEAD]
    assert np.degrees(np.abs(turned - turned.mean(axis=0))).mean() < 0.5  # off the middle, all angles are a little off
    second = track_video(two, TrackOptions(face=2))
    assert np.nanmedian(second.box[:, 0]) > 0.6 > np.nanmedian(track.box[:, 0])
    with pytest.raises(MsmdError, match="no face 3"):
        track_video(two, TrackOptions(face=3))


def whole_part(track: Track, frames: int) -> Track:
    return dataclasses.replace(track, motion=track.motion.slice(0, frames))


def test_a_part_is_that_part_of_the_whole(whole: Track) -> None:
    part = track_video(corpus_file(CLIP), TrackOptions(start=1.0, stop=2.2))
    assert part.motion.frames == 30
    apart = np.abs(part.motion.values - whole.motion.values[25:55])
    assert apart[:, FACE].mean() < 0.01 and np.degrees(apart[:, HEAD]).mean() < 0.5


def test_neutral_brings_rest_to_zero(scored: Track) -> None:
    calibrated = without_neutral(scored.motion, scored.found)
    rest = np.argsort(scored.motion.values[:, FACE].sum(axis=1))[:10]
    assert calibrated.values[rest][:, FACE].mean() < 0.3 * scored.motion.values[rest][:, FACE].mean()
    np.testing.assert_array_equal(calibrated.values[:, HEAD], scored.motion.values[:, HEAD])
    assert calibrated.values[:, FACE].min() >= 0 and calibrated.values.max() <= 1


def test_files(whole: Track, tmp_path: Path) -> None:
    save_track(tmp_path / "a.npz", whole)
    save_track(tmp_path / "b.npz", whole)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    np.testing.assert_array_equal(load_npz(tmp_path / "a.npz").values, whole.motion.values)
    again = load_track(tmp_path / "a.npz")
    assert again.info == whole.info and again.gaps == whole.gaps and again.warnings == whole.warnings
    for name in ("confidence", "found", "faces", "turn", "box", "landmarks"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


def test_flags_are_stored_as_flags_and_read_as_the_text_they_once_were(whole: Track, tmp_path: Path) -> None:
    save_track(tmp_path / "now.npz", whole)
    with np.load(tmp_path / "now.npz", allow_pickle=False) as file:
        arrays = dict(file)
    video = json.loads(str(arrays["video"]))
    assert video["has_audio"] is whole.info.has_audio and video["variable"] is whole.info.variable
    for has_audio in (True, False):
        before = {**video, "has_audio": str(has_audio), "variable": "False"}
        np.savez(tmp_path / "before.npz", **{**arrays, "video": np.array(json.dumps(before))})
        assert load_track(tmp_path / "before.npz").info.has_audio is has_audio


def test_a_motion_that_is_no_track(tmp_path: Path, whole: Track) -> None:
    from msmdcli.motion.motion import save_npz

    save_npz(tmp_path / "m.npz", whole.motion)
    with pytest.raises(MsmdError, match="no track"):
        load_track(tmp_path / "m.npz")


def test_a_style_video_is_tracked_once(whole: Track, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked: list[Path] = []

    def track(path: Path, options: TrackOptions, *_: object) -> Track:
        tracked.append(path)
        return whole

    monkeypatch.setattr("msmdcli.tracking.tracker.track_video", track)
    clip, cache = corpus_file(CLIP), tmp_path / "cache"
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(clip.read_bytes())
    first = tracked_motion(clip, cache=cache)
    second = tracked_motion(copy, cache=cache)  # what counts is what is in it
    np.testing.assert_array_equal(first.values, second.values)
    assert tracked == [clip]
    tracked_motion(clip, TrackOptions(neutral="clip"), cache=cache)
    assert len(tracked) == 2
    next(cache.glob("*.npz")).write_bytes(b"PK\x03\x04")  # a full disk cut it off
    tracked_motion(clip, cache=cache)
    tracked_motion(clip, TrackOptions(neutral="clip"), cache=cache)
    assert len(tracked) == 3


def test_no_face(tmp_path: Path) -> None:
    corpus_file(CLIP)  # the model lies beside it
    grey = write_video(
        tmp_path / "grey.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 10, constant_times(10, Fraction(25))
    )
    with pytest.raises(MsmdError, match="no face was found"):
        track_video(grey)
    with pytest.raises(MsmdError, match="nothing after"):
        track_video(grey, TrackOptions(start=5))


@pytest.mark.parametrize("options", [{"face": 0}, {"start": -1.0}, {"start": 2.0, "stop": 1.0}])
def test_options_that_mean_nothing(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        TrackOptions(**options)  # type: ignore[arg-type]
