"""`msmd audit`: what a night's batch would trip over, found before the night.

Everything is looked at and nothing is written: the manifest, the styles it names, and the sound of every recording.
Findings either fail a line or are something that a person should listen to.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.console import Console, duration
from msmdcli.errors import MsmdError, did_you_mean
from msmdcli.manifest.lines import Choices, Line, Manifest, style_field
from msmdcli.manifest.loading import load_manifest
from msmdcli.media.audio import RATE, load_audio
from msmdcli.media.folder_scan import scan_folder
from msmdcli.media.suffixes import SOUND_SUFFIXES
from msmdcli.media.voice import SILENCE_BELOW_SPEECH, SILENCE_FLOOR, level_db
from msmdcli.model.bundle import Bundle
from msmdcli.paths import shipped_bundle
from msmdcli.styles.field import NO_STYLE

READERS = 8  # threads: reading waits for disks and networks
USUAL_RATES = (16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
LEAST_RATE = 16000  # what the speech encoders hear; below it, consonants are missing
SHORTEST, LONGEST = 0.3, 120.0  # seconds that a line of dialogue lasts
QUIET = -45.0  # dB of full scale, of the loud parts (95th percentile of 20 ms)
NO_SOUND = -70.0  # dB of full scale: nobody speaks
MOSTLY_SILENT = 0.6  # share of silent frames
CLIPPED_RUNS = 3  # flat tops in one recording
FLAT_TOP = 3  # equal samples at the peak that make one
FRAME = 0.02  # seconds
LENGTHS_DIFFER = 0.25  # share by which a translation may be longer or shorter than the first language

FAILS = ("missing", "unreadable", "empty", "unknown style", "unusable style")
WARNINGS = (
    "silent",
    "recording",
    "clipped",
    "too quiet",
    "mostly silence",
    "rate",
    "very short",
    "very long",
    "duplicate",
    "orphaned",
    "language lengths",
)
# ISO 639-1 codes of languages that games are localised to; as a folder or at an end of the id they name the language.
LANGUAGES = frozenset(
    ("ar", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr", "ga", "gl", "he", "hi", "hr", "hu")
    + ("id", "is", "it", "ja", "ko", "lt", "lv", "ms", "nb", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv")
    + ("th", "tr", "uk", "vi", "zh")
)
LOCALE = re.compile(r"(?P<language>[a-z]{2})(?:[-_](?:[a-z]{2}|[a-z]{4}|\d{3}))?", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """Something to know before the night.

    Attributes:
        kind: one of `FAILS` or `WARNINGS`.
        where: the line's id, or a file.
        text: what it is.
    """

    kind: str
    where: str
    text: str

    @property
    def fails(self) -> bool:
        """Whether a line will fail for it."""
        return self.kind in FAILS


@dataclass(frozen=True)
class Sound:
    """What a recording holds.

    Attributes:
        seconds, rate, channels: of the file.
        loud: level of the loud parts in dB of full scale.
        silent: share of silent frames.
        flat_tops: runs of equal samples at the peak.
        digest: of the samples: equal sound in any container.
        notes: what its reader has to say (`msmdcli.media.audio.Audio.notes`).
    """

    seconds: float
    rate: int
    channels: int
    loud: float
    silent: float
    flat_tops: int
    digest: str
    notes: tuple[str, ...] = ()


@dataclass
class Audit:
    """What was found.

    Attributes:
        lines: how many there are.
        findings: what would fail first, then by kind.
        languages: id without its language -> language -> seconds; only where there are several.
        seconds: of sound, in all lines.
    """

    lines: int = 0
    findings: list[Finding] = field(default_factory=list)
    languages: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """Findings by kind."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in (*FAILS, *WARNINGS) if found[kind]}


