from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from voice_lines import write_style

from msmdcli.errors import MsmdError, UsageError
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.styles.field import StyleRef
from msmdcli.styles.library import StyleLibrary, check_style, part_of, read_style, split_range

RIG = Rig.load("arkit52")


@pytest.fixture
def library(tmp_path: Path) -> StyleLibrary:
    for seed, tag in enumerate(("neutral", "angry", "sad")):
        write_style(tmp_path / "styles" / tag, seed)
    return StyleLibrary([tmp_path / "styles"], shipped=False)


def test_a_tag_is_a_folder(library: StyleLibrary, tmp_path: Path) -> None:
    assert list(library.tags) == ["angry", "neutral", "sad"]
    assert library.read("angry").synthetic is True
    reference = library.resolve("angry")
    assert reference is not None and reference.load()[0].frames == 80
    assert library.resolve("none") is None
    assert all(check_style(folder, RIG) == [] for folder in library.tags.values())


def test_an_earlier_folder_hides_a_later_one(library: StyleLibrary, tmp_path: Path) -> None:
    write_style(tmp_path / "mine/angry", seed=9)
    both = StyleLibrary([tmp_path / "mine", tmp_path / "styles"], shipped=False)
    mine, theirs = both.resolve("angry"), library.resolve("angry")
    assert mine is not None and theirs is not None and mine.sha256 != theirs.sha256
    assert list(both.tags) == ["angry", "neutral", "sad"]


def test_a_path_is_a_style_too(library: StyleLibrary, tmp_path: Path) -> None:
    save_npz(tmp_path / "take.npz", Motion(np.zeros((30, 55), np.float32), Fraction(30), RIG))
    reference = library.resolve("take.npz", tmp_path)
    assert reference is not None and reference.load()[0].frames == 30
    folder = library.resolve("styles/sad", tmp_path)
    tag = library.resolve("sad")
    assert folder is not None and tag is not None and folder.sha256 == tag.sha256
    for wrong, words in (("nowhere.npz", "no such file"), ("angri", "angry"), ("Angry", "angry")):
        with pytest.raises(MsmdError) as error:
            library.resolve(wrong, tmp_path)
        assert words in str(error.value)
    assert library.knows("none", tmp_path) and library.knows("x.csv", tmp_path) and not library.knows("angri", tmp_path)


