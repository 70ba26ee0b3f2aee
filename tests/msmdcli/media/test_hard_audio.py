"""Recordings as they come from recorders, browsers, servers and broken copies."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from msmdcli.errors import MsmdError
from msmdcli.media.audio import load_audio
from msmdcli.media.cut_off import missing_bytes, ogg_damaged_pages, ogg_has_its_end, ogg_links

RATE = 16000
SECONDS = 6.0


def voice(seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """Something of speech's unevenness, so that a variable bit rate varies: [S] float32."""
    rng = np.random.default_rng(5)
    time = np.arange(round(seconds * rate)) / rate
    loud = np.where(time < seconds / 3, 0.001, 0.4)
    return (loud * (np.sin(2 * np.pi * 300 * time) + 0.3 * rng.standard_normal(len(time)))).astype(np.float32)


def encode(
    path: Path, codec: str, samples: np.ndarray, rate: int = RATE, options: dict[str, str] | None = None, **how: object
) -> Path:
    """Write [S] with FFmpeg."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        for name, value in how.items():
            setattr(stream.codec_context, name, value)
        form = stream.codec_context.format.name
        resampler = av.AudioResampler(form, "mono", rate)
        for start in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024].copy(), format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start
            for piece in resampler.resample(frame):
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def without(source: Path, target: Path, first: float, last: float) -> Path:
    """A copy that lacks the packets of a stretch, their times kept."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is None or first <= packet.pts * packet.time_base < last:
                continue
            packet.stream = streams[packet.stream.index]
            made.mux(packet)
    return target


def beeps(path: Path) -> list[float]:
    """Seconds at which a beep begins."""
    loud = np.abs(load_audio(path).samples) > 0.2
    at = np.flatnonzero(loud) / RATE
    return [float(time) for i, time in enumerate(at) if i == 0 or time - at[i - 1] > 0.5]


# --- a header's length is a hint


