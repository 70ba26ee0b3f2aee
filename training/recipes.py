"""The material of a preset: which data sets it trains on, and how they come into being when they are not there yet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from msmdcli.errors import MsmdError
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir
from training.config import RecipeConfig, TrainConfig, load_config, preset_names
from training.data.records import read_index

CORPUS_NOTES = Path(__file__).parent / "data" / "corpus.yaml"
Talk = Callable[[str], None]


def recipe_data(recipe: RecipeConfig, cache: Path, talk: Talk, jobs: int = 1) -> list[Path]:
    """Data set folders of a recipe, made in `cache` where they are missing; what was begun goes on where it stood.

    Raises:
        MsmdError: the preset has no recipe, or the material for it is not on this machine.
    """
    folders = []
    if recipe.corpus:
        notes = hashlib.sha256(CORPUS_NOTES.read_bytes()).hexdigest()[:8]  # other offsets or splits: another data set
        folders.append(_corpus(cache, f"corpus-{notes}", talk, jobs))
    if recipe.performed_hours:
        folders.append(_performed(cache / f"performed-{recipe.speech_seed}", recipe, talk, jobs))
    if recipe.speech_hours:
        folders.append(_speech(cache / f"speech-{recipe.speech_seed}", recipe, talk, jobs))
    if not folders:
        raise MsmdError(
            "this configuration names no data", hint="name a data set with --data: a folder with an index.jsonl"
        )
    return folders


def for_own_data(config: TrainConfig, folders: Sequence[Path], talk: Talk, stated: bool = False) -> TrainConfig:
    """The configuration for data sets that the user names, which may hold other sources than the preset's recipe makes.

    Args:
        config: of a preset, and of a file over it.
        folders: the data sets.
        talk: hears what is changed.
        stated: the file says which sources are trained on.

    A preset's `data.sources` say how its own material is mixed, and would leave every other source out. So they count
    only for data sets that hold all of that material, whatever lies beside it (a corpus has clips that a studio may not
    train on); a configuration file's own `data.sources` always count. An ear learns from all tracked mouths where no
    phones are known, and a rig without ARKit's jaw and lips has no mouth to hear.
    """
    if config.ear.width and not any(record.mouth for folder in folders for record in read_index(folder)):
        config = replace(config, ear=replace(config.ear, real=("*",)))
    if config.model.mouth_width and not {"jawOpen", "mouthClose"} <= set(Rig.load(config.data.rig).channels):
        talk(f"{config.data.rig} has no ARKit jaw and lips: all of it is sampled")
        model, loss = replace(config.model, mouth_width=0), replace(config.loss, gap=0.0, mouth_added=0.0)
        config = replace(config, model=model, loss=loss, ear=replace(config.ear, width=0))
    shares = config.data.sources
    of_preset = not stated and any(load_config(name).data.sources == shares for name in preset_names())
    if shares is None or "*" in shares or not of_preset:
        return config
    found = {record.source for folder in folders for record in read_index(folder)}
    if found <= set(shares):
        return config
    named = ", ".join(sorted(shares))
    if set(shares) <= found:
        talk(f"Of the data {named} are trained on, as the preset says; for all of it write data.sources: {{'*': 1}}")
        return config
    talk(f"All clips are trained on, by duration: the preset's shares are of other sources ({named})")
    return replace(config, data=replace(config.data, sources=None, validation_without=()))


def _corpus(cache: Path, name: str, talk: Talk, jobs: int) -> Path:
    """The corpus, with channels solved from landmarks: of the tracks that lie beside it, else of those that are made
    once in `cache`. Where they cannot be made, with MediaPipe's scores, and that is said."""
    from msmdcli.tracking.landmark_solver import VERSION
    from training.data.corpus import build_corpus, tracks_beside

    shared = shared_dir()
    tracks = None if shared is None else tracks_beside(shared / "corpus")
    folder = cache / (f"{name}-landmarks{VERSION}" if tracks is None else f"{name}-tracks")
    if (folder / "index.jsonl").is_file():
        return folder
    if shared is None or not (shared / "corpus").is_dir():
        raise MsmdError(
            "the talking-face corpus is not on this machine",
            hint="Set MSMD_SHARED to the folder that holds it, or give your own data set with --data.",
        )
    tracks = tracks or _tracks(shared / "corpus", cache / "corpus-landmarks", talk, jobs)
    if tracks is None:
        folder = cache / name
        if (folder / "index.jsonl").is_file():
            return folder
    talk(f"Reading the corpus into {folder}")
    build_corpus(shared / "corpus", folder, tracks=tracks)
    return folder


def _tracks(corpus: Path, out: Path, talk: Talk, jobs: int) -> Path | None:
    """The corpus tracked with today's solver; None where it cannot be tracked here."""
    from training.faces.corpus_tracks import make_tracks

    try:
        return make_tracks(corpus, out, talk, jobs)
    except MsmdError as error:
        hint = f" ({error.hint})" if error.hint else ""
        talk(f"The corpus cannot be tracked here, so MediaPipe's scores are taken: {error.message}{hint}")
        return None


def _speech(folder: Path, recipe: RecipeConfig, talk: Talk, jobs: int) -> Path:
    from training.speech.speech import build

    _tell_missing(recipe, talk)
    talk(f"Synthesising {recipe.speech_hours:g} h of speech in {folder} (what is there is kept)")
    minutes = 0.0
    for row in build(folder, recipe.speech_hours, recipe.speech_seed, jobs, recipe.speech_engines):
        before, minutes = minutes, minutes + row["seconds"] / 60
        if int(before / 10) != int(minutes / 10):
            talk(f"  {minutes:.0f} minutes of {60 * recipe.speech_hours:.0f}")
    return folder


def _performed(folder: Path, recipe: RecipeConfig, talk: Talk, jobs: int) -> Path:
    from training.speech.performed import build

    _tell_missing(recipe, talk)
    talk(f"Performing {recipe.performed_hours:g} h of synthetic speech in {folder} (what is there is kept)")
    before = 0.0
    for seconds in build(folder, recipe.performed_hours, recipe.speech_seed, recipe.speech_engines, jobs):
        if int(seconds / 600) != int(before / 600):
            talk(f"  {seconds / 60:.0f} minutes of {60 * recipe.performed_hours:.0f}")
        before = seconds
    return folder


def _tell_missing(recipe: RecipeConfig, talk: Talk) -> None:
    """Which of a recipe's synthesisers are not installed here: other voices speak then, and the model is another."""
    from training.speech.synthesisers import find_engines

    _, missing = find_engines(recipe.speech_engines)
    for why in missing:
        talk(f"Without one of the preset's synthesisers: {why}")
