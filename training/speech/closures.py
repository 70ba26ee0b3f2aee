"""Train the closure ear: what hears, in an audio encoder's features, the sounds for which lips must meet.

    python -m training.speech.closures --speech DIR [--speech DIR ...] --bundle DIR

A small temporal convolution reads the features that the bundle's audio encoder gives anyway, 0.28 s to either side, and
says every 20 ms how likely the sound is a bilabial (m, b, p), a labiodental (f, v) or an open vowel. It is written to
the bundle as ``closures.onnx`` and entered in `bundle.json`; `msmdcli.model.closure_ear` runs it, and
`msmdcli.controls.closures` closes the lips by it.

It learns from speech whose phones are known: folders with ``index.jsonl``, ``audio/`` and ``phones/`` as
`training.speech.speech` and `training.speech.performed` write them. Every recording is heard as it is and in further
voices (`training.data.voice_variants`), so that pitch, pace, level, room and noise do not matter. About every tenth
speaker is held out; the numbers printed are theirs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from msmdcli.errors import MsmdError
from msmdcli.media.audio import load_audio
from msmdcli.model.audio_features import audio_features
from msmdcli.model.bundle import Bundle
from msmdcli.model.bundle_description import CHECKSUM, description_sha256
from msmdcli.model.closure_ear import CLOSURES_GRAPH
from msmdcli.model.runtime import OnnxRuntime
from msmdcli.motion.motion import frame_count
from training.data.voice_variants import voice_variant
from training.speech.visemes import Phone, VisemeTable

Features = NDArray[np.float16]
Targets = NDArray[np.float32]

SOUNDS = ("bilabial", "labiodental", "open")  # what the ear tells apart, in the order of its outputs
OPEN_JAW = 0.16  # a vowel whose viseme opens the jaw so far is an open one
VARIANTS = 2  # voices in which each recording is heard, the first as it is
HELD_OUT_EVERY = 10  # speakers
DROPOUT = 0.2
WIDTH, KERNEL, DILATIONS = 64, 5, (1, 2, 4)  # reach: (KERNEL // 2) * sum(DILATIONS) = 14 rows of 20 ms to either side
WEIGHTS = (1.0, 2.0, 1.0)  # of rows in which the sound is there; f and v are rare and short
LIKELY = (0.25, 0.2)  # from where on a bilabial and a labiodental count as heard; chosen on three actors of EmoDB
STEPS = 1200
CROP = 200  # rows of a training example


@dataclass(frozen=True)
class Heard:
    """One recording as the encoder hears it.

    Attributes:
        speaker: whose voice.
        features: [F, C] what the bundle's audio encoder gives, one row every 1 / (fps stack) seconds.
        targets: [F, 3] share of each row's time in which each of `SOUNDS` sounds.
    """

    speaker: str
    features: Features
    targets: Targets


class ClosureEar(nn.Module):
    """Features [B, F, C] -> logits [B, F, 3] of `SOUNDS`.

    Half of what keeps it from learning the synthesisers by heart is `dropout` on the features, the other half that it
    is trained shortly: voices that a machine makes are all alike in ways that people are not.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int, width: int = WIDTH, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.enter = nn.Linear(channels, width)
        self.blocks = nn.ModuleList(nn.Conv1d(width, width, KERNEL, padding="same", dilation=d) for d in DILATIONS)
        self.leave = nn.Linear(width, len(SOUNDS))
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        x = torch.relu(self.enter(self.dropout((features - self.mean) * self.scale))).transpose(1, 2)  # [B, W, F]
        for block in self.blocks:
            x = x + torch.relu(block(self.dropout(x)))
        logits: Tensor = self.leave(x.transpose(1, 2))
        return logits

    def standardise(self, sample: NDArray[np.float32]) -> None:
        """Take mean and deviation of each channel from features [n, C]."""
        self.mean.copy_(torch.from_numpy(sample.mean(0)))
        self.scale.copy_(torch.from_numpy(1 / (sample.std(0) + 1e-3)))


# What is heard


def sound_targets(phones: Sequence[Phone], table: VisemeTable, rows: int, rate: float) -> Targets:
    """[rows, 3] share of the time (i - 1/2) / rate .. (i + 1/2) / rate in which each of `SOUNDS` sounds."""
    targets = np.zeros((rows, len(SOUNDS)), np.float32)
    edges = (np.arange(rows + 1) - 0.5) / rate
    jaw = table.unsided.index("jawOpen")
    for number, phone in table.segments(phones):
        of = table.classes[number]
        if of.kind in SOUNDS[:2]:
            column = SOUNDS.index(of.kind)
        elif of.vowel and of.targets[jaw] >= OPEN_JAW:
            column = SOUNDS.index("open")
        else:
            continue
        inside = np.minimum(edges[1:], phone.end) - np.maximum(edges[:-1], phone.start)
        targets[:, column] += (inside.clip(0) * rate).astype(np.float32)
    return targets.clip(0, 1)