def measure_sound(path: Path) -> Sound:
    """Read a recording as `msmd batch` will, at its own rate.

    Raises:
        MsmdError: as `load_audio`.
    """
    audio = load_audio(path, _own_rate(path))
    size = max(1, round(FRAME * audio.rate))
    whole = len(audio.samples) // size * size
    frames = audio.samples[:whole].reshape(-1, size) if whole else audio.samples[None]  # [F, S]
    level = level_db(np.mean(np.square(frames, dtype=np.float64), axis=1))
    loud = float(np.percentile(level, 95))
    return Sound(
        seconds=float(audio.seconds),
        rate=audio.source_rate,
        channels=audio.source_channels,
        loud=loud,
        silent=float((level < max(loud - SILENCE_BELOW_SPEECH, SILENCE_FLOOR)).mean()),
        flat_tops=_flat_tops(audio.samples),
        notes=audio.notes,
        digest=hashlib.blake2b(audio.samples.tobytes() + str(audio.rate).encode(), digest_size=16).hexdigest(),
    )


def _own_rate(path: Path) -> int:
    import soundfile

    try:
        return int(soundfile.info(os.fsencode(path)).samplerate)
    except (soundfile.LibsndfileError, OSError):
        return RATE  # FFmpeg will read it, or the reason comes from `load_audio`


def _flat_tops(samples: NDArray[np.float32]) -> int:
    """Runs of `FLAT_TOP` equal samples at the peak: clipping keeps them flat even where it was turned down later."""
    peak = float(np.abs(samples).max())
    if peak < 0.1:
        return 0
    flat = (np.abs(samples[1:]) >= 0.999 * peak) & (samples[1:] == samples[:-1])  # [S - 1]
    if flat.sum() < FLAT_TOP - 1:
        return 0
    edges = np.diff(np.concatenate([[0], flat.astype(np.int8), [0]]))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)  # equal neighbours in each run
    return int((lengths >= FLAT_TOP - 1).sum())


def audit(manifest: Manifest, folders: Sequence[Path], choices: Choices, console: Console | None = None) -> Audit:
    """Look at everything that a manifest names.

    Args:
        manifest: what would be animated.
        folders: of style tags, as for `msmd batch`.
        choices: of the command line.
        console: shows progress.
    """
    result = Audit(len(manifest.lines))
    result.findings += _styles(manifest, folders, choices)
    sounds: dict[Path, Sound] = {}
    paths = list(dict.fromkeys(line.audio for line in manifest.lines))
    broken: dict[Path, Finding] = {}

    def read(path: Path) -> Sound | Finding:
        try:
            return measure_sound(path)
        except MsmdError as error:
            return Finding(_kind_of(path), "", error.message)

    talk = console or Console(verbosity=-1)
    with ThreadPoolExecutor(READERS) as pool, talk.progress("Recordings", len(paths), len(paths)) as progress:
        for path, found in zip(paths, pool.map(read, paths), strict=True):
            progress.advance(1)
            if isinstance(found, Finding):
                broken[path] = found
            else:
                sounds[path] = found
    for line in manifest.lines:
        if line.audio in broken:
            problem = broken[line.audio]
            result.findings.append(Finding(problem.kind, line.id, problem.text))
        else:
            result.seconds += sounds[line.audio].seconds
            result.findings += _sound_findings(line.id, sounds[line.audio])
    result.findings += _duplicates(manifest.lines, sounds)
    result.findings += _orphans(manifest)
    groups = _languages(manifest, sounds)
    result.languages = {name: group for name, group in groups.items() if len(group) > 1}
    result.findings += _length_findings(groups)
    order = {kind: number for number, kind in enumerate((*FAILS, *WARNINGS))}
    result.findings.sort(key=lambda finding: order[finding.kind])
    return result


def _kind_of(path: Path) -> str:
    try:
        if not path.is_file():
            return "missing"
        return "empty" if path.stat().st_size == 0 else "unreadable"
    except OSError:
        return "missing"


