"""Photograph a picture by a pinhole camera before a plane: another making than medloupe's own, to judge the finder by.

Nothing is shared with the package's simulators: a camera looks at a plane in space, every pixel of the frame asks the
plane what lies there, and light is added up linearly before the phone's tone curve.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

SURFACES = ("screen", "film", "print", "eyepiece")
SEVERITIES = {"mild": 0.35, "medium": 0.7, "hard": 1.0}
_CORNERS = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])


def snap(
    image: np.ndarray, rng: np.random.Generator, *, surface: str = "screen", severity: str = "mild"
) -> tuple[np.ndarray, np.ndarray]:
    """Photograph a picture.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        What lies on the plane.
    rng : Generator
        Draws where the camera stands, and the light.
    surface : str
        One of SURFACES.
    severity : str
        A key of SEVERITIES.

    Returns
    -------
    pixels : ndarray of uint8, shape (h', w', 3)
        The photograph.
    corners : ndarray of float, shape (4, 2)
        Where the picture's corners lie in it, in pixels, from its upper left clockwise; of an eyepiece those of the
        square around the round field.
    """
    how = SEVERITIES[severity]
    longer = int(rng.integers(400, 900))
    w, h = (longer, int(longer * rng.choice([0.75, 0.5625]))) if rng.random() < 0.6 else (int(longer * 0.75), longer)
    aspect = image.shape[1] / image.shape[0] if surface != "eyepiece" else 1.0
    half = np.array([aspect, 1.0]) / max(aspect, 1.0)
    matrix = _camera(rng, how, half, w, h)
    corners = _project(matrix, _CORNERS * half)
    v, u = np.mgrid[0:h, 0:w].astype(np.float32) + 0.5
    back = np.linalg.inv(matrix)
    depth = back[2, 0] * u + back[2, 1] * v + back[2, 2]
    x = (back[0, 0] * u + back[0, 1] * v + back[0, 2]) / depth / half[0]
    y = (back[1, 0] * u + back[1, 1] * v + back[1, 2]) / depth / half[1]
    light = _plane(image, x, y, half, surface, rng, how)
    light *= _lamp(u / w, v / h, rng, how)[..., None]
    if surface == "screen":
        light *= _fringes(x, y, rng, how)
    if surface != "eyepiece":
        light += _windows(u / w, v / h, rng, how)[..., None]
    light *= 1 + rng.uniform(-0.09, 0.09, 3).astype(np.float32) * (0.5 + how)
    return _phone(light, rng, how), corners


def _camera(rng: np.random.Generator, how: float, half: np.ndarray, w: int, h: int) -> np.ndarray:
    """Stand before the plane: the matrix (3, 3) from places on it to pixels, the picture wholly within the frame."""
    focal, lens = float(max(w, h)), np.eye(3)
    for _ in range(200):
        ax, ay = rng.uniform(-1, 1, 2) * np.radians(20 * how)
        az = rng.normal(0, np.radians(1.0 + 5 * how))
        cx, sx, cy, sy, cz, sz = np.cos(ax), np.sin(ax), np.cos(ay), np.sin(ay), np.cos(az), np.sin(az)
        turn = (
            np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
            @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
            @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        )
        focal = rng.uniform(0.9, 1.4) * max(w, h)
        away = focal * 2 * max(half[0] / w, half[1] / h) / rng.uniform(0.62, 0.93)
        lens = np.array([[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1.0]])
        side = rng.uniform(-0.08, 0.08, 2)
        matrix = lens @ np.column_stack([turn[:, 0], turn[:, 1], [side[0], side[1], away]])
        at = _project(matrix, _CORNERS * half)
        if (at.min(0) >= (0.01 * w, 0.01 * h)).all() and (at.max(0) <= (0.99 * w, 0.99 * h)).all():
            return matrix
    return lens @ np.column_stack([np.eye(3)[:, 0], np.eye(3)[:, 1], [0, 0, 2.2 * focal * max(half / (w, h))]])


def _project(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    on = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return on[:, :2] / on[:, 2:]


def _plane(
    image: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    half: np.ndarray,
    surface: str,
    rng: np.random.Generator,
    how: float,
) -> np.ndarray:
    """Tell the light, 0 to 1 (h, w, 3), that comes from each place of the plane, the picture within ±1."""
    shown = _look(image, x, y) ** 2.2
    table = _table(x, y, rng, how)
    far = np.maximum(np.abs(x), np.abs(y))
    in_picture = (far <= 1)[..., None]
    if surface == "eyepiece":
        radius = np.hypot(x, y)[..., None]
        soft = np.clip((1 - radius) / rng.uniform(0.01, 0.05) + 0.5, 0, 1)
        return (0.05 + 0.85 * shown * (1 - 0.3 * radius**2)) * soft + rng.uniform(0.002, 0.012) * (1 - soft)
    mx, my = np.abs(x) * half[0], np.abs(y) * half[1]
    beyond = np.maximum(mx - half[0], my - half[1])[..., None]
    if surface == "screen":
        black = rng.uniform(0.004, 0.02)
        shown = black + (0.95 - black) * shown
        gap = rng.choice([0.0, 0.0, rng.uniform(0.02, 0.1)])  # a viewer's dark surround on the same screen
        bezel = gap + rng.uniform(0.02, 0.09)
        frame = np.where(beyond <= gap, black * rng.uniform(1, 3), rng.uniform(0.001, 0.03))
        return np.where(in_picture, shown, np.where(beyond <= bezel, frame, table))
    if surface == "film":
        base = rng.uniform(0.015, 0.05)
        rim = rng.choice([0.0, 0.0, rng.uniform(0.005, 0.03)])
        box = np.full_like(shown, rng.uniform(0.75, 1.2))
        beyond_box = (np.maximum(mx, my) > rng.uniform(1.15, 2.0))[..., None]
        around = np.where(beyond_box, 0.12 * table, box)
        return np.where(in_picture, base + (0.8 - base) * shown, np.where(beyond <= rim, base, around))
    paper = rng.uniform(0.6, 0.85)
    rim = rng.choice([0.0, rng.uniform(0.02, 0.12)])
    ink = 0.03 + (paper - 0.03) * shown
    return np.where(in_picture, ink, np.where(beyond <= rim, paper, table))


def _look(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Look up the picture bilinearly at places -1 to 1: (h, w, 3), 0 to 1."""
    h, w = image.shape[:2]
    px = np.clip((x + 1) / 2 * w - 0.5, 0, w - 1.001)
    py = np.clip((y + 1) / 2 * h - 0.5, 0, h - 1.001)
    ix, iy = px.astype(int), py.astype(int)
    fx, fy = (px - ix)[..., None], (py - iy)[..., None]
    jx, jy = np.minimum(ix + 1, w - 1), np.minimum(iy + 1, h - 1)
    full = image.astype(np.float32) / 255
    return (full[iy, ix] * (1 - fx) + full[iy, jx] * fx) * (1 - fy) + (full[jy, ix] * (1 - fx) + full[jy, jx] * fx) * fy


