"""What a batch is asked for, and a line as it is planned, with the key of all that decides its motion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from msmdcli.batch import dubbing
from msmdcli.batch.approvals import Approval
from msmdcli.batch.ledger import key_of
from msmdcli.controls.controls import Controls
from msmdcli.errors import MsmdError, UsageError
from msmdcli.manifest.format_options import FormatOptions
from msmdcli.manifest.lines import Choices, Line, Manifest, merge, seed_of
from msmdcli.model.bundle import Bundle
from msmdcli.model.sampling import Sampling
from msmdcli.motion.curve_map import CurveMap
from msmdcli.styles.field import NO_STYLE, StyleField
from msmdcli.styles.library import StyleLibrary, StyleReference

MOTION_VERSION = 8  # raise it when a change of the program changes the motion of a line: all lines are made again
DEFAULT_FORMATS = ("livelink-csv",)
ENGINES = ("local", "ray")
UNKNOWN_SECONDS = 4.0  # taken for the duration of a recording whose header does not say it

Plan = Literal["make", "unchanged", "kept", "failed"]  # what is to become of a line
Result = Literal["made", "unchanged", "kept", "failed", "not reached"]  # what became of it


@dataclass(frozen=True)
class BatchOptions:
    """What `msmd batch` was asked for.

    Attributes:
        manifest: a manifest, a folder of recordings, or one recording; or a manifest that is read already.
        out: OUT.
        choices: style, formats, fps and seed from the command line; see `msmdcli.manifest.lines` for who wins.
        asked: `choices` as they were typed (arguments of `parse_choices`), for the report.
        earlier: of a redo: the choices of the run that it belongs to; `choices` win over them.
        sampling: how the model is solved; what it leaves open the bundle recommends.
        engine: `local` (this machine) or `ray` (see `msmdcli.workers.ray_cluster`).
        ray_address: of a cluster; None is this machine, or RAY_ADDRESS.
        jobs: workers. None is one here (1 works in this process), and all that there is room for in a Ray cluster.
        threads: per worker; 0 divides the cores among the workers.
        batch_size: rows per ONNX call; None chooses by device.
        device: auto, cpu or cuda.
        bundle: the folder of a bundle; None is the one that ships.
        styles: folders of tags, before the library that ships.
        gestures: folders of gestures, before the one beside the manifest and those that ship.
        dry_run, force, beside, check_delivery: see the contract.
        adds: the report keeps the lines that it has; a dub is one line of many.
        redo: lines of the manifest to do again, as the review page writes them.
        only: ids of the lines that are made, with * and ? for any characters; empty: all.
    """

    manifest: Path | Manifest
    out: Path
    choices: Choices = field(default_factory=Choices)
    asked: Mapping[str, Any] = field(default_factory=dict)
    earlier: Choices = field(default_factory=Choices)
    sampling: Sampling = field(default_factory=Sampling)
    engine: str = "local"
    ray_address: str | None = None
    jobs: int | None = None
    threads: int = 0
    batch_size: int | None = None
    device: str = "auto"
    bundle: Path | None = None
    styles: tuple[Path, ...] = ()
    gestures: tuple[Path, ...] = ()
    dry_run: bool = False
    force: bool = False
    beside: bool = False
    check_delivery: bool = False
    adds: bool = False
    redo: Path | None = None
    only: tuple[str, ...] = ()

    @cached_property
    def all_choices(self) -> Choices:
        """`choices` and, where they say nothing, `earlier`."""
        return merge([self.choices, self.earlier])

    def check(self) -> None:
        """Refuse what cannot be meant."""
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"{self.jobs} jobs", hint="give 1 or more")
        if self.engine not in ENGINES:
            raise UsageError(f"engine {self.engine!r} is not known", hint=f"choose one of: {', '.join(ENGINES)}")
        if self.ray_address is not None and self.engine != "ray":
            raise UsageError("--ray-address without --engine ray", hint="add --engine ray")
        if self.force and self.beside:
            raise UsageError("--force overwrites edited files, --beside keeps them", hint="give one of the two")

    def resolved(self, bundle: Bundle) -> BatchOptions:
        """The same options with the bundle's recommendations where `sampling` leaves something open."""
        return replace(self, sampling=self.sampling.resolve(bundle))


