"""The manifest as a JSON Schema (draft 2020-12), for editors: completion, and errors while one types.

Made from the tables that the parser uses (keys, ranges, words, the rig's channels), with one description per key. It
never refuses what the parser takes. What a schema cannot say (unique ids, rising segments, whether a style exists)
`msmd batch --dry-run` checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from msmdcli.controls import articulation, blinks, closures, head, performance, silence_gate, smoothing
from msmdcli.controls.gesture import BLENDS, MAX_SCALE, MAX_SECONDS
from msmdcli.controls.pins import MAX_BLEND
from msmdcli.controls.shot_length import LONGER, SHORTER
from msmdcli.controls.shot_length import MAX_SECONDS as LONGEST_SHOT
from msmdcli.documents.names import FORBIDDEN, MAX_LENGTH
from msmdcli.formats.registry import FORMATS
from msmdcli.manifest.choices import (
    GESTURE_KEYS,
    MAX_SEGMENT_FADE,
    MAX_SEGMENT_START,
    MAX_TIME,
    MAX_WEIGHT,
    PIN_KEYS,
    SEGMENT_KEYS,
)
from msmdcli.manifest.dubs import MOST_FACES, NOT_FOR_DUBS, OWN_KEYS
from msmdcli.manifest.lines import CHOICES, HEADS, KEEPS, LINE_KEYS, MAX_INTENSITY, MAX_SEED, STYLE_FOLLOWS
from msmdcli.manifest.reading import CHARACTER_KEYS, TOP_KEYS, VERSION
from msmdcli.manifest.takes import MAX_TAKES
from msmdcli.model.samplers import SAMPLERS
from msmdcli.model.sampling import MAX_GUIDANCE, MAX_STEPS, QUALITIES
from msmdcli.motion.motion import MAX_FPS
from msmdcli.motion.rig import Rig

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT: Schema = {"type": ["string", "number", "boolean"]}  # any scalar: an id of 007 is a text
NAMED = "Name of a tag of the style library (`msmd styles list`), path of a motion or video, or none"

ABOUT = {
    "version": "Version of the manifest's format",
    "defaults": "What applies to all lines that do not say otherwise",
    "characters": "Groups of lines with things in common, by name",
    "lines": "The recordings to animate",
    "dub": "Recordings that dub a performance, whose manner they take over",
    "id": "Name of the outputs below the output folder; slashes make folders",
    "audio": "Path of the recording, relative to the manifest",
    "style": f"{NAMED}; or a weighted list of these",
    "regions": "A style for each region or channel of the face; the smaller region wins",
    "segments": "Changes of style within the line, by rising time",
    "intensity": "How far the style's expression goes: 1 as in the reference, safe from 0.5 to 1.5",
    "seed": "Another seed is another take",
    "formats": "Formats of the outputs",
    "format_options": "Options of formats: {glb: {head: hero.glb}}; `msmd convert --formats` lists them",
    "fps": "Frame rate of the outputs: 30, 29.97, 30000/1001",
    "language": "Carried to the report",
    "text": "What is said; carried to the report",
    "character": "Whose line it is: a name in `characters`",
    "fields": "Columns of your own, carried to the report",
    "sampler": "How the model is solved: ddpm, ddim or dpmpp-2m; what the model recommends if left out",
    "steps": "Network evaluations per window: speed against accuracy",
    "quality": "Sampler and steps in a word: draft (1 step) or standard (what the model recommends)",
    "guidance_audio": "Guidance scale of the sound: more makes the mouth larger and closer to it; 0 is off and fastest",
    "guidance_style": "Guidance scale of the style; 0 is off and fastest",
    "guidance_interval": "Guide between these shares of the noise only: 0.2-0.8",
    "guidance_rescale": "Bring guided motion back to the spread of the unguided, 0 (off) to 1",
    "performance": "Head, brows, eyes, cheeks: the style's own movement placed by rhythm, the model's, or none",
    "performance_amount": "How much of that movement, 0 to 1.5, or a factor per region",
    "keep_head_pose": "Keep a reference's mean yaw and roll of the head, which are the camera's",
    "head": "Head motion: generated, off, or a factor",
    "blinks": "style, off, or a rate per minute",
    "silence_gate": "true (default): the mouth rests where nobody speaks; off; or the level in dB of silence",
    "mouth_size": "How large the mouth speaks: as large as in the style's own clips (reference), or as generated",
    "articulation": "How far jaw and lips go: a gain for both, or {jaw: 1.2, lips: 1.1}; 1 is as mouth_size says",
    "closures": "true: lips meet on m, b, p and go to the teeth on f, v, where they are heard",
    "smooth": "Light smoothing without lag, 0 to 1; the mouth alone, by 0.2, if left out",
    "length": "Length of the shot: 4.2 (seconds), 4200 ms, 126 frames",
    "when_longer": "A line longer than its shot: cut its end, keep it, or fail",
    "when_shorter": "A line shorter than its shot: hold the last pose, or keep its length",
    "gestures": "Named gestures at a time: {name: nod, at: 1.2}",
    "pins": "Key poses and whole channels that are met exactly; the rest is generated around them",
    "takes": "Variants with different seeds: ID_take1, ID_take2, ...",
}
ABOUT_CHARACTER = {
    "head": "A head to preview on (GLB)",
    "curves": "Curve map to the character's own controls",
    "styles": "Folder of style tags of its own",
    "defaults": "What applies to its lines",
    "lines": "Its lines",
}
ABOUT_SEGMENT = {"start": "Seconds from the start of the line", "fade": "Seconds over which it takes over"}
ABOUT_GESTURE = {
    "name": "Name or file of a gesture",
    "at": "Seconds from the start of the line",
    "scale": "Its size; 1 is as it was made",
    "length": "Seconds that it takes; as it was made if left out",
    "blend": "add it to what the line does, or replace that",
    "fade": "Seconds over which it comes and goes",
    "channels": "Regions and channels that it may move; all of its own if left out",
}
ABOUT_PIN = {
    "time": "Seconds at which the pose is met; the whole line if left out",
    "hold": "Seconds for which it is held",
    "channels": "Channels or regions and their values; with `file` a list of them",
    "blend": "Seconds over which the motion bends towards it, before and after",
    "file": "A motion file whose curves are followed",
}
ABOUT_AMOUNT = {
    "all": "Factor of every region that is not named",
    "head": "Factor of the head's movement",
    "brows": "Factor of the brows' movement",
    "eyes": "Factor of the movement of gaze and lids; at 0 there are no blinks",
    "cheeks": "Factor of the cheeks' movement",
    "nose": "Factor of the nose's movement",
}
ABOUT_ARTICULATION = {"jaw": "Gain of the jaw", "lips": "Gain of the lips"}
ABOUT_DUB = {
    "original": "The performance: a video, a Live Link Face CSV or a motion npz",
    "style_follow": "One style from the whole performance, or its style through time",
    "head": "Head motion: performed (see keep), generated, off, or the original's stretched to the dub",
    "keep": "What runs along with the original where lengths allow: upper, head, none",
    "face": "Which face of a video with several, 1 being the most prominent",
}


def manifest_schema(rig: Rig) -> Schema:
    """The schema of a manifest whose lines are animated on `rig`."""
    groups = [*rig.regions, *(name for name in rig.channels if name not in rig.regions)]
    choices = _choices()
    line = _line(choices)
    dub = _object(_dub(choices), ("id", "audio", "original"), ABOUT | ABOUT_DUB)
    character: dict[str, Schema] = {
        **dict.fromkeys(("head", "curves", "styles"), TEXT),
        "defaults": {"$ref": "#/$defs/choices"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    }
    top: dict[str, Schema] = {
        "version": {"const": VERSION},
        "defaults": {"$ref": "#/$defs/choices"},
        "characters": {"type": "object", "additionalProperties": {"$ref": "#/$defs/character"}},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "dub": {"type": "array", "items": {"$ref": "#/$defs/dub"}},
    }
    return {
        "$schema": DIALECT,
        "title": "MSMD manifest",
        **_object(_picked(top, TOP_KEYS), ("version",), ABOUT),
        "$defs": {
            "choices": _object(choices, (), ABOUT),
            "line": _object(line, ("id", "audio"), ABOUT),
            "character": _object(_picked(character, CHARACTER_KEYS), (), ABOUT_CHARACTER),
            "dub": dub,
            **_lists(rig, groups),
            "style": _style(),
            "regions": {
                "type": "object",
                "propertyNames": {"enum": groups},
                "additionalProperties": {"$ref": "#/$defs/style"},
            },
        },
    }


def _lists(rig: Rig, groups: list[str]) -> dict[str, Schema]:
    """What `segments`, `gestures` and `pins` hold."""
    segment = {
        "start": _number(0, MAX_SEGMENT_START),
        "style": {"$ref": "#/$defs/style"},
        "regions": {"$ref": "#/$defs/regions"},
        "fade": _number(0, MAX_SEGMENT_FADE),
        "intensity": _number(0, MAX_INTENSITY),
    }
    gesture = {
        "name": TEXT,
        "at": _number(0, MAX_TIME),
        "scale": _number(0, MAX_SCALE),
        "length": _number(0.01, MAX_SECONDS),
        "blend": {"enum": list(BLENDS)},
        "fade": _number(0, MAX_SECONDS),
        "channels": _names(groups),
    }
    segments = _object(_picked(segment, SEGMENT_KEYS), ("start",), ABOUT | ABOUT_SEGMENT)
    segments["anyOf"] = [{"required": [key]} for key in ("style", "regions", "intensity")]
    gestures = _object(_picked(gesture, GESTURE_KEYS), ("name", "at"), ABOUT_GESTURE)
    return {
        "segments": {"type": "array", "items": segments},
        "gestures": {"type": "array", "items": gestures},
        "pins": {"type": "array", "items": _pin(rig, groups)},
    }


def _choices() -> dict[str, Schema]:
    names = list(FORMATS)
    one_text = "|".join(name.replace(".", r"\.") for name in names)
    known = {
        "style": {"$ref": "#/$defs/style"},
        "regions": {"$ref": "#/$defs/regions"},
        "segments": {"$ref": "#/$defs/segments"},
        "intensity": _number(0, MAX_INTENSITY),
        "seed": {"type": "integer", "minimum": 0, "maximum": MAX_SEED},
        "formats": {
            "anyOf": [
                {"type": "array", "items": {"enum": names}, "minItems": 1},
                {"type": "string", "pattern": rf"^[\s,]*({one_text})\s*(,\s*(({one_text})\s*)?)*$"},
            ]
        },
        "format_options": _object(
            {
                name: _object(dict.fromkeys(form.all_options, TEXT), (), form.all_options)
                for name, form in FORMATS.items()
            },
            (),
            {name: form.about for name, form in FORMATS.items()},
        ),
        "fps": {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_FPS},
                {"type": "string", "pattern": r"^\s*\+?[0-9._]+(/[0-9_]+)?\s*$"},
            ]
        },
        "language": TEXT,
        "sampler": {"enum": list(SAMPLERS)},
        "steps": {"type": "integer", "minimum": 1, "maximum": MAX_STEPS},
        "quality": {"enum": list(QUALITIES)},
        "guidance_audio": _number(0, MAX_GUIDANCE),
        "guidance_style": _number(0, MAX_GUIDANCE),
        "guidance_interval": {"type": "string", "pattern": r"^\s*[0-9.]+\s*-\s*[0-9.]+\s*$"},
        "guidance_rescale": _number(0, 1),
        "performance": _spelled((*performance.SOURCES, "no", "false")),
        "performance_amount": {
            "anyOf": [
                _number(0, performance.MAX_AMOUNT),
                _object(
                    dict.fromkeys((performance.ALL, *performance.REGIONS), _number(0, performance.MAX_AMOUNT)),
                    (),
                    ABOUT_AMOUNT,
                ),
                {"type": "string"},
            ]
        },
        "keep_head_pose": _spelled((*performance.YES, *performance.NO)),
        "head": _words(head.WORDS, _number(0, head.MAX_SCALE)),
        "blinks": _words((*blinks.AS_STYLE, *blinks.OFF), _number(0, blinks.MAX_RATE)),
        "silence_gate": _words(
            (*silence_gate.ON, *silence_gate.OFF), _number(silence_gate.LOWEST_DB, silence_gate.HIGHEST_DB)
        ),
        "smooth": _words(smoothing.OFF, _number(0, 1)),
        "mouth_size": _spelled(articulation.MOUTH_SIZES),
        "articulation": {
            "anyOf": [
                _number(0, articulation.MAX_GAIN),
                {"type": "string", "pattern": r"^\s*(jaw|lips)\s*=.+$"},
                _object(
                    {axis: _number(0, articulation.MAX_GAIN) for axis in articulation.AXES}, (), ABOUT_ARTICULATION
                ),
            ]
        },
        "closures": _spelled((*closures.ON, *closures.OFF)),
        "length": {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SHOT},
                {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([sS]|[sS]econds|[mM][sS]|[fF]|[fF]rames)\s*$"},
            ]
        },
        "when_longer": {"enum": list(LONGER)},
        "when_shorter": {"enum": list(SHORTER)},
        "gestures": {"$ref": "#/$defs/gestures"},
        "pins": {"$ref": "#/$defs/pins"},
        "takes": {"type": "integer", "minimum": 1, "maximum": MAX_TAKES},
    }
    return _picked(known, CHOICES)


def _pin(rig: Rig, groups: list[str]) -> Schema:
    values: dict[str, Schema] = {}
    for name in groups:
        columns = [rig.channels.index(channel) for channel in rig.regions.get(name, (name,))]
        values[name] = _number(float(rig.lower[columns].max()), float(rig.upper[columns].min()))
    mapping = {"type": "object", "properties": values, "additionalProperties": False, "minProperties": 1}
    known = {
        "time": _number(0, MAX_TIME),
        "hold": _number(0, MAX_TIME),
        "channels": {"type": ["object", "array"]},
        "blend": _number(0, MAX_BLEND),
        "file": TEXT,
    }
    pin = _object(_picked(known, PIN_KEYS), ("channels",), ABOUT_PIN)
    pin["if"] = {"properties": {"file": {"not": {"type": "null"}}}, "required": ["file"]}
    pin["then"] = {"properties": {"channels": _names(groups)}}
    pin["else"] = {"properties": {"channels": mapping}}
    return pin


def _line(choices: Mapping[str, Schema]) -> dict[str, Schema]:
    forbidden = "".join(f"\\{letter}" if letter in "\\]^-" else letter for letter in FORBIDDEN)
    known = {
        **choices,
        "id": {
            "type": ["string", "number", "boolean"],
            "minLength": 1,
            "maxLength": MAX_LENGTH,
            "pattern": rf"^(?!/)(?!.*(^|/)\.\.(/|$))[^{forbidden}]+$",
        },
        "audio": TEXT,
        "text": TEXT,
        "character": TEXT,
        "fields": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
    }
    return _picked(known, LINE_KEYS)


def _dub(choices: Mapping[str, Schema]) -> dict[str, Schema]:
    own = {
        "original": TEXT,
        "style_follow": {"enum": list(STYLE_FOLLOWS)},
        "head": {"enum": list(HEADS)},
        "keep": {"anyOf": [{"type": "array", "items": {"enum": list(KEEPS)}}, {"type": "string"}]},
        "face": {"type": "integer", "minimum": 1, "maximum": MOST_FACES},
    }
    line = {key: schema for key, schema in _line(choices).items() if key not in NOT_FOR_DUBS}
    return line | _picked(own, OWN_KEYS)


def _style() -> Schema:
    entry = {"ref": TEXT, "weight": _number(0, MAX_WEIGHT)}
    about = {"ref": NAMED, "weight": "Its share; only ratios matter"}
    entries = {"anyOf": [TEXT, _object(entry, ("ref",), about)]}
    return {"anyOf": [TEXT, {"type": "array", "items": entries, "minItems": 1}]}


def _object(properties: Mapping[str, Schema], required: Iterable[str], about: Mapping[str, str]) -> Schema:
    """A mapping of known keys. A key whose value is null counts as not given."""
    described = {}
    for key, schema in properties.items():
        given = schema if key in required else {"anyOf": [schema, {"type": "null"}]}
        described[key] = {"description": about[key], **given}
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": described, **needed, "additionalProperties": False}


def _picked(schemas: Mapping[str, Schema], keys: Iterable[str]) -> dict[str, Schema]:
    """In the parser's order; a key without a schema, or the other way round, is our mistake."""
    if set(schemas) != set(keys):
        raise KeyError(f"keys of the parser and of the schema differ: {set(schemas) ^ set(keys)}")
    return {key: schemas[key] for key in keys}


def _number(low: float, high: float) -> Schema:
    bounds = {"minimum": low, "maximum": high}
    return {"type": "number", **{name: bound for name, bound in bounds.items() if isfinite(bound)}}


def _names(groups: list[str]) -> Schema:
    return {"type": "array", "items": {"enum": groups}, "minItems": 1}


def _words(words: Iterable[str], number: Schema) -> Schema:
    """A number or one of a few words in the usual spellings; true and false as YAML reads them."""
    return {"anyOf": [number, _spelled(words)]}


def _spelled(words: Iterable[str]) -> Schema:
    """One of a few words in the usual spellings; true and false as YAML reads them."""
    words = tuple(words)
    spelled = [form for word in words for form in (word, word.capitalize(), word.upper())]
    truth = [value for word, value in (("true", True), ("false", False)) if word in words]
    return {"enum": [*dict.fromkeys(spelled), *truth]}