def test_a_clip_that_was_changed_is_noticed(library: StyleLibrary) -> None:
    clip = library.tags["sad"] / "clip.npz"
    clip.write_bytes(clip.read_bytes() + b"x")
    with pytest.raises(MsmdError, match="sha256 differs"):
        library.resolve("sad")
    assert "sha256" in check_style(library.tags["sad"], RIG)[0]
    clip.unlink()
    with pytest.raises(MsmdError, match="missing"):
        library.resolve("sad")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"licens": "MIT"}, "did you mean licence"),
        ({"format_version": 3}, "style format 3"),
        ({"private": True}, "needs format_version 2"),
        ({"format_version": 2, "private": "yes"}, "true or false"),
        ({"format_version": 2, "preview": "../x.png"}, "outside"),
        ({"format_version": 2, "clips": [{"file": "clip.npz", "sha256": "", "made_from": "x"}]}, "is not"),
        ({"tag": "other"}, "in a folder called"),
        ({"clips": []}, "no clips"),
        ({"clips": [{"file": "../../x.npz", "sha256": ""}]}, "outside"),
        ({"clips": [{"file": "9" * 400, "sha256": ""}]}, "longer than a path can be"),
        ({"clips": [{"path": "x.npz"}]}, "is not"),
        ({"synthetic": "maybe"}, "true or false"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    write_style(tmp_path / "angry", 0, **changes)
    with pytest.raises(MsmdError, match=r"style\.yaml") as error:
        read_style(tmp_path / "angry")
    assert words in str(error.value)
    assert check_style(tmp_path / "angry", RIG)


def test_check_looks_at_the_motion(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    write_style(folder, 0, licence=" ")
    values = np.full((10, 55), 2.0, np.float32)
    save_npz(folder / "clip.npz", Motion(values, Fraction(30), RIG))
    import hashlib

    digest = hashlib.sha256((folder / "clip.npz").read_bytes()).hexdigest()
    text = (folder / "style.yaml").read_text()
    old = text.split("sha256: ")[1].split()[0]
    (folder / "style.yaml").write_text(text.replace(old, digest))
    problems = " | ".join(check_style(folder, RIG))
    assert "licence is empty" in problems and "0.33 s" in problems and "ranges by up to 1.000" in problems


def test_a_style_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        StyleLibrary([tmp_path / "nowhere"])


def test_references_are_told_apart_by_name_and_folder() -> None:
    here = Path("a")
    assert (
        StyleRef("x", here, 0.3, "f:1:1").key == StyleRef("x", here, 0.7, "f:2:2").key != StyleRef("x", Path("b")).key
    )


def test_the_users_own_tags_come_before_those_that_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMD_STYLES", str(tmp_path / "own"))
    assert "mine" not in StyleLibrary().tags  # there is no such folder yet
    write_style(tmp_path / "own/mine", 0)
    write_style(tmp_path / "own/angry", 0)
    write_style(tmp_path / "project/angry", 1)
    assert StyleLibrary().tags["angry"] == tmp_path / "own/angry" and "happy" in StyleLibrary().tags
    assert StyleLibrary([tmp_path / "project"]).tags["angry"] == tmp_path / "project/angry"
    assert "mine" not in StyleLibrary([tmp_path / "project"], shipped=False).tags


def test_a_folder_on_its_way_in_or_out_is_no_tag(library: StyleLibrary, tmp_path: Path) -> None:
    write_style(tmp_path / "styles/.angry.00000000.msmd-tmp", 0)
    assert list(StyleLibrary([tmp_path / "styles"], shipped=False).tags) == ["angry", "neutral", "sad"]


def test_format_2_says_where_a_tag_comes_from(tmp_path: Path) -> None:
    write_style(tmp_path / "angry", 0, format_version=2, private=True, preview="preview.png")
    style = read_style(tmp_path / "angry")
    assert style.private and style.preview == tmp_path / "angry/preview.png" and style.made_from == ({},)
    assert check_style(tmp_path / "angry", RIG) == ["its preview preview.png is missing"]
    (tmp_path / "angry/preview.png").touch()
    assert check_style(tmp_path / "angry", RIG) == []
    assert "private" in check_style(tmp_path / "angry", RIG, for_release=True)[0]
    reference = StyleLibrary([tmp_path], shipped=False).resolve("angry")
    assert reference is not None and reference.private


def test_release_needs_a_consent(tmp_path: Path) -> None:
    write_style(tmp_path / "angry", 0, consent=" ")
    assert check_style(tmp_path / "angry", RIG) == []
    assert check_style(tmp_path / "angry", RIG, for_release=True) == ["consent is empty"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("take.mp4", ("take.mp4", 0.0, None)),
        ("take.mp4@3.2-9.0", ("take.mp4", 3.2, 9.0)),
        ("a@b/take.csv@3-", ("a@b/take.csv", 3.0, None)),
        ("take.npz@-9", ("take.npz", 0.0, 9.0)),
        ("me@home.mp4", ("me@home.mp4", 0.0, None)),
        ("take.mp4@x-9", ("take.mp4@x-9", 0.0, None)),
    ],
)
def test_a_part_of_a_take_is_named_after_it(tmp_path: Path, name: str, expected: tuple[str, float, float]) -> None:
    assert split_range(name, tmp_path) == (tmp_path / expected[0], *expected[1:])


def test_a_file_that_is_called_like_a_part_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "take@1-2").touch()
    assert split_range("take@1-2", tmp_path) == (tmp_path / "take@1-2", 0.0, None)


def test_a_part_of_a_take_is_another_style(library: StyleLibrary, tmp_path: Path) -> None:
    values = np.arange(60, dtype=np.float32)[:, None] / 60 * np.ones((1, 55), np.float32)
    save_npz(tmp_path / "take.npz", Motion(values, Fraction(30), RIG))
    whole, part = library.resolve("take.npz", tmp_path), library.resolve("take.npz@0.5-1.5", tmp_path)
    assert whole is not None and part is not None and whole.sha256 != part.sha256
    (motion,) = part.load()
    np.testing.assert_array_equal(motion.values, values[15:45])
    with pytest.raises(MsmdError, match="is a folder"):
        library.resolve("styles/sad@0-1", tmp_path)


@pytest.mark.parametrize(
    ("start", "stop", "words"),
    [
        (1.0, 1.0, "is empty"),
        (2.0, 1.0, "runs backwards"),
        (2.0, None, "starts at 2 s, after the end"),
        (0.0, 2.5, "ends at 2.5 s, after the end"),
        (-1.0, None, "no moment"),
        (float("nan"), None, "no moment"),
        (0.0, float("inf"), "no moment"),
    ],
)
def test_a_part_that_a_take_does_not_have_is_refused(start: float, stop: float | None, words: str) -> None:
    motion = Motion(np.zeros((60, 55), np.float32), Fraction(30), RIG)
    with pytest.raises(MsmdError, match=words):
        part_of(motion, start, stop, "take")


def test_the_end_of_a_part_may_be_a_hair_late() -> None:
    motion = Motion(np.zeros((60, 55), np.float32), Fraction(30), RIG)
    assert part_of(motion, 1.0, 2.05, "take").frames == 30


def test_what_is_no_take_is_refused(library: StyleLibrary, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "notes.txt").write_text("no motion")
    (tmp_path / "empty").mkdir()
    for name, words in (("text.mp4", "cannot be read as a video"), ("notes.txt", "no motion file")):
        reference = library.resolve(name, tmp_path)
        assert reference is not None
        with pytest.raises(MsmdError, match=words):
            reference.load()
    with pytest.raises(MsmdError, match=r"without a style\.yaml"):
        library.resolve("./empty", tmp_path)
