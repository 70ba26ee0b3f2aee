"""Interrupts that come at bad moments."""

from __future__ import annotations

import signal

import pytest

from msmdcli.system.interrupts import Interrupts


def interrupt() -> None:
    signal.raise_signal(
        signal.SIGTERM
    )  # in this thread, at once; SIGINT may be ignored, where tests run in the background


def test_an_interrupt_is_raised_and_remembered() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        assert interrupts.came
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_what_belongs_together_happens_whole() -> None:
    done = []
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            with interrupts.held():
                done.append("first")
                interrupt()
                done.append("second")
            done.append("never")
        with pytest.raises(KeyboardInterrupt):  # at once again
            interrupt()
    assert done == ["first", "second"]


def test_an_error_inside_wins_over_the_interrupt() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(ValueError, match="mine"), interrupts.held():
            interrupt()
            raise ValueError("mine")
        assert interrupts.came


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
