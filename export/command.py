"""What `msmd export-onnx` does, apart from reading its options."""

from __future__ import annotations

from pathlib import Path

from export.onnx_export import PRECISIONS, export_bundle
from export.parity import Parity
from msmdcli.console import Console
from msmdcli.errors import UsageError


def run_export(
    talk: Console,
    run: Path,
    *,
    out: Path | None,
    precision: str,
    name: str | None = None,
    which: str = "best",
    force: bool = False,
    steps: int | None = None,
    guidance_audio: float = 0.0,
    licence: str | None = None,
) -> list[Parity]:
    """Export a run to `out` (default: RUN/bundle) and tell the parity of each graph and of a whole line.

    Raises:
        MsmdError: as `export.onnx_export.export_bundle`.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision '{precision}'", hint=f"choose one of: {', '.join(PRECISIONS)}")
    if which not in ("best", "latest"):
        raise UsageError(f"unknown checkpoint '{which}'", hint="choose best or latest")
    folder = out or run / "bundle"
    parities = export_bundle(
        run,
        folder,
        name=name,
        precision=precision,
        which=which,
        force=force,
        steps=steps,
        guidance_audio=guidance_audio,
        licence={"weights": licence} if licence else None,
    )
    for parity in parities:
        talk.event("parity", graph=parity.name, absolute=parity.absolute, relative=parity.relative)
        talk.say(f"{parity.name:14s} largest difference {parity.absolute:.2e}, relative {parity.relative:.2e}")
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    talk.event("exported", bundle=str(folder), megabytes=round(size, 1))
    talk.say(f"Bundle: {folder} ({size:.1f} MB). Use it with: msmd batch MANIFEST --bundle {folder}")
    return parities