@dataclass(frozen=True)
class PlannedLine:
    """A line with everything that is known of it before anything is computed.

    Attributes:
        line: from the manifest.
        choices: all levels taken together.
        styling: its style field.
        controls: what is asked of it beyond its style.
        curves: the curve map of its character.
        references: `StyleRef.key` -> the clips found; None is the null style.
        audio_sha256, seconds: of the recording (seconds 0 where unknown).
        key: of its content; see `content_key`.
        outputs: format -> path below OUT, with slashes.
        format_options: format -> what is asked of it.
        option_keys: format -> what of that decides its file's bytes.
        targets: those outputs that are ours to write, and with `--beside` the paths next to those that are not.
        plan: what is to become of it.
        kept: outputs that somebody else wrote or edited, and that stay.
        approval: what its approval is worth.
        error, hint: why it fails before it has begun.
    """

    line: Line
    choices: Choices
    styling: StyleField
    controls: Controls = field(default_factory=Controls)
    curves: CurveMap | None = None
    references: Mapping[tuple[str, Path], StyleReference | None] = field(default_factory=dict)
    audio_sha256: str = ""
    seconds: float = 0.0
    key: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    format_options: FormatOptions = field(default_factory=dict)
    option_keys: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
    plan: Plan = "make"
    kept: tuple[str, ...] = ()
    approval: Approval = ""
    error: str = ""
    hint: str = ""

    @property
    def id(self) -> str:
        """The line's id."""
        return self.line.id

    @property
    def seed(self) -> int:
        """The seed of its noise."""
        return seed_of(self.choices)

    def sampling(self, base: Sampling, bundle: Bundle) -> Sampling:
        """How it is solved, resolved: what its choices ask for, else `base` (the batch's).

        The bundle's steps are enough for a mouth; a line whose whole performance is generated takes as many as the
        bundle recommends for that, unless steps were asked for.
        """
        choices = self.choices
        resolved = choices.sampling(base).resolve(bundle)
        asked = choices.steps is not None or choices.sampler is not None or choices.quality is not None
        usual = Sampling().resolve(bundle)
        if choices.performance != "generated" or asked or resolved.steps != usual.steps:
            return resolved
        return replace(resolved, steps=bundle.defaults.get("generated_steps") or resolved.steps)

    @property
    def expected_seconds(self) -> float:
        """The duration of its recording, or a guess."""
        return self.seconds or UNKNOWN_SECONDS

    def failed(self, error: MsmdError) -> PlannedLine:
        """The line with the reason why it cannot be made."""
        return replace(self, plan="failed", error=error.message, hint=error.hint)


def content_key(planned: PlannedLine, bundle: Bundle, sampling: Sampling) -> str:
    """sha256 of everything that decides a line's motion, and of what is asked of its formats. Which formats it has is
    not in it: the same motion in another format is the same line.
    """
    fps: Fraction = planned.choices.fps or bundle.fps
    styles = {name: ref.sha256 if ref else NO_STYLE for (name, _), ref in planned.references.items()}
    return key_of(
        {
            "motion_version": MOTION_VERSION,
            "id": planned.id,
            "audio": planned.audio_sha256,
            "bundle": bundle.sha256,
            "styles": styles,
            "field": planned.styling.description(),
            "sampling": planned.sampling(sampling, bundle).description(),
            "seed": planned.seed,
            "fps": str(fps),
            **({"curves": planned.curves.sha256} if planned.curves else {}),
            **({"controls": described} if (described := planned.controls.description()) else {}),
            **({"noise": planned.line.noise} if planned.line.noise is not None else {}),
            **({"format_options": dict(planned.option_keys)} if planned.option_keys else {}),
        }
        | dubbing.key_part(planned.line)
    )


class Libraries:
    """The style library of each line: its character's folder of tags before the command line's and the shipped one."""

    def __init__(self, manifest: Manifest, folders: Sequence[Path]) -> None:
        own = {line.character.styles for line in manifest.lines if line.character and line.character.styles}
        self._general = StyleLibrary(folders)
        self._own = {folder: StyleLibrary([folder, *folders]) for folder in own}
        self._found: dict[tuple[StyleLibrary, str, Path], StyleReference | MsmdError | None] = {}

    def of(self, line: Line) -> StyleLibrary:
        """The library that a line's tags are looked up in."""
        folder = line.character.styles if line.character else None
        return self._general if folder is None else self._own[folder]

    @property
    def general(self) -> StyleLibrary:
        """The library of lines whose character has none of its own."""
        return self._general

    def all_tags(self) -> Iterator[tuple[str, StyleReference]]:
        """Every tag of the command line's folders and of the shipped one, and its clips; broken ones are left out."""
        for tag in self._general.tags:
            try:
                reference = self._general.resolve(tag, Path())
            except MsmdError:
                continue
            if reference is not None:
                yield tag, reference

    def resolve(self, line: Line, name: str, base: Path) -> StyleReference | None:
        """As `StyleLibrary.resolve`, once for each style."""
        key = (self.of(line), name, base)
        if key not in self._found:
            try:
                self._found[key] = key[0].resolve(name, base)
            except MsmdError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, MsmdError):
            raise found
        return found
