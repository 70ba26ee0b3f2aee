"""What the controls of a line's choices need to know: the keys of the manifest's schema, tags, gestures, usual ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msmdcli.manifest.lines import CHOICES, DEFAULT_SEED
from msmdcli.manifest.schema import manifest_schema
from msmdcli.model.sampling import Sampling
from msmdcli.motion.rig import Rig
from msmdcli.styles.field import DEFAULT_FADE, DEFAULT_INTENSITY

SILENT_KEYS = ("formats", "format_options", "language", "takes")  # choices that change nothing that is seen or heard


def about_choices(rig: Rig, sampling: Sampling, tags: Iterable[str], gestures: Iterable[str]) -> dict[str, Any]:
    """The same, as plain data.

    Args:
        rig: of the model, whose regions and channels choices may name.
        sampling: of the batch; its guidance holds where a line says nothing.
        tags, gestures: that lines may name.
    """
    schema = manifest_schema(rig)
    keys = schema["$defs"]["choices"]["properties"]
    return {
        "tags": list(tags),
        "gestures": list(gestures),
        "keys": {name: keys[name] for name in CHOICES if name in keys and name not in SILENT_KEYS},
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
        "blocks": {name: schema["$defs"][name]["items"]["properties"] for name in ("segments", "gestures")},
        "groups": [*rig.regions, *rig.channels],
    }
