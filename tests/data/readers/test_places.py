"""Which folders are classes: told by what lies below which, asked where two readings stand against each other."""

from __future__ import annotations

from collections import Counter

import pytest

from medloupe.data.readers.places import Places, read_places
from medloupe.errors import DataError, QuestionError


def tree(*folders: str, each: int = 4) -> list[str]:
    """Paths of `each` images in every folder, of the same names everywhere."""
    return sorted(f"{folder}/{i}.png" for folder in folders for i in range(each))


def product(upper: str, lower: str) -> list[str]:
    return tree(*(f"{a}/{b}" for a in upper.split("|") for b in lower.split("|")))


def counts(found: Places) -> dict[str, int]:
    return dict(Counter(found.labels.values()))


def said(found: Places) -> str:
    return " ".join(found.notes)


# Splits


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train_data", "Test_data"),
        ("seg_train", "seg_test"),
        ("a. Training Set", "b. Testing Set"),
        ("train_images", "test_images"),
        ("1. development set", "2. hold-out set"),
        ("TRAIN-v2", "EVAL-v2"),
        ("entrenamiento", "prueba"),
    ],
)
def test_upper_folders_named_like_splits(train: str, test: str):
    found = read_places(product(f"{train}|{test}", "benign|malignant"))
    assert counts(found) == {"benign": 8, "malignant": 8}
    assert Counter(found.splits.values()) == {"train": 8, "test": 8}
    assert all(found.splits[i] == ("train" if i.startswith(train) else "test") for i in found.splits)
    assert f"{train} is train" in said(found)


def test_splits_that_hold_themselves_again_beside_images_to_predict():
    inner = [f"seg_{part}/seg_{part}/{label}" for part in ("train", "test") for label in ("a", "b")]
    found = read_places(tree(*inner, "seg_pred/seg_pred"))
    assert counts(found) == {"a": 8, "b": 8}
    assert len(found.skipped["outside the split folders"]) == 4


def test_only_the_training_part_is_cut_into_folds():
    found = read_places(
        tree("x_training_data/fold_0/all", "x_training_data/fold_0/hem", "x_training_data/fold_1/all")
        + tree("x_training_data/fold_1/hem", "x_test_data/x_test_data")
    )
    assert counts(found) == {"all": 8, "hem": 8}
    assert Counter(found.splits.values()) == {"train": 16, "test": 4}
    assert found.columns["x_training_data/fold_0/all/0.png"] == {"fold": "fold_0"}


def test_unlabelled_test_images_are_no_class_called_images():
    found = read_places(tree("train/a", "train/b", "test/images"))
    assert counts(found) == {"a": 4, "b": 4}
    assert found.splits["test/images/0.png"] == "test"


def test_splits_below_classes():
    found = read_places(product("benign|malignant", "Train_set|Test_set"))
    assert counts(found) == {"benign": 8, "malignant": 8}
    assert Counter(found.splits.values()) == {"train": 8, "test": 8}


def test_a_part_missing_from_the_test_is_no_reason_to_read_splits_as_classes():
    found = read_places(tree("Train_data/a", "Train_data/b", "Train_data/c", "Test_data/a", "Test_data/b"))
    assert counts(found) == {"a": 8, "b": 8, "c": 4}


# Folds, dates, sites, copies, patients


def test_folds():
    found = read_places(product("fold_0|fold_1|fold_2", "benign|malignant"))
    assert counts(found) == {"benign": 12, "malignant": 12}
    assert not found.splits
    assert "are folds; the classes are the folders below (benign, malignant)" in said(found)


def test_folds_with_splits_of_their_own_are_no_splits():
    found = read_places(product("fold1/train|fold1/test|fold2/train|fold2/test", "a|b"))
    assert counts(found) == {"a": 16, "b": 16}
    assert not found.splits
    assert "not used as splits" in said(found)


@pytest.mark.parametrize("upper", ["2021-01|2021-02", "January|February", "2020|2021|2022"])
def test_dates(upper: str):
    found = read_places(product(upper, "benign|malignant"))
    assert set(found.labels.values()) == {"benign", "malignant"}
    assert {list(c) == ["date"] for c in found.columns.values()} == {True}


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        ("Mulago|Kiruddu", "normal|tb"),
        ("hospital A|hospital B", "x|y"),
        ("camera_1|camera_2", "tb|other"),
        ("Anna|Ben", "0|1"),
        ("axial|coronal", "covid|noncovid"),
    ],
)
def test_sites_and_the_like(upper: str, lower: str):
    found = read_places(product(upper, lower))
    assert set(found.labels.values()) == set(lower.split("|"))
    assert len(found.columns) == len(found.labels)
    assert found.question is None


def test_augmented_copies_are_left_out_where_their_originals_are():
    found = read_places(product("raw|augmented", "benign|malignant"))
    assert counts(found) == {"benign": 4, "malignant": 4}
    assert len(found.skipped["an augmented or processed copy"]) == 8
    assert "8 images in augmented" in said(found)
    beside = read_places(product("train|train_aug|test", "benign|malignant"))
    assert Counter(beside.splits.values()) == {"train": 8, "test": 8}
    below = read_places(product("benign|malignant", "original|augmented"))
    assert counts(below) == {"benign": 4, "malignant": 4}
    named = read_places(tree("benign", "malignant", "benign_aug", "malignant_augmented"))
    assert counts(named) == {"benign": 4, "malignant": 4}


def test_augmented_images_alone_are_read():
    assert counts(read_places(product("augmented_1|augmented_2", "benign|malignant"))) == {"benign": 8, "malignant": 8}


def test_patients_above_classes():
    found = read_places(product("P000|P001|P002|P003", "0|1"))
    assert counts(found) == {"0": 16, "1": 16}
    assert found.patients["P002/1/3.png"] == "P002"
    assert "--folders class/-" in said(found)


