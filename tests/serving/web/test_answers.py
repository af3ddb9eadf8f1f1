"""What an answer says: its state in words, lines, bars and how far a flag can be trusted, from the JSON alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bordered
from medloupe.imaging.facts import SENTENCES, Fact
from medloupe.imaging.sandbox.pool import Preview
from medloupe.model.decision import STATES, WITHHELD, Decision
from medloupe.model.prediction import Prediction, Refusal
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.entries import Entry
from medloupe.serving.engine.figures import Outcomes, Point, read_point
from medloupe.serving.web import answers, cards
from medloupe.serving.web.headline import ORDER, describe_state, state_of, summarize
from medloupe.serving.web.language import language
from medloupe.serving.web.summary import describe_facts
from medloupe.serving.web.views import AnswerView
from medloupe.store.models import Store
from trained import Trained

EN, FR = language("en"), language("fr")
GRADES = ("0_no_dr", "1_mild", "2_moderate", "3_severe")


def card(labels: Mapping[str, tuple[str, int]], lines: Mapping[str, float], **more: Any) -> dict[str, Any]:
    """A card of exclusive classes: of each label its role and danger, and its threshold."""
    return {
        "task": "multiclass",
        "labels": list(labels),
        "roles": {
            "labels": {n: {"role": r, **({"danger": d} if d else {})} for n, (r, d) in labels.items()},
            "ordered": more.pop("ordered", False),
            "by": "curated",
        },
        "per_label": [{"label": n, "operating_point": {"threshold": t}} for n, t in lines.items()],
        "decision": more,
    }


SKIN = card({"mel": ("sought", 1), "bcc": ("sought", 2), "nv": ("harmless", 0)}, {"mel": 0.07, "bcc": 0.2, "nv": 0.3})
FUNDUS = card(
    {n: ("sought", 4 - i) if i else ("normal", 0) for i, n in enumerate(GRADES)},
    {"0_no_dr": 0.5, "1_mild": 0.3, "2_moderate": 0.25, "3_severe": 0.08},
    ordered=True,
)


@pytest.fixture(scope="module")
def base(_trained: Trained) -> CheckUp:
    return CheckUp.of(Store(_trained.home).get("spots"))


def made(base: CheckUp, told: Mapping[str, Any], name: str = "skin", **more: Any) -> CheckUp:
    return replace(base, name=name, version=None, decision=Decision.from_card(told), points={}, announced={}, **more)


def say(checkup: CheckUp, p: Mapping[str, float], **more: Any) -> dict[str, Any]:
    """The JSON of the answer that a check-up gives to probabilities."""
    values = np.array([p.get(n, 0.0) for n in checkup.labels])
    prediction = Prediction.of(
        checkup.decision, values, file="a.png", model=checkup.name, version=checkup.version, **more
    )
    return prediction.as_json()


def show(checkup: CheckUp, p: Mapping[str, float], lang: Any = EN, **more: Any) -> AnswerView:
    said = say(checkup, p, **more)
    entry = Entry(
        id="f" * 32, at="2026-11-29T00:00:00", user_id=None, model=checkup.name, version=None, answer=said, kept=False
    )
    return answers.view_entry(entry, checkup, lang, titles={"skin": "Skin", "retina": "Retina"})


# ------------------------------------------------------------------ the headline


def test_the_most_dangerous_flag_stands_in_the_headline_and_the_longest_bar_beside_it(base: CheckUp) -> None:
    shown = show(made(base, SKIN), {"mel": 0.27, "bcc": 0.12, "nv": 0.61})
    assert (shown.state, shown.chip) == ("flagged", "Flagged")
    assert shown.headline == "Flagged: melanoma 27%, line\u00a07%"
    assert shown.lines == ("The most probable label is mole, 61%.",)
    french = show(made(base, SKIN), {"mel": 0.27, "bcc": 0.12, "nv": 0.61}, FR)
    assert french.headline == "Signalé\u00a0: mélanome 27\u00a0%, seuil\u00a07\u00a0%"
    two = show(made(base, SKIN), {"mel": 0.1, "bcc": 0.3, "nv": 0.6})
    assert (
        two.headline.startswith("Flagged: melanoma 10%") and two.lines[0] == "Also flagged: basal cell carcinoma 30%."
    )


def test_a_finding_that_is_the_longest_bar_is_told_once(base: CheckUp) -> None:
    shown = show(made(base, SKIN), {"mel": 0.7, "nv": 0.3})
    assert shown.lines == ()
    low = card({"a": ("sought", 1), "b": ("sought", 1), "c": ("normal", 0)}, {"a": 0.5, "b": 0.5})
    shown = show(made(base, low, "own"), {"a": 0.4, "b": 0.35, "c": 0.25})
    assert shown.headline == "Flagged: a 40%, the most probable label; its line is 50%"


def test_clear_is_no_all_clear_and_names_the_longest_bar(base: CheckUp) -> None:
    shown = show(made(base, SKIN), {"mel": 0.02, "bcc": 0.02, "nv": 0.96})
    assert (shown.state, shown.headline) == ("clear", "Not flagged. This is no all-clear.")
    assert shown.lines == ("The most probable label is mole, 96%.",)


def test_too_close_to_call_is_to_be_looked_at(base: CheckUp) -> None:
    shown = show(made(base, {**SKIN, "decision": {"unclear": 0.05}}), {"mel": 0.05, "bcc": 0.02, "nv": 0.93})
    assert (shown.state, shown.headline) == ("unclear", "Too close to call: have it looked at")
    quiet = {**SKIN, "decision": {"not_announced": ["bcc"]}}
    shown = show(made(base, quiet), {"mel": 0.01, "bcc": 0.6, "nv": 0.39})
    assert shown.state == "unclear" and "hardly ever right" in shown.lines[0]
    assert not any(bar.flagged for bar in shown.bars)


def test_grades_are_told_as_at_least(base: CheckUp) -> None:
    retina = made(base, FUNDUS, "retina")
    shown = show(retina, {"0_no_dr": 0.3, "1_mild": 0.15, "2_moderate": 0.45, "3_severe": 0.1})
    assert shown.headline == "Flagged: at least moderate retinopathy, 55%"
    assert shown.lines[0] == "The most dangerous flag: severe retinopathy 10%, line\u00a08%."
    assert [(bar.label, bar.percent) for bar in shown.reach] == [
        ("at least mild retinopathy", "70%"),
        ("at least moderate retinopathy", "55%"),
        ("at least severe retinopathy", "10%"),
    ]
    assert next(bar.label for bar in shown.bars) == "no retinopathy", "grades stay in their order"
    early = show(retina, {"0_no_dr": 0.61, "1_mild": 0.1, "2_moderate": 0.2, "3_severe": 0.09})
    assert early.headline == "Flagged: severe retinopathy 9%, line\u00a08%"
    assert early.lines[-1] == "The most probable label is no retinopathy, 61%."


def test_where_nothing_is_looked_for_the_label_is_the_answer(base: CheckUp) -> None:
    plain = card({"cat": ("none", 0), "dog": ("none", 0)}, {})
    shown = show(made(base, plain, "pets"), {"cat": 0.8, "dog": 0.2})
    assert (shown.state, shown.headline, shown.lines) == ("answered", "Cat 80%", ())
    assert not shown.has_limits


def test_a_refusal_gives_no_percentages(base: CheckUp) -> None:
    refused = Refusal(reason="…", looks_like="retina")
    shown = show(made(base, SKIN), {"mel": 0.9, "nv": 0.1}, refused=refused)
    assert (shown.state, shown.bars, shown.heats, shown.reach) == ("refused", (), (), ())
    assert (shown.instead, shown.instead_url) == ("It looks more like: Retina.", "/checkups/retina")
    nothing = Prediction.of(
        made(base, SKIN).decision, np.array([0.9, 0, 0.1]), file="", model="", version=None, refused=refused
    )
    answer = Answer(id="f" * 32, prediction=nothing, checkup=None, digest="0" * 64)
    assert answers.view_answer(answer, EN, titles={}).headline == EN.t("refused.none")


def test_what_cannot_be_used_says_what_to_do() -> None:
    said = {"state": "unusable", "why": {"code": "no such code", "text": "It is too dark. Take it again."}}
    entry = Entry(
        id="f" * 32, at="", user_id=None, model="skin", version=None, answer={**said, "probabilities": {}}, kept=False
    )
    shown = answers.view_entry(entry, None, FR, titles={})
    assert (shown.state, shown.headline) == ("unusable", "Cette image n’est pas utilisable")
    assert shown.because_english == "It is too dark. Take it again." and shown.bars == ()


def test_an_answer_from_before_there_were_states_is_decided_by_nobody(base: CheckUp) -> None:
    old = {"model": "skin", "version": None, "prediction": "nv", "probabilities": {"mel": 0.4, "bcc": 0.0, "nv": 0.6}}
    assert state_of(old) == "answered" and state_of({**old, "refused": {"reason": ""}}) == "refused"
    entry = Entry(id="f" * 32, at="", user_id=None, model="skin", version=None, answer=old, kept=False)
    shown = answers.view_entry(entry, made(base, SKIN), EN, titles={})
    assert shown.headline == "Mole 60%" and not shown.has_limits and not any(bar.flagged for bar in shown.bars)
    assert EN.t("answer.undecided") in shown.notes


@given(
    st.lists(st.floats(0.001, 1), min_size=3, max_size=3),
    st.sampled_from([SKIN, {**SKIN, "decision": {"unclear": 0.04}}]),
)
def test_the_words_never_say_another_state_label_or_line(weights: list[float], told: dict[str, Any]) -> None:
    decision = Decision.from_card(told)
    p = np.array(weights) / sum(weights)
    said = Prediction.of(decision, p, file="", model="skin", version=None).as_json()
    checkup = type("Held", (), {"decision": decision, "labels": decision.labels, "beats": False})()
    shown = describe_state(said, checkup, EN)  # type: ignore[arg-type]
    assert shown.state == said["state"] and shown.state in STATES
    text = " ".join((shown.text, *shown.lines))
    if said["flagged"]:
        first = said["flagged"][0]
        assert shown.text.startswith(f"Flagged: {EN.label(first, 'skin')} {EN.percent(said['probabilities'][first])}")
    else:
        assert "Flagged:" not in text and "line" not in text
    assert EN.label(said["prediction"], "skin") in text


def test_states_are_sorted_and_all_have_a_word() -> None:
    assert set(ORDER) == {*STATES, WITHHELD, "failed"} and ORDER[:4] == ("flagged", "unclear", "unusable", "refused")
    assert all(lang.has(f"answer.state_{state}") for lang in (EN, FR) for state in ORDER)


def test_what_is_remembered_reads_the_same(base: CheckUp) -> None:
    skin = made(base, SKIN)
    said = say(skin, {"mel": 0.27, "nv": 0.73})
    assert summarize(said, EN, skin) == show(skin, {"mel": 0.27, "nv": 0.73}).headline
    assert summarize(said, EN) == "Flagged: melanoma 27%", "where the version is gone no line is told"


def test_the_warning_of_a_strongest_place_outside_follows_the_label_shown_first(base: CheckUp) -> None:
    skin = made(base, SKIN)
    told = Prediction.of(skin.decision, np.array([0.27, 0.12, 0.61]), file="a.png", model="skin", version=None)
    preview = Preview(jpeg=bordered.jpeg(bordered.disc()), width=200, height=200)
    outside, inside = bordered.overlay(20, 20), bordered.overlay(100, 100)
    answer = Answer(id="f" * 32, prediction=told, checkup=skin, digest="0" * 64, preview=preview)
    for mel, nv, expected in ((outside, inside, True), (inside, outside, False)):
        shown = answers.view_answer(replace(answer, evidence={"mel": mel, "nv": nv}), EN, titles={})
        assert shown.outside is expected and [(h.name, h.first) for h in shown.heats] == [("mel", True), ("nv", False)]


# ------------------------------------------------------------------ bars, trust, notes


def test_lines_and_colours_are_of_findings_alone(base: CheckUp) -> None:
    shown = show(made(base, SKIN), {"mel": 0.27, "bcc": 0.12, "nv": 0.61})
    by = {bar.label: bar for bar in shown.bars}
    assert [bar.label for bar in shown.bars] == ["mole", "melanoma", "basal cell carcinoma"]
    assert by["mole"].limit is None and by["mole"].called and not by["mole"].flagged
    assert by["melanoma"].flagged and by["melanoma"].limit == 7.0
    assert not by["basal cell carcinoma"].flagged and by["basal cell carcinoma"].limit == 20.0


def test_many_labels_show_those_that_matter(base: CheckUp) -> None:
    many = {f"l{i}": ("sought" if i == 14 else "normal", 1 if i == 14 else 0) for i in range(15)}
    shown = show(made(base, card(many, {"l14": 0.005}), "many"), {f"l{i}": (15 - i) / 120 for i in range(15)})
    assert len(shown.bars) == 9 and shown.bars[-1].label == "l14" and len(shown.rest) == 6


def test_how_far_a_flag_can_be_trusted(base: CheckUp) -> None:
    having = Outcomes(flagged=88, unclear=4, not_flagged=8, n=216, groups=216)
    lacking = Outcomes(flagged=14, unclear=3, not_flagged=83, n=1700, groups=1500)
    point = Point(threshold=0.07, sensitivity=0.88, specificity=0.86, words="", having=having, lacking=lacking)
    skin = replace(made(base, SKIN), points={"mel": point})
    shown = show(skin, {"mel": 0.27, "nv": 0.73})
    assert shown.inwords == (
        "Melanoma: of 100 with it, flagged 88, unclear 4, not flagged 8; of 100 without, flagged 14, unclear 3,"
        " not flagged 83. Judged on 216 with it and 1,700 without.",
    )
    few = replace(skin, points={"mel": replace(point, having=replace(having, groups=180))})
    assert "216 with it, from 180 people or groups" in show(few, {"mel": 0.27, "nv": 0.73}).inwords[0]


def test_counts_are_read_from_a_card() -> None:
    counts = {"flagged": 88, "unclear": 4, "not_flagged": 8, "n": 216, "groups": 9}
    point = read_point({"threshold": 0.1, "sensitivity": {"value": 0.9}, "counts": {"with": counts, "without": None}})
    assert point.having == Outcomes(**counts) and point.lacking is None
    assert read_point({"threshold": 0.1, "counts": None}).having is None


def test_the_operating_point_in_words(base: CheckUp) -> None:
    points = {"pneumonia": Point(threshold=0.2, sensitivity=0.95, specificity=0.875, words="")}
    told = card({"normal": ("normal", 0), "pneumonia": ("sought", 1)}, {"normal": 0.5, "pneumonia": 0.2})
    chest = replace(made(base, told, "chest"), points=points, positive="pneumonia")
    introduced = cards.describe_checkup(chest, EN)
    assert introduced.good == "Finds 95 of 100 cases; 1 in 8 healthy people is flagged."
    assert cards.describe_checkup(chest, FR).good.startswith("Trouve 95 cas sur 100")
    assert show(chest, {"normal": 0.13, "pneumonia": 0.87}).inwords == (
        "Pneumonia: finds 95 of 100 cases; 1 in 8 healthy people is flagged.",
    )


def test_percentages_are_called_calibrated_only_where_that_was_shown(base: CheckUp) -> None:
    shown = show(made(base, SKIN), {"mel": 0.27, "nv": 0.73})
    assert EN.t("answer.uncalibrated") in shown.notes and EN.t("result.calibrated") not in shown.notes
    shown = show(made(base, {**SKIN, "decision": {"calibrated": True}}), {"mel": 0.27, "nv": 0.73})
    assert EN.t("result.calibrated") in shown.notes and EN.t("answer.uncalibrated") not in shown.notes


def test_a_weak_check_up_and_one_from_before_roles_say_so(base: CheckUp) -> None:
    weak = replace(made(base, {**SKIN, "decision": {"weak": True}}), found=0.59)
    assert show(weak, {"nv": 1.0}).weak == "A weak check-up: of 100 with a finding it flags 59."
    assert show(made(base, SKIN), {"nv": 1.0}).weak == ""
    legacy = {k: v for k, v in SKIN.items() if k != "roles"}
    assert EN.t("answer.legacy") in show(made(base, legacy), {"nv": 1.0}).notes
    plain = {**legacy, "labels": ["cat", "dog", "lynx"], "per_label": []}
    assert EN.t("answer.legacy") not in show(made(base, plain), {"cat": 1.0}).notes, "no name told anything"


def test_scopes_and_limits_in_the_readers_language(base: CheckUp) -> None:
    scoped = {**SKIN, "scope": ["One lesion through a dermatoscope", "cannot say normal", "of my own"]}
    limits = ("Hardly any dark skin among its patients (Austria, Australia).", "Something `else`.")
    skin = replace(made(base, scoped), limits=limits)
    french = show(skin, {"nv": 1.0}, FR)
    assert [(part.text, part.foreign) for part in french.scope] == [
        ("Une lésion vue au dermatoscope", False),
        ("Ne peut pas dire normal", False),
        ("Of my own", True),
    ]
    assert [limit.foreign for limit in french.limits] == [False, True]
    assert french.limits[0].text.startswith("Presque aucune peau foncée")
    assert next(part.text for part in show(skin, {"nv": 1.0}).scope) == "One lesion through a dermatoscope"


def test_other_check_ups_of_the_kind_are_told_in_a_line(base: CheckUp) -> None:
    skin, retina = made(base, SKIN), made(base, FUNDUS, "retina")
    other = {k: v for k, v in say(retina, {"0_no_dr": 0.9, "1_mild": 0.1}).items() if k != "file"}
    main = say(skin, {"mel": 0.27, "nv": 0.73})
    said = {**main, "answers": [{k: v for k, v in main.items() if k != "file"}, {**other, "scope": "Grades only"}]}
    entry = Entry(id="f" * 32, at="", user_id=None, model="skin", version=None, answer=said, kept=False)
    shown = answers.view_entry(
        entry,
        skin,
        EN,
        titles={"skin": "Skin", "retina": "Retina"},
        find=lambda name, version: {"skin": skin, "retina": retina}[name],
    )
    assert shown.chosen and len(shown.others) == 1
    one = shown.others[0]
    assert (one.title, one.state, one.scope[0].text) == ("Retina", "clear", "Grades only")
    assert one.text == "Not flagged. This is no all-clear. The most probable label is no retinopathy, 90%."


def test_labels_as_people_read_them() -> None:
    labels = ["ground_glass", "ABSCESSES", "COVID", "ILD", "結核", "_"]
    assert [EN.label(n) for n in labels] == ["ground glass", "Abscesses", "COVID", "ILD", "結核", "_"]
    assert (EN.label("MEL", "skin"), FR.label("PNEUMONIA", "pneumonia")) == ("melanoma", "pneumonie")
    assert (EN.label("nv", "teeth"), EN.label("nv")) == ("nv", "nv")  # whose abbreviation it is decides


# ------------------------------------------------------------------ how the picture was read


@pytest.mark.parametrize("lang", [EN, FR])
def test_every_fact_of_a_picture_is_told_in_the_readers_language(base: CheckUp, lang: Any) -> None:
    values = {"frames": 4, "frame": 3, "declared": "RGB", "found": "YCbCr", "held": 12, "width": 40, "height": 30}
    facts = tuple(Fact(code, values) for code in SENTENCES)
    told = [
        text
        for name, text in show(made(base, SKIN), {"nv": 1.0}, lang, facts=facts).meta
        if name == lang.t("decoding.title")
    ]
    assert len(told) == len(facts) == len(set(told))
    english = {fact.text for fact in facts}
    assert lang is EN or not english & set(told)
    assert any("3" in text and "4" in text for text in told)
    several = Fact("frame", {"frames": "several", "frame": 1})
    (said,) = describe_facts({"picture": {"notes": [several.as_json()]}}, lang)
    assert ("several" in said) == (lang is EN)


def test_a_fact_of_a_later_release_is_told_in_english() -> None:
    note = {"code": "no such code", "text": "It was read from behind.", "values": {}}
    assert describe_facts({"picture": {"notes": [note]}}, FR) == ("It was read from behind.",)
    assert describe_facts({}, FR) == ()


@pytest.mark.parametrize("lang", [EN, FR])
@pytest.mark.parametrize(("code", "alike"), [("inverted", ""), ("printed_ecg", "ECG report")])
def test_why_a_picture_is_of_no_use_is_said_in_the_readers_language(
    base: CheckUp, lang: Any, code: str, alike: str
) -> None:
    refused = Refusal(reason="…", looks_like=alike, code=code)
    shown = show(made(base, SKIN), {"nv": 1.0}, lang, refused=refused)
    assert (shown.state, shown.headline) == ("refused", lang.t(f"refused.{code}"))
    assert shown.because == lang.t(f"refused.{code}_because")
