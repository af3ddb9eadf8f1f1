"""Tiles cover a picture, at scales that the card and the picture's size allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.model.tiling import MOST_TILES, LearnedSizes, Tiling, lay_probes, lay_tiles, lay_within

CELLS = {
    "detection": {
        "learned": {
            "longer_side": {"low": 298, "median": 298, "high": 298},
            "aspect": {"low": 1.333, "median": 4 / 3, "high": 1.334},
            "boxes": [
                {"label": "red", "n": 900, "low": 44.0, "median": 52.0, "high": 61.0},
                {"label": "rare", "n": 0, "low": None, "median": None, "high": None},
            ],
            "longest": 108.0,
        }
    }
}


def learned() -> LearnedSizes:
    made = LearnedSizes.from_card(CELLS, 320)
    assert made is not None
    return made


def test_a_card_tells_what_was_learned_from() -> None:
    sizes = learned()
    assert sizes.sides == {"red": (44.0, 52.0, 61.0)} and sizes.longer_side == (298.0, 298.0)
    assert sizes.large_from == 447 and sizes.overlap == 116


@pytest.mark.parametrize("card", [{}, {"detection": {}}, {"detection": {"learned": {"longer_side": {"median": 9}}}}])
def test_an_older_card_tells_nothing(card: dict) -> None:
    assert LearnedSizes.from_card(card, 320) is None


TILED = {**CELLS["detection"]["learned"], "tile": {"zoom": 4.0, "side": 320.0, "same": "share"}}
TILED["longer_side"] = {"low": 1200, "median": 1280, "high": 1300}


def test_what_learned_from_tiles_looks_at_every_picture_in_such() -> None:
    sizes = LearnedSizes.from_card({"detection": {"learned": TILED}}, 320)
    assert sizes is not None and sizes.in_tiles and sizes.large_from == 0 and sizes.aspect == 1
    assert lay_tiles(1280, 320, sizes.usual_zoom(1280, 320), sizes).spans == pytest.approx([320, 320])
    assert sizes.usual_zoom(1000, 900) == 4 and sizes.zooms(1000, 900) == ()
    assert 600 / sizes.usual_zoom(600, 500) == 320, "of a much shorter picture tiles are not enlarged"
    zooms = sizes.zooms(5120, 3000)
    assert sizes.usual_zoom(5120, 3000) == 4 and zooms[0] < 6 and zooms[-1] == pytest.approx(4096 / 320)
    by_pixels = {**TILED, "tile": {"zoom": 4.0, "side": 320.0, "same": "pixels"}}
    sizes = LearnedSizes.from_card({"detection": {"learned": by_pixels}}, 320)
    assert sizes is not None and 1600 / sizes.usual_zoom(1600, 900) == 320


@pytest.mark.parametrize("tile", [{}, {"zoom": 0.5, "side": 100.0}, {"zoom": 4.0}, {"zoom": 4.0, "side": 0.0}])
def test_a_card_with_odd_tiles_is_read_as_one_without(tile: dict) -> None:
    sizes = LearnedSizes.from_card({"detection": {"learned": {**TILED, "tile": tile}}}, 320)
    assert sizes is not None and not sizes.in_tiles and sizes.usual_zoom(900, 900) == 1


def test_organs_are_never_looked_at_in_tiles() -> None:
    heart = {"label": "heart", "n": 90, "low": 100.0, "median": 130.0, "high": 150.0}
    entry = {"longer_side": {"median": 224, "high": 224}, "boxes": [heart], "longest": 160.0}
    assert LearnedSizes.from_card({"detection": {"learned": entry}}, 320) is None


def test_zooms_end_at_the_scale_of_training() -> None:
    zooms = learned().zooms(1490, 1120)
    assert zooms[-1] == pytest.approx(5) and all(1 < b / a < 1.7 for a, b in zip((1, *zooms), zooms, strict=False))
    assert learned().zooms(330, 200) == ()
    # of 12,000 pixels 4,096 are decoded, and no picture is enlarged by more than in training
    assert learned().zooms(12_000, 9000)[-1] == pytest.approx(4096 * (320 / 298) / 320)


@settings(deadline=None)
@given(
    width=st.integers(1, 12_000),
    height=st.integers(1, 12_000),
    zoom=st.floats(1, 40),
    longest=st.integers(1, 200),
    aspect=st.floats(0.5, 2),
)
def test_tiles_cover_every_pixel_and_are_bounded(
    width: int, height: int, zoom: float, longest: int, aspect: float
) -> None:
    sizes = LearnedSizes(size=320, longer_side=(300.0, 300.0), sides={}, longest=float(longest), aspect=aspect)
    grid = lay_within(width, height, zoom, sizes)
    assert len(grid.corners) <= MOST_TILES and grid.zoom <= zoom
    for axis, length in enumerate((width, height)):
        starts = np.unique(grid.corners[:, axis])
        span = grid.spans[axis]
        assert starts[0] <= 1e-6 and starts[-1] + span >= length - 1e-6
        shared = grid.side * sizes.overlap / 320
        assert (np.diff(starts) <= max(span - shared, span / 2) + 1e-6).all(), "neighbours overlap as told"
        if length >= span:
            assert starts[0] >= -1e-6 and starts[-1] + span <= length + 1e-6, "no tile reaches beyond the picture"


def test_fewer_tiles_are_laid_only_where_there_would_be_more_than_the_most() -> None:
    assert lay_within(1490, 1120, 5.0, learned()).zoom == 5.0
    assert lay_within(4096, 4096, 30.0, learned()).zoom < 30


def test_a_strip_is_one_row_of_tiles() -> None:
    grid = lay_tiles(3000, 40, 10.0, learned())
    assert grid.spans == pytest.approx([300, 225]) and np.unique(grid.corners[:, 1]) == pytest.approx([-92.5])
    assert len(grid.corners) == 16


def test_probes_lie_within_the_picture() -> None:
    grid = lay_probes(1000, 600, 4.0, learned())
    assert grid.side == 250 and (grid.corners >= 0).all() and (grid.corners + grid.spans <= (1000, 600)).all()
    assert lay_probes(1000, 300, 1.25, learned()).corners[:, 1] == pytest.approx(-150)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("tiles", "in 24 tiles"),
        ("shrunk", "2.5 times smaller"),
        ("whole", "as a whole"),
        ("unsure", "Should it show more"),
        ("learned", "as the detector learned to"),
        ("learned_short", "5.0 times as long"),
        ("learned_unsure", "more than one of those"),
    ],
)
def test_it_is_said_how_a_picture_was_looked_at(code: str, words: str) -> None:
    told = Tiling(code=code, larger=5.04, tiles=24, side=298, shrunk=2.5, foreign=3, left_out=7).as_json()
    assert words in told["text"] and told["code"] == code and told["larger"] == 5.04
    assert ("3 of the tiles" in told["text"]) == ("7 more boxes" in told["text"]) == (code not in ("whole", "unsure"))
