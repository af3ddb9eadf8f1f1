"""Pictures made from others are left out, whatever they are called and wherever they lie; nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medloupe.data.readers.derived import MASK, PREVIEW, find_derived
from medloupe.data.reading import read
from originals_trees import picture


def outline(path: Path) -> None:
    """A drawing of two values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((40, 40), np.uint8)
    pixels[10:20, 5:30] = 255
    Image.fromarray(pixels).save(path)


@pytest.fixture
def make(tmp_path: Path):
    """Six pictures and drawings a class, by how their paths are written."""

    def build(photo: str, drawn: str) -> Path:
        for label in ("covid", "normal"):
            for i in range(6):
                picture(tmp_path / photo.format(c=label, i=i))
                outline(tmp_path / drawn.format(c=label, i=i))
        return tmp_path

    return build


@pytest.mark.parametrize(
    ("photo", "drawn"),
    [
        ("{c}/images/{c}{i}.png", "{c}/masks/{c}{i}.png"),
        ("images/{c}/{c}{i}.png", "masks/{c}/{c}{i}.png"),
        ("{c}/original/{c}{i}.jpg", "{c}/GT/{c}{i}.png"),
        ("{c}/{c}{i}.png", "{c}/Ground Truth/{c}{i}.png"),
        ("{c}/{c}{i}.jpg", "{c}/{c}{i}_segmentation.png"),
        ("{c}/{c}{i}.jpg", "{c}/{c}{i}_superpixels.png"),
        ("{c}/{c}{i}.jpg", "{c}/{c}{i}-mask.png"),
        ("{c}/{c}{i}.jpg", "{c}/{c}{i}_GT.png"),
        ("{c}/{c}{i}.jpg", "{c}/mask_{c}{i}.png"),
        ("{c}/{c}{i}.jpg", "{c}/{c}{i}_label.png"),
        ("train/{c}/{c}{i}.jpg", "train_masks/{c}/{c}{i}.png"),
        ("{c}/images/{c}{i}_training.png", "{c}/1st_manual/{c}{i}_manual1.png"),
        ("{c}/{c}{i}.jpg", "masks/{c}{i}_mask.png"),
    ],
)
def test_outlines_by_name(make, photo: str, drawn: str):
    data = read(make(photo, drawn))
    assert data.counts() == {"covid": 6, "normal": 6}
    assert len(data.skipped[MASK]) == 12
    assert "12 pictures" in " ".join(data.notes)


@pytest.mark.parametrize("drawn", ["{c}/lungs/{c}{i}.png", "zz_{c}/{c}{i}.png"])
def test_outlines_whose_folder_says_nothing_are_told_by_their_pixels(make, drawn: str):
    photo = "{c}/pics/{c}{i}.png" if drawn.startswith("{c}/") else "{c}/{c}{i}.png"
    data = read(make(photo, drawn))
    assert data.counts() == {"covid": 6, "normal": 6}
    assert len(data.skipped[MASK]) == 12


def test_previews(make):
    data = read(make("{c}/{i}.jpg", "{c}/thumbs/{i}.jpg"))
    assert data.counts() == {"covid": 6, "normal": 6}
    assert len(data.skipped[PREVIEW]) == 12


def test_what_the_system_keeps_is_hidden(make):
    data = read(make("{c}/{i}.jpg", "{c}/@eaDir/{i}.jpg/SYNOPHOTO_THUMB_M.jpg"))
    assert data.counts() == {"covid": 6, "normal": 6}
    assert data.skipped["hidden"] == ("covid/@eaDir/", "normal/@eaDir/")


def test_classes_with_pictures_of_the_same_names_are_classes(tmp_path: Path):
    for label in ("benign", "malignant"):
        for i in range(6):
            path = picture(tmp_path / label / f"{label}{i}.png")
            path.rename(path.with_name(f"{i}.png"))
    assert find_derived(tmp_path, [f"{c}/{i}.png" for c in ("benign", "malignant") for i in range(6)]) == {}
    assert read(tmp_path).counts() == {"benign": 6, "malignant": 6}


@pytest.mark.parametrize("names", [("mask", "no_mask"), ("with_mask", "without_mask")])
def test_masks_on_faces_are_classes(tmp_path: Path, names: tuple[str, str]):
    for name in names:
        for i in range(6):
            path = picture(tmp_path / name / f"{name}{i}.png")
            path.rename(path.with_name(f"{i}.png"))
    assert read(tmp_path).counts() == dict.fromkeys(names, 6)


def test_an_outline_without_its_picture_is_a_picture(tmp_path: Path):
    for name in ("a/x.png", "a/y_mask.png", "b/z.png"):
        picture(tmp_path / name)
    assert len(read(tmp_path)) == 3


def test_black_pictures_are_no_outlines(tmp_path: Path):
    for i in range(6):
        picture(tmp_path / "seen" / f"{i}.png")
        (tmp_path / "blank").mkdir(exist_ok=True)
        Image.new("L", (40, 40)).save(tmp_path / "blank" / f"{i}.png")
    assert read(tmp_path).counts() == {"blank": 6, "seen": 6}


def test_few_pictures_of_many_folders_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from medloupe.imaging import decode

    seen = []
    monkeypatch.setattr(decode, "decode", lambda path, min_side: seen.append(path) or np.zeros((4, 4, 3)))
    images = [f"P{p:03}/{label}/{i}.png" for p in range(300) for label in "01" for i in range(4)]
    assert find_derived(tmp_path, images) == {}
    assert len(seen) < 60
