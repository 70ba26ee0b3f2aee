"""What the studio answers: a line made, kept, approved; its list, its head, its sound. `app` says under which address.

Each is called in a thread; what is wrong is an `MsmdError`.
"""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import FileResponse, Response

from msmdcli import __version__
from msmdcli.batch.approvals import Approvals
from msmdcli.batch.planned import PlannedLine
from msmdcli.controls.gesture import GestureLibrary
from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.audio import load_audio
from msmdcli.motion.rig import Rig
from msmdcli.paths import find_head
from msmdcli.studio.choices import about_choices
from msmdcli.studio.dropped import Dropped
from msmdcli.studio.films import Films
from msmdcli.studio.line_view import line_view, lines_table
from msmdcli.studio.manifest_text import keep
from msmdcli.studio.project import Project, stamp_of
from msmdcli.studio.retake import Retakes
from msmdcli.studio.videos import Videos
from msmdcli.styles.library import StyleLibrary

if TYPE_CHECKING:
    from msmdcli.studio.making import Maker

PLAYED = {  # suffixes of recordings that every browser plays as they are
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
}
PLAIN_WAVES = ("PCM_16", "PCM_24", "PCM_U8", "FLOAT")  # kinds of WAV that they play
EXACT = 2**53  # the largest whole number that a page has exactly


class ShownHead(NamedTuple):
    """The head that shows a line.

    Attributes:
        path: of its file.
        rig: whose motion poses it.
        name: by which the page knows whether it has it; `mapped` knows the character's own controls.
        instead: why it stands in for the character's own; empty if it does not.
    """

    path: Path
    rig: Rig
    name: str = "usual"
    instead: str = ""


