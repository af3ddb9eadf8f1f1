"""Draw pictures to try a check-up with: by code alone, of no patient, and like a kind of picture only from afar.

What a check-up says of them is worth nothing; they show what an answer looks like, or a refusal.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

PLAIN, ODD = 0, 1
NUMBERS = (PLAIN, ODD)
"""Of each kind there is a plain drawing and one with something in it that stands out."""
_SIDE, _SMALL = 320, 112
_RATE = 500  # Hz, of a drawn ECG
_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_HEIGHTS = (0.7, 1.1, 0.4, -0.9, 0.2, 0.75, -0.5, 0.4, 0.9, 1.4, 1.3, 1.0)  # mV of the R wave in each lead


def _field(rng: np.random.Generator, cells: int, low: float, high: float) -> np.ndarray:
    """Draw smooth clouds, float (_SIDE, _SIDE)."""
    coarse = Image.fromarray(rng.uniform(low, high, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), float)


def _disc(y: float, x: float, h: float, w: float) -> np.ndarray:
    """Draw a soft ellipse around (y, x) of half axes h, w: 1 within, 0 outside."""
    yy, xx = np.mgrid[:_SIDE, :_SIDE] / _SIDE
    return np.clip(8 * (1 - np.hypot((yy - y) / h, (xx - x) / w)), 0, 1)


def _grey(levels: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(levels, 0, 255).astype(np.uint8)[..., None], 3, 2)


def _blend(base: np.ndarray, colour: tuple[int, int, int], how: np.ndarray) -> np.ndarray:
    return base * (1 - how[..., None]) + np.array(colour, float) * how[..., None]


def _chest(rng: np.random.Generator, odd: bool) -> np.ndarray:
    levels = 120 + _field(rng, 6, -12, 12)
    levels = levels * _disc(0.55, 0.5, 0.62, 0.48)
    yy = np.mgrid[:_SIDE, :_SIDE][0]
    for side in (-1, 1):
        lung = _disc(0.48, 0.5 + side * 0.2, 0.34, 0.15)
        levels = levels - 85 * lung + 16 * lung * (np.sin(yy / 8 + side) > 0.55)
        levels = levels + 22 * _disc(0.14, 0.5 + side * 0.2, 0.025, 0.22)
    levels = levels + 70 * _disc(0.62, 0.56, 0.17, 0.13) + 55 * _disc(0.45, 0.5, 0.5, 0.035)
    levels = levels + 70 * _disc(0.95, 0.5, 0.17, 0.42)
    if odd:
        levels = levels + 75 * _disc(0.62, 0.3, 0.12, 0.1)
    return _grey(levels + rng.normal(0, 3, levels.shape))


def _skin(rng: np.random.Generator, odd: bool) -> np.ndarray:
    picture = np.array([226, 174, 150], float) + _field(rng, 12, -10, 10)[..., None]
    edge = _field(rng, 7, -0.07, 0.07) if odd else _field(rng, 5, -0.015, 0.015)
    yy, xx = np.mgrid[:_SIDE, :_SIDE] / _SIDE
    far = np.hypot(yy - 0.5, (xx - 0.5) * (0.8 if odd else 1.0)) + edge
    picture = _blend(picture, (118, 72, 48), np.clip((0.22 - far) * 25, 0, 1))
    if odd:
        picture = _blend(
            picture, (48, 34, 40), 0.85 * np.clip((0.1 - np.hypot(yy - 0.44, xx - 0.56) - edge) * 25, 0, 1)
        )
    return np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def _eye(rng: np.random.Generator, odd: bool) -> np.ndarray:
    image = Image.new("RGB", (_SIDE, _SIDE), (176, 84, 34))
    pen = ImageDraw.Draw(image)
    x, y = 0.7 * _SIDE, 0.48 * _SIDE
    for up in (-1, 1):
        for k in range(4):
            turn = np.linspace(0, 1, 40)
            xs = x - turn * (90 + 45 * k)
            ys = y + up * np.sin(turn * 1.7) * (110 - 18 * k) + rng.normal(0, 0.6, 40).cumsum()
            pen.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=(122, 38, 22), width=4 - k // 2)
    picture = np.asarray(image.filter(ImageFilter.GaussianBlur(1.2)), float) + _field(rng, 6, -14, 14)[..., None]
    picture = _blend(picture, (245, 214, 140), _disc(0.48, 0.7, 0.075, 0.07))
    picture = _blend(picture, (120, 48, 22), 0.5 * _disc(0.5, 0.36, 0.09, 0.09))
    if odd:
        for _ in range(14):
            y, x = rng.uniform(0.22, 0.78, 2).tolist()
            picture = _blend(picture, (236, 208, 110), _disc(y, x, 0.014, 0.016))
        for _ in range(9):
            y, x = rng.uniform(0.25, 0.75, 2).tolist()
            picture = _blend(picture, (92, 14, 12), _disc(y, x, 0.02, 0.018))
    return np.clip(picture * _disc(0.5, 0.5, 0.49, 0.49)[..., None], 0, 255).astype(np.uint8)


def _blood(rng: np.random.Generator, odd: bool) -> np.ndarray:
    whole = _disc(0.5, 0.5, 0.44, 0.41)
    picture = np.array([222, 160, 178], float) + _field(rng, 14, -10, 10)[..., None]
    if odd:
        ring = np.clip(_disc(0.42, 0.58, 0.1, 0.09) - _disc(0.42, 0.58, 0.055, 0.05), 0, 1)
        picture = _blend(picture, (104, 44, 134), 0.9 * ring)
        picture = _blend(picture, (84, 28, 116), _disc(0.37, 0.66, 0.032, 0.03))
    return np.clip(picture * whole[..., None], 0, 255).astype(np.uint8)


def _smear(rng: np.random.Generator, odd: bool) -> np.ndarray:
    picture = np.array([226, 214, 206], float) + _field(rng, 8, -5, 5)[..., None]
    rows = [(y, x) for y in np.arange(0.08, 1.0, 0.2) for x in np.arange(0.08, 1.0, 0.2)]
    for y, x in rows:
        y, x = y + rng.uniform(-0.025, 0.025), x + rng.uniform(-0.025, 0.025)
        if rng.random() < 0.15 or np.hypot(y - 0.45, x - 0.52) < (0.26 if odd else 0.2):
            continue
        r = rng.uniform(0.078, 0.09)
        picture = _blend(picture, (188, 122, 118), _disc(y, x, r, r))
        picture = _blend(picture, (212, 168, 160), 0.8 * _disc(y, x, 0.45 * r, 0.45 * r))
    picture = _blend(picture, (176, 150, 190), _disc(0.45, 0.52, 0.16, 0.15))
    for dy, dx in ((-0.05, -0.03), (0.02, 0.05), (0.05, -0.04)):
        picture = _blend(picture, (92, 54, 140), _disc(0.45 + dy, 0.52 + dx, 0.075, 0.07))
    for y, x in ((0.2, 0.32), (0.78, 0.68), (0.62, 0.84))[: 3 if odd else 1]:
        picture = _blend(picture, (120, 84, 160), _disc(y, x, 0.024, 0.022))
    return np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def _brain(rng: np.random.Generator, odd: bool) -> np.ndarray:
    head, within = _disc(0.5, 0.5, 0.45, 0.37), _disc(0.5, 0.5, 0.4, 0.32)
    levels = 165 * (head - within) + within * (78 + _field(rng, 16, -26, 26))
    for side in (-1, 1):
        levels = levels - 55 * _disc(0.47, 0.5 + side * 0.06, 0.12, 0.035)
    if odd:
        levels = levels + 100 * _disc(0.36, 0.64, 0.085, 0.075)
    return _grey(levels + rng.normal(0, 3, levels.shape))


def _breast(rng: np.random.Generator, odd: bool) -> np.ndarray:
    speckle = rng.gamma(2.2, 34, (_SIDE, _SIDE))
    layers = 1.15 - 0.9 * np.mgrid[:_SIDE, :_SIDE][0] / _SIDE + 0.25 * np.sin(_field(rng, 5, 0, 9))
    seen = Image.fromarray(np.clip(speckle * layers, 0, 255).astype(np.uint8))
    levels = np.asarray(seen.filter(ImageFilter.BoxBlur(1)), float)
    if odd:
        edge = 1 + 0.1 * np.sin(_field(rng, 8, 0, 9))
        levels = levels * (1 - 0.85 * np.clip(_disc(0.42, 0.52, 0.14, 0.2) * edge, 0, 1))
    return _grey(levels)


def _thing(rng: np.random.Generator, odd: bool) -> np.ndarray:
    picture = np.array([214, 220, 226], float) + _field(rng, 5, -8, 8)[..., None]
    picture = _blend(picture, (150, 140, 130), 0.6 * _disc(0.83, 0.5, 0.05, 0.32))
    colour = (236, 132, 28) if odd else (196, 34, 40)
    picture = _blend(picture, colour, _disc(0.56, 0.5, 0.28, 0.28))
    picture = _blend(picture, (255, 236, 214), 0.5 * _disc(0.46, 0.42, 0.07, 0.06))
    picture = _blend(picture, (84, 58, 32), _disc(0.25, 0.51, 0.07, 0.012))
    return np.clip(_blend(picture, (70, 128, 52), _disc(0.23, 0.58, 0.035, 0.07)), 0, 255).astype(np.uint8)


_DRAWN: Mapping[str, Callable[[np.random.Generator, bool], np.ndarray]] = {
    "chest": _chest,
    "skin": _skin,
    "eye": _eye,
    "blood": _blood,
    "smear": _smear,
    "brain": _brain,
    "breast": _breast,
    "everyday": _thing,
}


def can_draw(group: str) -> bool:
    """Tell whether there are drawings for a group of check-ups."""
    return group in _DRAWN or group == "heart"


@lru_cache(maxsize=64)
def draw(group: str, number: int) -> bytes:
    """Draw a picture to look at, as PNG; always the same. Of an ECG its first lead on paper."""
    if group == "heart":
        return _as_png(_paper(_signal(number == ODD)[1]))
    return _as_png(_DRAWN[group](np.random.default_rng([7, number]), number == ODD))


@lru_cache(maxsize=64)
def draw_small(group: str, number: int) -> bytes:
    """Draw the same small, as JPEG."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(draw(group, number))) as whole:
        whole.convert("RGB").resize((_SMALL, _SMALL), Image.Resampling.LANCZOS).save(out, "JPEG", quality=80)
    return out.getvalue()