def _styles(manifest: Manifest, folders: Sequence[Path], choices: Choices) -> Iterator[Finding]:
    from msmdcli.batch.planned import Libraries

    libraries = Libraries(manifest, folders)
    for line in manifest.lines:
        field_of_line = style_field(manifest.choices(line, choices), manifest.path.parent)
        for name, base in dict.fromkeys(ref.key for ref in field_of_line.refs()):
            library = libraries.of(line)
            if not library.knows(name, base):
                known = did_you_mean(name, [*library.tags, NO_STYLE])
                yield Finding("unknown style", line.id, f"there is no style {name!r}; {known}")
                continue
            try:
                libraries.resolve(line, name, base)
            except MsmdError as error:
                yield Finding("unusable style", line.id, error.message)


def _sound_findings(line: str, sound: Sound) -> Iterator[Finding]:
    if sound.loud < NO_SOUND:
        yield Finding("silent", line, "nothing is to be heard in it")
        return
    for note in sound.notes:
        yield Finding("recording", line, note)
    if sound.flat_tops >= CLIPPED_RUNS:
        yield Finding("clipped", line, f"clipped in {sound.flat_tops} places")
    if sound.loud < QUIET:
        yield Finding("too quiet", line, f"its loud parts are at {sound.loud:.0f} dB of full scale")
    elif sound.silent > MOSTLY_SILENT and sound.seconds >= 1:
        yield Finding("mostly silence", line, f"{sound.silent:.0%} of its {sound.seconds:.1f} s are silence")
    if sound.rate < LEAST_RATE:
        yield Finding("rate", line, f"{sound.rate} Hz: less than the {LEAST_RATE} Hz that the model hears")
    elif sound.rate not in USUAL_RATES:
        yield Finding("rate", line, f"{sound.rate} Hz is an unusual rate")
    if sound.seconds < SHORTEST:
        yield Finding("very short", line, f"{sound.seconds:.2f} s")
    if sound.seconds > LONGEST:
        yield Finding("very long", line, duration(sound.seconds))


def _duplicates(lines: Iterable[Line], sounds: dict[Path, Sound]) -> Iterator[Finding]:
    """Lines with the same sound in different files; one file for several lines is taken as meant."""
    first: dict[str, Line] = {}
    for line in lines:
        sound = sounds.get(line.audio)
        if sound is None or sound.loud < NO_SOUND:
            continue
        other = first.setdefault(sound.digest, line)
        if other.audio != line.audio:
            yield Finding("duplicate", line.id, f"the same sound as {other.id} ({other.audio.name})")


def _orphans(manifest: Manifest) -> Iterator[Finding]:
    """Recordings beside those of the lines that no line names."""
    named = {Path(os.path.realpath(line.audio)) for line in manifest.lines}
    for folder in sorted({path.parent for path in named}):
        try:
            files = scan_folder(folder, SOUND_SUFFIXES, below=False).files
        except MsmdError:
            continue  # its lines are missing already
        for path in files:
            if Path(os.path.realpath(path)) not in named:
                yield Finding("orphaned", str(path), "no line names it")


def split_language(line_id: str, language: str | None) -> tuple[str, str] | None:
    """An id without the part that names its language, and that language; None where nothing names one.

    The part is a folder (`de/guard_001`) or an end (`guard_001_de`, `pt-BR.guard_001`). It must agree with the line's
    `language` where there is one, and be a known code where there is none.
    """
    parts = line_id.split("/")
    given = (language or "").lower().replace("_", "-")
    for number, part in enumerate(parts[:-1]):
        if (found := _language_of(part, given)) is not None:
            return "/".join(parts[:number] + parts[number + 1 :]), found
    name = parts[-1]
    for pattern in (
        r"(?P<code>[A-Za-z]{2}(?:[-_][A-Za-z]{2,4})?)[_.-](?P<rest>.+)",
        r"(?P<rest>.+?)[_.-](?P<code>[A-Za-z]{2}(?:[-_][A-Za-z]{2,4})?)",
    ):
        match = re.fullmatch(pattern, name)
        if match and (found := _language_of(match["code"], given)) is not None:
            return "/".join([*parts[:-1], match["rest"]]), found
    return (line_id, given) if given else None