def _table(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, how: float) -> np.ndarray:
    """Make what lies around: a desk, a wall, with grain and things on it."""
    base = rng.uniform(0.01, 0.5) * (1 + rng.uniform(-0.35, 0.35, 3))
    grain = np.zeros_like(x)
    for _ in range(4):
        angle, count = rng.uniform(0, np.pi), rng.uniform(0.5, 9)
        grain += np.sin(count * (np.cos(angle) * x + np.sin(angle) * y) + rng.uniform(0, 6.28)) / 4
    table = base * (1 + rng.uniform(0.05, 0.4) * grain)[..., None]
    for _ in range(rng.integers(0, 1 + round(6 * how))):
        cx, cy = rng.uniform(-2, 2, 2)
        a, b = rng.uniform(0.1, 0.7, 2)
        turn = rng.uniform(0, np.pi)
        p, q = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn), (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        thing = (np.abs(p) < a) & (np.abs(q) < b) if rng.random() < 0.6 else (p / a) ** 2 + (q / b) ** 2 < 1
        table = np.where(thing[..., None], rng.uniform(0, 0.7, 3), table)
    return table.astype(np.float32)


def _lamp(u: np.ndarray, v: np.ndarray, rng: np.random.Generator, how: float) -> np.ndarray:
    slope = rng.uniform(-0.5, 0.5, 2) * how
    vignette = 1 - rng.uniform(0.1, 0.6) * how * ((u - 0.5) ** 2 + (v - 0.5) ** 2)
    return (rng.uniform(0.75, 1.15) * (1 + slope[0] * (u - 0.5) + slope[1] * (v - 0.5)) * vignette).astype(np.float32)


def _fringes(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, how: float) -> np.ndarray:
    out = np.ones((*x.shape, 3), np.float32)
    strength = rng.uniform(0.02, 0.16) * how
    for channel in range(3):
        kx, ky = rng.uniform(-70, 70, 2)
        out[..., channel] += strength * np.sin(kx * x + ky * y + rng.uniform(-6, 6) * x * y + 2 * channel)
    return out


def _windows(u: np.ndarray, v: np.ndarray, rng: np.random.Generator, how: float) -> np.ndarray:
    """Reflect a window with soft edges."""
    if rng.random() > how:
        return np.zeros_like(u)
    cx, cy = rng.uniform(0.1, 0.9, 2)
    a, b = rng.uniform(0.04, 0.2, 2)
    away = np.maximum(np.abs(u - cx + 0.2 * (v - cy)) / a, np.abs(v - cy) / b)
    return (rng.uniform(0.03, 0.35) * how / (1 + np.exp(18 * (away - 1)))).astype(np.float32)


def _phone(light: np.ndarray, rng: np.random.Generator, how: float) -> np.ndarray:
    """Pass light, linear (h, w, 3), through lens, sensor, tone curve and file."""
    light = light / max(1.0, float(np.percentile(light, 99.5)) / rng.uniform(0.9, 1.15))
    levels = 255 * np.clip(light, 0, 1) ** (1 / rng.uniform(1.9, 2.4))
    seen = Image.fromarray(np.rint(levels).astype(np.uint8))
    seen = seen.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8 + 1.2 * how)))
    noisy = np.asarray(seen, np.float32) + rng.normal(0, rng.uniform(0.8, 2 + 5 * how), light.shape)
    seen = Image.fromarray(np.rint(np.clip(noisy, 0, 255)).astype(np.uint8))
    if rng.random() < 0.5:
        seen = seen.filter(ImageFilter.UnsharpMask(1.5, int(rng.uniform(30, 120)), 2))
    file = io.BytesIO()
    seen.save(file, "JPEG", quality=int(rng.integers(60, 93)))
    return np.asarray(Image.open(file).convert("RGB"))
