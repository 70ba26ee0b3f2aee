"""Manifests and inputs that somebody could hand to `msmd batch` by mistake or on purpose. Everything from a seed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, 10**30, float("nan"), float("inf"), "", " ", "none", "neutral"),
    *("null", "~", "off", "on", "1e999999999", "1/0", "30000/1001", "0x1F", "1_000", ".5", "5.", "-45", "١٢", "nan"),
    *("../../x", "/etc/passwd", "C:\\x", "con", "a\x00b", "a\nb", "\u202eb", "\ud83d\ude00", "x" * 5000, "~nobody/x"),
    *("~", "*a", "&a", "<<", "!!python/object:os.system", "angry=0.5,sad", "takes/take.npz", ".", "..", "a/../b", "%s"),
    *([], {}, [[]], [None], {"": ""}, [{"ref": "sad"}], {"ref": "sad"}, {"jawOpen": 0.2}, [{"start": 0}], ["npz"]),
    *("nod", "126 frames", "4.2 s", "trim", "replace", "upper", "jawOpen", "timeline", "guard", "a.wav"),
]
KEYS = ["id", "audio", "style", "stlye", "head", "pins", "gestures", "time", "channels", "jawOpen", "", "<<", "x" * 300]


def places(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a tree, below its root."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*at, key)
        yield from places(value, (*at, key))


def mutated(data: Any, rng: np.random.Generator, changes: int = 1) -> Any:
    """A copy of a tree with some values replaced, removed, repeated, moved or renamed."""
    data = copy.deepcopy(data)
    for _ in range(changes):
        paths = list(places(data))
        if not paths:
            break
        path = paths[rng.integers(len(paths))]
        parent = data
        for key in path[:-1]:
            parent = parent[key]
        key = path[-1]
        kind = rng.integers(5)
        if kind == 0:
            del parent[key]
        elif kind == 1 and isinstance(parent, list):
            parent.insert(0, copy.deepcopy(parent[key]))
        elif kind == 2 and isinstance(parent, dict):
            parent[KEYS[rng.integers(len(KEYS))]] = parent.pop(key)
        elif kind == 3:
            value: Any = data
            for step in paths[rng.integers(len(paths))]:
                value = value[step]
            parent[key] = copy.deepcopy(value)
        else:
            parent[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
    return data
