"""Manifests written as text, for tests: read, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from msmdcli.manifest.lines import Manifest, ManifestError
from msmdcli.manifest.loading import load_manifest
from msmdcli.motion.rig import Rig
from msmdcli.styles.field import StyleRef

RIG = Rig.load("arkit52")


def read(tmp_path: Path, text: str, name: str = "lines.yaml") -> Manifest:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_manifest(path, RIG)


def problems(tmp_path: Path, text: str, name: str = "lines.yaml") -> list[str]:
    with pytest.raises(ManifestError) as error:
        read(tmp_path, text, name)
    assert error.value.exit_code == 2
    return [problem.removeprefix(str(tmp_path) + "/") for problem in error.value.problems]


def lines(*entries: str) -> str:
    return "version: 1\nlines:\n" + "".join(f"  - {entry}\n" for entry in entries)


def names(mix: tuple[StyleRef, ...] | None) -> list[tuple[str, float]]:
    return [(ref.name, ref.weight) for ref in mix or ()]
