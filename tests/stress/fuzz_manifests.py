"""Bad manifests and inputs against `msmd batch`: no traceback, no hang, nothing written outside OUT.

    python -m tests.stress.fuzz_manifests [--count 500] [--commands 12]

Case k is made from the seed k alone: a manifest that says everything, mutated as a tree or as text; bombs and cycles of
YAML; ids, numbers and encodings of all sorts; recordings, styles, gestures and curves that are missing, damaged,
folders, pipes, links out of the tree; an OUT full of traps. Each runs in this process with the stand-in model of the
tests, every third with `--dry-run`; some run again through the real command. After each, everything outside OUT must be
as it was, and no line may have failed on an error of ours.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import wave
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from nasty_manifests import VALUES, mutated  # noqa: E402
from stand_in import make_bundle  # noqa: E402
from voice_lines import write_sound, write_style  # noqa: E402

from msmdcli.batch.planned import BatchOptions  # noqa: E402
from msmdcli.batch.run import run_batch  # noqa: E402
from msmdcli.console import Console  # noqa: E402
from msmdcli.errors import MsmdError  # noqa: E402
from msmdcli.motion.motion import Motion, save_npz  # noqa: E402
from msmdcli.motion.rig import Rig  # noqa: E402

SECONDS = 60  # a case that takes longer hangs
Maker = Callable[[Path, np.random.Generator], Path]

GOOD: dict[str, Any] = {
    "version": 1,
    "defaults": {"style": "neutral", "formats": ["npz"], "fps": 30, "blinks": 18},
    "characters": {"guard": {"styles": "styles", "defaults": {"head": 0.5}}},
    "lines": [
        {"id": "a", "audio": "audio/line0.wav", "seed": 7, "character": "guard", "silence_gate": True},
        {"id": "q/b", "audio": "audio/line1.wav", "style": [{"ref": "angry", "weight": 0.7}, "neutral"], "smooth": 0.3},
        {"id": "c", "audio": "audio/line0.wav", "regions": {"upper": "angry", "jawOpen": "none"}, "takes": 2},
        {
            "id": "d",
            "audio": "audio/line1.wav",
            "segments": [{"start": 0, "style": "neutral"}, {"start": 0.4, "style": "angry", "fade": 0.2}],
            "gestures": [{"name": "nod", "at": 0.1}, {"name": "takes/take.npz", "at": 0.2, "channels": ["brows"]}],
            "pins": [{"time": 0.3, "channels": {"jawOpen": 0.2}}, {"channels": ["gaze"], "file": "takes/take.npz"}],
            "length": "12 frames",
        },
    ],
}

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
TEXTS = [
    "",
    "\0",
    "\ufeff",
    "version: 1",
    "[" * 50_000,
    "{" * 50_000,
    "- " * 50_000,
    "a: " * 5_000,
    "version: 1\nlines: &a [*a]",
    "&a {<<: *a}",
    "version: 1\nlines: [&l {id: a, audio: a.wav, fields: &f {<<: [*f, *l]}}]",
    LAUGHS + "version: 1\nlines: [{id: a, audio: a.wav, style: *a11}]",
    LAUGHS + "version: 1\nlines: *a11",
    "version: 1\nlines: !!python/object/apply:os.system ['touch owned']",
    "version: 1\nlines: !!binary aGVsbG8=",
    "version: 1\nlines: [{id: a, audio: a.wav, fps: 1e999999999}]",
    "version: 1\nlines: [{id: a, audio: a.wav, fps: " + "9" * 100_000 + "}]",
    "version: 1\nlines: [{id: a, audio: a.wav, fps: 1/" + "9" * 5_000 + "}]",
    "version: 1\nlines: [{id: a, audio: a.wav, seed: " + "9" * 100_000 + "}]",
    "version: 1\nlines: [{id: a, audio: a.wav, intensity: .nan, smooth: .inf, blinks: -.inf}]",
    "version: 1\nlines: [{id: a, audio: a.wav, length: 1e99}, {id: b, audio: b.wav, length: 9999999 frames}]",
    "version: 1\nlines: [{id: a, audio: audio/line0.wav, length: 9999999, when_shorter: hold}]",
    "version: 1\nlines: [{id: a, audio: audio/line0.wav, fps: 1000, length: 80000}]",
    "version: 1\nlines:\n" + "  - {id: a, audio: a.wav}\n" * 3_000,
    "version: 1\nlines:\n" + "".join(f"  - {{id: x{i}, audio: a.wav, st: 1}}\n" for i in range(3_000)),
    '{"version": 1, "lines": [{"id": "\\ud800", "audio": "a.wav"}]}',
    '{"version": 1, "lines": [{"id": "a", "audio": "\\u0000.wav"}]}',
    '{"version": 1, "lines": [{"id": "a", "audio": "' + "x/" * 3_000 + '"}]}',
    '{"version": NaN, "lines": Infinity}',
    '{"version": 1, "version": 1}',
    'id,audio\n"a\n',
    "id;audio;style\na;a.wav;[{ref: *x}]\n",
    'id,audio,pins\na,audio/line0.wav,"[{channels: {jawOpen: &a [*a]}}]"\n',
    "id\taudio\ttakes\na\taudio/line0.wav\t99\n",
    "%YAML 9.9\n---\nversion: 1\n--- again\n...",
    "? [complex, key]\n: 1\n",
    "version: 1\r\nlines:\r\n\t- {id: a}\r\n",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--commands", type=int, default=12, help="cases that also go through the real command")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="msmd-fuzz-"))
    found: Counter[str] = Counter()
    slowest = (0.0, -1)
    bad = []
    try:
        bundle = make_bundle(folder / "bundle")
        for number in range(args.first, args.first + args.count):
            begin = time.monotonic()
            problem, outcome = run_case(
                number, folder / "case", bundle, number % max(1, args.count // args.commands) == 0
            )
            slowest = max(slowest, (time.monotonic() - begin, number))
            found[outcome] += 1
            if problem:
                bad.append(number)
                print(f"case {number}: {problem}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
    print(f"{args.count} cases: {told}; slowest {slowest[0]:.1f} s (case {slowest[1]}); {len(bad)} with a problem")
    sys.exit(bool(bad))


def run_case(number: int, folder: Path, bundle: Path, by_command: bool = False) -> tuple[str, str]:
    """(what is wrong with MSMD, or nothing; how the case ended)."""
    shutil.rmtree(folder, ignore_errors=True)
    rng = np.random.Generator(np.random.Philox(key=number))
    make_project(folder)
    manifest = MAKERS[number % len(MAKERS)](folder, rng)
    out = folder / "out"
    before = contents(folder, out)
    options = BatchOptions(
        manifest,
        out,
        bundle=bundle,
        styles=(folder / "project/styles",),
        dry_run=number % 3 == 2,
        device="cpu",
        threads=1,
    )
    problem, outcome = in_process(options)
    problem = problem or internal_errors(out)
    if by_command and not problem:
        problem = through_command(options)
    changed = set(before.items() ^ contents(folder, out).items())
    if changed and not problem:
        problem = f"changed outside OUT: {sorted({path for path, _ in changed})[:5]}"
    return problem, outcome


def in_process(options: BatchOptions) -> tuple[str, str]:
    def too_long(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            code = run_batch(options, Console(True, -1))
    except MsmdError as error:
        if "\n" in error.message and not error.message[0].isdigit():
            return f"a message of several lines: {error.message[:200]}", "refused"
        return "", f"refused (exit {error.exit_code})"
    except (TimeoutError, KeyboardInterrupt):
        return f"more than {SECONDS} s:\n{traceback.format_exc()[-1500:]}", "hung"
    except BaseException:
        return traceback.format_exc()[-2500:], "crashed"
    finally:
        signal.alarm(0)
    return "", f"exit {code}"


def internal_errors(out: Path) -> str:
    """Errors of ours that a line ended on."""
    try:
        report = json.loads((out / "report.json").read_text())
    except (OSError, ValueError):
        return ""
    return next((line["details"][-2500:] for line in report["lines"] if line.get("details")), "")


def through_command(options: BatchOptions) -> str:
    command = [sys.executable, "-m", "msmdcli", "batch", options.manifest, "--out", options.out]
    command += ["--bundle", options.bundle, "--styles", options.styles[0], "--threads", "1", "--force"]
    try:
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=SECONDS * 3, cwd=ROOT
        )
    except subprocess.TimeoutExpired:
        return "the command hangs"
    if "Traceback" in done.stderr or done.returncode not in (0, 1, 2):
        return f"the command ended with {done.returncode}: {done.stderr[-2000:]}"
    return ""


def contents(folder: Path, out: Path) -> dict[str, str]:
    """Everything in the tree outside OUT: path -> what it is."""
    found = {}
    for root, folders, files in os.walk(folder):
        here = Path(root)
        if here == folder and out.name in folders:
            folders.remove(out.name)
        for name in (*folders, *files):
            path = here / name
            key = str(path.relative_to(folder))
            if path.is_symlink():
                found[key] = f"link to {path.readlink()}"
            elif path.is_file():
                found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[key] = "folder or pipe"
    return found


def make_project(folder: Path) -> None:
    """Recordings, styles, a clip; and beside them what must stay as it is."""
    project = folder / "project"
    for number, seconds in enumerate((0.5, 0.9)):
        write_sound(project / f"audio/line{number}.wav", seconds, seed=number)
    for seed, tag in enumerate(("neutral", "angry")):
        write_style(project / "styles" / tag, seed)
    rig = Rig.load("arkit52")
    values = np.random.default_rng(3).uniform(0, 0.5, (30, rig.size)).astype(np.float32)
    (project / "takes").mkdir()
    save_npz(project / "takes/take.npz", Motion(values, Fraction(30), rig))
    (folder / "outside").mkdir()
    (folder / "outside/precious.npz").write_bytes(b"do not touch")
    (folder / "outside/ledger.jsonl").write_bytes(b"")


def write(folder: Path, text: str | bytes, suffix: str = ".yaml") -> Path:
    path = folder / f"project/lines{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return path


def as_tree(folder: Path, rng: np.random.Generator) -> Path:
    data = mutated(GOOD, rng, changes=int(rng.integers(1, 5)))
    if rng.random() < 0.5:
        return write(folder, json.dumps(data, ensure_ascii=bool(rng.random() < 0.5)), ".json")
    return write(folder, yaml.safe_dump(data, default_flow_style=None, allow_unicode=True))


def as_text(folder: Path, rng: np.random.Generator) -> Path:
    content = bytearray(yaml.safe_dump(GOOD, default_flow_style=None).encode())
    for _ in range(int(rng.integers(1, 12))):
        at = int(rng.integers(len(content)))
        kind = rng.integers(6)
        if kind == 0:
            del content[at : at + int(rng.integers(1, 40))]
        elif kind == 1:
            content[at:at] = bytes(rng.integers(0, 256, 3, dtype=np.uint8))
        elif kind == 2:
            content[at:at] = bytes([int(rng.choice(list(b"{}[]:,&*!|>'\"%@`#-?\t\n\x00\x07")))])
        elif kind == 3:
            content[at:at] = content[: int(rng.integers(60))]
        elif kind == 4:
            content = content[:at] or bytearray(b"v")
        else:
            content[at:at] = str(VALUES[int(rng.integers(len(VALUES)))]).encode("utf-8", "surrogatepass")[:200]
    return write(folder, bytes(content))


def as_table(folder: Path, rng: np.random.Generator) -> Path:
    columns = ["id", "audio", "style", "pins", "gestures", "takes", "fps", "mood", "blinks", "shot_length"]
    chosen = [columns[i] for i in rng.permutation(len(columns))[: rng.integers(1, len(columns))]]
    rows = [",".join(chosen)]
    for number in range(int(rng.integers(1, 6))):
        cells = []
        for column in chosen:
            good = {"id": f"t{number}", "audio": "audio/line0.wav"}.get(column, "")
            value = good if rng.random() < 0.6 else str(VALUES[int(rng.integers(len(VALUES)))])[:300]
            cells.append('"' + value.replace('"', '""') + '"' if rng.random() < 0.7 else value)
        rows.append(",".join(cells))
    return write(folder, "\n".join(rows), ".csv")


def as_bomb(folder: Path, rng: np.random.Generator) -> Path:
    text = TEXTS[int(rng.integers(len(TEXTS)))]
    suffix = ".json" if text.startswith('{"') else ".csv" if text.startswith("id") else ".yaml"
    return write(folder, text, suffix)


def bad_input(folder: Path, rng: np.random.Generator) -> Path:
    """A good manifest on inputs that are not what they should be."""
    project = folder / "project"
    for target in ("audio/line0.wav", "takes/take.npz", "styles/angry/clip.npz", "styles/angry/style.yaml"):
        if rng.random() < 0.6:
            damage(project / target, folder, rng)
    if rng.random() < 0.4:
        (project / "gestures").mkdir()
        texts = ["", "[1, 2]", "keys: &a [*a]", "format_version: 1\nkeys: [{time: .nan}]", LAUGHS, "{" * 9_000, "\0"]
        texts += ["format_version: 1\nkeys: [{time: 1, channels: {jawOpen: 1e400, x: 1}}]", "keys: {}", "{*a: 1}"]
        texts += ["format_version: 1\nkeys: [{time: 1e-300, channels: {jawOpen: 1}}, {time: 2}]"]
        (project / "gestures/nod.yaml").write_text(texts[int(rng.integers(len(texts)))])
    return write(folder, yaml.safe_dump(GOOD))


def damage(path: Path, folder: Path, rng: np.random.Generator) -> None:
    content = path.read_bytes()
    path.unlink()
    kind = int(rng.integers(13))
    if kind == 0:
        pass  # missing
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        os.mkfifo(path)
    elif kind == 3:
        path.symlink_to(folder / "outside/precious.npz")
    elif kind == 4:
        path.symlink_to(path)
    elif kind == 5:
        path.write_bytes(b"")
    elif kind == 6:
        path.write_bytes(content[: int(rng.integers(1, len(content)))])
    elif kind == 7:
        spoiled = bytearray(content)
        for at in rng.integers(0, len(spoiled), 30):
            spoiled[at] = int(rng.integers(256))
        path.write_bytes(bytes(spoiled))
    elif kind == 8:
        path.symlink_to(["/dev/zero", "/dev/null", "/", "/proc/self/mem"][int(rng.integers(4))])
    elif kind == 9:  # a hostile file, written here to see it refused
        np.savez(path.with_suffix(".x.npz"), values=np.array([{"a": 1}], dtype=object), allow_pickle=True)
        path.with_suffix(".x.npz").replace(path)
    elif kind == 10:
        rig = Rig.load("arkit52")
        odd = np.full((4, rig.size), [np.nan, np.inf, 1e38, -5][int(rng.integers(4))], np.float32)
        common = {"channels": np.array(rig.channels), "rig": np.array("arkit52"), "format_version": np.array(1)}
        fps = ["25/1", "0/1", "-1", "1e9", "x", "1/0"][int(rng.integers(6))]
        np.savez(path.with_suffix(".x.npz"), values=odd, fps=np.array(fps), **common)
        path.with_suffix(".x.npz").replace(path)
    elif kind == 11:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(int(rng.integers(1, 9)))
            file.setsampwidth(int(rng.integers(1, 5)))
            file.setframerate(int(rng.choice([1, 8, 8000, 44100, 768000, 10**6])))
            file.writeframes(bytes(int(rng.integers(0, 5000))))
    else:
        path.write_bytes(bytes(rng.integers(0, 256, 3000, dtype=np.uint8)))


def bad_place(folder: Path, rng: np.random.Generator) -> Path:
    """A good manifest into an OUT full of traps, or ids that lead elsewhere."""
    out, outside = folder / "out", folder / "outside"
    kind = int(rng.integers(12))
    if kind == 0:
        out.mkdir()
        (out / "q").symlink_to(outside)
    elif kind == 1:
        out.mkdir()
        (out / "a.npz").symlink_to(outside / "precious.npz")
    elif kind == 2:
        (out / "a.npz").mkdir(parents=True)
    elif kind == 3:
        out.mkdir()
        (out / "ledger.jsonl").symlink_to(outside / "ledger.jsonl")
    elif kind == 4:
        out.mkdir()
        junk = [b"\0\xff{}\n", b'{"ledger": 1}\n', b"[]\n" * 50, b'{"ledger": 1, "id": 3, "key": [], "outputs": 5}']
        (out / "ledger.jsonl").write_bytes(junk[int(rng.integers(len(junk)))])
    elif kind == 5:
        (out / "report.json").mkdir(parents=True)
    elif kind == 6:
        out.mkdir()
        (out / "report.html").symlink_to(outside / "precious.npz")
    elif kind == 7:
        out.write_bytes(b"a file")
    elif kind == 8:
        out.mkdir()
        (out / ".msmd-lock").symlink_to(outside / ("precious.npz" if rng.random() < 0.5 else "new"))
    elif kind == 9:
        (out / ".msmd-lock").mkdir(parents=True)
    elif kind == 10:
        out.mkdir()
        os.mkfifo(out / ".msmd-lock")
    else:
        data = json.loads(json.dumps(GOOD))
        ids = ["../outside/precious", "..", "/etc/x", "q/../../outside/precious", "out", "a.npz/x", "ledger", "report"]
        data["lines"][0]["id"] = ids[int(rng.integers(len(ids)))]
        return write(folder, yaml.safe_dump(data))
    return write(folder, yaml.safe_dump(GOOD))


def as_folder(folder: Path, rng: np.random.Generator) -> Path:
    """A folder of recordings with odd names and links, or a path that is no manifest at all."""
    audio = folder / "project/audio"
    kind = int(rng.integers(6))
    if kind == 0:
        (audio / "loop").symlink_to(audio)
    elif kind == 1:
        (audio / "con.wav").write_bytes(b"")
    elif kind == 2:
        (audio / "LINE0.WAV").write_bytes(b"x")
    elif kind == 3:
        return folder / "nowhere.yaml"
    elif kind == 4:
        os.mkfifo(folder / "project/pipe.yaml")
        return folder / "project/pipe.yaml"
    else:
        damage(audio / "line1.wav", folder, rng)
    return audio


MAKERS: list[Maker] = [
    as_tree,
    as_text,
    as_bomb,
    bad_input,
    as_tree,
    as_table,
    bad_place,
    as_text,
    bad_input,
    as_folder,
]


if __name__ == "__main__":
    main()
