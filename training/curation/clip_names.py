"""What the names and labels of known data sets say about their clips.

A layout reads one data set's manner of naming. `plain` fits any folder. The facts here (codes, labels, licences) are
those of the data sets' own documentation, named at each layout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from msmdcli.errors import MsmdError

SPEECH_ACTIONS = ("talk", "speak", "sing", "whisper", "read", "shout")
HIDDEN_MOUTH = ("eat", "chew", "drink", "smoke", "kiss", "blow", "play_instrument", "mask")


@dataclass(frozen=True)
class ClipFacts:
    """What is known about a clip before it is opened.

    Attributes:
        speaker: the person; splits hold whole persons.
        tag: emotion or kind of recording.
        intensity: of the emotion, in the data set's own word; empty where there is none.
        language: ISO code or `und`.
        licence: data set and terms.
        commercial: whether the licence allows training a released model.
        dropped: why the data set's own label excludes the clip; empty if it does not.
        sound: file with its sound, where that is apart from the picture.
    """

    speaker: str
    tag: str = "unlabelled"
    intensity: str = ""
    language: str = "und"
    licence: str = "not stated"
    commercial: bool = False
    dropped: str = ""
    sound: Path | None = None


@dataclass(frozen=True)
class Layout:
    """One data set's manner.

    Attributes:
        name: as `--layout` has it.
        title: the data set; clips carry `name` as their source, plain ones their folder's.
        read: (folder, path relative to it, notes) -> facts, or None where the name is not of this manner.
        notes: folder -> what `read` needs to know about the whole folder (annotation files).
    """

    name: str
    title: str
    read: Callable[[Path, PurePosixPath, Any], ClipFacts | None]
    notes: Callable[[Path], Any] = field(default=lambda folder: None)


# ---- RAVDESS: Livingstone and Russo, PLoS ONE 2018 -------------------------------------------------------------------

RAVDESS_NAME = re.compile(r"(?:^|_)(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)$")
RAVDESS_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised")


def _ravdess(folder: Path, path: PurePosixPath, notes: Any) -> ClipFacts | None:
    """modality-channel-emotion-intensity-statement-repetition-actor, such as 01-01-06-01-02-01-12.mp4."""
    match = RAVDESS_NAME.search(path.stem)
    if match is None:
        return None
    modality, _, emotion, intensity, _, _, actor = (int(part) for part in match.groups())
    if not 1 <= emotion <= len(RAVDESS_EMOTIONS) or modality not in (1, 2, 3):
        return None
    return ClipFacts(
        speaker=f"ravdess_{actor:02d}",
        tag=RAVDESS_EMOTIONS[emotion - 1],
        intensity={1: "normal", 2: "strong"}.get(intensity, ""),
        language="en",
        licence="RAVDESS / CC BY-NC-SA 4.0",
        dropped={2: "picture without sound (modality 02)", 3: "sound without picture (modality 03)"}.get(modality, ""),
    )


# ---- GRID: Cooke, Barker, Cunningham and Shao, JASA 2006 -------------------------------------------------------------

GRID_NAME = re.compile(r"^(?:.*_)?[bslp][bgrw][abiw][a-z][0-9z][anps]$")
GRID_SPEAKER = re.compile(r"(?:^|[_-])s(\d{1,2})(?=$|[._-])")


def _grid(folder: Path, path: PurePosixPath, notes: Any) -> ClipFacts | None:
    """s1/bbaf2n.mpg: command, colour, preposition, letter, digit, adverb; the speaker is a folder."""
    if not GRID_NAME.match(path.stem):
        return None
    folders = [*path.parts[:-1][::-1], folder.name]
    number = next((match[1] for part in folders if (match := GRID_SPEAKER.search(part))), None)
    return ClipFacts(
        speaker=f"grid_s{number}" if number else f"grid_{path.stem}",
        tag="neutral",
        language="en",
        licence="GRID corpus / CC BY 4.0",
        commercial=True,
    )


# ---- MEAD: Wang et al., ECCV 2020 ------------------------------------------------------------------------------------

MEAD_EMOTIONS = {
    "angry": "angry",
    "contempt": "contemptuous",
    "disgusted": "disgusted",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprised": "surprised",
}
MEAD_PATH = re.compile(
    r"(?:^|[/_])(?P<person>[MW]\d{3})[/_](?:video[/_])?(?P<view>front|down|top|left_30|left_60|right_30|right_60)[/_]"
    rf"(?P<emotion>{'|'.join(MEAD_EMOTIONS)})[/_]level_?(?P<level>[1-3])[/_](?P<number>\d+)$"
)


def _mead(folder: Path, path: PurePosixPath, notes: Any) -> ClipFacts | None:
    """M003/video/front/angry/level_1/001.mp4, its sound in M003/audio/angry/level_1/001.m4a."""
    match = MEAD_PATH.search(f"{folder.name}/{path.with_suffix('')}")
    if match is None:
        return None
    sound = None
    if "video" in path.parts or folder.name == "video":
        whole = folder / path
        person = next(parent for parent in whole.parents if parent.name == "video").parent
        beside = person / "audio" / match["emotion"] / f"level_{match['level']}" / match["number"]
        sound = next((beside.with_suffix(s) for s in (".m4a", ".wav") if beside.with_suffix(s).is_file()), None)
    return ClipFacts(
        speaker=f"mead_{match['person']}",
        tag=MEAD_EMOTIONS[match["emotion"]],
        intensity=f"level {match['level']}",
        language="en",
        licence="MEAD / research use only",
        dropped="" if match["view"] == "front" else f"camera {match['view']}, not in front",
        sound=sound,
    )


# ---- CREMA-D: Cao et al., IEEE Transactions on Affective Computing 2014 ----------------------------------------------

CREMA_NAME = re.compile(r"^(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)$")
CREMA_EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgusted",
    "FEA": "fearful",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
CREMA_LEVELS = {"LO": "low", "MD": "medium", "HI": "high"}


def _crema_d(folder: Path, path: PurePosixPath, notes: Any) -> ClipFacts | None:
    """VideoFlash/1001_IEO_ANG_HI.flv: actor, sentence, emotion, level."""
    match = CREMA_NAME.match(path.stem)
    if match is None:
        return None
    return ClipFacts(
        speaker=f"crema_{match[1]}",
        tag=CREMA_EMOTIONS[match[3]],
        intensity=CREMA_LEVELS.get(match[4], ""),
        language="en",
        licence="CREMA-D / Open Database License 1.0",
        commercial=True,
    )


# ---- CelebV-Text: Yu et al., CVPR 2023 (and CelebV-HQ: Zhu et al., ECCV 2022) ----------------------------------------

CELEBV_NAME = re.compile(r"^(?P<video>[\w-]{11})_\d+(?:_\d+)?$")
CELEBV_TEXTS = {"action": "action", "emotion": "emotion", "appear": "look", "face": "look", "general": "look"}


@dataclass
class _CelebvLabels:
    """What annotations say: clip -> words."""

    actions: dict[str, str] = field(default_factory=dict)
    looks: dict[str, str] = field(default_factory=dict)
    emotions: dict[str, str] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        return bool(self.actions or self.looks or self.emotions)


def _celebv_notes(folder: Path) -> _CelebvLabels:
    """Annotations of either kind, below the folder or beside it: JSON with `clips` and vectors of attributes (as
    celebvhq_info.json has them), and description folders with a text file for each clip (as CelebV-Text has them)."""
    labels = _CelebvLabels()
    for file in sorted({*folder.glob("*.json"), *folder.parent.glob("celebv*.json")}):
        _celebv_json(file, labels)
    for file in sorted({*folder.rglob("*.txt"), *folder.parent.glob("desc*/**/*.txt")}):
        kind = next((kind for word, kind in CELEBV_TEXTS.items() if word in file.parent.name.lower()), None)
        if kind is None or not CELEBV_NAME.match(file.stem):
            continue
        table = {"action": labels.actions, "emotion": labels.emotions, "look": labels.looks}[kind]
        try:
            table[file.stem] = (
                f"{table.get(file.stem, '')} {file.read_text(encoding='utf-8', errors='replace')}".lower()
            )
        except OSError as error:
            raise MsmdError(f"{file} cannot be read: {error.strerror or error}") from error
    return labels


def _celebv_json(file: Path, labels: _CelebvLabels) -> None:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        clips = data["clips"]
        if not isinstance(clips, dict):
            return
        meta = data.get("meta_info", {})
        for clip, entry in clips.items():
            marks = entry.get("attributes") or entry.get("attribute") or {}
            for key, table in (("action", labels.actions), ("appearance", labels.looks)):
                names = meta.get(f"{key}_mapping", ())
                if key in marks:
                    there = [str(name).lower() for name, mark in zip(names, marks[key], strict=False) if mark]
                    table[clip] = " ".join(there)
            emotion = marks.get("emotion", {}).get("labels")
            if isinstance(emotion, list):  # a sequence with times: the longest
                emotion = max(emotion, key=lambda e: float(e["end_sec"]) - float(e["start_sec"]))["emotion"]
            if emotion:
                labels.emotions[clip] = str(emotion).lower()
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return  # some other JSON file


def _celebv(folder: Path, path: PurePosixPath, labels: _CelebvLabels) -> ClipFacts | None:
    """<YouTube id>_<number>.mp4; the person is the YouTube video, which is as much as the data set knows."""
    match = CELEBV_NAME.match(path.stem)
    if match is None or not labels.known:
        return None
    keys = [path.stem, path.stem.rsplit("_", 1)[0]]

    def words(table: Mapping[str, str]) -> str | None:
        return next((table[key] for key in keys if key in table), None)

    actions, looks, emotion = words(labels.actions), words(labels.looks), words(labels.emotions)
    return ClipFacts(
        speaker=f"celebv_{match['video']}",
        tag=_first_emotion(emotion),
        language="und",
        licence="CelebV-Text / research use only; video rights with owners",
        dropped=_celebv_dropped(actions, looks),
    )


def _celebv_dropped(actions: str | None, looks: str | None) -> str:
    hidden = [word for word in HIDDEN_MOUTH if _says(word, f"{actions or ''} {looks or ''}")]
    if hidden:
        return f"labelled {', '.join(hidden)}"
    if actions is not None and not any(_says(word, actions) for word in SPEECH_ACTIONS):
        return "labelled without talking, singing, whispering or reading"
    return ""


def _says(stem: str, text: str) -> bool:
    """Whether a text has a form of the verb or noun: eat, eats, eating, wearing_mask; but not `great` or `blond`."""
    ending = r"(?:s|es|ed|ing|e|en)?"
    drop_e = stem[:-1] if stem.endswith("e") else stem
    double = drop_e + drop_e[-1]
    return re.search(rf"(?<![a-z])(?:{stem}|{drop_e}|{double}){ending}(?![a-z])", text) is not None


def _first_emotion(text: str | None) -> str:
    known = ("neutral", "happy", "sad", "angry", "anger", "fear", "surprise", "contempt", "disgust")
    found = sorted((text.find(word), word) for word in known if text and word in text)
    same = {"anger": "angry", "fear": "fearful", "surprise": "surprised", "disgust": "disgusted"}
    same["contempt"] = "contemptuous"
    return same.get(found[0][1], found[0][1]) if found else "unlabelled"


# ---- any folder ------------------------------------------------------------------------------------------------------


def _plain(folder: Path, path: PurePosixPath, notes: Any) -> ClipFacts | None:
    """person/clip.mp4: the folder is the person. A clip that lies in no folder is a person of its own."""
    person = path.parts[0] if len(path.parts) > 1 else path.stem
    return ClipFacts(speaker=f"{folder.name}_{person}")


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("ravdess", "RAVDESS", _ravdess),
        Layout("crema-d", "CREMA-D", _crema_d),
        Layout("mead", "MEAD", _mead),
        Layout("celebv-text", "CelebV-Text", _celebv, _celebv_notes),
        Layout("grid", "GRID", _grid),
        Layout("plain", "plain folder", _plain),
    )
}
RECOGNISED = 0.9  # share of a folder's clips that must be named in a layout's manner


def find_layout(folder: Path, paths: Iterable[PurePosixPath]) -> tuple[Layout, Any]:
    """The layout of a folder with these clips (relative to it), and its notes; `plain` if no other fits."""
    paths = list(paths)
    for layout in LAYOUTS.values():
        notes = layout.notes(folder)
        if sum(layout.read(folder, path, notes) is not None for path in paths) >= RECOGNISED * len(paths):
            return layout, notes
    raise AssertionError("the layout `plain` fits everything")
