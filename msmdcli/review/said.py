"""What the lines of a batch say themselves, so that the page's controls begin where a line is.

The report names the manifest, and what redos have said since. Where the manifest cannot be read on this machine the
controls begin with usual values; the page works all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msmdcli.batch.planned import BatchOptions
from msmdcli.batch.redoing import redone_in, with_run_options
from msmdcli.controls.gesture import GestureLibrary
from msmdcli.documents.tree import parse_yaml
from msmdcli.errors import MsmdError
from msmdcli.manifest.lines import CHOICES
from msmdcli.model.bundle import Bundle
from msmdcli.model.sampling import Sampling
from msmdcli.paths import shipped_bundle
from msmdcli.studio.choices import about_choices
from msmdcli.studio.places import as_plain
from msmdcli.studio.project import Project
from msmdcli.styles.library import StyleLibrary


@dataclass(frozen=True)
class Said:
    """What is known of the lines' choices.

    Attributes:
        about: the keys and what they may be, see `about_choices`.
        choices: line id -> key -> plain value.
        redone: ids of lines and takes of which a redo has said something.
    """

    about: Mapping[str, Any]
    choices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    redone: Set[str] = frozenset()


def said_of(out: Path, report: Mapping[str, Any]) -> Said:
    """The same of the batch in OUT.

    Args:
        out: the folder.
        report: of it, from `read_report`.
    """
    named = report["settings"].get("manifest")
    try:
        if not isinstance(named, str) or not Path(named).exists():
            raise MsmdError("the manifest is not here")
        project = Project(with_run_options(BatchOptions(Path(named), out), report))
        planner = project.state.planner
        about = about_choices(
            project.bundle.rig, project.options.sampling, planner.libraries.general.tags, planner.gestures.names
        )
        choices = {line_id: project.inherited(line_id) | project.own_keys(line_id) for line_id in project.state.lines}
    except MsmdError:
        bundle = Bundle.load(shipped_bundle())
        tags, gestures = StyleLibrary(()).tags, GestureLibrary(()).names
        about, choices = about_choices(bundle.rig, Sampling().resolve(bundle), tags, gestures), {}
    redone = set()
    for line_id, entries in redone_in(report).items():
        for entry in entries:
            try:
                said = as_plain(parse_yaml(entry.text, "a redo"))
            except MsmdError:
                continue
            own = {k: v for k, v in said.items() if k in CHOICES} if isinstance(said, dict) else {}
            choices.setdefault(line_id, {}).update(own)
            if own:
                redone.add(line_id)
    return Said(about, choices, redone)
