"""Let a surface shine: a monitor, a film on a light box, a print on paper, the field of an eyepiece.

All give linear light, float32 (h, w, 3), about 1 at white; what is around the picture is theirs up to their own edge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from medloupe.imaging.field.faults import FaultLevels
from medloupe.imaging.field.placing import PlacedPicture
from medloupe.imaging.field.rooms import LINEAR, draw_room, drift

Surface = Literal["screen", "film", "print", "eyepiece"]
SURFACES: tuple[Surface, ...] = ("screen", "film", "print", "eyepiece")

_STOPS = (np.arange(256) / 255.0).astype(np.float32)


def shine(placed: PlacedPicture, levels: FaultLevels, surface: Surface) -> np.ndarray:
    """Give the light that comes from the surface and the room around it."""
    return _KINDS[surface](placed, levels)


def _shine_screen(placed: PlacedPicture, levels: FaultLevels) -> np.ndarray:
    """Show a monitor: black that glows, its own gamma and white, lines of the viewer beside the picture, a bezel."""
    rng = levels.rng
    gamma = 1 + levels.signed("tone") * 0.6
    table = LINEAR**gamma if abs(gamma - 1) > 0.02 else LINEAR
    black = rng.uniform(0.002, (0.012, 0.03, 0.07)[levels.rank])
    light = black + table[placed.shown] * (1 - black)
    light *= _white_point(rng, 0.12)
    window, taller = rng.uniform(0, 0.25), rng.uniform(0, 0.12)
    shade = float(rng.choice((0.0, 0.01, 0.04, 0.25, 0.8), p=(0.4, 0.2, 0.2, 0.1, 0.1)))
    panel = np.full((1, 1, 3), black + shade, np.float32) * _white_point(rng, 0.05)
    if rng.random() < 0.5:
        panel = panel + _text_lines(placed, rng)[..., None] * rng.uniform(0.1, 0.7)
    light = _over(panel, light, placed.inside())
    light *= _fringes(placed, levels)
    light *= 1 - levels.level("uneven") * 0.5 * drift(light.shape[:2], rng)[..., None]
    case = np.float32(rng.choice((0.004, 0.02, 0.1, 0.4))) * _white_point(rng, 0.05)
    room = _over(draw_room(light.shape[:2], levels), case, placed.inside(window + rng.uniform(0.02, 0.08), taller))
    return _over(room, light, placed.inside(window, taller))


def _shine_film(placed: PlacedPicture, levels: FaultLevels) -> np.ndarray:
    """Show a film before milk glass: density against tubes, bright around it, unless masked."""
    rng = levels.rng
    dense = rng.uniform(1.1, 2.6)  # of its blackest parts
    through = (10 ** (-dense * (1 - _STOPS) - rng.uniform(0.0, 0.25))).astype(np.float32)
    lamp = 1 - levels.level("uneven") * drift(placed.u.shape, rng)
    if rng.random() < 0.4:  # tubes show
        lamp *= 1 + 0.5 * levels.level("uneven") * np.cos(2 * np.pi * rng.uniform(1, 4) * placed.v + rng.uniform(0, 6))
    lamp = lamp[..., None] * _white_point(rng, 0.10)
    film = through[placed.shown] * lamp
    rim = rng.uniform(0, 0.08)
    if rng.random() < 0.5:  # the film's own unexposed or black border
        film = _over(lamp * float(rng.choice((0.01, 0.05, 0.85))), film, placed.inside())
    else:
        rim = 0.0
    glass = lamp if rng.random() < 0.75 else lamp * 0.02  # shutters closed around it
    box = _over(glass, film, placed.inside(rim))
    return _over(draw_room(box.shape[:2], levels) * 0.4, box, placed.inside(rim + rng.uniform(0.02, 0.5)))


def _shine_print(placed: PlacedPicture, levels: FaultLevels) -> np.ndarray:
    """Show ink on paper: grey black, dots, grain, folds, the room's light."""
    rng = levels.rng
    ink, paper = rng.uniform(0.02, 0.10), rng.uniform(0.7, 0.95)
    table = ink + LINEAR * (paper - ink)
    seen = table[placed.shown]
    if rng.random() < 0.6:  # the printer's dots
        count, angle = rng.uniform(60, 180), rng.uniform(0, np.pi)
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        a, b = placed.u * cos - placed.v * sin, placed.u * sin + placed.v * cos
        dots = np.sin(2 * np.pi * count * a) * np.sin(2 * np.pi * count * b)
        seen *= 1 + levels.level("moire") * dots[..., None]
    seen *= _white_point(rng, 0.04)
    margin = rng.uniform(0, 0.2)
    sheet = np.float32(paper) * _white_point(rng, 0.05)
    seen = _over(sheet, seen, placed.inside())
    seen *= 1 - levels.level("uneven") * drift(seen.shape[:2], rng)[..., None]
    if levels.happens(0.2, 0.5, 0.7):
        seen *= _folds(placed, levels)[..., None]
    grain = rng.standard_normal((seen.shape[0] // 2 + 1, seen.shape[1] // 2 + 1), np.float32)
    seen *= 1 + rng.uniform(0, 0.04) * grain.repeat(2, 0).repeat(2, 1)[: seen.shape[0], : seen.shape[1], None]
    return _over(draw_room(seen.shape[:2], levels), seen, placed.inside(margin, rng.uniform(0, 0.3)))


def _shine_eyepiece(placed: PlacedPicture, levels: FaultLevels) -> np.ndarray:
    """Show an eyepiece: a round field with a soft, coloured rim in the dark, brighter in its middle."""
    rng = levels.rng
    light = LINEAR[placed.shown] * _white_point(rng, 0.12)
    light = light * rng.uniform(0.85, 1.0) + rng.uniform(0, 0.05)
    edge = np.linalg.norm(placed.corners[1] - placed.corners[0]), np.linalg.norm(placed.corners[2] - placed.corners[1])
    longest = max(edge)
    x, y = (placed.u - 0.5) * float(edge[0] / longest), (placed.v - 0.5) * float(edge[1] / longest)
    cx, cy = (rng.uniform(-0.03, 0.03, 2) * (1 + levels.rank)).tolist()
    far = np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
    radius = rng.uniform(0.5, 0.68)
    fall = rng.uniform(80, 250) / (1 + levels.rank)
    rim = np.stack([np.clip((radius + d - far) * fall, 0, 1) for d in rng.uniform(-0.004, 0.004, 3).tolist()], -1)
    light *= 1 - (levels.level("uneven") * (far / radius).clip(0, 1.2) ** 2)[..., None]
    inside = placed.inside()[..., None] if rng.random() < 0.5 else 1.0  # beyond its edge the field goes on, or is dark
    beyond = np.float32(rng.uniform(0, 0.03))
    return (light - beyond) * (rim * inside) + beyond


_KINDS: dict[str, Callable[[PlacedPicture, FaultLevels], np.ndarray]] = {
    "screen": _shine_screen,
    "film": _shine_film,
    "print": _shine_print,
    "eyepiece": _shine_eyepiece,
}


def _over(below: np.ndarray, above: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Lay one over another where a mask (h, w) says so."""
    return below + (above - below) * where[..., None]


def _white_point(rng: np.random.Generator, most: float) -> np.ndarray:
    """Draw the colour of a white, (3,) around 1: from warm to cold, a little green or not."""
    warm, green = rng.uniform(-most, most), rng.uniform(-most, most) / 3
    return np.array([1 + warm, 1 + green, 1 - warm], np.float32)


def _fringes(placed: PlacedPicture, levels: FaultLevels) -> np.ndarray:
    """Draw moiré and bands, factors (h, w, 3) around 1: one to three bent gratings, each of its own colour."""
    rng = levels.rng
    factor = np.ones((*placed.u.shape, 3), np.float32)
    strength = levels.level("moire")
    for _ in range(int(rng.integers(1, 4))):
        angle, count = rng.uniform(0, np.pi), float(np.exp(rng.uniform(np.log(5), np.log(120))))
        x = placed.u + rng.uniform(-0.06, 0.06) * placed.v**2
        y = placed.v + rng.uniform(-0.06, 0.06) * placed.u**2 + rng.uniform(-0.1, 0.1) * placed.u * placed.v
        along = np.float32(2 * np.pi * count) * (float(np.cos(angle)) * x + float(np.sin(angle)) * y)
        along += np.float32(rng.uniform(0, 6.3))
        own = np.exp(rng.normal(0, 0.4)) * strength / 1.5
        colour, shift = rng.uniform(0.3, 1.0, 3), rng.uniform(-1.2, 1.2, 3)
        if rng.random() < 0.3:
            colour, shift = np.ones(3), np.zeros(3)
        for channel in range(3):
            factor[..., channel] += np.float32(own * colour[channel]) * np.sin(along + np.float32(shift[channel]))
    if levels.happens(0.1, 0.25, 0.4):  # the screen is drawn while the shutter runs
        band = np.sin(2 * np.pi * rng.uniform(0.7, 5) * placed.v + rng.uniform(0, 6.3))
        factor *= 1 + (strength * rng.uniform(0.5, 1.5) * band)[..., None]
    return np.maximum(factor, 0.05)


def _text_lines(placed: PlacedPicture, rng: np.random.Generator) -> np.ndarray:
    """Draw what a viewer writes beside a picture, as broken lines: (h, w) of 0 or 1."""
    line, broken = rng.uniform(12, 40), rng.uniform(20, 80)
    row = np.floor(placed.v * line)
    on = (placed.v * line - row < 0.4) & (np.sin(placed.u * broken + 3.7 * row) > 0.2) & (np.mod(row, 3) < 2)
    return on.astype(np.float32)


def _folds(placed: PlacedPicture, levels: FaultLevels) -> np.ndarray:
    """Shade paper at one or two folds: factors (h, w)."""
    rng = levels.rng
    factor = np.ones(placed.u.shape, np.float32)
    for _ in range(int(rng.integers(1, 3))):
        along = placed.u if rng.random() < 0.5 else placed.v
        across = placed.v if along is placed.u else placed.u
        at = along - rng.uniform(0.15, 0.85) + rng.uniform(-0.1, 0.1) * across
        depth = levels.level("fold")
        factor *= 1 - depth * 0.5 * np.tanh(at * 12) * np.exp(-np.abs(at) * 4)
        factor *= 1 - depth * np.exp(-((at * 180) ** 2))
    return factor
