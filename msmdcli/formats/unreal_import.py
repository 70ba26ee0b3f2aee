"""Import MSMD's curve tables (*.unreal.csv) into Unreal Engine 5 as AnimSequences with curves.

Once: Edit > Plugins, enable "Python Editor Script Plugin"; restart.

Then, in the Output Log (the box at its foot set to Cmd), with your own paths:

    py "D:/out/msmd_unreal_import.py" --skeleton /Game/Hero/Hero_Skeleton --to /Game/Dialogue

Every *.unreal.csv beside this script and in folders below it becomes an AnimSequence of that skeleton: `gate/guard_001`
becomes /Game/Dialogue/gate/guard_001. Those that are there already are filled anew. --folder DIR looks elsewhere.

Play one on the face mesh: its morph targets follow curves of their own name. On a MetaHuman, use the sequence in the
Face AnimBP where Live Link comes in (its ARKit mapping reads curves of these names, head included). The sound belongs
at time 0 of the sequence, or as much later as the pre-roll lasts.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from pathlib import Path
from typing import Any

CORNER = re.compile(r"MSMD curve table (\d+)/(\d+) fps (\d+) frames")


def read_table(path: Path) -> tuple[int, int, int, list[float], dict[str, list[float]]]:
    """(numerator, denominator, frames, times, {curve: values}) of one file."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    found = CORNER.match(rows[0][0]) if rows else None
    if not found:
        raise ValueError(f"{path} is no curve table of MSMD's")
    numerator, denominator, frames = (int(text) for text in found.groups())
    times = [float(cell) for cell in rows[0][1:]]
    return numerator, denominator, frames, times, {row[0]: [float(cell) for cell in row[1:]] for row in rows[1:]}


def find_tables(folder: Path) -> list[tuple[Path, str]]:
    """(path of a table, its name below the folder without the suffix), sorted."""
    found = []
    for path in sorted(folder.rglob("*.unreal.csv")):
        found.append((path, asset_name(path.relative_to(folder).as_posix()[: -len(".unreal.csv")])))
    return found


def asset_name(name: str) -> str:
    """The name of a table as Unreal can have it: letters, digits and _, in folders."""
    return re.sub(r"[^\w/]", "_", name)


def same_assets(tables: list[tuple[Path, str]]) -> dict[Path, Path]:
    """Tables that would become an asset that another has become: table -> that other. Unreal ignores case."""
    first: dict[str, Path] = {}
    return {path: first[name.lower()] for path, name in tables if first.setdefault(name.lower(), path) != path}


def import_table(unreal: Any, path: Path, asset_path: str, skeleton: Any) -> None:
    """Make or refill one AnimSequence."""
    numerator, denominator, frames, times, curves = read_table(path)
    library = unreal.AnimationLibrary
    if unreal.EditorAssetLibrary.does_asset_exist(asset_path):
        sequence = unreal.EditorAssetLibrary.load_asset(asset_path)
    else:
        factory = unreal.AnimSequenceFactory()
        factory.set_editor_property("target_skeleton", skeleton)
        folder, name = asset_path.rsplit("/", 1)
        tools = unreal.AssetToolsHelpers.get_asset_tools()
        sequence = tools.create_asset(name, folder, unreal.AnimSequence, factory)
    if sequence is None:
        raise RuntimeError("could not make " + asset_path)
    controller = sequence.get_editor_property("controller")
    controller.open_bracket("MSMD curves", False)  # until it closes, the sequence is not built anew for every curve
    try:
        controller.set_frame_rate(unreal.FrameRate(numerator, denominator), False)
        controller.set_number_of_frames(unreal.FrameNumber(frames), False)  # the last pose lasts a frame, as others do
        for name, values in curves.items():
            if library.does_curve_exist(sequence, name, unreal.RawCurveTrackTypes.RCT_FLOAT):
                library.remove_curve(sequence, name)
            library.add_curve(sequence, name, unreal.RawCurveTrackTypes.RCT_FLOAT, False)
            library.add_float_curve_keys(sequence, name, times, values)
    finally:
        controller.close_bracket(False)
    unreal.EditorAssetLibrary.save_loaded_asset(sequence)


def main(arguments: list[str]) -> None:
    """Import all tables."""
    import unreal  # type: ignore[import-not-found]

    parser = argparse.ArgumentParser(description="Import MSMD's curve tables as AnimSequences.")
    parser.add_argument("--skeleton", required=True, help="asset path of the Skeleton")
    parser.add_argument("--to", default="/Game/MSMD", help="content folder")
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parent, help="where the tables are")
    given = parser.parse_args(arguments)
    skeleton = unreal.EditorAssetLibrary.load_asset(given.skeleton)
    if skeleton is None:
        raise RuntimeError("there is no skeleton " + given.skeleton)
    tables = find_tables(given.folder)
    twins = same_assets(tables)
    failed = 0
    with unreal.ScopedSlowTask(max(len(tables), 1), "Importing curve tables") as task:
        task.make_dialog(True)
        for path, name in tables:
            if task.should_cancel():
                break
            task.enter_progress_frame(1, name)
            try:
                if path in twins:
                    raise ValueError(f"it would become the same asset as {twins[path]}; rename one of them")
                import_table(unreal, path, given.to.rstrip("/") + "/" + name, skeleton)
            except Exception as error:  # one broken table does not stop the others
                failed += 1
                unreal.log_error(f"MSMD: {path}: {error}")
    unreal.log(f"MSMD: {len(tables) - failed} of {len(tables)} curve tables imported to {given.to}")


if __name__ == "__main__":
    main(sys.argv[1:])
