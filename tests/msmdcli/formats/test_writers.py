"""Each writer against a reader that is not ours, and against a small golden file where the format is text."""

from __future__ import annotations

import ast
import itertools
import json
import runpy
import shutil
import struct
import subprocess
import sys
import types
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.motion_json import SCHEMA
from msmdcli.formats.registry import FORMATS, companions, options_key, read_motion, stem, write_motion
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import quaternion_from_euler
from msmdcli.paths import SHIPPED_HEAD

RIG = Rig.load("arkit52")
GOLDEN = Path(__file__).parent / "golden"
SHAPES = RIG.channels[:52]
HEAD = list(RIG.rotation_indices or ())
RATES = ["24000/1001", "25", "30000/1001", "30", "60"]
READABLE = [name for name, form in FORMATS.items() if form.readable and name != "usda"]
SPARSE = [name for name, form in FORMATS.items() if form.sparse and name != "usda"]


def needs(module: str) -> Any:
    """A library that is not part of every installation."""
    return pytest.importorskip(module, reason=f"needs {module}")


def tiny() -> Motion:
    """Three frames, few channels, a head that turns: a golden file that a person can check."""
    values = np.zeros((3, RIG.size))
    values[:, RIG.index("jawOpen")] = [0.1, 0.35, 0.6]
    values[:, RIG.index("eyeBlinkLeft")] = [0, 1, 0.25]
    values[:, RIG.index("mouthSmileRight")] = 1e-5
    values[:, HEAD] = [[0, 0, 0], [0.1, -0.2, 0.05], [0.2, -0.4, 0.1]]
    return Motion(values, parse_fps("30000/1001"), RIG, {"line": "gate/guard_001", "style": "angry"})


def lively(frames: int, fps: str) -> Motion:
    rng = np.random.default_rng(frames)
    values = rng.random((frames, RIG.size))
    values[:, HEAD] = np.cumsum(rng.normal(size=(frames, 3)) * 0.05, axis=0).clip(-1, 1)
    return Motion(values, parse_fps(fps), RIG)


# --- all formats


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("name", READABLE)
def test_every_frame_and_the_exact_rate_come_back(tmp_path: Path, name: str, fps: str) -> None:
    """A line of 0.1 s and one long enough for a rounded rate to drift."""
    for frames in (max(1, round(Fraction(1, 10) * Fraction(fps))), 200):
        clip = lively(frames, fps)
        path = tmp_path / f"clip{FORMATS[name].suffix}"
        write_motion(clip, path, name, {"head": "none"} if name == "glb" else None)
        back = read_motion(path)
        assert (back.fps, back.frames, back.rig) == (clip.fps, frames, RIG)
        np.testing.assert_allclose(back.values, clip.values, atol=5e-7)


@pytest.mark.parametrize("name", ["json", "glb", "unreal"])
def test_a_minute_at_59_94_does_not_drift(tmp_path: Path, name: str) -> None:
    clip = Motion(np.zeros((3597, RIG.size)), parse_fps("60000/1001"), RIG)
    clip.values[:, RIG.index("jawOpen")] = np.arange(3597) % 7 / 8  # a frame's error would show at once
    path = tmp_path / f"long{FORMATS[name].suffix}"
    write_motion(clip, path, name, {"head": "none"} if name == "glb" else None)
    back = read_motion(path)
    assert (back.fps, back.frames) == (clip.fps, 3597)
    np.testing.assert_allclose(back.values, clip.values, atol=5e-7)


@pytest.mark.parametrize("name", SPARSE)
def test_reduced_keys_stay_within_the_tolerance(tmp_path: Path, name: str) -> None:
    clip = lively(60, "25").resample("60000/1001")
    path = tmp_path / f"clip{FORMATS[name].suffix}"
    options = {"head": "none"} if name == "glb" else {}
    notes = write_motion(clip, path, name, {**options, "reduce-keys": "0.02"})
    assert notes["keys"] < notes["keys_before"] and notes["largest_error"] <= 0.02 + 1e-7
    back = read_motion(path)
    assert (back.fps, back.frames) == (clip.fps, clip.frames)
    error = float(np.abs(back.values - clip.values).max())
    assert 1e-4 < error <= 0.0201
    if name not in ("unity-anim", "glb", "unreal"):  # there the head is measured as a rotation, or in other angles
        assert error == pytest.approx(notes["largest_error"], abs=1e-6)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "fbx"])
def test_the_same_motion_gives_the_same_bytes_under_any_temporary_name(tmp_path: Path, name: str) -> None:
    from msmdcli.formats.registry import write_temporary

    target = tmp_path / f"gate.guard_001{FORMATS[name].suffix}"
    first, second = (write_temporary(tiny(), target, name) for _ in range(2))
    assert first.sha256 == second.sha256 and first.temporary != second.temporary
    assert stem(target) == "gate.guard_001"
    content = first.temporary.read_bytes()
    assert b"msmd-tmp" not in content
    if name in ("json", "glb", "maya", "unity-anim"):
        assert b"gate.guard_001" in content


