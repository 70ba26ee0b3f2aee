"""Make the style library that ships: tags with reference clips that belong to nobody.

    python -m training.speech.make_styles [TAG...] [--out styles]

Each tag of ``style_manners.yaml`` is performed (`performance`) on the takes of ``style_takes.yaml``: lines
spoken by a synthesiser, of which only the phonemes and their times are kept. So nobody's face or voice is in the clips,
and all tags say the same: they differ in nothing but manner. Written per tag:

    OUT/<tag>/style.yaml        what it is, its licence, this command, sha256 of the clips
    OUT/<tag>/<take>.npz        motion, rig arkit52, 25 fps

The clips depend on three YAML files alone (``style_visemes.yaml``, manners, takes); no synthesiser is needed. `--speak`
speaks the takes anew with espeak-ng and rewrites ``style_takes.yaml``: for another text, not to reproduce the library.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import yaml

from msmdcli.errors import MsmdError, did_you_mean
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shipped_styles
from msmdcli.styles.library import FORMAT_VERSION as STYLE_FORMAT
from msmdcli.system.files import sha256_of
from training.data.lip_gap import sealed
from training.speech.acted_manner import ActedManner, Glance
from training.speech.lips import bilabial
from training.speech.performance import perform
from training.speech.visemes import Phone, VisemeTable, covered

MANNERS = Path(__file__).with_name("style_manners.yaml")
TAKES = Path(__file__).with_name("style_takes.yaml")
VISEMES = Path(__file__).with_name("style_visemes.yaml")
FORMAT_VERSION = 1  # of both files
FPS = Fraction(25)
LEAD, TAIL = 0.35, 0.45  # seconds of silence around a take
LICENCE = "CC0-1.0"
GENERATOR = "training.make_styles"  # in the clips that ship; their bytes do not change when this file moves
CONSENT = "not needed: no person was recorded"
SOURCE = "synthetic: made by MSMD from phoneme times and facial action units, without a recording of a face or a voice"


@dataclasses.dataclass(frozen=True)
class Tag:
    """A tag of the library: its name, its description in words, its manner."""

    name: str
    description: str
    manner: ActedManner


def read_tags(path: Path = MANNERS) -> dict[str, Tag]:
    """The tags of a file of manners, in its order.

    Raises:
        MsmdError: an unknown key, channel or a value of the wrong kind; names file, tag and key.
    """
    rig = Rig.load("arkit52")
    tags = {}
    for name, entry in _load(path).items():
        where = f"{path.name}, {name}"
        if not isinstance(entry, dict) or not isinstance(entry.get("description"), str):
            raise MsmdError(f"{where}: no description")
        values = {key: value for key, value in entry.items() if key != "description"}
        manner = _build(ActedManner, values, where)
        for group in (manner.pose, manner.flash):
            _check_channels(group, rig, where)
        tags[name] = Tag(name, entry["description"], manner)
    return tags


def read_takes(path: Path = TAKES) -> dict[str, list[Phone]]:
    """Name of the take -> its phones from 0 on, with the silences around it."""
    takes = {}
    for name, entry in _load(path).items():
        phones = [Phone(symbol, start / 1000, end / 1000, level) for symbol, start, end, level in entry["phones"]]
        moved = [phone.moved(LEAD) for phone in phones if phone.symbol]
        takes[name] = covered(moved, moved[-1].end + TAIL)
    return takes


def make_clip(tag: Tag, take: str, phones: Sequence[Phone], rig: Rig, table: VisemeTable) -> Motion:
    """One clip: a take in a tag's manner, whose lips meet on m, b and p."""
    motion = perform(phones, tag.manner, f"{tag.name}/{take}", rig, table, FPS)
    closed = bilabial(phones, np.arange(motion.frames) / float(FPS), table).astype(np.float32)
    motion = dataclasses.replace(motion, values=sealed(motion.values, closed, rig))
    meta = {"style": tag.name, "take": take, "synthetic": "true", "licence": LICENCE}
    return dataclasses.replace(motion, meta={**meta, "generator": GENERATOR})


def write_tag(tag: Tag, clips: Mapping[str, Motion], out: Path) -> None:
    """Write a tag's folder: its clips and its style.yaml."""
    folder = out / tag.name
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for take, motion in clips.items():
        save_npz(folder / f"{take}.npz", motion)
        entries.append({"file": f"{take}.npz", "sha256": sha256_of(folder / f"{take}.npz")})
    style = {
        "format_version": STYLE_FORMAT,
        "tag": tag.name,
        "description": tag.description,
        "licence": LICENCE,
        "consent": CONSENT,
        "source": SOURCE,
        "synthetic": True,
        "created_by": f"python -m training.speech.make_styles {tag.name}",
        "clips": entries,
    }
    text = yaml.safe_dump(style, sort_keys=False, allow_unicode=True, width=120)
    (folder / "style.yaml").write_text(text, encoding="utf-8")


