"""The corpus tracked once: what is there is kept, what has no face is named."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion, load_npz, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.tracking.face_correspondence import VERTICES
from msmdcli.tracking.landmark_solver import VERSION
from msmdcli.tracking.neutral_face import shipped_resting_faces
from training import recipes
from training.data.corpus import build_corpus
from training.faces import corpus_tracks
from training.faces.corpus_tracks import is_current, make_tracks

FIELDS = ("clip", "path", "speaker", "emotion_or_tag", "language", "licence_or_dataset", "width", "height", "seconds")
FRAMES = 40


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two clips whose landmarks are stored: a still face, seen from the front."""
    folder = tmp_path / "shared" / "corpus"
    (folder / "tracked").mkdir(parents=True)
    face = shipped_resting_faces().mean
    points = np.concatenate([face, np.zeros((478 - VERTICES, 3))])
    points[VERTICES:] = face[:1]
    places = np.stack([0.5 + points[:, 0] / 400, 0.5 - points[:, 1] / 400, -points[:, 2] / 400], axis=1)
    names = np.array(["_neutral", *(str(n) for n in shipped_resting_faces().channels if n != "_neutral")])
    rows = []
    for clip in ("one", "two"):
        np.savez(
            folder / "tracked" / f"{clip}.npz",
            landmarks=np.repeat(places[None], FRAMES, axis=0).astype(np.float32),
            names=names,
            blendshapes=np.zeros((FRAMES, len(names)), np.float32),
            head_euler_deg=np.zeros((FRAMES, 3), np.float32),
            found=np.ones(FRAMES, bool),
            fps=25.0,
        )
        about = (clip, f"clips/wild/{clip}.mp4", f"speaker_of_{clip}", "neutral", "en", "made up", "100", "100", "1.6")
        rows.append(dict(zip(FIELDS, about, strict=True)))
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_tracks_are_made_once_and_anew_for_a_new_solver(corpus: Path, tmp_path: Path) -> None:
    said: list[str] = []
    tracks = make_tracks(corpus, tmp_path / "out", said.append)
    assert sorted(path.stem for path in tracks.iterdir()) == ["one", "two"]
    assert len(said) == 1 and "2 clips" in said[0] and "once" in said[0]
    assert load_npz(tracks / "one.npz").meta["solver"] == f"landmarks {VERSION}"
    before = (tracks / "one.npz").read_bytes()
    make_tracks(corpus, tmp_path / "out", said.append)
    assert len(said) == 1  # nothing to do, nothing said
    (tracks / "two.npz").write_bytes(before[:100])  # cut off
    rig = Rig.load("arkit52")
    old = Motion(np.zeros((FRAMES, rig.size), np.float32), Fraction(25), rig, {"solver": "landmarks 1"})
    save_npz(tracks / "one.npz", old, {"found": np.ones(FRAMES, bool)})
    assert not is_current(tracks / "one.npz") and not is_current(tracks / "two.npz")
    make_tracks(corpus, tmp_path / "out", said.append)
    assert len(said) == 2 and (tracks / "one.npz").read_bytes() == before and is_current(tracks / "two.npz")


def test_a_clip_without_a_face_is_named_and_not_looked_at_again(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with np.load(corpus / "tracked" / "two.npz") as file:
        kept = {name: file[name] for name in file.files if name != "landmarks"}
    np.savez(corpus / "tracked" / "two.npz", **kept)

    class AnyLandmarker:
        def __init__(self, model: Path) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    looked: list[Path] = []

    def track_video(path: Path, options: object) -> None:
        looked.append(path)
        raise MsmdError(f"no face in {path.name}")

    monkeypatch.setattr(corpus_tracks, "Landmarker", AnyLandmarker)
    monkeypatch.setattr(corpus_tracks, "find_face_model", lambda: Path("model"))
    monkeypatch.setattr(corpus_tracks, "track_video", track_video)
    for _ in range(2):
        tracks = make_tracks(corpus, tmp_path / "out", lambda text: None)
    assert [path.stem for path in tracks.iterdir()] == ["one"] and len(looked) == 1
    assert (tmp_path / "out" / "without_face.txt").read_text() == "two: no face in two.mp4\n"


def test_a_recipe_takes_tracks_and_says_why_where_it_cannot(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "shared_dir", lambda: corpus.parent)
    taken: list[Path | None] = []

    def build(_: Path, out: Path, tracks: Path | None = None) -> None:
        taken.append(tracks)
        out.mkdir(parents=True)
        (out / "index.jsonl").write_text("")

    monkeypatch.setattr("training.data.corpus.build_corpus", build)
    config = recipes.RecipeConfig(corpus=True)
    said: list[str] = []
    (first,) = recipes.recipe_data(config, tmp_path / "cache", said.append)
    assert taken == [tmp_path / "cache" / "corpus-landmarks" / "tracks"] and first.name.endswith(f"landmarks{VERSION}")
    assert recipes.recipe_data(config, tmp_path / "cache", said.append) == [first] and len(taken) == 1

    def fails(*_: object) -> Path:
        raise MsmdError("MediaPipe is not installed", hint="pip install it")

    monkeypatch.setattr(corpus_tracks, "make_tracks", fails)
    (other,) = recipes.recipe_data(config, tmp_path / "elsewhere", said.append)
    assert taken[1] is None and "landmarks" not in other.name
    assert any("MediaPipe is not installed (pip install it)" in line for line in said)


def test_the_corpus_reads_what_was_tracked(corpus: Path, tmp_path: Path) -> None:
    tracks = make_tracks(corpus, tmp_path / "out", lambda text: None)
    with pytest.raises(MsmdError, match="cannot decode"):  # both have tracks, so their pictures are wanted
        build_corpus(corpus, tmp_path / "data", tracks=tracks)
