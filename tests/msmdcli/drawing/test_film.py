"""Films of a motion: both renderers draw the same, and what is written plays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from msmdcli.cli import app
from msmdcli.drawing.film import Film, FilmTake, write_film
from msmdcli.drawing.numpy_renderer import NumpyRenderer
from msmdcli.drawing.pictures import write_png
from msmdcli.drawing.renderer import open_renderer, opengl_problem
from msmdcli.errors import MsmdError, UsageError
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.media.mp4 import coded, nv12_of, write_mp4
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.paths import find_head

pytest.importorskip("PIL")
needs_opengl = pytest.mark.skipif(opengl_problem() is not None, reason=f"no OpenGL here: {opengl_problem()}")


@pytest.fixture(scope="module")
def mesh() -> MeshDecoder:
    return load_head(find_head())


def poses(mesh: MeshDecoder, frames: int = 2) -> np.ndarray:
    values = np.zeros((frames, mesh.rig.size), np.float32)
    for name, value in {"jawOpen": 0.6, "browInnerUp": 0.8, "eyeLookInLeft": 0.5, "headYaw": 0.3}.items():
        values[1:, mesh.rig.index(name)] = value
    return values


def pictures_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@needs_opengl
def test_both_renderers_draw_the_same_picture(mesh: MeshDecoder) -> None:
    turns = (0.0, -0.7)
    fast = open_renderer(mesh, 384, 192, turns, choice="opengl")
    slow = NumpyRenderer(mesh, 384, 192, turns)
    films = fast.film_pictures(poses(mesh)), slow.film_pictures(poses(mesh))
    stills = fast.pictures(poses(mesh)), slow.pictures(poses(mesh))
    for drawn, expected in [*zip(*stills, strict=True), *zip(*films, strict=True)]:
        assert drawn.shape == expected.shape
        off = np.abs(drawn.astype(int) - expected.astype(int))
        assert off.mean() < 1.5
        assert (off > 40).mean() < 0.02  # edges only
    fast.close()


@needs_opengl
def test_a_film_s_pictures_are_those_to_look_at_with_smooth_edges(mesh: MeshDecoder) -> None:
    renderer = open_renderer(mesh, 320, 240, choice="opengl")
    for still, film in zip(renderer.pictures(poses(mesh)), renderer.film_pictures(poses(mesh)), strict=True):
        off = np.abs(film.astype(int) - nv12_of(still).astype(int))
        assert np.median(off) <= 1  # within faces nothing is smoothed
        assert off[:240].mean() < 0.6 and (off > 40).mean() < 0.002
    renderer.close()


@needs_opengl
def test_pictures_are_the_same_again_and_apart_from_their_neighbours(mesh: MeshDecoder) -> None:
    values = poses(mesh, 3)
    first, second = (open_renderer(mesh, 96, 96, choice="opengl") for _ in range(2))
    together = list(first.pictures(values))
    assert (together[2] == next(second.pictures(values[2:]))).all()  # two contexts, and one picture alone
    assert (together[2] == list(first.pictures(values))[2]).all()
    assert (together[0] != together[2]).any()
    first.close()
    second.close()


@needs_opengl
def test_a_head_of_few_vertices_is_drawn(tmp_path: Path) -> None:
    from msmdcli.paths import SHIPPED

    face = load_head(SHIPPED / "rigs" / "face468.yaml")
    values = np.zeros((1, face.rig.size), np.float32)
    drawn = next(open_renderer(face, 160, 160, choice="opengl").pictures(values))
    expected = next(NumpyRenderer(face, 160, 160).pictures(values))
    assert np.abs(drawn.astype(int) - expected.astype(int)).mean() < 3


def test_what_a_video_keeps_is_bt709_in_limited_range() -> None:
    for colour, wanted in (
        ((255, 255, 255), (235, 128, 128)),
        ((0, 0, 0), (16, 128, 128)),
        ((255, 0, 0), (63, 102, 240)),
    ):
        planes = nv12_of(np.full((8, 8, 3), colour, np.uint8))  # by FFmpeg
        assert planes.shape == (12, 8)
        found = planes[:8].mean(), planes[8:, ::2].mean(), planes[8:, 1::2].mean()
        np.testing.assert_allclose(found, wanted, atol=1)
        np.testing.assert_allclose(np.multiply(coded(np.divide(colour, 255)), 255), wanted, atol=0.6)  # ours


def test_a_film_has_sound_beside_its_pictures_and_begins_with_its_index(tmp_path: Path) -> None:
    tone = 0.3 * np.sin(np.arange(96000) * 0.05).astype(np.float32)
    path = tmp_path / "a.mp4"
    grey = [np.full((64, 96, 3), (200, 120, 40), np.uint8)] * 50
    write_mp4(path, iter(grey), Fraction(25), tone, 48000)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.pix_fmt, sound.codec_context.name) == ("h264", "yuv420p", "aac")
        assert video.codec_context.colorspace == 1
        order = [packet.stream.type for packet in container.demux() if packet.size]
    assert "audio" in order[:10] and "video" in order[-10:]  # players read both at once
    assert np.abs(pictures_of(path)[20][32, 48].astype(int) - (200, 120, 40)).max() < 8
    write_mp4(tmp_path / "b.mp4", iter(grey), Fraction(25), tone, 48000)
    assert (tmp_path / "b.mp4").read_bytes() == data


def test_what_fails_while_encoding_is_said_and_does_not_hang(tmp_path: Path) -> None:
    with pytest.raises(MsmdError, match="cannot be written"):
        write_mp4(tmp_path / "no" / "a.mp4", (np.zeros((32, 32, 3), np.uint8) for _ in range(100)), Fraction(25))

    def broken() -> object:
        yield np.zeros((32, 32, 3), np.uint8)
        raise MsmdError("the video ends here")

    with pytest.raises(MsmdError, match="ends here"):
        write_mp4(tmp_path / "a.mp4", broken(), Fraction(25))  # type: ignore[arg-type]


def test_a_video_runs_beside_in_real_time(mesh: MeshDecoder, tmp_path: Path) -> None:
    colours = [(200, 30, 30)] * 5 + [(30, 30, 200)] * 5  # 0.5 s red, 0.5 s blue
    write_mp4(tmp_path / "take.mp4", (np.full((64, 64, 3), c, np.uint8) for c in colours), Fraction(10))
    motion = Motion(np.zeros((10, mesh.rig.size), np.float32), 10, mesh.rig)
    film = Film(128, 64, renderer="auto")
    seen: list[float] = []
    write_film(tmp_path / "both.mp4", FilmTake(motion, mesh), film, beside=tmp_path / "take.mp4", advance=seen.append)
    shown = pictures_of(tmp_path / "both.mp4")
    assert [bool(p[32, 32, 0] > p[32, 32, 2]) for p in shown] == [True] * 5 + [False] * 5
    assert shown[0].shape == (64, 128, 3) and sum(seen) == pytest.approx(1.0)
    assert not list(tmp_path.glob(".*"))


def test_another_take_runs_beside(mesh: MeshDecoder, tmp_path: Path) -> None:
    still, moved = poses(mesh)[:1], poses(mesh)[1:]
    take = FilmTake(Motion(np.repeat(still, 4, 0), 10, mesh.rig), mesh)
    other = FilmTake(Motion(np.concatenate([np.repeat(still, 4, 0), np.repeat(moved, 2, 0)]), 20, mesh.rig), mesh)
    write_film(tmp_path / "both.mp4", take, Film(192, 96), beside=other)
    left = [picture[:, :96].astype(int) for picture in pictures_of(tmp_path / "both.mp4")]
    assert len(left) == 4
    assert np.abs(left[1] - left[0]).mean() < 1 < np.abs(left[2] - left[0]).mean()  # 0.2 s: its frame 4


def test_bad_input_is_one_sentence(mesh: MeshDecoder, tmp_path: Path) -> None:
    motion, silent = tmp_path / "a.npz", tmp_path / "silent.mp4"
    save_npz(motion, Motion(poses(mesh), 25, mesh.rig))
    write_mp4(silent, iter([np.zeros((32, 32, 3), np.uint8)] * 3), Fraction(25))
    (tmp_path / "text.npz").write_text("no motion")
    out = str(tmp_path / "o.mp4")
    for arguments, code, said in (
        ([str(motion), "--out", str(tmp_path / "o.gif")], 2, ".gif"),
        ([str(motion), "--out", str(tmp_path / "none" / "o.mp4")], 2, "no such folder"),
        ([str(motion), "--out", out, "--head", "none.glb"], 2, "no such head"),
        ([str(tmp_path / "text.npz"), "--out", out], 1, "text.npz"),
        ([str(motion), "--out", out, "--audio", "none.wav"], 1, "none.wav"),
        ([str(motion), "--out", out, "--audio", str(silent)], 1, "silent.mp4"),
        ([str(motion), "--out", out, "--beside", "none.mp4"], 1, "none.mp4"),
        ([str(motion), "--out", out, "--size", "9x9"], 2, "9x9"),
        ([str(motion), "--out", out, "--view", "above"], 2, "three-quarter"),
        ([str(motion), "--out", str(tmp_path / "o.svg"), "--beside", str(silent)], 2, "--beside"),
    ):
        result = CliRunner().invoke(app, ["preview", *arguments])
        text = " ".join(result.output.split())
        assert result.exit_code == code and said in text, (arguments, text, result.exception)
        assert "Traceback" not in text and not Path(out).exists()
    with pytest.raises(UsageError, match="no renderer"):
        open_renderer(mesh, 64, 64, choice="vulkan")
    with pytest.raises(MsmdError, match="cannot be drawn"):
        open_renderer(mesh, 4, 64)


def test_the_command_says_what_draws(mesh: MeshDecoder, tmp_path: Path) -> None:
    save_npz(tmp_path / "a.npz", Motion(poses(mesh), 25, mesh.rig))
    common = ["preview", str(tmp_path / "a.npz"), "--verbose", "--renderer", "numpy", "--size"]
    result = CliRunner().invoke(app, [*common, "64", "--out", str(tmp_path / "a.png")])
    assert result.exit_code == 0 and "drawn by NumPy" in result.output
    result = CliRunner().invoke(app, [*common, "96x64", "--out", str(tmp_path / "a.mp4")])
    assert result.exit_code == 0 and pictures_of(tmp_path / "a.mp4")[0].shape == (64, 96, 3)
    write_png(tmp_path / "b.png", pictures_of(tmp_path / "a.mp4")[0])
