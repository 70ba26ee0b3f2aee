from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from voice_lines import write_project

from msmdcli.cli import app
from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import FORMATS, read_motion
from msmdcli.motion.curve_map import CurveMap, CurveMapError, shipped_curve_maps
from msmdcli.motion.motion import Motion, load_npz, save_npz
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
CHANNELS = RIG.regions["face"]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def load(tmp_path: Path, controls: str, top: str = "") -> CurveMap:
    return CurveMap.load(write(tmp_path / "map.yaml", f"version: 1\n{top}controls:\n{controls}"))


def motion(frames: int = 40, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    return Motion(rng.uniform(RIG.lower, RIG.upper, (frames, RIG.size)), Fraction(25), RIG)


def column(made: Motion, name: str) -> np.ndarray:
    return made.values[:, made.rig.index(name)]


def test_every_operation_in_its_order(tmp_path: Path) -> None:
    controls = """
  copy: jawOpen
  mixed: {mix: {jawLeft: 1, jawRight: -1}, gain: 2, offset: 0.25, clamp: [-1, 1]}
  plus: {mix: {jawLeft: 1, jawRight: -1}, half: positive}
  minus: {mix: {jawLeft: 1, jawRight: -1}, half: negative, gain: 0.5}
  chained: {mix: {opened: 1, plus: 0.5}}
  degrees: {from: headYaw, gain: 57.29577951}
  rest: {constant: 0.5}
"""
    made = load(tmp_path, controls, "helpers: {opened: {mix: {jawOpen: 1, mouthClose: -1}, half: positive}}\n").apply(
        take := motion()
    )
    value = {name: take.values[:, RIG.index(name)].astype(np.float64) for name in RIG.channels}
    side = value["jawLeft"] - value["jawRight"]
    expected = {
        "copy": value["jawOpen"],
        "mixed": np.clip(2 * side + 0.25, -1, 1),
        "plus": np.maximum(side, 0),
        "minus": 0.5 * np.maximum(-side, 0),
        "chained": np.maximum(value["jawOpen"] - value["mouthClose"], 0) + 0.5 * np.maximum(side, 0),
        "degrees": np.degrees(value["headYaw"]),
        "rest": np.full(take.frames, 0.5),
    }
    assert made.rig.channels == tuple(expected)  # helpers are not written
    for name, values in expected.items():
        np.testing.assert_allclose(column(made, name), values, rtol=1e-6, atol=1e-6)
    assert (made.fps, made.frames) == (take.fps, take.frames)
    assert made.meta["curve_map"].startswith("map ")


def test_halves_add_up_to_the_whole(tmp_path: Path) -> None:
    made = load(
        tmp_path,
        "  up: {from: headPitch, half: negative}\n  down: {from: headPitch, half: positive}\n",
    ).apply(take := motion())
    np.testing.assert_array_equal(column(made, "down") - column(made, "up"), take.values[:, RIG.index("headPitch")])


def test_a_control_with_the_name_of_a_channel_is_made_of_that_channel(tmp_path: Path) -> None:
    made = load(
        tmp_path,
        "  jawOpen: {from: jawOpen, gain: 0.5}\n  other: {from: jawOpen}\n",
    ).apply(take := motion())
    np.testing.assert_array_equal(column(made, "other"), take.values[:, RIG.index("jawOpen")])
    np.testing.assert_array_equal(column(made, "jawOpen"), 0.5 * column(made, "other"))
    assert float(made.rig.upper[0]) == 0.5 and float(made.rig.upper[1]) == 1.0


@given(st.integers(0, 2**32 - 1))
def test_values_stay_within_the_ranges_that_the_rig_tells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    entries: dict[str, object] = {}
    for number in range(6):
        known = [*CHANNELS, "headYaw", *entries]
        mix = {str(known[i]): float(rng.normal()) for i in rng.choice(len(known), 3, replace=False)}
        entry: dict[str, object] = {"mix": mix, "gain": float(rng.normal()), "offset": float(rng.normal())}
        if rng.random() < 0.4:
            entry["half"] = str(rng.choice(["positive", "negative"]))
        if rng.random() < 0.4:
            entry["clamp"] = sorted(rng.normal(size=2).tolist())
        entries[f"c{number}"] = entry
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps({"version": 1, "controls": entries})  # JSON is a curve map, too
        made = CurveMap.load(write(Path(folder) / "map.json", text)).apply(motion(seed=seed))
    room = 1e-4 * (1 + np.abs(made.values).max())
    assert (made.values >= made.rig.lower - room).all() and (made.values <= made.rig.upper + room).all()


@pytest.mark.parametrize(
    ("controls", "says"),
    [
        ("  a: jawOpne\n", "3:6: there is no channel, helper or control 'jawOpne'; did you mean jawOpen"),
        ("  a: {mix: {jawOpen: 1, mouthFunel: 2}}\n", "3:25: there is no channel.*mouthFunnel"),
        ("  a: b\n  b: {mix: {c: 1, jawOpen: 1}}\n  c: {from: a}\n", "5:13: a cycle: a -> b -> c -> a"),
        ("  a: {mix: {a: 1}}\n", "3:13: a cycle: a -> a"),
        ("  a: {mix: {jawOpen: .nan}}\n", "3:22: weight of jawOpen '.nan' is not a finite number"),
        ("  a: {mix: {jawOpen: -.inf}}\n", "3:22: weight of jawOpen"),
        ("  a: {from: jawOpen, gain: 1e999}\n", "3:28: gain '1e999' is not a finite number"),
        ("  a: {from: jawOpen, offset: much}\n", "3:30: offset 'much'"),
        ("  a: {from: jawOpen, gian: 2}\n", "3:22: unknown key 'gian' in 'a'; did you mean gain"),
        ("  a: jawOpen\n  a: jawLeft\n", "4:3: the key 'a' is there twice"),
        ("  jaw: jawOpen\n  JAW: jawLeft\n", "4:3: the name 'JAW' and 'jaw' are one name where case is ignored"),
        ("  a: {from: jawOpen, clamp: [1, 0]}\n", r"3:29: clamp \[1, 0\] leaves nothing"),
        ("  a: {from: jawOpen, clamp: [0, .nan]}\n", "3:33: clamp '.nan'"),
        ("  a: {from: jawOpen, half: postive}\n", "3:28: half is 'postive'; did you mean positive"),
        ("  a: {}\n", "3:6: 'a' says not what it follows"),
        ("  a: {from: jawOpen, mix: {jawLeft: 1}}\n", "3:6: 'a' says both from and mix"),
        ("  a: {mix: {jawOpen: 0}}\n", "3:22: the weight of jawOpen is 0"),
        ("  a: [1]\n", "3:6: 'a' is a mapping"),
        ("  {}\n", "there are no controls"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence_with_line_and_column(tmp_path: Path, controls: str, says: str) -> None:
    with pytest.raises(CurveMapError, match=says) as error:
        load(tmp_path, controls)
    assert error.value.message.startswith(f"{tmp_path / 'map.yaml'}:")
    assert len(error.value.problems) == 1 and "\n" not in error.value.message
    assert error.value.exit_code == 2


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CurveMapError) as error:
        load(tmp_path, "  a: jawOpne\n  b: {from: jawOpen, gain: .nan}\n", "versoin: 1\n")
    assert [problem.split(":")[1] for problem in error.value.problems] == ["2", "4", "5"]


@pytest.mark.parametrize("text", ["", "a", "[1, 2]", "version: 2\ncontrols: {a: jawOpen}", "version: 1", "{{{", "\0"])
def test_what_is_no_curve_map_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CurveMapError):
        CurveMap.load(write(tmp_path / "map.yaml", text))


def test_the_hash_is_of_what_the_map_does(tmp_path: Path) -> None:
    first = load(tmp_path, "  a: {from: jawOpen, gain: 2}\n")
    assert load(tmp_path, "  # a comment\n  a: {gain: 2.0, from: jawOpen}\n").sha256 == first.sha256
    assert load(tmp_path, "  a: {from: jawOpen, gain: 2.5}\n").sha256 != first.sha256
    assert load(tmp_path, "  b: {from: jawOpen, gain: 2}\n").sha256 != first.sha256


def test_regions_follow_the_source(tmp_path: Path) -> None:
    made = load(
        tmp_path,
        "  open: jawOpen\n  smile: {mix: {mouthSmileLeft: 1, jawOpen: 0.1}}\n  lid: eyeBlinkLeft\n"
        "  x: {from: open, region: a}\n",
    ).rig
    assert made.regions["lips"] == ("smile",) and made.regions["jaw"] == ("open",)
    assert made.regions["upper"] == ("lid",) and made.regions["a"] == ("x",)


def test_it_is_applied_once_and_to_its_own_source_only(tmp_path: Path) -> None:
    curve_map = load(tmp_path, "  a: jawOpen\n")
    with pytest.raises(MsmdError, match="is for motion on rig arkit52; this one is on map"):
        curve_map.apply(curve_map.apply(motion()))


@pytest.mark.parametrize("name", sorted(shipped_curve_maps()))
def test_shipped_maps(name: str, tmp_path: Path) -> None:
    curve_map = CurveMap.load(name)
    rest = curve_map.apply(Motion(np.zeros((2, RIG.size), np.float32), 25, RIG))
    np.testing.assert_array_equal(rest.values, 0)  # a face at rest stays at rest
    assert np.isfinite(curve_map.rig.lower).all() or name != "metahuman"
    made = curve_map.apply(Motion(np.eye(RIG.size, dtype=np.float32), 25, RIG))  # each channel alone
    moving = made.values.std(axis=0) > 0
    still = [made.rig.channels[i] for i in np.flatnonzero(~moving)]
    assert still == [entry.name for entry in curve_map.entries if not entry.mix]
    save_npz(tmp_path / "made.npz", made)  # the file knows its rig, wherever it goes
    again = load_npz(tmp_path / "made.npz")
    assert again.rig == made.rig
    np.testing.assert_array_equal(again.values, made.values)


def test_each_side_of_metahuman_follows_its_own_side() -> None:
    curve_map = CurveMap.load("metahuman")
    sides = {"L": "Left", "R": "Right"}
    looks = ("eyeLookLeft", "eyeLookRight")
    for entry in curve_map.entries:
        name = entry.name.removeprefix("CTRL_expressions_")
        (source, _), *_ = entry.mix
        if source.endswith(("Left", "Right")) and name[-1] in sides and not name.startswith(looks):
            assert source.endswith(sides[name[-1]]), entry.name
    values = np.zeros((1, RIG.size), np.float32)
    values[0, [RIG.index("eyeLookOutLeft"), RIG.index("eyeLookInRight")]] = 1  # both eyes to the person's left
    made = curve_map.apply(Motion(values, 25, RIG))
    assert {made.rig.channels[i] for i in np.flatnonzero(made.values[0])} == {
        "CTRL_expressions_eyeLookLeftL",
        "CTRL_expressions_eyeLookLeftR",
    }


@pytest.mark.parametrize(
    ("pose", "viseme"),
    [
        ({"jawOpen": 0.6}, "viseme_aa"),
        ({"mouthPucker": 0.9, "jawOpen": 0.1}, "viseme_U"),
        ({"mouthFunnel": 0.7, "jawOpen": 0.4}, "viseme_O"),
        ({"mouthRollLower": 0.6, "mouthRollUpper": 0.5, "mouthPressLeft": 0.5, "mouthPressRight": 0.5}, "viseme_PP"),
        ({"mouthStretchLeft": 0.7, "mouthStretchRight": 0.7, "mouthLowerDownLeft": 0.3}, "viseme_SS"),
    ],
)
def test_visemes_come_out_of_their_poses(pose: dict[str, float], viseme: str) -> None:
    values = np.zeros((1, RIG.size), np.float32)
    for name, value in pose.items():
        values[0, RIG.index(name)] = value
    made = CurveMap.load("oculus-visemes").apply(Motion(values, 25, RIG))
    of = {name: float(value) for name, value in zip(made.rig.channels, made.values[0], strict=True) if "viseme" in name}
    assert max(of, key=lambda name: of[name]) == viseme


# ---- in a batch ------------------------------------------------------------------------------------------------------


def project(folder: Path, curves: str) -> Path:
    write_project(folder, seconds=(0.6, 0.4))
    return write(
        folder / "lines.yaml",
        f"""version: 1
defaults: {{style: neutral, formats: [npz]}}
characters:
  boss: {{curves: {curves}, lines: [{{id: boss, audio: audio/line0.wav}}]}}
lines:
  - {{id: plain, audio: audio/line1.wav}}
""",
    )


def batch(manifest: Path, bundle: Path, *more: str) -> tuple[int, str]:
    given = ["batch", str(manifest), "--bundle", str(bundle), "--styles", str(manifest.parent / "styles"),
             "--out", str(manifest.parent / "out"), *more]  # fmt: skip
    done = CliRunner().invoke(app, given)
    return done.exit_code, done.output


def test_a_character_gets_its_own_controls(stand_in_bundle: Path, tmp_path: Path) -> None:
    manifest = project(tmp_path, "studio.yaml")
    write(
        tmp_path / "studio.yaml", "version: 1\nname: studio\ncontrols: {Jaw: {from: jawOpen, gain: 2}, Yaw: headYaw}\n"
    )
    code, told = batch(manifest, stand_in_bundle)
    assert code == 0, told
    made, plain = read_motion(tmp_path / "out" / "boss.npz"), read_motion(tmp_path / "out" / "plain.npz")
    assert made.rig.name == "studio" and made.rig.channels == ("Jaw", "Yaw") and plain.rig == RIG

    write(
        manifest, manifest.read_text().replace("curves: studio.yaml, ", "")
    )  # the same line on the rig's own channels
    (tmp_path / "out" / "boss.npz").rename(tmp_path / "mapped.npz")
    assert batch(manifest, stand_in_bundle)[0] == 0
    own = read_motion(tmp_path / "out" / "boss.npz")
    np.testing.assert_allclose(column(made, "Jaw"), 2 * column(own, "jawOpen"), rtol=1e-6)
    np.testing.assert_array_equal(column(made, "Yaw"), column(own, "headYaw"))


def test_a_changed_map_makes_the_line_again_and_a_comment_does_not(stand_in_bundle: Path, tmp_path: Path) -> None:
    manifest, studio = project(tmp_path, "studio.yaml"), tmp_path / "studio.yaml"
    write(studio, "version: 1\ncontrols: {Jaw: jawOpen}\n")
    assert batch(manifest, stand_in_bundle)[0] == 0
    write(studio, "# ours\nversion: 1\ncontrols: {Jaw: jawOpen}\n")
    assert "0 to make" in batch(manifest, stand_in_bundle)[1]
    write(studio, "version: 1\ncontrols: {Jaw: {from: jawOpen, gain: 0.5}}\n")
    assert "1 to make" in batch(manifest, stand_in_bundle)[1]


@pytest.mark.parametrize(
    ("curves", "studio", "says"),
    [
        ("studio.yaml", "version: 1\ncontrols: {Jaw: jawOpne}\n", "studio.yaml:2:17: there is no channel"),
        ("metahumen", "", "character boss: there is no curve map"),
        ("studio.yaml", "version: 1\nsource: serep\ncontrols: {Jaw: code_0}\n", "is for motion on rig serep"),
    ],
)
def test_a_wrong_map_stops_the_batch_before_it_starts(
    stand_in_bundle: Path, tmp_path: Path, curves: str, studio: str, says: str
) -> None:
    manifest = project(tmp_path, curves)
    write(tmp_path / "studio.yaml", studio)
    code, told = batch(manifest, stand_in_bundle)
    assert code == 2 and says in told.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_a_format_that_cannot_hold_the_controls_is_refused_at_once(stand_in_bundle: Path, tmp_path: Path) -> None:
    manifest = project(tmp_path, "metahuman")
    write(manifest, manifest.read_text().replace("[npz]", "[npz, livelink-csv]"))
    code, told = batch(manifest, stand_in_bundle)
    assert code == 2 and "livelink-csv holds the channels of arkit52 only" in told.replace("\n", " ")


def test_convert_with_a_curve_map(tmp_path: Path) -> None:
    save_npz(tmp_path / "take.npz", motion())
    done = CliRunner().invoke(
        app,
        ["convert", str(tmp_path / "take.npz"), "--to", "json", "--curves", "vrm", "--out", str(tmp_path / "a.json")],
    )
    assert done.exit_code == 0, done.output
    assert '"aa"' in (tmp_path / "a.json").read_text()
    with pytest.raises(UsageError, match="there is no curve map"):
        CurveMap.load("vrn")
    refused = CliRunner().invoke(
        app, ["convert", str(tmp_path / "take.npz"), "--to", "livelink-csv", "--curves", "vrm"]
    )
    assert refused.exit_code == 2 and "livelink-csv" in refused.output


def test_formats_say_which_rig_they_hold() -> None:
    curve_map = CurveMap.load("metahuman")
    assert not FORMATS["livelink-csv"].holds(curve_map.rig) and FORMATS["livelink-csv"].holds(RIG)
    assert FORMATS["npz"].holds(curve_map.rig)
