"""When each row of a Live Link Face CSV is, from its timecode, and the frame rate that the rows were meant to have.

**Timecode** `HH:MM:SS:FF.sss`. The app writes FF.sss as sixtieths of a second *whatever the frame rate*: a 30 fps take
in steps of 2, and Unreal's importer divides by 60. Other programs count FF in their own rate, so how far FF counts is
taken from where it rolls over (60 if it never does). What `.sss` is differs, too:

    fraction       of FF, in thousandths: the app's
    milliseconds   of the second; FF then only says the same again, rounded down
    counter        the number of the row, which says nothing of time

The first of these under which time runs on is taken. `HH:MM:SS;FF` is drop-frame timecode (SMPTE ST 12-1): at 30 frames
a second the labels 0 and 1 of each minute are left out but for every tenth, at 60 the labels 0 to 3.

**Rate.** The usual one (24, 25, 30, ... or n * 1000/1001) under which every row lies at its own time, to the last digit
of its timecode; else the measured one, to 1/1000: the frames of a "60 fps" recording of the app are really some 59.904
a second. A row's frame follows from its absolute time, so that what a timecode is off by never adds up. A rate that
disagrees with the number of rows in a whole second is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from statistics import median

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import NTSC

TIMECODE_RATE = 60  # what FF counts to
TICKS = 1000  # of a frame of timecode: its three decimals
USUAL_RATES = tuple(Fraction(n) for n in (24, 25, 30, 48, 50, 60, 72, 90, 100, 120)) + tuple(
    n * NTSC for n in (24, 30, 48, 60, 120)
)
DAY = 24 * 3600
SHORTEST_STEP = Fraction(1, 2)  # of the usual step: what is shorter is no way to read a timecode
ROWS_OFF = Fraction(1, 10)  # of the rate, by which the rows in a second may differ from it
HINT = "give the frame rate (option fps) to read the rows without their timecode"


@dataclass(frozen=True)
class Timecode:
    """A label.

    Attributes:
        second: of the day.
        frame: FF.
        sub: .sss, as a fraction of 1.
        digits: how many decimals .sss has.
        drops: whether it is drop-frame timecode.
    """

    second: int
    frame: int
    sub: Fraction = Fraction(0)
    digits: int = 0
    drops: bool = False


@dataclass(frozen=True)
class Clock:
    """The frame rate of a recording, and the frame that each of its rows is: [n] int64, ascending from 0."""

    fps: Fraction
    frames: np.ndarray

    @staticmethod
    def of_rate(rows: int, fps: Fraction) -> Clock:
        """Row i is frame i."""
        return Clock(fps, np.arange(rows))


def timecode_text(frames: Fraction) -> str:
    """HH:MM:SS:FF.sss of a time in sixtieths of a second."""
    ticks = floor(frames * TICKS + Fraction(1, 2)) % (DAY * TIMECODE_RATE * TICKS)
    seconds, ticks = divmod(ticks, TIMECODE_RATE * TICKS)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    frame, sub = divmod(ticks, TICKS)
    return f"{hour:02d}:{minute:02d}:{second:02d}:{frame:02d}.{sub:03d}"


def parse_timecode(text: str) -> Timecode | None:
    """The label in a text, or None."""
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2}):(\d{1,2})([:;])(\d{1,3})(?:[.,](\d{1,9}))?", text.strip())
    if not found:
        return None
    hour, minute, second = (int(part) for part in found.groups()[:3])
    if hour >= 24 or minute >= 60 or second >= 60:
        return None
    decimals = found[6] or ""
    sub = Fraction(int(decimals), 10 ** len(decimals)) if decimals else Fraction(0)
    return Timecode((hour * 60 + minute) * 60 + second, int(found[5]), sub, len(decimals), found[4] == ";")


def read_clock(path: Path, lines: Sequence[int], texts: Sequence[str]) -> Clock:
    """Frame rate and frames of rows from their timecodes; how is told in the module's docstring.

    Args:
        path: the file, for messages.
        lines: the line of each row in it.
        texts: the timecode of each row.

    Raises:
        MsmdError: a timecode that is none, stands still or runs backwards; a rate that the rows contradict.
    """
    codes: list[Timecode] = []
    for line, text in zip(lines, texts, strict=True):
        code = parse_timecode(text)
        if code is None:
            raise MsmdError(f"{path}, line {line}: timecode {text!r} does not have the form HH:MM:SS:FF.sss", hint=HINT)
        codes.append(code)
    if len(codes) == 1:
        return Clock.of_rate(1, Fraction(TIMECODE_RATE))
    rate = _timecode_rate(codes)
    times, off = _seconds(path, lines, codes, rate)
    clock = _clock(times, off)
    _check_rows_per_second(path, times, clock)
    return clock


def nominal_fps(fps: Fraction) -> Fraction:
    """The rate that a measured one stands for: itself if it is a usual one, else the nearest usual whole number."""
    whole = [usual for usual in USUAL_RATES if usual.denominator == 1]
    return fps if fps in USUAL_RATES else min(whole, key=lambda usual: abs(usual - fps))


def _timecode_rate(codes: Sequence[Timecode]) -> int:
    """How far FF counts: at a change of second it jumps back by this, less one step."""
    frames = [code.frame + code.sub for code in codes]
    pairs = list(zip(codes, frames, strict=True))
    steps = [fb - fa for (a, fa), (b, fb) in pairwise(pairs) if a.second == b.second]
    jumps = [fa - fb for (a, fa), (b, fb) in pairwise(pairs) if b.second - a.second == 1]
    highest = max(code.frame for code in codes) + 1
    if not steps or not jumps:
        return max(TIMECODE_RATE, highest)
    return max(round(median(jumps) + median(steps)), highest)


def _seconds(path: Path, lines: Sequence[int], codes: Sequence[Timecode], rate: int) -> tuple[list[Fraction], Fraction]:
    """The time of each row in seconds, and what a time may be off by."""
    tick = Fraction(1, TICKS * rate)
    ways: list[tuple[Callable[[Timecode], Fraction], Fraction]] = [(lambda code: (code.frame + code.sub) / rate, tick)]
    if _are_milliseconds(codes):
        ways.append((lambda code: code.sub, Fraction(1, TICKS)))
    if _is_counter(codes):
        ways.append((lambda code: Fraction(code.frame, rate), tick))
        if rate != TIMECODE_RATE:  # at 60, a counter and 59.94 fps write the same, up to row 1000
            ways.reverse()
    fine = None
    for within, off in ways:
        times = _unrolled([_real(code, rate, within(code)) for code in codes])
        steps = [after - before for before, after in pairwise(times)]
        if fine is None or min(steps) >= SHORTEST_STEP * median(steps):
            fine = times, off
            if min(steps) >= SHORTEST_STEP * median(steps):
                break
    assert fine is not None
    for line, (before, after) in zip(lines[1:], pairwise(fine[0]), strict=True):
        if after <= before:
            how = "stands still" if after == before else "runs backwards"
            raise MsmdError(f"{path}, line {line}: the timecode {how}", hint=HINT)
    return fine


def _real(code: Timecode, rate: int, within: Fraction) -> Fraction:
    """The time of a label in seconds, `within` its second: labels that drop-frame timecode leaves out never were."""
    if not code.drops:
        return code.second + within
    minutes = code.second // 60
    dropped = 2 * max(1, rate // 30) * (minutes - minutes // 10)
    return (code.second - Fraction(dropped, rate) + within) / NTSC


def _unrolled(times: list[Fraction]) -> list[Fraction]:
    """Past midnight."""
    days, unrolled = 0, times[:1]
    for before, after in pairwise(times):
        days += DAY if after < before - DAY // 2 else 0
        unrolled.append(after + days)
    return unrolled


def _are_milliseconds(codes: Sequence[Timecode]) -> bool:
    """Whether .sss tells the same time within the second as FF does."""
    rate = max(code.frame for code in codes) + 1
    return all(code.digits == 3 and abs(code.sub * rate - code.frame) <= 1 for code in codes)


def _is_counter(codes: Sequence[Timecode]) -> bool:
    """Whether .sss goes up by one with each row, and over from 999 to 000."""
    numbers = [int(code.sub * TICKS) for code in codes]
    return all(code.digits == 3 for code in codes) and all(
        (after - before) % TICKS == 1 for before, after in pairwise(numbers)
    )


def _clock(times: Sequence[Fraction], off: Fraction) -> Clock:
    """The lowest usual rate that explains all times, else the measured one."""
    steps = [after - before for before, after in pairwise(times)]
    typical = median(steps)
    counted = np.cumsum([0, *(max(1, round(step / typical)) for step in steps)])
    offsets = np.array([float(time - times[0]) for time in times])
    errors = []
    for fps in USUAL_RATES:
        near = abs(fps * typical - 1) < Fraction(1, 5)
        frames = np.floor(offsets * float(fps) + 0.5)
        apart = bool((np.diff(frames) > 0).all())
        errors.append(float(np.abs(offsets - frames / float(fps)).max()) if near and apart else np.inf)
    best = int(np.argmin(errors))
    if errors[best] <= float(off) * (1 + 1e-3) + 1e-9:  # two timecodes, each rounded by half a tick
        return Clock(USUAL_RATES[best], np.floor(offsets * float(USUAL_RATES[best]) + 0.5).astype(np.int64))
    measured = Fraction(round(int(counted[-1]) / (times[-1] - times[0]) * 1000), 1000)
    frames = np.floor(offsets * float(measured) + 0.5).astype(np.int64)
    return Clock(measured, frames if bool((np.diff(frames) > 0).all()) else counted)


def _check_rows_per_second(path: Path, times: Sequence[Fraction], clock: Clock) -> None:
    """Refuse a rate at which whole seconds would have to hold other numbers of rows than they do."""
    rows = Counter(floor(time) for time in times)
    whole = [count for second, count in rows.items() if floor(times[0]) < second < floor(times[-1])]
    if not whole:
        return
    usual = max(whole)  # dropped frames make it fewer, nothing makes it more
    if abs(usual - clock.fps) > max(ROWS_OFF * clock.fps, Fraction(1)):
        raise MsmdError(
            f"{path}: its timecodes mean {float(clock.fps):.3f} frames per second, yet a second holds {usual} rows",
            hint=HINT,
        )
