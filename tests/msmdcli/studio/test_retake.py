"""A range anew: outside of it every bit stays, inside it is another take, and the batch makes the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from batch_project import Project as BatchProject

from msmdcli.errors import UsageError
from msmdcli.formats.registry import read_motion
from msmdcli.motion.rig import Rig
from msmdcli.studio.making import Maker
from msmdcli.studio.manifest_text import keep
from msmdcli.studio.project import Project
from msmdcli.studio.retake import FOLDER, Retakes, everything

PINS = [{"time": 0.3, "channels": {"jawOpen": 0.5}}, {"time": 1.2, "channels": {"jawOpen": 0.4}}]


@pytest.mark.parametrize("line_id", ["line2", "inn/line2"])
def test_a_range_anew_and_the_rest_as_it_is(project: BatchProject, line_id: str) -> None:
    project.write(f"  - {{id: {line_id}, audio: audio/line2.wav, fps: 30}}\n")
    studio = Project(project.options)
    maker, retakes = Maker(studio.options, studio.bundle), Retakes(studio.path)
    before = maker.make(studio.changed(line_id, {"pins": PINS})).motion
    keys = retakes.keys(line_id, before, 0.9, 1.7, 0, PINS)
    assert keys["seed"] == 1 and keys["pins"][2:] == PINS[1:], "a pin outside of the range has done its work"
    after = maker.make(studio.changed(line_id, keys)).motion
    first, stop = round(0.9 * 30), round(1.7 * 30) + 1
    np.testing.assert_array_equal(after.values[:first], before.values[:first])
    np.testing.assert_array_equal(after.values[stop:], before.values[stop:])
    inside = np.abs(after.values - before.values)[first:stop]
    assert (inside.max(axis=1) > 0).mean() > 0.9
    assert after.values[36, after.rig.index("jawOpen")] == np.float32(0.4)
    steps = np.abs(np.diff(after.values, axis=0)).max(axis=1)
    assert max(steps[first - 1], steps[stop - 1]) <= np.abs(np.diff(before.values, axis=0)).max() * 1.1, "no seam"
    keep(studio.path, line_id, keys, studio.state.manifest, studio.manifest_of)
    assert project.run() == 0
    np.testing.assert_array_equal(read_motion(project.out / f"{line_id}.npz").values, after.values)
    again = retakes.keys(line_id, after, 1.0, 1.2, 1, keys["pins"])  # a retake of the retake
    third = maker.make(studio.changed(line_id, again)).motion
    np.testing.assert_array_equal(third.values[:30], after.values[:30])


def test_what_nobody_kept_goes(project: BatchProject) -> None:
    project.write("  - {id: inn/line2, audio: audio/line2.wav}\n")
    studio = Project(project.options)
    motion = Maker(studio.options, studio.bundle).make(studio.changed("inn/line2", {})).motion
    retakes = Retakes(studio.path)
    kept = retakes.keys("inn/line2", motion, 0.9, 1.7, 0, [])
    retakes.keys("inn/line2", motion, 0.5, 1.7, 0, [])
    files = set((project.folder / FOLDER).rglob("*.npz"))
    assert len(files) == 3, "the part behind both ranges is the same"
    keep(studio.path, "inn/line2", kept, studio.state.manifest, studio.manifest_of)
    retakes.sweep(studio.path.read_text(encoding="utf-8"))
    named = {project.folder / pin["file"] for pin in kept["pins"]}
    assert set((project.folder / FOLDER).rglob("*.npz")) == named
    other = Retakes(studio.path)
    other.keys("inn/line2", motion, 0.4, 0.9, 0, [])
    other.sweep("")
    assert set((project.folder / FOLDER).rglob("*.npz")) == named, "what was there before stays"


def test_ranges_that_cannot_be(project: BatchProject) -> None:
    studio = Project(project.options)
    motion = Maker(studio.options, studio.bundle).make(studio.changed("line1", {})).motion
    retakes = Retakes(studio.path)
    for start, end, why in ((0.5, 0.55, "too short"), (0.0, 9.0, "whole line"), (5.0, 6.0, "too short")):
        with pytest.raises(UsageError, match=why):
            retakes.keys("line1", motion, start, end, 0, [])
    assert not (project.folder / FOLDER).exists()


def test_every_channel_is_named_once() -> None:
    rig = Rig.load("arkit52")
    words = everything(rig)
    named = [channel for word in words for channel in rig.regions.get(word, (word,))]
    assert sorted(named) == sorted(rig.channels) and len(words) < 12
    bare = replace(rig, regions={})
    assert everything(bare) == list(rig.channels)
