"""A glance passes over direct exports, not over photographs, and says the same however a picture is held."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import fixed_pictures
from medloupe.imaging import prescreen
from medloupe.imaging.photo import AUTO
from medloupe.imaging.photograph import find_photo, search
from medloupe.imaging.picture import Picture, whole_picture
from medloupe.imaging.quality import as_numbers
from snapshots import snap


def rgb(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, 2)


def sides_seen(picture: Picture) -> bool:
    return prescreen.may_have_sides(np.asarray(picture.glance), picture.colour)


def round_seen(picture: Picture) -> bool:
    return prescreen.may_have_round_field(np.asarray(picture.glance))


@pytest.mark.parametrize("surface", ["screen", "film", "print", "eyepiece"])
def test_what_the_search_finds_is_not_passed_over(surface: str) -> None:
    found = 0
    for seed in range(8):
        taken, _ = snap(rgb(fixed_pictures.lesion()), np.random.default_rng(seed), surface=surface, severity="mild")
        picture = whole_picture(Image.fromarray(taken))
        searched = search(picture, AUTO)
        found += searched is not None
        assert find_photo(picture, AUTO) == searched, seed
    assert found >= (1 if surface == "eyepiece" else 5)


def test_direct_exports_are_passed_over() -> None:
    chest = (fixed_pictures.chest(420, 360, opaque=True) // 16).astype(np.uint8)
    drawn = (rgb(chest), rgb(fixed_pictures.ultrasound()), fixed_pictures.gradient())
    for pixels in drawn:
        picture = whole_picture(Image.fromarray(pixels))
        assert not sides_seen(picture)
        assert not round_seen(picture)


def test_a_picture_held_as_an_array_and_as_an_image_is_seen_alike() -> None:
    rng = np.random.default_rng(0)
    for h, w in ((480, 640), (333, 517), (161, 40), (30, 300), (5, 700), (104, 104)):
        for pixels in (rng.integers(0, 256, (h, w, 3), np.uint8), rng.integers(0, 256, (h, w), np.uint8)):
            image = whole_picture(Image.fromarray(pixels))
            array = Picture(pixels, (0, 0, w, h), w, h)
            assert array.colour == image.colour
            assert array.glance.tobytes() == image.glance.tobytes()
            assert (sides_seen(array), round_seen(array)) == (sides_seen(image), round_seen(image))


def test_a_glance_before_measuring_changes_no_measure() -> None:
    picture = whole_picture(Image.fromarray(rgb(fixed_pictures.ultrasound())))
    find_photo(picture, AUTO)
    again = whole_picture(picture.image)
    assert as_numbers(picture.measure()) == as_numbers(again.measure())


def test_thin_pictures_are_searched() -> None:
    thin = np.full((20, prescreen.SIDE), 127, np.uint8)
    assert prescreen.may_have_sides(thin, 0.0)
    assert prescreen.may_have_round_field(thin)


def test_trees_take_the_side_that_a_feature_says() -> None:
    feature, threshold = np.array([[0, 1, 1, 2, 2, 2, 2]]), np.array([[0.5, 0.5, 0.5, 1e9, 1e9, 1e9, 1e9]])
    trees = prescreen.Trees(feature, threshold, np.arange(8.0)[None], 0.0)
    said = [trees.score(np.array(values)) for values in ((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (0.5, 0.5, 0))]
    assert said == [0, 2, 4, 6, 0]
