from __future__ import annotations

from pathlib import Path

from manifest_texts import lines, problems, read

from msmdcli.controls.articulation import Articulation


def test_controls_are_read_and_their_errors_placed(tmp_path: Path) -> None:
    (line,) = read(
        tmp_path,
        lines(
            "{id: a, audio: a.wav, head: off, blinks: 18, silence_gate: -45, smooth: 0.3, length: 126 frames, takes: 3,"
            " articulation: {lips: 1.1}, closures: off,"
            " when_longer: fail, gestures: [{name: nod, at: 1.2, scale: 0.8}],"
            " pins: [{time: 1, channels: {jawOpen: 0.2, head: 0}}, {channels: [gaze], file: look.npz}]}"
        ),
    ).lines
    choices = line.choices
    assert (choices.head, choices.smooth, choices.takes, choices.when_longer) == (0.0, 0.3, 3, "fail")
    assert choices.blinks is not None and choices.blinks.rate == 18
    assert choices.silence_gate is not None and choices.silence_gate.threshold == -45
    assert choices.articulation == Articulation(1.0, 1.1)
    assert choices.closures is False
    assert choices.length is not None and choices.length.frames == 126
    assert choices.gestures is not None and (choices.gestures[0].name, choices.gestures[0].scale) == ("nod", 0.8)
    assert choices.pins is not None and choices.pins[1].file is not None
    assert choices.pins[1].file.path == tmp_path / "look.npz"
    found = problems(
        tmp_path,
        """\
version: 1
defaults: {blinks: often, silence_gate: loud}
lines:
  - {id: a, audio: a.wav, smoth: 0.3, length: "4.2", head: guard.glb, when_longer: trm}
  - {id: b, audio: b.wav, gestures: [{nam: nod, at: 1}, {name: nod, at: soon}]}
  - {id: c, audio: c.wav, pins: [{channels: {jawOpne: 1}}, {channels: {jawOpen: 1.2}}, {time: 1, channels: [eyes]}]}
  - {id: d, audio: d.wav, pins: [{channels: {eyes: 0}}, {time: 2, channels: {eyeBlinkLeft: 1}}]}
""",
    )
    expected = [
        ("lines.yaml:2:20", "blinks 'often' is not style, off or a rate"),
        ("lines.yaml:2:41", "silence_gate 'loud'"),
        ("lines.yaml:4:27", "did you mean smooth?"),
        ("lines.yaml:4:47", "a number has no quotes"),
        ("lines.yaml:4:60", "belongs to a character"),
        ("lines.yaml:4:84", "not one of trim, keep, fail"),
        ("lines.yaml:5:38", "the gesture has no name"),
        ("lines.yaml:5:39", "did you mean name?"),
        ("lines.yaml:5:73", "at 'soon'"),
        ("lines.yaml:6:46", "did you mean jawOpen or jaw?"),
        ("lines.yaml:6:81", "jawOpen '1.2' is not a number from 0 to 1"),
        ("lines.yaml:6:108", "channels is a mapping"),
        ("lines.yaml:7:57", "eyeBlinkLeft is pinned twice at 2 s"),
    ]
    assert len(found) == len(expected), found
    for problem, (place, words) in zip(found, expected, strict=True):
        assert problem.startswith(place + ":") and words in problem, problem


def test_controls_in_a_table(tmp_path: Path) -> None:
    """`Length` and `Head` columns of a localisation table: a length is not taken for that of a shot."""
    text = 'id,audio,Length,shot_length,blinks,pins\na,a.wav,3.1,4.2,18,"[{time: 1, channels: {jawOpen: 0.2}}]"\n'
    (line,) = read(tmp_path, text, "lines.csv").lines
    assert line.fields == {"Length": "3.1"}
    assert line.choices.length is not None and str(line.choices.length) == "4.2 s"
    assert line.choices.pins is not None and line.choices.pins[0].channels == {"jawOpen": 0.2}


def test_sampling_and_mouth_size_are_read_and_their_errors_placed(tmp_path: Path) -> None:
    (line,) = read(
        tmp_path,
        lines(
            "{id: a, audio: a.wav, sampler: ddim, steps: 8, guidance_interval: 0.2-0.8, guidance_rescale: 0.7,"
            " mouth_size: generated}"
        ),
    ).lines
    choices = line.choices
    assert (choices.sampler, choices.steps, choices.guidance_interval) == ("ddim", 8, (0.2, 0.8))
    assert (choices.guidance_rescale, choices.mouth_size) == (0.7, "generated")
    found = problems(
        tmp_path,
        """\
version: 1
defaults: {sampler: euler, steps: 0}
lines:
  - {id: a, audio: a.wav, quality: draft, steps: 3}
  - {id: b, audio: b.wav, quality: best, mouth_size: large, guidance_interval: 0.8-0.2, guidance_rescale: 2}
""",
    )
    for text in (
        "sampler 'euler' is not one of",
        "steps '0' is not a whole number from 1 to 1000",
        "quality chooses sampler and steps",
        "quality 'best' is not one of draft, standard",
        "mouth_size 'large' is not known",
        "guidance interval",
        "guidance_rescale '2' is not a number from 0 to 1",
    ):
        assert any(text in problem for problem in found), (text, found)
