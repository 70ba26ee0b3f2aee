from __future__ import annotations

import base64
import json
import re
import sys
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from stand_in import K, N

import msmdcli.drawing.style_figures as figures
from msmdcli.drawing.canvas import PNG_SCALE, Canvas
from msmdcli.drawing.style_figures import alpha_figure, alpha_of_line, basis_figure, style_basis
from msmdcli.errors import MsmdError, UsageError
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.runtime import on_host
from msmdcli.model.sampling import Sampling
from msmdcli.model.style_codes import StyleEntry
from msmdcli.motion.rig import Rig
from msmdcli.paths import find_head
from msmdcli.styles.library import StyleLibrary

RIG = Rig.load("arkit52")


@pytest.fixture(scope="module")
def engine(stand_in_bundle: Path) -> Engine:
    return Engine(Bundle.load(stand_in_bundle), "cpu", 1, sampling=Sampling("dpmpp-2m", 3))


@pytest.fixture(scope="module")
def mesh() -> MeshDecoder:
    return load_head(find_head(), RIG)


def code_of(engine: Engine, tag: str = "happy") -> figures.StyleCode:
    reference = StyleLibrary().resolve(tag)
    assert reference is not None
    return engine.encode_style(reference.load())


def noise(seconds: Fraction) -> Audio:
    samples = np.random.default_rng(0).standard_normal(int(seconds * 16000)).astype(np.float32) * 0.1
    return Audio(samples, 16000, 16000, 1, seconds)


def test_the_basis_is_that_of_the_conditioner(engine: Engine) -> None:
    """What is drawn is what the denoiser is given."""
    style = code_of(engine)
    basis = style_basis(engine, style)
    assert basis.poses.shape == (K, RIG.size)
    line = alpha_of_line(engine, style, basis, noise(Fraction(2)))
    assert line.alpha.shape == (line.motion.frames, K)
    parts: list[np.ndarray] = []
    kept = engine.graphs.conditioner

    class Watched:
        def run_on_device(self, feeds: dict[str, np.ndarray]) -> dict[str, object]:
            made = kept.run_on_device(feeds)
            parts.append(on_host(made["basis"]))
            return made

    engine.graphs.__dict__["conditioner"] = Watched()
    try:
        alpha_of_line(engine, style, basis, noise(Fraction(1)))
    finally:
        engine.graphs.__dict__["conditioner"] = kept
    np.testing.assert_allclose(parts[0][0] * engine.bundle.normalisation.std, basis.poses, atol=1e-5)


def test_alpha_is_that_of_the_last_step_for_every_frame_and_changes_no_byte(engine: Engine) -> None:
    style, audio = code_of(engine), noise(Fraction(2))
    features = engine.encode_audio(audio)
    got: list[tuple[int, np.ndarray]] = []
    jobs = [
        Job("a", features, [StyleEntry(None)]),
        Job("b", features, [StyleEntry(style)], watch_alpha=lambda alpha, first: got.append((first, alpha))),
        Job("c", features, [StyleEntry(style, 0.5), StyleEntry(None, 0.5)]),
    ]
    together = {job.id: motion.values for job, motion in engine.animate(jobs, clip=False)}
    ((_, plain),) = engine.animate([Job("b", features, [StyleEntry(style)])], clip=False)
    np.testing.assert_array_equal(together["b"], plain.values)
    assert [first for first, _ in got] == list(range(0, len(features), N))
    alone = alpha_of_line(engine, style, style_basis(engine, style), audio)  # another id, other noise
    assert alone.alpha.shape == (len(features), K)
    assert sum(len(alpha) for _, alpha in got) == len(features)
    got_again: list[np.ndarray] = []
    (_,) = engine.animate([Job("b", features, [StyleEntry(style)], watch_alpha=lambda a, _: got_again.append(a))])
    np.testing.assert_array_equal(np.concatenate(got_again), np.concatenate([alpha for _, alpha in got]))


def test_a_model_without_basis_says_so(stand_in_bundle: Path, tmp_path: Path) -> None:
    import shutil

    bundle = tmp_path / "bundle"
    shutil.copytree(stand_in_bundle, bundle)
    description = json.loads((bundle / "bundle.json").read_text())
    del description["files"]["style_decoder.onnx"]
    (bundle / "bundle.json").write_text(json.dumps(description))
    engine = Engine(Bundle.load(bundle), "cpu", 1)
    with pytest.raises(MsmdError, match="no style basis"):
        style_basis(engine, code_of(engine))


