"""The model that ships, on real voices: whole lines, channels in range, styles that differ rightly, rest in silence."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from msmdcli.formats.registry import read_motion
from msmdcli.media.audio import load_audio
from msmdcli.model.bundle import Bundle
from msmdcli.motion.motion import Motion, frame_count
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir, shipped_bundle

RIG = Rig.load("arkit52")
EXAMPLES = Path(__file__).parents[1] / "examples"


def voices() -> Path:
    """Real speech in nine languages where the shared material is at hand, else the examples."""
    shared = shared_dir()
    real = shared / "corpus" / "audio" if shared else None
    return real if real is not None and real.is_dir() else EXAMPLES / "audio"


def msmd(*arguments: object) -> None:
    done = subprocess.run([sys.executable, "-m", "msmdcli", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Motion]]:
    """Style -> recording -> motion, by the command, as a user would."""
    out = tmp_path_factory.mktemp("takes")
    made = {}
    for style in ("happy", "angry"):
        msmd("batch", voices(), "--style", style, "--formats", "npz", "--fps", "29.97", "--out", out / style)
        made[style] = {p.stem: read_motion(p) for p in sorted((out / style).glob("*.npz"))}
    return made


def test_it_is_small_and_says_where_it_comes_from() -> None:
    bundle = Bundle.load(shipped_bundle())
    assert sum(entry["bytes"] for entry in bundle.files.values()) < 40e6
    assert set(bundle.training["sources"]) == {"grid_s1", "grid_multi", "performed"}, (
        "only what may train a released model"
    )
    assert bundle.licence and bundle.audio_encoder_name == "whisper-base"


def test_every_line_is_whole_and_in_range(takes: dict[str, dict[str, Motion]]) -> None:
    for motions in takes.values():
        assert len(motions) == sum(p.suffix in (".wav", ".ogg", ".flac") for p in voices().iterdir())
        for name, motion in motions.items():
            (source,) = voices().glob(f"{name}.*")
            assert motion.frames == frame_count(load_audio(source).seconds, Fraction(30000, 1001)), name
            assert np.isfinite(motion.values).all()
            assert (motion.values >= RIG.lower - 1e-6).all() and (motion.values <= RIG.upper + 1e-6).all(), name


def test_happy_smiles_and_angry_lowers_the_brows(takes: dict[str, dict[str, Motion]]) -> None:
    for name in takes["happy"]:
        happy, angry = (takes[style][name].values.mean(0) for style in ("happy", "angry"))
        for side in ("Left", "Right"):
            assert happy[RIG.index(f"mouthSmile{side}")] > angry[RIG.index(f"mouthSmile{side}")] + 0.2, name
            assert angry[RIG.index(f"browDown{side}")] > happy[RIG.index(f"browDown{side}")] + 0.3, name


def test_the_jaw_moves_with_speech_and_rests_in_silence(tmp_path: Path) -> None:
    """Two seconds of nothing, a recording, two seconds of nothing."""
    samples = load_audio(EXAMPLES / "audio" / "guard_001.ogg").samples
    quiet = np.zeros(32000, np.float32)
    soundfile.write(tmp_path / "line.wav", np.concatenate([quiet, samples, quiet]), 16000)
    msmd(
        "batch",
        tmp_path / "line.wav",
        "--style",
        "neutral",
        "--formats",
        "npz",
        "--fps",
        "25",
        "--out",
        tmp_path / "out",
    )
    jaw = read_motion(tmp_path / "out" / "line.npz").values[:, RIG.index("jawOpen")]
    speech = jaw[55:-55]
    for silence in (jaw[10:40], jaw[-40:]):
        assert silence.std() < 0.4 * speech.std()
        assert np.median(silence) < np.percentile(speech, 25)


def test_lines_of_any_length(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, seconds in (("blip", 0.1), ("silence", 1.5), ("minute", 61.0)):
        sound = (
            np.zeros(int(seconds * 48000)) if name == "silence" else 0.05 * rng.standard_normal(int(seconds * 48000))
        )
        soundfile.write(tmp_path / f"{name}.wav", np.stack([sound, sound], 1), 48000)
    msmd("batch", tmp_path, "--style", "sad", "--formats", "npz", "--fps", "60", "--out", tmp_path / "out")
    frames = {p.stem: read_motion(p).frames for p in (tmp_path / "out").glob("*.npz")}
    assert frames == {"blip": 6, "silence": 90, "minute": 3660}


def test_a_neighbour_of_another_intensity_changes_no_byte() -> None:
    from msmdcli.model import trial
    from msmdcli.model.bundle import Bundle
    from msmdcli.model.engine import Engine
    from msmdcli.model.lines import Job
    from msmdcli.model.style_codes import StyleEntry
    from msmdcli.paths import shipped_bundle
    from msmdcli.styles.library import StyleLibrary

    engine = Engine(Bundle.load(shipped_bundle()), device="cpu")
    features = engine.encode_audio(trial.noise(engine.bundle))
    angry, happy = (
        engine.encode_style(reference.load())
        for reference in (StyleLibrary().resolve(tag) for tag in ("angry", "happy"))
        if reference is not None
    )
    line = Job("line", features, [StyleEntry(angry)])
    neighbour = Job("neighbour", features, [StyleEntry(happy, intensity=1.2)])
    ((_, alone),) = engine.animate([line])
    together = {job.id: motion.values for job, motion in engine.animate([neighbour, line])}
    np.testing.assert_array_equal(alone.values, together["line"])
