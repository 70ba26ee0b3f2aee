"""A rig with a learned code through the whole chain: autoencoder, training, export, batch, and back to vertices."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from made_data import make_data
from onnx import TensorProto, helper
from typer.testing import CliRunner

from export.onnx_export import export_bundle
from msmdcli.cli import app
from msmdcli.errors import MsmdError
from msmdcli.heads.loading import load_head
from msmdcli.media.voice import frames_below_speech
from msmdcli.model.bundle import Bundle
from msmdcli.motion.health import measure_health
from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import PACKAGE, SHIPPED
from training.config import load_config
from training.faces.code_fit import make_code
from training.loop.trainer import train

HEAD = SHIPPED / "rigs" / "face468.yaml"


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a learned code of 16 numbers, fitted to the made data set."""
    folder = tmp_path_factory.mktemp("code")
    error = make_code(make_data(folder / "made"), folder / "code", HEAD, size=16, steps=300)
    assert error < 0.5  # mm
    return folder / "code"


def test_the_code_is_another_way_to_say_the_same_faces(code: Path) -> None:
    rig = Rig.load(code / "code16.yaml")
    assert rig.size == 16 + 3 and rig.regions == {} and np.isinf(rig.lower).all()
    decoder, head = load_head(code / "code16.yaml"), load_head(HEAD)
    row = json.loads((code / "data" / "index.jsonl").read_text().splitlines()[0])
    coded, plain = load_npz(code / "data" / row["motion"]), load_npz(code.parent / "made" / row["motion"])
    assert coded.rig == rig and coded.frames == plain.frames
    np.testing.assert_array_equal(coded.values[:, 16:], plain.values[:, 52:])  # the head stays as it is
    distance = np.linalg.norm(decoder.decode(coded) - head.decode(plain), axis=2)[:, head.face]
    moved = np.linalg.norm(head.decode(plain) - head.neutral, axis=2)[:, head.face]
    assert distance.mean() < 0.3 and moved.mean() > 3 * distance.mean()  # mm
    some = np.array([5, 3])
    np.testing.assert_array_equal(decoder.decode(coded, some), decoder.decode(coded)[:, some])
    assert decoder.mid_lips == head.mid_lips
    np.testing.assert_array_equal(decoder.lips, head.lips)


def test_a_code_without_vertex_sets_degrades_in_words(code: Path, tmp_path: Path) -> None:
    text = (code / "code16.yaml").read_text()
    (tmp_path / "bare.yaml").write_text(text[: text.index("vertices:")])
    for name in ("decoder.onnx", "surface.npz"):
        (tmp_path / name).write_bytes((code / name).read_bytes())
    bare = load_head(tmp_path / "bare.yaml")
    assert bare.has("face") and len(bare.face) == bare.size
    for name in ("lips", "upper_face", "mouth_opening", "mouth_line"):
        assert not bare.has(name)
    with pytest.raises(MsmdError, match="has no lips"):
        bare.lips


def test_graphs_that_do_not_fit_are_refused(code: Path, tmp_path: Path) -> None:
    (tmp_path / "code16.yaml").write_text((code / "code16.yaml").read_text().replace("count: 16", "count: 9"))
    for name in ("decoder.onnx", "surface.npz"):
        (tmp_path / name).write_bytes((code / name).read_bytes())
    with pytest.raises(MsmdError, match="takes 16 numbers a frame, and the rig has 9 channels"):
        load_head(tmp_path / "code16.yaml")
    (tmp_path / "decoder.onnx").write_bytes(b"no graph")
    with pytest.raises(MsmdError, match="sha256 differs"):
        load_head(tmp_path / "code16.yaml")
    text = (code / "code16.yaml").read_text()
    (tmp_path / "code16.yaml").write_text(text.replace("sha256: ", "sha256: null #"))
    # The rest of that line is gone with the comment; what remains must be said to be wrong, not crash.
    with pytest.raises(MsmdError):
        load_head(tmp_path / "code16.yaml")


