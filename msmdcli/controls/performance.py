"""What can be asked of a performance: where it comes from, how much of it, and which way the head faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

from msmdcli.documents.nodes import number_in
from msmdcli.errors import MsmdError, did_you_mean
from msmdcli.motion.rig import Rig

Source = Literal["reference", "generated", "off"]
SOURCES: tuple[Source, ...] = get_args(Source)
REGIONS = ("head", "brows", "eyes", "cheeks", "nose")
ALL = "all"
MAX_AMOUNT = 1.5
YES, NO = ("true", "yes", "on"), ("false", "no", "off")
NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class PerformanceOptions:
    """How a line performs beside its mouth.

    Attributes:
        source: `reference`, the style's own movement placed by rhythm; `generated`, the model's; `off`, none: the face
            rests as the style does, for an animator who does the rest by hand.
        amounts: region -> factor of the reference's movement, 0 to `MAX_AMOUNT`; `all` is for regions not named.
        keep_head_pose: whether the mean yaw and roll of a reference's head, and the mean side-look of its eyes, stay.
            None: they stay where no camera was (a synthetic style), else they are taken out of the neck.
    """

    source: Source = "reference"
    amounts: tuple[tuple[str, float], ...] = ()
    keep_head_pose: bool | None = None

    def amount(self, region: str) -> float:
        """The factor for a region of `REGIONS`."""
        given = dict(self.amounts)
        return given.get(region, given.get(ALL, 1.0))

    def per_channel(self, rig: Rig) -> list[float]:
        """[D] the factor of every channel; 1 outside of the regions."""
        factors = [1.0] * rig.size
        for region in REGIONS:
            columns = list(rig.rotation_indices or ()) if region == "head" else []
            if region in rig.regions:
                columns += [int(column) for column in rig.indices(region)]
            for column in columns:
                factors[column] = self.amount(region)
        return factors

    def description(self) -> dict[str, Any]:
        """Plain data of what is not the default, for content keys."""
        plain = {"source": self.source, "amounts": dict(sorted(self.amounts)), "keep_head_pose": self.keep_head_pose}
        usual: dict[str, Any] = {"source": "reference", "amounts": {}, "keep_head_pose": None}
        return {name: value for name, value in plain.items() if value != usual[name]}

    def words(self) -> list[str]:
        """What is not the default in a few words each, for reports."""
        words = [] if self.source == "reference" else [f"performance {self.source}"]
        words += [f"performance x{amount:g}" + (f" {name}" if name != ALL else "") for name, amount in self.amounts]
        if self.keep_head_pose is not None:
            words.append("head pose kept" if self.keep_head_pose else "head pose taken out")
        return words


def parse_performance(text: str) -> Source:
    """One of `SOURCES`."""
    word = text.strip().lower()
    if word in NO:  # what YAML makes of `off`
        word = "off"
    for source in SOURCES:
        if word == source:
            return source
    raise MsmdError(f"performance {text[:40]!r} is not known", hint=did_you_mean(word, SOURCES))


def parse_keep(text: str) -> bool:
    """`true` or `false`."""
    word = text.strip().lower()
    if word not in (*YES, *NO):
        raise MsmdError(f"keep_head_pose {text[:40]!r} is not true or false")
    return word in YES


def parse_amounts(text: str) -> tuple[tuple[str, float], ...]:
    """`0.8`, or `head=0.5,brows=1.2`."""
    number = number_in(text)
    if number is not None:
        return checked_amounts({ALL: number})
    amounts = {}
    for part in text.split(","):
        name, mark, value = part.partition("=")
        factor = number_in(value.strip())
        if not mark or factor is None:
            raise MsmdError(
                f"performance_amount {part.strip()[:40]!r} is not REGION=FACTOR",
                hint="as in 0.8, or head=0.5,brows=1.2",
            )
        amounts[name.strip()] = factor
    return checked_amounts(amounts)


def checked_amounts(amounts: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Region -> factor as `PerformanceOptions` holds it.

    Raises:
        MsmdError: an unknown region, a factor outside 0 to `MAX_AMOUNT`.
    """
    for name, factor in amounts.items():
        if name not in (ALL, *REGIONS):
            raise MsmdError(
                f"performance_amount knows no region {name[:40]!r}", hint=did_you_mean(name, [ALL, *REGIONS])
            )
        if not 0 <= factor <= MAX_AMOUNT:
            raise MsmdError(
                f"performance_amount {factor:g} is not from 0 to {MAX_AMOUNT:g}", hint="1 is as much as the reference"
            )
    return tuple(sorted((name, float(factor)) for name, factor in amounts.items()))
