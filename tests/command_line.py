"""Commands as a user types them, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def msmd(*arguments: str | Path, cwd: Path, blocked: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; importing a blocked package there is an error."""
    program = (
        "import sys\n"
        + "".join(f"sys.modules[{name!r}] = None\n" for name in blocked)
        + "from msmdcli.cli import main; main()"
    )
    environment = {**os.environ, "MSMD_CACHE": str(cwd / "cache"), "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True
    )
