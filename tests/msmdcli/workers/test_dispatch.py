"""Lines handed to workers that die: every line gets exactly one outcome."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.styles.field import StyleField
from msmdcli.workers.dispatch import Dispatcher
from msmdcli.workers.task import LineTask


def task(name: str) -> LineTask:
    return LineTask(name, Path(name), "", StyleField(()), {}, 0, None, {}, {})


def simulate(
    lines: int, workers: int, places: int, deadly: set[str], deaths: float, tries: int, seed: int
) -> tuple[dict[str, str], list[set[str]]]:
    """Run workers of which some die by chance and any dies on a deadly line. (line -> outcome, lines held at deaths)"""
    rng = np.random.Generator(np.random.Philox(seed))
    dispatcher: Dispatcher[int] = Dispatcher([task(f"l{i}") for i in range(lines)], tries)
    crew: dict[int, list[str]] = {number: [] for number in range(workers)}
    following, chance = workers, 40
    outcomes: dict[str, str] = {}
    lost: list[set[str]] = []
    for _ in range(100_000):
        if dispatcher.finished:
            return outcomes, lost
        for worker, given_task in dispatcher.hand_out(dict.fromkeys(crew, places)):
            crew[worker].append(given_task.id)
            assert len(crew[worker]) <= places
        busy = [worker for worker, held in crew.items() if held]
        worker = int(rng.choice(busy))
        line = crew[worker][0]
        dies = line in deadly or (chance > 0 and rng.random() < deaths)
        if dies:
            chance -= line not in deadly
            lost.append(set(crew.pop(worker)))
            for outcome in dispatcher.died(worker, "(it was pulled)", ""):
                assert outcome.id not in outcomes
                outcomes[outcome.id] = outcome.error
            crew[following] = []
            following += 1
        else:
            crew[worker].pop(0)
            dispatcher.done(worker, line)
            assert line not in outcomes
            outcomes[line] = ""
    raise AssertionError("it does not come to an end")


@settings(deadline=None, max_examples=60)
@given(
    lines=st.integers(1, 60),
    workers=st.integers(1, 8),
    places=st.integers(1, 12),
    deadly=st.sets(st.integers(0, 59), max_size=4),
    tries=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_every_line_has_one_outcome_and_deadly_ones_fail(
    lines: int, workers: int, places: int, deadly: set[int], tries: int, seed: int
) -> None:
    names = {f"l{i}" for i in deadly if i < lines}
    outcomes, _ = simulate(lines, workers, places, names, 0.0, tries, seed)
    assert len(outcomes) == lines
    assert {line for line, error in outcomes.items() if error} == names


@pytest.mark.parametrize("seed", range(10))
def test_workers_that_are_lost_by_chance_cost_no_line(seed: int) -> None:
    outcomes, lost = simulate(80, 4, 6, set(), 0.15, 40, seed)
    assert lost and len(outcomes) == 80 and not any(outcomes.values())


def test_a_line_is_given_up_after_its_tries() -> None:
    outcomes, lost = simulate(5, 1, 3, {"l1"}, 0.0, 3, 0)
    assert [held for held in lost if held == {"l1"}] == [{"l1"}] * 3
    assert outcomes["l1"] == "the worker died on this line, 3 times (it was pulled)"


def test_a_suspect_stays_alone_and_the_others_go_on() -> None:
    dispatcher: Dispatcher[str] = Dispatcher([task(f"l{i}") for i in range(9)])
    dispatcher.hand_out({"a": 2, "b": 2})
    assert dispatcher.died("a", "", "") == []
    given_lines = dispatcher.hand_out({"b": 2, "c": 2, "d": 2})
    assert [task.id for worker, task in given_lines if worker == "c"] == ["l0"]
    assert dispatcher.hand_out({"b": 2, "c": 2, "d": 2}) == []
    dispatcher.done("c", "l0")
    assert "l0" not in {task.id for _, task in dispatcher.hand_out({"b": 2, "c": 2, "d": 2})}


def test_no_worker_takes_more_than_its_share_of_the_end() -> None:
    dispatcher: Dispatcher[str] = Dispatcher([task(f"l{i}") for i in range(6)])
    handed = dispatcher.hand_out({"a": 12, "b": 12, "c": 0})  # c is still loading
    assert [line.id for worker, line in handed if worker == "a"] == ["l0", "l2"]  # the longest are spread
    assert dispatcher.held("b") == 2 and dispatcher.unstarted == 2
