"""The picture of a printed ECG is refused by name, with what to send instead, however it was taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import generated
from medloupe.embed.registry import backbone
from medloupe.imaging.photo import PhotoRequest
from medloupe.imaging.rephotograph import photograph_light_box
from medloupe.inference.choosing import AutoPredictor
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.decision import Why
from medloupe.model.polarity import refuse_everywhere
from medloupe.model.prediction import Prediction, Refusal
from medloupe.model.printed_ecg import CODE, KIND, is_of_printed_ecgs, refuse_foreign
from medloupe.model.quality import judge_picture
from medloupe.starter.kind_bank import load_kind_bank
from medloupe.starter.printed_ecg import load_printed_ecg
from medloupe.starter.shipped import load_shipped
from printed import printed_ecg

SHEET = printed_ecg(0)
PHOTOGRAPH = photograph_light_box(printed_ecg(1), np.random.default_rng(1))


def asked(model: Model) -> Predictor:
    return Predictor(model)


def is_named(said: Prediction) -> bool:
    why, refused = said.said.why, said.refused
    return said.state == "refused" and why is not None and why.code == CODE and (refused or None) is not None


@pytest.fixture(scope="module")
def oct_check_up() -> Model:
    return load_shipped("oct")


@pytest.mark.parametrize("picture", [SHEET, PHOTOGRAPH], ids=["direct", "photographed"])
def test_a_check_up_names_it(oct_check_up: Model, picture: np.ndarray) -> None:
    said = asked(oct_check_up).predict(picture)
    assert is_named(said)
    assert said.refused is not None and said.refused.looks_like == KIND
    assert said.said.why is not None and "Send the recording itself" in said.said.why.text


def test_it_is_named_before_photographs_are_asked_to_be_better(oct_check_up: Model) -> None:
    untaught = replace(oct_check_up, card={k: v for k, v in oct_check_up.card.items() if k != "field"})
    for photo in (PhotoRequest(mode="always"), PhotoRequest(corners=((4, 5), (700, 4), (701, 500), (3, 501)))):
        assert is_named(asked(untaught).predict(SHEET, photo=photo))


def test_where_the_app_chooses_it_is_named_too(oct_check_up: Model) -> None:
    assert is_named(AutoPredictor([oct_check_up]).predict(SHEET))


def test_a_detector_names_it_too() -> None:
    assert is_named(asked(load_shipped("heart_size")).predict(SHEET))


def test_a_check_up_that_knows_it_goes_before(oct_check_up: Model) -> None:
    said = Predictor(oct_check_up, looks_like=lambda embedding, name: "sheets").predict(PHOTOGRAPH)
    assert said.refused is None or said.refused.looks_like == "sheets"
    assert said.said.why is not None and said.said.why.code != CODE


def test_another_foreign_picture_is_not_called_one(oct_check_up: Model) -> None:
    said = asked(oct_check_up).predict(generated.tissue(3, True))
    assert said.said.why is None or said.said.why.code != CODE


def test_a_check_up_of_printed_ecgs_refuses_no_other_as_one(oct_check_up: Model) -> None:
    card = {**oct_check_up.card, "novelty": {**oct_check_up.card["novelty"], "own_kinds": [KIND]}}
    said = asked(replace(oct_check_up, card=card)).predict(SHEET)
    assert said.said.why is not None and said.said.why.code != CODE


def test_what_no_other_network_says() -> None:
    assert load_printed_ecg("0" * 64) is None


def test_other_kinds_as_the_bank_knows_them_lie_on_the_other_side() -> None:
    network = backbone()
    bank, printed = load_kind_bank(network.sha256, network.card.levels), load_printed_ecg(network.sha256)
    assert bank is not None and printed is not None
    rng = np.random.default_rng(9)
    for known in bank.sets:
        beyond = (known.draw(300, rng) @ printed.weight + printed.bias > 0).mean()
        assert beyond >= 0.99 if known.kind == KIND else beyond <= 0.02, known.name


def test_the_reason_goes_before_what_could_be_taken_better() -> None:
    poor = Why(code="photo_corners", text="")
    named = refuse_foreign("unlike", KIND)
    assert refuse_everywhere("x", KIND, "", {}, poor).said.why == Why(code=CODE, text=named.reason)
    assert refuse_everywhere("x", "", "", {}, poor).state == "unusable"
    assert judge_picture(named, None, None, None, np.zeros(4)) == (named, None)
    assert refuse_foreign("unlike", "oct") == Refusal(reason="unlike", looks_like="oct")


@pytest.mark.parametrize(
    ("card", "expected"),
    [({}, False), ({"kind": "ecg report"}, True), ({"novelty": {"own_kinds": [KIND]}}, True), ({"novelty": {}}, False)],
)
def test_what_a_card_says_of_its_own_pictures(card: dict[str, object], expected: bool) -> None:
    assert is_of_printed_ecgs(card) is expected
