"""Export: every graph and whole lines agree with PyTorch, for every variant and way of storing weights."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save_file

from export.onnx_export import export_bundle
from export.parity import Parity
from export.weights import shrink
from msmdcli.errors import MsmdError, UsageError
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.style_codes import StyleCode, StyleEntry
from training.config import TrainConfig, apply_variant, config_from_dict, load_config
from training.network.ear import EAR_FILE, Ear, EarConfig, save_ear
from training.network.encoders import load_encoder
from training.network.model import Model
from training.network.run_folder import RUN_FORMAT

COUNT = 55


def make_run(folder: Path, whisper: Path, variant: str = "msmd", **model: object) -> Path:
    """A run folder as training leaves it, with random weights."""
    base = load_config("tiny")
    config: TrainConfig = apply_variant(
        dataclasses.replace(base, audio=dataclasses.replace(base.audio, path=str(whisper))), variant
    )  # type: ignore[arg-type]
    dim = load_encoder("whisper", whisper, config.audio.layers).dim * config.audio.stack
    signed = bool(model.pop("signed_eyes", False))
    sizes = dataclasses.replace(config.model, audio_dim=dim, **model)  # type: ignore[arg-type]
    config = dataclasses.replace(config, model=sizes, signed_eyes=signed)
    torch.manual_seed(1)
    network = Model(config.model)
    for parameter in network.parameters():  # large enough weights that every path matters
        torch.nn.init.normal_(parameter, std=0.15)
    if config.model.prior:
        frames = np.arange(config.model.previous + config.model.window)
        network.denoiser.prior.fit(np.exp(-frames / np.linspace(2, 20, len(network.denoiser.sampled))[:, None]))
    (folder / "best").mkdir(parents=True)
    save_file(network.state_dict(), folder / "best" / "ema.safetensors")
    rng = np.random.default_rng(0)
    np.savez(
        folder / "statistics.npz",
        mean=rng.uniform(0.1, 0.4, COUNT).astype("f"),
        std=np.append(rng.uniform(0.02, 0.2, COUNT - 1), 0.0).astype("f"),
    )
    (folder / "config.json").write_text(json.dumps({"format_version": RUN_FORMAT, **config.to_dict()}))
    (folder / "provenance.json").write_text("{}")
    return folder


Exported = tuple[Path, Path, dict[str, Parity]]  # a run, its bundle, and the parities that the export found


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, tiny_whisper: Path) -> Callable[..., Exported]:
    """make_run(variant, **model), exported as it is. An export takes long; tests that change nothing share one."""
    made: dict[str, Exported] = {}

    def export(variant: str = "msmd", **model: object) -> Exported:
        key = json.dumps([variant, model], sort_keys=True)
        if key not in made:
            folder = tmp_path_factory.mktemp("exported")
            run = make_run(folder / "run", tiny_whisper, variant, **model)
            parities = export_bundle(run, folder / "bundle", guidance_audio=0.3)
            made[key] = (run, folder / "bundle", {p.name: p for p in parities})
        return made[key]

    return export


MOUTH: dict[str, Any] = {"mouth_width": 16, "mouth_channels": (17, 18, 37)}
HEARD: tuple[str, dict[str, Any]] = ("msmd-anchor", {**MOUTH, "mouth_heard": 4})
PRIOR: tuple[str, dict[str, Any]] = ("msmd-anchor", {"prior": True})
STARTER: tuple[str, dict[str, Any]] = ("msmd-anchor", {**MOUTH, "prior": True, "signed_eyes": True})


@pytest.mark.parametrize(
    ("variant", "changes"),
    [
        ("msmd", {}),
        ("msmd", {**MOUTH, "audio_context": 2, "head_basis": "scaled"}),
        ("vae-baseline", {}),
        ("unconditioned", {"audio_context": 2}),
        HEARD,
        PRIOR,
        STARTER,
    ],
)
def test_graphs_and_lines_agree_with_pytorch(
    exported: Callable[..., Exported], variant: str, changes: dict[str, object]
) -> None:
    _, folder, parities = exported(variant, **changes)
    assert {"audio_encoder", "conditioner", "denoiser", "whole line"} <= set(parities)
    for name, parity in parities.items():  # processors round float32 differently: to 1.2e-5 were seen
        assert parity.relative < (1e-4 if name in ("whole line", "audio_encoder") else 2e-5), parity
    bundle = Bundle.load(folder)
    assert bundle.model["variant"] == variant and (bundle.normalisation.std[-1] == 0)
    assert bundle.defaults["guidance"] == {"audio": 0.3, "style": 0.0}
    assert bundle.defaults["sampler"] == ("ddim" if changes.get("prior") else "dpmpp-2m")
    assert len(bundle.normalisation.opposed) == (4 if changes.get("signed_eyes") else 0)


@pytest.mark.parametrize(
    ("precision", "share", "kind"),
    [("fp16", 0.6, PRIOR), ("half", 0.6, PRIOR), ("int8", 0.4, ("msmd", {}))],
)
def test_smaller_weights_stay_close(
    tmp_path: Path, exported: Callable[..., Exported], precision: str, share: float, kind: tuple[str, dict[str, Any]]
) -> None:
    variant, model = kind
    run, whole, _ = exported(variant, **model)
    parities = export_bundle(run, tmp_path / "small", precision=precision)
    assert max(p.relative for p in parities) < {"fp16": 5e-3, "half": 2e-2, "int8": 0.15}[precision]
    size = lambda folder: (folder / "audio_encoder.onnx").stat().st_size  # noqa: E731
    assert size(tmp_path / "small") < share * size(whole)


@pytest.mark.parametrize(("kind", "alike"), [(PRIOR, True), (STARTER, False)])
def test_branches_that_share_a_layer_keep_their_bytes(
    exported: Callable[..., Exported], kind: tuple[str, dict[str, Any]], alike: bool
) -> None:
    """With guidance the branch without audio shares the first attention, unless the denoiser is shown what the sound
    makes of the mouth. Bytes depend neither on that nor on neighbours."""
    variant, model = kind
    bundle = Bundle.load(exported(variant, **model)[1])
    engine = Engine(bundle, "cpu", 1, sampling=Sampling(guidance_audio=0.5, guidance_style=0.5))
    run, seen = engine.graphs.denoiser.run, []

    def apart(feeds: dict[str, np.ndarray], outputs: tuple[str, ...]) -> dict[str, np.ndarray]:
        seen.append((len(feeds["distinct"]), len(feeds["x"])))
        each = np.arange(len(feeds["x"]))
        together, alone = run(feeds, outputs), run({**feeds, "distinct": each, "twin": each}, outputs)
        np.testing.assert_array_equal(together["x0"], alone["x0"])
        return together

    engine.graphs.denoiser.run = apart  # type: ignore[method-assign,assignment]
    rng = np.random.default_rng(0)
    form, S, D = bundle.audio_encoder, bundle.model["style_dim"], bundle.rig.size
    style = StyleCode.of(rng.standard_normal(S, dtype=np.float32), rng.standard_normal(2 * D, dtype=np.float32))
    features = rng.standard_normal((40, form.dim * form.stack), dtype=np.float32)
    jobs = [Job(str(n), features, [StyleEntry(style)]) for n in range(3)]
    together = {job.id: motion.values for job, motion in engine.animate(jobs)}
    # Of three lines two fit into eight rows; each has two distinct rows, and a third where the mouth is shown.
    assert (4 if alike else 6, 6) in seen and max(rows for _, rows in seen) == 6
    ((_, alone),) = engine.animate(jobs[1:2])
    np.testing.assert_array_equal(alone.values, together["1"])


def test_int8_rounds_each_output_channel_by_its_own_scale() -> None:
    weight = np.random.default_rng(0).standard_normal((40, 20)).astype(np.float32) * np.logspace(
        -3, 0, 20, dtype=np.float32
    )
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, [1, 40])],
        [helper.make_tensor_value_info("y", 1, [1, 20])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = shrink(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), "int8")
    onnx.checker.check_model(model)
    import onnxruntime

    found = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, {"x": np.eye(1, 40, dtype=np.float32)}
    )[0]
    assert (np.abs(found[0] - weight[0]) <= np.abs(weight).max(0) / 127 * 0.51).all()


def test_a_bundle_is_written_whole_or_not_at_all(
    tmp_path: Path, exported: Callable[..., Exported], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, bundle, _ = exported()
    shutil.copytree(run, tmp_path / "run")
    shutil.copytree(bundle, tmp_path / "bundle")
    run = tmp_path / "run"
    with pytest.raises(UsageError, match="exists already"):
        export_bundle(run, tmp_path / "bundle")
    before = (tmp_path / "bundle" / "bundle.json").read_bytes()
    monkeypatch.setattr("export.onnx_export.PRECISIONS", {"fp32": 0.0})
    with pytest.raises(MsmdError, match="differs from PyTorch"):
        export_bundle(run, tmp_path / "bundle", force=True)
    assert (tmp_path / "bundle" / "bundle.json").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "run"]
    shutil.rmtree(run / "best")
    with pytest.raises(UsageError, match="no checkpoint"):
        export_bundle(run, tmp_path / "other")


def test_no_path_of_the_exporting_machine_is_in_the_files(exported: Callable[..., Exported]) -> None:
    _, bundle, _ = exported()
    for file in bundle.glob("*.onnx"):
        content = file.read_bytes()
        assert b"site-packages" not in content and b".py" not in content, file.name


def test_an_ear_is_a_part_of_the_audio_encoder(tmp_path: Path, tiny_whisper: Path) -> None:
    """The runtime finds a bundle whose encoder gives other features, and nothing else new."""
    ear_config = EarConfig(width=8, rank=6)
    run = make_run(tmp_path / "run", tiny_whisper, "msmd-anchor", mouth_width=16, mouth_channels=(17, 18, 37))
    described = json.loads((run / "config.json").read_text())
    encoder = load_encoder("whisper", tiny_whisper, described["audio"]["layers"])
    torch.manual_seed(3)
    ear = Ear(ear_config, encoder.dim, ("jawOpen", "mouthClose"), 4)
    for value in (*ear.parameters(), ear.axes):
        torch.nn.init.normal_(value, std=0.2)
    save_ear(ear, run / EAR_FILE)
    described["ear"] = dataclasses.asdict(ear_config)
    described["model"]["audio_dim"] = ear.dim
    config = config_from_dict({k: v for k, v in described.items() if k != "format_version"})
    torch.manual_seed(1)
    network = Model(config.model)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    save_file(network.state_dict(), run / "best" / "ema.safetensors")
    (run / "config.json").write_text(json.dumps(described))
    parities = {p.name: p for p in export_bundle(run, tmp_path / "bundle")}
    assert max(p.relative for p in parities.values()) < 1e-4
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.audio_encoder.dim == ear.dim == 10 and bundle.audio_encoder.stack == 1
