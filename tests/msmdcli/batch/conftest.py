"""A project to run batches of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_project import Project


@pytest.fixture
def project(tmp_path: Path, stand_in_bundle: Path) -> Iterator[Project]:
    project = Project(tmp_path, stand_in_bundle)
    yield project
    for end in project.at_end:
        end()
