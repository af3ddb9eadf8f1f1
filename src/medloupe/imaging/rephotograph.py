"""Photograph a picture by phone: from a monitor, or as a film on a light box.

What is done, in the order in which light goes: the surface shines (glow, cast, uneven light), the phone looks at it
slightly askew (perspective) with its surroundings in the frame, glass reflects, two grids of pixels beat (moiré), the
lens blurs a little, the sensor adds noise, the file is saved as JPEG of quality 70. How strong each is, is drawn anew
for every picture.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

QUALITY = 70
_LEAST = 512  # longer side of the frame: no phone takes smaller photographs
_FILLED = (0.80, 0.92)  # share of the frame's sides that the picture takes
_RIM = 0.05  # of a monitor around its picture, as a share of the picture
_ASKEW = 0.05  # how far, in shares of a side, each corner may lie off


def photograph_screen(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Photograph a monitor that shows the picture: uint8 (h, w, 3) to uint8 (h', w', 3)."""
    shown, inside, bezel = _tilt(image, rng)
    h, w = shown.shape[:2]
    x, y = _pixel_positions(h, w)
    light = 14 + shown * (0.9 + 0.05 * rng.random())  # the backlight shines through black
    light *= _moire(x, y, max(h, w), rng)
    light *= np.array([0.95, 1.0, 1.07], np.float32) + rng.uniform(-0.03, 0.03, 3).astype(np.float32)
    desk = rng.uniform(20, 70) + 25 * (x - y)[..., None]
    around = desk + (12 - desk) * bezel[..., None]
    seen = light * inside[..., None] + around * (1 - inside[..., None])
    seen += _glare(x, y, rng)[..., None] * rng.uniform(40, 90)
    return _take_photograph(seen, rng)


def photograph_light_box(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Photograph the picture as a film on a light box: uint8 (h, w, 3) to uint8 (h', w', 3)."""
    shown, inside, _ = _tilt(image, rng)
    h, w = shown.shape[:2]
    x, y = _pixel_positions(h, w)
    lamp = (
        1 - 0.25 * np.abs(x - rng.uniform(0.3, 0.7)) - 0.15 * np.abs(y - rng.uniform(0.3, 0.7))
    )  # tubes behind milk glass
    film = 30 + shown * 0.75  # no film is as dense as a screen's black
    box = np.full_like(film, 235)
    seen = (film * inside[..., None] + box * (1 - inside[..., None])) * lamp[..., None]
    seen *= np.array([0.95, 1.02, 1.0], np.float32) + rng.uniform(-0.03, 0.03, 3).astype(np.float32)
    seen += _glare(x, y, rng)[..., None] * rng.uniform(10, 35)
    return _take_photograph(seen, rng)


def _tilt(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Show the picture as a tilted quadrilateral in a frame.

    Returns float32 (h', w', 3); where it is, and where it or a rim around it is: 0 to 1 (h', w') each.
    """
    h, w = image.shape[:2]
    scale = max(1.0, _LEAST / max(h, w))
    frame = max(8, round(w * scale)), max(8, round(h * scale))
    filled = rng.uniform(*_FILLED)
    margin = (1 - filled) / 2
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    placed = margin + corners * filled + rng.uniform(-1, 1, (4, 2)) * _ASKEW * (2 * margin / (1 - _FILLED[0]))
    own = corners * (w, h)
    # The edge is continued beyond the quadrilateral, else its rim would fade into black.
    wide = Image.fromarray(np.pad(image, ((1, 1), (1, 1), (0, 0)), "edge"))
    back = _perspective(placed * frame, own + 1)
    shown = wide.transform(frame, Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC)
    rim = placed + (placed - placed.mean(0)) * _RIM
    return np.asarray(shown, np.float32), _coverage(frame, placed, own), _coverage(frame, rim, own)


def _coverage(frame: tuple[int, int], placed: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Tell where in the frame a quadrilateral lies, 0 to 1 (h, w). placed: corners (4, 2), in shares of it."""
    white = Image.new("L", (int(own[2, 0]), int(own[2, 1])), 255)
    back = _perspective(placed * frame, own)
    mask = white.transform(frame, Image.Transform.PERSPECTIVE, back, Image.Resampling.BILINEAR)
    return np.asarray(mask, np.float32) / 255


def _perspective(source: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """Solve for the numbers by which Pillow goes from places in the frame to places in the picture.

    source, target: places (x, y), (4, 2) each. Eight numbers.
    """
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return tuple(np.linalg.solve(np.array(rows, float), np.array(right, float)).tolist())


def _pixel_positions(h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of every pixel as shares of the frame, float32 (h, w)."""
    x = np.broadcast_to(np.linspace(0, 1, w, dtype=np.float32), (h, w))
    y = np.broadcast_to(np.linspace(0, 1, h, dtype=np.float32)[:, None], (h, w))
    return x, y


def _moire(x: np.ndarray, y: np.ndarray, longer: int, rng: np.random.Generator) -> np.ndarray:
    """Return factors (h, w, 3) around 1: bent fringes where the grids of screen and sensor beat, shifted by colour."""
    h, w = x.shape
    across, down = x * w / longer, y * h / longer
    factor = np.ones((h, w, 3), np.float32)
    for _ in range(2):
        angle, count, phase = rng.uniform(0, np.pi), rng.uniform(18, 45), rng.uniform(0, 2 * np.pi)
        bend = rng.uniform(-3, 3) * across * down
        along = 2 * np.pi * (count * (np.cos(angle) * across + np.sin(angle) * down) + bend) + phase
        strength = rng.uniform(0.04, 0.09)
        for channel in range(3):
            factor[..., channel] += strength * np.sin(along + 0.7 * channel)
    return factor


def _glare(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a soft reflection, 0 to 1 (h, w)."""
    cx, cy = rng.uniform(0.1, 0.9, 2)
    a, b = rng.uniform(0.08, 0.25, 2)
    return np.exp(-(((x - cx) / a) ** 2) - ((y - cy) / b) ** 2)


def _take_photograph(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pass the light through lens, sensor and file."""
    noise = rng.normal(0, 3, light.shape).astype(np.float32)
    seen = Image.fromarray(np.rint(np.clip(light, 0, 255)).astype(np.uint8))
    blurred = np.asarray(seen.filter(ImageFilter.GaussianBlur(0.0015 * max(light.shape[:2]))), np.float32)
    file = io.BytesIO()
    Image.fromarray(np.rint(np.clip(blurred + noise, 0, 255)).astype(np.uint8)).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"))
