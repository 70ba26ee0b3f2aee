"""One good file of every kind that MSMD reads, and what reads it: the material of `fuzz_files`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from voice_lines import write_sound, write_style  # noqa: E402

from msmdcli.formats.registry import read_motion, write_motion  # noqa: E402
from msmdcli.motion.motion import Motion, save_npz  # noqa: E402
from msmdcli.motion.rig import Rig  # noqa: E402

RIG = Rig.load("arkit52")
SOUND_SECONDS = 0.8
FFMPEG_SOUNDS = {  # suffix -> FFmpeg's container and codec
    ".mp3": ("mp3", "libmp3lame"),
    ".m4a": ("mp4", "aac"),
    ".aac": ("adts", "aac"),
    ".wma": ("asf", "wmav2"),
    ".opus": ("ogg", "libopus"),
    ".mka": ("matroska", "aac"),
}
SNDFILE_SOUNDS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".aif": ("AIFF", "PCM_16"),
    ".caf": ("CAF", "PCM_16"),
    ".w64": ("W64", "PCM_16"),
    ".au": ("AU", "PCM_16"),
}
VIDEOS = {".mp4": "libx264", ".mkv": "libx264", ".avi": "mpeg4", ".webm": "libvpx"}
TREES = ("json", "lines", "gltf", "glb", "yaml", "bytes", "zip", "text")  # how a kind is mutated; see `mutations`


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: of the kind.
        file: the file that is mutated, below the case's folder.
        how: one of `TREES`.
        make: writes a good file (and what belongs beside it) into a folder.
        read: what MSMD does with it; it may write below `out` in the folder only.
    """

    name: str
    file: str
    how: str
    make: Callable[[Path], None]
    read: Callable[[Path], None]


def motion(frames: int = 40) -> Motion:
    values = np.random.default_rng(1).uniform(0, 0.6, (frames, RIG.size)).astype(np.float32)
    return Motion(values, Fraction(30), RIG, {"style": "angry"})


def all_kinds() -> dict[str, Kind]:
    """Every kind by its name."""
    kinds = [*_sounds(), *_videos(), *_motions(), *_heads(), *_described(), *_ours(), *_training()]
    return {kind.name: kind for kind in kinds}


def _sounds() -> list[Kind]:
    def read(folder: Path, name: str) -> None:
        from msmdcli.media.audio import load_audio

        load_audio(folder / name)

    def by_sndfile(path: Path) -> None:
        import soundfile

        write_sound(path.with_suffix(".make.wav"), SOUND_SECONDS)
        samples, rate = soundfile.read(path.with_suffix(".make.wav"))
        form, subtype = SNDFILE_SOUNDS[path.suffix]
        soundfile.write(path, samples, rate, format=form, subtype=subtype)
        path.with_suffix(".make.wav").unlink()

    def by_ffmpeg(path: Path) -> None:
        import av

        container, codec = FFMPEG_SOUNDS[path.suffix]
        rng = np.random.default_rng(0)
        with av.open(str(path), "w", format=container) as out:
            stream = out.add_stream(codec, rate=48000, layout="mono")
            stream.bit_rate = 96000
            for start in range(0, round(48000 * SOUND_SECONDS), 960):
                block = (rng.standard_normal((1, 960)) * 0.1).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
                out.mux(stream.encode(frame))
            out.mux(stream.encode())

    kinds = []
    for suffix in (*SNDFILE_SOUNDS, *FFMPEG_SOUNDS):
        name = f"a{suffix}"
        make = by_sndfile if suffix in SNDFILE_SOUNDS else by_ffmpeg
        kinds.append(
            Kind(
                f"sound{suffix}",
                name,
                "bytes",
                lambda folder, make=make, name=name: make(folder / name),  # type: ignore[misc]
                lambda folder, name=name: read(folder, name),  # type: ignore[misc]
            )
        )
    return kinds