def listener(bundle: Bundle) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """What makes features [F, C] of samples [S], as the runtime does for this bundle, and the rows a second."""
    encoder = OnnxRuntime("cpu", 1).load(bundle.file("audio_encoder.onnx"), threads=1, varying=True)
    form = bundle.audio_encoder

    def hear(samples: np.ndarray) -> np.ndarray:
        frames = frame_count(len(samples) / form.rate, bundle.fps)
        encode = lambda waveform: encoder.run({"waveform": waveform}, ("features",))["features"]  # noqa: E731
        rows = audio_features(samples, encode, form, bundle.fps, frames)  # [T, C stack]
        return rows.reshape(len(rows) * form.stack, form.dim)

    return hear, float(bundle.fps * form.stack)


Recording = tuple[str, str, np.ndarray, list[Phone]]  # name, speaker, samples [S], phones


def synthetic(folder: Path) -> Iterator[Recording]:
    """The recordings of a folder that `training.speech.speech` or `.performed` wrote, each sound once."""
    index = folder / "index.jsonl"
    if not index.is_file():
        raise MsmdError(f"no speech in {folder}", hint="python -m training.speech.speech --out makes such a folder")
    seen: set[str] = set()
    for line in index.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["audio"] in seen:
            continue
        seen.add(entry["audio"])
        phones = json.loads((folder / entry.get("phones", f"phones/{entry['id']}.json")).read_text(encoding="utf-8"))
        speaker = entry["speaker"].split("@")[0]
        yield entry["id"], speaker, load_audio(folder / entry["audio"]).samples, [Phone(*p) for p in phones]


def heard(recordings: Iterator[Recording], bundle: Bundle, table: VisemeTable, variants: int) -> Iterator[Heard]:
    """Each recording in `variants` voices."""
    hear, rate = listener(bundle)
    for name, speaker, samples, phones in recordings:
        key = int(hashlib.sha256(name.encode()).hexdigest()[:16], 16)
        for variant in range(variants):
            voice, pace = voice_variant(samples, bundle.audio_encoder.rate, variant, key)
            features = hear(voice)
            moved = [phone.moved(scale=1 / pace) for phone in phones]
            targets = sound_targets(moved, table, len(features), rate)
            yield Heard(speaker, features.astype(np.float16), targets)


# Training


def split(recordings: Sequence[Heard]) -> tuple[list[Heard], list[Heard]]:
    """Those to learn from, and those of every tenth speaker."""
    speakers = sorted({one.speaker for one in recordings})
    apart = {s for s in speakers if int(hashlib.sha256(s.encode()).hexdigest(), 16) % HELD_OUT_EVERY == 0} or set(
        speakers[-1:]
    )
    return [o for o in recordings if o.speaker not in apart], [o for o in recordings if o.speaker in apart]


