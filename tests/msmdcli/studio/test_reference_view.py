"""The reference performance beside a line: the clip, at the moments that the line performs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from batch_project import Project as BatchProject

from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.performance.reference import GROUPS, groups_of
from msmdcli.studio.making import MadeLine, Maker
from msmdcli.studio.project import Project
from msmdcli.studio.reference_view import folded, in_step, mirrored, reference_view

RIG = Rig.load("arkit52")


def made_of(project: BatchProject, keys: dict) -> tuple[Maker, MadeLine]:
    project.write("  - {id: line2, audio: audio/line2.wav}\n")
    studio = Project(project.options)
    maker = Maker(studio.options, studio.bundle)
    return maker, maker.make(studio.changed("line2", keys))


def test_in_step_is_what_the_line_performs(project: BatchProject) -> None:
    maker, made = made_of(project, {})
    performers = maker.performers(made)
    step, plays, source = in_step(made, performers)
    assert step is not None and step.frames == made.drawn.frames and [one.name for one in performers] == ["neutral"]
    assert plays[0][0] == 0.0 and all(name == "neutral" for _, name, _ in plays)
    assert source is not None and {len(values) for values in source.values()} == {step.frames}
    assert source["seconds"][0] == pytest.approx(plays[0][2], abs=0.01) and set(source["clip"]) == {0}
    clip = performers[0].clips[0].values
    assert (step.values >= clip.min(axis=0) - 0.6).all() and (step.values <= clip.max(axis=0) + 0.6).all()
    performance = made.performance
    assert performance is not None
    group = next(name for name in GROUPS if name in performance.stretches)
    stretch = performance.stretches[group][0]
    at = folded(stretch.source(np.zeros(1)), (len(clip) - 1) / 30)
    expected = clip[round(float(at[0]) * 30)] if not stretch.mirrored else mirrored(clip, RIG.channels)[0]
    frame = round(float(at[0]) * 30)
    if abs(float(at[0]) * 30 - frame) < 1e-6:
        np.testing.assert_allclose(step.values[0], expected, atol=1e-5)
    columns = groups_of(RIG)[group]
    assert np.abs(step.values[:, columns]).max() > 0


def test_each_style_of_a_mix_has_its_clip(project: BatchProject) -> None:
    mix = [{"ref": "neutral", "weight": 0.5}, {"ref": "angry", "weight": 0.5}]
    maker, made = made_of(project, {"style": mix})
    view = reference_view(made, maker.performers(made), None)
    assert [clip["name"] for clip in view["clips"]] == ["neutral", "angry"]
    assert view["step"]["frames"] == made.drawn.frames
    assert {name for _, name, _ in view["plays"]} <= {"neutral", "angry"}


def test_without_a_performance_the_clip_alone(project: BatchProject) -> None:
    maker, made = made_of(project, {"performance": "off"})
    view = reference_view(made, maker.performers(made), None)
    assert view["step"] is None and view["plays"] == [] and len(view["clips"]) == 1
    maker, made = made_of(project, {"style": "none"})
    assert reference_view(made, maker.performers(made), None) == {
        "clips": [],
        "step": None,
        "plays": [],
        "source": None,
    }


def test_time_runs_to_and_fro_and_sides_change() -> None:
    np.testing.assert_allclose(folded(np.array([0.5, 1.5, 2.5, 4.0]), 2.0), [0.5, 1.5, 1.5, 0.0])
    values = np.arange(2.0 * RIG.size).reshape(2, RIG.size)
    other = mirrored(values, RIG.channels)
    assert np.array_equal(other[:, RIG.index("eyeBlinkLeft")], values[:, RIG.index("eyeBlinkRight")])
    assert np.array_equal(other[:, RIG.index("headYaw")], -values[:, RIG.index("headYaw")])
    assert np.array_equal(mirrored(other, RIG.channels), values)


def test_what_was_kept_gives_the_same_bytes(project: BatchProject) -> None:
    """Changes in any order, made from what is kept of others, are those of a studio that has just begun."""
    project.write("  - {id: line2, audio: audio/line2.wav, fps: 30}\n")
    studio = Project(project.options)
    used = Maker(studio.options, studio.bundle)
    changes: list[dict] = [
        {},
        {"head": 0.5},
        {"performance_amount": {"brows": 0.4, "eyes": 0}},
        {"performance_amount": 1.2},
        {"keep_head_pose": True},
        {"performance": "generated"},
        {"length": 4},
        {"fps": 60},
        {"intensity": 1.1},
        {"style": "angry", "pins": [{"time": 1, "channels": {"jawOpen": 0.2}}]},
        {"style": "angry", "pins": [{"time": 1, "channels": {"jawOpen": 0.3}}]},
        {"guidance_audio": 0.2},
        {"segments": [{"start": 1.0, "style": "angry"}]},
        {"segments": [{"start": 1.2, "style": "angry"}]},
        {"regions": {"upper": "angry"}},
        {"seed": 4},
        {},
    ]
    for keys in changes:
        planned = studio.changed("line2", keys)
        made, fresh = used.make(planned), Maker(studio.options, studio.bundle).make(planned)
        np.testing.assert_array_equal(made.motion.values, fresh.motion.values, err_msg=str(keys))
        assert made.motion.meta == fresh.motion.meta and made.health == fresh.health, keys
        assert made.facts == fresh.facts and made.warnings == fresh.warnings, keys
    assert replace(planned, key="") == replace(studio.changed("line2", {}), key="")


def test_a_take_without_a_head_is_shown_by_what_it_moves(project: BatchProject) -> None:
    """The head is lent by somebody else, whom the line does not follow."""
    values = np.random.default_rng(2).uniform(0, 0.4, (90, RIG.size)).astype(np.float32)
    values[:, list(RIG.rotation_indices or ())] = 0
    save_npz(project.folder / "face.npz", Motion(values, Fraction(30), RIG))
    maker, made = made_of(project, {"style": "face.npz"})
    view = reference_view(made, maker.performers(made), None)
    assert [clip["name"] for clip in view["clips"]] == ["face.npz"]
    assert view["step"] is not None and {name for _, name, _ in view["plays"]} == {"face.npz"}
