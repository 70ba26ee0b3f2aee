"""What `msmd export-onnx` does, apart from reading its options."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from export.onnx_export import Precision, export_bundle
from export.parity import Parity
from msmdcli.errors import UsageError


def run_export(
    run: Path,
    *,
    out: Path | None,
    precision: Precision,
    name: str | None = None,
    which: str = "best",
    force: bool = False,
    steps: int | None = None,
    licence: str | None = None,
    as_json: bool = False,
    quiet: bool = False,
) -> list[Parity]:
    """Export a run to `out` (default: RUN/bundle) and print the parity of each graph and of a whole line.

    Raises:
        MsmdError: as `export.onnx_export.export_bundle`.
    """
    if precision not in ("fp32", "fp16", "int8"):
        raise UsageError(f"unknown precision '{precision}'", hint="Choose fp32, fp16 or int8.")
    folder = out or run / "bundle"
    parities = export_bundle(
        run, folder, name=name, precision=precision, which=which, force=force, steps=steps, licence={"weights": licence} if licence else None
    )
    for parity in parities:
        if as_json:
            print(json.dumps({"event": "parity", "graph": parity.name, "absolute": parity.absolute, "relative": parity.relative}), flush=True)
        if not quiet:
            print(f"{parity.name:14s} largest difference {parity.absolute:.2e}, relative {parity.relative:.2e}", file=sys.stderr)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    if as_json:
        print(json.dumps({"event": "done", "bundle": str(folder), "megabytes": round(size, 1)}), flush=True)
    if not quiet:
        print(f"Bundle: {folder} ({size:.1f} MB). Use it with: msmd batch MANIFEST --bundle {folder}", file=sys.stderr)
    return parities
