"""What the controls of a line's choices need to know: the keys of the manifest's schema, tags, gestures, usual ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msmdcli.manifest.lines import CHOICES, DEFAULT_SEED, SAMPLING
from msmdcli.manifest.schema import manifest_schema
from msmdcli.model.sampling import Sampling
from msmdcli.motion.rig import Rig
from msmdcli.studio.places import DUB_CHOICES
from msmdcli.styles.field import DEFAULT_FADE, DEFAULT_INTENSITY

SILENT_KEYS = ("formats", "format_options", "language", "takes")  # choices that change nothing that is seen or heard

FIRST = (  # what is reached for first, in the order in which a face is worked on
    *("style", "intensity", "seed", "regions", "articulation", "mouth_size", "performance_amount", "performance"),
    *("head", "blinks", "keep_head_pose", "closures", "smooth", "silence_gate"),
)
LATER = ("fps", *SAMPLING)  # set once for a whole project


def about_choices(rig: Rig, sampling: Sampling, tags: Iterable[str], gestures: Iterable[str]) -> dict[str, Any]:
    """The same, as plain data.

    Args:
        rig: of the model, whose regions and channels choices may name.
        sampling: of the batch; its guidance holds where a line says nothing.
        tags, gestures: that lines may name.
    """
    schema = manifest_schema(rig)
    choices, dubs = (schema["$defs"][name]["properties"] for name in ("choices", "dub"))
    shown = [name for name in CHOICES if name in choices and name not in SILENT_KEYS]
    of_dubs = [*DUB_CHOICES, *(name for name in shown if name in dubs and name not in DUB_CHOICES)]
    return {
        "tags": list(tags),
        "gestures": list(gestures),
        "first": list(FIRST),
        "later": list(LATER),
        "keys": {name: choices[name] for name in shown},
        "dub_keys": {name: dubs[name] for name in of_dubs},
        "usual": {  # what holds where nobody says anything, for controls that show a number
            "intensity": DEFAULT_INTENSITY,
            "seed": DEFAULT_SEED,
            "fade": DEFAULT_FADE,
            "scale": 1,
            "articulation": 1,
            "performance_amount": 1,
            "guidance_audio": sampling.guidance_audio,
            "guidance_style": sampling.guidance_style,
        },
        "blocks": {name: schema["$defs"][name]["items"]["properties"] for name in ("segments", "gestures", "pins")},
        "limits": limits(rig),
        "groups": [*rig.regions, *rig.channels],
    }


def limits(rig: Rig) -> dict[str, list[float]]:
    """The range in which every channel of a group can be: that of a slider for it."""
    columns = {name: [rig.index(name)] for name in rig.channels}
    columns |= {name: [rig.index(channel) for channel in channels] for name, channels in rig.regions.items()}
    ranges = {name: (float(rig.lower[at].max()), float(rig.upper[at].min())) for name, at in columns.items()}
    return {name: [low, high] for name, (low, high) in ranges.items() if low < high}
