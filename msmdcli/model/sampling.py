"""`--quality`: sampler and steps in one word. What they are worth: benchmarks/sampling_steps.md."""

from __future__ import annotations

from dataclasses import dataclass

from msmdcli.errors import UsageError


@dataclass(frozen=True)
class Quality:
    """A sampler and its steps; None is what the bundle recommends."""

    sampler: str | None
    steps: int | None


QUALITIES = {
    "draft": Quality("dpmpp-2m", 1),  # one evaluation of the network: the mean of what could be said
    "standard": Quality(None, None),
    "reference": Quality("ddpm", None),  # every diffusion step, what the paper does
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