def test_an_mp3_of_variable_rate_without_a_length_tag_is_read_to_its_end(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", "libmp3lame", voice(), options={"write_xing": "0"}, global_quality=5 * 118)
    assert abs(float(load_audio(path).seconds) - SECONDS) < 0.12


def test_joined_mp3s_are_read_to_the_end_of_the_last(tmp_path: Path) -> None:
    one = encode(tmp_path / "a.mp3", "libmp3lame", voice()).read_bytes()
    (tmp_path / "b.mp3").write_bytes(one + one)
    assert abs(float(load_audio(tmp_path / "b.mp3").seconds) - 2 * SECONDS) < 0.2


def test_a_picture_in_a_tag_is_not_sound(tmp_path: Path) -> None:
    plain = encode(tmp_path / "a.mp3", "libmp3lame", voice(), options={"write_xing": "0"}).read_bytes()
    value = b"cover.png\0" + bytes(range(256)) * 4000
    item = struct.pack("<II", len(value), 2) + b"Cover Art (Front)\0" + value
    ends = [
        b"APETAGEX" + struct.pack("<IIII", 2000, len(item) + 32, 1, flags) + bytes(8) for flags in (5 << 29, 1 << 31)
    ]
    (tmp_path / "b.mp3").write_bytes(plain + ends[0] + item + ends[1])
    assert abs(float(load_audio(tmp_path / "b.mp3").seconds) - SECONDS) < 0.12


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_a_chained_ogg_is_read_link_after_link(tmp_path: Path, codec: str) -> None:
    one = tmp_path / "a.ogg"
    soundfile.write(one, voice(), RATE, subtype=codec)
    seconds = float(load_audio(one).seconds)
    (tmp_path / "b.ogg").write_bytes(one.read_bytes() * 2)
    assert ogg_links(one) == 1 and ogg_links(tmp_path / "b.ogg") == 2
    assert abs(float(load_audio(tmp_path / "b.ogg").seconds) - 2 * seconds) < 0.05


def test_a_flac_that_does_not_know_its_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", voice(), RATE)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] &= 0xF0  # STREAMINFO: the low 4 bits of byte 21 and the next four bytes are the number of samples
    data[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(data)
    assert load_audio(tmp_path / "a.flac").seconds == Fraction(SECONDS)


@pytest.mark.parametrize("more", [8, 36, 44])
def test_a_recorder_that_counts_its_header_as_sound(tmp_path: Path, more: int) -> None:
    data = (voice() * 32767).astype("<i2").tobytes()
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
    body = b"WAVE" + form + b"data" + struct.pack("<I", len(data) + more) + data
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert load_audio(tmp_path / "a.wav").seconds == Fraction(SECONDS)


def test_a_recorder_that_died_before_it_wrote_the_length(tmp_path: Path) -> None:
    data = (voice() * 32767).astype("<i2").tobytes()
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
    (tmp_path / "a.wav").write_bytes(b"RIFF" + bytes(4) + b"WAVE" + form + b"data" + bytes(4) + data)
    assert abs(float(load_audio(tmp_path / "a.wav").seconds) - SECONDS) < 0.01


# --- sound lies where its time stamps say


@pytest.mark.parametrize(("suffix", "codec", "rate"), [("m4a", "aac", RATE), ("webm", "libopus", 48000)])
def test_lost_packets_are_silence(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    time = np.arange(10 * rate) / rate
    on = ((time >= 1) & (time < 1.2)) | ((time >= 7) & (time < 7.2))
    sound = np.where(on, 0.8 * np.sin(2 * np.pi * 500 * time), 0).astype(np.float32)
    whole = encode(tmp_path / f"a.{suffix}", codec, sound, rate=rate)
    assert beeps(whole) == pytest.approx([1.0, 7.0], abs=0.03)
    holed = without(whole, tmp_path / f"b.{suffix}", 3.0, 3.6)
    assert beeps(holed) == pytest.approx([1.0, 7.0], abs=0.03)
    assert any("lacks" in note for note in load_audio(holed).notes)


def test_a_bad_packet_does_not_end_a_recording(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mka", "flac", voice())
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux() if packet.size]
    data = bytearray(path.read_bytes())
    position, size = packets[len(packets) // 2]
    at = data.find(b"\xff\xf8", position)
    data[at : at + size // 2] = bytes(size // 2)
    path.write_bytes(data)
    audio = load_audio(path)
    assert abs(float(audio.seconds) - SECONDS) < 0.3
    assert audio.notes


# --- cut off

CONTAINERS = {"caf": "pcm_s16le", "au": "pcm_s16be", "w64": "pcm_s16le", "mkv": "aac", "webm": "libopus"}


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_half_a_container_is_refused(tmp_path: Path, suffix: str) -> None:
    rate = 48000 if suffix == "webm" else RATE
    path = encode(tmp_path / f"a.{suffix}", CONTAINERS[suffix], voice(rate=rate), rate=rate)
    assert missing_bytes(path) == 0
    assert abs(float(load_audio(path).seconds) - SECONDS) < 0.15
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MsmdError, match="cut off"):
        load_audio(path)


def test_half_an_ogg_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, voice(), RATE, subtype="VORBIS")
    assert ogg_has_its_end(path) and not load_audio(path).notes
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert any("cut off" in note for note in load_audio(path).notes)


# --- level and range


def test_a_channel_upside_down_does_not_silence_the_other(tmp_path: Path) -> None:
    sound = voice()
    soundfile.write(tmp_path / "a.wav", np.stack([sound, -sound], axis=1), RATE)
    audio = load_audio(tmp_path / "a.wav")
    assert np.abs(audio.samples - sound).max() < 1e-3
    assert any("cancel" in note for note in audio.notes)


def test_two_voices_are_mixed_as_before(tmp_path: Path) -> None:
    left, right = voice(), np.roll(voice(), 4000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    audio = load_audio(tmp_path / "a.wav")
    assert np.abs(audio.samples - (left + right) / 2).max() < 1e-6 and not audio.notes


@pytest.mark.parametrize("scale", [1 << 15, 1 << 23, 1 << 31])
def test_integers_in_a_float_file(tmp_path: Path, scale: int) -> None:
    sound = voice()
    soundfile.write(tmp_path / "a.wav", sound * scale * 0.9, RATE, subtype="FLOAT")
    audio = load_audio(tmp_path / "a.wav")
    assert np.abs(audio.samples - sound * 0.9).max() < 1e-3
    assert any("integers" in note for note in audio.notes)


# --- which sound track


def two_tracks(path: Path) -> Path:
    """A silent track and a loud one."""
    options = {"default_mode": "passthrough", "write_crc32": "0"} if path.suffix == ".mkv" else {}
    with av.open(str(path), "w", options=options) as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        for i, stream in enumerate(streams):
            sound = (voice(2.0) * 20000 * i).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def test_the_default_track_is_read(tmp_path: Path) -> None:
    path = two_tracks(tmp_path / "a.mkv")
    data = bytearray(path.read_bytes())
    data[data.rfind(b"\x88\x81\x00") + 2] = 1  # FlagDefault of the second track
    path.write_bytes(data)
    audio = load_audio(path)
    assert np.abs(audio.samples).max() > 0.1
    assert any("2 sound tracks" in note for note in audio.notes)


def test_a_track_of_an_unknown_codec_is_passed_over(tmp_path: Path) -> None:
    path = two_tracks(tmp_path / "a.mov")
    data = bytearray(path.read_bytes())
    at = data.find(b"sowt")
    data[at : at + 4] = b"apac"
    path.write_bytes(data)
    assert np.abs(load_audio(path).samples).max() > 0.1
    at = data.find(b"sowt")
    data[at : at + 4] = b"apac"
    path.write_bytes(data)
    with pytest.raises(MsmdError, match=r"no sound track of .* can be decoded"):
        load_audio(path)


# ---- pages of Ogg ----------------------------------------------------------------------------------------------------


def ogg_pages(content: bytes) -> list[int]:
    """Where the pages begin."""
    at, found = 0, []
    while at < len(content):
        found.append(at)
        body = at + 27 + content[at + 26]
        at = body + sum(content[at + 27 : body])
    return found


@pytest.mark.parametrize(("suffix", "codec"), [(".opus", "libopus"), (".oga", "flac")])
def test_a_damaged_page_is_silence_and_is_told(tmp_path: Path, suffix: str, codec: str) -> None:
    """Without it the decoder closes the gap, and all that follows comes too early."""
    path = tmp_path / f"a{suffix}"
    how = {"page_duration": "200000"}
    with av.open(str(path), "w", format="ogg", options=how) as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        form = stream.codec_context.format.name
        resampler = av.AudioResampler(form, "mono", 48000)
        samples = voice(3.0, 48000)
        for start in range(0, len(samples), 960):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960].copy(), format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), start
            for piece in resampler.resample(frame):
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    whole = load_audio(path)
    assert ogg_damaged_pages(path) == 0 and not whole.notes
    content = bytearray(path.read_bytes())
    pages = ogg_pages(bytes(content))
    assert len(pages) > 8
    content[pages[6] + 60] ^= 0x55
    path.write_bytes(content)
    assert ogg_damaged_pages(path) == 1
    found = load_audio(path)
    assert any("damaged or missing pages" in note for note in found.notes)
    assert abs(float(found.seconds - whole.seconds)) < 0.05
    late = slice(round(2.6 * 16000), round(2.9 * 16000))
    assert np.corrcoef(found.samples[late], whole.samples[late])[0, 1] > 0.9, "what follows stays in its place"
    del content[pages[6] : pages[7]]
    path.write_bytes(content)
    assert ogg_damaged_pages(path) == 1, "a page that is not there leaves a gap in the numbers"


def test_half_an_avi_says_so(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.avi", "pcm_s16le", voice(2.0))
    assert missing_bytes(path) == 0
    half = tmp_path / "half.avi"
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert missing_bytes(half) > 0
    with pytest.raises(MsmdError, match="damaged or cut off"):
        load_audio(half)