def test_formats_with_a_fixed_key_on_every_frame_refuse_to_reduce(tmp_path: Path) -> None:
    for name in ("npz", "livelink-csv", "fbx"):
        with pytest.raises(UsageError, match="no option 'reduce_keys'"):
            write_motion(tiny(), tmp_path / "a", name, {"reduce_keys": 0.1})


def test_options_that_decide_the_bytes(tmp_path: Path) -> None:
    head = tmp_path / "head.glb"
    head.write_bytes(b"one")
    first = options_key("glb", {"head": head, "reduce-keys": "0.010"})
    assert first == options_key("glb", {"reduce_keys": 0.01, "head": str(head)}) != options_key("glb", {"head": head})
    head.write_bytes(b"two")
    assert first != options_key("glb", {"head": head, "reduce_keys": 0.01})
    assert options_key("npz", {}) == options_key("npz", None) == ""


@pytest.mark.parametrize("name", [name for name in READABLE if name != "npz"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"glTF\x02\x00\x00\x00", b"%YAML 1.1\n", b"[1]", b"x = 1"]
)
def test_rubbish_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / f"rubbish{FORMATS[name].suffix}"
    path.write_bytes(content)
    with pytest.raises(MsmdError) as error:
        read_motion(path)
    assert "rubbish" in error.value.message and "\n" not in error.value.message


@pytest.mark.parametrize("name", [name for name in READABLE if name not in ("npz", "livelink-csv")])
def test_damaged_files_are_errors_or_motions(tmp_path: Path, name: str) -> None:
    """Cut off anywhere, or with a byte changed, a file is refused in a sentence; never a traceback."""
    path = tmp_path / f"a{FORMATS[name].suffix}"
    write_motion(tiny(), path, name, {"head": "none"} if name == "glb" else None)
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    for i in range(60):
        broken = bytearray(whole[: rng.integers(1, len(whole))] if i % 2 else whole)
        broken[rng.integers(len(broken))] = rng.integers(256)
        path.write_bytes(broken)
        try:
            read_motion(path)
        except MsmdError as error:
            assert "\n" not in error.message


GOLDENS = {
    "motion.json": ("json", {"start": "01:00:00:00"}),
    "reduced.json": ("json", {"reduce_keys": 0.2, "pre_roll": 0.1}),
    "animation.usda": ("usda", {"start": 1001}),
    "clip.anim": ("unity-anim", {"mesh_path": "Body/Face", "head_path": "Armature/Neck/Head", "reduce_keys": 0}),
    "script.maya.py": ("maya", {"namespace": "hero", "head": "head_ctrl", "start": 10}),
    "table.unreal.csv": ("unreal", {}),
}


@pytest.mark.parametrize("file", GOLDENS)
def test_golden_files(tmp_path: Path, file: str) -> None:
    """To make one anew: write_motion(tiny(), GOLDEN / file, *GOLDENS[file]), then look at it."""
    name, options = GOLDENS[file]
    write_motion(tiny(), tmp_path / file, name, options)
    assert (tmp_path / file).read_text(encoding="utf-8") == (GOLDEN / file).read_text(encoding="utf-8")


# --- JSON


@pytest.mark.parametrize("options", [{}, {"reduce_keys": 0.1}, {"start": "00:00:10:00"}])
def test_json_keeps_its_schema(tmp_path: Path, options: dict[str, Any]) -> None:
    jsonschema = needs("jsonschema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    path = tmp_path / "a.json"
    write_motion(tiny(), path, "json", options)
    data = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema)
    del data["frames"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "version 2; this program reads 1"),
        ({"format": "other"}, "does not say"),
        ({"channels": ["a"]}, "no channel eyeBlinkLeft of rig arkit52"),
        ({"frames": 4}, r"values have the shape \(3, 55\)"),
        ({"fps": {"numerator": 30}}, "denominator is missing"),
        ({"fps": {"numerator": 0, "denominator": 1}}, "frame rate 0"),
        ({"rig": "nowhere"}, "rig 'nowhere' is not known"),
        ({"values": [["x"] * 55] * 3}, "could not convert"),
    ],
)
def test_json_errors(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    data = json.loads((GOLDEN / "motion.json").read_text(encoding="utf-8"))
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**data, **change}))
    with pytest.raises(MsmdError, match=says) as error:
        read_motion(path)
    assert "a.json" in error.value.message
    path.write_text(json.dumps(data).replace("0.35", "NaN"))
    with pytest.raises(MsmdError, match="NaN is no number in JSON"):
        read_motion(path)


def test_a_rig_of_ones_own_travels_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(
        "format_version: 1\nname: small\nrotation: [nod, turn, tilt]\nchannels:\n"
        "- {name: open, region: mouth, range: [0, 1]}\n- {name: wide, region: mouth, range: [-1, 1]}\n"
        "- {name: nod, region: head}\n- {name: turn, region: head}\n- {name: tilt, region: head}\n"
    )
    small = Rig.load(tmp_path / "small.yaml")
    clip = Motion(np.linspace(-0.5, 0.5, 20).reshape(4, 5), Fraction(30), small)
    (tmp_path / "small.yaml").unlink()
    for name in ("json", "glb", "maya"):
        path = tmp_path / f"a{FORMATS[name].suffix}"
        write_motion(clip, path, name, {"head": "none"} if name == "glb" else None)
        back = read_motion(path)
        assert back.rig == small
        np.testing.assert_allclose(back.values, clip.values, atol=1e-6)
    with pytest.raises(MsmdError, match="arkit52 only"):
        write_motion(clip, tmp_path / "a.csv", "livelink-csv")


