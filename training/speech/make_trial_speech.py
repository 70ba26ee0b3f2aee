"""Speak the trial speech: what a model says in every style so that the size of its mouth is known (`mouth_sizes`).

    python -m training.speech.make_trial_speech          # needs Kokoro and espeak-ng (training/speech/kokoro.py)

Five natural voices of Kokoro-82M (Apache-2.0) in three languages, 20 seconds, mono at 16 kHz. How far a model's mouth
goes depends on who speaks and what (a fifth more or less from one sentence to the next, half on robotic voices), and
made voices move it more than recorded ones: jaw 0.045 on the mean of 38 sentences of Kokoro, 0.039 on that of 32
recorded voices in ten languages. These five were chosen so that together they are about as recorded ones are (jaw
0.037, lips 0.036 against 0.038, in `neutral`, by the starter). The files lie in the package: this need only run when a
text changes.
"""

from __future__ import annotations

import numpy as np
import soundfile
import soxr

from msmdcli.media.audio import RATE
from msmdcli.workers.mouth_sizes import TRIAL_SPEECH
from training.speech.kokoro import Kokoro

SPOKEN = (  # voice, what it says
    ("kokoro/af_sky", "The rain had stopped before we left the house this morning."),
    ("kokoro/ff_siwis", "Nous avons marché longtemps avant de trouver la maison."),
    ("kokoro/am_santa", "Nobody knew what the old woman was looking for in the garden."),
    ("kokoro/em_santa", "La ventana de mi cuarto da a un jardín pequeño."),
    ("kokoro/am_fenrir", "Please take the second road after the bridge."),
)
PEAK = 0.5  # of full scale
PAUSE = 0.2  # seconds before and after each


def main() -> None:
    kokoro = Kokoro()
    voices = {voice.id: voice for voice in kokoro.voices()}
    pause = np.zeros(round(PAUSE * RATE), np.float32)
    TRIAL_SPEECH.mkdir(parents=True, exist_ok=True)
    for name, text in SPOKEN:
        spoken = kokoro.speak(voices[name], text, 1.0, 0.5)
        samples = soxr.resample(np.asarray(spoken.samples, np.float32), spoken.rate, RATE)
        samples = np.concatenate([pause, samples * (PEAK / np.abs(samples).max()), pause])
        soundfile.write(TRIAL_SPEECH / f"{name.split('/')[1]}.ogg", samples, RATE)


if __name__ == "__main__":
    main()
