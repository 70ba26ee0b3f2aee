"""A learned code of our own: an autoencoder over the motion of a data set, as a rig with an ONNX decoder.

    python -m training.faces.code_fit DATASET --out DIR [--size 16] [--head HEAD]

shows what a learned space such as SEREP's needs, and is one to try the whole chain with. It writes

    DIR/code16.yaml     the rig: channels code_0 .. code_15 without bounds, then the head angles; no regions
    DIR/decoder.onnx    code [T, 16] -> vertices [T, V, 3] in mm
    DIR/surface.npz     triangles, to draw it
    DIR/data/           DATASET with its motion in the code (sound stays where it is)

The encoder and the decoder are small MLPs; the decoder's last layer is the head's own linear decoder. The loss is the
mean square distance of vertices, which a quadratic form of the C channels gives without computing a vertex. Codes have
mean 0 and deviation 1 over the data set.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from msmdcli.errors import MsmdError
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.motion.motion import Motion, load_npz, save_npz
from msmdcli.motion.rig import Rig, write_numbers
from msmdcli.paths import find_head
from training.data.records import read_index

WIDTH, BATCH, LEARNING_RATE = 64, 256, 3e-3
OPSET, IR_VERSION = 20, 9


class Autoencoder(nn.Module):
    """Channels [T, C] -> code [T, S] -> channels.

    `mean` and `std` [S] bring what the encoder gives to mean 0 and deviation 1; they are set once it is trained.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(channels, WIDTH), nn.GELU(), nn.Linear(WIDTH, size))
        self.decoder = nn.Sequential(nn.Linear(size, WIDTH), nn.GELU(), nn.Linear(WIDTH, channels))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def encode(self, values: Tensor) -> Tensor:
        """[T, C] -> [T, S]"""
        encoded: Tensor = (self.encoder(values) - self.mean) / self.std
        return encoded

    def decode(self, code: Tensor) -> Tensor:
        """[T, S] -> [T, C]"""
        decoded: Tensor = self.decoder(code * self.std + self.mean)
        return decoded


def fit_autoencoder(
    values: np.ndarray, head: MeshDecoder, size: int, steps: int, seed: int
) -> tuple[Autoencoder, float]:
    """Train on channel values [n, C]; with it the root mean square vertex error on them, in mm."""
    torch.manual_seed(seed)
    rng = np.random.Generator(np.random.Philox(seed))
    face = head.deltas[:, head.face].astype(np.float64)  # [C, n, 3]
    # |v - v'|^2 summed over vertices = (x - x')^T G (x - x'); a little more keeps channels that move nothing.
    gram = np.einsum("avi,bvi->ab", face, face) / face.shape[1] + 1e-2 * np.eye(len(face))
    metric = torch.from_numpy(gram.astype(np.float32))
    model = Autoencoder(values.shape[1], size)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    data = torch.from_numpy(values.astype(np.float32))

    def error(batch: Tensor) -> Tensor:
        missed = model.decode(model.encode(batch)) - batch  # [n, C]
        return ((missed @ metric) * missed).sum(dim=1).mean()

    for _ in range(steps):
        loss = error(data[torch.from_numpy(rng.integers(0, len(data), BATCH))])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        code = model.encode(data)
        model.mean.copy_(code.mean(dim=0))
        model.std.copy_(code.std(dim=0).clamp(min=1e-4))
        return model.eval(), float(error(data).sqrt())


