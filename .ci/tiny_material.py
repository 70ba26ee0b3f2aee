"""Write what a training of seconds needs: a made-up data set, a speech encoder of random weights, and the settings.

    python .ci/tiny_material.py OUT

OUT gets `data`, `whisper` and `tiny.yaml` (the preset `tiny` with that encoder). Needs PyTorch.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # the root too: `tests/msmdcli` alone would be taken for the package

from encoder_fixtures import save_tiny_whisper  # noqa: E402
from made_data import make_data  # noqa: E402


def main(out: Path) -> None:
    out.mkdir(parents=True)
    make_data(out / "data")
    save_tiny_whisper(out / "whisper")
    (out / "tiny.yaml").write_text(f"preset: tiny\naudio: {{path: {out / 'whisper'}}}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
