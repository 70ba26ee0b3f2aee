from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from msmdcli.errors import MsmdError
from msmdcli.media.audio import Audio, load_audio
from msmdcli.paths import shared_dir

RATES = [4000, 8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000, 384000]


def tone(rate: int, seconds: float, hertz: float = 440.0, size: float = 0.5) -> np.ndarray:
    return (size * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def encode(path: Path, samples: np.ndarray, rate: int, codec: str, picture: bool = False, delay: float = 0.0) -> Path:
    """Write [S, channels] with FFmpeg; `picture` adds a video track of 1 s, `delay` by which the sound starts later."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25) if picture else None
        if video is not None:
            video.width = video.height = 64
        stream = container.add_stream(codec, rate=rate, layout={1: "mono", 2: "stereo"}[samples.shape[1]])
        if video is not None:
            for i in range(25):
                frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                frame.time_base, frame.pts = Fraction(1, 25), i + round(max(0.0, -delay) * 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        for start in range(0, len(samples), 1024):
            block = np.ascontiguousarray(samples[start : start + 1024].T)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=stream.layout.name)
            frame.sample_rate, frame.time_base, frame.pts = (
                rate,
                Fraction(1, rate),
                start + round(max(0.0, delay) * rate),
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def loudness(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


# --- what is read


@pytest.mark.parametrize("rate", RATES)
def test_any_sample_rate(tmp_path: Path, rate: int) -> None:
    audio = load_audio(write(tmp_path / "a.wav", tone(rate, 0.7), rate))
    assert (audio.rate, audio.source_rate, audio.source_channels) == (16000, rate, 1)
    assert audio.seconds == Fraction(round(rate * 0.7), rate)
    assert audio.samples.dtype == np.float32 and audio.samples.shape == (round(audio.seconds * 16000),)
    inner = slice(1000, -1000)
    np.testing.assert_allclose(audio.samples[inner], tone(16000, 0.7)[: len(audio.samples)][inner], atol=2e-3)


def test_what_the_new_rate_cannot_carry_is_removed(tmp_path: Path) -> None:
    audio = load_audio(write(tmp_path / "a.wav", tone(48000, 1, hertz=12000), 48000))
    assert loudness(audio.samples[500:-500]) < 1e-4


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM"])
def test_any_sample_format(tmp_path: Path, subtype: str) -> None:
    audio = load_audio(write(tmp_path / "a.wav", tone(16000, 0.5), 16000, subtype))
    tolerance = {"PCM_U8": 0.01, "ULAW": 0.03, "IMA_ADPCM": 0.06}.get(subtype, 1e-4)
    np.testing.assert_allclose(audio.samples[200:8000], tone(16000, 0.5)[200:], atol=tolerance)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 16])
def test_any_number_of_channels_is_mixed_to_their_mean(tmp_path: Path, channels: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (3000, channels)).astype(np.float32)
    audio = load_audio(write(tmp_path / "a.wav", samples, 16000, "FLOAT"))
    assert audio.source_channels == channels
    np.testing.assert_allclose(audio.samples, samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "aiff", "w64", "caf"])
def test_other_files_of_libsndfile(tmp_path: Path, suffix: str) -> None:
    audio = load_audio(write(tmp_path / f"a.{suffix}", tone(44100, 1.0), 44100))
    assert float(audio.seconds) == pytest.approx(1, abs=0.06)
    assert loudness(audio.samples[2000:14000]) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("suffix", ["m4a", "mp4", "mkv", "mov"])
@pytest.mark.parametrize("channels", [1, 2])
def test_files_of_ffmpeg(tmp_path: Path, suffix: str, channels: int) -> None:
    samples = np.repeat(tone(48000, 1.0)[:, None], channels, axis=1)
    audio = load_audio(encode(tmp_path / f"a.{suffix}", samples, 48000, "aac"))
    assert (audio.source_rate, audio.source_channels) == (48000, channels)
    assert float(audio.seconds) == pytest.approx(1, abs=0.05)
    assert loudness(audio.samples[2000:14000]) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert len(audio.samples) == round(audio.seconds * 16000)


@pytest.mark.parametrize("delay", [0.0, 0.4, -0.4])
def test_the_sound_of_a_video_is_in_time_with_its_picture(tmp_path: Path, delay: float) -> None:
    click = np.zeros((48000, 1), np.float32)
    click[24000:24480] = 0.9
    audio = load_audio(encode(tmp_path / "a.mkv", click, 48000, "aac", picture=True, delay=delay))
    heard = np.flatnonzero(np.abs(audio.samples) > 0.3)[0] / 16000
    assert heard == pytest.approx(0.5 + delay, abs=0.03)


def test_one_sample_and_a_tenth_of_a_second(tmp_path: Path) -> None:
    for count, rate in ((1, 16000), (1, 48000), (1, 8000), (4800, 48000)):
        audio = load_audio(write(tmp_path / "a.wav", np.full(count, 0.5, np.float32), rate))
        assert audio.seconds == Fraction(count, rate)
        assert len(audio.samples) == max(1, round(Fraction(count, rate) * 16000))


def test_silence_is_sound(tmp_path: Path) -> None:
    audio = load_audio(write(tmp_path / "a.wav", np.zeros(1600, np.float32), 16000))
    assert not audio.samples.any()


def test_ten_minutes_need_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 48000, 2, "PCM_16") as file:
        for _ in range(60):
            file.write(np.zeros((480000, 2), np.int16))
    tracemalloc.start()
    audio = load_audio(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert audio.seconds == 600 and audio.samples.nbytes == 600 * 16000 * 4
    assert peak < 2.2 * audio.samples.nbytes  # the parts, and the whole they are joined to


def test_another_target_rate(tmp_path: Path) -> None:
    audio = load_audio(write(tmp_path / "a.wav", tone(16000, 0.5), 16000), rate=24000)
    assert isinstance(audio, Audio) and audio.rate == 24000 and audio.samples.shape == (12000,)


# --- what is refused, in one sentence


def message(path: Path) -> str:
    with pytest.raises(MsmdError) as error:
        load_audio(path)
    assert str(path) in error.value.message
    assert "\n" not in error.value.message
    return error.value.message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number(tmp_path: Path, bad: float) -> None:
    samples = tone(16000, 5.0)
    samples[72000] = bad
    assert "at 4.500 s" in message(write(tmp_path / "a.wav", samples, 16000, "FLOAT"))


def test_nothing_there(tmp_path: Path) -> None:
    assert "no such audio file" in message(tmp_path / "absent.wav")
    assert "a folder" in message(tmp_path)
    (tmp_path / "empty.wav").touch()
    assert "is empty" in message(tmp_path / "empty.wav")
    assert "0 samples" in message(write(tmp_path / "none.wav", np.zeros(0, np.float32), 16000))


def test_a_text_file_called_wav_gets_both_reasons(tmp_path: Path) -> None:
    path = tmp_path / "script.wav"
    path.write_text("Halt! Who goes there?\n" * 20)
    said = message(path)
    assert "libsndfile says: " in said and "FFmpeg says: Invalid data" in said


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "mp3", "ogg"])
def test_cut_off_files(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", np.random.default_rng(0).uniform(-0.5, 0.5, 32000), 16000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "cut off" in message(path) or suffix == "ogg"


def test_a_cut_off_video(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", tone(48000, 2.0)[:, None], 48000, "aac", picture=True)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "FFmpeg says" in message(path)


def test_a_wav_written_to_a_pipe_has_no_length_and_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(16000, 1.0), 16000)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert load_audio(path).seconds == 1


def test_a_video_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    assert "no sound track" in message(path)


def test_files_of_the_corpus() -> None:
    shared = shared_dir()
    if shared is None or not (shared / "corpus" / "bad").is_dir():
        pytest.skip("needs the shared corpus: MSMD_SHARED/corpus")
    corpus = shared / "corpus"
    for path in sorted((corpus / "audio").glob("*.wav"))[:5]:
        expected, rate = soundfile.read(path, dtype="float32")
        audio = load_audio(path)
        assert rate == 16000 and audio.seconds == Fraction(len(expected), rate)
        np.testing.assert_array_equal(audio.samples, expected)
    assert "FFmpeg says" in message(corpus / "bad" / "bad_truncated_file.mp4")
    assert "no sound track" in message(corpus / "bad" / "bad_no_audio_track.mp4")
    assert load_audio(corpus / "bad" / "bad_no_face.mp4").seconds > 1
