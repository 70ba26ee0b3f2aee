"""PyTorch run -> bundle: ONNX graphs, `bundle.json`, and the parity of every graph and of whole lines."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import onnx
import torch

import msmdcli
from export.graphs import Graph, bundle_graphs
from export.half import halve
from export.parity import Parity, check_graph, check_line
from export.weights import shrink
from msmdcli.errors import MsmdError, UsageError
from msmdcli.model.bundle import FORMAT_VERSION as BUNDLE_FORMAT
from msmdcli.model.bundle_description import CHECKSUM, description_sha256
from msmdcli.motion.rig import Rig
from training.config import TrainConfig
from training.network.distil import SAMPLER as STUDENT_SAMPLER
from training.network.ear import run_encoder
from training.network.encoders import FEATURE_RATE, SAMPLE_RATE
from training.network.run_folder import load_run, run_rig

PRECISIONS = {
    "fp32": 1e-4,
    "fp16": 2e-2,
    "half": 2e-2,
    "int8": 2e-1,
}  # and the largest relative difference that still counts as the same
DEFAULT_STEPS = 4
GENERATED_STEPS = 8  # where the prior is solved exactly, more bring blinks, little else


def export_bundle(
    run: Path,
    out: Path,
    *,
    name: str | None = None,
    precision: str = "fp32",
    which: str = "best",
    force: bool = False,
    steps: int | None = None,
    guidance_audio: float = 0.0,
    licence: dict[str, Any] | None = None,
) -> list[Parity]:
    """Export a training run.

    Args:
        run: folder of a run; its `which` checkpoint ("best" or "latest") is taken, EMA weights.
        out: the bundle's folder, written whole or not at all.
        precision: how weights are stored (`export.weights`); computation is float32, but for the denoiser's with
            "half" (`export.half`).
        steps: network evaluations per window that suit the model, for the bundle's `defaults`.
        guidance_audio: the scale of guidance by sound that suits it, for the same.
        licence: what the weights may be used for, for the bundle's `licence`.

    Returns:
        The parity of each graph with its PyTorch module, and of a whole line.

    Raises:
        MsmdError: the run cannot be read, `out` exists (without `force`), or the exported graphs do not agree with the
            model.
    """
    if out.exists() and not force:
        raise UsageError(f"{out} exists already", hint="Give another --out, or --force to replace it.")
    config, model, normalisation = load_run(run, which)
    rig = run_rig(run)
    encoder = run_encoder(run, config.audio, config.ear)
    torch.backends.mha.set_fastpath_enabled(False)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells that torchvision is missing, once per graph
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        folder = Path(temporary) / "bundle"
        folder.mkdir()
        parities = []
        for graph in bundle_graphs(config, model, encoder):
            path = folder / f"{graph.name}.onnx"
            proto = to_onnx(graph)
            computes_half = precision == "half" and graph.name == "denoiser"
            onnx.save(halve(proto) if computes_half else shrink(proto, precision), str(path))
            parities.append(check_graph(graph, path))
        description = describe(
            run, config, rig, encoder.dim, name or out.name, precision, steps, guidance_audio, licence or {}
        )
        description["normalisation"] = {
            "mean": normalisation.mean.tolist(),
            "std": normalisation.std.tolist(),
            "opposed": [[rig.channels[one], rig.channels[other]] for one, other in normalisation.opposed],
        }
        description["files"] = {
            p.name: {"sha256": hashlib.sha256(p.read_bytes()).hexdigest(), "bytes": p.stat().st_size}
            for p in sorted(folder.glob("*.onnx"))
        }
        description["parity"] = {p.name: {"precision": precision, "relative": p.relative} for p in parities}
        description[CHECKSUM] = description_sha256(description)
        (folder / "bundle.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        parities.append(check_line(folder, config, model, normalisation, encoder, rig))
        worst = max(parities, key=lambda p: p.relative)
        if not worst.relative <= PRECISIONS[precision]:
            raise MsmdError(
                f"{worst.name} differs from PyTorch by {worst.relative:.2g} (relative); {precision} allows"
                f" {PRECISIONS[precision]:g}",
                hint="export with --precision fp32, and report it if that fails too",
            )
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)
    return parities


def to_onnx(graph: Graph) -> onnx.ModelProto:
    """One graph as ONNX, names and dynamic axes as given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about axes that are equal in the examples
        program = torch.onnx.export(
            graph.module.eval(),
            tuple(graph.inputs.values()),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=graph.dynamic_shapes(),
            opset_version=graph.opset,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.optimize()
    proto: onnx.ModelProto = program.model_proto
    proto.metadata_props.clear()
    for node in proto.graph.node:  # stack traces of the exporting machine have no place in a file that ships
        node.metadata_props.clear()
        node.doc_string = ""
    for value in [*proto.graph.value_info, *proto.graph.input, *proto.graph.output]:
        value.metadata_props.clear()
    return proto


def describe(
    run: Path,
    config: TrainConfig,
    rig: Rig,
    encoder_dim: int,
    name: str,
    precision: str,
    steps: int | None,
    guidance_audio: float,
    licence: dict[str, Any],
) -> dict[str, Any]:
    """`bundle.json` without files and normalisation."""
    audio, distil = config.audio, config.distil
    told = config.to_dict()
    if distil.teacher:
        sampling: dict[str, Any] = {"sampler": STUDENT_SAMPLER, "steps": steps or distil.steps}
        told["distil"]["teacher"] = Path(distil.teacher).name  # no folders of this machine
    else:
        # DDIM is exact in a prior, so that two steps keep the spread of its movement (`training.network.prior`).
        sampling = {"sampler": "ddim" if config.model.prior else "dpmpp-2m", "steps": steps or DEFAULT_STEPS}
        if config.model.prior:
            sampling["generated_steps"] = GENERATED_STEPS
        del told["distil"]
    told["from_run"] = Path(config.from_run).name
    provenance = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
    return {
        "format_version": BUNDLE_FORMAT,
        "name": name,
        "made_by": f"msmd {msmdcli.__version__}",
        "rig": rig.name,
        **({} if rig.shipped else {"rig_definition": rig.definition()}),
        "channels": list(rig.channels),
        "fps": _rate(Fraction(config.data.fps)),
        "window": {"frames": config.model.window, "previous": config.model.previous},
        "diffusion": {"steps": config.model.diffusion_steps, "schedule": "cosine", "s": 0.008, "prediction": "sample"},
        "model": {"variant": config.variant, **config.model.to_dict()},
        "defaults": {**sampling, "guidance": {"audio": guidance_audio, "style": 0.0}},
        "audio_encoder": {
            "name": audio.encoder,
            "layers": list(audio.layers) if audio.layers else None,
            "rate": SAMPLE_RATE,
            "feature_rate": _rate(FEATURE_RATE),
            "dim": encoder_dim,
            "stack": audio.stack,
            "chunk_seconds": audio.chunk_seconds,
            "overlap_seconds": audio.overlap_seconds,
        },
        "precision": precision,
        "training": {
            **provenance,
            "config": {k: v for k, v in told.items() if k not in ("model", "audio")},
        },
        "licence": licence,
    }


def _rate(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"