def test_patients_of_one_class_each():
    found = read_places(tree(*(f"P{k:03}/{('neg', 'pos')[k % 2]}" for k in range(12))))
    assert counts(found) == {"neg": 24, "pos": 24}
    assert len(set(found.patients.values())) == 12


def test_patients_below_classes():
    folders = [f"{label}/SOB_{label[0]}_{k:02}" for label in ("benign", "malignant") for k in range(6)]
    found = read_places(tree(*folders))
    assert counts(found) == {"benign": 24, "malignant": 24}
    assert found.patients["benign/SOB_b_03/1.png"] == "SOB_b_03"
    assert "12 folders below the classes" in said(found)
    assert "--folders class/-" in said(found)


def test_numbers_that_start_anew_in_each_class_are_other_patients():
    found = read_places(tree(*(f"{label}/{k}" for label in ("benign", "malignant") for k in range(1, 13))))
    assert counts(found) == {"benign": 48, "malignant": 48}
    assert len(set(found.patients.values())) == 24


def test_patients_below_classes_below_splits():
    folders = [f"{s}/{c}/P{k:02}{s[1]}{c}" for s in ("train", "test") for c in ("ill", "well") for k in range(3)]
    found = read_places(tree(*folders))
    assert counts(found) == {"ill": 24, "well": 24}
    assert len(set(found.patients.values())) == 12
    assert "--folders split/class/-" in said(found)


# Nested classes


def test_nested_classes_are_the_innermost_folders():
    inner = ("colon/colon_aca", "colon/colon_n", "lung/lung_aca", "lung/lung_n", "lung/lung_scc")
    found = read_places(tree(*(f"set/{folder}" for folder in inner)))
    assert set(found.labels.values()) == {"colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc"}
    assert "--folders -/class" in said(found)
    upper = read_places(tree(*(f"set/{folder}" for folder in inner)), "-/class")
    assert counts(upper) == {"colon": 8, "lung": 12}


def test_a_class_without_subclasses_stands_beside_those_with():
    found = read_places(tree("cancer/grade1", "cancer/grade2", "normal"))
    assert set(found.labels.values()) == {"grade1", "grade2", "normal"}


def test_subclasses_patients_and_magnifications():
    found = read_places(
        tree("benign/SOB/adenosis/14-22549AB/40X", "benign/SOB/adenosis/14-22549AB/100X")
        + tree("benign/SOB/fibroadenoma/14-1/40X", "malignant/SOB/ductal_carcinoma/14-2523/40X")
        + tree("malignant/SOB/lobular_carcinoma/14-2/40X")
    )
    assert set(found.labels.values()) == {"adenosis", "fibroadenoma", "ductal_carcinoma", "lobular_carcinoma"}
    assert set(found.patients.values()) == {"14-22549AB", "14-1", "14-2523", "14-2"}
    assert "--folders class." in said(found)


@pytest.mark.parametrize("lower", ["left|right", "40X|100X", "AP|PA", "2020|2021"])
def test_views_below_classes_are_no_classes(lower: str):
    found = read_places(product("glaucoma|normal", lower))
    assert counts(found) == {"glaucoma": 8, "normal": 8}
    assert {name for c in found.columns.values() for name in c.values()} == set(lower.split("|"))


def test_folders_within_some_class_stay_of_that_class():
    images = [*tree("a", "b"), "a/more/deep/1.png"]
    assert counts(read_places(images)) == {"a": 5, "b": 4}


# Questions


def test_two_plausible_readings_are_asked():
    found = read_places(product("cat|dog", "eins|zwei"))
    with pytest.raises(QuestionError, match="cat, dog holds the folders eins, zwei") as error:
        found.require_sure()
    assert error.value.answers == ("--folders class/-", "--folders -/class")
    assert counts(read_places(product("cat|dog", "eins|zwei"), "class/-")) == {"cat": 8, "dog": 8}
    assert counts(read_places(product("cat|dog", "eins|zwei"), "-/class")) == {"eins": 8, "zwei": 8}


def test_people_or_kinds_are_asked():
    found = read_places(
        tree("benign/Anna", "benign/Ben", "benign/Carl", "malignant/Dora", "malignant/Emil", "malignant/Fritz")
    )
    assert found.question is not None
    assert found.question[1] == ("class/patient", "-/class")


# Spellings


def test_spellings_of_a_class_across_splits_are_one():
    found = read_places(tree("train/Normal", "train/Viral Pneumonia", "test/normal", "test/viral_pneumonia"))
    assert counts(found) == {"Normal": 8, "Viral Pneumonia": 8}
    assert "Normal and normal are read as one class, Normal" in said(found)


# What is told


def test_told_levels():
    found = read_places(product("north|south", "benign|malignant"), "site/class")
    assert counts(found) == {"benign": 8, "malignant": 8}
    assert found.columns["north/benign/0.png"] == {"site": "north"}
    found = read_places(tree("train/x/P1", "train/y/P2", "test/x/P3"), "split/class/patient")
    assert found.splits["test/x/P3/0.png"] == "test"
    assert found.patients["train/y/P2/0.png"] == "P2"


@pytest.mark.parametrize("layout", ["split", "class/class", "class//split", "split/split/class", ""])
def test_layouts_that_make_no_sense(layout: str):
    with pytest.raises(DataError, match="is no layout"):
        read_places(tree("a/b"), layout)


def test_a_layout_deeper_than_the_folders():
    with pytest.raises(DataError, match="3 folders deep"):
        read_places(tree("a", "b"), "-/-/class")


def test_images_of_the_same_names_are_all_kept():
    images = product("north|south", "benign|malignant")
    assert len(read_places(images).labels) == len(images)