def speak_takes(path: Path = TAKES) -> None:
    """Speak the texts of a file of takes with espeak-ng and write their phonemes and times into it."""
    from training.speech.synthesisers import Espeak

    espeak = Espeak()
    takes = _load(path)
    lines = [_HEADER.format(format_version=FORMAT_VERSION, version=espeak.version)]
    for name, entry in takes.items():
        voice = next((v for v in espeak.voices() if v.id == entry["voice"]), None)
        if voice is None:
            raise MsmdError(f"{path.name}, {name}: espeak-ng has no voice {entry['voice']!r}")
        spoken = espeak.speak(voice, entry["text"], tempo=1.0, pitch=0.5)
        phones = [[p.symbol, round(1000 * p.start), round(1000 * p.end), round(p.level, 1)] for p in spoken.phones]
        lines += [f"{name}:", f"  voice: {entry['voice']}", f"  text: {json.dumps(entry['text'])}", "  phones:"]
        lines += [f"    - {json.dumps(phone, ensure_ascii=False)}" for phone in phones]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


_HEADER = """\
# The takes of the style library: what is said, and when each phoneme sounds. Read by training/speech/make_styles.py.
# phones: [IPA symbol ("" = silence), start, end (milliseconds), level (dB against the median vowel)].
# Phones written by `python -m training.speech.make_styles --speak` from voice and text, with espeak-ng {version}.
format_version: {format_version}
"""


def _load(path: Path) -> dict[str, Any]:
    """The entries of a YAML file with a format version."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or data.pop("format_version", None) != FORMAT_VERSION:
        raise MsmdError(f"{path} has another format version", hint=f"this program reads {FORMAT_VERSION}")
    return data


def _build(kind: Any, values: Any, where: str) -> Any:
    """A dataclass of `training.speech.acted_manner` from a mapping; unknown keys are errors."""
    hints = get_type_hints(kind)
    if not isinstance(values, dict):
        raise MsmdError(f"{where}: {values!r} is not a mapping of keys")
    built = {}
    for key, value in values.items():
        if key not in hints:
            raise MsmdError(f"{where}: unknown key {key!r}", hint=did_you_mean(str(key), hints))
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            built[key] = _build(hint, value, f"{where}, {key}")
        elif hint is float:
            built[key] = _number(value, f"{where}, {key}")
        elif key == "glances":
            built[key] = tuple(_build(Glance, item, f"{where}, glance") for item in value)
        elif isinstance(value, dict):
            built[key] = {str(name): _number(size, f"{where}, {key}, {name}") for name, size in value.items()}
        elif isinstance(value, list) and len(value) == 3:
            built[key] = tuple(_number(item, f"{where}, {key}") for item in value)
        else:
            raise MsmdError(f"{where}: {key} cannot be {value!r}")
    return kind(**built)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MsmdError(f"{where}: {value!r} is not a number")
    return float(value)


def _check_channels(pose: Mapping[str, float], rig: Rig, where: str) -> None:
    known = {*rig.channels, *(c.removesuffix("Left").removesuffix("Right") for c in rig.channels)}
    for name, value in pose.items():
        if name not in known:
            raise MsmdError(f"{where}: no channel {name!r}", hint=did_you_mean(name, known))
        if not 0 <= value <= 1:
            raise MsmdError(f"{where}: {name} is {value}, outside 0 to 1")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.speech.make_styles", description="Make the style library."
    )
    parser.add_argument("tags", nargs="*", metavar="TAG", help="which tags (default: all)")
    parser.add_argument("--out", type=Path, default=shipped_styles(), help="folder of tags (default: %(default)s)")
    parser.add_argument("--speak", action="store_true", help="first speak the takes anew (needs espeak-ng)")
    options = parser.parse_args(arguments)
    try:
        if options.speak:
            speak_takes()
        tags, takes = read_tags(), read_takes()
        rig, table = Rig.load("arkit52"), VisemeTable.load(VISEMES)
        for name in options.tags or tags:
            if name not in tags:
                raise MsmdError(f"{MANNERS.name} has no tag {name!r}", hint=did_you_mean(name, tags))
            clips = {take: make_clip(tags[name], take, phones, rig, table) for take, phones in takes.items()}
            write_tag(tags[name], clips, options.out)
            lengths = " and ".join(f"{float(clip.seconds):.1f} s" for clip in clips.values())
            print(f"{name}: {lengths}")
    except MsmdError as error:
        print(f"Error: {error.message}\nHint: {error.hint or 'see the file named above'}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
