from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from voice_lines import write_style

from msmdcli.errors import MsmdError, UsageError
from msmdcli.motion import Motion, save_npz
from msmdcli.rig import Rig
from msmdcli.style_field import StyleRef
from msmdcli.styles import StyleLibrary, check_style, read_style

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
    (tmp_path / "take.mp4").touch()
    with pytest.raises(MsmdError, match="must be tracked"):
        library.resolve("take.mp4", tmp_path)
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
        ({"format_version": 2}, "style format 2"),
        ({"tag": "other"}, "in a folder called"),
        ({"clips": []}, "no clips"),
        ({"clips": [{"file": "../../x.npz", "sha256": ""}]}, "outside"),
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
