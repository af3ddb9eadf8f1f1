"""What is read beside the picture: nothing where nothing is given, exact effects, and nothing taken on trust."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from fresh import SAY, loaded
from medloupe.errors import ClinicalError
from medloupe.inputs.extras import Extras
from weighed import patients

K = 3


@pytest.fixture(scope="module")
def extras() -> Extras:
    _, columns, notes = patients(300, missing=0.1).encoded("age", "sex", notes=True)
    width = sum(c.width for c in columns) + (notes.width if notes else 0)
    weight = np.random.default_rng(0).normal(size=(K, width)).astype(np.float32)
    return Extras(columns=columns, notes=notes, weight=weight)


GIVEN = {"age": "61", "sex": "female", "notes": "fever and cough since monday, waited an hour"}


def test_nothing_given_adds_exactly_nothing(extras: Extras) -> None:
    for given in ({}, {"age": ""}, {"age": "?", "notes": "  "}, {"other": "7"}, {"sex": "martian"}):
        clinical, notes = extras.vectors(given)
        assert not clinical.any() and not notes.any()
        assert not extras.logits(clinical[None], notes[None]).any()
        assert all(not e.logits.any() for e in extras.effects(given))
    assert (clinical.dtype, clinical.shape, notes.shape) == (np.float32, (extras.clinical_width,), (8,))


def test_effects_sum_to_the_logits(extras: Extras) -> None:
    for given in (GIVEN, {"sex": "M"}, {"notes": "fever"}, {"age": "33", "notes": "came by bus"}):
        effects = extras.effects(given)
        total = np.sum([e.logits for e in effects], axis=0)
        clinical, notes = extras.vectors(given)
        np.testing.assert_allclose(total, extras.logits(clinical[None], notes[None])[0], rtol=1e-5, atol=1e-5)
        assert {e.input for e in effects} >= set(given)
    age, sex, notes = extras.effects(GIVEN)
    assert (age.value, sex.value) == ("61 years", "F")
    assert notes.value == GIVEN["notes"]
    assert len(extras.effects({"notes": "fever " * 500})[0].value) <= 60


def test_a_missing_column_that_counts_is_told(extras: Extras) -> None:
    told = {e.input: e for e in extras.effects({"sex": "M"})}
    assert extras.columns[0].missing and told["age"].value == "" and told["age"].logits.any()


def test_many_rows_are_encoded_as_one_by_one(extras: Extras) -> None:
    rows = [GIVEN, {}, {"age": "20"}]
    clinical, notes = extras.encode(rows)
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(clinical[i], extras.vectors(row)[0])
        np.testing.assert_array_equal(notes[i], extras.vectors(row)[1])


def test_what_cannot_be_read_is_said(extras: Extras) -> None:
    with pytest.raises(ClinicalError, match="age is given as 'old'; expected a number in years"):
        extras.vectors({"age": "old"})
    with pytest.raises(ClinicalError):
        extras.effects({"age": "old"})


def test_forms_learn_what_to_ask(extras: Extras) -> None:
    age, sex, notes = extras.fields()
    assert (age["kind"], age["unit"], age["low"] < age["high"]) == ("number", "years", True)
    assert sex["kind"] == "category" and set(sex["choices"]) == {"M", "F"}
    assert notes == {"name": "notes", "kind": "notes", "label": "notes"}
    assert json.loads(json.dumps(extras.fields())) == extras.fields()
    assert extras.names == ("age", "sex", "notes")


def test_it_comes_back_from_json(extras: Extras) -> None:
    back = Extras.from_json(json.loads(json.dumps(extras.as_json())))
    assert back.columns == extras.columns and back.nbytes == extras.nbytes
    np.testing.assert_array_equal(back.weight, extras.weight)
    for a, b in zip(back.effects(GIVEN), extras.effects(GIVEN), strict=True):
        np.testing.assert_array_equal(a.logits, b.logits)
    for one in (Extras(columns=extras.columns, notes=None, weight=extras.weight[:, : extras.clinical_width]),):
        again = Extras.from_json(one.as_json())
        assert again.notes is None and again.notes_width == 0 and again.encode([GIVEN])[1].shape == (1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"labels": 0},
        {"labels": True},
        {"labels": 10**9},
        {"labels": 2},
        {"columns": {}},
        {"columns": [], "notes": None, "weight": ""},
        {"columns": [None]},
        {"notes": {}},
        {"notes": None},
        {"weight": "AAAA"},
        {"weight": None},
        {"more": 1},
    ],
)
def test_hostile_json_is_refused(extras: Extras, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Extras.from_json({**extras.as_json(), **change})


def test_two_inputs_of_one_name_are_refused(extras: Extras) -> None:
    entry = extras.as_json()
    entry["columns"] = [entry["columns"][0]] * 2
    with pytest.raises(ValueError, match="two of one name"):
        Extras.from_json(entry)


def test_weights_that_are_no_numbers_are_refused(extras: Extras) -> None:
    spoilt = Extras(columns=extras.columns, notes=extras.notes, weight=np.full_like(extras.weight, np.nan))
    with pytest.raises(ValueError, match="no numbers"):
        Extras.from_json(spoilt.as_json())


def test_answering_imports_nothing_that_trains() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{SAY}import medloupe.inputs.extras"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert loaded(done.stdout, ["sklearn", "scipy", "torch", "medloupe.training", "medloupe.data.readers"]) == []
