"""The JSON Schema of manifests agrees with the parser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from nasty_manifests import mutated

from msmdcli.documents.nodes import Node
from msmdcli.documents.tree import parse_yaml
from msmdcli.errors import MsmdError
from msmdcli.manifest.loading import load_manifest
from msmdcli.manifest.schema import manifest_schema
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
SCHEMA = jsonschema.Draft202012Validator(manifest_schema(RIG))

EVERYTHING = """\
version: 1
defaults: {style: neutral, formats: "livelink-csv, npz", fps: 29.97, head: off, blinks: 18, takes: 2}
characters:
  guard: {head: guard.glb, styles: tags, defaults: {style: angry, silence_gate: true, articulation: 1.2}, lines: []}
  queen:
    defaults: {performance: Generated, performance_amount: 0.8, smooth: 0.3, articulation: 'jaw=1.2, lips=1'}
    lines: [{id: q1, audio: q1.wav, length: 126 frames, when_longer: trim, when_shorter: hold}]
lines:
  - {id: 007, audio: a.wav, character: guard, language: no, text: 12, fields: {scene: 3, mood: ~}}
  - {id: b, audio: b.wav, style: [{ref: angry, weight: 0.7}, sad], intensity: 1.3, seed: 9223372036854775807}
  - {id: c, audio: c.wav, regions: {upper: surprised, jawOpen: none, gaze: [{ref: sad}]}, fps: 30000/1001}
  - id: d
    audio: d.wav
    segments: [{start: 0, style: neutral}, {start: 1.5, regions: {mouth: sad}, fade: 0.4, intensity: 1.2}]
    guidance_audio: 0.5
    guidance_style: 1
    guidance_interval: 0.2-0.8
    guidance_rescale: 0.5
    mouth_size: generated
    performance: off
    performance_amount: {head: 0.5, all: 1.2}
    keep_head_pose: true
    head: 0.5
    blinks: Off
    silence_gate: -45
    smooth: no
    closures: Off
    articulation: {jaw: 1.2, lips: ~}
    format_options: {fbx: {head: ~}, glb: {head: a.glb, reduce_keys: 0.1}, maya: {namespace: 7}}
    length: 4200 ms
    gestures:
      - {name: nod, at: 1.2, scale: 0.8}
      - {name: my/take.csv, at: 0, length: 2, blend: replace, fade: 0, channels: [head, browInnerUp]}
    pins:
      - {time: 1, hold: 0.5, channels: {jawOpen: 0.2, headYaw: -0.3}, blend: 0.2}
      - {channels: {eyes: 0}}
      - {channels: [brows], file: brows.npz}
    takes: ~
dub:
  - {id: e, audio: e.wav, original: e.mov, style_follow: timeline, head: original, face: 1, blinks: style, keep: [head]}
