"""Splits of the persons of a data set, and shards of the work: who is trained on and who is kept apart, whole persons
each; which clips one machine of several looks at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from msmdcli.documents.nodes import DocumentError
from msmdcli.documents.tree import load_small_yaml
from msmdcli.errors import UsageError
from training.data.records import unit_hash

SPLITS = ("train", "val", "test")


def split_by_hash(persons: Iterable[str], val_share: float) -> dict[str, str]:
    """Each person's split: `val` for those whose name's hash falls into the share, so that nobody changes sides when
    others join. Where that leaves a side empty, the person nearest to the border changes; a single person trains."""
    hashes = sorted((unit_hash(person), person) for person in set(persons))
    held = {person for u, person in hashes if u < val_share}
    if len(hashes) > 1 and val_share > 0:
        if not held:
            held = {hashes[0][1]}
        elif len(held) == len(hashes):
            held.remove(hashes[-1][1])
    elif len(hashes) == 1:
        held = set()
    return {person: "val" if person in held else "train" for _, person in hashes}


def read_split_file(path: Path) -> dict[str, str]:
    """person -> split, from a YAML file such as ``{val: [crema_1001, grid_s3], test: [grid_s4]}``. Persons that are not
    named train.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    hint = "a YAML file: val: [PERSON, ...] and, if wanted, test: [PERSON, ...]"
    try:
        data = load_small_yaml(path)
    except DocumentError as error:
        raise UsageError(f"split file {error.message}", hint=hint) from error
    if not isinstance(data, Mapping) or not set(data) <= set(SPLITS):
        raise UsageError(f"split file {path} does not list persons by split", hint=hint)
    found: dict[str, str] = {}
    for split, persons in data.items():
        if not isinstance(persons, list):
            raise UsageError(f"split file {path}: '{split}' is not a list", hint=hint)
        for person in persons:
            if found.setdefault(str(person), split) != split:
                raise UsageError(f"split file {path}: {person} is in two splits", hint=hint)
    return found


def parse_shard(text: str) -> tuple[int, int]:
    """(i, n) of a text such as 3/16, 1 <= i <= n.

    Raises:
        UsageError: it is no such thing.
    """
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise UsageError(f"'{text}' is not a shard", hint="--shard 3/16 is the third of sixteen")
