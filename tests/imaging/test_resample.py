"""Resizing by matrix products: the very pixels that Pillow gives, and refusal of what it would not be exact for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medloupe.imaging.picture import Picture
from medloupe.imaging.resample import MOST_PIXELS, can_resize, resize

KINDS = (Image.Resampling.BICUBIC, Image.Resampling.BOX)


def scene(kind: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Pixels of which many sums lie at a half, near one, or beyond the levels."""
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, shape).astype(np.uint8)
    if kind == "edges":  # bicubic sums over- and undershoot
        return (rng.integers(0, 2, shape) * 255).astype(np.uint8)
    if kind == "steps":
        return np.clip(np.cumsum(rng.integers(-2, 3, shape), axis=1) + 128, 0, 255).astype(np.uint8)
    return np.full(shape, rng.integers(0, 256), np.uint8)


def as_pillow(pixels: np.ndarray, size: tuple[int, int], kind: Image.Resampling, box: tuple) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(size, kind, box))


@settings(max_examples=120, deadline=None)
@given(
    width=st.integers(2, 400),
    height=st.integers(2, 400),
    channels=st.sampled_from(((), (3,))),
    what=st.sampled_from(("noise", "edges", "steps", "flat")),
    kind=st.sampled_from(KINDS),
    wanted=st.tuples(st.integers(1, 240), st.integers(1, 240)) | st.none(),
    cut=st.tuples(*[st.floats(0, 0.4)] * 4) | st.none(),
    seed=st.integers(0, 99),
)
def test_the_pixels_are_those_of_pillow(
    width: int,
    height: int,
    channels: tuple,
    what: str,
    kind: Image.Resampling,
    wanted: tuple | None,
    cut: tuple | None,
    seed: int,
) -> None:
    pixels = scene(what, (height, width, *channels), seed)
    scale = 224 / max(width, height)
    size = wanted or (max(1, round(width * scale)), max(1, round(height * scale)))  # as pictures are fitted
    left, top, right, bottom = cut or (0, 0, 0, 0)
    box = (left * width, top * height, width - right * width, height - bottom * height)
    if can_resize(pixels, box, size):
        np.testing.assert_array_equal(resize(pixels, size, kind, box), as_pillow(pixels, size, kind, box))


@pytest.mark.parametrize("sides", [(640, 480), (480, 640), (512, 512), (1024, 768), (225, 300), (449, 448)])
def test_ordinary_pictures_are_taken(sides: tuple[int, int]) -> None:
    width, height = sides
    pixels = scene("steps", (height, width, 3), 1)
    size = (round(width * 224 / max(sides)), round(height * 224 / max(sides)))
    box = (0, 0, width, height)
    assert can_resize(pixels, box, size)
    found = resize(pixels, size, KINDS[0], box)
    np.testing.assert_array_equal(found, as_pillow(pixels, size, KINDS[0], box))


def test_what_would_not_be_exact_or_fast_is_left_to_pillow() -> None:
    whole = np.zeros((8, 8, 3), np.uint8)
    assert not can_resize(whole.astype(np.uint16), (0, 0, 8, 8), (4, 4))
    assert not can_resize(whole[:, ::2], (0, 0, 4, 8), (4, 4))
    assert not can_resize(np.zeros((2, MOST_PIXELS), np.uint8), (0, 0, MOST_PIXELS, 2), (224, 1))
    assert not can_resize(np.zeros((400, 4), np.uint8), (0, 0, 4, 400), (4, 100)), "Pillow begins with the columns"
    assert not can_resize(np.zeros((500, 500), np.uint8), (0, 0, 500, 500), (8, 8)), "sums of too many pixels"


def test_a_picture_of_pixels_is_fitted_as_one_of_pillow() -> None:
    for shape in ((480, 640, 3), (300, 211), (224, 224, 3), (100, 224), (1, 700, 3), (600, 2)):
        pixels = scene("noise", shape, 2)
        held = Picture(pixels, (0, 0, shape[1], shape[0]), shape[1], shape[0])
        image = Picture(Image.fromarray(pixels), (0, 0, shape[1], shape[0]), shape[1], shape[0])
        assert held.sides == image.sides
        np.testing.assert_array_equal(held.fit(224), image.fit(224))
        assert held.measure() == pytest.approx(image.measure(), nan_ok=True) or str(held.measure()) == str(
            image.measure()
        )
