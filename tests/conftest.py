"""Fixtures that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from encoder_fixtures import tiny_hubert, tiny_whisper  # noqa: F401  (fixtures)
from stand_in import make_bundle


@pytest.fixture(scope="session")
def stand_in_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle with small random weights (see stand_in.py). Do not write into it."""
    return make_bundle(tmp_path_factory.mktemp("stand_in"))
