"""A photograph of a picture is answered by a check-up that learned from photographs, and by no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

import generated
from medloupe.imaging.photo import NEVER, PhotoRequest
from medloupe.inference.pictures import Predictor
from medloupe.starter.shipped import load_shipped

CORNERS = PhotoRequest(corners=((4, 5), (60, 4), (61, 60), (3, 61)))
ALWAYS = PhotoRequest(mode="always")
PICTURE = generated.tissue(3, True)


@pytest.fixture(params=[True, False], ids=["taught", "untaught"])
def asked(request: pytest.FixtureRequest, home: object) -> tuple[Predictor, bool]:
    """`pneumonia`, which learned from photographs, and the same as it was before."""
    model = load_shipped("pneumonia")
    card = model.card if request.param else {k: v for k, v in model.card.items() if k != "field"}
    return Predictor(replace(model, card=card)), request.param


@pytest.mark.parametrize("photo", [CORNERS, ALWAYS], ids=["corners", "always"])
def test_what_is_told_to_be_a_photograph(asked: tuple[Predictor, bool], photo: PhotoRequest) -> None:
    predictor, taught = asked
    said = predictor.predict(PICTURE, photo=photo)
    if not taught:
        assert said.state == "unusable" and said.said.why is not None and said.said.why.code == "photo_untrained"
        assert said.prediction == "" and said.flagged == ()
    elif photo is ALWAYS:
        assert said.said.why is not None and said.said.why.code == "photo_corners"
    else:
        assert said.said.why is None or said.said.why.code != "photo_untrained"


def test_a_direct_picture_is_answered_as_ever(asked: tuple[Predictor, bool]) -> None:
    predictor, _ = asked
    plain, never = predictor.predict(PICTURE), predictor.predict(PICTURE, photo=NEVER)
    assert plain.photo is None and plain.as_json() == never.as_json()
    assert plain.said.why is None or plain.said.why.code not in ("photo_untrained", "photo_corners")
