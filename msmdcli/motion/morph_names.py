"""Which morph target of a head is which channel of a rig, however it is spelled.

Case, separators and the spelling of the side do not matter (`eyeBlinkLeft`, `EyeBlink_L`, `L_eye_blink`), nor a prefix
or suffix that several targets share or that ends at a dot, colon or slash (`Head.jawOpen`, `bs_JawOpen`). Everything
else is a guess that a person should look at: it is called doubtful, with the reason.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SIDES = {"left": "left", "l": "left", "lft": "left", "right": "right", "r": "right", "rt": "right", "rgt": "right"}
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
SHARED = 3  # targets that must share a prefix or suffix for it to be one
ALIKE = 0.86  # of difflib: a slip of the pen, as in `mouthPuker`


@dataclass
class Matching:
    """What became of a head's morph targets.

    Attributes:
        found: channel -> the targets that make it, mostly one.
        doubtful: channel -> why its match is a guess.
        missing: channels without a target.
        unused: targets that are no channel.
    """

    found: dict[str, tuple[str, ...]] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def match_targets(
    targets: Iterable[str], channels: Sequence[str], given: Mapping[str, Sequence[str]] | None = None
) -> Matching:
    """Match names.

    Args:
        targets: of one mesh.
        channels: of the rig.
        given: channel -> targets that a person has named; they are taken as they are.
    """
    names = list(dict.fromkeys(targets))
    by_key: dict[tuple[str, str], str] = {_key(channel): channel for channel in channels}
    result = Matching()
    for channel, chosen in (given or {}).items():
        there = tuple(name for name in chosen if name in names)
        if there:
            result.found[channel] = there
    open_names = [name for name in names if not any(name in chosen for chosen in result.found.values())]

    exact: dict[str, list[str]] = defaultdict(list)
    for name in open_names:
        bare = re.split(r"[.:/|]", name)
        bare_name = bare[-1] if len(bare) == 1 or bare[-1].lower() not in SIDES else f"{bare[-2]}_{bare[-1]}"
        known = by_key.get(_key(name)) or by_key.get(_key(bare_name))
        if known is not None:
            exact[known].append(name)
    affixed = _without_affixes([n for n in open_names if not any(n in found for found in exact.values())], by_key)
    for sure in (exact, affixed):
        for channel, candidates in sure.items():
            if channel not in result.found:
                best = max(candidates, key=lambda name: difflib.SequenceMatcher(None, name, channel).ratio())
                result.found[channel] = (best,)
                if len(candidates) > 1:
                    others = ", ".join(name for name in candidates if name != best)
                    result.doubtful[channel] = f"taken from {best}; {others} would fit as well"

    used = {name for chosen in result.found.values() for name in chosen}
    left = [name for name in open_names if name not in used]
    for channel in channels:
        if channel not in result.found:
            _guess(channel, left, result)
    used = {name for chosen in result.found.values() for name in chosen}
    result.missing = tuple(channel for channel in channels if channel not in result.found)
    result.unused = tuple(name for name in names if name not in used)
    return result


def _guess(channel: str, left: list[str], result: Matching) -> None:
    """A doubtful match of a channel among the targets left over, which it is taken from."""
    base, side = _key(channel)
    keys = {name: _key(name) for name in left}
    halves = [next((n for n in left if keys[n] == (base, half)), None) for half in ("left", "right")]
    if not side and all(halves):
        chosen, why = tuple(str(half) for half in halves), f"both sides together: {halves[0]} and {halves[1]}"
    else:
        swapped = [n for n in left if sorted(_words(n)) == sorted(_words(channel))]
        short = [n for n in left if side and keys[n] == (f"{base}{side[0]}", "")]
        alike = [n for n in left if keys[n][1] == side and _alike(keys[n][0], base) >= ALIKE]
        nearest = sorted(alike, key=lambda n: -_alike(keys[n][0], base))
        candidates = swapped or short or nearest
        if not candidates:
            return
        chosen, why = (candidates[0],), f"taken from {candidates[0]}, which is spelled otherwise"
    result.found[channel], result.doubtful[channel] = chosen, why
    for name in chosen:
        left.remove(name)


def _without_affixes(names: Sequence[str], by_key: Mapping[tuple[str, str], str]) -> dict[str, list[str]]:
    """Channels of names that have a prefix or a suffix which at least `SHARED` of them share."""
    ways: list[tuple[str, str, str]] = []  # affix, channel, name
    for name in names:
        base, side = _key(name)
        for (channel_base, channel_side), channel in by_key.items():
            if side == channel_side and base != channel_base:
                if base.endswith(channel_base):
                    ways.append((f"{base[: -len(channel_base)]}>", channel, name))
                elif base.startswith(channel_base):
                    ways.append((f"<{base[len(channel_base) :]}", channel, name))
    shared = Counter(affix for affix, _, _ in ways)
    found: dict[str, list[str]] = defaultdict(list)
    taken: set[str] = set()
    for affix, channel, name in sorted(ways, key=lambda way: (-shared[way[0]], len(way[0]))):
        if shared[affix] >= SHARED and name not in taken:
            found[channel].append(name)
            taken.add(name)
    return found


def _words(name: str) -> list[str]:
    """Words of a name in lower case, sides spelled out."""
    words = [word.lower() for word in WORDS.findall(name)]
    return [SIDES.get(word, word) for word in words]


def _key(name: str) -> tuple[str, str]:
    """(what moves, side) of a name: `EyeBlink_L` and `eyeblinkleft` are both ("eyeblink", "left")."""
    words = _words(name)
    sides = [word for word in words if word in ("left", "right")]
    if len(sides) == 1:
        return "".join(word for word in words if word not in ("left", "right")), sides[0]
    whole = "".join(words)
    for side in ("left", "right"):
        if not sides and whole.endswith(side) and len(whole) > len(side):
            return whole.removesuffix(side), side
    return whole, ""


def _alike(a: str, b: str) -> float:
    return difflib.SequenceMatcher(None, a, b).ratio()
