"""How the reverse process is solved: sampler, steps and guidance, as asked for and as the bundle recommends.

`--quality` is sampler and steps in one word. What they are worth: benchmarks/sampling_steps.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from msmdcli.errors import UsageError
from msmdcli.model.bundle import Bundle
from msmdcli.model.guidance import WHOLE, Interval, check_interval
from msmdcli.model.samplers import make_sampler

MAX_GUIDANCE = 10.0
MAX_STEPS = 1000


@dataclass(frozen=True)
class Sampling:
    """How the reverse process is solved. None: what the bundle recommends.

    Attributes:
        sampler: ``ddpm``, ``ddim`` or ``dpmpp-2m``.
        steps: network evaluations per window.
        guidance_audio, guidance_style: lambda of eq. 6; a branch whose scale is 0 is not computed.
        guidance_interval: the shares of the noise between which there is guidance; elsewhere no branch is computed.
        guidance_rescale: 0 to 1, how far what guidance gives is brought back to the spread of the prediction without.
    """

    sampler: str | None = None
    steps: int | None = None
    guidance_audio: float | None = None
    guidance_style: float | None = None
    guidance_interval: Interval | None = None
    guidance_rescale: float | None = None

    @property
    def guided(self) -> bool:
        """Whether there is any guidance."""
        return bool(self.guidance_audio or self.guidance_style)

    def description(self) -> dict[str, Any]:
        """For reports and for the keys of lines: an option that has no effect is not in it."""
        described = asdict(self)
        if not self.guided or self.guidance_interval in (None, WHOLE):
            del described["guidance_interval"]
        if not self.guided or not self.guidance_rescale:
            del described["guidance_rescale"]
        return described

    def over(self, base: Sampling) -> Sampling:
        """The same, and where it leaves something open `base`. Steps go with their sampler."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if self.sampler not in (None, base.sampler) and self.steps is None:
            given["steps"] = None
        return replace(base, **given)

    @property
    def process(self) -> tuple[Any, ...]:
        """What the windows that are solved in the same calls have to have in common."""
        return self.sampler, self.steps, self.guidance_interval, self.guidance_rescale

    def resolve(self, bundle: Bundle) -> Sampling:
        """With the bundle's recommendations in place of None. Its number of steps goes with its sampler only."""
        defaults = bundle.defaults
        recommended = defaults.get("sampler", "dpmpp-2m")
        name = self.sampler or recommended
        steps = self.steps if self.steps is not None else defaults.get("steps") if name == recommended else None
        solver = make_sampler(name, bundle.schedule, steps)  # refuses unknown names and numbers
        guidance = defaults.get("guidance") or {}
        scales = []
        for what, given in (("audio", self.guidance_audio), ("style", self.guidance_style)):
            scale = float(guidance.get(what, 0.0) if given is None else given)
            if not 0 <= scale <= MAX_GUIDANCE:
                raise UsageError(f"guidance scale {scale} for {what}", hint="give 0 (off) to 10; 0.5 to 1 is usual")
            scales.append(scale)
        interval = check_interval(self.guidance_interval or guidance.get("interval", WHOLE))
        rescale = float(guidance.get("rescale", 0.0) if self.guidance_rescale is None else self.guidance_rescale)
        if not 0 <= rescale <= 1:
            raise UsageError(f"guidance rescale {rescale:g}", hint="give 0 (off) to 1; 0.7 is usual")
        return Sampling(name, len(solver.timesteps), scales[0], scales[1], interval, rescale)


@dataclass(frozen=True)
class Quality:
    """A sampler and its steps; None is what the bundle recommends."""

    sampler: str | None
    steps: int | None


QUALITIES = {
    "draft": Quality("dpmpp-2m", 1),  # one evaluation of the network: the mean of what could be said
    "standard": Quality(None, None),
}


def apply_quality(quality: str | None, sampler: str | None, steps: int | None) -> Quality:
    """The sampler and steps that were asked for, by a word or one by one.

    Raises:
        UsageError: an unknown word, or a word together with a sampler or steps.
    """
    if quality is None:
        return Quality(sampler, steps)
    if quality not in QUALITIES:
        raise UsageError(f"quality {quality!r} is not known", hint=f"choose one of: {', '.join(QUALITIES)}")
    if sampler is not None or steps is not None:
        raise UsageError("--quality chooses sampler and steps", hint="give --quality, or --sampler and --steps")
    return QUALITIES[quality]
