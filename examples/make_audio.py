"""Speak the example lines: the audio files that `lines.yaml` names, from its texts and voices.

    python examples/make_audio.py          # needs flite and espeak-ng

The English voices (awb, rms, slt: CMU Arctic, free for any use) come with flite, the others with espeak-ng, whose
output is free of the program's licence. The files are mono at 16 kHz (flite) or 22.05 kHz (espeak-ng), Ogg Vorbis or
FLAC by suffix. They lie in the repository: this script need only run when a text changes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from msmdcli.errors import MsmdError  # noqa: E402
from msmdcli.manifest.loading import load_manifest  # noqa: E402
from msmdcli.motion.rig import Rig  # noqa: E402
from training.speech.synthesisers import find_engines  # noqa: E402

MANIFEST = Path(__file__).with_name("lines.yaml")
PEAK = 0.5  # of full scale
SILENCE = 0.25  # seconds before and after the speech


def main() -> int:
    engines, missing = find_engines()
    for line in load_manifest(MANIFEST, Rig.load("arkit52")).lines:
        name = line.fields["voice"]
        engine = engines.get(name.split("/")[0])
        voice = next((v for v in engine.voices() if v.id == name), None) if engine else None
        if engine is None or voice is None or line.text is None:
            raise MsmdError(f"{line.where}: no voice {name!r} here", hint="; ".join(missing))
        spoken = engine.speak(voice, line.text, tempo=1.0, pitch=0.5)
        silence = np.zeros(round(SILENCE * spoken.rate), np.float32)
        samples = np.concatenate([silence, spoken.samples * (PEAK / np.abs(spoken.samples).max()), silence])
        line.audio.parent.mkdir(exist_ok=True)
        soundfile.write(line.audio, samples, spoken.rate)
        print(f"{line.audio.relative_to(MANIFEST.parent)}: {len(samples) / spoken.rate:.2f} s")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except MsmdError as error:
        print(f"Error: {error.message}\nHint: {error.hint}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
