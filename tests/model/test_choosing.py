"""What is said where the app chose among the check-ups of one kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.errors import ClinicalError
from medloupe.model.applies import gather_questions, is_meant, read_applies, read_told
from medloupe.model.choosing import DANGER, SURE, Opinion, choose_answer, choose_nearest
from medloupe.model.decision import Decision
from medloupe.model.novelty import Nearness
from medloupe.model.prediction import Prediction, Refusal

CHILD = {"question": "age", "values": ["child"], "choices": ["child", "adult"]}
ADULT = {"question": "age", "values": ["adult"], "choices": ["child", "adult"]}


def opinion(
    name: str,
    p: list[float],
    *,
    labels: tuple[str, ...] = ("normal", "pneumonia"),
    near: Nearness | None = "usual",
    lines: tuple[float, ...] = (0.5, 0.3),
    normal: tuple[str, ...] = ("normal",),
    task: str = "multiclass",
    applies: tuple[dict[str, Any], ...] = (),
    flagged_without: float | None = None,
    refused: str = "",
    unclear: float | None = None,
    danger: dict[str, int] | None = None,
    sought: tuple[()] | None = None,
) -> Opinion:
    """What a check-up of these labels says of probabilities p."""
    roles = {n: {"role": "normal"} if n in normal else {"role": "sought", "danger": 1} for n in labels}
    roles = {n: role for n, role in roles.items() if n in normal or sought is None}
    for label, rank in (danger or {}).items():
        roles[label]["danger"] = rank  # pyright: ignore
    measured = {} if flagged_without is None else {"measured": {"flagged_without": {"value": flagged_without}}}
    card = {
        "task": task,
        "labels": list(labels),
        "roles": {"by": "curated", "labels": roles},
        "per_label": [{"label": n, "operating_point": {"threshold": t}} for n, t in zip(labels, lines, strict=True)],
        "decision": {"unclear": unclear, **measured},
        "scope": [f"for {name}"],
        "applies": list(applies),
    }
    decision = Decision.from_card(card)
    refusal = Refusal(reason=refused, looks_like="") if refused else None
    made = Prediction.of(decision, np.array(p), refused=refusal, file="a.png", model=name, version=1)
    return Opinion(prediction=made, decision=decision, applies=read_applies(card), near=near)


def covid(p: float = 0.6, **more: Any) -> Opinion:
    """A check-up that cannot say normal."""
    return opinion("covid", [1 - p, p], labels=("other", "covid-19"), normal=(), lines=(0.5, 0.5), **more)


def states(opinions: list[Opinion], **told: str) -> dict[str, str]:
    return {a.model: a.state for a in choose_answer(opinions, told).prediction.answers}


def test_all_answer_and_the_most_dangerous_leads() -> None:
    calm, sick = opinion("calm", [0.9, 0.1]), opinion("sick", [0.1, 0.9])
    chosen = choose_answer([calm, sick], {})
    said = chosen.prediction
    assert (chosen.main, said.model, said.state, said.flagged) == (1, "sick", "flagged", ("pneumonia",))
    assert [(a.model, a.state) for a in said.answers] == [("sick", "flagged"), ("calm", "clear")]
    assert all(a.answers == () for a in said.answers)
    told = said.as_json()
    assert [a["model"] for a in told["answers"]] == ["sick", "calm"]
    assert [a["scope"] for a in told["answers"]] == ["for sick", "for calm"]
    assert not any("file" in a or "answers" in a for a in told["answers"])
    assert told["file"] == "a.png" and "ask" not in told


def test_unclear_goes_before_clear_and_refused_comes_last() -> None:
    close = opinion("close", [0.75, 0.25], unclear=0.2)
    foreign = opinion("foreign", [0.1, 0.9], refused="It is unlike all.")
    assert states([opinion("calm", [0.9, 0.1]), foreign, close]) == {
        "close": "unclear",
        "calm": "clear",
        "foreign": "refused",
    }
    assert list(states([foreign, opinion("calm", [0.9, 0.1])])) == ["calm", "foreign"]


def test_of_several_flags_the_rank_of_danger_decides_then_how_far_it_is_over_its_line() -> None:
    labels = ("normal", "spot", "tumour")
    spot = opinion("spot", [0.0, 0.9, 0.1], labels=labels, lines=(0.5, 0.3, 0.5), danger={"spot": 2})
    tumour = opinion("tumour", [0.3, 0.1, 0.6], labels=labels, lines=(0.5, 0.3, 0.5), danger={"spot": 2})
    surer = opinion("surer", [0.1, 0.1, 0.8], labels=labels, lines=(0.5, 0.3, 0.5), danger={"spot": 2})
    assert [a.model for a in choose_answer([spot, tumour, surer], {}).prediction.answers] == ["surer", "tumour", "spot"]


# ------------------------------------------------------------------ a check-up without a normal class


def test_what_cannot_say_normal_never_answers_alone() -> None:
    said = choose_answer([covid(0.99)], {}).prediction
    assert (said.state, said.prediction, said.flagged, said.model) == ("refused", "", (), "covid")
    assert said.said.why is not None and said.said.why.code == "no_normal"
    assert said.refused == Refusal(reason=said.said.why.text, looks_like="covid")
    beside_a_foreign_one = [covid(0.99), opinion("pneumonia", [0.1, 0.9], refused="It is unlike all.")]
    said = choose_answer(beside_a_foreign_one, {}).prediction
    assert said.said.why is not None and (said.model, said.said.why.code) == ("covid", "no_normal")


def test_its_flag_counts_only_beside_the_flag_of_another_and_never_leads() -> None:
    assert states([covid(0.99), opinion("pneumonia", [0.9, 0.1])]) == {"pneumonia": "clear", "covid": "refused"}
    assert states([covid(0.99), opinion("pneumonia", [0.1, 0.9])]) == {"pneumonia": "flagged", "covid": "flagged"}
    close = opinion("pneumonia", [0.75, 0.25], unclear=0.2)
    assert states([covid(0.99), close]) == {"pneumonia": "unclear", "covid": "refused"}


def test_findings_that_do_not_exclude_each_other_may_all_be_absent() -> None:
    several = opinion("signs", [0.1, 0.2], labels=("effusion", "mass"), normal=(), task="multilabel")
    assert states([several]) == {"signs": "clear"}


def test_what_looks_for_nothing_answers_alone() -> None:
    cells = opinion("cells", [0.2, 0.8], labels=("round", "long"), normal=(), sought=())
    assert states([cells]) == {"cells": "answered"}


# ------------------------------------------------------------------ nobody asked for it


@pytest.mark.parametrize(
    ("p", "near", "flagged_without", "state", "code"),
    [
        (0.4, "usual", None, "unclear", "unasked"),  # over its line, not the most probable
        (0.4, "usual", 0.25, "unclear", "unasked"),
        (0.4, "usual", 0.08, "flagged", "over_line"),  # it flags few without a finding
        (0.6, "usual", None, "flagged", "over_line"),
        (0.6, "unusual", None, "unclear", "unasked"),
        (0.6, "unusual", 0.02, "unclear", "unasked"),  # measured on its own pictures, of which this is none
        (0.6, None, None, "unclear", "unasked"),
        (0.97, "unusual", None, "flagged", "over_line"),
        (0.97, None, None, "flagged", "over_line"),
        (0.999, "far", None, "unclear", "unfamiliar"),
        (0.999, "far", 0.01, "unclear", "unfamiliar"),
    ],
)
def test_a_flag_that_nobody_asked_for_must_be_surer(
    p: float, near: Nearness | None, flagged_without: float | None, state: str, code: str
) -> None:
    one = opinion("lungs", [1 - p, p], near=near, flagged_without=flagged_without)
    assert one.prediction.state == "flagged"
    said = choose_answer([one], {}).prediction
    assert said.said.why is not None and (said.state, said.said.why.code) == (state, code)
    assert said.probabilities == one.prediction.probabilities and said.prediction == one.prediction.prediction
    assert bool(said.flagged) == (state == "flagged")
    assert choose_answer([replace(one, asked=True)], {}).prediction.state == "flagged"


def test_where_even_the_most_probable_label_was_wrong_too_often_it_must_be_nearly_certain() -> None:
    at_top = {"lines": (0.5, 0.5), "flagged_without": 0.4}
    assert states([opinion("lungs", [0.2, 0.8], **at_top)]) == {"lungs": "unclear"}
    assert states([opinion("lungs", [0.02, 0.98], **at_top)]) == {"lungs": "flagged"}


def test_the_reason_names_the_label_its_line_and_the_check_up() -> None:
    said = choose_answer([opinion("lungs", [0.6, 0.4])], {}).prediction.said
    assert said.why is not None
    assert said.why.text == (
        "pneumonia is at 40.0%, at or over its line of 30.0%: not sure enough for a flag of lungs, which nobody asked"
        " for. Have it looked at."
    )


# ------------------------------------------------------------------ the question


def test_one_question_is_asked_where_the_state_depends_on_it() -> None:
    pair = [opinion("pneumonia", [0.9, 0.1], applies=(CHILD,)), covid(0.99, applies=(ADULT,))]
    said = choose_answer(pair, {}).prediction
    assert said.state == "clear"
    assert said.as_json()["ask"] == {"question": "age", "choices": ["child", "adult"]}
    child = choose_answer(pair, {"age": "child"}).prediction
    assert (child.model, child.state, child.ask, len(child.answers)) == ("pneumonia", "clear", None, 1)
    adult = choose_answer(pair, {"age": "adult"}).prediction
    assert adult.said.why is not None
    assert (adult.model, adult.state, adult.said.why.code, adult.ask) == ("covid", "refused", "no_normal", None)


def test_nothing_is_asked_that_changes_no_state() -> None:
    grade = {"question": "purpose", "values": ["grade"]}
    refer = {"question": "purpose", "values": ["refer"]}
    calm = [opinion("grade", [0.9, 0.1], applies=(grade,)), opinion("refer", [0.8, 0.2], applies=(refer,))]
    assert choose_answer(calm, {}).prediction.ask is None
    differ = [opinion("grade", [0.1, 0.9], applies=(grade,)), opinion("refer", [0.8, 0.2], applies=(refer,))]
    ask = choose_answer(differ, {}).prediction.ask
    assert ask is not None and (ask.question, ask.choices) == ("purpose", ("grade", "refer"))
    assert choose_answer(differ[:1], {}).prediction.ask is None, "nobody here knows of another choice"


def test_where_none_is_meant_it_says_whom_they_are_for() -> None:
    chosen = choose_answer([opinion("pneumonia", [0.1, 0.9], applies=(CHILD,))], {"age": "adult", "else": "x"})
    said = chosen.prediction
    assert chosen.main is None and (said.model, said.state, said.answers) == ("", "refused", ())
    assert said.said.why is not None and said.said.why.code == "not_meant"
    assert said.said.why.text == "No check-up for such pictures is for: adult. There are pneumonia: child."
    assert said.refused == Refusal(reason=said.said.why.text, looks_like="")


def test_an_alone_children_s_check_up_asks_too() -> None:
    ask = choose_answer([opinion("pneumonia", [0.1, 0.9], applies=(CHILD,))], {}).prediction.ask
    assert ask is not None and ask.choices == ("child", "adult")


def test_choices_are_read_from_a_form() -> None:
    cards = [{"applies": [CHILD]}, {"applies": [{"question": "age", "values": ["newborn"]}]}, {}]
    questions = gather_questions(read_applies(card) for card in cards)
    assert questions == {"age": ("child", "adult", "newborn")}
    fields = {"applies.age": " Adult ", "applies.view": "side", "age": "55", "applies.none": ""}
    assert read_told(fields, questions) == ({"age": "adult"}, ["applies.view"])
    with pytest.raises(ClinicalError, match="one of child, adult, newborn"):
        read_told({"applies.age": "martian"}, questions)
    assert is_meant(read_applies(cards[0]), {}) and not is_meant(read_applies(cards[0]), {"age": "adult"})


# ------------------------------------------------------------------ several kinds


def test_of_several_kinds_the_nearest_answers() -> None:
    near = replace(opinion("near", [0.9, 0.1]), kind="a", foreign=0.3)
    far = replace(opinion("far", [0.1, 0.9]), kind="b", foreign=0.6)
    mate = replace(opinion("mate", [0.1, 0.9]), kind="a", foreign=0.9)
    chosen = choose_nearest([far, mate, near], {})
    assert (chosen.main, chosen.prediction.model) == (1, "mate")
    assert {a.model for a in chosen.prediction.answers} == {"near", "mate"}
    none = [replace(opinion(n, [0.1, 0.9], refused=n), kind=n, foreign=x) for n, x in (("x", 3.0), ("y", 2.0))]
    chosen = choose_nearest(none, {})
    assert (chosen.main, chosen.prediction.model, chosen.prediction.state) == (1, "y", "refused")


# ------------------------------------------------------------------ whatever comes

shares = st.floats(0, 1).map(lambda p: [1 - p, p])
nears = st.sampled_from(["usual", "unusual", "far", None])


@st.composite
def opinions(draw: st.DrawFn) -> list[Opinion]:
    found = []
    for i in range(draw(st.integers(1, 4))):
        normal = draw(st.booleans())
        found.append(
            opinion(
                f"m{i}",
                draw(shares),
                labels=("normal", "pneumonia") if normal else ("other", "covid"),
                normal=("normal",) if normal else (),
                near=draw(nears),
                lines=(0.5, draw(st.floats(0.05, 0.5))),
                unclear=draw(st.none() | st.floats(0.01, 0.5)),
                flagged_without=draw(st.none() | st.floats(0, 1)),
                applies=draw(st.sampled_from([(), (CHILD,), (ADULT,)])),
                refused=draw(st.sampled_from(["", "", "It is unlike all."])),
            )
        )
    return found


@settings(max_examples=300)
@given(opinions(), st.sampled_from([{}, {"age": "child"}, {"age": "adult"}]))
def test_the_rules_hold_whatever_the_check_ups_say(several: list[Opinion], told: dict[str, str]) -> None:
    chosen = choose_answer(several, told)
    said = chosen.prediction
    meant = [o for o in several if is_meant(o.applies, told)]
    assert {a.model for a in said.answers} == {o.prediction.model for o in meant}
    if not meant:
        assert chosen.main is None and said.state == "refused"
        return
    assert chosen.main is not None and several[chosen.main].prediction.model == said.model
    assert replace(said, answers=(), ask=None) == said.answers[0]
    assert [DANGER.index(a.state) for a in said.answers] == sorted(DANGER.index(a.state) for a in said.answers)
    by_name = {o.prediction.model: o for o in meant}
    for answer in said.answers:
        one = by_name[answer.model]
        assert answer.probabilities == one.prediction.probabilities
        assert answer.state != "flagged" or one.prediction.state == "flagged", "a flag is never added"
        assert answer.state != "clear" or one.prediction.state == "clear", "clear is never made of anything else"
        if answer.state == "flagged" and one.near != "usual":
            assert (
                one.near != "far"
                and float(one.decision.rule.finding(np.array(list(answer.probabilities.values())))) >= SURE
            )
    able = [o for o in meant if o.says_normal and o.prediction.state != "refused"]
    if not able:
        assert said.state == "refused"
    if said.state == "flagged":
        assert by_name[said.model].says_normal, "what cannot say normal never leads"
    if said.ask is not None:
        found = {choose_answer(several, {**told, said.ask.question: c}).prediction.state for c in said.ask.choices}
        assert len(found) > 1 and said.ask.question not in told
