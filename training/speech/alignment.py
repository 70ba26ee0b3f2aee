"""Phonemes laid over recordings whose words are known: a classifier and a Viterbi search."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.media.audio import load_audio
from msmdcli.motion.motion import load_npz
from training.speech.synthesisers import Espeak
from training.speech.visemes import Phone, VisemeTable, covered
from training.speech.voices import with_levels

RATE, FEATURE_SECONDS = 16000, 0.02
ALIGNER_LAYER = 3  # of whisper tiny's 4; the middle layers know most about phonemes
# GRID's picture comes one and a half frames after its sound (between the 1 and 2 frames that cross-prediction from
# other sources gives).
PICTURE_DELAY = 0.060
HELD_OUT_EVERY = 5
# Taken from MediaPipe's scores. Raised lips, since as solved from landmarks they are this speaker's own (validation
# people in the wild: a straight line that the table teaches has 0.32 of their lower lip, 0.37 with the scores); pressed
# lips, since landmarks do not tell them (held-out clips of the speaker: 0.05).
SCORED = ("mouthLowerDown", "mouthUpperUp", "mouthPress")
LOWEST_SCORE = 0.45  # mean log-likelihood ratio per frame below which an alignment is not trusted
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
GRID_WORDS: tuple[dict[str, str] | None, ...] = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    None,  # a letter
    dict(zip("z123456789", _DIGITS, strict=True)),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


def grid_sentence(code: str) -> list[str]:
    """Words of a GRID clip from its code: "bbaf3s" -> bin blue at F three soon."""
    if len(code) != len(GRID_WORDS):
        raise MsmdError(f"{code!r} is not the code of a GRID sentence", hint="six letters or digits, as in bbaf3s")
    try:
        return [
            letter.upper() if words is None else words[letter] for letter, words in zip(code, GRID_WORDS, strict=True)
        ]
    except KeyError:
        raise MsmdError(
            f"{code!r} is not the code of a GRID sentence", hint="six letters or digits, as in bbaf3s"
        ) from None


@dataclass(frozen=True)
class AlignedTake:
    """One recording: its phones, and the tracked channels [T, C] at `times` [T] (seconds of the sound)."""

    code: str
    phones: list[Phone]
    times: np.ndarray
    values: np.ndarray


class Aligner:
    """Lays known phonemes over a recording. `features` maps samples [S] to [F, C] at 50 Hz."""

    def __init__(self, table: VisemeTable, features: Callable[[np.ndarray], np.ndarray], speech: Path) -> None:
        self.table, self.features = table, features
        self._train(speech)

    def _train(self, speech: Path) -> None:
        import torch

        xs, ys = [], []
        for line in (speech / "index.jsonl").read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            x = _with_neighbours(self.features(load_audio(speech / entry["audio"]).samples))
            written = speech / (entry.get("phones") or f"phones/{entry['id']}.json")
            phones = [Phone(*p) for p in json.loads(written.read_text(encoding="utf-8"))]
            segments = self.table.segments(phones)
            ends, classes = np.array([p.end for _, p in segments]), np.array([c for c, _ in segments])
            middle = (np.arange(len(x)) + 0.5) * FEATURE_SECONDS
            xs.append(x)
            ys.append(classes[np.minimum(np.searchsorted(ends, middle), len(classes) - 1)])
        x, y = np.concatenate(xs), np.concatenate(ys)
        self._mean, self._std = x.mean(0), x.std(0) + 1e-3
        generator = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        inputs, targets = torch.from_numpy((x - self._mean) / self._std), torch.from_numpy(y)
        net = torch.nn.Linear(x.shape[1], len(self.table.classes))
        optimiser = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.05)
        for _ in range(6):
            for batch in torch.split(torch.randperm(len(y), generator=generator), 512):
                loss = torch.nn.functional.cross_entropy(net(inputs[batch]), targets[batch], label_smoothing=0.05)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        self._weight, self._bias = net.weight.detach().numpy(), net.bias.detach().numpy()
        counts = np.bincount(y, minlength=len(self.table.classes)) + 50.0
        self._log_prior = np.log(counts / counts.sum())

    def align(self, samples: np.ndarray, words: Sequence[Sequence[str]]) -> tuple[list[Phone], float]:
        """Phones of `words` (IPA symbols each) in the recording, with silences where it pauses; and the score."""
        x = _with_neighbours(self.features(samples))
        logits = ((x - self._mean) / self._std) @ self._weight.T + self._bias
        logits -= logits.max(axis=1, keepdims=True)
        likelihood = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)) - 0.6 * self._log_prior  # [F, K]
        rest = self.table.parse("")[0]
        states: list[tuple[int, bool, int]] = [(rest, False, -1)]  # class, may be skipped, phone
        symbols: list[str] = []
        for word in words:
            for symbol in word:
                states += [(c, False, len(symbols)) for c in self.table.parse(symbol)]
                symbols.append(symbol)
            states.append((rest, True, -1))
        states[-1] = (rest, False, -1)
        path, score = viterbi(likelihood[:, [c for c, _, _ in states]], [skip for _, skip, _ in states])
        phones: list[Phone] = []
        owners: list[int] = []
        for i, state in enumerate(path):
            owner = states[state][2]
            start, end = i * FEATURE_SECONDS, (i + 1) * FEATURE_SECONDS
            if owners and owners[-1] == owner:
                phones[-1] = replace(phones[-1], end=end)
            else:
                phones.append(Phone("" if owner < 0 else symbols[owner], start, end))
                owners.append(owner)
        return phones, score


def viterbi(emission: np.ndarray, skippable: Sequence[bool], step: float = -0.3) -> tuple[np.ndarray, float]:
    """Best monotonic path [F] through states 0..S-1 with log `emission` [F, S], from the first state to the last; a
    skippable state may be jumped over, entering a state costs `step`. Also the mean score per frame."""
    frames, count = emission.shape
    can_jump = np.array([s > 1 and skippable[s - 1] for s in range(count)])
    best = np.full(count, -np.inf)
    best[0] = emission[0, 0]
    came = np.zeros((frames, count), dtype=np.int64)
    index = np.arange(count)
    for f in range(1, frames):
        one = np.concatenate([[-np.inf], best[:-1]]) + step
        two = np.where(can_jump, np.concatenate([[-np.inf, -np.inf], best[:-2]]) + step, -np.inf)
        choices = np.stack([best, one, two])  # [3, S]
        pick = choices.argmax(axis=0)
        came[f] = index - pick
        best = choices[pick, index] + emission[f]
    path = np.empty(frames, dtype=np.int64)
    path[-1] = count - 1
    for f in range(frames - 1, 0, -1):
        path[f - 1] = came[f, path[f]]
    return path, float(best[-1] / frames)


def _with_neighbours(features: np.ndarray) -> np.ndarray:
    """[F, C] -> [F, 3 C]: each frame beside its two neighbours."""
    padded = np.pad(features, ((1, 1), (0, 0)), mode="edge")
    return np.concatenate([padded[:-2], padded[1:-1], padded[2:]], axis=1).astype(np.float32)


def encoder_features(layer: int = ALIGNER_LAYER) -> Callable[[np.ndarray], np.ndarray]:
    """Whisper's hidden state as a function of samples."""
    import torch

    from training.network.encoders import load_encoder

    encoder = load_encoder("whisper", layers=[layer])

    def features(samples: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return encoder(torch.from_numpy(samples)[None])[0].numpy()

    return features


def read_takes(clips: Path, tracked: Path, scores: Path, aligner: Aligner) -> list[AlignedTake]:
    """All GRID clips of a folder that could be aligned well, with the channels that a tracker gives for them.

    Args:
        clips: the recordings.
        tracked: their motion, as `training.faces.corpus_tracks` solves it from landmarks.
        scores: MediaPipe's scores of them, from which the channels `SCORED` are taken.
        aligner: lays the phones.
    """
    english = Espeak()
    voice = next(v for v in english.voices() if v.id == "espeak-ng/en-gb")
    known: dict[str, list[str]] = {}

    def spell(word: str) -> list[str]:
        if word not in known:
            spoken = english.speak(voice, word if len(word) > 1 else word + ".", 0.9, 0.5)
            known[word] = [p.symbol for p in spoken.phones if p.symbol]
        return known[word]

    takes = []
    for path in sorted(clips.glob("*.mp4")):
        track, scored = tracked / f"{path.stem}.npz", scores / f"{path.stem}.npz"
        try:
            words = grid_sentence(path.stem.split("_")[-1])
        except MsmdError:
            continue
        if not (track.is_file() and scored.is_file()):
            continue
        samples = load_audio(path).samples
        phones, score = aligner.align(samples, [spell(w) for w in words])
        if score < LOWEST_SCORE:
            continue
        seconds = len(samples) / RATE
        phones = with_levels(
            covered([replace(p, end=min(p.end, seconds)) for p in phones if p.start < seconds], seconds), samples, RATE
        )
        solved = load_npz(track)
        with np.load(scored, allow_pickle=False) as other:
            names, shapes = [str(n) for n in other["names"]], other["blendshapes"].astype(np.float64)
            found = other["found"]
        frames = min(solved.frames, len(shapes))
        curves = [
            _unsided(shapes, names, channel)
            if channel in SCORED
            else _unsided(solved.values, solved.rig.channels, channel)
            for channel in aligner.table.unsided
        ]
        values = np.stack([curve[:frames] for curve in curves], axis=1).astype(np.float64)  # [T, C]
        times = np.arange(frames) / float(solved.fps) - PICTURE_DELAY
        good = found[:frames] & (times > 0) & (times < seconds)
        takes.append(AlignedTake(path.stem, phones, times[good], values[good]))
    if len(takes) < 2 * HELD_OUT_EVERY:
        raise MsmdError(
            f"only {len(takes)} usable GRID clips in {clips}",
            hint="--clips, --tracked and --scores name the folders with the clips and tracks",
        )
    return takes


def _unsided(shapes: np.ndarray, names: Sequence[str], channel: str) -> np.ndarray:
    if channel in names:
        return shapes[:, names.index(channel)]
    return 0.5 * (shapes[:, names.index(channel + "Left")] + shapes[:, names.index(channel + "Right")])
