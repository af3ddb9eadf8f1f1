"""Each fault of a data set is found, named and not invented."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medloupe.data.reading import read
from medloupe.data.records import Record
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import Features, embed
from medloupe.embed.registry import backbone
from medloupe.training.audit.finding import Audit, Finding
from medloupe.training.audit.findings import audit
from synthetic import features, of_records, of_targets, one_hot, radiograph


def by_kind(found: Audit) -> dict[str, Finding]:
    kinds = [f.kind for f in found.findings]
    assert len(set(kinds)) == len(kinds) or {k for k in kinds if kinds.count(k) > 1} == {"small_class"}
    return {f.kind: f for f in found.findings}


def synthetic(n: int = 60, copies: tuple[tuple[int, int], ...] = (), near: tuple[tuple[int, int], ...] = (), **given):
    """Random features of two classes in turn; copies repeat the content of a row, near ones nearly do."""
    y = given.pop("targets", one_hot(np.arange(n) % 2, 2))
    x = np.random.default_rng(0).normal(size=(n, 40)).astype(np.float32)
    found = features(of_targets(y, **given), x)
    digests = list(found.digests)
    for a, b in copies:
        digests[b] = digests[a]
        x[b], found.facts[b] = x[a], found.facts[a]
    for a, b in near:
        x[b] = x[a] + 0.1 * np.random.default_rng(b).normal(size=40)
        found.facts["thumb"][b] = found.facts["thumb"][a]
    return replace(found, digests=tuple(digests))


def test_a_clean_set_has_no_findings():
    found = audit(synthetic())
    assert found.findings == ()
    assert found.checked == 60
    assert len(np.unique(found.groups)) == 60
    assert found.shortcut is not None


def test_redundant_copies():
    found = audit(synthetic(copies=((0, 2), (0, 4), (5, 7))))
    assert [f.kind for f in found.findings] == ["duplicates"]
    finding = found.findings[0]
    assert (finding.level, finding.count) == ("notice", 3)
    assert finding.files == (("00000", "00002", "00004"), ("00005", "00007"))
    assert found.groups[0] == found.groups[2] == found.groups[4] != found.groups[5]


def test_one_image_under_two_labels():
    found = by_kind(audit(synthetic(copies=((0, 1), (2, 4)))))
    finding = found["duplicates_across_labels"]
    assert (finding.level, finding.count) == ("serious", 1)
    assert finding.files == (("00000", "00001"),)
    assert "class0 and class1" in finding.detail
    assert found["duplicates"].count == 1


def test_a_copy_without_a_label_contradicts_nothing():
    y = one_hot(np.arange(60) % 2, 2)
    y[[1, 3]] = np.nan
    found = by_kind(audit(synthetic(copies=((0, 1),), near=((2, 3),), targets=y)))
    assert "duplicates_across_labels" not in found
    assert "near_duplicates_across_labels" not in found
    assert found["duplicates"].count == 1
    assert found["unlabelled"].count == 2


def test_missing_findings_contradict_nothing_but_absent_ones_do():
    y = (np.random.default_rng(0).random((60, 2)) < 0.5).astype(np.float32)
    y[0], y[1] = [1, np.nan], [1, 1]
    y[2], y[3] = [1, 0], [0, 0]
    found = by_kind(audit(synthetic(copies=((0, 1), (2, 3)), targets=y, task="multilabel")))
    assert found["duplicates_across_labels"].files == (("00002", "00003"),)
    assert "class0" in found["duplicates_across_labels"].detail
    assert found["duplicates"].files == (("00000", "00001"),)


def test_copies_in_two_splits():
    splits = ["train"] * 30 + ["test"] * 30
    found = by_kind(audit(synthetic(copies=((0, 40), (2, 4)), near=((6, 50), (8, 10)), split=splits)))
    assert found["duplicates_across_splits"].files == (("00000", "00040"),)
    assert found["duplicates_across_splits"].level == "serious"
    assert found["duplicates"].files == (("00002", "00004"),)
    assert found["near_duplicates_across_splits"].files == (("00006", "00050"),)
    assert found["near_duplicates"].count == 2


def test_records_outside_any_split_cross_none():
    splits = [None] * 30 + ["test"] * 30
    found = by_kind(audit(synthetic(copies=((0, 40),), near=((6, 50),), split=splits)))
    assert "duplicates_across_splits" not in found
    assert "near_duplicates_across_splits" not in found


def test_near_copies_under_two_labels():
    found = by_kind(audit(synthetic(near=((0, 1), (2, 4)))))
    assert found["near_duplicates_across_labels"].files == (("00000", "00001"),)
    assert found["near_duplicates"].count == 2


def test_patients_on_both_sides():
    patients = [f"P{i // 2}" for i in range(60)]
    splits = ["train"] * 29 + ["test"] * 31  # P14 lies on both sides
    found = audit(synthetic(patient=patients, split=splits))
    finding = by_kind(found)["patients_across_splits"]
    assert (finding.level, finding.count) == ("serious", 1)
    assert finding.files == (("00028", "00029"),)
    assert "of 30" in finding.title
    assert found.groups[28] == found.groups[29]
    assert len(np.unique(found.groups)) == 30


def test_groups_join_patients_and_copies():
    patients = [f"P{i // 2}" for i in range(60)]
    found = audit(synthetic(copies=((1, 4),), patient=patients))
    assert len(set(found.groups[[0, 1, 4, 5]])) == 1  # two patients who share an image may be one
    assert len(np.unique(found.groups)) == 29


@pytest.mark.parametrize(("cases", "level"), [(1, "serious"), (2, "warning"), (9, "warning"), (10, None)])
def test_small_classes(cases: int, level: str | None):
    y = one_hot((np.arange(60) < cases).astype(int), 2)
    found = {f.kind: f for f in audit(synthetic(targets=y)).findings}
    if level is None:
        assert "small_class" not in found
    else:
        assert (found["small_class"].level, found["small_class"].count) == (level, cases)
        assert "class1" in found["small_class"].title


def test_copies_and_patients_count_once_in_a_class():
    y = one_hot((np.arange(60) < 12).astype(int), 2)
    patients = ["same" if i < 6 else f"P{i}" for i in range(60)]
    found = {f.kind: f for f in audit(synthetic(targets=y, patient=patients)).findings}
    assert found["small_class"].count == 7


def test_a_skewed_set():
    y = one_hot((np.arange(200) < 15).astype(int), 2)
    assert "92% of the images are class0" in by_kind(audit(synthetic(200, targets=y)))["skewed"].title


def test_unreadable_and_unlabelled():
    y = one_hot(np.arange(60) % 2, 2)
    y[:3] = np.nan
    base = replace(synthetic(targets=y), unreadable=(("bad.jpg", "cut short"),))
    found = audit(base)
    kinds = by_kind(found)
    assert kinds["unlabelled"].count == 3
    assert kinds["unreadable"].title == "1 file cannot be read"
    assert "bad.jpg: cut short" in kinds["unreadable"].detail
    assert found.checked == 61


def test_a_shortcut_is_said_loudly():
    base = synthetic()
    base.facts["bytes"] = 5000 + 3000 * (np.arange(60) % 2) + np.random.default_rng(0).integers(0, 500, 60)
    found = audit(base)
    assert found.findings[0].kind == "shortcut"
    assert found.findings[0].level == "serious"
    assert found.shortcut is not None
    assert "file size" in found.findings[0].detail


def test_the_most_serious_comes_first():
    y = one_hot(np.arange(60) % 2, 2)
    y[50] = np.nan
    found = audit(synthetic(copies=((0, 1), (2, 4)), near=((6, 7),), targets=y))
    levels = [("serious", "warning", "notice").index(f.level) for f in found.findings]
    assert levels == sorted(levels)


def test_at_most_fifty_examples_are_listed():
    copies = tuple((2 * i, 2 * i + 1) for i in range(70))
    finding = by_kind(audit(synthetic(200, copies=copies)))["duplicates_across_labels"]
    assert finding.count == 70
    assert len(finding.files) == 50


def test_without_labels():
    found = features(
        of_records([Record(id=f"{i}", image=np.zeros((1, 1), np.uint8)) for i in range(5)], ""),
        np.eye(5, dtype=np.float32),
    )
    result = audit(found)
    assert result.shortcut is None
    assert len(result.groups) == 5


def test_what_is_written_is_json():
    found = audit(synthetic(copies=((0, 1),)))
    assert json.loads(json.dumps(found.as_json())) == json.loads(json.dumps(found.as_json()))
    assert set(found.as_json()) == {"checked", "findings", "shortcut"}
    assert found.as_json()["findings"][0]["kind"] == "duplicates_across_labels"


# From files


def test_from_files(tmp_path: Path, home: Path):
    root = tmp_path / "set"
    for i in range(12):
        for label in ("ill", "well"):
            (root / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(radiograph(2 * i + (label == "ill"), 128)).save(root / label / f"{i}.png")
    (root / "well" / "copy.png").write_bytes((root / "ill" / "3.png").read_bytes())
    Image.open(root / "ill" / "4.png").save(root / "ill" / "again.bmp")
    (root / "ill" / "cut.png").write_bytes((root / "ill" / "5.png").read_bytes()[:200])
    found = audit(embed(scan_dataset(read(root)), backbone()))
    kinds = by_kind(found)
    assert kinds["duplicates_across_labels"].files == (("ill/3.png", "well/copy.png"),)
    assert kinds["duplicates"].files == (("ill/4.png", "ill/again.bmp"),)
    assert kinds["unreadable"].files == (("ill/cut.png",),)
    assert found.checked == 27


# Real data


def digests(data_root: Path, names: list[str]) -> dict[str, list[str]]:
    """Names by the content of their files, of those that occur more than once."""
    found = defaultdict(list)
    for name in names:
        found[hashlib.sha256((data_root / name).read_bytes()).hexdigest()].append(name)
    return {k: v for k, v in found.items() if len(v) > 1}


def rows_of(root: Path) -> list[dict[str, str]]:
    with (root / "labels.csv").open() as f:
        return list(csv.DictReader(f))


def subset(source: Path, rows: list[dict[str, str]], out: Path) -> Path:
    for row in rows:
        target = out / row["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((source / row["file"]).read_bytes())
    with (out / "labels.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return out


def embedded(root: Path, **options: str) -> Features:
    return embed(scan_dataset(read(root, **options)), backbone())


@pytest.mark.realdata
def test_all_images_under_two_labels_are_found(real_sets: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    root = real_sets / "contradictions"
    rows = rows_of(root)
    label = {row["file"]: row["label"] for row in rows}
    copies = digests(root, list(label))
    contradicting = {frozenset(names) for names in copies.values() if len({label[n] for n in names}) > 1}
    assert len(contradicting) == 155  # as the README of the data says
    monkeypatch.setattr("medloupe.training.audit.finding.SHOWN", 1000)
    found = by_kind(audit(embedded(root)))
    finding = found["duplicates_across_labels"]
    assert finding.level == "serious"
    said = {frozenset(files) for files in finding.files}
    assert all(any(expected <= files for files in said) for expected in contradicting)
    assert 155 <= finding.count <= 160  # the same pixels in other files may come on top


@pytest.mark.realdata
def test_copies_across_training_and_testing_are_found(
    real_sets: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = real_sets / "brain_mri"
    rows = rows_of(root)
    split = {row["file"]: row["split"] for row in rows}
    copies = digests(root, list(split))
    across = {frozenset(names) for names in copies.values() if len({split[n] for n in names}) > 1}
    assert len(across) > 10
    wanted = {name for names in copies.values() for name in names}
    rest = [row for row in rows if row["file"] not in wanted]
    picked = np.random.default_rng(0).choice(len(rest), 100, replace=False)
    few = [row for row in rows if row["file"] in wanted] + [rest[i] for i in picked]
    data = subset(root, few, tmp_path / "brain")
    monkeypatch.setattr("medloupe.training.audit.finding.SHOWN", 1000)
    found = audit(embedded(data))
    said = {frozenset(files) for files in by_kind(found)["duplicates_across_splits"].files}
    assert all(any(expected <= files for files in said) for expected in across)


@pytest.mark.realdata
def test_patients_on_both_sides_of_a_real_split_are_found(real_sets: Path, home: Path, tmp_path: Path):
    root = real_sets / "malaria"
    rows = rows_of(root)
    splits = defaultdict(set)
    for row in rows:
        splits[row["patient_id"]].add(row["split"])
    patients = sorted(splits.keys() - {""})[:30]
    both = {p for p in patients if len(splits[p]) > 1}
    assert len(both) > 3
    kept, few = defaultdict(int), []
    for row in rows:  # three cells of a patient and split
        kept[row["patient_id"], row["split"]] += 1
        if row["patient_id"] in patients and kept[row["patient_id"], row["split"]] <= 3:
            few.append(row)
    found = by_kind(audit(embedded(subset(root, few, tmp_path / "malaria"))))
    assert found["patients_across_splits"].count == len(both)
    assert f"of {len(patients)}" in found["patients_across_splits"].title


def test_alike_beats_are_no_copies_and_have_no_shortcut_in_their_picture():
    found = synthetic(60, copies=((0, 2),), near=((4, 6), (8, 10)))
    assert np.bincount(audit(found).groups).max() >= 2
    beats = replace(found, data=replace(found.data, modality="ecg", things="beats"))
    told = audit(beats)
    assert told.shortcut is None
    assert len(np.unique(told.groups)) == 59  # the two of the same content alone
    assert told.groups[0] == told.groups[2]


def test_one_class_alone_is_told_of():
    found = by_kind(audit(synthetic(24, targets=one_hot(np.zeros(24, int), 1))))
    assert found["one_class"].title == "There is only one class, class0"
    assert found["one_class"].level == "serious"
