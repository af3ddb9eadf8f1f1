"""Ids that stand in place of patients are told from those of patients, in tables as in tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.readers.patient_ids import are_too_few, explain_unusable, find_placeholders, settle_ids
from medloupe.data.reading import read
from originals_trees import picture
from readers_cases import dicom, write


@pytest.mark.parametrize(
    "text",
    ["ANONYMOUS", "anon", "Anonymized", "de-identified", "UNKNOWN", "nan", "N/A", "removed", "XXXX", "Patient^ID"],
)
def test_placeholders(text: str):
    assert find_placeholders([text, "P1", "P2"]) == {text}


@pytest.mark.parametrize("text", ["P1", "ANON0012", "Anna", "7", "test3"])
def test_ids_of_people(text: str):
    assert find_placeholders([text, "P1", "P2"]) == frozenset()


def test_a_zero_among_numbers_is_a_person_and_many_are_none():
    assert find_placeholders(["0", "1", "1", "2"]) == frozenset()
    assert find_placeholders(["0", "0", "0", "0", "1", "2"]) == {"0"}
    assert find_placeholders(["000", "000"]) == {"000"}


def test_few_ids_among_many_rows_are_no_patients():
    assert are_too_few([f"arm {i % 4}" for i in range(20)])
    assert not are_too_few([f"arm {i % 4}" for i in range(19)])
    assert not are_too_few([f"P{i % 5}" for i in range(20)])


def test_what_is_said_of_them():
    assert explain_unusable(["ANON"] * 40, "The tag PatientID").startswith("The tag PatientID is ANON in all 40 files")
    assert "only 3 values in 40 files" in explain_unusable([f"S{i % 3}" for i in range(40)], "The tag PatientID")
    assert explain_unusable(["P1"] * 12, "The tag PatientID")
    assert explain_unusable([f"P{i}" for i in range(40)], "The tag PatientID") == ""
    assert explain_unusable([], "The tag PatientID") == ""


def test_spellings_of_an_id_are_one():
    ids = {"a": "7", "b": "7.0", "c": "P7", "d": "p7", "e": "P7", "f": "unknown"}
    settled, notes = settle_ids(ids, "who")
    assert settled == {"a": "7", "b": "7", "c": "P7", "d": "P7", "e": "P7"}
    assert "1 images have no patient" in notes[0]
    assert "2 patients are spelled in several ways" in notes[1]


# Tags


def study(root: Path, count: int, **tags) -> Path:
    for i in range(count):
        given = {name: make(i) if callable(make) else make for name, make in tags.items()}
        dicom(root / ("ill", "well")[i % 2] / f"{i}.dcm", SOPInstanceUID=f"1.2.{i}", **given)
    return root


@pytest.mark.parametrize("patient", ["ANONYMOUS", "0", lambda i: f"ANON{i % 3}", "CASE"])
def test_one_id_for_all_files_is_no_patient(tmp_path: Path, patient):
    data = read(study(tmp_path, 24, PatientID=patient))
    assert {r.patient for r in data.records} == {None}
    assert "The tag PatientID" in " ".join(data.notes)
    assert "--patient" in " ".join(data.notes)


def test_studies_are_kept_together_where_patients_are_not_told(tmp_path: Path):
    data = read(study(tmp_path, 24, PatientID="ANONYMOUS", StudyInstanceUID=lambda i: f"1.3.{i // 3 + 1}"))
    assert len({r.patient for r in data.records}) == 8
    assert "StudyInstanceUID" in " ".join(data.notes)


def test_true_patients_stay_beside_placeholders(tmp_path: Path):
    data = read(study(tmp_path, 24, PatientID=lambda i: "ANONYMOUS" if i < 4 else f"P{i // 2}"))
    assert sum(r.patient is None for r in data.records) == 4
    assert len({r.patient for r in data.records} - {None}) == 10


def test_a_told_tag_is_taken_as_it_is(tmp_path: Path):
    data = read(
        study(tmp_path, 24, PatientID="ANONYMOUS", AccessionNumber=lambda i: f"A{i % 4}"), patient="AccessionNumber"
    )
    assert {r.patient for r in data.records} == {"A0", "A1", "A2", "A3"}


def test_folders_of_patients_stand_in_for_tags(tmp_path: Path):
    for label in ("ill", "well"):
        for p in range(4):
            for i in range(3):
                dicom(
                    tmp_path / label / f"{label}{p:03}" / f"{i}.dcm",
                    PatientID="ANON",
                    SOPInstanceUID=f"1.{p}.{i}.{len(label)}",
                )
    assert len({r.patient for r in read(tmp_path).records} - {None}) == 8


def test_drawings_in_dicom_are_left_out(tmp_path: Path):
    study(tmp_path, 6, PatientID=lambda i: f"P{i}")
    dicom(tmp_path / "ill" / "seg.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", SOPInstanceUID="1.9")
    data = read(tmp_path)
    assert data.skipped["mask of another image"] == ("ill/seg.dcm",)


# Tables


def test_placeholders_in_a_table(tmp_path: Path):
    rows = ["file,label,patient_id"]
    for i in range(24):
        picture(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]},{'unknown' if i % 2 else f'P{i // 4}'}")
    write(tmp_path / "labels.csv", "\n".join(rows))
    data = read(tmp_path)
    assert sum(r.patient is None for r in data.records) == 12
    assert len({r.patient for r in data.records} - {None}) == 6
    assert "12 images have no patient" in " ".join(data.notes)
    write(
        tmp_path / "labels.csv",
        "\n".join(row if k == 0 else f"{row.rpartition(',')[0]},site{k % 3}" for k, row in enumerate(rows)),
    )
    data = read(tmp_path)
    assert {r.patient for r in data.records} == {None}
    assert "only 3 values in 24 files" in " ".join(data.notes)
