"""Heads made into rig files: the same vertices, in mm; what is missing or doubtful is told; the file can be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_head import FLOAT, UNSIGNED_SHORT, head_tree, write_glb
from typer.testing import CliRunner

from msmdcli.cli import app
from msmdcli.errors import MsmdError
from msmdcli.heads.loading import load_decoder, load_head
from msmdcli.heads.mesh import MeshDecoder, MeshPart
from msmdcli.heads.mesh_file import load_mesh, save_mesh
from msmdcli.heads.rig_import import import_head, rig_text, write_rig
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig, parse_numbers
from msmdcli.paths import find_head, shared_dir

RIG = Rig.load("arkit52")


def write_head(path: Path, names: list[str]) -> Path:
    """Two triangles; target i moves all vertices by i + 1 mm along y."""
    positions = np.array([[0, 0, 0], [0.05, 0, 0], [0, 0.05, 0], [0.05, 0.05, 0]], np.float32)
    index = np.array([0, 1, 2, 2, 1, 3], np.uint16)
    deltas = [np.tile(np.array([0, 0.001 * (i + 1), 0], np.float32), (4, 1)) for i in range(len(names))]
    vectors = {"componentType": FLOAT, "count": 4, "type": "VEC3"}
    accessors = [
        {"bufferView": 0, **vectors},
        {"bufferView": 1, "componentType": UNSIGNED_SHORT, "count": 6, "type": "SCALAR"},
        *({"bufferView": 2 + i, **vectors} for i in range(len(names))),
    ]
    tree = head_tree(names, accessors, 1, [2 + i for i in range(len(names))])
    return write_glb(path, tree, [positions, index, *deltas])


def msmd(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output


def pose(**channels: float) -> np.ndarray:
    values = np.zeros((1, RIG.size), np.float32)
    for name, value in channels.items():
        values[0, RIG.index(name)] = value
    return values


def test_targets_are_found_and_the_rest_is_told(tmp_path: Path) -> None:
    head = write_head(tmp_path / "head.glb", ["JawOpen", "eyeBlink_L", "browInnerUp_L", "browInnerUp_R", "Wink"])
    code, told = msmd("rig", "import", head, "--out", tmp_path / "hero.yaml", "--json")
    assert code == 0, told
    event = next(json.loads(line) for line in told.splitlines() if line.startswith('{"event": "imported"'))
    assert event["targets"] == {
        "eyeBlinkLeft": ["eyeBlink_L"],
        "jawOpen": ["JawOpen"],
        "browInnerUp": ["browInnerUp_L", "browInnerUp_R"],
    }
    assert any(remark.startswith("Not proposed: face, lips,") for remark in event["remarks"])
    assert list(event["doubtful"]) == ["browInnerUp"] and event["unused"] == ["Wink"]
    assert len(event["missing"]) == 49
    text = (tmp_path / "hero.yaml").read_text()
    assert "3 of 52 channels have a morph target" in text and "mouthFunnel" in text

    rig = Rig.load(tmp_path / "hero.yaml")
    assert rig.channels == RIG.channels and rig.regions == RIG.regions and rig.rotation == RIG.rotation
    assert rig.name == "hero" and rig.targets["browInnerUp"] == ("browInnerUp_L", "browInnerUp_R")
    mesh = load_decoder(rig)
    np.testing.assert_allclose(mesh.neutral[3], [50, 50, 0], atol=1e-4)  # mm
    moved = mesh.decode(pose(jawOpen=1.0, browInnerUp=0.5, mouthFunnel=1.0))[0] - mesh.neutral
    np.testing.assert_allclose(moved, np.tile([0, 1 + 0.5 * (3 + 4), 0], (4, 1)), atol=1e-3)
    assert mesh.decode(Motion(pose(jawOpen=1.0), 25, RIG)).shape == (1, 4, 3)  # arkit52 motion fits as it is


def test_a_target_named_by_hand(tmp_path: Path) -> None:
    head = write_head(tmp_path / "head.glb", ["jawOpen", "Mund_auf"])
    code, told = msmd("rig", "import", head, "--out", tmp_path / "a.yaml", "--use", "jawOpen=Mund_auf")
    assert code == 0, told
    mesh = load_head(tmp_path / "a.yaml")
    assert float(mesh.displacement("jawOpen")[0]) == pytest.approx(2.0, abs=1e-2)


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (["--use", "jawOpne=jawOpen"], 1, "did you mean jawOpen"),
        (["--use", "jawOpen=Mund"], 1, "has no morph target 'Mund'"),
        (["--use", "jawOpen"], 2, "is not CHANNEL=TARGET"),
        (["--out", "hero.glb"], 2, "is no .yaml file"),
        (["--rig", "metahumen"], 1, "neither a known rig nor a file"),
    ],
)
def test_wrong_usage_is_one_sentence(tmp_path: Path, more: list[str], code: int, says: str) -> None:
    head = write_head(tmp_path / "head.glb", ["jawOpen"])
    given = [] if "--out" in more else ["--out", tmp_path / "hero.yaml"]
    got, told = msmd("rig", "import", head, *given, *more)
    assert got == code and says in told.replace("\n", " ")
    assert not (tmp_path / "hero.yaml").exists()


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    head = write_head(tmp_path / "head.glb", ["jawOpen"])
    (tmp_path / "hero.npz").write_bytes(b"mine")
    assert msmd("rig", "import", head, "--out", tmp_path / "hero.yaml")[0] == 2
    assert (tmp_path / "hero.npz").read_bytes() == b"mine"
    assert msmd("rig", "import", head, "--out", tmp_path / "hero.yaml", "--force")[0] == 0


def small_mesh() -> MeshDecoder:
    rng = np.random.default_rng(0)
    deltas = np.zeros((52, 6, 3), np.float32)
    deltas[17] = rng.normal(size=(6, 3))
    part = MeshPart("skin", (0.5, 0.25, 0.125), slice(0, 6), np.array([[0, 1, 2], [3, 4, 5]]))
    stored = {"lips": np.array([0, 1, 2, 5]), "mouth_opening": np.array([4, 2])}
    return MeshDecoder(RIG, RIG.channels[:52], rng.normal(size=(6, 3)).astype(np.float32), deltas, (part,), stored)


def test_a_rig_file_gives_back_what_was_written(tmp_path: Path) -> None:
    mesh = small_mesh()
    write_rig(tmp_path / "small one.yaml", mesh, ["a: comment", "# another"], {"jawOpen": ["a: b", 'quo"te', "no"]})
    rig = Rig.load(tmp_path / "small one.yaml")
    assert rig.name == "small one" and rig.targets == {"jawOpen": ("a: b", 'quo"te', "no")}
    again = load_decoder(rig)
    np.testing.assert_array_equal(again.neutral, mesh.neutral)
    np.testing.assert_allclose(again.deltas, mesh.deltas, atol=2e-3)
    np.testing.assert_array_equal(again.triangles, mesh.triangles)
    assert again.mid_lips == (4, 2) and again.lips.tolist() == [0, 1, 2, 5]
    assert again.parts[0].name == "skin" and again.parts[0].colour == (0.5, 0.25, 0.125)
    first = (tmp_path / "small one.npz").read_bytes()
    save_mesh(tmp_path / "again.npz", mesh)
    assert (tmp_path / "again.npz").read_bytes() == first


def test_a_decoder_that_is_not_the_rig_s_own_is_refused(tmp_path: Path) -> None:
    write_rig(tmp_path / "a.yaml", small_mesh(), [])
    other = replace(small_mesh(), neutral=small_mesh().neutral + 1)
    save_mesh(tmp_path / "a.npz", other)
    with pytest.raises(MsmdError, match="sha256 differs"):
        load_head(tmp_path / "a.yaml")
    (tmp_path / "a.npz").unlink()
    with pytest.raises(MsmdError, match="is not there"):
        load_head(tmp_path / "a.yaml")
    with pytest.raises(MsmdError, match="has no mesh decoder"):
        load_decoder(RIG)
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(MsmdError, match="is no mesh decoder"):
        load_mesh(tmp_path / "b.npz", RIG)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lips: >-\n    0-2 5", "lips: >-\n    0-2 99", "there are only 6, not 99"),
        ("0-2 5", "2-0", "'2-0' is not a vertex number"),
        ("0-2 5", "0-999999999", "there is no vertex 999999999"),
        ("4 2", "4", "mouth_opening is two vertices"),
        ("lips:", "lisp:", "unknown key 'lisp'"),
        ("mesh: a.npz", "mesh: a.npz\n  onnx: a.onnx", "one of them"),
    ],
)
def test_wrong_rig_files_are_told(tmp_path: Path, old: str, new: str, says: str) -> None:
    write_rig(tmp_path / "a.yaml", small_mesh(), [])
    text = (tmp_path / "a.yaml").read_text()
    assert old in text
    (tmp_path / "a.yaml").write_text(text.replace(old, new))
    with pytest.raises(MsmdError, match=says):
        load_head(tmp_path / "a.yaml")


def test_the_text_of_a_rig_is_the_rig(tmp_path: Path) -> None:
    for name in ("arkit52", "flame", "serep"):
        rig = Rig.load(name)
        (tmp_path / "again.yaml").write_text(rig_text(rig, ["made for a test"], {}))
        assert Rig.load(tmp_path / "again.yaml") == rig
        assert Rig.from_definition(rig.definition()) == rig
    assert parse_numbers("3 7-9, 1").tolist() == [3, 7, 8, 9, 1]


def test_show_tells_channels_decoder_and_vertices(tmp_path: Path) -> None:
    code, told = msmd("rig", "show", "face468", "--picture", tmp_path / "sets.png")
    assert code == 0 and "eyeBlinkLeft" in told and "upper_face: 198 vertices" in told
    from PIL import Image

    picture = np.asarray(Image.open(tmp_path / "sets.png").convert("RGB")).astype(int)
    assert picture.shape == (900, 1800, 3)
    red = (picture[..., 0] > 120) & (picture[..., 1] < 70)
    blue = (picture[..., 2] > 150) & (picture[..., 0] < 90)
    front_red, front_blue = np.argwhere(red[:, :900]), np.argwhere(blue[:, :900])
    assert len(front_red) > 3000 and len(front_blue) > 50_000
    assert np.median(front_red[:, 0]) > np.median(front_blue[:, 0]) + 200  # the lips are below the upper face
    assert msmd("rig", "show", "metahuman")[0] == 0
    code, told = msmd("rig", "show", "serep", "--json")
    assert code == 0 and json.loads(told.splitlines()[0])["lower"] is None


def test_a_head_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MSMD_HEAD", raising=False)
    assert load_head(find_head()).rig.channels == RIG.channels
    with pytest.raises(MsmdError, match="no such head"):
        find_head(Path("absent.glb"))


def test_the_default_face_moves_as_its_channels_say() -> None:
    mesh = load_head(find_default())
    upper, lower = mesh.mid_lips

    def opening(values: np.ndarray) -> float:
        at = mesh.decode(values, np.array([upper, lower]))[0]
        return float(np.linalg.norm(at[0] - at[1]))

    assert opening(pose()) < 1.5 and 20 < opening(pose(jawOpen=1.0)) < 45
    assert opening(pose(jawOpen=0.5, mouthClose=0.5)) < opening(pose(jawOpen=0.5)) - 1

    def moved(vertex: int, **channels: float) -> np.ndarray:
        return mesh.decode(pose(**channels), np.array([vertex]))[0, 0] - mesh.neutral[vertex]

    assert moved(291, mouthSmileLeft=1.0)[1] > 3  # the person's left corner of the mouth goes up, the right one stays
    assert abs(moved(61, mouthSmileLeft=1.0)[1]) < 1.5
    assert moved(334, browOuterUpLeft=1.0)[1] > 3 and moved(105, browDownRight=1.0)[1] < -2
    assert moved(386, eyeBlinkLeft=1.0)[1] < -4 and abs(moved(159, eyeBlinkLeft=1.0)[1]) < 1.5
    assert moved(152, jawLeft=1.0)[0] > 1  # x to the person's own left
    left = [name for name in mesh.channels if name.endswith("Left")]
    for name in left:  # symmetric, as the neutral face is
        other = name.removesuffix("Left") + "Right"
        np.testing.assert_allclose(
            np.sort(np.linalg.norm(mesh.deltas[mesh.channels.index(name), :468], axis=1)),
            np.sort(np.linalg.norm(mesh.deltas[mesh.channels.index(other), :468], axis=1)),
            atol=0.05,
        )


def find_default() -> Path:
    from msmdcli.paths import SHIPPED

    path = SHIPPED / "rigs" / "face468.yaml"
    assert path.with_suffix(".npz").stat().st_size < 500_000
    return path


def test_preview_draws_on_a_rig_file(tmp_path: Path) -> None:
    save_npz(tmp_path / "take.npz", Motion(pose(jawOpen=0.6), 25, RIG))
    given = ["preview", tmp_path / "take.npz", "--head", find_default(), "--out", tmp_path / "a.png"]
    code, told = msmd(*given, "--columns", "1", "--rows", "1", "--size", "96")
    assert code == 0, told
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_the_shared_head_keeps_its_vertices(tmp_path: Path) -> None:
    shared = shared_dir()
    path = shared / "heads" / "ict_head_arkit52.glb" if shared else None
    if path is None or not path.is_file():
        pytest.skip("the shared ICT head is not here")
    found = import_head(path, RIG)
    assert not found.missing and not found.doubtful
    assert set(found.mesh.stored) == {"face", "lips", "upper_face", "mouth_opening", "mouth_line", "lining"}
    write_rig(tmp_path / "ict.yaml", found.mesh, ["a head"])
    again, direct = load_head(tmp_path / "ict.yaml"), load_head(path)
    values = np.random.default_rng(0).uniform(0, 0.3, (2, RIG.size)).astype(np.float32)
    np.testing.assert_allclose(again.decode(values), direct.decode(values), atol=0.02)  # mm; float16 displacements
    for name in ("face", "lips", "upper_face", "mouth", "lining"):
        np.testing.assert_array_equal(getattr(again, name), getattr(direct, name))
    assert again.mid_lips == direct.mid_lips
