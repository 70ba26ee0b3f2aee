"""`msmd batch`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from msmdcli.commands.options import (
    ArticulationGain,
    Blinks,
    BundleFolder,
    Closures,
    Device,
    DryRun,
    FormatOptions,
    Formats,
    Fps,
    GestureFolders,
    GuidanceAudio,
    GuidanceInterval,
    GuidanceRescale,
    GuidanceStyle,
    Json,
    KeepHeadPose,
    MouthSize,
    Out,
    Performance,
    PerformanceAmount,
    PostRoll,
    PreRoll,
    Quality,
    Quiet,
    ReduceKeys,
    Sampler,
    Seed,
    SilenceGate,
    Smooth,
    Steps,
    StyleFolders,
    Verbose,
    asked_sampling,
    console,
)
from msmdcli.console import reports_errors


@reports_errors
def batch(
    manifest: Annotated[
        Path, typer.Argument(help="A manifest (YAML, JSON, CSV), a folder of recordings, or one recording.")
    ],
    style: Annotated[
        str | None,
        typer.Option(
            help="Style of all lines that name none themselves: a tag, a take (video, npz, Live Link CSV), none, or a "
            "mix such as angry=0.7,sad=0.3. A line's own style wins; this wins over every `defaults`.",
        ),
    ] = None,
    out: Out = Path("out"),
    formats: Formats = None,
    option: FormatOptions = None,
    reduce_keys: ReduceKeys = None,
    pre_roll: PreRoll = None,
    post_roll: PostRoll = None,
    fps: Fps = None,
    seed: Seed = None,
    sampler: Sampler = None,
    steps: Steps = None,
    quality: Quality = None,
    guidance_audio: GuidanceAudio = None,
    guidance_style: GuidanceStyle = None,
    guidance_interval: GuidanceInterval = None,
    guidance_rescale: GuidanceRescale = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Workers. Each loads the model; the cores are divided among them. "
            "(default: 1; with --engine ray as many as the cluster has cores for)",
            min=1,
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads per worker. 0: its share of the cores (Ray: one).", min=0)] = 0,
    batch_size: Annotated[
        int | None, typer.Option(help="Windows computed at once. Lower it where memory is short.", min=1)
    ] = None,
    device: Device = "auto",
    bundle: BundleFolder = None,
    styles: StyleFolders = None,
    performance: Performance = None,
    performance_amount: PerformanceAmount = None,
    keep_head_pose: KeepHeadPose = None,
    head_motion: Annotated[
        str | None, typer.Option(help="generated, off, or a factor such as 0.5. (default: generated)", metavar="HOW")
    ] = None,
    blinks: Blinks = None,
    silence_gate: SilenceGate = None,
    smooth: Smooth = None,
    mouth_size: MouthSize = None,
    articulation: ArticulationGain = None,
    closures: Closures = None,
    takes: Annotated[
        str | None, typer.Option(help="Variants of each line with different seeds: ID_take1, ... (default: 1)")
    ] = None,
    gestures: GestureFolders = None,
    engine: Annotated[str, typer.Option(help="Who computes: local (this machine) or ray (a cluster).")] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="With --engine ray: HOST:6379 on a node of the cluster, ray://HOST:10001 from outside. "
            "(default: RAY_ADDRESS, else this machine)",
            metavar="ADDRESS",
        ),
    ] = None,
    dry_run: DryRun = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Make this line only; `quest/*` is all below quest/. May be repeated.", metavar="ID"),
    ] = None,
    redo: Annotated[
        Path | None,
        typer.Option(help="Make the lines again that this file names, as it says: the review page writes it."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Make unchanged and approved lines again, and overwrite files edited by hand."),
    ] = False,
    beside: Annotated[
        bool, typer.Option("--beside", help="Where a file was edited by hand, write ours next to it: ID.new.csv.")
    ] = False,
    check_delivery: Annotated[
        bool, typer.Option("--check-delivery", help="Warn where a voice is much livelier or calmer than its style.")
    ] = False,
    json_lines: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Animate voice lines.

    \b
    Examples:
      msmd batch lines.yaml --style angry
      msmd batch recordings/ --formats livelink-csv,npz --fps 30 --jobs 4
      msmd batch lines.yaml --head-motion off --blinks 18 --silence-gate on --takes 3
      msmd batch lines.yaml --formats glb,maya --option glb.head=hero.glb --reduce-keys 0.005
      msmd batch lines.yaml --dry-run
      msmd batch lines.yaml --engine ray --ray-address head:6379

    Unchanged lines are skipped. Exit code: 0 all well, 1 some lines failed, 2 wrong usage or manifest, 130 interrupted.
    """
    from msmdcli.batch.planned import BatchOptions
    from msmdcli.batch.run import run_batch
    from msmdcli.manifest.command_line import parse_choices

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a farm sends before it kills
    asked: dict[str, Any] = {
        "style": style,
        "formats": formats,
        "fps": fps,
        "seed": seed,
        "guidance_audio": guidance_audio,
        "guidance_style": guidance_style,
        "performance": performance,
        "performance_amount": performance_amount,
        "keep_head_pose": keep_head_pose,
        "head_motion": head_motion,
        "blinks": blinks,
        "silence_gate": silence_gate,
        "smooth": smooth,
        "takes": takes,
        "option": option or (),
        "reduce_keys": reduce_keys,
        "pre_roll": pre_roll,
        "post_roll": post_roll,
        "sampler": sampler,
        "steps": steps,
        "quality": quality,
        "guidance_interval": guidance_interval,
        "guidance_rescale": guidance_rescale,
        "mouth_size": mouth_size,
        "articulation": articulation,
        "closures": closures,
    }
    options = BatchOptions(
        manifest=manifest,
        out=out,
        engine=engine,
        ray_address=ray_address,
        beside=beside,
        check_delivery=check_delivery,
        choices=parse_choices(**asked),
        asked=asked,
        sampling=asked_sampling(
            quality, sampler, steps, guidance_audio, guidance_style, guidance_interval, guidance_rescale
        ),
        jobs=jobs,
        threads=threads,
        batch_size=batch_size,
        device=device,
        bundle=bundle,
        styles=tuple(styles or ()),
        gestures=tuple(gestures or ()),
        dry_run=dry_run,
        force=force,
        only=tuple(only or ()),
        redo=redo,
    )
    raise typer.Exit(run_batch(options, console(json_lines, verbose, quiet)))
