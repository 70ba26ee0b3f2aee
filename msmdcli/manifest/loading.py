"""A manifest in any of its forms: a YAML, JSON or CSV file, a folder of recordings, one recording, lines to redo.

Nothing is read but the manifest; whether recordings exist shows when they are loaded.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from msmdcli.documents.names import folded, id_problem, readable_name
from msmdcli.documents.nodes import DocumentError, Node
from msmdcli.documents.spelling import missing_hint, spelled
from msmdcli.documents.tree import read_document
from msmdcli.errors import UsageError
from msmdcli.manifest.lines import Choices, Line, Manifest, ManifestError, colliding_ids
from msmdcli.manifest.reading import ManifestReader
from msmdcli.manifest.redo import NO_ENTRIES, Entries, is_redo, load_redo
from msmdcli.media.folder_scan import scan_folder
from msmdcli.media.sound_track import has_sound
from msmdcli.media.suffixes import RECORDING_SUFFIXES, SOUND_SUFFIXES, is_video
from msmdcli.motion.curve_map import CurveMap, CurveMapError
from msmdcli.motion.rig import Rig

TABLE_SUFFIXES = (".yaml", ".yml", ".json", ".csv", ".tsv")


def load_manifest(
    path: Path,
    rig: Rig,
    leave: Iterable[Path] = (),
    choices: Choices | None = None,
    earlier: Entries = NO_ENTRIES,
    redo: Path | None = None,
) -> Manifest:
    """Read a manifest in any of its forms.

    Args:
        path: a YAML, JSON or CSV file, a folder of recordings (searched through), or one recording.
        rig: whose regions the lines may name.
        leave: folders below a folder of recordings that are not searched, such as OUT.
        choices: of the command line; they decide which takes there are to do again.
        earlier: what earlier redos have said of lines to do again.
        redo: lines of that manifest to do again, whatever manifest this file names itself.

    Raises:
        ManifestError: with everything that is wrong.
    """
    if redo is not None:
        document = _redo_document(redo)
        return load_redo(document, redo, rig, lambda _: load_manifest(path, rig, leave), choices, earlier)
    return _load(path, rig, leave, choices, earlier, ())


def _redo_document(path: Path) -> Node:
    """A file of lines to do again.

    Raises:
        UsageError: it is none.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}", hint=missing_hint(path, "--redo takes what the review page gives"))
    try:
        document = read_document(path)
    except DocumentError as error:
        raise ManifestError([error.message], path, error.hint) from None
    if not is_redo(document):
        raise UsageError(
            f"{path} is no file of lines to do again", hint="it has a key `redo`, as the review page writes it"
        )
    return document


def _load(
    path: Path, rig: Rig, leave: Iterable[Path], choices: Choices | None, earlier: Entries, inside: tuple[Path, ...]
) -> Manifest:
    """`load_manifest` of one path; `inside` are the redos that name it."""
    path = spelled(path.expanduser())
    if path.is_dir():
        return _from_folder(path, leave)
    if not path.is_file():
        raise UsageError(
            f"there is no manifest {path}",
            hint=missing_hint(path, "give a YAML, JSON or CSV file, a folder, or a recording"),
        )
    if path.suffix.lower() in RECORDING_SUFFIXES:
        return _from_files(path, path.parent, [path])
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise UsageError(
            f"{path} is neither a manifest nor a recording that MSMD knows by its suffix",
            hint=f"manifests: {' '.join(TABLE_SUFFIXES)}; recordings: {' '.join(RECORDING_SUFFIXES)}",
        )
    try:
        with _no_collection():
            document = read_document(path)
            if is_redo(document):
                own = Path(os.path.realpath(path))
                if own in inside:
                    raise ManifestError([f"{path}: `redo` leads back to this file"], path, "name the lines' manifest")

                def load(source: Path) -> Manifest:
                    return _load(source, rig, leave, choices, earlier, (*inside, own))

                return load_redo(document, path, rig, load, choices, earlier)
            return ManifestReader(path, rig).read(document)
    except DocumentError as error:
        raise ManifestError([error.message], path, error.hint) from None


@contextmanager
def _no_collection() -> Iterator[None]:
    """A large manifest is a million small objects, none of them in a cycle: looking for cycles takes half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _from_folder(folder: Path, leave: Iterable[Path]) -> Manifest:
    """A line for each recording in a folder, and for each video whose sound is not there as a recording, too."""
    scan = scan_folder(folder, RECORDING_SUFFIXES, leave)
    passed_over = dict(scan.passed_over)
    named = {folded(_id_of(file, folder)) for file in scan.files if not is_video(file)}
    for file in filter(is_video, scan.files):
        if folded(_id_of(file, folder)) in named:
            passed_over[file] = "videos beside a recording of the same name"
        elif not has_sound(file):
            passed_over[file] = "videos without sound"
    scan = replace(scan, files=tuple(file for file in scan.files if file not in passed_over), passed_over=passed_over)
    if not scan.files:
        known = f"known suffixes: {' '.join(SOUND_SUFFIXES)}, and videos with sound"
        raise UsageError(f"there are no recordings in {folder}", hint="; ".join([*scan.notes(), known]))
    return replace(_from_files(folder, folder, scan.files), notes=scan.notes())


def _id_of(file: Path, base: Path) -> str:
    return file.relative_to(base).with_suffix("").as_posix()


def _from_files(path: Path, base: Path, files: Iterable[Path]) -> Manifest:
    lines = [Line(readable_name(_id_of(file, base)), file, Choices(), where=str(file)) for file in files]
    problems = [f"{line.where}: {line.id!r} cannot be an id: {why}" for line in lines if (why := id_problem(line.id))]
    problems += colliding_ids(lines)
    if problems:
        raise ManifestError(problems, path, hint="rename these files, or list them in a manifest with ids")
    return Manifest(path, tuple(lines))


def curve_maps_of(manifest: Manifest, rig: Rig) -> dict[Path, CurveMap]:
    """The curve maps of a manifest's characters, by the path that the manifest gives.

    Raises:
        UsageError: one is absent, wrong, or not for motion on `rig`.
    """
    maps: dict[Path, CurveMap] = {}
    for line in manifest.lines:
        character = line.character
        if character is None or character.curves is None or character.curves in maps:
            continue
        try:
            found = CurveMap.load(character.curves)
        except CurveMapError:
            raise
        except UsageError as error:
            raise UsageError(f"{manifest.path}: character {character.name}: {error.message}", error.hint) from None
        if found.source.channels != rig.channels:
            raise UsageError(
                f"{manifest.path}: character {character.name}: curve map {found.name} is for motion on rig"
                f" {found.source.name}, and the bundle makes motion on {rig.name}",
                hint=f"name the rig in the map: `source: {rig.name}`",
            )
        maps[character.curves] = found
    return maps
