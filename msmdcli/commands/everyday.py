"""The options of a batch that `msmd watch` and `msmd studio` take, too: one list for both.

A command that wants them takes a parameter of the type `Everyday` and is decorated with `with_everyday_options`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmdcli.commands.options import (
    AsInBatch,
    BundleFolder,
    Device,
    Formats,
    Fps,
    GestureFolders,
    GuidanceAudio,
    GuidanceStyle,
    Quality,
    StyleFolders,
    asked_sampling,
)

if TYPE_CHECKING:
    from msmdcli.batch.planned import BatchOptions


@dataclass(frozen=True)
class Everyday:
    """What was asked for; each field is an option of the command line."""

    style: AsInBatch = None
    formats: Formats = None
    fps: Fps = None
    quality: Quality = None
    guidance_audio: GuidanceAudio = None
    guidance_style: GuidanceStyle = None
    device: Device = "auto"
    bundle: BundleFolder = None
    styles: StyleFolders = None
    gestures: GestureFolders = None

    def options(self, manifest: Path, out: Path, **others: Any) -> BatchOptions:
        """The options of a batch; `others` are further fields of it.

        Raises:
            UsageError: one of them cannot be used.
        """
        from msmdcli.batch.planned import BatchOptions
        from msmdcli.manifest.command_line import parse_choices

        chosen = ("style", "formats", "fps", "guidance_audio", "guidance_style", "quality")
        asked: dict[str, Any] = {name: getattr(self, name) for name in chosen}
        return BatchOptions(
            manifest,
            out,
            choices=parse_choices(**asked),
            asked=asked,
            sampling=asked_sampling(self.quality, None, None, self.guidance_audio, self.guidance_style, None, None),
            device=self.device,
            bundle=self.bundle,
            styles=tuple(self.styles or ()),
            gestures=tuple(self.gestures or ()),
            **others,
        )


def with_everyday_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with these options in the place of its parameter of the type `Everyday`, as typer is to see it."""
    shared = [field.name for field in fields(Everyday)]
    seen: list[inspect.Parameter] = []
    taken = ""
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if parameter.annotation is Everyday:
            taken = parameter.name
            seen += inspect.signature(Everyday, eval_str=True).parameters.values()
        else:
            seen.append(parameter)
    seen = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in seen]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        asked = Everyday(**{name: given.pop(name) for name in shared})
        command(**given, **{taken: asked})

    wrapped.__dict__["__signature__"] = inspect.Signature(seen)
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in seen}
    return wrapped
