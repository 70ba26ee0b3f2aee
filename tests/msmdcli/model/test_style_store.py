"""Stored style codes: the same bytes as without, and nothing that another reference, model or machine made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.model import stores
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.stores import MOST_STYLE_BYTES, StyleStore, style_key
from msmdcli.model.style_codes import StyleCode
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig


@pytest.fixture(scope="module")
def bundle(stand_in_bundle: Path) -> Bundle:
    return Bundle.load(stand_in_bundle)


def clip(bundle: Bundle, seed: int = 0, fps: str = "60") -> Motion:
    values = np.random.default_rng(seed).uniform(0, 0.5, (200, bundle.rig.size)).astype(np.float32)
    return Motion(values, fps, bundle.rig)  # type: ignore[arg-type]


def content(style: StyleCode) -> tuple[bytes, bytes, bytes, str]:
    assert style.rest is not None
    return style.code.tobytes(), style.anchor.tobytes(), style.rest.tobytes(), style.key


class Counted(Engine):
    """Counts the references that it really encodes."""

    calls = 0

    def __init__(self, bundle: Bundle, device: str, threads: int) -> None:
        super().__init__(bundle, device, threads)
        encode_clips = self.style_encoder.encode_clips

        def counted(clips: Sequence[Motion]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            self.calls += 1
            return encode_clips(clips)

        self.style_encoder.encode_clips = counted  # type: ignore[method-assign]


def test_bytes_are_the_same_with_and_without(bundle: Bundle, tmp_path: Path) -> None:
    for reference in (clip(bundle), [clip(bundle, 1), clip(bundle, 2, "30")]):
        engine = Counted(bundle, "cpu", 1)
        store = StyleStore(tmp_path, 10**6)
        without, first, later = (content(engine.encode_style(reference, s)) for s in (None, store, store))
        assert without == first == later and engine.calls == 2
    assert store.size()[0] == 2


def test_a_known_style_needs_no_style_encoder(bundle: Bundle, tmp_path: Path) -> None:
    expected = content(Engine(bundle, "cpu", 1).encode_style(clip(bundle), StyleStore(tmp_path, 10**6)))
    engine = Engine(bundle, "cpu", 1)
    engine.load()
    assert content(engine.encode_style(clip(bundle), StyleStore(tmp_path, 10**6))) == expected
    assert "style_encoder" not in vars(engine.graphs)


def test_damage_is_noticed_and_mended(bundle: Bundle, tmp_path: Path) -> None:
    engine = Counted(bundle, "cpu", 1)
    expected = content(engine.encode_style(clip(bundle), StyleStore(tmp_path, 10**6)))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for number, harmed in enumerate((whole[:-4], b"", whole[:9] + bytes([whole[9] ^ 1]) + whole[10:]), 2):
        path.write_bytes(harmed)
        for _ in range(2):
            assert content(engine.encode_style(clip(bundle), StyleStore(tmp_path, 10**6))) == expected
        assert engine.calls == number and path.read_bytes() == whole


def test_it_is_switched_off_with_the_audio_features(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wish, limit in (("off", 0), ("20GB", MOST_STYLE_BYTES), ("1MB", 10**6)):
        monkeypatch.setenv("MSMD_FEATURE_CACHE", wish)
        assert StyleStore(tmp_path).limit == limit
    monkeypatch.setenv("MSMD_FEATURE_CACHE", "off")
    Engine(bundle, "cpu", 1).encode_style(clip(bundle), StyleStore(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_key_tells_what_decides_a_code(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = clip(bundle, 0), clip(bundle, 1)
    again = Motion(one.values.copy(), one.fps, one.rig, {"source": "another file"})
    key = style_key([one], bundle, 60, "cpu", "1.0")
    assert style_key([again], bundle, 60, "cpu", "1.0") == key
    keys = [
        key,
        style_key([other], bundle, 60, "cpu", "1.0"),
        style_key([one, one], bundle, 60, "cpu", "1.0"),
        style_key([one, other], bundle, 60, "cpu", "1.0"),
        style_key([other, one], bundle, 60, "cpu", "1.0"),
        style_key([dataclasses.replace(one, fps="59")], bundle, 60, "cpu", "1.0"),  # type: ignore[arg-type]
        style_key([one], dataclasses.replace(bundle, sha256="another"), 60, "cpu", "1.0"),
        style_key([one], bundle, 30, "cpu", "1.0"),
        style_key([one], bundle, 60, "cuda", "1.0"),
        style_key([one], bundle, 60, "cpu", "1.1"),
    ]
    monkeypatch.setattr(stores, "processor_kind", lambda: "another")
    keys.append(style_key([one], bundle, 60, "cpu", "1.0"))
    assert len(set(keys)) == len(keys)


def test_a_reference_that_cannot_be_encoded_is_never_kept(bundle: Bundle, tmp_path: Path) -> None:
    rig = Rig.load("arkit52")
    turned = dataclasses.replace(rig, channels=(*rig.channels[1:], rig.channels[0]))
    good = clip(bundle)
    store = StyleStore(tmp_path, 10**6)
    Engine(bundle, "cpu", 1).encode_style(good, store)
    with pytest.raises(MsmdError, match="on rig"):
        Engine(bundle, "cpu", 1).encode_style(Motion(good.values, good.fps, turned), store)
    assert store.size()[0] == 1