def train(recordings: Sequence[Heard], steps: int, batch: int, seed: int) -> ClosureEar:
    """A fitted ear, in evaluation mode: AdamW, one cycle, binary cross-entropy of each sound."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    ear = ClosureEar(recordings[0].features.shape[1])
    ear.standardise(np.concatenate([one.features[::7].astype(np.float32) for one in recordings]))
    optimiser = torch.optim.AdamW(ear.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    lengths = np.array([len(one.features) for one in recordings], float)
    there = torch.tensor(WEIGHTS)
    for step in range(steps):
        chosen = rng.choice(len(recordings), batch, p=lengths / lengths.sum())
        crops = [_crop(recordings[number], rng) for number in chosen]
        logits = ear(torch.from_numpy(np.stack([features for features, _ in crops])))
        wanted = torch.from_numpy(np.stack([targets for _, targets in crops]))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=there)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(ear.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 200 == 199:
            print(f"step {step + 1}: loss {loss.item():.4f}", flush=True)
    return ear.eval()


def _crop(one: Heard, rng: np.random.Generator) -> tuple[NDArray[np.float32], Targets]:
    """`CROP` rows of a recording; a shorter one is held at its end."""
    start = int(rng.integers(max(1, len(one.features) - CROP + 1)))
    features, targets = one.features[start : start + CROP].astype(np.float32), one.targets[start : start + CROP]
    short = CROP - len(features)
    if short > 0:
        features, targets = np.pad(features, ((0, short), (0, 0)), mode="edge"), np.pad(targets, ((0, short), (0, 0)))
    return features, targets


# What comes of it


def scores(ear: ClosureEar, recordings: Sequence[Heard], likely: Sequence[float]) -> dict[str, float]:
    """By sounds rather than rows: share of bilabials and labiodentals that are heard, and of open vowels in whose
    middle a closure is heard that is none."""
    kept: dict[str, list[bool]] = {"bilabial": [], "labiodental": [], "false": []}
    for one in recordings:
        with torch.inference_mode():
            heard = torch.sigmoid(ear(torch.from_numpy(one.features.astype(np.float32))[None]))[0].numpy()
        loud = [heard[:, column] >= threshold for column, threshold in enumerate(likely)]
        for column, name in enumerate(SOUNDS[:2]):
            for start, stop in _runs(one.targets[:, column] > 0.5):
                kept[name].append(bool(loud[column][start:stop].any()))
        for start, stop in _runs(one.targets[:, 2] > 0.5):
            quarter = (stop - start) // 4
            kept["false"].append(bool(loud[0][start + quarter : stop - quarter].any()))
    return {name: float(np.mean(values)) if values else float("nan") for name, values in kept.items()}


def _runs(state: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], state, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def onnx_graph(ear: ClosureEar) -> bytes:
    """The ear as an ONNX model: features [F, C] -> likely [F, 3]. Mean, scale and `enter` are one matrix."""
    from onnx import TensorProto, checker, helper, numpy_helper

    with torch.inference_mode():
        matrix = ear.scale.double()[:, None] * ear.enter.weight.double().T  # [C, W]
        weights = {
            "enter.weight": matrix.float(),
            "enter.bias": (ear.enter.bias.double() - ear.mean.double() @ matrix).float(),
            "leave.weight": ear.leave.weight[:, :, None],
            "leave.bias": ear.leave.bias,
        }
        for name, weight in ear.blocks.named_parameters():  # 0.weight, 0.bias, 1.weight, ...
            weights[f"block{name}"] = weight
    nodes = [
        helper.make_node("Gemm", ["features", "enter.weight", "enter.bias"], ["entered"]),
        helper.make_node("Relu", ["entered"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["columns"], perm=[1, 0]),
        helper.make_node("Unsqueeze", ["columns", "first"], ["x0"]),
    ]
    for number, dilation in enumerate(DILATIONS):
        pad = dilation * (KERNEL // 2)
        names = [f"x{number}", f"block{number}.weight", f"block{number}.bias"]
        nodes += [
            helper.make_node("Conv", names, [f"seen{number}"], dilations=[dilation], pads=[pad, pad]),
            helper.make_node("Relu", [f"seen{number}"], [f"kept{number}"]),
            helper.make_node("Add", [f"x{number}", f"kept{number}"], [f"x{number + 1}"]),
        ]
    nodes += [
        helper.make_node("Conv", [f"x{len(DILATIONS)}", "leave.weight", "leave.bias"], ["logits"]),
        helper.make_node("Squeeze", ["logits", "first"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["judged"], perm=[1, 0]),
        helper.make_node("Sigmoid", ["judged"], ["likely"]),
    ]
    stored = [numpy_helper.from_array(value.detach().numpy(), name) for name, value in weights.items()]
    stored.append(numpy_helper.from_array(np.zeros(1, np.int64), "first"))
    graph = helper.make_graph(
        nodes,
        "closures",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["F", len(ear.mean)])],
        [helper.make_tensor_value_info("likely", TensorProto.FLOAT, ["F", len(SOUNDS)])],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], producer_name="msmd", ir_version=10)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def put_into(folder: Path, graph: bytes, likely: Sequence[float], trained: dict[str, object]) -> None:
    """Write `closures.onnx` and its entry in `bundle.json`, the description last."""
    description = folder / "bundle.json"
    document = json.loads(description.read_text(encoding="utf-8"))
    (folder / CLOSURES_GRAPH).write_bytes(graph)
    document["files"][CLOSURES_GRAPH] = {"sha256": hashlib.sha256(graph).hexdigest(), "bytes": len(graph)}
    document["closures"] = {"sounds": list(SOUNDS), "likely": list(likely), "training": trained}
    document[CHECKSUM] = description_sha256(document)
    description.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.speech.closures", description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, action="append", required=True, help="folder of training.speech.speech")
    parser.add_argument("--bundle", type=Path, required=True, help="whose encoder it listens through")
    parser.add_argument("--variants", type=int, default=VARIANTS, help=f"voices of each recording (default {VARIANTS})")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--likely", type=float, nargs=2, default=LIKELY, help="from where on a sound counts as heard")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        table, bundle = VisemeTable.load(), Bundle.load(options.bundle)
        sources = [recording for folder in options.speech for recording in synthetic(folder)]
        recordings = list(heard(iter(sources), bundle, table, options.variants))
        learnt, apart = split(recordings)
        ear = train(learnt, options.steps, options.batch, options.seed)
        found = scores(ear, apart, options.likely)
        print("held-out speakers: " + ", ".join(f"{name} {value:.1%}" for name, value in found.items()))
        hours = sum(len(one.features) for one in learnt) / float(bundle.fps * bundle.audio_encoder.stack) / 3600
        trained = {"hours": round(hours, 2), "speakers": len({one.speaker for one in learnt}), "seed": options.seed}
        put_into(options.bundle, onnx_graph(ear), options.likely, trained | {"held_out": found})
    except MsmdError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
