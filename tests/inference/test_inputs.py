"""What people give beside a picture: by which names, from which rows of a table, and what it adds."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import several
from medloupe.data.records import Record
from medloupe.errors import ClinicalError, DataError, MedloupeError
from medloupe.inference import inputs
from medloupe.model.bundle import Model


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return several.model(tmp_path)


def table(path: Path, *rows: dict[str, Any]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_parts_make_the_whole(model: Model) -> None:
    assert model.extras is not None
    found = inputs.weigh_inputs(model.extras, model.labels, several.GIVEN)
    clinical, notes = model.extras.vectors(several.GIVEN)
    np.testing.assert_allclose(found.logits, model.extras.logits(clinical[None], notes[None])[0], atol=1e-5)
    assert [i.name for i in found.influences] == ["age", "sex", "place", "history"]
    parts = [[i.effect[name] for name in model.labels] for i in found.influences]
    np.testing.assert_allclose(np.sum(parts, 0), found.logits, atol=1e-5)
    nothing = inputs.weigh_inputs(model.extras, model.labels, {})
    assert not nothing.logits.any() and nothing.influences == ()


@pytest.mark.parametrize(
    ("name", "means"),
    [("age", "age"), ("AGE", "age"), (" Place ", "place"), ("notes", "history"), ("History", "history")],
)
def test_names_are_taken_as_people_write_them(model: Model, name: str, means: str) -> None:
    assert inputs.match_inputs(model.extras, {name: "5", "shoe_size": "42"}) == ({means: "5"}, ["shoe_size"])
    assert inputs.require_inputs(model, {name: "5"}) == {means: "5"}


def test_an_exact_name_goes_before_a_like_one(model: Model) -> None:
    assert model.extras is not None
    twins = tuple(replace(model.extras.columns[0], name=name) for name in ("T_1", "t 1"))
    extras = replace(model.extras, columns=twins)
    assert inputs.match_inputs(extras, {"T_1": "1", "t 1": "2"})[0] == {"T_1": "1", "t 1": "2"}


def test_empty_values_are_not_given(model: Model) -> None:
    assert inputs.require_inputs(model, {"age": "  ", "sex": ""}) == {}


def test_what_is_no_input_is_told(model: Model) -> None:
    with pytest.raises(MedloupeError, match=r"tiny has no input 'aeg'; .* takes: age, sex, place, history") as caught:
        inputs.require_inputs(model, {"aeg": "5"})
    assert caught.value.hint == "Did you mean 'age'?"
    with pytest.raises(MedloupeError, match="reads the picture alone; it has no input 'age'"):
        inputs.require_inputs(replace(model, extras=None), {"age": "5"})
    assert inputs.match_inputs(None, {"age": "5"}) == ({}, ["age"])


def test_a_value_that_cannot_be_read_names_column_value_and_what_was_expected(model: Model) -> None:
    assert model.extras is not None
    with pytest.raises(ClinicalError, match="age is given as 'old'; expected a number in years, usually"):
        inputs.weigh_inputs(model.extras, model.labels, {"age": "old"})


# ------------------------------------------------------------------ tables


def test_rows_name_files_by_any_end_of_their_path(model: Model, tmp_path: Path) -> None:
    files = [tmp_path / "a" / "1.png", tmp_path / "b" / "1.png", tmp_path / "a" / "2.png", tmp_path / "3.png"]
    path = table(
        tmp_path / "t.csv",
        {"image": "a/1.png", "Age": "40", "eyes": "blue"},
        {"image": "b\\1.png", "Age": "50", "eyes": "blue"},
        {"image": "2", "Age": "", "eyes": "brown"},
        {"image": "elsewhere/3.png", "Age": "70", "eyes": "brown"},
    )
    found = inputs.read_inputs_table(model, path, files)
    assert found == {files[0]: {"age": "40"}, files[1]: {"age": "50"}, files[2]: {}}


def test_tables_that_tell_nothing_are_refused(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "1.png"
    with pytest.raises(MedloupeError, match="has no input of tiny; it has: image, aged") as caught:
        inputs.read_inputs_table(model, table(tmp_path / "a.csv", {"image": "1.png", "aged": "4"}), [file])
    assert caught.value.hint == "Did you mean 'aged'?"
    with pytest.raises(DataError, match=r"No column of .* names the files asked about"):
        inputs.read_inputs_table(model, table(tmp_path / "b.csv", {"image": "9.png", "age": "4"}), [file])
    rows = ({"image": "1.png", "age": "4"}, {"image": "1.png", "age": "5"})
    with pytest.raises(DataError, match=r"says different things of .*1.png in 2 rows"):
        inputs.read_inputs_table(model, table(tmp_path / "c.csv", *rows), [file])
    same = inputs.read_inputs_table(model, table(tmp_path / "d.csv", rows[0], rows[0]), [file])
    assert same == {file: {"age": "4"}}
    with pytest.raises(MedloupeError, match="tiny takes: nothing beside the picture"):
        inputs.read_inputs_table(replace(model, extras=None), tmp_path / "d.csv", [file])


# ------------------------------------------------------------------ data sets


def test_what_records_state_is_counted_and_added(model: Model) -> None:
    assert model.extras is not None
    records = [
        Record(id="0", columns={"age": "40", "Sex": "F"}),
        Record(id="1", columns={"age": "old", "sex": "M", "history": "dry cough"}),
        Record(id="2", columns={"age": "unknown", "eyes": "blue"}),
    ]
    found = inputs.encode_stated_inputs(model, records)
    assert found.counts == {"age": 1, "sex": 2, "place": 0, "history": 1}
    assert found.unreadable == {"age": 1}
    clean: list[dict[str, str]] = [{"age": "40", "sex": "F"}, {"sex": "M", "history": "dry cough"}, {}]
    expected = [inputs.weigh_inputs(model.extras, model.labels, row).logits for row in clean]
    np.testing.assert_allclose(found.logits, expected, atol=1e-5)
    assert not found.logits[2].any()
    alone = inputs.encode_stated_inputs(replace(model, extras=None), records)
    assert alone.logits.shape == (3, 4) and not alone.logits.any() and alone.counts == {}


def test_scaling_logits_scales_what_extras_add(model: Model) -> None:
    scale = np.array([1.0, 2.0, 0.5, 1.0])
    made = inputs.scale_extras(model.extras, scale)
    assert made is not None and model.extras is not None
    before, after = (inputs.weigh_inputs(e, model.labels, several.GIVEN).logits for e in (model.extras, made))
    np.testing.assert_allclose(after, before * scale, rtol=1e-5)
    assert inputs.scale_extras(None, scale) is None
