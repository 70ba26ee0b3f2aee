"""Which files are recordings and which are videos, by their names: one list of each for all commands.

FFmpeg decodes them all. A file of another suffix can still be named itself where a command takes a recording or a
video; suffixes decide what is looked for in folders, and how a reference is read.
"""

from __future__ import annotations

from pathlib import Path

SOUND_SUFFIXES = tuple(
    ".wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .spx .mp3 .mp2 .mpa .mpga .m4a .m4b .m4r .aac .ac3 .eac3"  # noqa: SIM905
    " .aif .aiff .aifc .wma .caf .au .snd .mka .weba .amr .ape .wv .tta .dts .3ga .voc".split()
)
VIDEO_SUFFIXES = tuple(
    ".mp4 .mov .mkv .avi .webm .m4v .mpg .mpeg .mts .m2ts .m2t .ts .3gp .3g2 .flv .f4v .mxf .wmv .asf .ogv .ogm .qt"  # noqa: SIM905
    " .m2v .vob .dv .divx .mjpg .mjpeg .mod .tod .gxf .nut .y4m".split()
)
RECORDING_SUFFIXES = (*SOUND_SUFFIXES, *VIDEO_SUFFIXES)  # a video's sound is a recording


def is_sound(path: Path | str) -> bool:
    """Whether a file's name says that it holds sound and no picture."""
    return Path(path).suffix.lower() in SOUND_SUFFIXES


def is_video(path: Path | str) -> bool:
    """Whether a file's name says that it is a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES
