"""Options that animate: `msmd batch` and `msmd dub` take them alike, as manifests do (`msmdcli.manifest`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from msmdcli.model.sampling import Sampling

Out = Annotated[Path, typer.Option(help="Folder for outputs, report and ledger.")]
Formats = Annotated[
    str | None,
    typer.Option(
        help="Output formats, with commas: livelink-csv, npz, glb, ... (`msmd convert --formats`). "
        "(default: livelink-csv)"
    ),
]
FormatOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        help="An option of a format, such as glb.head=hero.glb; `msmd convert --formats` lists them. Can be given "
        "several times.",
        metavar="FORMAT.NAME=VALUE",
    ),
]
ReduceKeys = Annotated[
    str | None,
    typer.Option(
        help="Keep the fewest linear keys within this tolerance, in formats that can leave keys out.",
        metavar="TOLERANCE",
    ),
]
PreRoll = Annotated[str | None, typer.Option(help="Seconds to put before each line.", metavar="SECONDS")]
PostRoll = Annotated[str | None, typer.Option(help="Seconds to put after each line.", metavar="SECONDS")]
Fps = Annotated[
    str | None, typer.Option(help="Frame rate of the outputs: 30, 29.97, 30000/1001. (default: the model's)")
]
Seed = Annotated[int | None, typer.Option(help="Another seed is another take. (default: 0)", min=0)]
Sampler = Annotated[str | None, typer.Option(help="ddpm, ddim or dpmpp-2m. (default: what the model recommends)")]
Steps = Annotated[int | None, typer.Option(help="Network evaluations per window: speed against accuracy.")]
Quality = Annotated[
    str | None,
    typer.Option(help="draft (1 step), standard (what the model recommends) or reference (all steps of ddpm)."),
]
GuidanceAudio = Annotated[
    float | None, typer.Option(help="Guidance scale of the sound; 0 is off and fastest.", metavar="X")
]
GuidanceStyle = Annotated[
    float | None, typer.Option(help="Guidance scale of the style; 0 is off and fastest.", metavar="X")
]
GuidanceInterval = Annotated[
    str | None,
    typer.Option(help="Guide between these shares of the noise only, such as 0.2-0.8.", metavar="LOW-HIGH"),
]
GuidanceRescale = Annotated[
    float | None,
    typer.Option(help="Bring guided motion back to the spread of the unguided, 0 (off) to 1.", metavar="X"),
]
Blinks = Annotated[
    str | None, typer.Option(help="style, off, or a rate per minute such as 18. (default: style)", metavar="HOW")
]
SilenceGate = Annotated[
    str | None,
    typer.Option(help="on: the mouth rests in silence; or a level in dB such as -45. (default: off)", metavar="HOW"),
]
Smooth = Annotated[str | None, typer.Option(help="Light smoothing without lag, 0 to 1. (default: 0)")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, say what would happen and how long, touch nothing.")
]


def asked_sampling(
    quality: str | None,
    sampler: str | None,
    steps: int | None,
    guidance_audio: float | None,
    guidance_style: float | None,
    guidance_interval: str | None,
    guidance_rescale: float | None,
) -> Sampling:
    """The sampling that these options ask for.

    Raises:
        UsageError: a quality or an interval is not known, or a quality comes with a sampler or steps.
    """
    from msmdcli.model.guidance import parse_interval
    from msmdcli.model.sampling import Sampling, apply_quality

    chosen = apply_quality(quality, sampler, steps)
    interval = None if guidance_interval is None else parse_interval(guidance_interval)
    return Sampling(chosen.sampler, chosen.steps, guidance_audio, guidance_style, interval, guidance_rescale)