def _videos() -> list[Kind]:
    def make(path: Path) -> None:
        import av

        with av.open(str(path), "w") as out:
            stream = out.add_stream(VIDEOS[path.suffix], rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for number in range(12):
                picture = np.full((64, 96, 3), number * 20, np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(stream.encode())

    def read(path: Path) -> None:
        from msmdcli.media.video import probe_video, read_video

        probe_video(path)
        for number, _ in enumerate(read_video(path)):
            if number > 200:
                break

    return [
        Kind(
            f"video{suffix}",
            f"a{suffix}",
            "bytes",
            lambda folder, suffix=suffix: make(folder / f"a{suffix}"),  # type: ignore[misc]
            lambda folder, suffix=suffix: read(folder / f"a{suffix}"),  # type: ignore[misc]
        )
        for suffix in VIDEOS
    ]


def _motions() -> list[Kind]:
    forms = {
        "npz": ("a.npz", "zip"),
        "json": ("a.json", "json"),
        "livelink-csv": ("a.csv", "text"),
        "unreal": ("a.unreal.csv", "text"),
        "maya": ("a.maya.py", "text"),
        "unity-anim": ("a.anim", "text"),
        "usda": ("a.usda", "text"),
        "glb": ("a.glb", "glb"),
    }

    def read(path: Path) -> None:
        found = read_motion(path)
        if found.frames < 2000:
            (path.parent / "out").mkdir(exist_ok=True)
            write_motion(found.resample(25), path.parent / "out/b.json", "json")

    return [
        Kind(
            f"motion {form}",
            name,
            how,
            lambda folder, name=name, form=form: (
                write_motion(  # type: ignore[misc]
                    motion(), folder / name, form, {"head": "none"} if form == "glb" else None
                )
                and None
            ),
            lambda folder, name=name: read(folder / name),  # type: ignore[misc]
        )
        for form, (name, how) in forms.items()
    ]


def _heads() -> list[Kind]:
    from msmdcli.formats.glb import carrier

    def split(folder: Path) -> None:
        """A .gltf with its buffer and a picture beside it."""
        file = carrier(RIG)
        (folder / "a.bin").write_bytes(bytes(file.blob))
        (folder / "skin.png").write_bytes(b"picture")
        tree = file.tree | {
            "buffers": [{"byteLength": len(file.blob), "uri": "a.bin"}],
            "images": [{"uri": "skin.png"}],
        }
        (folder / "a.gltf").write_text(json.dumps(tree))

    def use(path: Path) -> None:
        from msmdcli.heads.gltf_head import load_gltf_head

        decoder = load_gltf_head(path, RIG)
        decoder.decode(motion(2))
        (path.parent / "out").mkdir(exist_ok=True)
        write_motion(motion(3), path.parent / "out/b.glb", "glb", {"head": str(path)})

    def imported(folder: Path) -> None:
        from msmdcli.heads.rig_import import import_head, write_rig

        carrier(RIG).save(folder / "make.glb")
        write_rig(folder / "a.yaml", import_head(folder / "make.glb", RIG).mesh, [])
        (folder / "make.glb").unlink()

    def mesh(folder: Path) -> None:
        from msmdcli.heads.mesh_file import load_mesh

        load_mesh(folder / "a.npz", Rig.load(folder / "a.yaml"))

    def rig(folder: Path) -> None:
        from msmdcli.heads.loading import load_head

        load_head(folder / "a.yaml")

    return [
        Kind("head glb", "a.glb", "glb", lambda f: carrier(RIG).save(f / "a.glb"), lambda f: use(f / "a.glb")),
        Kind("head vrm", "a.vrm", "glb", lambda f: carrier(RIG).save(f / "a.vrm"), lambda f: use(f / "a.vrm")),
        Kind("head gltf", "a.gltf", "json", split, lambda f: use(f / "a.gltf")),
        Kind("head npz", "a.npz", "zip", imported, mesh),
        Kind("rig", "a.yaml", "text", imported, rig),
    ]


def _described() -> list[Kind]:
    def style(folder: Path) -> None:
        from msmdcli.styles.library import StyleLibrary, check_style

        check_style(folder / "angry", RIG)
        reference = StyleLibrary((folder,), shipped=False).resolve("angry")
        assert reference is not None
        reference.load()

    def gesture(folder: Path) -> None:
        (folder / "nod.yaml").write_text(
            "format_version: 1\nkeys:\n  - {time: 0, channels: {headPitch: 0}}\n"
            "  - {time: 0.2, channels: {headPitch: 0.2}}\n  - {time: 0.5, channels: {headPitch: 0}}\n"
        )

    def use_gesture(folder: Path) -> None:
        from msmdcli.controls import gesture
        from msmdcli.formats.motion_file import MotionFile

        gesture._load.cache_clear()  # every case has the same path
        gesture.load_clip(MotionFile(folder / "nod.yaml"), RIG)

    def curve_map(folder: Path) -> None:
        from msmdcli.motion.curve_map import find_curve_map

        shutil.copy(find_curve_map("vrm"), folder / "a.yaml")

    def use_curve_map(folder: Path) -> None:
        from msmdcli.motion.curve_map import CurveMap

        CurveMap.load(folder / "a.yaml").rig

    def tagged(folder: Path) -> None:
        write_style(folder / "angry", 1)

    return [
        Kind("style.yaml", "angry/style.yaml", "text", tagged, style),
        Kind("style clip", "angry/clip.npz", "zip", tagged, style),
        Kind("gesture", "nod.yaml", "text", gesture, use_gesture),
        Kind("curve map", "a.yaml", "text", curve_map, use_curve_map),
    ]


def _ours() -> list[Kind]:
    from msmdcli.paths import shipped_bundle

    def bundle(folder: Path) -> None:
        for path in shipped_bundle().iterdir():
            (folder / path.name).symlink_to(path) if path.suffix == ".onnx" else shutil.copy(path, folder)
        description = json.loads((folder / "bundle.json").read_text())
        description.pop("description_sha256", None)  # else every change is refused for its checksum alone
        (folder / "bundle.json").write_text(json.dumps(description))

    def use_bundle(folder: Path) -> None:
        from msmdcli.model.bundle import Bundle
        from msmdcli.model.sampling import Sampling

        Sampling().resolve(Bundle.load(folder, verify=False))

    def ledger(folder: Path) -> None:
        from msmdcli.batch.ledger import Ledger, LedgerEntry

        book = Ledger(folder)
        for number in range(4):
            facts = {"seconds": 1.5, "health": {"jitter": 0.1}, "frames": 30, "warnings": ["w"]}
            book.record(LedgerEntry(f"l{number}", f"{number:064x}", {f"l{number}.csv": f"{number + 9:064x}"}, facts))

    def use_ledger(folder: Path) -> None:
        from msmdcli.batch.ledger import Ledger

        book = Ledger(folder)
        for number in range(4):
            book.is_current(f"l{number}", f"{number:064x}", f"l{number}.csv", f"{number + 9:064x}")

    def report(folder: Path) -> None:
        from msmdcli.batch.report import Record, Report, write_report
        from msmdcli.motion.health import Health

        out = folder / "out"
        out.mkdir()
        write_sound(folder / "a.wav", 0.3)
        save_npz(out / "a.npz", motion(8))
        health = Health(0.1, 0.1, 12.0, 0.0, 0.0, 1.0, 8.0, 0.1, 1.0, 0.1).as_dict()
        record = Record("a", "made", str(folder / "a.wav"), ("a.npz",), style="angry", health=health)
        settings = {"manifest": str(folder / "l.yaml"), "sampling": {"steps": 2}}
        write_report(Report("0", {"name": "x"}, settings, 1.0, 0, (record,)), out)

    def use_report(folder: Path) -> None:
        from msmdcli.batch import review
        from msmdcli.batch.redoing import merged
        from msmdcli.batch.report import Report, as_html

        review._head = dict  # type: ignore[attr-defined]  # the same for every case, and slow
        review.write_review(folder / "out", review.ReviewOptions(copy_audio=True))
        again = Report("0", {}, {}, 1.0, 0, merged((), review.read_report(folder / "out")))
        as_html(again)
        again.as_dict()

    def cache(folder: Path) -> None:
        from msmdcli.heads.mesh_file import HeadCache

        with (folder / "make.npz").open("wb") as file:
            np.savez(file, a=np.arange(50.0))
        HeadCache(folder, 10**9).keep("key", [(folder / "make.npz").read_bytes()])
        (folder / "make.npz").unlink()

    def use_cache(folder: Path) -> None:
        from msmdcli.heads.mesh_file import HeadCache, arrays_of

        content = HeadCache(folder, 10**9).read("key")
        if content is not None:
            arrays_of(content)

    def track(folder: Path) -> None:
        from msmdcli.media.video import VideoInfo
        from msmdcli.tracking.track import Track, save_track

        T = 20
        info = VideoInfo(96, 64, Fraction(25), False, Fraction(4, 5), 20, 0, True)
        ones = np.ones(T, np.float32)
        box = np.ones((T, 4), np.float32)
        save_track(
            folder / "t.npz",
            Track(motion(T), ones, ones > 0, ones.astype(np.int32), ones, box, None, ((2, 5),), info, ("w",)),
        )

    def use_track(folder: Path) -> None:
        from msmdcli.tracking.track import load_track

        load_track(folder / "t.npz")

    return [
        Kind("bundle.json", "bundle.json", "json", bundle, use_bundle),
        Kind("ledger", "ledger.jsonl", "lines", ledger, use_ledger),
        Kind("report.json", "out/report.json", "json", report, use_report),
        Kind("cache", "key.npz", "bytes", cache, use_cache),
        Kind("track", "t.npz", "zip", track, use_track),
    ]


def _training() -> list[Kind]:
    def index(folder: Path) -> None:
        from training.data.records import ClipRecord

        common: dict[str, Any] = {"known": None, "speaker": "s", "source": "mine", "tag": "angry", "language": "en"}
        common |= {"seconds": 2.0, "fps": "25/1", "av_offset_frames": 0.0, "found": 1.0, "split": "train"}
        lines = [
            json.dumps(asdict(ClipRecord(f"c{n}", "a.wav", "m.npz", **common, commercial=True, licence="MIT")))
            for n in range(4)
        ]
        (folder / "index.jsonl").write_text("\n".join(lines) + "\n")

    def use_index(folder: Path) -> None:
        from training.data.records import counts, read_index

        counts(read_index(folder))

    def record(folder: Path) -> None:
        from made_curation import data_of

        (folder / "r.npz").write_bytes(data_of(1).to_bytes())

    def use_record(folder: Path) -> None:
        from training.curation.clip_data import ClipData, load_measures

        load_measures(folder / "r.npz")
        ClipData.load(folder / "r.npz")

    return [
        Kind("index.jsonl", "index.jsonl", "lines", index, use_index),
        Kind("curation record", "r.npz", "zip", record, use_record),
    ]
