"""What is told of the processor, and what of it decides which kernels run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msmdcli.system import processor

CORE = """processor\t: 0
model name\t: Some CPU
cpu MHz\t\t: {mhz}
flags\t\t: {flags}
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], tuple[str, str]]]:
    """Name and kind of a processor of which the system says this."""

    def read(text: str) -> tuple[str, str]:
        (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
        monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
        processor._described.cache_clear()
        return processor.processor_name(), processor.processor_kind()

    yield read
    processor._described.cache_clear()


def test_instruction_sets_count_and_moods_do_not(told: Callable[[str], tuple[str, str]]) -> None:
    name, kind = told(CORE.format(mhz=2000, flags="sse avx2") + "\n" + CORE.format(mhz=1, flags="other core"))
    assert name == "Some CPU"
    assert told(CORE.format(mhz=3000, flags="avx2 sse")) == (name, kind)
    assert told(CORE.format(mhz=2000, flags="sse avx2 avx512f"))[1] != kind


def test_a_system_that_says_little_or_nothing(told: Callable[[str], tuple[str, str]]) -> None:
    for text in ("", "\n", "Features\t: fp asimd", "no colon here"):
        name, kind = told(text)
        assert name and name in kind
    assert told("Features\t: fp")[1] != told("Features\t: fp sve")[1]
