"""The closure ear learns what it is shown, and its ONNX graph says what the network says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch

from msmdcli.errors import MsmdError
from msmdcli.model.bundle import Bundle
from msmdcli.model.bundle_description import CHECKSUM
from msmdcli.model.closure_ear import BLOCK, hear_closures
from msmdcli.model.runtime import OnnxRuntime
from training.speech.closures import (
    SOUNDS,
    ClosureEar,
    Heard,
    onnx_graph,
    put_into,
    scores,
    sound_targets,
    split,
    synthetic,
    train,
)
from training.speech.visemes import Phone, VisemeTable

TABLE = VisemeTable.load()
CHANNELS = 24


def speech(speakers: int, rows: int = 300) -> list[Heard]:
    """Features in which a direction of its own sounds with each of the sounds, beneath noise; each speaker's offset."""
    rng = np.random.default_rng(5)
    made = []
    for number in range(speakers):
        phones, clock = [], 0.0
        while clock < rows / 50:
            symbol = "mpbfvaɑtsin"[int(rng.integers(11))]
            phones.append(Phone(symbol, clock, clock + float(rng.uniform(0.05, 0.15))))
            clock = phones[-1].end
        targets = sound_targets(phones, TABLE, rows, 50.0)
        features = rng.normal(0, 0.4, (rows, CHANNELS)) + rng.normal(0, 1, CHANNELS)
        features[:, :3] += 2 * targets
        made.append(Heard(f"speaker {number}", features.astype(np.float16), targets))
    return made


def test_targets_are_the_share_of_each_row_in_which_a_sound_sounds() -> None:
    phones = [
        Phone("m", 0.0, 0.11),
        Phone("a", 0.11, 0.2),
        Phone("f", 0.2, 0.3),
        Phone("t", 0.3, 0.4),
        Phone("", 0.4, 0.5),
    ]
    targets = sound_targets(phones, TABLE, 25, 50.0)
    assert targets.shape == (25, len(SOUNDS))
    np.testing.assert_allclose(targets[1:5, 0], 1, atol=1e-6)
    np.testing.assert_allclose(targets[11:15, 1], 1, atol=1e-6)
    np.testing.assert_allclose(targets[6:10, 2], 1, atol=1e-6)
    assert targets[16:].sum() == 0
    np.testing.assert_allclose(targets[:, 0].sum() / 50, 0.11, atol=0.011)
    assert (targets.sum(axis=1) <= 1 + 1e-6).all()


def test_it_learns_and_holds_on_speakers_it_never_heard() -> None:
    learnt, apart = split(speech(24))
    assert apart
    assert not {one.speaker for one in learnt} & {one.speaker for one in apart}
    ear = train(learnt, steps=150, batch=8, seed=0)
    found = scores(ear, apart, (0.5, 0.5))
    assert found["bilabial"] > 0.9
    assert found["labiodental"] > 0.9
    assert found["false"] < 0.1


def test_the_graph_says_what_the_network_says_however_long_the_line(stand_in_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(stand_in_bundle, folder)
    form = Bundle.load(folder).audio_encoder
    torch.manual_seed(0)
    ear = ClosureEar(form.dim).eval()
    features = np.random.default_rng(0).normal(0, 1, (2 * BLOCK + 77, form.dim * form.stack)).astype(np.float32)
    ear.standardise(features.reshape(-1, form.dim)[:5000])
    put_into(folder, onnx_graph(ear), (0.4, 0.3), {})
    bundle = Bundle.load(folder)  # its sums agree, that of the description too
    assert CHECKSUM in json.loads((folder / "bundle.json").read_text())
    assert bundle.closures["likely"] == [0.4, 0.3]
    assert bundle.sha256 != Bundle.load(stand_in_bundle).sha256
    graph = OnnxRuntime("cpu", 1).load(bundle.file("closures.onnx"), threads=1, varying=True)
    heard = hear_closures(graph, features, bundle)
    with torch.inference_mode():
        expected = torch.sigmoid(ear(torch.from_numpy(features.reshape(1, -1, form.dim))))[0].numpy()
    assert heard.shape == (len(features) * form.stack, len(SOUNDS))
    np.testing.assert_allclose(heard, expected, atol=1e-4)
    np.testing.assert_array_equal(heard, hear_closures(graph, features, bundle))
    assert onnxruntime.InferenceSession(str(bundle.file("closures.onnx"))).get_inputs()[0].shape == ["F", form.dim]


def test_a_bundle_with_a_closures_entry_that_means_nothing_is_refused(stand_in_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(stand_in_bundle, folder)
    put_into(folder, b"no graph", (0.4, 0.3), {})
    description = folder / "bundle.json"
    document = json.loads(description.read_text())
    document["closures"]["likely"] = [0.4, 7]
    del document[CHECKSUM]  # else the change is refused for its checksum alone
    description.write_text(json.dumps(document))
    with pytest.raises(MsmdError, match="likely"):
        Bundle.load(folder)


def test_a_sound_performed_in_several_manners_is_heard_once(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(1600), 16000)
    (tmp_path / "p.json").write_text(json.dumps([["m", 0.0, 0.1, 1.0]]), encoding="utf-8")
    rows = [{"id": f"a_{take}", "audio": "a.flac", "phones": "p.json", "speaker": "one@1.1"} for take in range(3)]
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    ((name, speaker, samples, phones),) = synthetic(tmp_path)
    assert (name, speaker, len(samples), phones) == ("a_0", "one", 1600, [Phone("m", 0.0, 0.1, 1.0)])