def test_the_figures_show_every_pose_and_every_alpha(
    engine: Engine, mesh: MeshDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "FACE_PIXELS", 0.3)
    monkeypatch.setattr(figures, "STRIP", 2)
    style = code_of(engine)
    basis = style_basis(engine, style)
    page = ElementTree.fromstring(basis_figure(basis, mesh, "happy & glad", "stand-in").svg())
    words = [element.text or "" for element in page.iter() if element.tag.endswith("text")]
    images = [element for element in page.iter() if element.tag.endswith("image")]
    anchored = int(basis.anchored)
    assert len(images) == 2 + anchored + 2 * K
    assert "Style basis of happy & glad" in words and all(any(f"b{k + 1}" in w for w in words) for k in range(K))
    faces = [element.attrib["{http://www.w3.org/1999/xlink}href"] for element in images]
    assert len(set(faces)) > K  # they differ
    assert base64.b64decode(faces[0].split(",")[1]).startswith(b"\x89PNG")

    line = alpha_of_line(engine, style, basis, noise(Fraction(5, 2)))
    page = ElementTree.fromstring(alpha_figure(line, basis, mesh, "happy", "line.wav", "stand-in").svg())
    curves = [e for e in page.iter() if e.tag.endswith("polyline") and e.attrib["stroke"] in figures.COLOURS]
    assert len(curves) == K
    for k, curve in enumerate(curves):  # the curve is alpha: the same shape, upside down
        drawn = -np.array([float(pair.split(",")[1]) for pair in curve.attrib["points"].split()])
        assert len(drawn) == line.motion.frames
        assert np.corrcoef(drawn, line.alpha[:, k])[0, 1] > 0.999
    shown = [e for e in page.iter() if e.tag.endswith("text")]
    assert any("Mean movement of the face" in "".join(e.itertext()) for e in shown)
    width = float(page.attrib["viewBox"].split()[2])
    for element in shown:  # nothing is cut off: a letter is at most 0.55 of its size wide on average
        size, words = float(element.attrib["font-size"]), "".join(element.itertext())
        if element.attrib.get("text-anchor", "start") == "start":
            assert float(element.attrib["x"]) + 0.55 * size * len(words) <= width, words
    without = alpha_figure(line, basis, None, "happy", "line.wav", "stand-in").svg()
    assert "<image" not in without


def test_heat_shows_where_the_skin_moves(mesh: MeshDecoder) -> None:
    still = np.zeros(RIG.size, np.float32)
    brow = still.copy()
    brow[RIG.index("browInnerUp")] = 1
    moved = figures._moved(mesh, still, brow)[0]
    assert moved[mesh.neutral[mesh.face, 1] > mesh.neutral[mesh.mouth, 1].max() + 40].max() == moved.max() > 2
    hot = figures.heat_picture(mesh, still, moved, float(moved.max()), 60).astype(int)
    cold = figures.heat_picture(mesh, still, moved * 0, 1.0, 60).astype(int)
    red = (hot - cold)[..., 0] - (hot - cold)[..., 2]  # redder, less blue
    half = len(red) // 2
    assert red[:half].max() > 60 and red[int(1.4 * half) :].max() < 20


def test_a_page_is_the_same_as_svg_and_png(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    page = Canvas(60, 40)
    page.area([(10, 10), (30, 10), (30, 30), (10, 30)], "#ff0000")
    page.line([(0, 35), (60, 35)], "#0000ff", 2)
    page.picture(40, 10, 10, 10, np.full((4, 4, 3), (0, 255, 0), np.uint8))
    page.text(2, 8, "x < y", 6)
    page.save(tmp_path / "figures/page.svg")
    page.save(tmp_path / "page.png")
    text = (tmp_path / "figures/page.svg").read_text()
    assert "x &lt; y" in text and re.search(r'<polygon points="10.00,10.00 .*" fill="#ff0000"/>', text)
    pixels = page.pixels()
    assert pixels.shape == (40 * PNG_SCALE, 60 * PNG_SCALE, 3)
    for at, colour in (
        ((20, 20), (255, 0, 0)),
        ((35, 30), (0, 0, 255)),
        ((15, 45), (0, 255, 0)),
        ((25, 55), (255,) * 3),
    ):
        assert tuple(pixels[at[0] * PNG_SCALE, at[1] * PNG_SCALE]) == colour
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="neither"):
        page.save(tmp_path / "page.jpg")


def test_png_without_pillow_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError, match="Pillow") as error:
        Canvas(10, 10).save(tmp_path / "page.png")
    assert ".svg" in error.value.hint
    Canvas(10, 10).save(tmp_path / "page.svg")
