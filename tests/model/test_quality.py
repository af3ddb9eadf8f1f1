"""Photographs of pictures: who may answer them, and what is said where nobody may."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medloupe.imaging.photo import Photo
from medloupe.model.decision import Decision
from medloupe.model.prediction import Refusal
from medloupe.model.quality import judge_photo, judge_picture

FOUND = Photo(corners=((0, 0), (9, 0), (9, 9), (0, 9)), confidence=0.9, given=False, width=10, height=10)
UNFOUND = Photo(corners=None, confidence=0.0, given=False, width=10, height=10)
EMBEDDING = np.zeros(4, np.float32)


def card(**more: Any) -> dict[str, Any]:
    return {"task": "multiclass", "labels": ["a", "b"], **more}


def auc(value: float | None) -> dict[str, Any]:
    return {"auc": {"value": value, "low": value, "high": value}}


def photographed(mild: float | None, medium: float | None) -> dict[str, Any]:
    """What a card tells of field views: whole ones and hard ones do not count."""
    told = [
        ("straight", "mild", mild),
        ("straight", "medium", medium),
        ("straight", "hard", 0.5),
        ("whole", "mild", 0.5),
    ]
    return {"weight": 1.0, "rows": [{"kind": k, "severity": s, **auc(v)} for k, s, v in told]}


@pytest.mark.parametrize(
    ("told", "learned"),
    [
        ({}, False),
        ({"field": None}, False),
        ({"field": {"weight": 0.0}}, False),
        ({"field": {"weight": 0.3}}, True),
        ({"task": "detection"}, False),
        ({"task": "detection", "field": {"weight": 1.0}}, True),
        ({"field": photographed(mild=0.87, medium=0.81), "metrics": auc(0.9)}, True),
        ({"field": photographed(mild=0.87, medium=0.79), "metrics": auc(0.9)}, False),
        ({"field": photographed(mild=0.79, medium=0.81), "metrics": auc(0.9)}, False),
        ({"field": photographed(mild=0.87, medium=0.81), "metrics": auc(0.8)}, True),
        ({"field": photographed(0.87, 0.81), "metrics": auc(0.8), "secondary": {"metrics": auc(0.95)}}, False),
        ({"field": photographed(mild=0.87, medium=None), "metrics": auc(0.9)}, True),
        ({"field": photographed(mild=0.87, medium=0.81), "metrics": auc(None)}, True),
    ],
)
def test_a_card_tells_whether_photographs_were_learned_from(told: dict[str, Any], learned: bool) -> None:
    assert Decision.from_card(card(**told)).photographs is learned


@pytest.mark.parametrize(
    ("photo", "learned", "code"),
    [
        (None, True, None),
        (None, False, None),
        (FOUND, True, None),
        (UNFOUND, True, "photo_corners"),
        (FOUND, False, "photo_untrained"),
        (UNFOUND, False, "photo_untrained"),  # to mark corners would be in vain
    ],
)
def test_only_who_learned_from_photographs_answers_them(photo: Photo | None, learned: bool, code: str | None) -> None:
    why = judge_photo(photo, learned)
    assert (why and why.code) == code


def test_it_is_said_before_that_a_picture_is_foreign() -> None:
    foreign = Refusal(reason="another kind", looks_like="")
    refused, unusable = judge_picture(foreign, None, None, None, EMBEDDING, FOUND, False)
    assert refused is None and unusable is not None and unusable.code == "photo_untrained"
    assert judge_picture(foreign, None, None, None, EMBEDDING, FOUND, True) == (foreign, None)
    assert judge_picture(None, None, None, None, EMBEDDING, None, False) == (None, None)
