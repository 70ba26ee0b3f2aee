"""Fitting the viseme table: alignment, regression, and the file it writes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import yaml

from msmdcli.errors import MsmdError
from training.speech.alignment import AlignedTake, grid_sentence, viterbi
from training.speech.viseme_fit import (
    HAND,
    correlations,
    designs,
    fit_targets,
    fitted_document,
    with_timing,
    write_document,
)
from training.speech.visemes import Phone, VisemeTable

SYMBOLS = ["b", "a", "s", "i", "m", "u", "t", "ɛ", "f", "o", "l", "ɪ", "w", "n", "ʃ", "p"]


def takes_of(table: VisemeTable, count: int) -> list[AlignedTake]:
    """Random syllables and the curves that `table` gives them."""
    rng = np.random.default_rng(0)
    takes = []
    for i in range(count):
        phones = [Phone("", 0.0, 0.4)]
        for _ in range(20):
            length = rng.uniform(0.06, 0.16)
            phones.append(Phone(str(rng.choice(SYMBOLS)), phones[-1].end, phones[-1].end + length))
        phones.append(Phone("", phones[-1].end, phones[-1].end + 0.4))
        times = np.arange(int(phones[-1].end * 25)) / 25
        sided = table.curves(phones, times)
        names = [c if c in table.channels else c + "Left" for c in table.unsided]
        values = sided[:, [table.channels.index(n) for n in names]].astype(np.float64)
        takes.append(AlignedTake(str(i), phones, times, 0.3 * values))
    return takes


def test_grid_codes_spell_sentences() -> None:
    assert grid_sentence("bbaf3s") == ["bin", "blue", "at", "F", "three", "soon"]
    assert grid_sentence("swwzza") == ["set", "white", "with", "Z", "zero", "again"]
    for code in ("aa00", "xbaf3s", "bbaf3s1"):
        with pytest.raises(MsmdError, match="GRID"):
            grid_sentence(code)


def test_viterbi_finds_what_trying_all_paths_finds() -> None:
    emission = np.random.default_rng(3).normal(size=(6, 4))
    skippable = [False, True, False, False]
    step = -0.3

    def value(path: tuple[int, ...]) -> float:
        moves = [b - a for a, b in pairwise(path)]
        allowed = all(m in (0, 1) or (m == 2 and skippable[a + 1]) for a, m in zip(path, moves, strict=False))
        if path[0] != 0 or path[-1] != 3 or not allowed:
            return -np.inf
        return sum(emission[f, s] for f, s in enumerate(path)) + step * sum(m > 0 for m in moves)

    best = max(product(range(4), repeat=6), key=value)
    path, score = viterbi(emission, skippable, step)
    assert tuple(path) == best
    assert score == pytest.approx(value(best) / 6)


def test_targets_are_recovered_from_curves() -> None:
    hand = VisemeTable.load(HAND)
    other = with_timing(hand, {})
    other.targets = np.clip(hand.targets * np.random.default_rng(1).uniform(0.3, 2.0, hand.targets.shape), 0, 1)
    takes = takes_of(other, 40)
    design, means = designs(hand, takes)
    fitted = fit_targets(hand, design, means, takes, ridge=0.1)
    before, after = (correlations(hand, design, takes, t) for t in (hand.targets, fitted))
    jaw = hand.unsided.index("jawOpen")
    assert after[jaw] > 0.98 > before[jaw]
    assert np.nanmin(after - before) > -0.02


def test_a_channel_that_does_not_move_keeps_its_targets() -> None:
    hand = VisemeTable.load(HAND)
    takes = [replace(t, values=t.values * (np.array(hand.unsided) != "cheekPuff")) for t in takes_of(hand, 12)]
    fitted = fit_targets(hand, *designs(hand, takes), takes)
    puff = hand.unsided.index("cheekPuff")
    np.testing.assert_array_equal(fitted[:, puff], hand.targets[:, puff])


def test_written_table_reads_back(tmp_path: Path) -> None:
    raw = yaml.safe_load(HAND.read_text(encoding="utf-8"))
    table = with_timing(VisemeTable(raw), {"ahead.jaw": 0.03, "lead.round": 1.4, "core": 0.3})
    write_document(fitted_document(raw, table, table.targets), "How it was made.\n\nTwo lines.", tmp_path / "t.yaml")
    read = VisemeTable.load(tmp_path / "t.yaml")
    assert (tmp_path / "t.yaml").read_text(encoding="utf-8").startswith("# How it was made.\n#\n# Two lines.\n")
    phones = [Phone("", 0, 0.3), Phone("b", 0.3, 0.4), Phone("u", 0.4, 0.5), Phone("", 0.5, 1.0)]
    times = np.arange(25) / 25
    np.testing.assert_allclose(read.curves(phones, times), table.curves(phones, times), atol=2e-3)
    assert read.articulators[0].ahead == 0.03
