"""The lips' measures are those of the head that ships."""

from __future__ import annotations

import json

import numpy as np

from msmdcli.heads.loading import load_head
from msmdcli.motion.lip_contact import MEASURED, LipContact
from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED_HEAD
from training.faces.make_lip_contact import measured, teeth_edge

RIG = Rig.load("arkit52")
HEAD = load_head(SHIPPED_HEAD, RIG)


def test_the_file_is_made_from_the_head_that_ships() -> None:
    assert json.loads(MEASURED.read_text(encoding="utf-8")) == measured(HEAD)


def test_gaps_and_bites_are_what_the_head_does() -> None:
    contact = LipContact.of(RIG)
    assert contact is not None
    values = np.random.default_rng(0).uniform(0, 0.6, (20, RIG.size)).astype(np.float32)
    pairs = np.array(json.loads(MEASURED.read_text(encoding="utf-8"))["pairs"])
    upper, lower = HEAD.decode(values, pairs[:, 0]), HEAD.decode(values, pairs[:, 1])  # [T, K, 3]
    np.testing.assert_allclose(contact.gaps(values), upper[..., 1] - lower[..., 1], atol=0.15)
    middle = len(pairs) // 2
    np.testing.assert_allclose(contact.middle(values), contact.gaps(values)[:, middle])
    np.testing.assert_allclose(contact.bites(values), lower[:, middle, 1] - teeth_edge(HEAD), atol=0.15)
    assert abs(contact.middle(np.zeros((1, RIG.size)))[0] - 0.76) < 0.05
