"""Measure the scales of the mouth for the tags that ship, by the shipped model at its defaults (`mouth_sizes`).

    python -m training.speech.make_mouth_sizes      # when the model, a tag's clips or the trial speech have changed

So a first line in a shipped style need not wait for the trial speech.
"""

from __future__ import annotations

import json

from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.stores import StyleStore
from msmdcli.paths import shipped_bundle
from msmdcli.performance.mouth_size import VISEMES
from msmdcli.styles.library import StyleLibrary
from msmdcli.workers.mouth_sizes import SHIPPED_SIZES, VERSION, MouthSizes, plain


def main() -> None:
    engine = Engine(Bundle.load(shipped_bundle()), device="cpu", threads=1)
    sizes, found, names = MouthSizes(engine, StyleStore(limit=0)), {}, {}
    for tag in StyleLibrary().tags:
        reference = StyleLibrary().resolve(tag)
        assert reference is not None  # a tag is no `none`
        clips = reference.load()
        style = engine.encode_style(clips)
        for closures in (True, False):
            key = sizes.described(clips, engine.sampling, closures)
            scale = plain(engine.bundle.rig, sizes.measured(style, clips, engine.sampling, closures))
            found[key], names[key] = scale, tag
            words = " ".join(f"{name} {scale[name]:.2f}" for name in (*VISEMES, "bend"))
            print(f"{tag:16s} closures {'on' if closures else 'off':3s} {words}")
    document = {"format_version": 3, "scales_version": VERSION, "scales": found, "tags": names}
    SHIPPED_SIZES.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
