"""What goes to a worker and what comes back. All of it can be sent to another process."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from msmdcli.controls.articulation import MouthScale
from msmdcli.controls.controls import NO_CONTROLS, Controls
from msmdcli.controls.head import HeadMotion
from msmdcli.errors import MsmdError
from msmdcli.manifest.format_options import FormatOptions
from msmdcli.model.sampling import Sampling
from msmdcli.motion.curve_map import CurveMap
from msmdcli.styles.field import StyleField
from msmdcli.system.files import Written


@dataclass(frozen=True)
class LineTask:
    """What a worker needs to make one line's files.

    Attributes:
        id: the line.
        audio, audio_sha256: the recording, and its content when the batch was planned.
        field: the style field.
        codes: `StyleRef.key` -> key into the worker's encoded styles.
        seed: seed of the line's noise.
        fps: of the output; None is the bundle's.
        targets: format name -> where its file belongs.
        format_options: format name -> what is asked of it; see `msmdcli.manifest.format_options`.
        meta: notes for the files.
        head: head motion that takes the place of the model's, stretched to the line's length.
        curves: the curve map that makes the character's own controls of the motion; None leaves it on the bundle's rig.
        controls: what is asked of the line beyond its style.
        noise: what stands for the id where something is random; None is the id.
        performers: `StyleRef.key` -> key into the worker's clips of styles; empty: none performs (no style).
        kept: groups of channels that run along with the original that is dubbed; see `msmdcli.performance.line.plan`.
        generated: groups whose movement is the model's.
        sampling: how it is solved, resolved; None is the engine's.
        scales: `StyleRef.key` -> by how much the mouth goes further, to move as the style's; of one row.
    """

    id: str
    audio: Path
    audio_sha256: str
    field: StyleField
    codes: Mapping[tuple[str, Path], str]
    seed: int
    fps: Fraction | None
    targets: Mapping[str, Path]
    meta: Mapping[str, str]
    head: HeadMotion | None = None
    curves: CurveMap | None = None
    controls: Controls = NO_CONTROLS
    noise: str | None = None
    format_options: FormatOptions | None = None
    performers: Mapping[tuple[str, Path], str] = dataclasses.field(default_factory=dict)
    kept: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    sampling: Sampling | None = None
    scales: Mapping[tuple[str, Path], MouthScale] = dataclasses.field(default_factory=dict)

    @property
    def noise_name(self) -> str:
        """What its random numbers are drawn for."""
        return self.id if self.noise is None else self.noise


@dataclass(frozen=True)
class Outcome:
    """What became of a task: files ready to be put in place, or an error.

    Attributes:
        id: the line.
        written: complete files under temporary names.
        frames: of the output.
        seconds: of the recording.
        health: see `Health.as_dict`.
        warnings: what a person should know though the line was made.
        facts: what else was measured, see `Finished.facts`.
        error, hint: why it failed; error is empty if it did not.
        details: a traceback, where the failure is ours.
    """

    id: str
    written: tuple[Written, ...] = ()
    frames: int = 0
    seconds: float = 0.0
    health: Mapping[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    hint: str = ""
    details: str = ""

    @classmethod
    def failed(cls, line_id: str, error: BaseException) -> Outcome:
        """The outcome of a line that ended on an error: the user's to correct, or ours."""
        if isinstance(error, MsmdError):
            return cls(line_id, error=error.message, hint=error.hint)
        return cls(
            line_id,
            error=f"internal error: {type(error).__name__}: {error}",
            hint="please report it, with the details in report.json",
            details="".join(traceback.format_exception(error)),
        )
