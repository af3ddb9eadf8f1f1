"""Answers the size of a text message: all states, labels of any length and script, never above 160 bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.model.boxes import FoundBox
from medloupe.model.brief import BRIEF_BYTES, encode_brief, write_brief, write_brief_failure
from medloupe.model.decision import STATES, Decision, Said, Why
from medloupe.model.prediction import Prediction, Refusal, refuse_by_all


def card(labels: list[str], **more: Any) -> dict[str, Any]:
    sought = {name: {"role": "sought", "danger": i} for i, name in enumerate(labels[1:], 1)}
    roles = {"by": "told", "labels": {labels[0]: {"role": "normal"}, **sought}}
    return {"labels": labels, "task": "multiclass", "roles": roles, **more}


def answer(labels: list[str], p: list[float], *, model: str = "pneumonia", version: int | None = 3, **more: Any) -> Any:
    return Prediction.of(Decision.from_card(card(labels)), np.array(p), file="", model=model, version=version, **more)


def test_a_flag_as_the_issue_has_it() -> None:
    said = write_brief(answer(["NORMAL", "PNEUMONIA"], [0.13, 0.87]))
    assert encode_brief(said) == b'{"s":"flagged","l":"PNEUMONIA","p":87,"m":"pneumonia@3","n":"no diagnosis"}'


def test_what_is_not_flagged_is_no_all_clear() -> None:
    said = write_brief(answer(["NORMAL", "PNEUMONIA"], [0.93, 0.07]))
    assert said == {"s": "clear", "l": "NORMAL", "p": 93, "m": "pneumonia@3", "n": "no all-clear"}


def test_nothing_is_named_where_nothing_is_said() -> None:
    refused = answer(["NORMAL", "X"], [0.1, 0.9], refused=Refusal(reason="It is another kind.", looks_like="skin"))
    assert write_brief(refused) == {
        "s": "refused",
        "l": "",
        "p": None,
        "m": "pneumonia@3",
        "w": "foreign",
        "n": "not judged",
    }
    dark = answer(["NORMAL", "X"], [0.1, 0.9], unusable=Why(code="too_dark", text="Too dark."))
    said = write_brief(dark)
    assert (said["s"], said["l"], said["p"], said["w"], said["n"]) == ("unusable", "", None, "too_dark", "not judged")
    nobody = write_brief(refuse_by_all("", Refusal(reason="None knows it.", looks_like=""), {}))
    assert (nobody["s"], nobody["m"], nobody["p"]) == ("refused", "", None)


def test_several_findings_are_counted_and_unclear_has_its_reason() -> None:
    several = Said(state="flagged", why=None, prediction="b", flagged=("a", "b", "c"))
    said = write_brief(
        Prediction(file="", model="m", version=None, said=several, probabilities={"a": 0.2, "b": 0.9, "c": 0.4})
    )
    assert (said["l"], said["p"], said["o"], said["m"]) == ("a", 20, 2, "m"), "the most dangerous first, as the page"
    close = Said(state="unclear", why=Why(code="close", text="Too close to call."), prediction="b")
    said = write_brief(Prediction(file="", model="m", version=1, said=close, probabilities={"a": 0.4, "b": 0.6}))
    assert (said["s"], said["l"], said["p"], said["w"]) == ("unclear", "b", 60, "close")


@pytest.mark.parametrize(("p", "told"), [(0.9999, 99), (0.001, 1), (1.0, 100), (0.0, 0), (0.505, 50), (0.515, 52)])
def test_what_is_not_certain_is_not_said_to_be(p: float, told: int) -> None:
    said = Said(state="answered", why=None, prediction="a")
    assert write_brief(Prediction(file="", model="m", version=1, said=said, probabilities={"a": p}))["p"] == told


def test_of_boxes_the_surest_and_of_grades_that_or_worse() -> None:
    found = tuple(FoundBox(label="rbc", score=s, x=0, y=0, width=1, height=1) for s in (0.4, 0.8))
    said = Said(state="flagged", why=None, prediction="wbc", flagged=("rbc",))
    boxed = Prediction(file="", model="m", version=1, said=said, probabilities={"rbc": 0.99, "wbc": 1.0}, boxes=found)
    assert write_brief(boxed)["p"] == 80
    graded = Said(
        state="flagged",
        why=None,
        prediction="mild",
        flagged=("severe",),
        grade="mild",
        at_least={"none": 1.0, "mild": 0.7, "severe": 0.3},
    )
    said = write_brief(
        Prediction(file="", model="m", version=1, said=graded, probabilities={"none": 0.3, "mild": 0.4, "severe": 0.3})
    )
    assert (said["l"], said["p"]) == (">=mild", 70)


LONG = "carcinoma of the left lower lobe with invasion of the chest wall and of the mediastinum, resectable by surgery"


def test_long_labels_are_cut_so_that_they_are_not_taken_for_each_other() -> None:
    others = {LONG: 0.6, f"not {LONG}": 0.4}
    flagged = Said(state="flagged", why=None, prediction=LONG, flagged=(LONG,))
    said = write_brief(Prediction(file="", model="lungs", version=1, said=flagged, probabilities=others))
    assert said["l"].endswith("…") and LONG.startswith(said["l"][:-1])
    assert len(encode_brief(said)) == BRIEF_BYTES, "as much of it as there is room for"
    twin = LONG.replace("surgery", "radiotherapy")
    said = write_brief(
        Prediction(file="", model="lungs", version=1, said=flagged, probabilities={LONG: 0.6, twin: 0.4})
    )
    first, _, last = said["l"].partition("…")
    assert LONG.startswith(first) and LONG.endswith(last) and last
    middle = "xyz " * 40
    label, alike = (f"{LONG} {number} {middle}{LONG}" for number in (1, 2))
    flagged = Said(state="flagged", why=None, prediction=label, flagged=(label,))
    said = write_brief(
        Prediction(file="", model="lungs", version=1, said=flagged, probabilities={alike: 0.4, label: 0.6})
    )
    assert said["l"].startswith("#2 carcinoma")


def test_characters_stay_whole() -> None:
    label = "é" * 20 + "e\u0301" * 40  # as one code point, and as a letter with a mark
    flagged = Said(state="flagged", why=None, prediction=label, flagged=(label,))
    cut = write_brief(Prediction(file="", model="m", version=1, said=flagged, probabilities={label: 1.0}))["l"]
    assert cut.endswith("e\u0301…")
    family = "👩\u200d👧" * 30
    flagged = Said(state="flagged", why=None, prediction=family, flagged=(family,))
    cut = write_brief(Prediction(file="", model="m", version=1, said=flagged, probabilities={family: 1.0}))["l"]
    assert cut.removesuffix("…") == "👩\u200d👧" * (len(cut) // 3)


TEXT = st.text(st.characters(), max_size=300)


@given(
    state=st.sampled_from(STATES),
    labels=st.lists(TEXT, min_size=1, max_size=5, unique=True),
    model=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    version=st.none() | st.integers(1, 2**31 - 1),
    code=st.sampled_from(("cells_refused", "not_announced", "most_probable", "leads_missing", "close")),
    p=st.floats(0, 1),
    graded=st.booleans(),
)
def test_never_above_160_bytes(
    state: Any, labels: list[str], model: str, version: int | None, code: str, p: float, graded: bool
) -> None:
    nothing = state in ("refused", "unusable")
    said = Said(
        state=state,
        why=Why(code=code, text="x" * 400),
        prediction="" if nothing else labels[0],
        flagged=tuple(labels) if state == "flagged" else (),
        grade=labels[0] if graded and not nothing else None,
        at_least=dict.fromkeys(reversed(labels), p) if graded else None,
    )
    made = write_brief(
        Prediction(file="f" * 300, model=model, version=version, said=said, probabilities=dict.fromkeys(labels, p))
    )
    data = encode_brief(made)
    assert len(data) <= BRIEF_BYTES
    read = json.loads(data)
    assert read == made and read["s"] == state
    assert read["m"] == (model if version is None else f"{model}@{version}"), "which answered is never cut"
    assert bool(read["l"]) <= (not nothing)


def test_a_file_that_cannot_be_read() -> None:
    assert write_brief_failure("unreadable_image") == {"s": "failed", "w": "unreadable_image", "n": "not judged"}