# --- glTF


def parse_glb(path: Path) -> tuple[dict[str, Any], bytes]:
    """By hand, from the specification."""
    data = path.read_bytes()
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack("<I4s", data[12:20])
    assert kind == b"JSON" and size % 4 == 0
    tree = json.loads(data[20 : 20 + size])
    binary_size, kind = struct.unpack("<I4s", data[20 + size : 28 + size])
    assert kind == b"BIN\0" and binary_size % 4 == 0 and 28 + size + binary_size == length
    return tree, data[28 + size :]


def floats(tree: dict[str, Any], blob: bytes, number: int) -> np.ndarray:
    accessor = tree["accessors"][number]
    view = tree["bufferViews"][accessor["bufferView"]]
    assert accessor["componentType"] == 5126 and view["byteOffset"] % 4 == 0
    return np.frombuffer(blob, "<f4", view["byteLength"] // 4, view["byteOffset"])


@pytest.mark.parametrize("head", [None, "none"])
def test_glb_by_hand(tmp_path: Path, head: str | None) -> None:
    clip = lively(30, "24000/1001")
    path = tmp_path / "a.glb"
    assert write_motion(clip, path, "glb", {"head": head, "name": "guard"})["warnings"] == []
    tree, blob = parse_glb(path)
    (animation,) = tree["animations"]
    assert animation["name"] == "guard" and animation["extras"]["msmd"]["fps"] == "24000/1001"
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        times = floats(tree, blob, sampler["input"])
        np.testing.assert_array_equal(times, np.float32([float(i * Fraction(1001, 24000)) for i in range(30)]))
        assert tree["accessors"][sampler["input"]]["max"] == [float(times[-1])]
        values = floats(tree, blob, sampler["output"])
        if channel["target"]["path"] == "weights":
            mesh = tree["meshes"][tree["nodes"][channel["target"]["node"]]["mesh"]]
            names = mesh["extras"]["targetNames"]
            expected = clip.values[:, [RIG.index(name) for name in names]]
            np.testing.assert_array_equal(values.reshape(30, len(names)), expected)
        else:
            assert tree["nodes"][channel["target"]["node"]]["name"] == "Head"
            expected = quaternion_from_euler(clip.values[:, HEAD])[:, [1, 2, 3, 0]]
            np.testing.assert_allclose(np.abs((values.reshape(30, 4) * expected).sum(axis=1)), 1, atol=1e-6)
    if head is None:
        shipped, _ = parse_glb(SHIPPED_HEAD)
        assert tree["meshes"] == shipped["meshes"] and tree["nodes"] == shipped["nodes"]
        assert tree["bufferViews"][: len(shipped["bufferViews"])] == shipped["bufferViews"]


def character(tmp_path: Path) -> Path:
    """A body whose head bone is turned at rest, below a turned hip, with two face meshes and a texture beside it."""
    half = float(np.sqrt(0.5))
    corners = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]).tobytes()
    (tmp_path / "body.bin").write_bytes(corners + np.float32([[0, 0.1, 0]] * 3).tobytes())
    (tmp_path / "skin colour.png").write_bytes(b"\x89PNG")
    primitive = {"attributes": {"POSITION": 0}, "targets": [{"POSITION": 1}] * 3}
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [
            {"name": "hips", "rotation": [half, 0, 0, half], "children": [1, 2, 3]},
            {"name": "rig:Head", "matrix": [0, 0, -1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 2, 0, 1]},
            {"name": "face", "mesh": 0},
            {"name": "teeth", "mesh": 1},
        ],
        "meshes": [
            {
                "primitives": [primitive],
                "weights": [0, 0.5, 0],
                "extras": {"targetNames": ["JawOpen", "ears", "EyeBlink_L"]},
            },
            {"primitives": [primitive], "extras": {"targetNames": ["a", "b", "bs.jawOpen"]}},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
            {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC3"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 36}],
        "buffers": [{"uri": "body.bin", "byteLength": 72}],
        "images": [{"uri": "skin%20colour.png"}],
        "extras": {"studio": "kept"},
        "animations": [{"name": "idle", "channels": [], "samplers": []}],
    }
    path = tmp_path / "body.gltf"
    path.write_text(json.dumps(tree))
    return path


def test_glb_on_a_character_of_the_users(tmp_path: Path) -> None:
    clip = tiny()
    path = tmp_path / "out.glb"
    notes = write_motion(clip, path, "glb", {"head": str(character(tmp_path))})
    assert any("mouthSmileRight" in warning for warning in notes["warnings"])  # it moves, and there is no target for it
    tree, blob = parse_glb(path)
    assert tree["extras"] == {"studio": "kept"} and [a["name"] for a in tree["animations"]] == ["out"]
    image = tree["bufferViews"][tree["images"][0]["bufferView"]]
    assert blob[image["byteOffset"] : image["byteOffset"] + 4] == b"\x89PNG" and "uri" not in tree["buffers"][0]
    by_node = {
        c["target"]["node"]: tree["animations"][0]["samplers"][c["sampler"]] for c in tree["animations"][0]["channels"]
    }
    face = floats(tree, blob, by_node[2]["output"]).reshape(3, 3)
    jaw, blink = clip.values[:, RIG.index("jawOpen")], clip.values[:, RIG.index("eyeBlinkLeft")]
    np.testing.assert_array_equal(face, np.stack([jaw, np.full(3, 0.5), blink], axis=1))
    np.testing.assert_array_equal(floats(tree, blob, by_node[3]["output"]).reshape(3, 3)[:, 2], jaw)

    from scipy.spatial.transform import Rotation

    node = tree["nodes"][1]
    assert "matrix" not in node and node["translation"] == [0, 2, 0]
    hips = Rotation.from_quat(tree["nodes"][0]["rotation"])
    world = hips * Rotation.from_quat(floats(tree, blob, by_node[1]["output"]).reshape(3, 4))
    at_rest = hips * Rotation.from_matrix([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    expected = Rotation.from_euler("xyz", clip.values[:, HEAD]) * at_rest  # Rz Ry Rx: the head turns in the world
    assert (world * expected.inv()).magnitude().max() < 1e-6
    back = read_motion(path)
    np.testing.assert_allclose(back.values[:, HEAD], clip.values[:, HEAD], atol=1e-6)
    np.testing.assert_array_equal(back.values[:, RIG.index("jawOpen")], jaw)
    assert "mouthSmileRight" in back.meta["missing_channels"]


def test_glb_errors(tmp_path: Path) -> None:
    body = character(tmp_path)
    for options, says in (
        ({"head": tmp_path / "no.glb"}, "no such head"),
        ({"head": body, "head_node": "Skull"}, "no node 'Skull'"),
        ({"head": Path(__file__)}, "cannot be read as glTF"),
    ):
        with pytest.raises(MsmdError, match=says):
            write_motion(tiny(), tmp_path / "a.glb", "glb", options)
    tree = json.loads(body.read_text())
    tree["meshes"] = [{"primitives": [{"attributes": {"POSITION": 0}}]}] * 2
    body.write_text(json.dumps(tree))
    with pytest.raises(MsmdError, match="no morph targets"):
        write_motion(tiny(), tmp_path / "a.glb", "glb", {"head": body})
    before = options_key("glb", {"head": body})
    (tmp_path / "body.bin").write_bytes(bytes(72))
    assert options_key("glb", {"head": body}) != before
    (tmp_path / "body.bin").unlink()
    with pytest.raises(MsmdError, match=r"body\.bin"):
        write_motion(tiny(), tmp_path / "a.glb", "glb", {"head": body})
    with pytest.raises(MsmdError, match="holds no animation"):
        read_motion(SHIPPED_HEAD)


@pytest.mark.parametrize("extras", [None, True, "a", [1], {"msmd": "a"}, {"msmd": 3}, {"other": {}}])
def test_a_glb_of_another_program(tmp_path: Path, extras: object) -> None:
    """Without our notes: sparse keys that do not start at 0, in steps and linear; extras may be anything."""
    path = tmp_path / "a.glb"
    clip = Motion(np.tile(np.arange(31)[:, None] / 32, (1, RIG.size)), Fraction(25), RIG)
    clip.values[:, HEAD] = 0
    write_motion(clip, path, "glb", {"head": "none", "reduce_keys": 0.001})
    tree, blob = parse_glb(path)
    tree["animations"][0]["extras"] = extras
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blob), b"BIN\0") + blob
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks)
    back = read_motion(path, {"fps": "25"})
    np.testing.assert_allclose(back.values, clip.values, atol=1e-6)
    assert read_motion(path).seconds >= Fraction(30, 25)  # with two keys there is no rate to be seen