def make_code(dataset: Path, out: Path, head_file: Path, *, size: int = 16, steps: int = 1500, seed: int = 0) -> float:
    """Everything that the module's text lists; the result is the root mean square vertex error in mm.

    Raises:
        MsmdError: the data set or the head cannot be read.
    """
    records = read_index(dataset)
    motions = [load_npz(dataset / record.motion) for record in records]
    if not motions:
        raise MsmdError(f"{dataset} holds no clip")
    source = motions[0].rig
    head = load_head(head_file, source)
    if head.rig.channels != source.channels:
        raise MsmdError(f"{head_file} is a head of rig {head.rig.name}, the data set's motion is on {source.name}")
    face = [source.index(name) for name in head.channels]
    model, error = fit_autoencoder(np.concatenate([m.values[:, face] for m in motions]), head, size, steps, seed)

    (out / "data" / "motion").mkdir(parents=True, exist_ok=True)
    digest = export_decoder(model, head, out / "decoder.onnx")
    np.savez_compressed(out / "surface.npz", triangles=head.triangles.astype(np.int32))
    rig_file = out / f"code{size}.yaml"
    rig_file.write_text(code_rig(rig_file.stem, size, source, head, digest), encoding="utf-8")
    rig = Rig.load(rig_file)
    lines = []
    for record, motion in zip(records, motions, strict=True):
        with torch.no_grad():
            code = model.encode(torch.from_numpy(motion.values[:, face])).numpy()  # [T, S]
        turned = motion.values[:, list(source.rotation_indices or ())]
        target = Path("motion") / f"{record.id}.npz"
        (out / "data" / target).parent.mkdir(parents=True, exist_ok=True)
        save_npz(out / "data" / target, Motion(np.concatenate([code, turned], axis=1), motion.fps, rig, motion.meta))
        audio = None if record.audio is None else str((dataset / record.audio).resolve())
        lines.append(json.dumps({**asdict(record), "motion": target.as_posix(), "audio": audio, "known": None}))
    (out / "data" / "index.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return error


def code_rig(name: str, size: int, source: Rig, head: MeshDecoder, sha256: str) -> str:
    """The text of the rig file."""
    sets = {kind: head.vertex_set(kind) for kind in ("face", "lips", "upper_face", "mouth_opening", "mouth_line")}
    rotation = "" if source.rotation is None else f"rotation: [{', '.join(source.rotation)}]\n"
    angles = "".join(f"  - {{name: {angle}}}\n" for angle in source.rotation or ())
    vertices = "".join(f'  {kind}: "{write_numbers(numbers)}"\n' for kind, numbers in sets.items())
    return (
        f"# {name}: a learned code of {size} numbers, made by `python -m training.faces.code_fit`.\n\n"
        f"format_version: 1\nname: {name}\n{rotation}\n"
        f'channels:\n  - {{name: "code_{{}}", count: {size}}}\n{angles}\n'
        f"decoder: {{onnx: decoder.onnx, surface: surface.npz, sha256: {sha256}}}\n\nvertices:\n{vertices}"
    )


def export_decoder(model: Autoencoder, head: MeshDecoder, path: Path) -> str:
    """Write the decoder, code [T, S] -> vertices [T, V, 3] mm, as ONNX; the sha256 of the file."""
    first, _, second = model.decoder
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
    # The code's scale goes into the first layer: W (code std + mean) + b.
    weight, bias = first.weight.detach(), first.bias.detach()
    constants = {
        "w1": (weight * model.std).T,  # [S, WIDTH]
        "b1": bias + weight @ model.mean,
        "w2": second.weight.detach().T,  # [WIDTH, C]
        "b2": second.bias.detach(),
        "deltas": torch.from_numpy(head.deltas.reshape(len(head.channels), -1)),  # [C, 3 V]
        "neutral": torch.from_numpy(head.neutral.reshape(-1)),  # [3 V]
    }
    nodes = [
        helper.make_node("Gemm", ["code", "w1", "b1"], ["h1"]),
        helper.make_node("Gelu", ["h1"], ["h2"]),
        helper.make_node("Gemm", ["h2", "w2", "b2"], ["channels"]),
        helper.make_node("Gemm", ["channels", "deltas", "neutral"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["vertices"]),
    ]
    size = weight.shape[1]
    graph = helper.make_graph(
        nodes,
        "decoder",
        [helper.make_tensor_value_info("code", onnx.TensorProto.FLOAT, ["T", size])],
        [helper.make_tensor_value_info("vertices", onnx.TensorProto.FLOAT, ["T", head.size, 3])],
        [
            *(numpy_helper.from_array(np.ascontiguousarray(v.numpy()), name) for name, v in constants.items()),
            numpy_helper.from_array(np.array([-1, head.size, 3]), "shape"),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.faces.code_fit`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.faces.code_fit", description=str(__doc__).split("\n", 1)[0]
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="data set folder (motion on arkit52)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--head", type=Path, help="head whose vertices the code stands for (default: as msmd preview)")
    parser.add_argument("--size", type=int, default=16, help="numbers of the code")
    parser.add_argument("--steps", type=int, default=1500, help="training steps")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        error = make_code(
            given.dataset, given.out, find_head(given.head), size=given.size, steps=given.steps, seed=given.seed
        )
    except MsmdError as problem:
        print(
            f"Error: {problem.message}", *([f"Hint: {problem.hint}"] if problem.hint else []), sep="\n", file=sys.stderr
        )
        return problem.exit_code
    print(f"{given.out}: {given.size} numbers, {error:.2f} mm root mean square vertex error")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
