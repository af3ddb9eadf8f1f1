"""Classes that go by another name in test than in train are found before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.reading import read
from medloupe.data.records import Dataset
from medloupe.errors import DataError
from medloupe.training.audit.splits import find_split_labels
from medloupe.training.pipeline.preconditions import check_trainable
from originals_trees import picture


def folders(root: Path, each: int = 6, **parts: str) -> Dataset:
    """A data set with these classes (joined by |) in the folder of each part."""
    for part, classes in parts.items():
        for name in classes.split("|"):
            for i in range(each):
                picture(root / part / name / f"{part}-{name}-{i}.png")
    return read(root)


LONG = "adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib|large.cell.carcinoma_left.hilum_T2_N2_M0_IIIa|normal"


def test_a_class_under_two_names(tmp_path: Path):
    data = folders(tmp_path, train=LONG, valid=LONG, test="adenocarcinoma|large.cell.carcinoma|normal")
    (finding,) = find_split_labels(data)
    assert (finding.kind, finding.level, finding.count) == ("labels_by_split", "serious", 12)
    assert "test has adenocarcinoma, large.cell.carcinoma, which train has not" in finding.detail
    assert "such as adenocarcinoma and adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib?" in finding.detail
    with pytest.raises(DataError, match="one class under two names"):
        check_trainable(data)


def test_names_that_are_nothing_alike(tmp_path: Path):
    (finding,) = find_split_labels(folders(tmp_path, train="a|b|normal", test="x|normal"))
    assert finding.kind == "labels_by_split"


def test_validation_counts_as_a_part_of_its_own(tmp_path: Path):
    (finding,) = find_split_labels(folders(tmp_path, train="glioma|normal", val="gliomas|normal"))
    assert "val has gliomas" in finding.detail


def test_a_class_of_the_test_alone_is_a_warning(tmp_path: Path):
    data = folders(tmp_path, train="a|b", test="a|b|c")
    (finding,) = find_split_labels(data)
    assert (finding.kind, finding.level) == ("labels_of_one_split", "warning")
    check_trainable(data)


def test_a_class_of_the_training_alone_is_nothing(tmp_path: Path):
    assert find_split_labels(folders(tmp_path, train="a|b|rare", test="a|b")) == []


def test_a_test_of_one_class_is_a_warning(tmp_path: Path):
    (finding,) = find_split_labels(folders(tmp_path, train="neg|pos", test="neg"))
    assert (finding.kind, finding.level) == ("labels_of_one_split", "warning")
    assert finding.title == "There is only neg in test"
    assert "Train also has pos" in finding.detail


def test_spellings_are_one_class(tmp_path: Path):
    data = folders(tmp_path, train="Normal|Pneumonia", test="normal|pneumonia")
    assert find_split_labels(data) == []
    assert data.counts() == {"Normal": 12, "Pneumonia": 12}


def test_rare_classes_on_either_side_may_be_chance(tmp_path: Path):
    for k in range(30):
        for part in ("train", "test"):
            picture(tmp_path / part / f"common{'ab'[k % 2]}" / f"{part}{k}.png")
    picture(tmp_path / "train" / "xenon" / "1.png")
    picture(tmp_path / "test" / "quartz" / "2.png")
    (finding,) = find_split_labels(read(tmp_path))
    assert finding.kind == "labels_of_one_split"


def test_without_splits_there_is_nothing_to_compare(tmp_path: Path):
    for name in ("a", "b"):
        picture(tmp_path / name / f"{name}.png")
    assert find_split_labels(read(tmp_path)) == []
