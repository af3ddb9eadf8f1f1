"""What contradicts itself is asked about or refused: folders and tables, a test part alone, 1 and -1, shares of 1."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.reading import read
from medloupe.errors import DataError, QuestionError
from readers_cases import picture, write
from tabled import rows, said, tabled

SORTED = [f"{('benign', 'malignant')[i % 2]}/{i}.png" for i in range(12)]


def test_folders_that_contradict_the_table_are_asked_about(tmp_path: Path):
    tabled(tmp_path, rows("image,dx", lambda i: f"{i}.png,{('Malignant', 'Benign')[i % 2]}"), images=SORTED)
    with pytest.raises(QuestionError, match="Of 12 of 12 images") as asked:
        read(tmp_path)
    assert asked.value.answers == ("--labels dx",)
    data = read(tmp_path, labels="dx")
    assert data.counts() == {"Benign": 6, "Malignant": 6}
    assert "the folder says another class" in said(data)


def test_a_few_that_differ_are_told_of(tmp_path: Path):
    text = rows("image,dx", lambda i: f"{i}.png,{('benign', 'malignant')[(i + (i == 3)) % 2]}")
    tabled(tmp_path, text, images=SORTED)
    assert "Of 1 of 12 images (such as malignant/3.png) the folder says another class" in said(read(tmp_path))


def test_folders_that_agree_are_not_told_of(tmp_path: Path):
    tabled(tmp_path, rows("image,dx", lambda i: f"{i}.png,{('benign', 'malignant')[i % 2]}"), images=SORTED)
    assert "the folder says" not in said(read(tmp_path))


def test_a_table_of_the_test_part_alone_does_not_hide_train(tmp_path: Path):
    for k, image in enumerate(SORTED):
        picture(tmp_path / "train" / image, k)
    tabled(
        tmp_path,
        rows("file,label", lambda i: f"t{i}.png,{('benign', 'malignant')[i % 2]}", 6),
        "test.csv",
        [f"test/t{i}.png" for i in range(6)],
    )
    with pytest.raises(DataError, match="labels of the test part alone"):
        read(tmp_path)
    assert len(read(tmp_path, table=tmp_path / "test.csv")) == 6


@pytest.mark.parametrize("head", ["image,tumor", "image,mass,tumor"])
def test_one_and_minus_one_are_not_guessed(tmp_path: Path, head: str):
    several = head.count(",") > 1
    text = rows(head, lambda i: f"{i}.png,{f'{i % 3 // 2},' if several else ''}{(-1, 1)[i % 2]}")
    tabled(tmp_path, text)
    with pytest.raises(DataError, match="'tumor' holds 1 and -1, and nothing else"):
        read(tmp_path)


def test_uncertain_beside_absent_stays_missing(tmp_path: Path):
    tabled(tmp_path, rows("image,edema", lambda i: f"{i}.png,{(-1, 0, 1)[i % 3]}"))
    assert read(tmp_path).counts() == {"edema": 4, "no edema": 4}


@pytest.mark.parametrize("told", [None, "malignant"])
def test_shares_of_one_are_no_classes(tmp_path: Path, told: str | None):
    tabled(tmp_path, rows("image,benign,malignant", lambda i: f"{i}.png,{(0.1, 0.9)[i % 2]},{(0.9, 0.1)[i % 2]}"))
    with pytest.raises(DataError, match="measure"):
        read(tmp_path, labels=told)


def test_copies_by_name_stay_out(tmp_path: Path):
    marks = ("", "_rot90", "_flip", "_aug1", "-noise-2")
    k = 0
    for name in ("benign", "malignant"):
        for i in range(3):
            for mark in marks:
                picture(tmp_path / name / f"{i}{mark}.png", k := k + 1)
    picture(tmp_path / "benign" / "9_flip.png", 99)  # no other of its name: no copy
    data = read(tmp_path)
    assert len(data) == 7
    assert len(data.skipped["an augmented or processed copy"]) == 24
    assert "are copies made of others of the same name" in said(data)


def test_a_training_part_alone_is_no_split(tmp_path: Path):
    tabled(tmp_path, rows("image,level", lambda i: f"{i},{i % 2}"), images=[f"train/{i}.png" for i in range(12)])
    data = read(tmp_path)
    assert data.splits == {"": 12}
    assert "splits" not in said(data)


def test_tables_that_contradict_each_other_are_asked_about(tmp_path: Path):
    tabled(tmp_path, rows("file,label", lambda i: f"{i}.png,{'ab'[i % 2]}"), "v1.csv")
    write(tmp_path / "v2.csv", rows("file,label", lambda i: f"{i}.png,{'ba'[i % 2]}"))
    with pytest.raises(QuestionError, match=r"v2.csv says another label than v1.csv of 12 of 12 images") as asked:
        read(tmp_path)
    assert asked.value.answers == (f"--table {tmp_path / 'v1.csv'}", f"--table {tmp_path / 'v2.csv'}")
    assert read(tmp_path, table=tmp_path / "v2.csv").records[0].labels == {"b": 1}


def test_tables_that_differ_a_little_are_told_of(tmp_path: Path):
    tabled(tmp_path, rows("file,label", lambda i: f"{i}.png,{'ab'[i % 2]}"), "v1.csv")
    write(tmp_path / "v2.csv", rows("file,label", lambda i: f"{i}.png,{'ab'[(i + (i == 3)) % 2]}"))
    assert "v2.csv says another label than v1.csv of 1 images" in said(read(tmp_path))


def test_numbers_of_parts_are_told_to_be_no_split(tmp_path: Path):
    tabled(tmp_path, rows("file,label,split", lambda i: f"{i}.png,{'ab'[i % 2]},{i % 3}"))
    data = read(tmp_path)
    assert data.splits == {"": 12}
    assert "Column 'split' holds numbers, which tell no test part" in said(data)


def test_a_column_about_the_person_is_no_answer(tmp_path: Path):
    tabled(tmp_path, rows("file,age,sex", lambda i: f"{i}.png,{40 + i % 3},{'MF'[i % 2]}"))
    with pytest.raises(QuestionError) as asked:
        read(tmp_path)
    assert not asked.value.answers
    assert "Add a column that says the class" in asked.value.hint


def test_numbers_of_patients_are_no_numbers_of_files(tmp_path: Path):
    images = [f"{p:03}/{i}.png" for p in range(1, 7) for i in (1, 2)]
    tabled(tmp_path, rows("id,label", lambda i: f"{i + 1},{'ab'[i % 2]}", 6), images=images)
    data = read(tmp_path)
    assert {r.id: next(iter(r.labels)) for r in data.records} == {
        f"{p:03}/{i}.png": "ab"[(p - 1) % 2] for p in range(1, 7) for i in (1, 2)
    }


def test_ids_are_joined_whatever_their_zeros(tmp_path: Path):
    tabled(tmp_path, rows("image_id,patient_id", lambda i: f"{i},{i // 2:03}"), "images.csv")
    write(tmp_path / "patients.csv", rows("patient_id,diagnosis", lambda i: f"{i},{'ab'[i % 2]}", 6))
    assert read(tmp_path).counts() == {"a": 6, "b": 6}


def test_an_archive_packed_twice_is_the_same_classes(tmp_path: Path):
    for k, name in enumerate(("yes", "no", "tumour set/yes", "tumour set/no")):
        for i in range(4):
            picture(tmp_path / name / f"{i}.png", 10 * k + i)
    data = read(tmp_path)
    assert data.counts() == {"no": 8, "yes": 8}
    assert "tumour set holds the same folders as stand beside it" in said(data)
