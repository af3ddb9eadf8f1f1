"""Boxes in the pixels of the upright picture: turned, resized and squeezed pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from box_trees import pictures
from medloupe.data.readers.annotations.frames import turn_box
from medloupe.data.reading import read
from medloupe.data.records import Box, Dataset
from medloupe.errors import DataError
from medloupe.imaging.decode import decode
from medloupe.imaging.sizes import PictureSize, read_size
from readers_cases import write

STORED = (64, 48)


def photo(path: Path, orientation: int, box: Box | None = None, size: tuple[int, int] = STORED) -> Path:
    """A JPEG that is stored turned, white where the box is in stored pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    if box:
        pixels[int(box.y) : int(box.y + box.height), int(box.x) : int(box.x + box.width)] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_turns_as_its_picture_does(tmp_path: Path, orientation: int):
    box = Box("x", 8, 16, 24, 8)
    path = photo(tmp_path / "a.jpg", orientation, box)
    size = read_size(path)
    assert size == PictureSize(width=64, height=48, orientation=orientation)
    pixels = decode(path)
    assert size.upright == (pixels.shape[1], pixels.shape[0])
    turned = turn_box(box, size)
    white = np.argwhere(pixels[..., 0] > 128)
    assert (turned.y, turned.x) == tuple(white.min(0))
    assert (turned.y + turned.height, turned.x + turned.width) == tuple(white.max(0) + 1)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_sizes_of_formats(tmp_path: Path, suffix: str):
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (31, 17), 90).save(path)
    assert read_size(path) == PictureSize(width=31, height=17)


def test_sizes_of_odd_files(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (30, 20)).save(tmp_path / "turned.png", exif=exif)
    assert read_size(tmp_path / "turned.png") == PictureSize(width=30, height=20, orientation=6)
    Image.new("L", (30, 20)).save(tmp_path / "a.jpg")
    for count in (0, 3, 20, 60):
        (tmp_path / "cut.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:count])
        assert read_size(tmp_path / "cut.jpg") is None
    assert read_size(tmp_path / "none.png") is None


def coco(root: Path, *images: tuple[str, tuple[int, int]]) -> Dataset:
    held = {
        "images": [{"id": k, "file_name": n, "width": s[0], "height": s[1]} for k, (n, s) in enumerate(images)],
        "annotations": [{"id": k, "image_id": k, "category_id": 1, "bbox": [8, 16, 24, 8]} for k in range(len(images))],
        "categories": [{"id": 1, "name": "x"}],
    }
    write(root / "x.json", json.dumps(held))
    return read(root)


def test_annotated_as_stored(tmp_path: Path):
    for k in range(2):
        photo(tmp_path / f"{k}.jpg", 6)
    photo(tmp_path / "2.jpg", 3)
    data = coco(tmp_path, ("0.jpg", (64, 48)), ("1.jpg", (64, 48)), ("2.jpg", (64, 48)))
    assert data.records[0].boxes == (Box("x", 48 - 16 - 8, 8, 8, 24),)
    assert data.records[2].boxes == (Box("x", 64 - 8 - 24, 48 - 16 - 8, 24, 8),)  # as the others
    said = " ".join(data.notes)
    assert "2 pictures are stored on their side (EXIF orientation), and were annotated so" in said
    assert "1 pictures are stored turned" in said
    assert "as stored, as the others were" in said


def test_annotated_upright(tmp_path: Path):
    photo(tmp_path / "0.jpg", 6)
    photo(tmp_path / "1.jpg", 3)
    data = coco(tmp_path, ("0.jpg", (48, 64)), ("1.jpg", (64, 48)))
    assert [r.boxes for r in data.records] == [(Box("x", 8, 16, 24, 8),)] * 2
    assert "were annotated upright" in " ".join(data.notes)
    assert "upright, as they are shown. Look at one of them, such as 1.jpg" in " ".join(data.notes)


def test_made_smaller(tmp_path: Path):
    pictures(tmp_path, "", {"0.png": (33, 25), "1.png": (64, 48)})
    data = coco(tmp_path, ("0.png", (64, 48)), ("1.png", (64, 48)))
    box = data.records[0].boxes[0]
    across, down = 33 / 64, 25 / 48
    assert (box.x, box.y, box.width, box.height) == pytest.approx((8 * across, 16 * down, 24 * across, 8 * down))
    assert data.records[1].boxes == (Box("x", 8, 16, 24, 8),)
    assert "1 pictures are larger or smaller than annotated, in the same shape" in " ".join(data.notes)


def test_another_shape(tmp_path: Path):
    pictures(tmp_path, "", {"0.png": (48, 48), "1.png": (64, 48)})
    with pytest.raises(DataError, match=r"declares 0\.png to have 64×48 pixels, but .*0\.png has 48×48"):
        coco(tmp_path, ("0.png", (64, 48)), ("1.png", (64, 48)))


def test_a_few_of_another_shape_are_left_out(tmp_path: Path):
    names = {f"{k:03}.png": (48, 48) if k == 7 else (64, 48) for k in range(60)}
    pictures(tmp_path, "", names)
    data = coco(tmp_path, *((name, (64, 48)) for name in names))
    assert data.skipped["annotated on a picture of another shape"] == ("007.png",)
    assert len(data) == 59


def test_a_picture_that_cannot_be_read_keeps_its_boxes(tmp_path: Path):
    pictures(tmp_path, "", {"1.png": (64, 48)})
    write(tmp_path / "0.png", "no picture")
    data = coco(tmp_path, ("0.png", (64, 48)), ("1.png", (64, 48)))
    assert len(data.records[0].boxes) == 1
