"""`msmd styles` as a user meets it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner
from voice_lines import write_sound, write_style

from msmdcli.cli import app
from msmdcli.errors import MsmdError
from msmdcli.formats.registry import write_motion
from msmdcli.motion.motion import Motion, load_npz, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shipped_styles

RIG = Rig.load("arkit52")
RUNNER = CliRunner()
ANGRY = shipped_styles() / "angry/take1.npz"


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tags of one's own, and no head to draw on: drawing is tested elsewhere."""

    def no_head(given: object = None) -> Path:
        raise MsmdError("no head here")

    monkeypatch.setenv("MSMD_STYLES", str(tmp_path / "own"))
    monkeypatch.setattr("msmdcli.paths.find_head", no_head)
    return tmp_path / "own"


def test_a_tag_works_in_the_next_batch_with_no_other_step(tmp_path: Path, own: Path, stand_in_bundle: Path) -> None:
    code, _, err = run("styles", "add", "grumpy", ANGRY, "--from", 1, "--to", 8, "--private")
    assert code == 0, err
    assert "nearest tags: angry" in err and "hardly told apart from angry" in err and "no picture was drawn" in err
    write_sound(tmp_path / "lines/a.wav", 1.0)
    options = ["--bundle", stand_in_bundle, "--formats", "npz"]
    code, _, err = run("batch", tmp_path / "lines", "--style", "grumpy", "--out", tmp_path / "tag", *options)
    assert code == 0, err
    assert "grumpy is private" in err
    code, _, err = run("batch", tmp_path / "lines", "--style", f"{ANGRY}@1-8", "--out", tmp_path / "take", *options)
    assert code == 0, err
    tag, take = (load_npz(tmp_path / out / "a.npz").values for out in ("tag", "take"))
    np.testing.assert_array_equal(tag, take)


def test_several_parts_and_a_live_link_recording(tmp_path: Path, own: Path) -> None:
    code, _, err = run("styles", "add", "two", ANGRY, "--from", 1, "--to", 4, "--from", 5, "--to", 8, "--private")
    assert code == 0, err
    clips = yaml.safe_load((own / "two/style.yaml").read_text())["clips"]
    assert [(clip["made_from"]["start"], clip["made_from"]["stop"]) for clip in clips] == [(1.0, 4.0), (5.0, 8.0)]
    write_motion(load_npz(ANGRY), tmp_path / "phone.csv", "livelink-csv")
    code, _, err = run("styles", "add", "phone", tmp_path / "phone.csv", "--private")
    assert code == 0, err
    stored = load_npz(own / "phone/take1.npz")
    assert stored.fps == 25
    np.testing.assert_allclose(stored.values, load_npz(ANGRY).values, atol=1e-5)


def test_list_show_check(own: Path) -> None:
    assert run("styles", "add", "grumpy", ANGRY, "--licence", "ours", "--consent", "signed")[0] == 0
    assert run("styles", "add", "secret", ANGRY, "--private", "--description", "Not for you")[0] == 0
    code, out, _ = run("styles", "list")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0 and "ships" in lines["angry"] and "yours" in lines["grumpy"]
    assert "ours" in lines["grumpy"] and "private" in lines["secret"] and "Not for you" in lines["secret"]
    events = [json.loads(line) for line in run("styles", "list", "--json")[1].splitlines()]
    assert {e["tag"]: e["private"] for e in events}["secret"] is True

    code, out, _ = run("styles", "show", "secret")
    assert code == 0 and "mean pose: " in out and "nearest tags: grumpy 0.00" in out and "in degrees" in out
    code, out, _ = run("styles", "show", ANGRY, "--json")
    shown = json.loads(out)
    assert code == 0 and set(shown["regions"]) >= {"jaw", "lips", "brows"} and shown["nearest"][0]["tag"] != ""

    assert run("styles", "check")[0] == 0
    assert run("styles", "check", "grumpy", "--for-release")[0] == 0
    code, out, _ = run("styles", "check", "--for-release")
    assert code == 1 and "secret: it is private" in out and "grumpy: fine" in out


