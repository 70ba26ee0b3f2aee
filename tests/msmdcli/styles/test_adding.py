from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import msmdcli.styles.adding as adding
from msmdcli.errors import MsmdError, UsageError
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir, shipped_styles
from msmdcli.styles.adding import TagWords, add_style, check_words, recover, remove_style
from msmdcli.styles.library import StyleLibrary, check_style, read_style
from msmdcli.styles.takes import Take, read_clip, takes_of

RIG = Rig.load("arkit52")
ROOT = Path(__file__).parents[3]
OURS = TagWords("mine", "", "ours", "signed")
ANGRY = shipped_styles() / "angry/take1.npz"


def test_a_take_becomes_a_tag(tmp_path: Path) -> None:
    clip = read_clip(Take(ANGRY, 1.0, 6.0))
    picture = np.zeros((8, 8, 3), np.uint8)
    style = add_style(OURS, [clip], tmp_path / "styles", picture)
    assert check_style(style.folder, RIG, for_release=True) == []
    assert sorted(p.name for p in style.folder.iterdir()) == ["preview.png", "style.yaml", "take1.npz"]
    assert style.synthetic and not style.private  # the take says that a program made it
    (origin,) = style.made_from
    assert (origin["file"], origin["start"], origin["stop"]) == ("take1.npz", 1.0, 6.0)
    assert len(str(origin["sha256"])) == 64
    reference = StyleLibrary([tmp_path / "styles"], shipped=False).resolve("mine")
    assert reference is not None
    (motion,) = reference.load()
    part = StyleLibrary().resolve(f"{ANGRY}@1.0-6.0")
    assert part is not None
    np.testing.assert_array_equal(motion.values, part.load()[0].values)
    assert str(tmp_path) not in (style.folder / "style.yaml").read_text()  # where things lie is nobody's business


