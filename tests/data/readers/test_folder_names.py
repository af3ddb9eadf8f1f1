"""What the names of folders say, and what they do not."""

from __future__ import annotations

import pytest

from medloupe.data.readers import folder_names as names


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("seg_train", "train"),
        ("Train_data", "train"),
        ("a. Training Set", "train"),
        ("01-TRAIN", "train"),
        ("trainImages", "train"),
        ("C-NMC_training_data", "train"),
        ("Train and Validation Set", "train"),
        ("entraînement", "train"),
        ("训练集", "train"),
        ("b. Testing Set", "test"),
        ("Test Images (2)", "test"),
        ("2. hold-out set", "test"),
        ("evaluation", "test"),
        ("pruebas", "test"),
        ("val_set", "val"),
        ("Validación", "val"),
        ("testis", None),
        ("tests_of_blood", None),
        ("valve", None),
        ("train_test", None),
        ("benign", None),
    ],
)
def test_splits_are_words_within_names(name: str, split: str | None):
    assert names.find_split(name) == split


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("fold_0", "fold"),
        ("Fold 3", "fold"),
        ("cv2", "fold"),
        ("batch-1", "fold"),
        ("2021-01", "date"),
        ("03.02.2021", "date"),
        ("January", "date"),
        ("Jan 2021", "date"),
        ("2020_Q3", "date"),
        ("raw", "original"),
        ("Original Images", "original"),
        ("augmented", "copy"),
        ("train_aug", "copy"),
        ("pre-processed", "copy"),
        ("hospital_A", "site"),
        ("Scanner 2", "site"),
        ("images", "files"),
        ("left", "view"),
        ("normal", None),
        ("benign", None),
        ("P001", None),
        ("colon", None),
        ("melanoma", None),
    ],
)
def test_kinds(name: str, kind: str | None):
    assert names.kind_of(name) == kind


def test_ids_are_most_with_a_number_and_no_grades():
    assert names.are_ids(["SOB_B_00", "SOB_B_01", "SOB_M_00"])
    assert names.are_ids(["14-22549AB", "14-2523", "9-11"])
    assert names.are_ids([str(k) for k in range(1, 13)])
    assert not names.are_ids(["0", "1", "2", "3", "4"])
    assert not names.are_ids(["stage 1", "stage 2", "stage 3"])
    assert not names.are_ids(["adenosis", "fibroadenoma", "phyllodes_tumor"])


def test_findings_by_name_or_by_what_they_end_in():
    assert names.name_findings(["benign", "x"])
    assert names.name_findings(["COVID", "NonCOVID"])
    assert names.name_findings(["seminoma", "orchitis"])
    assert names.name_findings(["0", "1"])
    assert not names.name_findings(["Mulago", "Kiruddu"])
    assert not names.name_findings(["P000", "P001", "P002"])


@pytest.mark.parametrize(
    ("one", "other"), [("Viral Pneumonia", "viral_pneumonia"), ("Normal", "NORMAL "), ("covid-19", "COVID 19")]
)
def test_spellings_of_one_name(one: str, other: str):
    assert names.fold_name(one) == names.fold_name(other)


def test_other_names_stay_other_names():
    assert names.fold_name("grade 1") != names.fold_name("grade 11")
