"""Layouts: what names and annotation files say. Files here are named as the data sets name theirs."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest

from msmdcli.errors import MsmdError, UsageError
from training.curation.clip_names import LAYOUTS, find_layout
from training.curation.listing import SourceClip, list_clips


def put(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not looked into")
    return folder


def by_name(clips: list[SourceClip]) -> dict[str, SourceClip]:
    return {clip.name: clip for clip in clips}


def test_ravdess_says_actor_emotion_and_intensity(tmp_path: Path) -> None:
    put(tmp_path / "RAVDESS", "Actor_12/01-01-06-02-02-01-12.mp4", "Actor_01/02-01-01-01-01-01-01.mp4")
    clips = by_name(list_clips([tmp_path / "RAVDESS"]))
    loud = clips["Actor_12/01-01-06-02-02-01-12.mp4"]
    assert (loud.layout, loud.source) == ("ravdess", "ravdess")
    assert (loud.facts.speaker, loud.facts.tag, loud.facts.intensity) == ("ravdess_12", "fearful", "strong")
    assert not loud.facts.dropped and not loud.facts.commercial
    assert "without sound" in clips["Actor_01/02-01-01-01-01-01-01.mp4"].facts.dropped


def test_crema_d_has_91_actors_six_emotions_and_levels(tmp_path: Path) -> None:
    put(tmp_path / "VideoFlash", "1001_IEO_ANG_HI.flv", "1091_WSI_NEU_XX.flv", "1076_MTI_SAD_X.flv")
    clips = by_name(list_clips([tmp_path / "VideoFlash"]))
    angry = clips["1001_IEO_ANG_HI.flv"]
    assert angry.layout == "crema-d"
    assert (angry.facts.speaker, angry.facts.tag, angry.facts.intensity) == ("crema_1001", "angry", "high")
    assert angry.facts.commercial and "Open Database" in angry.facts.licence
    assert clips["1091_WSI_NEU_XX.flv"].facts.intensity == ""
    assert len({clip.facts.speaker for clip in clips.values()}) == 3


def test_grid_speaker_is_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "grid", "s1/bbaf2n.mpg", "s1/lwwz9s.mpg", "s34/video/sgac7p.mpg", "s2.mpg_vcd/s2/prbx3s.mpg")
    clips = by_name(list_clips([tmp_path / "grid"]))
    assert {name: clip.facts.speaker for name, clip in clips.items()} == {
        "s1/bbaf2n.mpg": "grid_s1",
        "s1/lwwz9s.mpg": "grid_s1",
        "s34/video/sgac7p.mpg": "grid_s34",
        "s2.mpg_vcd/s2/prbx3s.mpg": "grid_s2",
    }
    assert all(clip.layout == "grid" and clip.facts.commercial for clip in clips.values())


def test_mead_takes_the_front_camera_and_the_sound_beside(tmp_path: Path) -> None:
    root = put(
        tmp_path / "MEAD",
        "M003/video/front/angry/level_3/001.mp4",
        "M003/video/left_60/angry/level_3/001.mp4",
        "M003/audio/angry/level_3/001.m4a",
        "W009/video/front/disgusted/level_1/012.mp4",
    )
    clips = by_name(list_clips([root]))
    front = clips["M003/video/front/angry/level_3/001.mp4"]
    assert (front.layout, front.facts.speaker, front.facts.tag) == ("mead", "mead_M003", "angry")
    assert front.facts.intensity == "level 3"
    assert front.facts.sound == (root / "M003/audio/angry/level_3/001.m4a").resolve()
    assert "left_60" in clips["M003/video/left_60/angry/level_3/001.mp4"].facts.dropped
    assert clips["W009/video/front/disgusted/level_1/012.mp4"].facts.sound is None


def test_celebv_text_keeps_speech_and_drops_what_hides_the_mouth(tmp_path: Path) -> None:
    actions = {
        "0-5BrmyFsYM_0": "This woman talks for a long time.",
        "0-5BrmyFsYM_1": "He is eating while he is talking.",
        "00-30GQl0TM_7": "She is whispering to someone, then she reads.",
        "00-30GQl0TM_8": "He smiles and turns.",
        "oC9r-CTbToE_0_1": "A great singer sings.",
        "WDapzpFJ50U_2": "She talks.",
    }
    folder = put(tmp_path / "celebv", *(f"{clip}.mp4" for clip in actions))
    for clip, text in actions.items():
        put(folder, f"descriptions/action/{clip}.txt").joinpath(f"descriptions/action/{clip}.txt").write_text(text)
    put(folder, "descriptions/general/WDapzpFJ50U_2.txt")
    (folder / "descriptions/general/WDapzpFJ50U_2.txt").write_text("She is wearing a mask.")
    clips = by_name(list_clips([folder]))
    assert {clip.layout for clip in clips.values()} == {"celebv-text"}
    dropped = {name.removesuffix(".mp4"): clip.facts.dropped for name, clip in clips.items()}
    assert [name for name, why in dropped.items() if not why] == ["0-5BrmyFsYM_0", "00-30GQl0TM_7", "oC9r-CTbToE_0_1"]
    assert "eat" in dropped["0-5BrmyFsYM_1"] and "mask" in dropped["WDapzpFJ50U_2"]
    assert clips["0-5BrmyFsYM_0.mp4"].facts.speaker == clips["0-5BrmyFsYM_1.mp4"].facts.speaker


def test_celebv_json_attributes(tmp_path: Path) -> None:
    folder = put(tmp_path / "celebvhq", "M2Ohb0FAaJU_1.mp4", "_0tf2n3rlJU_0.mp4")
    info = {
        "meta_info": {"appearance_mapping": ["young", "wearing_mask"], "action_mapping": ["eat", "talk", "wink"]},
        "clips": {
            "M2Ohb0FAaJU_1": {
                "attributes": {
                    "appearance": [1, 0],
                    "action": [0, 1, 1],
                    "emotion": {
                        "sep_flag": True,
                        "labels": [
                            {"emotion": "neutral", "start_sec": 0, "end_sec": 0.3},
                            {"emotion": "happy", "start_sec": 0.3, "end_sec": 3.3},
                        ],
                    },
                }
            },
            "_0tf2n3rlJU_0": {"attributes": {"appearance": [1, 1], "action": [0, 1, 0], "emotion": {"labels": "sad"}}},
        },
    }
    (folder / "celebvhq_info.json").write_text(json.dumps(info))
    clips = by_name(list_clips([folder]))
    assert clips["M2Ohb0FAaJU_1.mp4"].facts.tag == "happy" and not clips["M2Ohb0FAaJU_1.mp4"].facts.dropped
    assert "mask" in clips["_0tf2n3rlJU_0.mp4"].facts.dropped


def test_any_other_folder_is_plain_and_folders_are_persons(tmp_path: Path) -> None:
    folder = put(tmp_path / "takes", "anna/one.mp4", "anna/two.mov", "ben.mp4", ".hidden/x.mp4", "anna/notes.txt")
    clips = by_name(list_clips([folder]))
    assert set(clips) == {"anna/one.mp4", "anna/two.mov", "ben.mp4"}
    assert clips["anna/one.mp4"].facts.speaker == clips["anna/two.mov"].facts.speaker != clips["ben.mp4"].facts.speaker
    assert {clip.source for clip in clips.values()} == {"takes"}


def test_labels_override_names(tmp_path: Path) -> None:
    folder = put(tmp_path / "takes", "a.mp4", "b.mp4")
    (folder / "labels.csv").write_text(
        "file,speaker,tag,commercial,source,drop\na.mp4,anna,angry,yes,studio,\nb.mp4,,,,,hand before the mouth\n"
    )
    clips = by_name(list_clips([folder]))
    a, b = clips["a.mp4"], clips["b.mp4"]
    assert (a.facts.speaker, a.facts.tag, a.facts.commercial, a.source) == ("anna", "angry", True, "studio")
    assert b.facts.dropped == "hand before the mouth" and b.source == "takes"
    (folder / "labels.csv").write_text("file,spaeker\na.mp4,anna\n")
    with pytest.raises(MsmdError, match="spaeker"):
        list_clips([folder])


def test_ids_are_distinct_and_do_not_depend_on_the_order_of_sources(tmp_path: Path) -> None:
    one = put(tmp_path / "one/takes", "a_b.mp4", "a/b.mp4", "c.mp4", "c.mov")
    two = put(tmp_path / "two/takes", "d.mp4")
    clips = list_clips([one, two])
    assert len({clip.id for clip in clips}) == 5
    assert clips == list_clips([two, one]) == list_clips([two, one, one / "c.mp4"])
    assert all("/" not in clip.id for clip in clips)


def test_the_data_set_itself_is_no_source(tmp_path: Path) -> None:
    folder = put(tmp_path / "takes", "a.mp4", "out/b.mp4")
    assert [clip.name for clip in list_clips([folder], besides=folder / "out")] == ["a.mp4"]


def test_wrong_sources_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        list_clips([tmp_path / "nowhere"])
    with pytest.raises(MsmdError, match="no video"):
        list_clips([put(tmp_path / "texts", "a.txt")])
    with pytest.raises(UsageError, match="plain"):
        list_clips([put(tmp_path / "takes", "a.mp4")], layout="plian")


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "plain"])
def test_no_layout_claims_a_plain_folder(layout: str, tmp_path: Path) -> None:
    paths = [PurePosixPath(name) for name in ("interview.mp4", "take_01.mp4", "2024-01-03 12-30.mp4", "blue9.mp4")]
    assert find_layout(tmp_path, paths)[0].name == "plain"
    assert not any(LAYOUTS[layout].read(tmp_path, path, LAYOUTS[layout].notes(tmp_path)) for path in paths)