def test_a_private_tag_says_so_and_stays_out_of_version_control(tmp_path: Path) -> None:
    words = TagWords("mine", private=True)
    style = add_style(words, [read_clip(Take(ANGRY))], tmp_path)
    assert style.private and (style.folder / ".gitignore").read_text() == "*\n"
    assert check_style(style.folder, RIG) == [] and check_style(style.folder, RIG, for_release=True)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    told = subprocess.run(
        ["git", "status", "--short", "-uall"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout == ""


def test_motion_of_a_program_is_synthetic(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (60, RIG.size)).astype(np.float32) * 1.5
    save_npz(tmp_path / "made.npz", Motion(values, Fraction(30), RIG, {"synthetic": "true"}))
    style = add_style(OURS, [read_clip(Take(tmp_path / "made.npz"))], tmp_path / "styles")
    assert style.synthetic
    assert check_style(style.folder, RIG) == []  # held within the ranges


@pytest.mark.parametrize("words", [TagWords("mine"), TagWords("mine", licence="ours"), TagWords("mine", consent="yes")])
def test_licence_and_consent_must_be_stated(tmp_path: Path, words: TagWords) -> None:
    with pytest.raises(UsageError, match="how may mine be used"):
        check_words(words, tmp_path, force=False)


@pytest.mark.parametrize("tag", ["Mine", "a b", "none", "../x", "", ".x", "a" * 65])
def test_a_name_that_is_no_tag_is_refused(tmp_path: Path, tag: str) -> None:
    with pytest.raises(UsageError, match="cannot be a tag"):
        check_words(TagWords(tag, private=True), tmp_path, force=False)


def test_another_tag_is_replaced_only_by_force(tmp_path: Path) -> None:
    clip = read_clip(Take(ANGRY))
    add_style(OURS, [clip, clip], tmp_path)
    with pytest.raises(UsageError, match="already"):
        add_style(OURS, [clip], tmp_path)
    add_style(OURS, [clip], tmp_path, force=True)
    assert len(read_style(tmp_path / "mine").clips) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_the_library_that_ships_is_not_touched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ships"):
        check_words(OURS, shipped_styles(), force=True)
    with pytest.raises(UsageError, match="ships"):
        remove_style(shipped_styles() / "angry")
    assert (shipped_styles() / "angry").is_dir()


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = read_clip(Take(ANGRY))
    add_style(OURS, [clip], tmp_path)
    before = (tmp_path / "mine/style.yaml").read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(adding, "save_npz", full)
    with pytest.raises(MsmdError, match="No space left"):
        add_style(OURS, [clip], tmp_path, force=True)
    assert (tmp_path / "mine/style.yaml").read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


# Adds a tag again and again; each time it is killed one step in the file system later, until one comes to its end.
KILLED = """
import io, itertools, json, os, shutil, signal, sys
from pathlib import Path
from msmdcli.motion.rig import Rig
from msmdcli.styles.adding import TagWords, add_style, recover
from msmdcli.styles.takes import Take, read_clip
from msmdcli.styles.library import check_style, read_style

clip, folder, rig = read_clip(Take(Path(sys.argv[1]))), Path(sys.argv[2]), Rig.load("arkit52")
tag = folder / "mine"
for there_before in (False, True):
    for steps in itertools.count():
        shutil.rmtree(folder, ignore_errors=True)
        if there_before:
            add_style(TagWords("mine", "old", private=True), [clip, clip], folder)
        pid = os.fork()
        if not pid:
            def step(event, arguments):
                global steps
                if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
                    if not steps:
                        os.kill(os.getpid(), signal.SIGKILL)
                    steps -= 1
            def opened(*arguments, **named):
                file = really_open(*arguments, **named)
                step("open", ())  # it is empty now
                return file
            really_open, io.open = io.open, opened
            sys.addaudithook(step)
            add_style(TagWords("mine", "new", private=True), [clip], folder, force=True)
            os._exit(0)
        killed = os.waitpid(pid, 0)[1] == signal.SIGKILL
        there = tag.exists() or any(folder.glob(".mine.*.msmd-old"))
        recover(folder)
        seen = read_style(tag).description if tag.exists() else None
        problems = check_style(tag, rig) if tag.exists() else []
        print(json.dumps([there_before, killed, there, seen, problems, len(list(folder.glob("*.msmd-old")))]))
        if not killed:
            break
"""


def test_a_kill_leaves_a_whole_tag_or_none(tmp_path: Path) -> None:
    """Killed before any step in the file system, the tag is the old one or the new one, each of them whole."""
    command = [sys.executable, "-c", KILLED, str(ANGRY), str(tmp_path / "styles")]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # a process with threads should not fork
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert ran.returncode == 0, ran.stderr
    rounds = [json.loads(line) for line in ran.stdout.splitlines()]
    for before in (False, True):
        seen = []
        for there_before, killed, there, words, problems, left in rounds:
            if there_before == before:
                assert (words is not None) == there and problems == [] and left == 0
                seen.append((killed, words))
        turn = seen.index((True, "new"))  # after the last renaming the rest is tidying up
        assert turn >= 4 and seen[:turn] == [(True, "old" if before else None)] * turn
        assert seen[turn:] == [(True, "new")] * (len(seen) - turn - 1) + [(False, "new")]


def test_recovering_brings_back_a_tag_that_was_half_replaced(tmp_path: Path) -> None:
    add_style(OURS, [read_clip(Take(ANGRY))], tmp_path)
    (tmp_path / "mine").rename(tmp_path / ".mine.01234567.msmd-old")
    half = tmp_path / ".mine.89abcdef.msmd-tmp"
    half.mkdir()
    os.utime(half, (0, 0))
    (tmp_path / ".other.89abcdef.msmd-tmp").mkdir()  # being written now, by somebody else
    recover(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.89abcdef.msmd-tmp", "mine"]


def test_a_tag_is_removed_whole(tmp_path: Path) -> None:
    add_style(OURS, [read_clip(Take(ANGRY))], tmp_path / "styles")
    (tmp_path / "link").mkdir()
    (tmp_path / "link/mine").symlink_to(tmp_path / "styles/mine")
    remove_style(tmp_path / "link/mine")
    assert (tmp_path / "styles/mine/style.yaml").is_file()  # a link goes, not what it points to
    remove_style(tmp_path / "styles/mine")
    assert list((tmp_path / "styles").iterdir()) == []


def test_parts_of_takes() -> None:
    assert takes_of(["a.mp4"], [3.2], [9.0]) == [Take(Path("a.mp4"), 3.2, 9.0)]
    assert takes_of(["a.mp4"], [1, 5], [2, 6]) == [Take(Path("a.mp4"), 1, 2), Take(Path("a.mp4"), 5, 6)]
    assert takes_of(["a.mp4", "b.mp4"], [], [2, 6]) == [Take(Path("a.mp4"), 0, 2), Take(Path("b.mp4"), 0, 6)]
    assert takes_of(["a.mp4@1-2", "b.csv"], [], []) == [Take(Path("a.mp4"), 1, 2), Take(Path("b.csv"))]
    for arguments in (
        (["a", "b"], [1.0], []),
        (["a"], [1.0, 2.0], [3.0]),
        (["a.mp4@1-2"], [1.0], []),
        (["a", "b"], [1.0, 2.0, 3.0], []),
    ):
        with pytest.raises(UsageError):
            takes_of(*arguments)


@pytest.mark.slow
def test_a_video_becomes_the_tag_that_the_video_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored motion is that of `--style VIDEO`, and the provenance names the tracker."""
    pytest.importorskip("mediapipe")
    shared = shared_dir()
    video = shared / "corpus/style_silent/mead_dreamtalk/meadstyle_W009_front_happy_level3_001.mp4" if shared else None
    if video is None or not video.is_file():
        pytest.skip("the corpus of talking faces is not here")
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    told: list[float] = []
    clip = read_clip(Take(video, 0.5, 2.5), progress=told.append)
    assert told and told == sorted(told)
    assert clip.measures.found == 1.0 and clip.measures.speaking > 0.5
    style = add_style(OURS, [clip], tmp_path / "styles")
    assert "MediaPipe" in style.made_from[0]["tracker"]
    tag = StyleLibrary([tmp_path / "styles"], shipped=False).resolve("mine")
    take = StyleLibrary().resolve(f"{video}@0.5-2.5")
    assert tag is not None and take is not None
    np.testing.assert_array_equal(tag.load()[0].values, take.load()[0].values)
    assert list((tmp_path / "cache/tracks").glob("*.npz"))
