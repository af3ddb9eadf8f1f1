"""Draw where places lie around somebody: distances and directions true to scale, north up, without tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIDE, MIDDLE, REACH = 340, 170.0, 128.0
"""Of the drawing, in units: its side, where somebody is, and how far from there the farthest place is drawn."""
_BADGE = 11.0  # radius of a number
_APART = 2 * _BADGE + 3
_LEAST_KM = 0.2  # across which a map is drawn at least


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceMark:
    """A place on the map: the point where it is, and its number beside it, in units of the drawing."""

    number: int
    x: float
    y: float
    badge_x: float
    badge_y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceMap:
    """A map.

    Attributes
    ----------
    marks : tuple of PlaceMark
        The places.
    rings : tuple of float
        Radii of circles around the middle, each a step farther.
    bar : float
        Length of the scale bar, which is one step, in units.
    step_km : float
        The step.
    """

    marks: tuple[PlaceMark, ...]
    rings: tuple[float, ...]
    bar: float
    step_km: float


def draw_map(places: Sequence[tuple[float, float]]) -> PlaceMap:
    """Draw places at (kilometres, degrees from north over east), in the azimuthal equidistant projection.

    Numbers that would lie on each other stand beside their points.
    """
    reach = max(_LEAST_KM, *(km for km, _ in places))
    step = _nice(reach / 2)
    unit = REACH / reach
    points = [
        (MIDDLE + km * unit * math.sin(math.radians(d)), MIDDLE - km * unit * math.cos(math.radians(d)))
        for km, d in places
    ]
    taken = [(MIDDLE, MIDDLE), *points]
    marks = []
    for number, (x, y) in enumerate(points, 1):
        badge = _free_spot(x, y, taken)
        taken.append(badge)
        marks.append(
            PlaceMark(
                number=number, x=round(x, 1), y=round(y, 1), badge_x=round(badge[0], 1), badge_y=round(badge[1], 1)
            )
        )
    rings = tuple(round(n * step * unit, 1) for n in range(1, int(reach / step) + 1))
    return PlaceMap(marks=tuple(marks), rings=rings, bar=round(step * unit, 1), step_km=step)


def _free_spot(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Find where a number stands: outward from the middle, else around its point, near it and then farther."""
    outward = math.atan2(y - MIDDLE, x - MIDDLE)
    spots = [
        (x + far * math.cos(outward + turn * math.pi / 4), y + far * math.sin(outward + turn * math.pi / 4))
        for far in (16.0, 26.0, 38.0, 52.0)
        for turn in (0, 1, -1, 2, -2, 3, -3, 4)
    ]
    inside = [s for s in spots if all(_BADGE + 1 <= c <= SIDE - _BADGE - 1 for c in s)]

    def room(spot: tuple[float, float]) -> float:
        return min((math.dist(spot, other) for other in taken if other != (x, y)), default=math.inf)

    return next((s for s in inside if room(s) >= _APART), max(inside, key=room))


def _nice(km: float) -> float:
    """Round down to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(km))
    return next(n * power for n in (5, 2, 1) if n * power <= km * (1 + 1e-9))