def _language_of(part: str, given: str) -> str | None:
    code = part.lower().replace("_", "-")
    match = LOCALE.fullmatch(part)
    if given:
        return given if code in (given, given.split("-")[0]) or code.split("-")[0] == given else None
    return code if match and match["language"].lower() in LANGUAGES else None


def _languages(manifest: Manifest, sounds: dict[Path, Sound]) -> dict[str, dict[str, float]]:
    """Id without its language -> language -> seconds."""
    groups: dict[str, dict[str, float]] = {}
    for line in manifest.lines:
        found = split_language(line.id, manifest.choices(line).language)
        if found is not None and line.audio in sounds:
            groups.setdefault(found[0], {})[found[1]] = round(sounds[line.audio].seconds, 3)
    return groups


def _length_findings(groups: dict[str, dict[str, float]]) -> Iterator[Finding]:
    """Against the language that has the most lines (of equals, the first of the line)."""
    having = Counter(language for group in groups.values() for language in group)
    for name, group in groups.items():
        first = max(group, key=lambda language: having[language])
        base = max(group[first], 1e-3)
        for language, seconds in group.items():
            change = seconds / base - 1
            if abs(change) > LENGTHS_DIFFER:
                how = "longer" if change > 0 else "shorter"
                by = f"{abs(seconds - base):.2f} s ({abs(change):.0%}) {how} than {first}"
                text = f"{language} has {seconds:.2f} s, {by}"
                yield Finding("language lengths", name, text)


def run_audit(
    path: Path,
    console: Console,
    bundle: Path | None = None,
    folders: Sequence[Path] = (),
    choices: Choices | None = None,
    estimate: bool = True,
    every: bool = False,
) -> int:
    """Audit a manifest and say what was found; the exit code is 1 if a line would fail.

    Args:
        path: as for `msmd batch`.
        console: where to talk.
        bundle: None is the one that ships.
        folders: of style tags.
        choices: of the command line.
        estimate: measure this machine, to say how long the batch would take.
        every: list every line that has several languages, not only those whose lengths differ.

    Raises:
        UsageError: the manifest itself is wrong.
    """
    model = Bundle.load(bundle or shipped_bundle())
    manifest = load_manifest(path, model.rig)
    for note in manifest.notes:
        console.say(note)
    found = audit(manifest, folders, choices or Choices(), console)
    for finding in found.findings:
        console.event("finding", fails=finding.fails, problem=finding.kind, where=finding.where, text=finding.text)
        console.result(
            f"{'FAILS  ' if finding.fails else 'warning'}  {finding.kind:16}  {finding.where}: {finding.text}"
        )
    for name, group in found.languages.items():
        console.event("languages", id=name, seconds=group)
        if every:
            console.result(
                f"         {name}: " + ", ".join(f"{lang} {seconds:.2f} s" for lang, seconds in group.items())
            )
    summary: dict[str, Any] = {"lines": found.lines, "seconds": round(found.seconds, 2), "counts": found.counts}
    said = f"{found.lines} lines, {duration(found.seconds)} of sound"
    if estimate:
        from msmdcli.model import trial
        from msmdcli.model.engine import Engine

        engine = Engine(model)
        hours = found.seconds * trial.seconds_per_second(engine) / 3600
        summary |= {"hours": round(hours, 4), "device": engine.device}
        said += f"; about {duration(hours * 3600)} to animate here"
    console.event("audit", **summary)
    console.result(said)
    failing = sum(finding.fails for finding in found.findings)
    parts = ", ".join(f"{number} {kind}" for kind, number in found.counts.items())
    console.result(f"{failing} would fail; found: {parts}" if parts else "nothing to complain about")
    return int(failing > 0)