@lru_cache(maxsize=64)
def draw_file(group: str, number: int) -> tuple[str, bytes]:
    """Draw what is sent to a check-up of that group: a file's name and its bytes."""
    if group != "heart":
        return "drawing.png", draw(group, number)
    head = "time," + ",".join(_LEADS)
    rows = (",".join([f"{i / _RATE:.3f}", *(f"{v:.4f}" for v in mv)]) for i, mv in enumerate(_signal(number == ODD).T))
    return "drawing.csv", "\n".join([head, *rows, ""]).encode()


def _signal(odd: bool) -> np.ndarray:
    """Ten seconds of twelve leads in millivolts, float (12, n); odd: with beats that come early and are wide."""
    rng = np.random.default_rng([7, int(odd)])
    t = np.arange(10 * _RATE) / _RATE
    leads = rng.normal(0, 0.006, (12, len(t)))
    for beat in range(13):
        early = odd and beat % 4 == 3
        at = 0.4 + 0.78 * beat - (0.22 if early else 0.0)
        for k, high in enumerate(_HEIGHTS):
            qrs, wide = (-1.3 * high, 0.045) if early else (high, 0.012)
            for middle, size, width in ((-0.17, 0.12 * (not early), 0.02), (0, qrs, wide), (0.28, 0.25 * high, 0.05)):
                leads[k] += size * np.exp(-0.5 * ((t - at - middle) / width) ** 2)
            if not early:
                leads[k] -= 0.18 * abs(high) * np.exp(-0.5 * ((t - at - 0.032) / 0.01) ** 2)
    return leads


def _paper(lead: np.ndarray) -> np.ndarray:
    image = Image.new("RGB", (_SIDE, _SIDE), (255, 249, 246))
    pen = ImageDraw.Draw(image)
    for step, colour in ((8, (250, 226, 220)), (40, (240, 190, 180))):
        for at in range(0, _SIDE, step):
            pen.line([(at, 0), (at, _SIDE)], fill=colour)
            pen.line([(0, at), (_SIDE, at)], fill=colour)
    shown = lead[: 4 * _RATE : 6]
    xs, ys = np.linspace(4, _SIDE - 4, len(shown)), _SIDE * 0.58 - shown * 90
    pen.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=(28, 29, 31), width=3)
    return np.asarray(image)


def _as_png(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", optimize=True)
    return out.getvalue()
