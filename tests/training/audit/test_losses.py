"""Blank pictures and classes of which nothing can be read are found, and nothing is trained on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medloupe.data.reading import read
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import Features, embed
from medloupe.embed.registry import backbone
from medloupe.errors import DataError
from medloupe.training.audit.findings import STOPPING, audit, require_sound
from medloupe.training.audit.losses import find_blank, find_lost_classes, judge_blank
from synthetic import features, of_targets, one_hot


def with_blank(rows: list[int], n: int = 60, value: int = 0, **given) -> Features:
    """Random pictures of two classes in turn, of which some rows have one value all over."""
    y = one_hot(np.arange(n) % 2, 2)
    found = features(of_targets(y, **given), np.random.default_rng(0).normal(size=(n, 40)).astype(np.float32))
    found.facts["thumb"][rows] = value
    return found


def test_pictures_of_one_value_are_blank_and_dark_ones_are_not():
    found = with_blank([3, 5], value=90)
    found.facts["thumb"][7] = np.random.default_rng(0).integers(0, 12, (32, 32, 3))
    assert np.flatnonzero(find_blank(found)).tolist() == [3, 5]


def test_padding_is_no_content():
    found = with_blank([])
    found.facts["width"][4], found.facts["height"][4] = 640, 320
    found.facts["thumb"][4] = 0
    found.facts["thumb"][4][8:24] = 200  # the picture, white all over, between its padding
    assert find_blank(found)[4]


def test_some_blank_pictures_are_a_warning_and_no_copies():
    rows = [1, 3, 5, 7]
    found = audit(with_blank(rows))
    kinds = {f.kind: f for f in found.findings}
    assert kinds["blank"].title == "4 of 60 pictures are blank"
    assert kinds["blank"].level == "warning"
    assert kinds["blank"].files[0] == ("00001",)
    assert "duplicates" not in kinds
    assert len(set(found.groups[rows])) == 1  # alike, so never on both sides of a fold
    require_sound(found.findings)


def test_identical_blank_files_are_no_redundant_copies():
    base = with_blank([1, 3, 5])
    digests = list(base.digests)
    digests[3] = digests[5] = digests[1]
    kinds = {f.kind for f in audit(replace(base, digests=tuple(digests))).findings}
    assert "blank" in kinds
    assert not kinds & {"duplicates", "near_duplicates"}


@pytest.mark.parametrize("rows", [list(range(60)), list(range(1, 60, 2)), list(range(1, 31, 2))])
def test_most_of_a_class_blank_stops(rows: list[int]):
    found = audit(with_blank(rows))
    first = found.findings[0]
    assert (first.kind, first.level, first.count) == ("blank_class", "serious", len(rows))
    assert f"{len(rows)} of 60 pictures are blank" in first.title
    assert "class1" in first.detail
    with pytest.raises(DataError, match="are blank"):
        require_sound(found.findings)


def test_a_class_that_is_called_empty_may_be():
    base = with_blank(list(range(1, 60, 2)))
    rename = {"class0": "tissue", "class1": "background"}
    records = tuple(replace(r, labels={rename[name]: 1 for name in r.labels}) for r in base.data.records)
    data = replace(base.data, labels=("tissue", "background"), records=records)
    (finding,) = judge_blank(data, find_blank(base))
    assert finding.level == "warning"


def test_films_and_windows_are_named_where_the_files_are_dicom():
    base = with_blank([1, 3])
    assert "first page" in judge_blank(base.data, find_blank(base))[0].detail
    data = replace(base.data, reader="dicom")
    assert "first frame of a film" in judge_blank(data, find_blank(base))[0].detail


def test_signals_are_never_blank_pictures():
    base = with_blank([1, 3])
    beats = replace(base, data=replace(base.data, modality="ecg", things="beats"))
    assert not {f.kind for f in audit(beats).findings} & {"blank", "blank_class"}


def test_a_class_of_which_nothing_can_be_read():
    y = one_hot(np.arange(60) % 2, 3)  # class2 had files, and none of them could be read
    base = features(of_targets(y), np.random.default_rng(0).normal(size=(60, 40)).astype(np.float32))
    base = replace(base, unreadable=(("class0/x.jpg", "cut short"), ("class2/a.heic", "no decoder")))
    (finding,) = find_lost_classes(base)
    assert finding.title == "Nothing of class2 can be read"
    assert "class2/a.heic: no decoder" in finding.detail
    found = audit(base)
    assert found.findings[0].kind == "class_lost"
    assert "small_class" not in {f.kind for f in found.findings}
    with pytest.raises(DataError, match="Nothing of class2"):
        require_sound(found.findings)


def test_unreadable_files_of_classes_that_are_there_stop_nothing():
    base = replace(with_blank([]), unreadable=(("class0/x.jpg", "cut short"),))
    assert find_lost_classes(base) == []
    assert not {f.kind for f in audit(base).findings} & STOPPING


def test_from_files(tmp_path: Path, home: Path):
    rng = np.random.default_rng(0)
    for i in range(12):
        for label in ("ill", "well", "odd"):
            (tmp_path / label).mkdir(exist_ok=True)
            pixels = np.full((40, 60), 255) if label == "ill" else rng.integers(0, 255, (40, 60))
            if label == "odd":
                (tmp_path / label / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
            else:
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / label / f"{i}.png")
    found = audit(embed(scan_dataset(read(tmp_path)), backbone()))
    kinds = {f.kind: f for f in found.findings}
    assert kinds["blank_class"].count == 12
    assert kinds["class_lost"].title == "Nothing of odd can be read"