"""

BAD = [  # what a schema can see as well as the parser
    "lines: [{id: a, audio: a.wav}]",
    "version: 2\nlines: [{id: a, audio: a.wav}]",
    "version: 1\nlines: {a: b}",
    "version: 1\nlines: [a.wav]",
    "version: 1\nlines: [{id: a}]",
    "version: 1\nlines: [{audio: a.wav}]",
    "version: 1\nlines: [{id: ~, audio: a.wav}]",
    *(
        f"version: 1\nlines: [{{id: a, audio: a.wav, {entry}}}]"
        for entry in (
            *("sytle: angry", "intensity: 3.1", "intensity: loud", 'intensity: "1"', "seed: -1", "seed: 1.5"),
            *("style: []", "style: {ref: a}", "style: [{weight: 1}]", "style: [{ref: a, weight: -1}]"),
            *("regions: {uper: sad}", "regions: [upper]", "regions: {upper: {}}", "segments: [{style: sad}]"),
            *("segments: [{start: 1}]", "segments: [{start: -1, style: a}]", "segments: [{start: 1, stile: a}]"),
            *(
                "format_options: [glb]",
                "format_options: {gbl: {}}",
                "format_options: {glb: {haed: x}}",
                "formats: []",
                "formats: [livelink]",
                "formats: [npz, 3]",
                "fps: fast",
                "fps: 0",
                "fps: 2000",
            ),
            *("head: 4", "head: maybe", "head: guard.glb", "blinks: 100", "blinks: often", "blinks: true"),
            *("guidance_audio: -1", "guidance_style: much", "steps: 0", "sampler: euler", "quality: best"),
            *("guidance_interval: much", "guidance_rescale: 2", "mouth_size: large"),
            *("performance: some", "performance: true", "performance_amount: 1.6", "performance_amount: {ears: 1}"),
            *("performance_amount: {head: 2}", "performance_amount: [1]", "keep_head_pose: maybe"),
            *("silence_gate: 45", "silence_gate: loud", "smooth: 2", "smooth: true", "length: 0", "length: long"),
            *("closures: 0.5", "closures: maybe", "articulation: 4", "articulation: {jwa: 1}", "articulation: [1]"),
            *("length: -1", "length: 3 parsecs", "when_longer: hold", "when_shorter: trim", "takes: 0", "takes: 101"),
            *("takes: many", "gestures: nod", "gestures: [nod]", "gestures: [{name: nod}]", "gestures: [{at: 1}]"),
            *("gestures: [{name: nod, at: -1}]", "gestures: [{name: nod, at: 1, blend: mix}]"),
            *("gestures: [{name: nod, at: 1, channels: []}]", "gestures: [{name: nod, at: 1, channels: [chin]}]"),
            *("pins: {time: 1}", "pins: [{time: 1}]", "pins: [{channels: {}}]", "pins: [{channels: {jawOpen: 2}}]"),
            *(
                "pins: [{channels: {chin: 0}}]",
                "pins: [{channels: [jawOpen]}]",
                "pins: [{time: -1, channels: {eyes: 0}}]",
            ),
            *("pins: [{file: a.npz, channels: {eyes: 0}}]", "fields: [a]", "character: [a]", "text: [a]"),
        )
    ),
    "version: 1\ndefaults: {id: a}\nlines: [{id: a, audio: a.wav}]",
    "version: 1\ncharacters: [guard]\nlines: [{id: a, audio: a.wav}]",
    "version: 1\ncharacters: {guard: {voice: x}}\nlines: [{id: a, audio: a.wav}]",
    "version: 1\ndub: [{id: a, audio: a.wav}]",
    "version: 1\ndub: [{id: a, audio: a.wav, original: o.mov, style: sad}]",
    "version: 1\ndub: [{id: a, audio: a.wav, original: o.mov, head: 0.5}]",
    "version: 1\ndub: [{id: a, audio: a.wav, original: o.mov, face: 0}]",
    "version: 1\ndub: [{id: a, audio: a.wav, original: o.mov, keep: [ears]}]",
    *(f"version: 1\nlines: [{{id: '{name}', audio: a.wav}}]" for name in ("../a", "/a", "a/../b", "a:b", "a*", "")),
]

PARSER_ONLY = [  # what a schema cannot say
    "version: 1",
    "version: 1\nlines: [{id: a, audio: a.wav}, {id: A, audio: a.wav}]",
    "version: 1\nlines: [{id: con, audio: a.wav}]",
    "version: 1\nlines: [{id: a, audio: a.wav, character: guard}]",
    "version: 1\nlines: [{id: a, audio: a.wav, style: [{ref: a, weight: 0}]}]",
    "version: 1\nlines: [{id: a, audio: a.wav, format_options: {glb: {reduce_keys: few}}}]",
    "version: 1\nlines: [{id: a, audio: a.wav, segments: [{start: 2, style: a}, {start: 1, style: a}]}]",
    (
        "version: 1\ncharacters: {a: {lines: [{id: a, audio: b.wav}]}}\nlines: [{id: a, audio: a.wav, "
        "regions: {lids: a, mouthLeft: b, gaze: c, eyes: d, brows: e, upper: f, face: g}}]"
    ),
    "version: 1\nlines: [{id: a, audio: a.wav, pins: [{channels: {eyes: 0}}, {time: 1, channels: {gaze: 0}}]}]",
]


def instance(node: Node) -> Any:
    """What an editor sees of a document: YAML 1.2, core schema."""
    if isinstance(node.content, list):
        return [instance(item) for item in node.content]
    if isinstance(node.content, dict):
        return {key.text: instance(value) for key, value in node.content.items()}
    text = node.content
    if node.quoted:
        return text
    if node.is_null:
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text) and len(text) < 4000:
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,9})?", text):
        return float(text)
    if re.fullmatch(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", text):
        return float(text.replace(".", ""))
    return text


def parser_says(text: str, tmp_path: Path) -> bool:
    path = tmp_path / "lines.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load_manifest(path, RIG)
    except MsmdError:
        return False
    return True


def schema_says(text: str) -> bool:
    return bool(SCHEMA.is_valid(instance(parse_yaml(text, "lines.yaml"))))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)


def test_everything_that_a_manifest_can_say(tmp_path: Path) -> None:
    assert parser_says(EVERYTHING, tmp_path)
    SCHEMA.validate(instance(parse_yaml(EVERYTHING, "lines.yaml")))


@pytest.mark.parametrize("text", BAD)
def test_both_refuse(tmp_path: Path, text: str) -> None:
    assert not parser_says(text, tmp_path)
    assert not schema_says(text)


@pytest.mark.parametrize("text", PARSER_ONLY)
def test_what_only_the_parser_sees(tmp_path: Path, text: str) -> None:
    assert not parser_says(text, tmp_path)
    assert schema_says(text)


def test_the_schema_never_refuses_what_the_parser_takes(tmp_path: Path) -> None:
    """Mutations of a manifest that says everything; most are refused by both, many are still good."""
    everything, both = instance(parse_yaml(EVERYTHING, "lines.yaml")), 0
    for number in range(300):
        rng = np.random.Generator(np.random.Philox(key=number))
        data = mutated(everything, rng, changes=1 + number // 2 % 2)
        text = json.dumps(data) if number % 2 else yaml.safe_dump(data)
        try:
            document = instance(parse_yaml(text, "lines.yaml"))
        except MsmdError:
            continue
        if parser_says(text, tmp_path):
            both += 1
            errors = [f"{list(error.path)}: {error.message[:200]}" for error in SCHEMA.iter_errors(document)]
            assert not errors, text
    assert both > 50


def test_the_examples_are_valid() -> None:
    text = (Path(__file__).parents[3] / "examples" / "lines.yaml").read_text(encoding="utf-8")
    SCHEMA.validate(instance(parse_yaml(text, "lines.yaml")))


def test_the_command_prints_it(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "msmdcli", "schema"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == SCHEMA.schema
    out = tmp_path / "s.json"
    subprocess.run([sys.executable, "-m", "msmdcli", "schema", "--out", out, "--quiet"], check=True)
    assert json.loads(out.read_text()) == SCHEMA.schema