def test_the_shipped_head_is_the_ict_head(tmp_path: Path) -> None:
    """Within 0.01 mm of what it was made from, where that is at hand."""
    from msmdcli.heads.loading import load_head
    from msmdcli.paths import shared_dir

    shared = shared_dir()
    source = shared / "heads" / "ict_head_arkit52.glb" if shared else None
    if source is None or not source.is_file():
        pytest.skip("needs the ICT head: MSMD_SHARED/heads")
    small, large = load_head(SHIPPED_HEAD), load_head(source)
    assert small.size == large.size and np.array_equal(small.triangles, large.triangles)
    np.testing.assert_allclose(small.neutral, large.neutral, atol=0.01)
    np.testing.assert_allclose(small.deltas, large.deltas, atol=0.02)
    assert SHIPPED_HEAD.stat().st_size < 3_100_000
    assert "MIT License" in SHIPPED_HEAD.with_name("LICENSE-ICT-FaceKit.txt").read_text()


# --- USD


def test_usd_reads_every_frame(tmp_path: Path) -> None:
    needs("pxr")
    from pxr import Usd, UsdSkel, UsdValidation

    for fps in RATES:
        clip = lively(20, fps)
        path = tmp_path / f"a_{fps.replace('/', '_')}.usda"
        write_motion(clip, path, "usda", {"start": 1001})
        stage = Usd.Stage.Open(str(path))
        checker = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
        assert [error.GetErrorAsString() for error in checker.Validate(stage)] == []
        assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (1001, 1020)
        assert stage.GetTimeCodesPerSecond() == float(clip.fps)
        query = UsdSkel.Cache().GetAnimQuery(UsdSkel.Animation(stage.GetDefaultPrim()))
        assert [str(name) for name in query.GetBlendShapeOrder()] == list(SHAPES)
        for frame in range(20):
            np.testing.assert_array_equal(query.ComputeBlendShapeWeights(1001 + frame), clip.values[frame, :52])
        back = read_motion(path)
        assert (back.fps, back.frames) == (clip.fps, 20)
        np.testing.assert_allclose(back.values, clip.values, atol=1e-6)
    write_motion(lively(50, "30"), tmp_path / "r.usda", "usda", {"reduce_keys": 0.3})
    assert np.abs(read_motion(tmp_path / "r.usda").values - lively(50, "30").values).max() <= 0.31
    (tmp_path / "b.usda").write_text("#usda 1.0\ndef")
    with pytest.raises(MsmdError, match=r"b\.usda cannot be read as USD"):
        read_motion(tmp_path / "b.usda")


