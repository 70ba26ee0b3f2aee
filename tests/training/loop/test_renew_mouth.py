"""A mouth learned anew: only the mouth's path changes, and it follows the ear."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_data import make_data

from msmdcli.errors import MsmdError, UsageError
from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from training.config import TrainConfig, load_config
from training.loop.renew_mouth import renew_mouth
from training.loop.trainer import train
from training.network.run_folder import load_run

RIG = Rig.load("arkit52")


def material(folder: Path) -> Path:
    """`make_data` whose mouths are known, so that an ear can be taught."""
    data = make_data(folder)
    rows = [json.loads(line) for line in (data / "index.jsonl").read_text().splitlines()]
    for row in rows:
        jaw = load_npz(data / row["motion"]).values[:, [RIG.index("jawOpen")]]
        row["mouth"] = f"{row['id']}.npz"
        kinds = (jaw[:, 0] > 0.2).astype(np.uint8)
        known = {"curves": jaw.astype(np.float16), "channels": np.array(["jawOpen"])}
        np.savez(data / row["mouth"], **known, kinds=kinds, names=np.array(["shut", "open"]))
    (data / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


@pytest.fixture
def config(tiny_whisper: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TrainConfig:
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    base = load_config("tiny")
    return replace(
        base,
        audio=replace(base.audio, path=str(tiny_whisper), stack=1),
        ear=replace(base.ear, width=4, rank=6, iterations=3, batch=2, seconds=2.0, real=()),
        model=replace(base.model, mouth_width=8),
        optimiser=replace(base.optimiser, iterations=3),
        schedule=replace(base.schedule, log_every=5),
    )


def test_only_the_mouth_changes(config: TrainConfig, tmp_path: Path) -> None:
    data = material(tmp_path / "data")
    run = train(config, [data], tmp_path / "run")
    new = renew_mouth(run, [data], tmp_path / "new", iterations=60)
    old_model, new_model = (load_run(folder, "latest")[1].state_dict() for folder in (run, new))
    rest = [name for name in old_model if ".mouth_path." not in name]
    assert rest and all(torch.equal(old_model[name], new_model[name]) for name in rest)
    changed = [name for name in old_model if ".mouth_path." in name]
    assert any(not torch.equal(old_model[name], new_model[name]) for name in changed)
    log = [json.loads(line)["simple"] for line in (new / "log.jsonl").read_text().splitlines()]
    assert len(log) == 12 and all(np.isfinite(log))
    again = load_run(renew_mouth(run, [data], tmp_path / "again", iterations=60), "latest")[1].state_dict()
    assert all(torch.equal(again[name], new_model[name]) for name in again)


def test_a_training_keeps_its_model_with_a_mouth_learned_anew_and_goes_on_from_the_one_before(
    config: TrainConfig, tmp_path: Path
) -> None:
    data = material(tmp_path / "data")
    schedule, loss = replace(config.schedule, keep_by="last"), replace(config.loss, mouth_added=1.0)
    ending = replace(config, mouth_anew=20, schedule=schedule, loss=loss)
    run = train(ending, [data], tmp_path / "run")
    by_hand = load_run(renew_mouth(run, [data], tmp_path / "new", iterations=20), "latest")[1].state_dict()
    kept, latest = (load_run(run, which)[1].state_dict() for which in ("best", "latest"))
    assert all(torch.equal(kept[name], by_hand[name]) for name in by_hand)
    assert any(not torch.equal(kept[name], latest[name]) for name in kept if ".mouth_path." in name)
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "mouth/simple" in row] == [5, 10, 15, 20]
    shutil.rmtree(run / "best")  # as if it had been stopped while its mouth learned
    train(ending, [data], run, resume=True)
    again = load_run(run, "best")[1].state_dict()
    assert all(torch.equal(kept[name], again[name]) for name in kept)
    longer = replace(ending, optimiser=replace(ending.optimiser, iterations=5))
    (run / "config.json").write_text(
        json.dumps({**json.loads((run / "config.json").read_text()), "optimiser": longer.to_dict()["optimiser"]})
    )
    train(longer, [data], run, resume=True)
    assert json.loads((run / "latest" / "state.json").read_text())["step"] == 5
    assert not torch.equal(load_run(run, "best")[1].denoiser.head.weight, kept["denoiser.head.weight"])


def test_a_renewal_that_fails_leaves_nothing_behind(config: TrainConfig, tmp_path: Path) -> None:
    data = material(tmp_path / "data")
    run = train(config, [data], tmp_path / "run")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MsmdError):
        renew_mouth(run, [tmp_path / "absent"], tmp_path / "new")
    assert sorted(tmp_path.iterdir()) == before


def test_an_old_run_s_mouth_gets_the_ear_s_line(config: TrainConfig, tmp_path: Path) -> None:
    data = material(tmp_path / "data")
    run = train(config, [data], tmp_path / "run")
    written = json.loads((run / "config.json").read_text())
    heard = written["model"]["mouth_heard"]
    assert heard == written["model"]["audio_dim"] - config.ear.width > 0
    model = load_run(renew_mouth(run, [data], tmp_path / "new", iterations=5), "latest")[1]
    assert model.denoiser.mouth_path.straight.weight.shape[1] == heard
    straight = model.denoiser.mouth_path.straight.weight.detach().numpy()  # [m, heard]
    jaw = model.config.mouth_channels.index(RIG.index("jawOpen"))
    assert straight[jaw, 0] > 0.05  # the only curve that this ear hears is the jaw
    assert np.abs(straight[jaw]).argmax() == np.abs(straight).max(0).argmax() == 0


def test_a_run_without_a_mouth_of_its_own_and_a_folder_that_is_there_are_refused(
    config: TrainConfig, tmp_path: Path
) -> None:
    data = material(tmp_path / "data")
    plain = train(replace(config, model=replace(config.model, mouth_width=0)), [data], tmp_path / "plain")
    with pytest.raises(UsageError, match="no mouth of its own"):
        renew_mouth(plain, [data], tmp_path / "new")
    run = train(config, [data], tmp_path / "run")
    with pytest.raises(UsageError, match="exists already"):
        renew_mouth(run, [data], tmp_path / "plain")
