"""Options of formats in a batch: read strictly, taken together, in the files and in what makes a line again."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from voice_lines import write_project

from msmdcli.batch.planned import BatchOptions
from msmdcli.batch.run import run_batch
from msmdcli.console import Console
from msmdcli.errors import UsageError
from msmdcli.formats.registry import FORMATS, companions, read_motion
from msmdcli.manifest.command_line import parse_choices
from msmdcli.manifest.format_options import merge_options, options_for, parse_format_options
from msmdcli.manifest.lines import Manifest, ManifestError
from msmdcli.manifest.loading import load_manifest
from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED_HEAD

RIG = Rig.load("arkit52")


def read(folder: Path, text: str) -> Manifest:
    path = folder / "lines.yaml"
    path.write_text(text, encoding="utf-8")
    return load_manifest(path, RIG)


def asked(manifest: Manifest, formats: tuple[str, ...] = ("glb", "maya", "fbx")) -> Any:
    line = manifest.lines[0]
    head = line.character.head if line.character else None
    return options_for(formats, manifest.choices(line).format_options, head)


class Run:
    """A batch of one short line in a folder."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder = folder
        write_project(folder, (0.3,))
        self.options = BatchOptions(
            folder / "lines.yaml", folder / "out", bundle=bundle, styles=(folder / "styles",), threads=1
        )

    def __call__(self, given: str, **choices: Any) -> str:
        """Run with the line's entry `given`; the line's status comes back."""
        (self.folder / "lines.yaml").write_text(
            f"version: 1\ndefaults: {{style: neutral}}\nlines:\n  - {{id: a, audio: audio/line0.wav, {given}}}\n",
            encoding="utf-8",
        )
        out = self.folder / "out"
        self.code = run_batch(
            replace(self.options, choices=parse_choices(None, None, None, None, **choices)), Console(verbosity=-1)
        )
        (self.line,) = json.loads((out / "report.json").read_text(encoding="utf-8"))["lines"]
        return str(self.line["status"])