def usd_character(path: Path, up: str) -> None:
    """A skeleton root/head, turned at rest, with a mesh that has two blend shapes in another spelling."""
    from pxr import Gf, Usd, UsdGeom, UsdSkel, Vt

    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    root = UsdSkel.Root.Define(stage, "/Hero")
    stage.SetDefaultPrim(root.GetPrim())
    skeleton = UsdSkel.Skeleton.Define(stage, "/Hero/Rig/Skel")
    skeleton.CreateJointsAttr(["root", "root/Head"])
    hip = Gf.Matrix4d(Gf.Rotation(Gf.Vec3d(1, 0, 0), 30), Gf.Vec3d(0, 90, 0))
    head = Gf.Matrix4d(Gf.Rotation(Gf.Vec3d(0, 0, 1), 90), Gf.Vec3d(0, 50, 1))
    skeleton.CreateRestTransformsAttr(Vt.Matrix4dArray([hip, head]))
    skeleton.CreateBindTransformsAttr(Vt.Matrix4dArray([hip, head * hip]))
    mesh = UsdGeom.Mesh.Define(stage, "/Hero/Face")
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (0, 1, 0)])
    mesh.CreateFaceVertexCountsAttr([3])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateBlendShapesAttr(["JawOpen", "EyeBlink_L"])
    shapes = [UsdSkel.BlendShape.Define(stage, f"/Hero/Face/{name}") for name in ("JawOpen", "EyeBlink_L")]
    for shape in shapes:
        shape.CreateOffsetsAttr([(0, 0, 1)] * 3)
        shape.CreatePointIndicesAttr([0, 1, 2])
    binding.CreateBlendShapeTargetsRel().SetTargets([shape.GetPath() for shape in shapes])
    stage.Save()


@pytest.mark.parametrize("up", ["Y", "Z"])
def test_usd_on_an_asset(tmp_path: Path, up: str) -> None:
    needs("pxr")
    from pxr import Usd, UsdSkel
    from scipy.spatial.transform import Rotation

    (tmp_path / "assets").mkdir()
    (tmp_path / "out").mkdir()
    asset, path = tmp_path / "assets/hero.usda", tmp_path / "out/guard.usda"
    usd_character(asset, up)
    clip = tiny()
    notes = write_motion(clip, path, "usda", {"asset": str(asset)})
    assert any("mouthSmileRight" in warning for warning in notes["warnings"])
    assert "@../assets/hero.usda@" in path.read_text() and f'upAxis = "{up}"' in path.read_text()
    stage = Usd.Stage.Open(str(path))
    prim = stage.GetPrimAtPath("/guard/Rig/Skel")
    query = UsdSkel.Cache().GetSkelQuery(UsdSkel.Skeleton(prim))
    animation = query.GetAnimQuery()
    assert [str(name) for name in animation.GetBlendShapeOrder()] in (
        ["JawOpen", "EyeBlink_L"],
        ["EyeBlink_L", "JawOpen"],
    )
    weights = dict(zip(map(str, animation.GetBlendShapeOrder()), animation.ComputeBlendShapeWeights(2), strict=True))
    assert weights == pytest.approx({"JawOpen": 0.6, "EyeBlink_L": 0.25})

    def world(code: object) -> Rotation:
        matrix = np.array(query.ComputeJointSkelTransforms(code)[1])[:3, :3].T
        return Rotation.from_matrix(matrix)

    rest_matrix = np.array(query.ComputeJointSkelTransforms(Usd.TimeCode.Default(), True)[1])
    at_rest = Rotation.from_matrix(rest_matrix[:3, :3].T)
    axes = Rotation.identity() if up == "Y" else Rotation.from_euler("x", 90, degrees=True)
    for frame in range(3):
        turn = axes * Rotation.from_euler("xyz", clip.values[frame, HEAD]) * axes.inv()
        assert (world(frame) * (turn * at_rest).inv()).magnitude() < 1e-5
    np.testing.assert_allclose(read_motion(path).values[:, HEAD], clip.values[:, HEAD], atol=1e-6)
    for options, says in (
        ({"asset": str(asset), "skeleton": "/no"}, "no skeleton /no"),
        ({"asset": str(asset), "head_joint": "neck"}, "no joint neck"),
        ({"asset": str(tmp_path / "no.usda")}, "cannot be opened"),
    ):
        with pytest.raises(MsmdError, match=says):
            write_motion(clip, path, "usda", options)


