"""Takes of a line and dubs are opened, changed and kept as any other line, and the batch writes what was shown."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from batch_project import Project as BatchProject
from voice_lines import write_sound

from msmdcli.errors import UsageError
from msmdcli.formats.registry import read_motion
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.studio.making import Maker
from msmdcli.studio.manifest_text import keep
from msmdcli.studio.project import Project

RIG = Rig.load("arkit52")
MANIFEST = """\
version: 1
characters:
  hero:
    defaults: {takes: 2}
    lines:
      - {id: hero/one, audio: audio/line1.wav}   # the hero's
lines:
  - id: many
    audio: audio/line2.wav
    takes: 3        # to choose from
    seed: 5
dub:
  # another language
  - {id: scene, original: take.npz, audio: audio/line1.wav, head: performed}
"""


@pytest.fixture
def manifest(project: BatchProject) -> str:
    values = np.random.default_rng(3).uniform(0, 0.3, (90, RIG.size)).astype(np.float32)
    save_npz(project.folder / "take.npz", Motion(values, Fraction(30), RIG))
    project.manifest.write_text(MANIFEST, encoding="utf-8")
    return MANIFEST


def shown_kept_written(project: BatchProject, line_id: str, keys: dict[str, Any]) -> tuple[str, np.ndarray]:
    """Change a line, keep that, run the batch: its id afterwards, and what was shown, which is what was written."""
    studio = Project(project.options)
    planned = studio.changed(line_id, keys)
    shown = Maker(studio.options, studio.bundle).make(planned).motion
    keep(studio.path, studio.written_id(line_id), keys, studio.state.manifest, studio.manifest_of)
    studio.reread()
    assert studio.changed(planned.id, {}).key == planned.key
    assert project.run() == 0
    np.testing.assert_array_equal(read_motion(project.out / f"{planned.id}.npz").values, shown.values)
    return planned.id, shown.values


def test_a_change_of_a_take_holds_for_its_line(project: BatchProject, manifest: str) -> None:
    studio = Project(project.options)
    assert studio.written_id("many_take2") == "many" and studio.take_number("many_take2") == 2
    assert studio.own_keys("many_take3") == {"takes": 3, "seed": 5} and studio.take_number("scene") is None
    line_id, _ = shown_kept_written(project, "many_take2", {"intensity": 1.2})
    assert line_id == "many_take2"
    changed = project.manifest.read_text(encoding="utf-8")
    assert changed == manifest.replace("    seed: 5\n", "    seed: 5\n    intensity: 1.2\n")
    assert {"many_take1", "many_take2", "many_take3", "hero/one_take1"} <= set(Project(project.options).state.lines)


def test_a_take_that_is_chosen_becomes_its_line(project: BatchProject, manifest: str) -> None:
    studio = Project(project.options)
    as_take = Maker(studio.options, studio.bundle).make(studio.changed("many_take2", {})).motion.values
    assert studio.choosing("many_take2") == {"seed": 6, "takes": None}
    line_id, shown = shown_kept_written(project, "many_take2", studio.choosing("many_take2"))
    assert line_id == "many" and np.array_equal(shown, as_take)
    assert studio.choosing("hero/one_take2") == {"seed": 1, "takes": 1}, "else its character's would ask for more"
    assert shown_kept_written(project, "hero/one_take2", studio.choosing("hero/one_take2"))[0] == "hero/one"
    assert set(Project(project.options).state.lines) == {"many", "scene", "hero/one"}
    assert "# the hero's" in project.manifest.read_text(encoding="utf-8")


def test_a_dub_is_changed_and_kept(project: BatchProject, manifest: str) -> None:
    studio = Project(project.options)
    assert studio.own_keys("scene") == {"head": "performed"} and studio.why_fixed("scene") == ""
    assert "style" not in studio.inherited("scene")
    keys = {"keep": ["head"], "style_follow": "timeline", "blinks": 12, "gestures": [{"name": "nod", "at": 0.4}]}
    shown_kept_written(project, "scene", keys)
    text = project.manifest.read_text(encoding="utf-8")
    assert "# another language" in text and text.startswith(manifest[: manifest.index("  - {id: scene")])
    assert Project(project.options).own_keys("scene") == {"head": "performed"} | keys
    shown_kept_written(project, "scene", {"head": "off", "keep": None})
    for wrong in ({"style": "angry"}, {"original": "/etc/passwd"}, {"segments": []}):
        with pytest.raises(UsageError, match="no choice"):
            studio.changed("scene", wrong)


def test_a_retake_of_a_take_is_of_that_take_alone(project: BatchProject, manifest: str) -> None:
    pytest.importorskip("starlette")
    from msmdcli.studio.answers import Studio

    write_sound(project.folder / "audio/line2.wav", 2.7, seed=2)
    studio = Studio(Project(project.options))
    try:
        before = studio.maker.make(studio.project.changed("many_take2", {})).motion.values
        keys = studio.retake("many_take2", {}, 0.8, 1.6)["keys"]
        assert keys["takes"] is None and keys["seed"] == 7
        line_id, after = shown_kept_written(project, "many_take2", keys)
        assert line_id == "many"
        np.testing.assert_array_equal(after[:20], before[:20])
        assert np.abs(after - before)[22:38].max() > 0.01
    finally:
        studio.close()
