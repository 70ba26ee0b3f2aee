from __future__ import annotations

from pathlib import Path

from manifest_texts import names, read

from msmdcli.manifest.lines import Choices, style_field
from msmdcli.model.bundle import Bundle
from msmdcli.model.sampling import Sampling
from msmdcli.paths import shipped_bundle
from msmdcli.styles.field import Segment, StyleRef


def test_who_wins(tmp_path: Path) -> None:
    """line > command line > character > manifest; a style hides the regions and segments of weaker levels."""
    manifest = read(
        tmp_path,
        """\
version: 1
defaults: {style: neutral, regions: {upper: sad}, seed: 1, intensity: 0.8}
characters: {guard: {defaults: {seed: 2, fps: 24}}}
lines:
  - {id: a, audio: a.wav}
  - {id: b, audio: b.wav, style: angry, character: guard}
  - {id: c, audio: c.wav, regions: {lower: happy}, seed: 9}
""",
    )
    a, b, c = manifest.lines
    command = Choices(style=(StyleRef("happy", tmp_path),), seed=3)
    assert names(manifest.choices(a).style) == [("neutral", 1)] and "upper" in (manifest.choices(a).regions or {})
    assert names(manifest.choices(a, command).style) == [("happy", 1)] and manifest.choices(a, command).regions is None
    assert names(manifest.choices(b, command).style) == [("angry", 1)] and manifest.choices(b).regions is None
    assert manifest.choices(b).seed == 2 and manifest.choices(b, command).seed == 3 and manifest.choices(b).fps == 24
    assert names(manifest.choices(c, command).style) == [("happy", 1)] and manifest.choices(c, command).seed == 9
    assert set(manifest.choices(c, command).regions or {}) == {"lower"}
    assert manifest.choices(c, command).intensity == 0.8


def test_a_late_first_segment_starts_from_the_lines_style(tmp_path: Path) -> None:
    choices = Choices(
        style=(StyleRef("sad", tmp_path),), segments=(Segment(2.0, (StyleRef("angry", tmp_path),)),), intensity=1.2
    )
    field = style_field(choices, tmp_path)
    assert [(s.start, names(s.style)) for s in field.segments] == [(0.0, [("sad", 1.0)]), (2.0, [("angry", 1.0)])]
    assert field.intensity == 1.2
    assert names(style_field(Choices(), tmp_path).segments[0].style) == [("neutral", 1.0)]


def test_how_it_is_solved_is_chosen_per_level(tmp_path: Path) -> None:
    """A quality or a sampler hides quality, sampler and steps of weaker levels; steps alone hide a weaker quality."""
    bundle = Bundle.load(shipped_bundle(), verify=False)
    manifest = read(
        tmp_path,
        """\
version: 1
defaults: {sampler: ddim, steps: 9, guidance_interval: 0.2-0.8}
characters: {guard: {defaults: {quality: draft, guidance_rescale: 0.7}}}
lines:
  - {id: a, audio: a.wav}
  - {id: b, audio: b.wav, character: guard}
  - {id: c, audio: c.wav, character: guard, steps: 3}
  - {id: d, audio: d.wav, quality: standard}
  - {id: e, audio: e.wav, sampler: ddpm}
""",
    )

    def solved(name: str, command: Choices | None = None, base: Sampling | None = None) -> Sampling:
        line = next(line for line in manifest.lines if line.id == name)
        return manifest.choices(line, command).sampling(base or Sampling()).resolve(bundle)

    usual = Sampling().resolve(bundle)
    assert (solved("a").sampler, solved("a").steps, solved("a").guidance_interval) == ("ddim", 9, (0.2, 0.8))
    assert (solved("b").sampler, solved("b").steps, solved("b").guidance_rescale) == ("dpmpp-2m", 1, 0.7)
    assert (solved("c").sampler, solved("c").steps) == ("ddim", 3)
    assert (solved("d").sampler, solved("d").steps) == (usual.sampler, usual.steps)
    assert (solved("e").sampler, solved("e").steps) == ("ddpm", 1000)
    assert (solved("a", Choices(steps=4)).sampler, solved("a", Choices(steps=4)).steps) == ("ddim", 4)
    assert solved("d", Choices(steps=4), Sampling(steps=4)).steps == usual.steps
    assert Choices().sampling(Sampling(steps=7, guidance_audio=0.3)) == Sampling(steps=7, guidance_audio=0.3)
