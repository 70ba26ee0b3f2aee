"""Videos among the styles of a line are tracked in the background, in a process of their own, while the page goes on.

What is tracked lies in the cache of tracked videos (`msmdcli.tracking.tracker.tracked_motion`), where `msmd batch`
finds it, too. A video on which the process dies is a sentence on the page.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msmdcli.batch.dubbing import Original, is_motion_file
from msmdcli.errors import MsmdError
from msmdcli.media.suffixes import is_video
from msmdcli.media.video import probe_video
from msmdcli.styles.library import StyleReference
from msmdcli.system.processes import Done, work_on

if TYPE_CHECKING:
    from msmdcli.tracking.track import TrackOptions

Key = tuple[str, Path]  # of what is tracked: sha256 of the reference, and the clip


@dataclass
class Tracking:
    """A video on its way.

    Attributes:
        seconds: of the part that is tracked. done: how many of them are.
        error: why it could not be tracked; None so far.
        finished: whether it ended, well or not.
    """

    seconds: float
    done: float = 0.0
    error: MsmdError | None = None
    finished: bool = False


class Videos:
    """Tracks videos, one after the other."""

    def __init__(self) -> None:
        self._found: dict[Key, Tracking] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="msmd-studio-track")
        self._lock = threading.Lock()

    def waiting(self, references: Iterable[StyleReference | None]) -> tuple[str, float] | None:
        """What is still to be tracked before a line with these references can be made: which video, and the share of
        it that is done; None where nothing is. What nobody has begun is begun.

        Raises:
            MsmdError: a video cannot be opened, or could not be tracked.
        """
        for reference in references:
            for clip in reference.clips if reference is not None else ():
                if not (is_video(clip) or (isinstance(reference, Original) and not is_motion_file(clip))):
                    continue
                assert reference is not None
                one = self._tracking((reference.sha256, clip), reference)
                if one.error is not None:
                    with self._lock:
                        self._found.pop((reference.sha256, clip), None)  # the next time it is tried again
                    raise one.error
                if not one.finished:
                    return clip.name, min(one.done / one.seconds, 1.0) if one.seconds else 0.0
        return None

    def _tracking(self, key: Key, reference: StyleReference) -> Tracking:
        with self._lock:
            if key not in self._found:
                clip = key[1]
                whole = float(probe_video(clip).seconds)
                stop = whole if reference.stop is None else min(reference.stop, whole)
                one = Tracking(max(stop - reference.start, 0.0))
                if reference.track(clip) is not None:
                    one.finished = True
                else:
                    self._pool.submit(self._track, clip, reference.track_options(), one)
                self._found[key] = one
            return self._found[key]

    def _track(self, clip: Path, options: TrackOptions, one: Tracking) -> None:
        try:
            for step in work_on(track, [(clip, options)], 1):
                if isinstance(step, Done):
                    one.error = step.error
                else:
                    one.done = step.amount
        except RuntimeError as error:  # a mistake of ours, with its traceback
            one.error = MsmdError(f"{clip.name} could not be tracked: internal error", hint=str(error)[-400:])
        finally:
            one.finished = True

    def close(self) -> None:
        """End what is being tracked."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():  # its thread then finds it dead
            child.terminate()
        self._pool.shutdown(wait=True)


def track(item: tuple[Path, TrackOptions], tell: Callable[[float], None]) -> None:
    """Track a video into the cache."""
    from msmdcli.tracking.tracker import tracked_motion

    tracked_motion(*item, progress=tell)
