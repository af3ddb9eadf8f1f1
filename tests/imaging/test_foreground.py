"""The empty border of a picture, by brightness alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bordered import disc, jpeg, overlay
from medloupe.imaging.foreground import SIDE, find_foreground
from medloupe.model.heatmaps import STRONGEST
from medloupe.serving.web.heats import strongest_outside


@pytest.mark.parametrize("border", [0, 12, 255])
def test_a_disc_in_an_empty_border_is_found(border: int) -> None:
    shown = find_foreground(Image.fromarray(disc(border)))
    assert shown.shape == (SIDE, SIDE)
    assert shown.mean() == pytest.approx(np.pi * 0.3**2, abs=0.02)


def test_a_marker_in_the_border_is_border() -> None:
    marked = disc()
    marked[5:20, 5:30] = 255
    shown = find_foreground(Image.fromarray(marked))
    assert not shown[: SIDE // 5, : SIDE // 5].any() and shown[SIDE // 2, SIDE // 2]


def test_dark_places_within_are_no_border() -> None:
    hollow = disc()
    hollow[90:110, 90:110] = 0
    assert find_foreground(Image.fromarray(hollow))[SIDE // 2, SIDE // 2]
    assert find_foreground(Image.fromarray(np.full((50, 80), 120, np.uint8))).all()
    assert find_foreground(Image.new("RGB", (3, 300))).shape[0] == SIDE, "any shape"


def test_the_strongest_place_is_told_where_it_lies_in_the_border_alone() -> None:
    picture = jpeg(disc())
    assert strongest_outside(picture, overlay(20, 20))
    assert not strongest_outside(picture, overlay(100, 100))
    assert not strongest_outside(picture, overlay(45, 100)), "at the edge of the organ it is within"
    assert strongest_outside(picture, overlay(100, 100, most=STRONGEST // 3)), "it was cut off with the padding"
    full = jpeg(np.random.default_rng(0).integers(60, 200, (200, 200)).astype(np.uint8))
    assert not strongest_outside(full, overlay(5, 5)), "a picture without a border has no outside"
    assert not strongest_outside(picture, overlay(20, 20, most=0))
