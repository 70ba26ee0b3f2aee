"""Options that several commands share, so that they are called and explained the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msmdcli.console import Console

if TYPE_CHECKING:
    from msmdcli.heads.mesh import MeshDecoder
    from msmdcli.model.sampling import Sampling
    from msmdcli.motion.motion import Motion

Json = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout; talk stays on stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Warnings and errors only.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or tensorrt. auto takes a usable GPU through CUDA.")]
BundleFolder = Annotated[Path | None, typer.Option(help="Folder of an exported model. (default: the one that ships)")]
StyleFolders = Annotated[
    list[Path] | None,
    typer.Option(
        help="A folder of style tags, before your own (`msmd styles add`) and those that ship. May be repeated.",
        metavar="DIR",
    ),
]
Head = Annotated[
    Path | None,
    typer.Option(help="Head to draw on (GLB with ARKit morph targets). (default: MSMD_HEAD, else the one that ships)"),
]
Rig = Annotated[str, typer.Option(help="Name of a rig, or its YAML file.")]

# What `msmd batch` and `msmd dub` take alike, as manifests do:
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
    typer.Option(help="draft (1 step) or standard (what the model recommends)."),
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
Performance = Annotated[
    str | None,
    typer.Option(
        help="Head, brows, eyes, cheeks: reference (the style's own movement, placed by rhythm), generated (the "
        "model's) or off. (default: reference)",
        metavar="SOURCE",
    ),
]
PerformanceAmount = Annotated[
    str | None,
    typer.Option(
        help="How much of that movement, 0 to 1.5: 0.8, or head=0.5,brows=1.2. (default: 1)", metavar="AMOUNT"
    ),
]
KeepHeadPose = Annotated[
    bool | None,
    typer.Option(
        "--keep-head-pose/--no-keep-head-pose",
        help="Keep a reference's mean yaw and roll of the head, which are the camera's. (default: of "
        "synthetic styles only)",
        show_default=False,
    ),
]
Blinks = Annotated[
    str | None, typer.Option(help="style, off, or a rate per minute such as 18. (default: style)", metavar="HOW")
]
SilenceGate = Annotated[
    str | None,
    typer.Option(help="on: the mouth rests in silence; or a level in dB such as -45. (default: on)", metavar="HOW"),
]
Smooth = Annotated[
    str | None, typer.Option(help="Light smoothing without lag, 0 to 1. (default: 0.2, of the mouth alone)")
]
MouthSize = Annotated[
    str | None,
    typer.Option(
        help="How large the mouth speaks: reference (as in the style's own clips) or generated (as the model makes "
        "it). (default: reference)",
        metavar="SOURCE",
    ),
]
ArticulationGain = Annotated[
    str | None,
    typer.Option(
        "--articulation",
        help="How far jaw and lips go: a gain such as 1.2, or jaw=1.2,lips=1.1. (default: 1)",
        metavar="GAIN",
    ),
]
Closures = Annotated[
    bool | None,
    typer.Option("--closures/--no-closures", help="Lips meet on m, b, p where they are heard. (default: they do)"),
]
GestureFolders = Annotated[
    list[Path] | None,
    typer.Option(help="A folder of gestures, before those that ship. May be repeated.", metavar="DIR"),
]
AsInBatch = Annotated[str | None, typer.Option(help="Style of lines that name none; as for `msmd batch`.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, say what would happen and how long, touch nothing.")
]


def console(json_lines: bool = False, verbose: bool = False, quiet: bool = False) -> Console:
    """Where the command talks."""
    return Console(json_lines, verbosity=1 if verbose else -1 if quiet else 0)


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


def drawing_head(head: Path | None, motion: Motion, talk: Console, needed: bool) -> MeshDecoder | None:
    """The head to draw on; where there is none that fits, a sentence, or the error if it is needed."""
    from msmdcli.errors import MsmdError
    from msmdcli.heads.loading import load_head
    from msmdcli.paths import find_head

    try:
        return load_head(find_head(head), motion.rig)
    except MsmdError as error:
        if needed or head is not None:
            raise
        talk.say(f"no picture was drawn: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        return None


def need_training() -> None:
    """Make the training code importable, or refuse, in one sentence, where PyTorch is not installed."""
    from importlib.util import find_spec

    from msmdcli.errors import UsageError, install_command
    from msmdcli.paths import add_training_to_path

    missing = [name for name in ("torch", "transformers", "accelerate", "onnx") if find_spec(name) is None]
    if missing:
        raise UsageError(f"this command needs {', '.join(missing)}", hint=install_command("cpu,train"))
    add_training_to_path()
