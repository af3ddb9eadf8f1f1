"""The map of places nearby is true to scale, and its numbers do not lie on each other."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.serving.web.placemap import MIDDLE, REACH, SIDE, draw_map


def test_distances_and_directions_are_true() -> None:
    drawn = draw_map([(1.0, 0.0), (2.0, 90.0), (4.0, 225.0)])
    north, east, far = drawn.marks
    assert (north.x, north.y) == (MIDDLE, MIDDLE - REACH / 4)
    assert (east.x, east.y) == (MIDDLE + REACH / 2, MIDDLE)
    assert far.x < MIDDLE < far.y and math.dist((far.x, far.y), (MIDDLE, MIDDLE)) == pytest.approx(REACH, abs=0.1)
    assert drawn.step_km == 2 and drawn.bar == REACH / 2 and drawn.rings == (REACH / 2, REACH)


@pytest.mark.parametrize(("km", "step"), [(0.0, 0.1), (0.19, 0.1), (1.0, 0.5), (3.9, 1), (4, 2), (99, 20), (200, 100)])
def test_steps_are_round(km: float, step: float) -> None:
    assert draw_map([(km, 10.0)]).step_km == pytest.approx(step)


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 360)), min_size=1, max_size=5))
def test_everything_is_inside_and_numbers_can_be_read(places: list[tuple[float, float]]) -> None:
    drawn = draw_map(places)
    badges = [(m.badge_x, m.badge_y) for m in drawn.marks]
    for mark in drawn.marks:
        assert all(0 <= c <= SIDE for c in (mark.x, mark.y))
        assert all(11 <= c <= SIDE - 11 for c in (mark.badge_x, mark.badge_y))
    for i, one in enumerate(badges):
        assert all(math.dist(one, other) > 20 for other in badges[i + 1 :])
    assert all(0 < ring <= REACH + 0.1 for ring in drawn.rings) and 0 < drawn.bar <= REACH
