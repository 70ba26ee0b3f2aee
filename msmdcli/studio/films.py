"""The videos that styles of a line are made of, played as they are beside it.

The page never names a file: it gets a number for each video that a line's styles came to, and asks for that.
"""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse

from msmdcli.errors import UsageError
from msmdcli.media.suffixes import is_video
from msmdcli.styles.library import StyleReference

LIKELY = "video/mp4"  # where a suffix says nothing: the browser looks into the file


class Films:
    """The videos that were shown so far."""

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._lock = threading.Lock()

    def of(self, reference: StyleReference) -> list[dict[str, Any] | None]:
        """Of each clip of a style: the number of its video, its name, and the second at which the clip begins; None
        where it is no video."""
        return [
            {"number": self._number(clip), "name": clip.name, "start": reference.start} if is_video(clip) else None
            for clip in reference.clips
        ]

    def by_name(self, references: Mapping[Any, StyleReference | None]) -> dict[str, list[dict[str, Any] | None]]:
        """The same by the names of styles."""
        return {reference.name: self.of(reference) for reference in references.values() if reference is not None}

    def answer(self, number: str) -> FileResponse:
        """A video, or the part of it that is asked for (RFC 9110, section 14).

        Raises:
            UsageError: there is no such number, or the file is gone.
        """
        known = number.isascii() and number.isdigit() and len(number) < 10 and int(number) < len(self._paths)
        if not known or not self._paths[int(number)].is_file():
            raise UsageError("this video is not there any more", hint="load the page again")
        path = self._paths[int(number)]
        return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0] or LIKELY)

    def _number(self, path: Path) -> int:
        with self._lock:
            if path not in self._paths:
                self._paths.append(path)
            return self._paths.index(path)
