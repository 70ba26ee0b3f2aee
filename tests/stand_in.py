"""A stand-in for a trained bundle: real ONNX graphs that keep the contract of a bundle, with small random weights.

Nothing is learned, but everything that the runtime must get right shows in the result: the audio of each frame,
previous frames, the start mark, the style (code, anchor, null), the step, the mask, and the noise.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

from msmdcli.motion.rig import Rig

N, P, S, K, C0, STACK, WIDTH = 20, 4, 8, 2, 6, 2, 32
C = C0 * STACK
HOP = 320  # samples per audio feature at 16 kHz

HEADER = '<ir_version: 10, opset_import: ["" : 20]>'

AUDIO_ENCODER = """
audio_encoder (float[B, S] waveform) => (float[B, F, C0] features) {
    samples = Shape <start = 1, end = 2> (waveform)
    up = Add (samples, hop_less_1)
    frames = Div (up, hop)
    full = Mul (frames, hop)
    lack = Sub (full, samples)
    pads = Concat <axis = 0> (three_zeros, lack)
    padded = Pad (waveform, pads)
    shape = Concat <axis = 0> (zero, frames, hop)
    cut = Reshape (padded, shape)
    mixed = MatMul (cut, w_audio)
    shapes = Tanh (mixed)
    loud = Abs (cut)
    level = ReduceMean <keepdims = 1> (loud, axis_2)
    features = Concat <axis = 2> (shapes, level)
}
"""

STYLE_ENCODER = """
style_encoder (float[B, T, D] motion, float[B, T] mask) => (float[B, S] code, float[B, S] logvar, float[B, A] anchor) {
    m = Unsqueeze (mask, axis_2)
    count = ReduceSum <keepdims = 0> (m, axis_1)
    masked = Mul (motion, m)
    sum = ReduceSum <keepdims = 0> (masked, axis_1)
    mean = Div (sum, count)
    mean_1 = Unsqueeze (mean, axis_1)
    away = Sub (motion, mean_1)
    square = Mul (away, away)
    squares = Mul (square, m)
    total = ReduceSum <keepdims = 0> (squares, axis_1)
    variance = Div (total, count)
    std = Sqrt (variance)
    anchor = Concat <axis = 1> (mean, std)
    projected = MatMul (anchor, w_code)
    code = Tanh (projected)
    logvar = Neg (projected)
}
"""

STYLE_DECODER = """
style_decoder (float[B, S] code) => (float[B, K, D] basis) {
    flat = MatMul (code, w_basis)
    basis = Reshape (flat, basis_shape)
}
"""

CONDITIONER = """
conditioner (float[B, M, C] audio, float[B, P, D] previous, float[B] start, float[B, S] code, float[B, A] anchor,
             float[B] audio_null, float[B] style_null)
    => (float[B, M, W] memory, float[B, W] style_token, float[B, P, W] previous_tokens, float[B, K, D] basis,
        float[B, D] offset) {
    audio_heard = Sub (one, audio_null)
    heard = Unsqueeze (audio_heard, axes_12)
    audible = Mul (audio, heard)
    memory = MatMul (audible, w_memory)
    style_given = Sub (one, style_null)
    given = Unsqueeze (style_given, axis_1)
    known = Mul (code, given)
    style_token = MatMul (known, w_token)
    flat = MatMul (known, w_basis)
    basis = Reshape (flat, basis_shape)
    rest = Mul (anchor, given)
    offset = Slice (rest, zero, d_size, axis_1)
    goes_on = Sub (one, start)
    going = Unsqueeze (goes_on, axes_12)
    before = Mul (previous, going)
    tokens = MatMul (before, w_previous)
    mark = Mul (start_token, going)
    previous_tokens = Sub (tokens, mark)
}
"""

DENOISER = """
denoiser (float[B, N, D] x, int64[B] t, float[B, N] mask, float[B, M, W] memory, float[B, W] style_token,
          float[B, P, W] previous_tokens, float[B, K, D] basis, float[B, D] offset)
    => (float[B, N, D] x0, float[B, N, K] alpha) {
    real = Unsqueeze (mask, axis_2)
    seen = Mul (x, real)
    h_x = MatMul (seen, w_x)
    h_audio = Slice (memory, p_size, m_size, axis_1)
    token = Unsqueeze (style_token, axis_1)
    past = ReduceMean <keepdims = 1> (previous_tokens, axis_1)
    t_float = Cast <to = 1> (t)
    t_small = Mul (t_float, thousandth)
    t_token = Unsqueeze (t_small, axes_12)
    h1 = Add (h_x, h_audio)
    h2 = Add (h1, token)
    h3 = Add (h2, past)
    h4 = Add (h3, t_token)
    h5 = Mul (h4, real)
    h5_t = Transpose <perm = [0, 2, 1]> (h5)
    scores = MatMul (h5, h5_t)
    scaled = Mul (scores, thousandth)
    attention = Softmax <axis = -1> (scaled)
    attended = MatMul (attention, h5)
    h6 = Add (h5, attended)
    h7 = Gelu (h6)
    out = MatMul (h7, w_out)
    primary = Slice (out, zero, d_size, axis_2)
    alpha = Slice (out, d_size, out_size, axis_2)
    styled = MatMul (alpha, basis)
    resting = Unsqueeze (offset, axis_1)
    moved = Add (primary, styled)
    x0 = Add (moved, resting)
}
"""

GRAPHS = {
    "audio_encoder.onnx": AUDIO_ENCODER,
    "style_encoder.onnx": STYLE_ENCODER,
    "style_decoder.onnx": STYLE_DECODER,
    "conditioner.onnx": CONDITIONER,
    "denoiser.onnx": DENOISER,
}


def make_bundle(folder: Path, **changes: Any) -> Path:
    """Write the stand-in bundle into `folder`. `changes` replace top-level entries of its bundle.json."""
    folder.mkdir(parents=True, exist_ok=True)
    rig = Rig.load("arkit52")
    values = _values(rig.size)
    files = {}
    for name, text in GRAPHS.items():
        dims = {"S": S, "D": rig.size, "A": 2 * rig.size, "K": K, "W": WIDTH, "C": C, "M": P + N, "P": P, "N": N}
        if name in ("audio_encoder.onnx", "style_encoder.onnx"):
            dims = {}
        model = onnx.parser.parse_model(HEADER + text)
        _fix_dims(model, dims)
        used = {used for node in model.graph.node for used in node.input}
        for key, value in values.items():
            if key in used:
                model.graph.initializer.append(numpy_helper.from_array(value, key))
        onnx.checker.check_model(model, full_check=True)
        content = model.SerializeToString()
        (folder / name).write_bytes(content)
        files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    description: dict[str, Any] = {
        "format_version": 1,
        "name": "stand-in",
        "rig": "arkit52",
        "channels": list(rig.channels),
        "fps": "25/1",
        "window": {"frames": N, "previous": P},
        "diffusion": {"steps": 1000, "schedule": "cosine", "s": 0.008, "prediction": "sample"},
        "normalisation": {
            "mean": [0.2 if not name.startswith("head") else 0.0 for name in rig.channels],
            "std": [0.0 if name == "tongueOut" else 0.1 for name in rig.channels],
        },
        "model": {"variant": "msmd", "style_dim": S, "basis_size": K, "style_anchor": True, "audio_context": 0},
        "defaults": {"sampler": "dpmpp-2m", "steps": 4, "guidance": {"audio": 0.0, "style": 0.0}},
        "audio_encoder": {
            "name": "stand-in",
            "rate": 16000,
            "feature_rate": "50/1",
            "dim": C0,
            "stack": STACK,
            "chunk_seconds": 20,
            "overlap_seconds": 1.0,
        },
        "files": files,
        "training": {"note": "random weights"},
        "licence": {"weights": "MIT"},
    }
    (folder / "bundle.json").write_text(json.dumps(description | changes, indent=1), encoding="utf-8")
    return folder


def _values(D: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)

    def weights(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    def integers(*numbers: int) -> np.ndarray:
        return np.array(numbers, np.int64)

    return {
        "hop": integers(HOP),
        "hop_less_1": integers(HOP - 1),
        "three_zeros": integers(0, 0, 0),
        "zero": integers(0),
        "axis_1": integers(1),
        "axis_2": integers(2),
        "axes_12": integers(1, 2),
        "basis_shape": integers(0, K, D),
        "d_size": integers(D),
        "p_size": integers(P),
        "m_size": integers(P + N),
        "out_size": integers(D + K),
        "one": np.float32(1),
        "thousandth": np.float32(0.001),
        "start_token": np.full((1, P, WIDTH), 0.3, np.float32),
        "w_audio": weights(HOP, C0 - 1),
        "w_code": weights(2 * D, S),
        "w_basis": weights(S, K * D),
        "w_memory": weights(C, WIDTH) * 4,
        "w_token": weights(S, WIDTH),
        "w_previous": weights(D, WIDTH) * 0.5,
        "w_x": weights(D, WIDTH) * 0.3,
        "w_out": weights(WIDTH, D + K),
    }


def _fix_dims(model: onnx.ModelProto, dims: dict[str, int]) -> None:
    """Symbolic dimensions of the graph's signature that are fixed become numbers; the batch stays free."""
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in dims:
                dim.dim_value = dims[dim.dim_param]
