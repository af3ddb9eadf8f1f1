"""Draw a small emblem for each check-up from its name.

A field under the loupe in which one thing stands out.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from functools import lru_cache

_EDGE = 39.0  # radius within which a dot may reach; the loupe's rim is at 46


@dataclass(frozen=True, slots=True)
class Dot:
    """A cell.

    Attributes
    ----------
    x, y, r
        Centre and radius in a square from -50 to 50.
    ink
        Opacity, 0 to 1.
    odd
        Whether it is the one that stands out.
    """

    x: float
    y: float
    r: float
    ink: float
    odd: bool = False


@dataclass(frozen=True, slots=True)
class Emblem:
    """What to draw.

    Attributes
    ----------
    dots
        Cells.
    lines
        SVG paths.
    """

    dots: tuple[Dot, ...]
    lines: tuple[str, ...] = ()


@lru_cache(maxsize=512)
def draw_emblem(name: str, ecg: bool = False) -> Emblem:
    """Draw the emblem of a name, always the same.

    Parameters
    ----------
    name
        Of the check-up.
    ecg
        Whether it reads ECGs: then a trace with one beat that stands out.
    """
    seed = hashlib.sha256(name.encode()).digest()
    dice = random.Random(seed)
    if ecg:
        return _trace(dice)
    return (_sunflower, _rings, _scatter, _waves)[seed[0] % 4](dice)


def _sunflower(dice: random.Random) -> Emblem:
    count, turn = dice.choice((19, 26, 33)), dice.random() * math.tau
    places = []
    for i in range(count):
        far, angle = 35 * math.sqrt((i + 0.5) / count), turn + i * 2.399963
        places.append((far * math.cos(angle), far * math.sin(angle), 2.4 + 34 / count * (0.7 + 0.6 * dice.random())))
    return _dots(places, dice)


def _rings(dice: random.Random) -> Emblem:
    places, turn = [], dice.random() * math.tau
    for ring, (far, count) in enumerate(((0, 1), (15, dice.randint(5, 7)), (30, dice.randint(10, 13)))):
        for i in range(count):
            angle = turn * (1 + ring) + math.tau * i / count
            places.append((far * math.cos(angle), far * math.sin(angle), 5.4 - ring * 0.6))
    return _dots(places, dice)


def _scatter(dice: random.Random) -> Emblem:
    places: list[tuple[float, float, float]] = []
    for _ in range(400):
        r = dice.choice((3.2, 4.4, 6.0, 8.0))
        far, angle = (_EDGE - r) * math.sqrt(dice.random()), dice.random() * math.tau
        x, y = far * math.cos(angle), far * math.sin(angle)
        if all(math.hypot(x - a, y - b) > r + s + 2.2 for a, b, s in places):
            places.append((x, y, r))
        if len(places) == 17:
            break
    return _dots(places, dice)


def _waves(dice: random.Random) -> Emblem:
    lines, shift, swing = [], dice.random() * math.tau, 4 + 4 * dice.random()
    for y in range(-30, 31, 12):
        half = math.sqrt(41**2 - y**2)
        steps = [-half + 2 * half * i / 24 for i in range(25)]
        points = (f"{x:.1f} {y + swing * math.sin(x / 11 + shift + y / 25):.1f}" for x in steps)
        lines.append("M" + "L".join(points))
    angle, far = dice.random() * math.tau, 8 + 14 * dice.random()
    odd = Dot(round(far * math.cos(angle), 1), round(far * math.sin(angle), 1), 7.5, 1, odd=True)
    return Emblem((odd,), tuple(lines))


def _trace(dice: random.Random) -> Emblem:
    """Draw three beats along the middle, one of them early."""
    early, high = dice.choice((-6.0, -4.5)), 24 + 8 * dice.random()
    points = [(-44.0, 8.0)]
    for x, tall in ((-29.0, high), (early, high * 0.92), (26.0, high)):
        points += [(x - 9, 8), (x - 6, 4), (x - 3.5, 8), (x - 2, 11), (x, 8 - tall), (x + 2.4, 18), (x + 4, 8)]
        points += [(x + 8, 8), (x + 11, 2.5), (x + 14, 8)]
    points.append((44.0, 8.0))
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return Emblem((Dot(early, round(8 - high * 0.92 - 8, 1), 5.0, 1, odd=True),), (path,))


def _dots(places: list[tuple[float, float, float]], dice: random.Random) -> Emblem:
    """Draw dots at places (x, y, r), one of those near the middle standing out."""
    near = [i for i, (x, y, _) in enumerate(places) if math.hypot(x, y) < 27]
    odd = dice.choice(near)
    return Emblem(
        tuple(
            Dot(
                round(x, 1),
                round(y, 1),
                round(r * (1.25 if i == odd else 1), 1),
                dice.choice((0.25, 0.4, 0.6)),
                i == odd,
            )
            for i, (x, y, r) in enumerate(places)
        )
    )
