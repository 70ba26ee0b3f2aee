"""Fixtures that several tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from encoder_fixtures import tiny_hubert, tiny_whisper  # noqa: F401  (fixtures)
from hypothesis import HealthCheck, settings
from stand_in import make_bundle

# Drawn examples are the same in every run, and no machine is too slow to draw or to try them.
settings.register_profile("anywhere", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anywhere")


@pytest.fixture(scope="session")
def stand_in_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle with small random weights (see stand_in.py). Do not write into it."""
    return make_bundle(tmp_path_factory.mktemp("stand_in"))


@pytest.fixture(scope="session", autouse=True)
def no_own_styles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tags of whoever runs the tests are not looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSMD_STYLES", str(tmp_path_factory.mktemp("own") / "styles"))
        patch.setenv("MSMD_FEATURE_CACHE", "off")  # nor is anything left in their cache
        patch.setenv("MSMD_GRAPH_CACHE", "off")
        patch.setenv("MSMD_HEAD_CACHE", "off")
        yield