class Studio:
    """What the addresses share.

    Args:
        project: the manifest and OUT.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.approvals = Approvals(project.out)
        self.retakes = Retakes(project.path)
        self.dropped = Dropped(project.path, project.bundle.rig)
        self.videos = Videos()
        self.films = Films()
        self.work = ThreadPoolExecutor(1, thread_name_prefix="msmd-studio")  # lines are made one after the other
        self.reading = ThreadPoolExecutor(2, thread_name_prefix="msmd-studio-read")
        self._heads: dict[tuple[Path, tuple[int, int], tuple[str, ...]], bytes | MsmdError] = {}
        if project.options.device != "auto":  # one that cannot be used is refused before the page opens
            _ = self.maker

    @cached_property
    def maker(self) -> Maker:
        """What makes lines. The list comes before it: it brings ONNX Runtime along."""
        from msmdcli.studio.making import Maker

        return Maker(self.project.options, self.project.bundle)

    def close(self) -> None:
        """Let what is being made end, drop what waits, and remove what nobody kept."""
        self.videos.close()
        for pool in (self.work, self.reading):
            pool.shutdown(wait=True, cancel_futures=True)
        with suppress(OSError, ValueError, RecursionError):
            text = self.project.path.read_text(encoding="utf-8-sig", errors="replace")
            if self.project.path.suffix.lower() == ".json":  # where letters may be written as escapes
                text = json.dumps(json.loads(text), ensure_ascii=False)
            self.retakes.sweep(text)

    # ---- what the page asks for; each is called in one of the threads ------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What the page needs once."""
        project = self.project
        options = project.options
        tags = StyleLibrary(options.styles).tags
        gestures = GestureLibrary(options.gestures, project.path.parent / "gestures").names
        return {
            "version": __version__,
            "title": project.path.name,
            "manifest": str(project.path),
            "out": str(options.out),
            "bundle": project.bundle.name,
            "sampling": f"{options.sampling.sampler}, {options.sampling.steps} steps",
            "takes": self.dropped.names(),
        } | about_choices(project.bundle.rig, options.sampling, tags, gestures)

    def lines(self) -> dict[str, Any]:
        """The list."""
        try:
            state = self.project.state
            report = self.project.report()
            redone = {line_id for line_id in report.redone if self.project.redone(line_id)}
            table = lines_table(state.lines, report.records, self.approvals.read(), redone)
            return table | {"stamp": list(state.stamp)}
        finally:
            with suppress(RuntimeError):  # it is closed already
                self.work.submit(lambda: self.maker.load())  # the list comes before the model

    def make(self, line_id: str, keys: dict[str, Any]) -> dict[str, Any]:
        """A line as it would be with these keys."""
        project = self.project
        planned = project.changed(line_id, keys)
        about: dict[str, Any] = {}
        if not keys:
            about = {
                "own": project.own_keys(line_id),
                "inherited": project.inherited(line_id),
                "fixed": project.why_fixed(line_id),
                "text": planned.line.text or "",
                "written": project.written_id(line_id),
                "take": project.take_number(line_id),
                "dub": planned.line.dub is not None,
                "redone": _exact(project.redone(line_id)),
            }
            if chosen := _exact(project.choosing(line_id)):
                about["choosing"] = chosen
        if waiting := self.videos.waiting(planned.references.values()):
            return about | {"waiting": f"tracking {waiting[0]}", "share": waiting[1]}
        made = self.maker.make(planned)
        head = self._head_of(planned)
        view = line_view(made, planned, head.name)
        if head.instead:
            view["warnings"].append(f"the character's own head is not shown: {head.instead}")
        return view | about | {"head": head.name}

    def reference(self, line_id: str, keys: dict[str, Any]) -> dict[str, Any]:
        """The performance that a line follows with these keys."""
        planned = self.project.changed(line_id, keys)
        if waiting := self.videos.waiting(planned.references.values()):
            return {"waiting": f"tracking {waiting[0]}", "share": waiting[1]}
        from msmdcli.studio.reference_view import reference_view

        made = self.maker.make(planned)  # it was made just before, so this is a look into what is kept
        curves = planned.curves if self._head_of(planned).name == "mapped" else None
        return reference_view(made, self.maker.performers(made), curves, self.films.by_name(planned.references))

    def retake(self, line_id: str, keys: dict[str, Any], start: float, end: float) -> dict[str, Any]:
        """A line of which a range is made anew, and the rest stays as it is with `keys`; and the keys that say so."""
        if why := self.project.why_fixed(line_id):
            raise UsageError(f"line {line_id} stays as it is", hint=why)
        planned = self.project.changed(line_id, keys)
        said = self.project.inherited(line_id) | self.project.own_keys(line_id) | keys
        drawn = self.maker.make(planned).drawn
        found = self.retakes.keys(line_id, drawn, start, end, planned.seed, said.get("pins") or [])
        said = self.project.choosing(line_id) | found  # only one take can be held by its pins
        return self.make(line_id, {**keys, **said}) | {"keys": said}

    def keep(self, line_id: str, keys: dict[str, Any]) -> dict[str, Any]:
        """Write keys into the manifest."""
        project = self.project
        if why := project.why_fixed(line_id):
            raise UsageError(f"line {line_id} stays as it is", hint=why)
        before = project.changed(line_id, keys)  # what is wrong is said before anything is written
        keep(project.path, project.written_id(line_id), keys, project.state.manifest, project.manifest_of)
        project.reread()
        after = project.changed(before.id, {})  # a take that was chosen is now its line
        if after.key != before.key:
            raise MsmdError(f"{project.path} now says something else of {line_id}", hint="look at it in an editor")
        return {"id": before.id, "own": project.own_keys(before.id), "key": after.key}

    def mark(self, line_id: str, approved: bool, note: str) -> dict[str, Any]:
        """Approve a line as the manifest has it, or not."""
        key = self.project.changed(line_id, {}).key if approved else ""
        self.project.line(line_id)
        return self.approvals.mark(line_id, approved, note, key)

    def head(self, line_id: str) -> bytes:
        """The head that shows a line."""
        project = self.project
        head = self._head_of(project.shown_line(line_id)) if line_id else ShownHead(find_head(), project.bundle.rig)
        found = self._packed(head.path, head.rig)
        if isinstance(found, MsmdError):
            raise found
        return found

    def _head_of(self, planned: PlannedLine) -> ShownHead:
        """The head of a line: its character's, where that fits, else the usual one."""
        character, rig = planned.line.character, self.project.bundle.rig
        own = character.head if character is not None else None
        if own is None:
            return ShownHead(find_head(), rig)
        if planned.curves is not None and isinstance(self._packed(own, planned.curves.rig), bytes):
            return ShownHead(own, planned.curves.rig, "mapped")
        found = self._packed(own, rig)
        if isinstance(found, MsmdError):
            return ShownHead(find_head(), rig, instead=found.message)
        return ShownHead(own, rig, f"own:{own}:{stamp_of(own)[0]}")

    def _packed(self, path: Path, rig: Rig) -> bytes | MsmdError:
        """A head as the page gets it, or why it cannot be shown; read again when its file has changed."""
        from msmdcli.studio.head_pack import head_pack  # the list comes before it

        key = (path, stamp_of(path), rig.channels)
        if key not in self._heads:
            try:
                self._heads[key] = head_pack(path, rig)
            except MsmdError as error:
                self._heads[key] = error
        return self._heads[key]

    def sound(self, line_id: str) -> Response:
        """A line's recording, as it is where a browser plays that, else decoded."""
        path = self.project.shown_line(line_id).line.audio
        if not path.is_file():
            raise MsmdError(f"no such recording: {path}")
        kind = PLAYED.get(path.suffix.lower()) or ("audio/wav" if _is_plain_wave(path) else None)
        if kind is not None:
            return FileResponse(path, media_type=kind)
        import soundfile

        audio, wave = load_audio(path), io.BytesIO()
        soundfile.write(wave, audio.samples, audio.rate, format="WAV", subtype="PCM_16")
        return Response(wave.getvalue(), media_type="audio/wav")


def _exact(keys: dict[str, Any]) -> dict[str, Any]:
    """Keys that a page can give back as they are; none where the seed is too large for that."""
    return {} if isinstance(seed := keys.get("seed"), int) and seed > EXACT else keys


def _is_plain_wave(path: Path) -> bool:
    import soundfile

    if path.suffix.lower() != ".wav":
        return False
    try:
        return soundfile.info(path).subtype in PLAIN_WAVES
    except soundfile.LibsndfileError:
        return False
