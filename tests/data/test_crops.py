"""Pictures are cropped to their boxes: each an example, or each picture cut to its own."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from discs import draw_picture, write_discs
from medloupe.data.reading import read
from medloupe.data.split import list_related_rows
from medloupe.errors import DataError, UnreadableImageError


def write_organs(root: Path, *, nodules: bool = False, lost: int | None = None) -> Path:
    """Pictures of one disc each, sick where it has a dark middle: two of each patient, with boxes of the disc."""
    rng = np.random.default_rng(3)
    (root / "images").mkdir(parents=True)
    labels, boxes = [], []
    for i in range(12):
        pixels, (box,) = draw_picture(rng, 1, 0)
        name, sick = f"images/{i:02}.png", i % 2 == 1
        Image.fromarray(pixels).save(root / name)
        labels.append({"file": name, "label": "sick" if sick else "healthy", "patient_id": f"p{i // 2}"})
        if i != lost:
            boxes.append(dict(zip(("file", "label", "x", "y", "w", "h"), (name, *box), strict=True)))
        if nodules and sick:
            boxes.append({"file": name, "label": "nodule", "x": 5, "y": 5, "w": 9, "h": 9})
    for table, rows in (("labels.csv", labels), ("boxes.csv", boxes)):
        with (root / table).open("w", newline="") as f:
            writer = csv.DictWriter(f, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return root


def test_each_box_is_an_example_and_those_of_one_picture_stay_together(tmp_path: Path) -> None:
    root = write_discs(tmp_path / "d", 6)
    boxes = read(root)
    data = read(root, crop=0.0)
    assert data.task == "multiclass"
    assert data.labels == ("disc", "square")
    assert len(data) == sum(len(r.boxes) for r in boxes.records)
    assert data.cropped is not None
    assert (data.cropped.each, data.cropped.pictures, data.cropped.margin) == (True, 6, 0.0)
    by_source: dict[str | None, list[int]] = {}
    for i, record in enumerate(data.records):
        assert not record.boxes
        assert record.patient is None  # nobody is told to be a patient
        by_source.setdefault(record.source, []).append(i)
    assert sorted(map(tuple, list_related_rows(data.records))) == sorted(
        tuple(rows) for rows in by_source.values() if len(rows) > 1
    )
    assert len({record.id for record in data.records}) == len(data)


def test_a_crop_is_the_box_with_its_margin_within_the_picture(tmp_path: Path) -> None:
    root = write_discs(tmp_path / "d", 4)
    whole = read(root)
    first, bare, wide = whole.records[0], read(root, crop=0), read(root, crop=1.0)
    box = first.boxes[0]
    pixels = np.asarray(Image.open(root / first.id))
    cut = bare.records[0].picture
    assert isinstance(cut, np.ndarray)
    x, y = int(np.floor(box.x)), int(np.floor(box.y))
    assert np.array_equal(cut, pixels[y : y + cut.shape[0], x : x + cut.shape[1]])
    assert abs(cut.shape[1] - box.width) < 2
    larger = wide.records[0].picture
    assert isinstance(larger, np.ndarray)
    assert cut.shape[0] < larger.shape[0] <= 3 * box.height + 2
    assert larger.shape[0] <= pixels.shape[0]


def test_a_changed_file_is_cut_anew(tmp_path: Path) -> None:
    record = read(write_discs(tmp_path / "d", 4), crop=0).records[0]
    before = record.picture
    path = tmp_path / "d" / str(record.source)
    Image.fromarray(np.zeros((128, 160, 3), np.uint8)).save(path, compress_level=0)
    assert isinstance(before, np.ndarray)
    assert before.any()
    after = record.picture
    assert isinstance(after, np.ndarray)
    assert not after.any()


def test_boxes_of_the_same_file_under_two_names_stay_together(tmp_path: Path) -> None:
    root = write_discs(tmp_path / "d", 4)
    shutil.copy(root / "images/000.png", root / "images/copy.png")
    with (root / "boxes.csv").open("a") as f:
        f.write("images/copy.png,disc,5,5,20,20\n")
    with (root / "labels.csv").open("a") as f:
        f.write("images/copy.png,shapes,train\n")
    data = read(root, crop=0.1)
    copy = next(record for record in data.records if record.id.startswith("images/copy"))
    assert copy.source == "images/000.png"


def test_a_box_outside_of_its_picture_is_told_when_it_is_cut(tmp_path: Path) -> None:
    root = write_discs(tmp_path / "d", 4)
    with (root / "boxes.csv").open("a") as f:
        f.write("images/000.png,disc,500,500,20,20\n")
    data = read(root, crop=0.1)
    outside = [r for r in data.records if r.source == "images/000.png"][-1]
    with pytest.raises(UnreadableImageError, match="160 × 128"):
        _ = outside.picture


def test_flat_boxes_are_left_out_and_counted(tmp_path: Path) -> None:
    root = write_discs(tmp_path / "d", 4)
    with (root / "boxes.csv").open("a") as f:
        f.write("images/000.png,disc,50,50,0,20\n")
    whole, data = read(root), read(root, crop=0.1)
    assert len(data) == sum(len(r.boxes) for r in whole.records) - 1
    assert any("1 boxes have no width or no height" in note for note in data.notes)


def test_pictures_with_classes_are_cut_to_what_nearly_all_show_and_keep_their_patient(tmp_path: Path) -> None:
    data = read(write_organs(tmp_path / "d", nodules=True), crop=0.1)
    assert data.cropped is not None
    assert (data.cropped.each, data.cropped.labels) == (False, ("disc",))
    assert data.counts() == {"healthy": 6, "sick": 6}
    assert [r.patient for r in data.records] == [f"p{i // 2}" for i in range(12)]
    assert all(r.picture.shape[0] < 60 for r in data.records if isinstance(r.picture, np.ndarray))


def test_a_picture_without_the_box_is_left_out_and_counted(tmp_path: Path) -> None:
    data = read(write_organs(tmp_path / "d", lost=4), crop=0.1)
    assert len(data) == 11
    assert data.skipped["no box to crop to"] == ("images/04.png",)


@pytest.mark.parametrize(
    ("told", "said", "hint"),
    [
        ({"crop_to": "nodule"}, "No picture of healthy has boxes of nodule", "--crop-to"),
        ({"crop_to": "dics"}, "No box is called 'dics'", "disc"),
        ({"crop": 1.5}, "margin of 1.5", "0.15"),
        ({"crop": "wide"}, "'wide'", "0.15"),
        ({"crop": None, "crop_to": "disc"}, "--crop-to disc", "--crop"),
    ],
)
def test_what_gives_the_answer_away_or_makes_no_sense_is_refused(
    tmp_path: Path, told: dict[str, str], said: str, hint: str
) -> None:
    root = write_organs(tmp_path / "d", nodules=True)
    with pytest.raises(DataError) as caught:
        read(root, **{"crop": 0.1, **told})  # type: ignore[arg-type]
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_one_kind_of_box_alone_has_nothing_to_tell_apart(tmp_path: Path) -> None:
    root = write_discs(tmp_path / "d", 4)
    lines = (root / "boxes.csv").read_text().splitlines()
    (root / "boxes.csv").write_text("\n".join(line for line in lines if "square" not in line) + "\n")
    with pytest.raises(DataError, match="all of disc"):
        read(root, crop=0.1)


def test_data_without_boxes_cannot_be_cropped(tmp_path: Path) -> None:
    root = write_organs(tmp_path / "d")
    (root / "boxes.csv").unlink()
    with pytest.raises(DataError, match="without boxes"):
        read(root, crop=0.1)
