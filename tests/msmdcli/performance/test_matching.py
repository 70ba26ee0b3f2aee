"""What a stretch costs, against the same written out for one pair at a time."""

from __future__ import annotations

import numpy as np
import pytest

from msmdcli.motion.motion import load_npz
from msmdcli.paths import shipped_styles
from msmdcli.performance import matching
from msmdcli.performance.matching import Chosen, Pool, costs, places_of
from msmdcli.performance.reference import Reference
from msmdcli.performance.searched import AHEAD, Searched, Way
from msmdcli.performance.stretches import FPS


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of([load_npz(path) for path in sorted((shipped_styles() / "happy").glob("*.npz"))[:2]])


def written_out(pool: Pool, now: Chosen, cut: int, place: int, way: Way, line: np.ndarray, mean: float) -> float:
    """Rhythm, join, familiarity and room of one cut, place and way; how lively it is is left out."""
    seen, (rate, mirrored) = pool.reference, way
    at = np.clip(np.round(place + rate * AHEAD).astype(int), seen.first[place], seen.last[place])
    heard = line[np.minimum(cut + AHEAD, len(line) - 1)]
    cost = float(np.square(heard - seen.features[at]).sum() * seen.heeds[place] / len(AHEAD))
    old = int(now.places(np.array([cut]))[0])
    hands = [seen.mirror if hand else 1.0 for hand in (now.mirrored, mirrored)]
    speeds = seen.speed[old] * hands[0] * now.rate, seen.speed[place] * hands[1] * rate
    apart = float(np.square(seen.pose[old] * hands[0] - seen.pose[place] * hands[1]).sum())
    apart += 0.35 * float(np.square(speeds[0] - speeds[1]).sum())
    slow = sum(float(np.square(speed).sum()) for speed in speeds)
    overlap = max(0.0, min(old, place + 1.2 * FPS) - max(now.place, place)) / (1.2 * FPS)
    goes_on = abs(place - old) <= 1 and mirrored == now.mirrored
    cost += 0.12 if goes_on else 0.8 * (apart + 0.25 * slow) + 4.0 * overlap
    familiar = np.exp2(-np.maximum(mean / FPS - pool.seen, 0) / 25.0)
    end = place + min(seen.last[place] - place, 2 * int(FPS)) + 1
    plain, other = (float(familiar[hand, place:end].mean()) for hand in (int(mirrored), int(not mirrored)))
    cost += 1.6 * max(plain, 0.55 * other) + 0.15 * mirrored * (1 - min(plain + other, 1))
    return cost + (0.0 if seen.last[place] - place >= int(1.4 * FPS) * rate else 50.0)


def test_costs_are_those_written_out_for_one_pair(reference: Reference) -> None:
    rng = np.random.default_rng(4)
    pool = Pool(Searched.of(reference))
    now = Chosen(pool, 0, 0, 60, 1.1, pool.reference.mirrored, 50)
    now.remember()
    line = rng.random((400, 3))
    cuts = np.arange(35, 90, 3)
    places = places_of(pool.reference, rng)
    found = costs(pool, cuts, places, line, now, 0, 40.0, 50.0)
    lively = matching.liveliness(pool.reference, places, 40.0, 50.0)
    ways = pool.reference.ways
    goes_on = [(1, c, int(np.argmin(np.abs(places - place)))) for c, place in enumerate(now.places(cuts))]
    goes_on += [(len(ways) - 1, c, p) for _, c, p in goes_on]
    drawn = [tuple(rng.integers(size) for size in found.shape) for _ in range(300)]
    for w, c, p in [*goes_on, *drawn]:
        wanted = written_out(pool, now, int(cuts[c]), int(places[p]), ways[w], line, float(cuts.mean()))
        assert found[w, c, p] - lively[p] == pytest.approx(wanted, abs=1e-9)


def test_a_reference_is_prepared_once(reference: Reference) -> None:
    assert Searched.of(reference) is Searched.of(reference)


def test_of_a_long_reference_a_random_part_is_tried(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Searched.of(reference)
    monkeypatch.setattr(matching, "MOST_PLACES", 50)
    some = places_of(seen, np.random.default_rng(0))
    assert len(some) == 50 and np.all(np.diff(some) > 0) and set(some) <= set(seen.places)
    whole, part = seen.rhythm(0.9, seen.places), seen.rhythm(0.9, some)
    np.testing.assert_array_equal(part[0], whole[0][np.searchsorted(seen.places, some)])