# --- Unity


def unity(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("%YAML 1.1\n%TAG !u! tag:unity3d.com,2011:\n--- !u!74 &7400000\nAnimationClip:\n")
    return yaml.safe_load(text.split("\n", 3)[3])["AnimationClip"]


def test_unity_by_a_yaml_parser(tmp_path: Path) -> None:
    clip = lively(10, "30000/1001")
    path = tmp_path / "a.anim"
    write_motion(clip, path, "unity-anim", {"mesh_path": "Face, Rig/Teeth: upper", "name": "yes: 1", "prefix": "Face."})
    data = unity(path)
    assert data["m_Name"] == "yes: 1" and data["m_SampleRate"] == pytest.approx(30000 / 1001, abs=1e-6)
    assert data["m_AnimationClipSettings"]["m_StopTime"] == pytest.approx(10 * 1001 / 30000, abs=1e-8)
    assert len(data["m_FloatCurves"]) == 104
    assert {curve["path"] for curve in data["m_FloatCurves"]} == {"Face", "Rig/Teeth: upper"}
    for curve in data["m_FloatCurves"]:
        column = clip.values[:, RIG.index(curve["attribute"].removeprefix("blendShape.Face."))]
        keys = curve["curve"]["m_Curve"]
        np.testing.assert_allclose([key["time"] for key in keys], np.arange(10) * 1001 / 30000, atol=1e-9)
        np.testing.assert_allclose([key["value"] for key in keys], column * 100, rtol=1e-6)
        for before, after in itertools.pairwise(keys):  # the curve between two keys is their line
            slope = (after["value"] - before["value"]) / (after["time"] - before["time"])
            assert before["outSlope"] == pytest.approx(slope, rel=1e-4, abs=1e-3) == after["inSlope"]
        assert all(isinstance(value, int | float) for key in keys for value in key.values())
    (head,) = data["m_RotationCurves"]
    assert head["path"] == "Head"

    from scipy.spatial.transform import Rotation

    mirror = np.diag([-1, 1, 1])  # Unity's x points to the character's right
    expected = mirror @ Rotation.from_euler("xyz", clip.values[:, HEAD]).as_matrix() @ mirror
    quaternions = [[key["value"][axis] for axis in "xyzw"] for key in head["curve"]["m_Curve"]]
    np.testing.assert_allclose(Rotation.from_quat(quaternions).as_matrix(), expected, atol=1e-6)


# --- scripts: run with a stand-in for the program, which notes what it is told


class FakeMaya:
    """What `maya.cmds` and `maya.api.OpenMaya` are asked."""

    def __init__(self, there: set[str], order: int = 0) -> None:
        self.keys: dict[str, dict[float, float]] = {}
        self.warnings: list[str] = []
        self.there, self.order = there, order
        cmds = types.ModuleType("maya.cmds")
        cmds.objExists = lambda plug: plug in there  # type: ignore[attr-defined]
        cmds.warning = self.warnings.append  # type: ignore[attr-defined]
        cmds.getAttr = lambda plug: order  # type: ignore[attr-defined]
        cmds.setKeyframe = self.set_key  # type: ignore[attr-defined]
        cmds.cutKey = self.cut_key  # type: ignore[attr-defined]
        api = types.ModuleType("maya.api")
        api.OpenMaya = types.SimpleNamespace(  # type: ignore[attr-defined]
            MEulerRotation=Euler, MAngle=types.SimpleNamespace(internalToUI=np.degrees), MTime=Time
        )
        maya = types.ModuleType("maya")
        maya.cmds = cmds  # type: ignore[attr-defined]
        self.modules = {"maya": maya, "maya.cmds": cmds, "maya.api": api}

    def set_key(self, plug: str, time: str, value: float, **tangents: str) -> None:
        assert tangents == {"inTangentType": "linear", "outTangentType": "linear"} and time.endswith("sec")
        self.keys.setdefault(plug, {})[float(time[:-3])] = value

    def cut_key(self, plug: str, time: tuple[float, float], clear: bool) -> None:
        assert clear
        first, last = (frame / Time.RATE for frame in time)
        self.keys[plug] = {at: value for at, value in self.keys.get(plug, {}).items() if not first <= at <= last}


class Time:
    RATE = 24.0  # of the scene
    kSeconds = "s"

    def __init__(self, value: float, unit: str) -> None:
        assert unit == self.kSeconds
        self.seconds = value

    def asUnits(self, unit: str) -> float:
        assert unit == "film"
        return self.seconds * self.RATE

    @staticmethod
    def uiUnit() -> str:
        return "film"


class Euler:
    kXYZ = 0

    def __init__(self, x: float, y: float, z: float, order: int) -> None:
        self.x, self.y, self.z = x, y, z

    def reorder(self, order: int) -> Euler:
        assert order == 0
        return self

    def closestSolution(self, before: Euler) -> Euler:
        return self


def run_maya(path: Path, there: set[str], monkeypatch: pytest.MonkeyPatch, keys: Any = ()) -> FakeMaya:
    fake = FakeMaya(there)
    fake.keys.update(keys)
    for name, module in fake.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    runpy.run_path(str(path))
    return fake


def test_maya_sets_every_key_at_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    clip = lively(12, "24000/1001")
    path = tmp_path / "a.maya.py"
    write_motion(
        clip, path, "maya", {"namespace": "hero", "blendshape": "face,teeth", "head": "head_ctrl", "start": 100}
    )
    there = {f"hero:face.{name}" for name in SHAPES[:-1]} | {"hero:teeth.jawOpen"}
    fake = run_maya(path, there, monkeypatch)
    times = [float((100 + i) * Fraction(1001, 24000)) for i in range(12)]
    assert set(fake.keys) == there | {f"hero:head_ctrl.rotate{axis}" for axis in "XYZ"}
    for name in SHAPES[:-1]:
        keys = fake.keys[f"hero:face.{name}"]
        assert list(keys) == pytest.approx(times, abs=1e-12)
        assert np.array_equal(np.float32(list(keys.values())), clip.values[:, RIG.index(name)])
    assert fake.keys["hero:teeth.jawOpen"] == fake.keys["hero:face.jawOpen"]
    turned = np.array([list(fake.keys[f"hero:head_ctrl.rotate{axis}"].values()) for axis in "XYZ"]).T
    np.testing.assert_allclose(turned, np.degrees(clip.values[:, HEAD]), rtol=1e-6)
    assert len(fake.warnings) == 1 and "hero:face.tongueOut" in fake.warnings[0]
    assert "12 frames from 100" in capsys.readouterr().out
    older = {"hero:face.jawOpen": {0.0: 0.5, times[3] + 0.01: 0.9, times[-1]: 0.8, times[-1] + 0.1: 0.7}}
    again = run_maya(path, there, monkeypatch, older).keys["hero:face.jawOpen"]  # over an older take
    assert again == {0.0: 0.5, times[-1] + 0.1: 0.7, **fake.keys["hero:face.jawOpen"]}
    with pytest.raises(RuntimeError, match=r"there is no hero:face\.eyeBlinkLeft"):
        run_maya(path, set(), monkeypatch)


def test_maya_names_cannot_break_out_of_their_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.maya.py"
    names = {"namespace": "a'; import os #", "blendshape": 'b"\\', "head": "\n'''", "name": "grün 😀"}
    write_motion(tiny(), path, "maya", names)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not any(isinstance(node, ast.Import) for node in tree.body)
    assert read_motion(path).frames == 3


def test_unreal_table_and_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = lively(10, "30000/1001")
    (tmp_path / "gate").mkdir()
    write_motion(clip, tmp_path / "gate/guard-001.unreal.csv", "unreal")
    write_motion(tiny(), tmp_path / "short.unreal.csv", "unreal")
    (tmp_path / "broken.unreal.csv").write_text("a,b\n")
    ((script, text),) = companions(["unreal", "npz"]).items()
    (tmp_path / script).write_text(text)

    made: dict[str, dict[str, Any]] = {}
    errors: list[str] = []
    fake = fake_unreal(made, errors)
    monkeypatch.setitem(sys.modules, "unreal", fake)
    monkeypatch.setattr(sys, "argv", [script, "--skeleton", "/Game/Skel", "--to", "/Game/Lines/"])
    runpy.run_path(str(tmp_path / script), run_name="__main__")
    assert set(made) == {"/Game/Lines/gate/guard_001", "/Game/Lines/short"} and len(errors) == 1
    sequence = made["/Game/Lines/gate/guard_001"]
    assert sequence["rate"] == (30000, 1001) and sequence["frames"] == 10 and sequence["skeleton"] == "/Game/Skel"
    for name in SHAPES:
        times, values = sequence["curves"][name]
        np.testing.assert_allclose(times, np.arange(10) * 1001 / 30000, atol=1e-9)
        assert np.array_equal(np.float32(values), clip.values[:, RIG.index(name)])
    assert {"HeadYaw", "HeadPitch", "HeadRoll"} <= set(sequence["curves"]) and not sequence["open"]
    runpy.run_path(str(tmp_path / script), run_name="__main__")  # again: filled anew, nothing twice
    assert len(made["/Game/Lines/short"]["curves"]["jawOpen"][0]) == 3


def fake_unreal(made: dict[str, dict[str, Any]], errors: list[str]) -> types.ModuleType:
    """A stand-in for Unreal's Python module, which notes what is made."""
    unreal = types.ModuleType("unreal")

    class Sequence:
        def __init__(self, path: str, skeleton: object) -> None:
            self.told: dict[str, Any] = {"skeleton": skeleton, "curves": {}}
            made[path], self.path = self.told, path

        def get_editor_property(self, name: str) -> object:
            assert name == "controller"
            told = self.told
            return types.SimpleNamespace(
                open_bracket=lambda title, transact: told.update(open=True),
                close_bracket=lambda transact: told.update(open=False),
                set_frame_rate=lambda rate, transact: told.update(rate=rate),
                set_number_of_frames=lambda n, transact: told.update(frames=n),
            )

    class Task:
        def __init__(self, steps: int, text: str) -> None: ...
        def __enter__(self) -> Task:
            return self

        def __exit__(self, *error: object) -> None: ...
        def make_dialog(self, cancel: bool) -> None: ...
        def should_cancel(self) -> bool:
            return False

        def enter_progress_frame(self, steps: int, text: str) -> None: ...

    sequences: dict[str, Sequence] = {}

    def create(name: str, folder: str, kind: object, factory: Any) -> Sequence:
        path = f"{folder}/{name}"
        sequences[path] = Sequence(path, factory.skeleton)
        return sequences[path]

    class Factory:
        def set_editor_property(self, name: str, value: object) -> None:
            assert name == "target_skeleton"
            self.skeleton = value

    def add_keys(sequence: Sequence, name: str, times: list[float], values: list[float]) -> None:
        held = sequence.told["curves"][name]
        held[0].extend(times)
        held[1].extend(values)

    for name, value in {
        "AnimSequence": Sequence,
        "AnimSequenceFactory": Factory,
        "FrameRate": lambda numerator, denominator: (numerator, denominator),
        "FrameNumber": int,
        "ScopedSlowTask": Task,
        "RawCurveTrackTypes": types.SimpleNamespace(RCT_FLOAT=0),
        "log": lambda text: None,
        "log_error": errors.append,
        "EditorAssetLibrary": types.SimpleNamespace(
            does_asset_exist=lambda path: path in sequences,
            load_asset=lambda path: sequences.get(path, path),
            save_loaded_asset=lambda sequence: None,
        ),
        "AssetToolsHelpers": types.SimpleNamespace(
            get_asset_tools=lambda: types.SimpleNamespace(create_asset=create),
        ),
        "AnimationLibrary": types.SimpleNamespace(
            does_curve_exist=lambda sequence, name, kind: name in sequence.told["curves"],
            remove_curve=lambda sequence, name: sequence.told["curves"].pop(name),
            add_curve=lambda sequence, name, kind, meta: sequence.told["curves"].setdefault(name, ([], [])),
            add_float_curve_keys=add_keys,
        ),
    }.items():
        setattr(unreal, name, value)
    return unreal


# --- FBX


def test_fbx_without_blender_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from msmdcli.formats import fbx

    monkeypatch.delenv("MSMD_BLENDER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fbx, "find_spec", lambda name: None)
    with pytest.raises(MsmdError, match="needs Blender") as error:
        write_motion(tiny(), tmp_path / "a.fbx", "fbx")
    assert "MSMD_BLENDER" in error.value.hint
    with pytest.raises(MsmdError, match="no such program"):
        write_motion(tiny(), tmp_path / "a.fbx", "fbx", {"blender": "/nowhere/blender"})
    with pytest.raises(MsmdError, match="Blender failed"):
        write_motion(tiny(), tmp_path / "a.fbx", "fbx", {"blender": sys.executable})
    assert not (tmp_path / "a.fbx").exists()


@pytest.mark.slow
def test_fbx_has_every_curve(tmp_path: Path) -> None:
    """The keys are compared by `tests/stress/check_formats.py`; here the file is there and names everything."""
    import os

    if not (os.environ.get("MSMD_BLENDER") or shutil.which("blender")):
        pytest.skip("needs Blender: MSMD_BLENDER or blender on the PATH")
    write_motion(tiny(), tmp_path / "a.fbx", "fbx", {"head": "none"})
    content = (tmp_path / "a.fbx").read_bytes()
    assert content.startswith(b"Kaydara FBX Binary") and all(name.encode() in content for name in SHAPES)


@pytest.mark.slow
def test_khronos_validator(tmp_path: Path) -> None:
    import os

    modules = os.environ.get("MSMD_NODE_MODULES", "")
    if not (shutil.which("node") and Path(modules, "gltf-validator").is_dir()):
        pytest.skip("needs node, and MSMD_NODE_MODULES with gltf-validator")
    write_motion(lively(30, "30"), tmp_path / "a.glb", "glb")
    write_motion(lively(1, "30"), tmp_path / "b.glb", "glb", {"head": "none"})
    code = (
        "const v=require('gltf-validator'),fs=require('fs');process.argv.slice(1).forEach(async f=>"
        "console.log((await v.validateBytes(new Uint8Array(fs.readFileSync(f)))).issues.numErrors))"
    )
    done = subprocess.run(
        ["node", "-e", code, str(tmp_path / "a.glb"), str(tmp_path / "b.glb")],
        env={**os.environ, "NODE_PATH": modules},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "0"]
