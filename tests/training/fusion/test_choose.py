"""Which columns a training reads: asked for, readable, known beforehand, and no leak."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medloupe.data.records import Dataset
from medloupe.errors import ColumnError, DataError
from medloupe.training.audit.finding import Audit
from medloupe.training.fusion.choose import ChosenInputs, check_columns, choose_inputs, probe_table, reads_inputs
from medloupe.training.options import Options
from weighed import Patients, patients, with_column

N = 200


def example() -> Patients:
    found = patients(N)
    ill = found.targets[:, 1] == 1
    found = with_column(found, "dx_type", [("biopsy" if i else "seen") for i in ill])
    found = with_column(found, "dose", ["5" if i else None for i in ill])
    found = with_column(found, "url", [f"http://example.org/{i}" for i in range(N)])
    found = with_column(found, "hospital", ["north" if i % 3 else "south" for i in range(N)])
    found = with_column(found, "admitted", [f"2020-01-{1 + i % 28:02d}" for i in range(N)])
    return with_column(found, "empty", ["same"] * N)


def data(found: Patients | None = None) -> Dataset:
    return (found or example()).features().data


def chosen(found: Patients | None = None, **options: Any) -> ChosenInputs:
    d = data(found)
    return choose_inputs(d, np.arange(len(d)), np.arange(len(d)), Options(**options))


def test_all_is_all_that_names_no_answer() -> None:
    found = chosen(clinical=("all",))
    assert set(found.columns) == {"age", "sex", "noise"}
    left = dict(found.left_out)
    assert "states the diagnosis" in left["dx_type"]
    assert "identifies a file" in left["url"]
    assert "where or with what" in left["hospital"]
    assert "a date names the period" in left["admitted"]
    assert left["empty"] == "it is the same everywhere"
    assert {f.title for f in found.findings} == {"Column 'dx_type' names the answer"}


def test_a_column_whose_gaps_name_the_answer_is_left_out() -> None:
    rng = np.random.default_rng(0)
    base = patients(N)
    ill = base.targets[:, 1] == 1
    filled = with_column(base, "dose", [f"{rng.normal(5):.1f}" if i else None for i in ill])
    found = chosen(filled, clinical=("dose", "age"))
    assert found.columns == ("age",)
    assert "AUC of 1.00" in dict(found.left_out)["dose"]
    (said,) = found.findings
    assert said.level == "serious"


def test_leaks_may_be_kept_and_are_said() -> None:
    found = chosen(clinical=("dx_type", "age"), keep_leaks=True)
    assert set(found.columns) == {"dx_type", "age"}
    assert not found.left_out
    assert "as was asked" in found.findings[0].detail


def test_places_may_be_named() -> None:
    assert chosen(clinical=("hospital",)).columns == ("hospital",)


def test_case_does_not_matter_and_typos_are_answered() -> None:
    assert chosen(clinical=("AGE",)).columns == ("age",)
    for options in (Options(clinical=("agee",)), Options(notes="agee")):
        with pytest.raises(ColumnError, match="Did you mean 'age'"):
            check_columns(data(), options)
    check_columns(data(), Options(clinical=("all",), notes="notes"))


def test_what_is_asked() -> None:
    plain, proposing = data(), replace(data(), clinical=("age",))
    assert not reads_inputs(plain, Options()) and reads_inputs(proposing, Options())
    assert not reads_inputs(proposing, Options(clinical=()))
    assert reads_inputs(plain, Options(notes="notes")) and reads_inputs(plain, Options(clinical=("age",)))
    found = choose_inputs(proposing, np.arange(N), np.arange(N), Options())
    assert found.columns == ("age",)


def test_notes_are_masked_and_no_column() -> None:
    texts = patients(N)
    rows = [
        {**r, "notes": r["notes"] + (" class1" if y else "")}
        for r, y in zip(texts.rows, texts.targets[:, 1], strict=True)
    ]
    found = chosen(replace(texts, rows=tuple(rows)), clinical=("all",), notes="notes")
    assert found.notes == "notes" and "notes" not in found.columns
    assert "*class*" not in found.mask and "class1" in found.mask
    said = found.as_json()["notes"]
    assert said["column"] == "notes" and said["masked"][0]["label"] == "class1"


def test_notes_that_still_tell_the_label_are_left_out() -> None:
    texts = patients(N)
    rows = [
        {**r, "notes": ("quux blim" if y else "flob narf") + f" {r['notes']}"}
        for r, y in zip(texts.rows, texts.targets[:, 1], strict=True)
    ]
    leaking = replace(texts, rows=tuple(rows))
    found = chosen(leaking, notes="notes", mask=())
    assert found.notes is None and "AUC" in dict(found.left_out)["notes"]
    assert found.findings[0].title.startswith("The notes in 'notes'")
    assert chosen(leaking, notes="notes", mask=("quux", "blim", "flob", "narf")).notes == "notes"


def test_numbers_that_cannot_be_read_are_counted_and_missing() -> None:
    base = patients(N)
    found = chosen(
        with_column(base, "age", ["old" if i < 3 else "50" if i % 2 else "60.5" if i % 5 else "70" for i in range(N)]),
        clinical=("age",),
    )
    assert found.said == ("3 of 200 values of 'age' are no numbers, such as 'old'; they count as missing.",)
    assert all("age" not in r for r in found.rows[:3])


def test_a_birth_date_becomes_an_age() -> None:
    base = patients(N)
    plain = replace(base, rows=tuple({"sex": r.get("sex", "")} for r in base.rows))
    found = with_column(plain, "birth_date", [f"{1930 + i % 70}-05-01" for i in range(N)])
    found = with_column(found, "study_date", ["2020-05-01"] * N)
    made = chosen(found, clinical=("birth_date", "study_date"))
    assert made.columns == ("age",)
    assert made.said == ("Ages are those at 'study_date', from 'birth_date'.",)
    assert {name for name, _ in made.left_out} == {"birth_date", "study_date"}


def test_the_probe_sees_the_rows_it_may_learn_from_alone() -> None:
    base = patients(N)
    y = base.targets[:, 1]
    values = [("Y" if v else "N") if i < N // 2 else "NY"[i % 2] for i, v in enumerate(y)]
    d = data(with_column(base, "marker", list(values)))
    options = Options(clinical=("marker",))
    assert choose_inputs(d, np.arange(N // 2), np.arange(N), options).columns == ()
    assert choose_inputs(d, np.arange(N // 2, N), np.arange(N), options).columns == ("marker",)


def test_a_model_can_have_so_many_columns() -> None:
    base = patients(N)
    rng = np.random.default_rng(0)
    rows = tuple({f"c{j}": f"{v:.2f}" for j, v in enumerate(rng.normal(size=70))} for _ in range(N))
    with pytest.raises(DataError, match="70 clinical columns are too many"):
        chosen(replace(base, rows=rows), clinical=("all",))


def test_the_data_check_names_columns_of_which_no_model_is_asked() -> None:
    audit = Audit(checked=N, findings=(), groups=np.arange(N), shortcut=None)
    said = probe_table(audit, data()).as_json()
    assert [(f["level"], f["title"]) for f in said["findings"]] == [("notice", "Column 'dx_type' names the answer")]
    assert {c["name"] for c in said["columns"]} >= {"age", "sex", "dx_type"}
    assert "columns" not in audit.as_json()


def test_encoders_learn_from_the_rows_told() -> None:
    found = chosen(clinical=("age",), notes="notes")
    columns, notes = found.fit_encoders(np.arange(50), 0)
    more, _ = found.fit_encoders(np.arange(N), 0)
    assert notes is not None and notes.column == "notes"
    assert columns[0].mean != more[0].mean
