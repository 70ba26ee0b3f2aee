"""The choices that can be made on the command line for all lines: style, formats, fps, seed, some of the controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from msmdcli.controls.articulation import parse_articulation, parse_mouth_size
from msmdcli.controls.blinks import parse_blinks
from msmdcli.controls.head import parse_head
from msmdcli.controls.performance import parse_amounts, parse_performance
from msmdcli.controls.silence_gate import parse_gate
from msmdcli.controls.smoothing import parse_smooth
from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import get_format
from msmdcli.manifest.format_options import parse_format_options
from msmdcli.manifest.lines import Choices
from msmdcli.manifest.takes import parse_takes
from msmdcli.model.guidance import parse_interval
from msmdcli.motion.motion import parse_fps
from msmdcli.styles.field import NO_STYLE, StyleMix, StyleRef

T = TypeVar("T")


def parse_choices(
    style: str | None = None,
    formats: str | None = None,
    fps: str | None = None,
    seed: int | None = None,
    guidance_audio: float | None = None,
    guidance_style: float | None = None,
    sampler: str | None = None,
    steps: int | None = None,
    quality: str | None = None,
    guidance_interval: str | None = None,
    guidance_rescale: float | None = None,
    performance: str | None = None,
    performance_amount: str | None = None,
    keep_head_pose: bool | None = None,
    head_motion: str | None = None,
    blinks: str | None = None,
    silence_gate: str | None = None,
    smooth: str | None = None,
    takes: str | None = None,
    option: Sequence[str] = (),
    reduce_keys: str | None = None,
    pre_roll: str | None = None,
    post_roll: str | None = None,
    mouth_size: str | None = None,
    articulation: str | None = None,
    closures: bool | None = None,
    here: Path | None = None,
) -> Choices:
    """The options as they were typed, checked. Paths are relative to `here`, by default the current folder."""
    return Choices(
        style=None if style is None else parse_style(style, here),
        formats=None if formats is None else parse_formats(formats),
        format_options=parse_format_options(
            option, {"reduce_keys": reduce_keys, "pre_roll": pre_roll, "post_roll": post_roll}, here
        ),
        fps=_parsed("--fps", fps, parse_fps),
        seed=seed,
        guidance_audio=guidance_audio,
        guidance_style=guidance_style,
        sampler=sampler,
        steps=steps,
        quality=quality,
        guidance_interval=_parsed("--guidance-interval", guidance_interval, parse_interval),
        guidance_rescale=guidance_rescale,
        performance=_parsed("--performance", performance, parse_performance),
        performance_amount=_parsed("--performance-amount", performance_amount, parse_amounts),
        keep_head_pose=keep_head_pose,
        head=_parsed("--head-motion", head_motion, parse_head),
        blinks=_parsed("--blinks", blinks, parse_blinks),
        silence_gate=_parsed("--silence-gate", silence_gate, parse_gate),
        smooth=_parsed("--smooth", smooth, parse_smooth),
        mouth_size=_parsed("--mouth-size", mouth_size, parse_mouth_size),
        articulation=_parsed("--articulation", articulation, parse_articulation),
        closures=closures,
        takes=_parsed("--takes", takes, parse_takes),
    )


def parse_style(text: str, here: Path | None = None) -> StyleMix:
    """`angry`, `takes/take3.npz`, `none`, or a mix: `angry=0.7,takes/take3.npz=0.3`."""
    here = here or Path.cwd()
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and "=" not in text:
        return (_ref(text, here, 1.0),)
    refs = []
    for part in parts:
        name, _, weight = part.rpartition("=")
        try:
            share = float(weight) if name else -1.0
        except ValueError:
            share = -1.0
        if not name or not 0 <= share < 1e6:
            raise UsageError(f"--style {text}: {part!r} is not NAME=WEIGHT", hint="as in --style angry=0.7,sad=0.3")
        if share > 0:
            refs.append(_ref(name.strip(), here, share))
    if not refs:
        raise UsageError(f"--style {text}: all weights are 0", hint="--style none is no style")
    return tuple(refs)


def parse_formats(text: str) -> tuple[str, ...]:
    """Names of formats, with commas."""
    names = [get_format(name.strip()).name for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--formats names no format", hint="as in --formats livelink-csv,npz")
    return tuple(dict.fromkeys(names))


def _parsed(option: str, text: str | None, parse: Callable[[str], T]) -> T | None:
    """An option in the words of a manifest's key."""
    try:
        return None if text is None else parse(text)
    except MsmdError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from None


def _ref(name: str, base: Path, weight: float) -> StyleRef:
    if not name:
        raise UsageError("--style is empty", hint="give a tag, a motion file, or none")
    return StyleRef(NO_STYLE if name.lower() == NO_STYLE else name, base, weight)
