"""A detector among the check-ups that the app chooses: what it flags where nobody asked for it, what it never says."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.model.boxes import FoundBox
from medloupe.model.choosing import Opinion, choose_answer
from medloupe.model.decision import Decision
from medloupe.model.novelty import Nearness
from medloupe.model.prediction import Prediction

CARD = {
    "labels": ["fracture"],
    "task": "detection",
    "roles": {"labels": {"fracture": {"role": "sought", "danger": 1}}},
    "per_label": [{"label": "fracture", "operating_point": {"threshold": 0.3}}],
    "scope": ["marks only fracture"],
}


def opinion(score: float | None, near: Nearness | None) -> Opinion:
    decision = Decision.from_card(CARD)
    boxes = () if score is None else (FoundBox(label="fracture", score=score, x=1, y=2, width=30, height=40),)
    said = Prediction.of(
        decision, np.array([0.99]), file="", model="bones", version=1, boxes=boxes, size=(100, 80), timings={}
    )
    return Opinion(prediction=said, decision=decision, near=near)


@pytest.mark.parametrize(
    ("score", "near", "state"),
    [
        (0.4, "usual", "unclear"),
        (0.6, "usual", "flagged"),
        (0.6, "unusual", "unclear"),
        (0.97, "unusual", "flagged"),
        (0.97, "far", "unclear"),
        (0.2, "usual", "clear"),
        (None, "usual", "clear"),
    ],
)
def test_unasked_it_flags_only_what_it_is_sure_of(score: float | None, near: Nearness, state: str) -> None:
    said = choose_answer([opinion(score, near)], {}).prediction
    assert said.state == state, "whatever the probability of the whole picture is"
    assert said.scope == "marks only fracture"
    if state == "unclear":
        assert said.said.why is not None and f"{score:.1%}" in said.said.why.text


def test_json_tells_the_size_of_the_picture() -> None:
    told = opinion(0.6, "usual").prediction.as_json()
    assert told["picture"] == {"width": 100, "height": 80, "notes": []} and told["boxes"][0]["w"] == 30
