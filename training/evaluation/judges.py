"""The judges of an evaluation, trained on the real recordings of a data set and checked on people they never saw.

They stand in for the paper's two user studies (figure 4): `sync_judge` for "which goes better with the voice",
`style_judge` for "which is more in the manner of the example". They are trained on the split `train` (and the
silent clips of persons outside the tests), kept in the user's cache under a key of the data set, and take a few minutes
once. A judge that fails its own check on real held-out clips is worth nothing: `check` says how each fares, and the
report prints it beside every verdict.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.documents.json_file import read_json
from msmdcli.errors import MsmdError
from msmdcli.media.audio import load_audio
from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import cache_dir, shipped_bundle
from msmdcli.system.files import sha256_of
from training.data.records import ClipRecord, read_index, unit_hash
from training.evaluation.style_judge import Performance, StyleJudge, train_style_judge
from training.evaluation.sync_judge import MAX_SHIFT, Recording, SyncJudge, train_sync_judge
from training.network.run_folder import load_weights

VERSION = 1  # raise it when the judges are built or trained in another way
MOST_OF_ONE = 60  # clips of one person at most
FEWEST_PERSONS = 12  # with sound in the split `train`; fewer teach no judge anything

Encode = Callable[[Path], np.ndarray]  # sound file -> audio features [T, C] at the motion's frame rate
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Judges:
    """All judges, with how they fare on real held-out clips (see `check`)."""

    sync: SyncJudge
    look: StyleJudge
    movement: StyleJudge
    rig: Rig
    checked: dict[str, Any]

    def verdict(
        self,
        features: np.ndarray,
        halves: Sequence[np.ndarray],
        references: Sequence[np.ndarray],
        other: np.ndarray | None,
    ) -> dict[str, float]:
        """What the judges say about one animated clip.

        Args:
            features: [T, C] of its sound.
            halves: its two halves, [T_half, D] each.
            references: the real performance that each half is to be like, the other half of the real clip.
            other: a stretch of another person: the negative anchor. None: nobody to compare with.

        Returns:
            `sync`, `sync_zero`, `sync_lag` (NaN where the mouth does not move); for `look` and `movement`: cosine with
            the references, and `..._picks`: share of the halves that are nearer to their reference than to the other
            person; `statistics`: distance from the references in standard deviations.
        """
        nan = float("nan")
        heard = self.sync.judge(features, np.concatenate(halves), self.rig)
        found = {
            "sync": heard.confidence if heard else nan,
            "sync_zero": heard.at_zero if heard else nan,
            "sync_lag": float(heard.lag) if heard else nan,
        }
        for name, judge in (("look", self.look), ("movement", self.movement)):
            near, picks = [], []
            for made, reference in zip(halves, references, strict=True):
                own = judge.embed(made, self.rig)
                near.append(float(own @ judge.embed(reference, self.rig)))
                if other is not None:
                    picks.append(float(near[-1] > own @ judge.embed(other, self.rig)))
            found[name] = float(np.mean(near))
            found[f"{name}_picks"] = float(np.mean(picks)) if picks else nan
        distances = [self.movement.distance(m, r, self.rig) for m, r in zip(halves, references, strict=True)]
        found["statistics"] = float(np.mean(distances))
        return found


def judges_of(
    data: Path, encode: Encode, rig: Rig, say: Say, root: Path | None = None, ears: str = ""
) -> Judges | None:
    """The judges of a data set, trained where the cache does not hold them; None where it has too few people.

    Args:
        data: data set folder.
        encode: the audio encoder; the same for training and judging.
        rig: of its motion.
        say: where progress goes.
        root: folder of the cache; None: the user's.
        ears: name of the audio encoder; judges that heard with other ones are not taken from the cache.
    """
    import torch
    from safetensors.torch import save_file

    index = (data / "index.jsonl").read_bytes()
    folder = (root or cache_dir() / "judges") / hashlib.sha256(
        index + f"{VERSION} {rig.name} {ears}".encode()
    ).hexdigest()[:24]
    note = folder / "judges.json"
    if note.is_file():
        try:
            known = read_json(note)
            sync = SyncJudge(known["features"], known["mouth"])
            look, movement = StyleJudge(known["look"], True), StyleJudge(known["movement"], False)
            for name, judge in (("sync", sync), ("look", look), ("movement", movement)):
                load_weights(judge, folder / f"{name}.safetensors")
                judge.eval()
            return Judges(sync, look, movement, rig, known["checked"])
        except (MsmdError, KeyError, TypeError, ValueError, RuntimeError):
            say("judges of sync and manner: what was kept is damaged and is trained again")

    records = read_index(data)
    if len({r.speaker for r in records if r.split == "train" and r.audio}) < FEWEST_PERSONS:
        say(f"no judges of sync and manner: they need {FEWEST_PERSONS} persons with sound to train on")
        return None
    say("judges of sync and manner: encoding the sound of the training clips (once for this data set)")
    recordings = {
        split: [_recording(data, r, encode) for r in _fair(records, split) if r.audio]
        for split in ("train", "val", "test")
    }
    performances = [Performance(load_npz(data / r.motion).values, r.speaker) for r in _fair(records, "train")]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small matrices, and the same bytes whatever the machine's width
    try:
        say("judges: training")
        sync = train_sync_judge(recordings["train"], recordings["val"], rig)
        look, movement = (train_style_judge(performances, rig, pose) for pose in (True, False))
    finally:
        torch.set_num_threads(threads)
    held_out = [r for r in _fair(records, "test") if r.audio]
    checked = check(sync, look, movement, recordings["test"], [r.speaker for r in held_out], rig)
    folder.mkdir(parents=True, exist_ok=True)
    for name, judge in (("sync", sync), ("look", look), ("movement", movement)):
        save_file({k: v.contiguous() for k, v in judge.state_dict().items()}, folder / f"{name}.safetensors")
    known = {
        "features": len(sync.mean),
        "mouth": sync.lips.reduce[0].in_features,
        "look": len(look.mean),
        "movement": len(movement.mean),
        "checked": checked,
    }
    note.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return Judges(sync, look, movement, rig, checked)


def check(
    sync: SyncJudge,
    look: StyleJudge,
    movement: StyleJudge,
    recordings: Sequence[Recording],
    persons: Sequence[str],
    rig: Rig,
) -> dict[str, Any]:
    """How the judges fare on real clips of people they never saw.

    Returns:
        `sync_curve`: mean agreement by shift of the real mouth against its sound [2 MAX_SHIFT + 1]: it must fall away
        from 0; `sync_zero`: mean of `Sync.at_zero`; `sync_other`: the same with another clip's mouth (0 = chance);
        `sync_auc`: probability that a clip's own mouth is judged higher than another's;
        `look_picks`, `movement_picks`: share of halves judged nearer to their own other half than to another
        person's; `clips`.
    """
    curves, own, foreign = [], [], []
    order = sorted(range(len(recordings)), key=lambda n: unit_hash(f"{n} {persons[n]}"))
    for place, number in enumerate(order):
        real = recordings[number]
        stranger = _stranger(order, place, persons)
        verdict = sync.judge(real.features, real.motion, rig)
        if verdict is None or stranger is None:
            continue
        curves.append(verdict.curve)
        own.append(verdict.at_zero)
        mouth = np.resize(recordings[stranger].motion, real.motion.shape)
        other = sync.judge(real.features, mouth, rig)
        foreign.append(other.at_zero if other else 0.0)
    found: dict[str, Any] = {"clips": len(curves)}
    if curves:
        found["sync_curve"] = np.mean(curves, axis=0).round(4).tolist()
        found["sync_shifts"] = list(range(-MAX_SHIFT, MAX_SHIFT + 1))
        found["sync_zero"], found["sync_other"] = float(np.mean(own)), float(np.mean(foreign))
        a, b = np.array(own)[:, None], np.array(foreign)[None]
        found["sync_auc"] = float((a > b).mean() + 0.5 * (a == b).mean())
    for name, judge in (("look", look), ("movement", movement)):
        picks = []
        for place, number in enumerate(order):
            stranger = _stranger(order, place, persons)
            motion = recordings[number].motion
            if stranger is None or len(motion) < 50:
                continue
            half = len(motion) // 2
            first, second = judge.embed(motion[:half], rig), judge.embed(motion[half:], rig)
            foreign_motion = recordings[stranger].motion
            third = judge.embed(foreign_motion[: max(len(foreign_motion) // 2, 2)], rig)
            picks.append(first @ second > first @ third)
        found[f"{name}_picks"] = float(np.mean(picks)) if picks else float("nan")
    return found


def _stranger(order: Sequence[int], place: int, persons: Sequence[str]) -> int | None:
    """The next clip of another person."""
    person = persons[order[place]]
    return next((n for n in [*order[place + 1 :], *order[:place]] if persons[n] != person), None)


def _fair(records: Sequence[ClipRecord], split: str) -> list[ClipRecord]:
    """Clips of a split, at most MOST_OF_ONE of a person, those with the smallest hash of their name."""
    counts: dict[str, int] = {}
    chosen = []
    for record in sorted((r for r in records if r.split == split), key=lambda r: unit_hash(r.id)):
        counts[record.speaker] = counts.get(record.speaker, 0) + 1
        if counts[record.speaker] <= MOST_OF_ONE:
            chosen.append(record)
    return chosen


def _recording(data: Path, record: ClipRecord, encode: Encode) -> Recording:
    motion = load_npz(data / record.motion).values
    features = encode(data / str(record.audio))
    frames = min(len(motion), len(features))
    return Recording(features[:frames], motion[:frames])


def shipped_ears() -> str:
    """Names the encoder of `shipped_encoder`: it is another one when another bundle ships."""
    return sha256_of(shipped_bundle() / "bundle.json")


def shipped_encoder() -> Encode:
    """The audio encoder of the bundle that ships: every model is judged with the same ears."""
    from msmdcli.model.bundle import Bundle
    from msmdcli.model.engine import Engine

    engine = Engine(Bundle.load(shipped_bundle()), device="cpu")
    return lambda path: engine.encode_audio(load_audio(path))
