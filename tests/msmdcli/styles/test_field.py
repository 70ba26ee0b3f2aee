"""The style field, proved by measurement on the model that ships; `benchmarks/measure_style_field.py` prints more."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measure_style_field import EXAMPLES, Lines, intensity_row, mix, plain, seam, weight_path
from msmdcli.model.style_codes import SAFE_INTENSITY, StyleCode
from msmdcli.motion.rig import Rig
from msmdcli.styles.field import Segment, StyleField, StyleRef, style_words


@pytest.fixture(scope="module")
def lines() -> Lines:
    return Lines([EXAMPLES / name for name in ("guard_001.ogg", "captain_fr.ogg", "scholar_ja.ogg")])


@pytest.mark.parametrize("region", ["upper", "lower", "mouth", "brows", "lids", "gaze", "head", "mouthSmileLeft"])
def test_a_region_moves_and_nothing_else(lines: Lines, region: str) -> None:
    base = lines.animate(plain(neutral=1))
    changed = lines.animate(StyleField((Segment(0.0, mix(neutral=1), {region: mix(happy=1.0)}, 0.0),)))
    inside = np.isin(lines.rig.channels, lines.rig.regions.get(region, (region,)))
    for name in base:
        np.testing.assert_array_equal(changed[name][:, ~inside], base[name][:, ~inside])
        assert np.abs(changed[name] - base[name])[:, inside].max() > 0.005, (region, name)


def test_regions_that_change_over_time_do_not_leak_either(lines: Lines) -> None:
    """An upper face that turns angry for the second half leaves the lower where it was."""
    base = lines.animate(plain(neutral=1))
    segments = (Segment(0.0, mix(neutral=1), fade=0.0), Segment(2.0, mix(neutral=1), {"upper": mix(angry=1.0)}))
    changed = lines.animate(StyleField(segments))
    lower, upper = lines.rig.indices("lower"), lines.rig.indices("upper")
    for name in base:
        np.testing.assert_array_equal(changed[name][:, lower], base[name][:, lower])
        change = np.abs(changed[name] - base[name])[:, upper].mean(axis=1)
        assert change[75:].mean() > 10 * change[:45].mean()


def test_weights_lead_from_one_style_to_the_other_without_a_step_back(lines: Lines) -> None:
    path = weight_path(lines, "neutral", "angry", steps=6)
    assert (np.diff(path) > 0.05).all() and path[0] == 0 and path[-1] == pytest.approx(1)


def test_a_change_of_segment_has_no_seam(lines: Lines) -> None:
    """With the fade that is taken when none is given, the velocity jumps no more than in ordinary speech; without one
    (a cut, which may be wanted) it does.
    """
    step, jump = seam(lines, fade=0.3)
    assert step < 2.0 and jump < 1.5
    assert seam(lines, fade=0.0)[1] > 1.5 * jump


def test_intensity_is_safe_where_we_say_so(lines: Lines) -> None:
    """Within the safe range the expression follows the number, the mouth keeps speaking and the rig's limits hold: the
    mouth's, and above it no more is cut off than at intensity 1, but for a little."""
    low, high = SAFE_INTENSITY
    for intensity in (low, high):
        row = intensity_row(lines, intensity)
        assert row["mouth_outside"] < 0.03 and row["outside"] < row["outside_at_1"] + 0.015, (intensity, row)
        assert row["outside"] < 0.04 and row["jaw"] > 0.98 and 0.85 < row["lively"] < 1.2, (intensity, row)
    assert intensity_row(lines, low)["expression"] == pytest.approx(low, abs=0.1)
    assert intensity_row(lines, high)["expression"] > 1.2


def test_weights_of_a_field_add_up_at_every_frame() -> None:
    here, rig = Path(), Rig.load("arkit52")
    field = StyleField(
        (
            Segment(0.0, (StyleRef("a", here, 0.7), StyleRef("b", here, 0.3)), fade=0),
            Segment(
                0.5, (StyleRef("b", here),), {"upper": (StyleRef("a", here),), "eyes": (StyleRef("c", here),)}, 0.4
            ),
            Segment(0.7, (StyleRef("c", here),), fade=0.2),
            Segment(2.0, (StyleRef("a", here),), fade=0.0),
        )
    )
    codes = {
        (name, here): StyleCode.of(np.full(3, i, np.float32), np.zeros(2, np.float32)) for i, name in enumerate("abc")
    }
    entries = field.entries(codes, frames=75, fps=Fraction(25), rig=rig)
    assert len(entries) == 3
    weights = {float(e.style.code[0]): np.broadcast_to(e.weight, (75, rig.size)) for e in entries if e.style}
    np.testing.assert_allclose(sum(weights.values()), 1, atol=1e-6)
    assert weights[0][0, 0] == pytest.approx(0.7) and (weights[0][50:] == 1).all()
    eye, jaw, brow = rig.index("eyeBlinkLeft"), rig.index("jawOpen"), rig.index("browInnerUp")
    middle = 25 * 0.7  # the second segment is half way in when the third begins
    assert weights[2][int(middle), eye] > 0.4 and weights[1][int(middle), jaw] > 0.4
    assert weights[0][int(middle), brow] > weights[0][int(middle), jaw]
    for w in weights.values():
        assert np.abs(np.diff(w[:50], axis=0)).max() < 0.4  # fades, no jumps
    assert style_words(field).startswith("from 0 s: 0.7 a + 0.3 b; from 0.5 s: b, eyes: c, upper: a")
