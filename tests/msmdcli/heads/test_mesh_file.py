"""A head is read once; what is kept of it is exact, and not believed when it is damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError, UsageError
from msmdcli.heads import gltf_head
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.paths import find_head


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MSMD_HEAD_CACHE", "100MB")
    return tmp_path / "cache" / "heads"


def same(first: MeshDecoder, second: MeshDecoder) -> bool:
    return (
        first.channels == second.channels
        and bool((first.neutral == second.neutral).all() and (first.deltas == second.deltas).all())
        and all(
            (one.name, one.colour, one.vertices) == (two.name, two.colour, two.vertices)
            and np.array_equal(one.triangles, two.triangles)
            for one, two in zip(first.parts, second.parts, strict=True)
        )
    )


def test_the_second_time_it_comes_from_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_head(find_head())
    (kept,) = cache.iterdir()

    def again(path: Path) -> None:
        raise AssertionError(f"{path} was read again")

    with monkeypatch.context() as patch:
        patch.setattr(gltf_head, "read_gltf", again)
        assert same(first, load_head(find_head()))
        kept.write_bytes(kept.read_bytes()[:-5] + b"12345")
        with pytest.raises(AssertionError, match="read again"):
            load_head(find_head())
    assert same(first, load_head(find_head()))


def test_a_head_that_has_changed_is_another_one(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "head.glb"
    shutil.copy(find_head(), path)
    load_head(path)
    path.write_bytes(b"glTF no more")
    with pytest.raises(MsmdError, match=r"head\.glb"):
        load_head(path)


def test_off_keeps_nothing_and_nonsense_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMD_HEAD_CACHE", "off")
    load_head(find_head())
    assert not cache.exists()
    monkeypatch.setenv("MSMD_HEAD_CACHE", "much")
    with pytest.raises(UsageError, match="MSMD_HEAD_CACHE=much"):
        load_head(find_head())
