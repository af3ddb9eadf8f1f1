"""Drawings in the report of an ECG model: what the network got, and where it looked."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from ecgsets import Learned
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import Features, embed
from medloupe.model.head import Head
from medloupe.training.pipeline.ecg_examples import drawing


def features_of(learned: Learned) -> Features:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(learned.home))
        return embed(scan_dataset(learned.data), learned.model.backbone)


def drawn(uri: str) -> str:
    start = "data:image/svg+xml;base64,"
    assert uri.startswith(start)
    svg = base64.b64decode(uri.removeprefix(start)).decode()
    ElementTree.fromstring(svg)  # whole
    return svg


@pytest.fixture(params=["of_beats", "of_twelve"])
def learned(request: pytest.FixtureRequest) -> Learned:
    return request.getfixturevalue(request.param)


def test_every_lead_is_drawn_and_nothing_lies_over_it(learned: Learned):
    features, model = features_of(learned), learned.model
    draw = drawing(features, model.card["task"], model.head, model.backbone)
    uri, over = draw(3, 0)
    assert over is None
    svg = drawn(uri)
    for lead in model.backbone.card.leads:
        assert re.search(rf">\s*{lead}\s*<", svg), lead
    assert features.data.records[3].id in svg


def test_where_it_looked_depends_on_the_label(of_beats: Learned):
    features, model = features_of(of_beats), of_beats.model
    draw = drawing(features, "multiclass", model.head, model.backbone)
    row = next(i for i, r in enumerate(features.data.records) if "V" in r.labels)
    assert draw(row, 0)[0] != draw(row, 2)[0]
    assert draw(row, 2) == draw(row, 2)


def test_a_head_that_looks_nowhere_shades_nothing(of_beats: Learned):
    features, model = features_of(of_beats), of_beats.model
    nowhere = Head(weight=np.zeros_like(model.head.weight), bias=model.head.bias, task="multiclass")
    plain = drawn(drawing(features, "multiclass", nowhere, model.backbone)(0, 0)[0])
    shaded = drawn(drawing(features, "multiclass", model.head, model.backbone)(0, 0)[0])
    assert len(plain) < len(shaded)


def test_the_report_shows_them(learned: Learned):
    assert "data:image/svg+xml;base64," in learned.model.report
    assert learned.data.records[0].signal is not None