def test_one_broken_tag_does_not_hide_the_others(own: Path) -> None:
    write_style(own / "fine", 0)
    write_style(own / "broken", 1)
    (own / "broken/clip.npz").unlink()
    code, out, err = run("styles", "list")
    assert code == 0 and "fine" in out and "broken cannot be used" in err


def test_remove(own: Path) -> None:
    assert run("styles", "add", "angry", ANGRY, "--private")[2].count("hides the tag of this name that ships") == 1
    assert run("styles", "remove", "angry")[0] == 2  # nobody can be asked here
    assert (own / "angry").is_dir()
    code, _, err = run("styles", "remove", "angry", "--yes")
    assert code == 0 and not (own / "angry").exists() and "angry is now the one in" in err
    for tag, words in (("angry", "ships with MSMD and stays"), ("angri", "there is no tag")):
        code, _, err = run("styles", "remove", tag, "--yes")
        assert code == 1 and words in err
    assert (shipped_styles() / "angry").is_dir()


def test_another_folder(tmp_path: Path, own: Path) -> None:
    code, _, err = run("styles", "add", "grumpy", ANGRY, "--private", "--styles", tmp_path / "project")
    assert code == 0 and f"--styles {tmp_path / 'project'}" in err and not own.exists()
    assert "grumpy" in run("styles", "list", "--styles", tmp_path / "project")[1]
    assert run("styles", "remove", "grumpy", "--yes")[0] == 1
    assert run("styles", "remove", "grumpy", "--yes", "--styles", tmp_path / "project")[0] == 0


def test_bad_takes_are_told_of_in_a_sentence_and_leave_nothing(tmp_path: Path, own: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    still = np.tile(load_npz(ANGRY).values[10], (80, 1))
    save_npz(tmp_path / "still.npz", Motion(still, Fraction(25), RIG))
    for name, words in (
        ("nowhere.mp4", "no such"),
        ("nowhere.csv", "no such"),
        ("text.mp4", "cannot be read as a video"),
        ("empty.mp4", "is empty"),
        ("folder.mp4", "folder"),
        ("notes.txt", "no motion file"),
        ("still.npz", "frozen pose"),
    ):
        code, _, err = run("styles", "add", "bad", tmp_path / name, "--private")
        assert code == 1 and words in err and err.count("Error:") == 1, (name, err)
    for options, words in (
        (["--from", "3", "--to", "3"], "is empty"),
        (["--from", "30"], "after the end"),
        (["--from", "1", "--to", "1.2"], "1 s is the least"),
    ):
        code, _, err = run("styles", "add", "bad", ANGRY, "--private", *options)
        assert code == 1 and words in err, err
    assert run("styles", "add", "bad", ANGRY)[0] == 2  # no licence
    assert run("styles", "add", "Bad", ANGRY, "--private")[0] == 2
    assert run("styles", "add", "bad", ANGRY, ANGRY, ANGRY, "--from", "1", "--from", "2", "--private")[0] == 2
    assert not own.exists()
    assert run("styles", "add", "bad", tmp_path / "still.npz", "--private", "--no-check")[0] == 0


def test_figures_from_the_command(tmp_path: Path, stand_in_bundle: Path) -> None:
    write_sound(tmp_path / "a.wav", 1.5)
    options = ["--bundle", stand_in_bundle]
    drawn = tmp_path / "alpha.svg"
    code, _, err = run("styles", "show", "angry", "--line", tmp_path / "a.wav", "--picture", drawn, *options)
    assert code == 0 and "alpha 1" in drawn.read_text(), err  # no head: no faces, but the curves
    code, _, err = run("styles", "show", "angry", "--picture", tmp_path / "basis.svg", *options)
    assert code == 1 and "no head here" in err
    for arguments in (["--line", tmp_path / "a.wav"], ["--picture", tmp_path / "a.jpg"]):
        assert run("styles", "show", "angry", *arguments, *options)[0] == 2
    assert run("styles", "show", "none")[0] == 2