@pytest.fixture
def run(tmp_path: Path, stand_in_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("MSMD_HEAD", raising=False)
    return Run(tmp_path, stand_in_bundle)


def test_levels_are_taken_together_option_by_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MSMD_HEAD", raising=False)
    manifest = read(
        tmp_path,
        """\
version: 1
defaults: {format_options: {glb: {head_node: skull, reduce_keys: 0.01}, maya: {namespace: everyone}}}
characters: {hero: {head: heads/hero.glb, defaults: {format_options: {glb: {reduce_keys: 0.02}}}}}
lines:
  - {id: a, audio: a.wav, character: hero, format_options: {maya: {namespace: hero, head: hero:head}}}
  - {id: b, audio: b.wav, format_options: {glb: {head: none}}}
""",
    )
    head = str(tmp_path / "heads/hero.glb")
    assert asked(manifest) == {
        "glb": {"head_node": "skull", "reduce_keys": "0.02", "head": head},
        "maya": {"namespace": "hero", "head": "hero:head"},  # Maya's head is a name, not the character's file
        "fbx": {"head": head},
    }
    b = manifest.choices(manifest.lines[1]).format_options
    assert options_for(("glb", "npz"), b, None) == {
        "glb": {"head_node": "skull", "reduce_keys": "0.01", "head": "none"}
    }
    monkeypatch.setenv("MSMD_HEAD", str(tmp_path / "mine.glb"))
    assert options_for(("glb",), None, None) == {"glb": {"head": str(tmp_path / "mine.glb")}}


def test_the_command_line_stands_between_line_and_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = parse_format_options(
        ["glb.head=here.glb", "maya.reduce-keys=0.1"], {"reduce_keys": "0.5", "pre_roll": None}
    )
    assert given is not None and given["glb"] == {"reduce_keys": "0.5", "head": str(tmp_path / "here.glb")}
    assert given["maya"] == {"reduce_keys": "0.1"}
    assert set(given) == {form.name for form in FORMATS.values() if form.sparse}  # npz cannot leave keys out
    assert parse_format_options([], {"reduce_keys": None}) is None
    assert merge_options({"a": {"x": "1"}}, {"a": {"x": "2", "y": "3"}, "b": {"z": "4"}}) == {
        "a": {"x": "1", "y": "3"},
        "b": {"z": "4"},
    }


@pytest.mark.parametrize(
    ("options", "column", "words"),
    [
        ("{gbl: {head: x}}", 50, "did you mean glb"),
        ("{glb: {haed: x}}", 56, "did you mean head"),
        ("{npz: {reduce_keys: 1}}", 56, "reduce_keys"),
        ("{glb: {reduce_keys: few}}", 69, "no tolerance"),
        ("{glb: {pre_roll: soon}}", 66, "not a number of seconds"),
        ("{glb: {post_roll: 61}}", 67, "between 0 and 60"),
        ("{glb: {roll: over}}", 62, "not known"),
        ("{glb: {head: [a, b]}}", 62, "is a text"),
        ("{glb: head}", 55, "is a mapping"),
        ("[glb]", 49, "is a mapping"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, options: str, column: int, words: str) -> None:
    with pytest.raises(ManifestError) as told:
        read(tmp_path, f"version: 1\nlines:\n  - {{id: a, audio: a.wav, format_options:       {options}}}\n")
    (problem,) = told.value.problems
    assert words in problem and f"lines.yaml:3:{column}:" in problem


@pytest.mark.parametrize("text", ["glb", "glb.head", "head=x", "gbl.head=x", "glb.haed=x", "glb.reduce_keys=x"])
def test_wrong_options_on_the_command_line(text: str) -> None:
    with pytest.raises(UsageError, match="--option"):
        parse_format_options([text], {})


def test_a_changed_option_makes_the_line_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hero.glb").write_bytes(SHIPPED_HEAD.read_bytes())
    given = "formats: [json, glb], format_options: {glb: {head: hero.glb, head_node: none}, json: {reduce_keys: 0.1}}"
    assert run(given) == "made" and run.code == 0, run.line
    assert run(given) == "unchanged"
    assert run("formats: [json], format_options: {json: {reduce_keys: 0.2}}") == "made"
    assert run(given) == "made"
    head = SHIPPED_HEAD.read_bytes()
    assert b'"generator"' in head
    (tmp_path / "hero.glb").write_bytes(head.replace(b'"generator"', b'"Generator"', 1))
    assert run(given) == "made"  # the same options, another head
    assert run(given) == "unchanged"
    (tmp_path / "hero.glb").unlink()
    assert run(given) == "failed" and "no head for glb" in run.line["error"]
    assert run("formats: [json]") == "made"  # options of formats that it has not, do not count
    assert run("formats: [json], format_options: {glb: {head: hero.glb}}") == "unchanged"


def test_roll_and_reduction_are_in_the_files(run: Run, tmp_path: Path) -> None:
    assert run("formats: [npz, json, livelink-csv]") == "made"
    plain = read_motion(tmp_path / "out/a.npz").frames
    dense = (tmp_path / "out/a.json").stat().st_size
    again = run(
        "formats: [npz, json, livelink-csv], format_options: {livelink-csv: {pre_roll: 0}}",
        pre_roll="0.4",
        reduce_keys="0.2",
    )
    assert again == "made"
    assert read_motion(tmp_path / "out/a.npz").frames == plain + 10
    assert read_motion(tmp_path / "out/a.csv").frames == plain  # the line's own word wins over the command line's
    assert read_motion(tmp_path / "out/a.json").frames == plain + 10
    assert (tmp_path / "out/a.json").stat().st_size < dense
    assert run.line["frames"] == plain


def test_options_that_reach_no_file_are_refused(run: Run) -> None:
    with pytest.raises(UsageError, match=r"reduce_keys \(.*glb"):
        run("formats: [npz]", reduce_keys="0.1")
    with pytest.raises(UsageError, match=r"head \(glb\)"):
        run("formats: [npz]", option=["glb.head=x.glb"])


def test_what_a_format_could_not_hold_is_a_warning(run: Run, tmp_path: Path) -> None:
    head = SHIPPED_HEAD.read_bytes()
    assert head.count(b'"tongueOut"') > 0
    (tmp_path / "small.glb").write_bytes(head.replace(b'"tongueOut"', b'"tongueIn_"'))
    assert run("formats: [glb], format_options: {glb: {head: small.glb}}") == "made"
    assert any(warning.startswith("glb: ") and "tongueOut" in warning for warning in run.line["warnings"])


def test_the_companion_is_written_once_and_kept_when_edited(run: Run, tmp_path: Path) -> None:
    ((name, text),) = companions(["unreal"]).items()
    script = tmp_path / "out" / name
    assert run("formats: [npz]") == "made" and not script.exists()
    assert run("formats: [npz, unreal]") == "made" and script.read_text(encoding="utf-8") == text
    script.unlink()
    assert run("formats: [npz, unreal]") == "unchanged" and script.is_file()
    os.utime(script, (1, 1))
    run("formats: [npz, unreal]")
    assert script.stat().st_mtime == 1
    script.write_text("# mine\n", encoding="utf-8")
    run("formats: [npz, unreal]")
    assert script.read_text(encoding="utf-8") == "# mine\n"
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.endswith("msmd-tmp")]


def test_the_dub_list_takes_them(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        "version: 1\ndub: [{id: a, audio: a.wav, original: o.npz, format_options: {usda: {asset: c.usd}}}]\n",
    )
    assert manifest.lines[0].dub is not None
    assert asked(manifest, ("usda",)) == {"usda": {"asset": str(tmp_path / "c.usd")}}
