"""One rule decides what is said: whatever card and probabilities, an answer never contradicts itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.model.decision import STATES, Decision, Why
from medloupe.model.head import probabilities
from medloupe.model.prediction import Prediction, Refusal

NAMES = ("normal", "benign", "mild", "severe", "other", "worst")


@st.composite
def cards(draw: st.DrawFn) -> dict[str, Any]:
    """Cards with any roles, lines, unclear interval and labels that are not announced."""
    labels = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    roles = {n: draw(st.sampled_from(("sought", "normal", "harmless", "none"))) for n in labels}
    card: dict[str, Any] = {
        "task": draw(st.sampled_from(("multiclass", "multilabel"))),
        "labels": labels,
        "per_label": [
            {"label": n, "operating_point": {"threshold": draw(st.none() | st.floats(0, 1))}}
            for n in labels
            if draw(st.booleans())
        ],
    }
    if draw(st.booleans()):
        entries = {
            n: {"role": r} | ({"danger": draw(st.integers(1, 3))} if r == "sought" else {}) for n, r in roles.items()
        }
        card["roles"] = {"by": "told", "ordered": draw(st.booleans()), "labels": entries}
        card["decision"] = {
            "unclear": draw(st.none() | st.floats(0, 1)),
            "not_announced": [n for n in labels if draw(st.integers(0, 9)) == 0],
        }
    return card


@settings(deadline=None, max_examples=400)
@given(cards(), st.data())
def test_an_answer_never_contradicts_itself(card: dict[str, Any], data: st.DataObject):
    z = data.draw(st.lists(st.floats(-8, 8), min_size=len(card["labels"]), max_size=len(card["labels"])))
    p = probabilities(np.array(z), card["task"])
    decision = Decision.from_card(card)
    made = Prediction.of(decision, p, file="x", model="m", version=1)
    said = made.as_json()
    roles, shown = decision.roles, said["probabilities"]
    assert said["state"] in STATES
    assert shown[said["prediction"]] == max(shown.values())
    for label in said["flagged"]:
        assert roles.of(label) == "sought"
        assert np.float32(shown[label]) >= np.float32(decision.line(label)) or label == said["prediction"]
    for label in shown:
        if roles.of(label) == "sought" and decision.line(label) is not None and label not in said["flagged"]:
            assert np.float32(shown[label]) < np.float32(decision.line(label))
    assert (said["state"] == "flagged") == bool(said["flagged"])
    if said["state"] == "answered":
        assert not roles.sought.any()
    if said["state"] == "clear" and (card["task"] == "multiclass" or roles.settled):
        assert roles.of(said["prediction"]) != "sought"
    if said["state"] == "clear" and card["task"] == "multilabel" and roles.of(said["prediction"]) == "sought":
        assert shown[said["prediction"]] < 0.5, "a finding that is more probable than not is never passed over"
    if said["state"] in ("clear", "answered"):
        assert said["why"] is None
    else:
        assert said["why"]["text"].endswith(".")
    dangers = [roles.danger.get(n, 1) for n in said["flagged"]]
    assert dangers == sorted(dangers)


@settings(deadline=None, max_examples=100)
@given(cards(), st.data())
def test_nothing_is_said_of_what_was_refused_or_cannot_be_used(card: dict[str, Any], data: st.DataObject):
    z = data.draw(st.lists(st.floats(-8, 8), min_size=len(card["labels"]), max_size=len(card["labels"])))
    p = probabilities(np.array(z), card["task"])
    decision = Decision.from_card(card)
    foreign = Refusal(reason="It is a cat.", looks_like="cat")
    refused = Prediction.of(decision, p, refused=foreign, file="x", model="m", version=1)
    dark = Why(code="too_dark", text="It is too dark.")
    unusable = Prediction.of(decision, p, refused=foreign, unusable=dark, file="x", model="m", version=1)
    for made, state, why in ((refused, "refused", "foreign"), (unusable, "unusable", "too_dark")):
        assert (made.state, made.prediction, made.flagged) == (state, "", ())
        assert made.said.why is not None and made.said.why.code == why


def card(**more: Any) -> dict[str, Any]:
    grades = ["none", "mild", "severe"]
    roles = {
        "none": {"role": "normal"},
        "mild": {"role": "sought", "danger": 2},
        "severe": {"role": "sought", "danger": 1},
    }
    points = [{"label": n, "operating_point": {"threshold": t}} for n, t in zip(grades, (0.5, 0.4, 0.1), strict=True)]
    return {
        "task": "multiclass",
        "labels": grades,
        "roles": {"by": "told", "labels": roles, **more},
        "per_label": points,
        "decision": {"unclear": 0.3},
    }


@pytest.mark.parametrize(
    ("p", "state", "prediction", "flagged", "code"),
    [
        ((0.95, 0.04, 0.01), "clear", "none", (), None),
        ((0.68, 0.27, 0.05), "unclear", "none", (), "close"),
        ((0.80, 0.08, 0.12), "flagged", "none", ("severe",), "over_line"),
        ((0.30, 0.55, 0.15), "flagged", "mild", ("severe", "mild"), "over_line"),
        ((0.36, 0.37, 0.09), "flagged", "mild", ("mild",), "most_probable"),
    ],
)
def test_states_in_their_order(
    p: tuple[float, ...], state: str, prediction: str, flagged: tuple[str, ...], code: str | None
):
    said = Decision.from_card(card()).decide(np.array(p))
    assert (said.state, said.prediction, said.flagged) == (state, prediction, flagged)
    assert (said.why and said.why.code) == code


def test_grades_have_a_median_and_what_is_at_least_as_bad():
    decision = Decision.from_card(card(ordered=True))
    said = decision.decide(np.array([0.45, 0.39, 0.16]))
    assert said.grade == "mild"
    assert said.at_least == pytest.approx({"none": 1.0, "mild": 0.55, "severe": 0.16})
    assert Decision.from_card(card()).decide(np.array([0.45, 0.39, 0.16])).grade is None
    quiet = Decision.from_card({**card(ordered=True), "decision": {}, "per_label": []})
    between = quiet.decide(np.array([0.45, 0.30, 0.25]))
    assert (between.grade, between.state) == ("mild", "unclear"), "an ill grade is never called clear"


def test_a_card_made_before_answers_by_the_names_of_its_labels_and_is_never_unclear():
    old = {
        "task": "multiclass",
        "labels": ["NORMAL", "PNEUMONIA"],
        "decision": {"weights": {"NORMAL": 0.9, "PNEUMONIA": 0.1}},
    }
    decision = Decision.from_card(old)
    assert decision.legacy
    assert decision.decide(np.array([0.45, 0.55])).flagged == ("PNEUMONIA",), "no weight turns the answer round"
    assert decision.decide(np.array([0.51, 0.49])).state == "clear"


def test_what_has_no_role_is_only_answered():
    decision = Decision.from_card({"task": "multiclass", "labels": ["cat", "dog"]})
    assert decision.decide(np.array([0.2, 0.8])).state == "answered"


# Beats of a recording


def beats(**share: int) -> np.ndarray:
    """Probabilities of so many beats of each class."""
    rows = {"N": (0.97, 0.02, 0.01), "V": (0.05, 0.9, 0.05), "F": (0.1, 0.1, 0.8)}
    return np.array([rows[n] for n, count in share.items() for _ in range(count)])


BEATS = {
    "task": "multiclass",
    "labels": ["N", "V", "F"],
    "roles": {
        "by": "curated",
        "labels": {"N": {"role": "normal"}, "V": {"role": "sought", "danger": 1}, "F": {"role": "sought", "danger": 2}},
    },
    "decision": {"not_announced": ["F"]},
}


@pytest.mark.parametrize(
    ("p", "state", "flagged"),
    [
        (beats(N=100), "clear", ()),
        (beats(N=97, V=3), "flagged", ("V",)),
        (beats(N=30, V=1), "unclear", ()),
        (beats(N=400, V=3), "unclear", ()),
        (beats(N=90, F=10), "unclear", ()),
        (beats(N=1, V=60), "flagged", ("V",)),
    ],
)
def test_a_recording_is_flagged_by_its_beats(p: np.ndarray, state: str, flagged: tuple[str, ...]):
    said = Decision.from_card(BEATS).decide_beats(p)
    assert (said.state, said.flagged) == (state, flagged)
