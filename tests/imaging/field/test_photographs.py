"""Simulated photographs: the corners are where the picture is, harder ones show less, the same draw gives the same."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from medloupe.errors import UnreadableImageError
from medloupe.imaging.field.faults import SEVERITIES, Severity
from medloupe.imaging.field.photographs import photograph
from medloupe.imaging.field.placing import jitter_corners, rectify
from medloupe.imaging.field.surfaces import SURFACES, Surface

SIZE = (150, 200)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Soft random blobs, unlike their mirror image and their turned selves."""
    noise = np.random.default_rng(5).integers(0, 256, (*SIZE, 3), np.uint8)
    soft = Image.fromarray(noise).convert("L").filter(ImageFilter.GaussianBlur(7))
    values = np.asarray(soft, np.float32)
    grey = np.clip((values - values.mean()) / values.std() * 55 + 120, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two pictures, brought to one size."""
    small = [np.asarray(Image.fromarray(x).convert("L").resize((48, 36), Image.Resampling.BOX)).ravel() for x in (a, b)]
    return float(np.corrcoef(*small)[0, 1])


@pytest.mark.parametrize("surface", SURFACES)
def test_the_corners_are_where_the_picture_is(picture: np.ndarray, surface: Surface) -> None:
    middle = picture[30:-30, 40:-40]  # an eyepiece cuts the corners away
    for seed in range(6):
        pixels, corners = photograph(picture, np.random.default_rng(seed), surface=surface)
        found = rectify(pixels, corners)
        h, w = found.shape[:2]
        part = found[round(0.2 * h) : -round(0.2 * h), round(0.2 * w) : -round(0.2 * w)]
        assert likeness(part, middle) > 0.85
        assert likeness(part, middle) > likeness(part[:, ::-1], middle) + 0.3
        assert likeness(part, middle) > likeness(part[::-1], middle) + 0.3
        assert (corners >= -3).all() and (corners <= np.array(pixels.shape[1::-1]) + 3).all()


def test_harder_photographs_show_less(picture: np.ndarray) -> None:
    found: dict[Severity, list[float]] = {s: [] for s in SEVERITIES}
    for severity in SEVERITIES:
        for seed in range(24):
            rng = np.random.default_rng(seed)
            pixels, corners = photograph(picture, rng, surface=SURFACES[seed % 4], severity=severity)
            found[severity].append(likeness(rectify(pixels, corners), picture))
    means = [np.mean(found[s]) for s in SEVERITIES]
    assert means[0] > means[1] > means[2]
    assert means[0] - means[2] > 0.05


def test_the_same_draw_gives_the_same_photograph_and_others_differ(picture: np.ndarray) -> None:
    one, again, other = (photograph(picture, np.random.default_rng(s), severity="hard") for s in (3, 3, 4))
    assert np.array_equal(one[0], again[0]) and np.array_equal(one[1], again[1])
    assert one[0].shape != other[0].shape or not np.array_equal(one[0], other[0])


def test_a_tiny_picture_and_a_large_one_are_photographed(picture: np.ndarray) -> None:
    large = np.asarray(Image.fromarray(picture).resize((2400, 1800)))
    for image in (picture[:12, :9], large):
        pixels, corners = photograph(image, np.random.default_rng(0), longer=400)
        assert max(pixels.shape[:2]) == 400 and pixels.dtype == np.uint8
        assert rectify(pixels, corners).shape[2] == 3


def test_given_corners_lie_near_the_true_ones() -> None:
    true = np.array([(10, 20), (210, 15), (220, 180), (5, 170)], float)
    given = jitter_corners(true, np.random.default_rng(1), 0.02)
    assert 0 < np.abs(given - true).max() <= 0.02 * 215


@pytest.mark.parametrize(
    "wrong", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((1, 9, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UnreadableImageError, match="expected uint8"):
        photograph(wrong, np.random.default_rng(0))
