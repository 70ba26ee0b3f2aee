"""Splits hold whole persons."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmdcli.errors import UsageError
from training.curation.split import read_split_file, split_by_hash

persons = st.sets(st.text("abcdef0123456789_", min_size=1, max_size=8), min_size=2, max_size=60)


@given(persons)
def test_both_sides_have_somebody(names: set[str]) -> None:
    assert set(split_by_hash(names, 0.1).values()) == {"train", "val"}


@given(persons, persons)
def test_nobody_changes_sides_when_others_join(some: set[str], others: set[str]) -> None:
    before, after = split_by_hash(some, 0.3), split_by_hash(some | others, 0.3)
    changed = [name for name in some if before[name] != after[name]]
    assert len(changed) <= 1  # the one who had to fill an empty side


def test_about_a_tenth_validates() -> None:
    found = list(split_by_hash([f"crema_{number}" for number in range(1001, 2001)], 0.1).values())
    assert 70 <= found.count("val") <= 130


def test_one_person_trains() -> None:
    assert split_by_hash(["anna"], 0.9) == {"anna": "train"}


def test_split_file(tmp_path: Path) -> None:
    file = tmp_path / "split.yaml"
    file.write_text("val: [anna, 1001]\ntest: [ben]\n")
    assert read_split_file(file) == {"anna": "val", "1001": "val", "ben": "test"}
    for wrong in (
        "val: anna",
        "[anna]",
        "validation: [anna]",
        "val: [anna]\ntest: [anna]",
        "val: [",
        "!!python/none {}",
    ):
        file.write_text(wrong)
        with pytest.raises(UsageError):
            read_split_file(file)
    with pytest.raises(UsageError):
        read_split_file(tmp_path / "none.yaml")