def test_a_graph_may_take_the_head_too(tmp_path: Path) -> None:
    """A linear graph of full width, [T, 5] -> [T, 6]: the head's columns arrive as 0."""
    weights = np.arange(30, dtype=np.float32).reshape(5, 6)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "decoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", 6])],
        [helper.make_tensor("w", TensorProto.FLOAT, (5, 6), weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(model, str(tmp_path / "d.onnx"))
    (tmp_path / "r.yaml").write_text(
        "format_version: 1\nname: r\nrotation: [p, y, r]\nchannels:\n  - {name: 'z_{}', count: 2, first: 1}\n"
        "  - {name: p}\n  - {name: y}\n  - {name: r}\ndecoder: {onnx: d.onnx}\n"
    )
    decoder = load_head(tmp_path / "r.yaml")
    assert decoder.channels == ("z_1", "z_2") and decoder.size == 2
    values = np.array([[1, 2, 9, 9, 9], [0, 1, 9, 9, 9]], np.float32)
    np.testing.assert_allclose(decoder.decode(values).reshape(2, 6), values[:, :2] @ weights[:2])
    np.testing.assert_allclose(decoder.deltas.reshape(2, 6), weights[:2])


@pytest.mark.slow
def test_train_export_batch_and_decode(code: Path, tiny_whisper: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(
        f"preset: tiny\naudio: {{path: {tiny_whisper}}}\ndata: {{rig: {code / 'code16.yaml'}}}\n"
        "loss: {regions: {jaw: 2.0, lips: 1.5}}\noptimiser: {iterations: 8}\n"
    )
    config = load_config(None, tmp_path / "tiny.yaml")
    config = replace(config, schedule=replace(config.schedule, validate_every=8, checkpoint_every=8))
    run = train(config, [code / "data"], tmp_path / "run")
    measures = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert any("val/loss" in entry for entry in measures)
    parities = export_bundle(run, tmp_path / "bundle")
    assert "whole line" in {parity.name for parity in parities}

    bundle = Bundle.load(tmp_path / "bundle")  # knows its rig without the rig's file
    assert bundle.rig == Rig.load(code / "code16.yaml") and bundle.rig.name == "code16"
    samples = 0.1 * np.random.default_rng(0).standard_normal(16000 * 2)
    soundfile.write(tmp_path / "line.wav", samples, 16000)
    style = json.loads((code / "data" / "index.jsonl").read_text().splitlines()[1])["motion"]
    given = ["batch", tmp_path / "line.wav", "--bundle", tmp_path / "bundle", "--style", code / "data" / style,
             "--formats", "npz", "--out", tmp_path / "out"]  # fmt: skip
    done = CliRunner().invoke(app, [str(argument) for argument in given])
    assert done.exit_code == 0, done.output
    made = load_npz(tmp_path / "out" / "line.npz")
    assert made.frames == 50 and made.rig == bundle.rig
    vertices = load_head(code / "code16.yaml").decode(made)  # [T, V, 3]
    assert vertices.shape[0] == 50 and np.isfinite(vertices).all()
    silent = frames_below_speech(samples.astype(np.float32), 16000, made.fps, made.frames)
    health = measure_health(made.values, made.fps, made.rig, bundle.window, silent)
    assert health.mouth_in_silence is None and health.blinks_per_minute is None and health.jitter is not None

    given[given.index("npz")] = "livelink-csv"
    refused = CliRunner().invoke(app, [str(argument) for argument in given])
    assert refused.exit_code == 1 and "arkit52" in refused.output.replace("\n", " ")
    given[given.index("--style") + 1] = PACKAGE.parent / "styles" / "angry"
    refused = CliRunner().invoke(app, [*(str(argument) for argument in given), "--force"])
    assert refused.exit_code != 0 and "Traceback" not in refused.output


@pytest.mark.slow
def test_style_augmentation_needs_a_face(code: Path, tiny_whisper: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(
        f"preset: tiny\naudio: {{path: {tiny_whisper}}}\ndata: {{rig: {code / 'code16.yaml'}}}\n"
        "augment: {probability: 0.5}\n"
    )
    with pytest.raises(MsmdError, match="rig code16 has no region"):
        train(load_config(None, tmp_path / "tiny.yaml"), [code / "data"], tmp_path / "run")
