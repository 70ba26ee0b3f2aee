"""What is dropped on the page: kept beside the manifest under a safe name, if it is what it says; else one sentence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from batch_project import Project as BatchProject

from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import write_motion
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.studio import dropped as module
from msmdcli.studio.dropped import Dropped, safe_stem

RIG = Rig.load("arkit52")
PATIENCE = 300  # seconds


def take_of(folder: Path, name: str = "take.npz", seconds: float = 2.0, seed: int = 1) -> bytes:
    values = np.random.default_rng(seed).uniform(0, 0.3, (round(seconds * 30), RIG.size)).astype(np.float32)
    path = folder / f"written{Path(name).suffix}"
    if path.suffix == ".npz":
        save_npz(path, Motion(values, Fraction(30), RIG))
    else:
        write_motion(Motion(values, Fraction(30), RIG), path, "livelink-csv")
    return path.read_bytes()


def sent(dropped: Dropped, name: str, content: bytes) -> str:
    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    return dropped.accept(asyncio.run(dropped.receive(name, blocks())), name)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("take 3 (final).mov", "take_3_final"),
        ("../../etc/passwd.npz", "passwd"),
        ("C:\\Users\\me\\take.csv", "take"),
        ("Größe.mp4", "Groe"),
        ("....csv", "take"),
        ("日本.mp4", "take"),
        ("con.mp4", "take_con"),
        ("--force.npz", "force"),
        ("a" * 300 + ".mp4", "a" * 60),
    ],
)
def test_names_hold_everywhere(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_a_take_is_kept_once(tmp_path: Path, suffix: str) -> None:
    dropped = Dropped(tmp_path / "lines.yaml", RIG)
    first, second = take_of(tmp_path, f"x{suffix}"), take_of(tmp_path, f"x{suffix}", seed=2)
    assert sent(dropped, f"shrug{suffix}", first) == f"takes/shrug{suffix}"
    assert sent(dropped, f"shrug{suffix}", first) == f"takes/shrug{suffix}", "the same again is the same take"
    assert sent(dropped, f"shrug{suffix}", second) == f"takes/shrug_2{suffix}", "nothing is written over"
    assert (tmp_path / f"takes/shrug{suffix}").read_bytes() == first
    assert dropped.names() == [f"takes/shrug{suffix}", f"takes/shrug_2{suffix}"]
    assert len(list((tmp_path / "takes").iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"hello", "no performance"),
        ("take.exe", b"MZ", "no performance"),
        ("voice.wav", b"RIFF", "no performance"),
        ("take", b"", "no performance"),
        ("empty.npz", b"", "empty"),
        ("broken.npz", b"PK\x03\x04 no zip", "broken.npz is no take"),
        ("pickle.npz", b"\x80\x04\x95", "pickle.npz is no take"),
        ("table.csv", b"a,b\n1,2\n", "table.csv is no take"),
        ("movie.mp4", b"\0" * 5000, "movie.mp4 is no take"),
    ],
)
def test_what_is_no_take_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    dropped = Dropped(tmp_path / "lines.yaml", RIG)
    with pytest.raises(MsmdError, match=words) as error:
        sent(dropped, name, content)
    assert ".dropped-" not in error.value.message and str(tmp_path) not in error.value.message
    assert not (tmp_path / "takes").exists()


def test_too_short_and_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = Dropped(tmp_path / "lines.yaml", RIG)
    with pytest.raises(MsmdError, match="lasts 0"):
        sent(dropped, "blink.npz", take_of(tmp_path, seconds=0.5))
    monkeypatch.setattr(module, "LARGEST_TAKE", 1500)
    with pytest.raises(UsageError, match="larger than"):
        sent(dropped, "long.npz", take_of(tmp_path, seconds=5))
    assert not (tmp_path / "takes").exists()


def test_only_the_page_can_drop(project: BatchProject, serve: Callable) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out))
    content = take_of(project.folder)

    def post(headers: dict[str, str], root: str | None = None) -> tuple[int, bytes]:
        return studio.sent("api/take?name=mine.npz", content, headers, root)

    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        assert post(headers)[0] == 403
    assert post({}, root="/wrong/")[0] == 403
    assert studio.sent("api/keep", b"x" * 2_000_000, {})[0] == 403, "all else stays small"
    assert not (project.folder / "takes").exists()
    status, answer = post({})
    assert status == 200 and json.loads(answer) == {"ref": "takes/mine.npz"}
    made = studio.json("api/make", {"id": "line1", "keys": {"style": "takes/mine.npz"}})
    assert made["style"] == "takes/mine.npz" and made["curves"]["frames"] > 0
    shown = studio.json("api/reference", {"id": "line1", "keys": {"style": "takes/mine.npz"}})
    assert [clip["name"] for clip in shown["clips"]] == ["takes/mine.npz"]
    assert studio.json("api/project")["takes"] == ["takes/mine.npz"]


@pytest.fixture
def film(face_film: Path) -> bytes:
    """A short video of a face."""
    return face_film.read_bytes()


@pytest.mark.slow
def test_ctrl_c_ends_what_is_being_tracked(project: BatchProject, serve: Callable, film: bytes) -> None:
    psutil = pytest.importorskip("psutil")
    studio = serve(str(project.manifest), "--out", str(project.out), cache=project.folder / "cache")
    assert studio.sent("api/take?name=face.mp4", film, {})[0] == 200
    assert studio.json("api/make", {"id": "line1", "keys": {"style": "takes/face.mp4"}})["waiting"]
    process = psutil.Process(studio.process.pid)
    while not (children := process.children(recursive=True)):
        pass
    assert studio.stop() == 0
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1]


@pytest.mark.slow
def test_a_video_is_tracked_while_the_studio_goes_on(project: BatchProject, serve: Callable, film: bytes) -> None:
    studio = serve(str(project.manifest), "--out", str(project.out), cache=project.folder / "cache")
    status, answer = studio.sent("api/take?name=a%20face.mp4", film, {})
    assert status == 200 and json.loads(answer) == {"ref": "takes/a_face.mp4"}, answer
    asked = {"id": "line1", "keys": {"style": "takes/a_face.mp4"}}
    first = studio.json("api/make", asked)
    assert first["waiting"] == "tracking a_face.mp4" and 0 <= first["share"] <= 1
    assert studio.json("api/make", {"id": "line2", "keys": {}})["curves"]["frames"] > 0, "other lines go on meanwhile"
    while (made := studio.json("api/make", asked)).get("waiting"):
        pass
    assert made["style"] == "takes/a_face.mp4" and made["curves"]["frames"] > 0
