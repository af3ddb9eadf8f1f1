"""Masks: their parts, their values, and the pictures they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from box_trees import pictures
from medloupe.data.readers.annotations.masks import pair_masks
from medloupe.data.readers.annotations.parts import Part, find_parts
from medloupe.data.reading import read
from medloupe.data.records import Box
from medloupe.errors import DataError
from readers_cases import write

SIZE = (80, 60)


def save(path: Path, pixels: np.ndarray, **options: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def blank(value: int = 0) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0]), value, np.uint8)


def build(root: Path, *masks: np.ndarray, folder: str = "masks", suffix: str = "png") -> Path:
    pictures(root, names={f"{k}.png": SIZE for k in range(len(masks))})
    for k, mask in enumerate(masks):
        save(root / folder / f"{k}.{suffix}", mask)
    return root


def square(*places: tuple[int, int, int, int, int]) -> np.ndarray:
    """A mask of rectangles x, y, width, height, value."""
    mask = blank()
    for x, y, w, h, value in places:
        mask[y : y + h, x : x + w] = value
    return mask


def test_parts_hang_together_over_corners():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 2, 2]])
    assert find_parts(mask) == [Part(0, 0, 2, 2, 2, 1), Part(3, 0, 1, 1, 1, 1), Part(2, 2, 2, 2, 3, 2)]
    assert find_parts(np.zeros((3, 3), bool)) == []


def test_parts_as_scikit_image_finds_them():
    from skimage.measure import label, regionprops

    rng = np.random.default_rng(0)
    for _ in range(100):
        mask = rng.integers(0, 3, rng.integers(1, 25, 2)) * (rng.random() > 0.2)
        ours = sorted((p.x, p.y, p.width, p.height, p.area, p.value) for p in find_parts(mask))
        theirs = sorted(
            (
                r.bbox[1],
                r.bbox[0],
                r.bbox[3] - r.bbox[1],
                r.bbox[2] - r.bbox[0],
                int(r.area),
                int(mask[tuple(r.coords[0])]),
            )
            for r in regionprops(label(mask, background=0, connectivity=2))
        )
        assert ours == theirs


def test_noise_is_no_mask():
    with pytest.raises(DataError, match="separate runs of pixels: it is noise"):
        find_parts(np.random.default_rng(0).random((2500, 2500)) < 0.5, "x.png")


@pytest.mark.parametrize("value", [1, 255])
def test_one_value(tmp_path: Path, value: int):
    root = build(
        tmp_path, square((5, 6, 20, 10, value), (40, 30, 8, 8, value), (70, 50, 1, 2, value)), blank(), blank()
    )
    pictures(root, names={"9.png": SIZE})
    data = read(root)
    assert (data.task, data.labels) == ("detection", ("object",))
    assert data.records[0].boxes == (Box("object", 5, 6, 20, 10), Box("object", 40, 30, 8, 8))
    assert [dict(r.labels) for r in data.records] == [{"object": 1}, {"object": 0}, {"object": 0}]
    assert data.skipped["not annotated"] == ("images/9.png",)
    assert data.skipped["mask of another image"] == ("masks/0.png", "masks/1.png", "masks/2.png")
    assert "1 specks" in " ".join(data.notes)


def test_blurred_by_jpeg(tmp_path: Path):
    mask = square((5, 6, 30, 20, 255))
    data = read(build(tmp_path, mask, mask, blank(), suffix="jpg"))
    assert data.records[0].boxes == (Box("object", 5, 6, 30, 20),)
    assert data.records[2].boxes == ()


def test_values_are_labels(tmp_path: Path):
    masks = [square((5, 6, 20, 10, 1), (40, 30, 8, 8, 3)), square((5, 6, 20, 10, 3)), blank()]
    root = build(tmp_path, *masks)
    data = read(root)
    assert data.labels == ("1", "3")
    assert "each of which is read as a label: 1, 3" in " ".join(data.notes)
    write(root / "classes.csv", "name,value\nbackground,0\nheart,1\nlung,3\n")
    assert [(b.label, b.x) for b in read(root).records[0].boxes] == [("heart", 5), ("lung", 40)]
    write(root / "classes.csv", "name,value\nbackground,0\nheart,1\n")
    with pytest.raises(DataError, match="Masks hold 3, which the table of colours does not name"):
        read(root)


def test_numbers_of_objects_are_none(tmp_path: Path):
    masks = [square((5, 6, 5, 5, 1), (40, 30, 8, 8, 2), (20, 20, 5, 5, 3)), square((5, 6, 20, 10, 1)), blank()]
    data = read(build(tmp_path, *masks))
    assert data.labels == ("object",)
    assert len(data.records[0].boxes) == 3
    assert "every object has a number of its own" in " ".join(data.notes)


def test_sixteen_bits(tmp_path: Path):
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    for k in range(400):
        mask[3 * (k // 20) : 3 * (k // 20) + 2, 4 * (k % 20) : 4 * (k % 20) + 2] = k + 1
    root = build(tmp_path, blank(), blank())
    for k in range(2):
        save(root / "masks" / f"{k}.png", mask if k else np.where(mask > 2, 0, mask).astype(np.uint16))
    assert [len(r.boxes) for r in read(root).records] == [2, 400]


def test_colours_without_a_table(tmp_path: Path):
    mask = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    mask[5:15, 5:25] = 255, 0, 0
    mask[30:40, 5:25] = 0, 0, 255
    data = read(build(tmp_path, mask, mask, mask))
    assert data.labels == ("#0000ff", "#ff0000")


def test_blurred_colours(tmp_path: Path):
    mask = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    mask[5:15, 5:25] = 255, 0, 0
    with pytest.raises(DataError, match="in colours that are blurred"):
        read(build(tmp_path, mask, mask, mask, suffix="jpg"))


def test_the_wrong_way_round(tmp_path: Path):
    mask = 255 - square((5, 6, 20, 10, 255))
    with pytest.raises(DataError, match="the wrong way round"):
        read(build(tmp_path, mask, mask, mask))


def test_folders_of_kinds(tmp_path: Path):
    root = build(tmp_path, square((5, 6, 20, 10, 255)), blank(), blank(), folder="masks/left lung")
    build(tmp_path, square((40, 6, 20, 10, 255)), square((40, 6, 20, 10, 255)), blank(), folder="masks/right lung")
    assert [(b.label, b.x) for b in read(root).records[0].boxes] == [("left lung", 5), ("right lung", 40)]


def test_masks_of_classes_take_their_names(tmp_path: Path):
    for k, label in enumerate(("benign", "malignant", "normal") * 2):
        pictures(tmp_path, label, {f"{label} ({k}).png": (SIZE[0], SIZE[1])})
        save(
            tmp_path / label / f"{label} ({k})_mask.png", blank() if label == "normal" else square((5, 6, 20, 10, 255))
        )
    save(tmp_path / "benign" / "benign (0)_mask_1.png", square((50, 6, 20, 10, 255)))
    data = read(tmp_path)
    assert (data.task, data.labels) == ("multiclass", ("benign", "malignant", "normal"))
    found = read(tmp_path, task="detection")
    assert (found.task, found.labels) == ("detection", ("benign", "malignant"))
    by_id = {r.id: r for r in found.records}
    assert [b.x for b in by_id["benign/benign (0).png"].boxes] == [5, 50]
    assert dict(by_id["normal/normal (2).png"].labels) == {"benign": 0, "malignant": 0}


def test_masks_belong_to_the_nearest_picture():
    assert pair_masks(
        ["train/images/a.png", "test/images/a.png", "x/b.png"],
        ["train/masks/a.png", "test/masks/a_mask.png", "y/b.png", "y/c.png"],
    ) == {
        "train/images/a.png": ["train/masks/a.png"],
        "test/images/a.png": ["test/masks/a_mask.png"],
        "x/b.png": ["y/b.png"],
    }
