"""Pictures of an evaluation's report: jaws over time, faces frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msmdcli.drawing.pictures import contact_sheet, write_png
from msmdcli.motion.motion import Motion
from training.data.records import unit_hash
from training.evaluation.material import HeldOutClip, Material
from training.evaluation.measuring import ComparisonHead

CURVES_SHOWN = 12


def shown_clips(material: Material, count: int) -> list[HeldOutClip]:
    """Clips for the pictures: of each group in turn, those with the smallest hash of their name."""
    groups: dict[str, list[HeldOutClip]] = {}
    for clip in sorted(material.clips, key=lambda clip: unit_hash(clip.record.id)):
        groups.setdefault(clip.group, []).append(clip)
    turns = [clips[turn] for turn in range(count) for _, clips in sorted(groups.items()) if turn < len(clips)]
    return turns[:count]


def draw_curves(curves: dict[str, dict[str, np.ndarray]], material: Material, out: Path) -> list[str]:
    """jaw.png: jaw opening, tracked and generated, of a dozen clips. Returns the names of the files written."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    clips = shown_clips(material, CURVES_SHOWN)
    columns = 2
    count = -(-len(clips) // columns)
    figure, axes = plt.subplots(count, columns, figsize=(15, 2.1 * count), squeeze=False, constrained_layout=True)
    for axis in axes.ravel()[len(clips) :]:
        axis.axis("off")
    for axis, clip in zip(axes.ravel(), clips, strict=False):
        rig = clip.motion.rig
        jaw = rig.index("jawOpen") if "jawOpen" in rig.channels else int(rig.face_columns[0])
        seconds = np.arange(clip.motion.frames) / float(clip.motion.fps)
        axis.plot(seconds, clip.motion.values[:, jaw], color="black", linewidth=1.4, label="tracked")
        for model, made in curves.items():
            axis.plot(seconds, made[clip.record.id][:, jaw], linewidth=1.1, label=model)
        axis.axvline(seconds[clip.cut], color="0.8", linewidth=0.8)
        axis.set_title(f"{clip.record.id} ({clip.group})", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.margins(x=0)
    axes[0, 0].legend(fontsize=7, loc="upper right")
    figure.supxlabel("s", fontsize=8)
    figure.supylabel(rig.channels[jaw], fontsize=8)
    figure.savefig(out / "jaw.png", dpi=90)
    plt.close(figure)
    return ["jaw.png"]


def draw_faces(
    curves: dict[str, dict[str, np.ndarray]],
    material: Material,
    face: ComparisonHead,
    count: int,
    out: Path,
    columns: int = 8,
) -> list[str]:
    """faces-N.png: tracked faces above each model's, frame by frame. Returns the names of the files written."""
    names = []
    for number, clip in enumerate(shown_clips(material, count), start=1):
        frames = ((np.arange(columns) + 0.5) * clip.motion.frames / columns).astype(int).tolist()
        motions = [clip.motion.values, *(made[clip.record.id] for made in curves.values())]
        sheets = [
            contact_sheet(face.mesh, Motion(values, clip.motion.fps, clip.motion.rig), columns, 1, 200, frames)
            for values in motions
        ]
        names.append(f"faces-{number}.png")
        write_png(out / names[-1], np.concatenate(sheets))
    return names
