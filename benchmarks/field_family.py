"""Photograph pictures in another making than training knows: the held-out family by which benchmarks/field.py judges.

It shares no code with medloupe.imaging.field and was written apart from it: a pinhole camera before a plane, moiré from
sampling a grid of sub-pixels, surroundings of fractal noise, defocus by a disc in the Fourier plane, Poisson noise, a
colour matrix, Laplacian sharpening. Nothing is fitted on it, and its numbers were set before any figure was seen.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SEVERITIES = ("mild", "medium", "hard")
SCENES = ("monitor", "viewbox", "paper", "ocular")
_UNIT = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)


def photograph(
    image: np.ndarray, rng: np.random.Generator, scene: str, severity: str, longer: int = 400
) -> tuple[np.ndarray, np.ndarray]:
    """Photograph a picture uint8 (h, w, 3): the photograph, and the picture's corners (4, 2) in it."""
    s = SEVERITIES.index(severity)
    corners, frame = _look(image.shape, rng, s, longer)
    h, w = frame
    jj, ii = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    px, py = _apply(_homography(corners, _UNIT), jj, ii)  # place in the picture's plane
    inside = (px >= 0) & (px <= 1) & (py >= 0) & (py <= 1)
    seen = _sample(image, px, py, max(1.0, image.shape[1] * 1.0 / max(8.0, np.ptp(corners[:, 0]))))
    out = {"monitor": _monitor, "viewbox": _viewbox, "paper": _paper, "ocular": _ocular}[scene](
        seen, inside, px, py, rng, s
    )
    out = _lamps(out, rng, s)
    return _camera(out, rng, s), corners


def straighten(pixels: np.ndarray, corners: np.ndarray, rng: np.random.Generator, off: float = 0.01) -> np.ndarray:
    """Cut the picture out by corners that lie a little off, as a person's finger gives them."""
    width = np.linalg.norm(corners[1] - corners[0])
    height = np.linalg.norm(corners[3] - corners[0])
    given = corners + rng.uniform(-off, off, (4, 2)) * (width, height)
    w, h = max(16, round(float(width))), max(16, round(float(height)))
    jj, ii = np.meshgrid((np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h)
    x, y = _apply(_homography(_UNIT, given), jj, ii)
    found = _sample(pixels, x / pixels.shape[1], y / pixels.shape[0], 1.0)
    return np.clip(found, 0, 255).astype(np.uint8)


def _look(shape: tuple[int, ...], rng: np.random.Generator, s: int, longer: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Turn a plane before a pinhole camera: corners (4, 2) in pixels, and the frame (h, w)."""
    h, w = shape[:2]
    yaw, pitch = np.deg2rad(rng.normal(0, (4, 9, 15)[s], 2)).tolist()
    roll = float(np.deg2rad(rng.normal(0, (1, 3, 6)[s])))
    plane = np.c_[(_UNIT - 0.5) * (w, h) / max(w, h), np.zeros(4)]
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    turn = np.array([(cr, -sr, 0), (sr, cr, 0), (0, 0, 1)]) @ np.array([(1, 0, 0), (0, cp, -sp), (0, sp, cp)])
    turn = turn @ np.array([(cy, 0, sy), (0, 1, 0), (-sy, 0, cy)])
    seen = plane @ turn.T + (0, 0, 1.8)
    flat = seen[:, :2] / seen[:, 2:]
    flat -= (flat.max(0) + flat.min(0)) / 2
    fw, fh = (longer, longer * 3 // 4) if rng.random() < 0.5 else (longer * 3 // 4, longer)
    filled = rng.uniform((0.8, 0.65, 0.5)[s], 0.95)
    flat *= filled * min(fw / np.ptp(flat[:, 0]), fh / np.ptp(flat[:, 1]))
    spare = np.array([fw, fh]) - np.ptp(flat, axis=0)
    return flat + np.array([fw, fh]) / 2 + rng.uniform(-0.5, 0.5, 2) * spare * 0.8, (fh, fw)


def _homography(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Solve for the matrix (3, 3) that takes places a (4, 2) to b, by the null space (direct linear transform)."""
    rows = []
    for (x, y), (u, v) in zip(a, b, strict=True):
        rows += [(-x, -y, -1, 0, 0, 0, u * x, u * y, u), (0, 0, 0, -x, -y, -1, v * x, v * y, v)]
    return np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)


def _apply(m: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    return (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / z, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / z


def _sample(image: np.ndarray, px: np.ndarray, py: np.ndarray, shrink: float) -> np.ndarray:
    """Sample an image bilinearly at places that are shares of its sides: float32 (h, w, 3)."""
    if shrink > 1.3:
        size = max(8, round(image.shape[1] / shrink)), max(8, round(image.shape[0] / shrink))
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    h, w = image.shape[:2]
    x, y = np.clip(px * w - 0.5, 0, w - 1.001), np.clip(py * h - 0.5, 0, h - 1.001)
    x0, y0 = x.astype(int), y.astype(int)
    x1, y1 = np.minimum(x0 + 1, w - 1), np.minimum(y0 + 1, h - 1)
    fx, fy = (x - x0)[..., None].astype(np.float32), (y - y0)[..., None].astype(np.float32)
    im = image.astype(np.float32)
    return (im[y0, x0] * (1 - fx) + im[y0, x1] * fx) * (1 - fy) + (im[y1, x0] * (1 - fx) + im[y1, x1] * fx) * fy


def _fractal(shape: tuple[int, int], rng: np.random.Generator, power: float = 1.6) -> np.ndarray:
    """Noise whose amplitude falls with frequency, 0 to 1 (h, w)."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    f = np.sqrt(fy**2 + fx**2)
    f[0, 0] = 1
    spectrum = (rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)) / f**power
    field = np.fft.irfft2(spectrum, shape)
    return ((field - field.min()) / (np.ptp(field) + 1e-9)).astype(np.float32)


def _surroundings(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    a, b = rng.uniform(5, 230, 3), rng.uniform(5, 230, 3)
    if rng.random() < 0.5:  # mostly of one colour
        b = np.clip(a + rng.normal(0, 15, 3), 0, 255)
    base = a + (b - a) * _fractal(shape, rng, rng.uniform(0.9, 2.0))[..., None]
    for _ in range(rng.integers(0, 4)):  # edges of tables, walls, cables
        nx, ny = rng.normal(size=2)
        at = rng.uniform(-0.6, 0.6)
        y, x = np.mgrid[-0.5 : 0.5 : shape[0] * 1j, -0.5 : 0.5 : shape[1] * 1j]
        side = (x * nx + y * ny) / np.hypot(nx, ny) > at
        base = np.where(side[..., None], base * rng.uniform(0.4, 1.5), base)
    return np.clip(base, 0, 255)


def _monitor(
    seen: np.ndarray, inside: np.ndarray, px: np.ndarray, py: np.ndarray, rng: np.random.Generator, s: int
) -> np.ndarray:
    pitch = rng.uniform(0.55, 1.9)  # sub-pixel triads for each pixel of the photograph
    depth = rng.uniform(0.2, 1.0) * (0.10, 0.28, 0.55)[s]
    across = px * inside.shape[1] * pitch * 0.8
    down = py * inside.shape[0] * pitch * 0.8
    grid = np.empty((*inside.shape, 3), np.float32)
    rows = 0.75 + 0.25 * np.sign(np.sin(2 * np.pi * down))
    for c in range(3):
        grid[..., c] = (np.mod(across + c / 3, 1.0) < 0.5) * 2.0 * rows
    grid = _box(grid, 2)  # the optics pass only part of it
    out = seen * (1 - depth + depth * grid / max(1e-6, float(grid.mean())))
    out = out * (1 - 0.06 * s) + rng.uniform(2, (8, 18, 35)[s])
    roll = 1 + (0, 0.06, 0.15)[s] * rng.random() * np.sin(2 * np.pi * (py * rng.uniform(0.5, 3) + rng.random()))
    out *= roll[..., None]
    wide = rng.uniform(0.0, 0.3, 4)
    window = (px > -wide[0]) & (px < 1 + wide[1]) & (py > -wide[2]) & (py < 1 + wide[3])
    rim = rng.uniform(0.03, 0.1)
    case = (px > -wide[0] - rim) & (px < 1 + wide[1] + rim) & (py > -wide[2] - rim) & (py < 1 + wide[3] + rim)
    room = _surroundings(inside.shape, rng)
    room[case] = rng.uniform(3, 60)
    room[window] = rng.choice([4.0, 12.0, 40.0, 128.0, 225.0], p=[0.4, 0.25, 0.15, 0.1, 0.1])
    if rng.random() < 0.4:  # another picture of the study beside it
        beside = window & (px > 1.04)
        room[beside] = seen[::-1, ::-1][beside]
    room[inside] = out[inside]
    return room


def _viewbox(
    seen: np.ndarray, inside: np.ndarray, px: np.ndarray, py: np.ndarray, rng: np.random.Generator, s: int
) -> np.ndarray:
    glow = np.array([rng.uniform(215, 255), rng.uniform(220, 255), rng.uniform(215, 255)])
    sides = 1 - (0.1, 0.25, 0.45)[s] * rng.random() * np.abs(px - rng.uniform(0.2, 0.8)) ** 1.5
    base = rng.uniform(0.05, (0.12, 0.2, 0.3)[s])
    film = (base + (1 - base) * (seen / 255) ** rng.uniform(0.8, 1.5)) * glow * 0.95
    lit = np.ones((*inside.shape, 3)) * glow if rng.random() < 0.7 else np.full((*inside.shape, 3), 12.0)
    edge = rng.uniform(0.0, 0.6, 2)
    box = (px > -edge[0]) & (px < 1 + edge[0]) & (py > -edge[1]) & (py < 1 + edge[1])
    out = np.where(box[..., None], lit, _surroundings(inside.shape, rng) * 0.5)
    out[inside] = film[inside]
    return out * sides[..., None]


def _paper(
    seen: np.ndarray, inside: np.ndarray, px: np.ndarray, py: np.ndarray, rng: np.random.Generator, s: int
) -> np.ndarray:
    white, black = rng.uniform(195, 245), rng.uniform(25, 60)
    printed = black + seen * (white - black) / 255
    lines = rng.uniform(70, 160)  # of the printer, across the picture
    angle = rng.uniform(0.2, 1.3)
    a = np.cos(angle) * px - np.sin(angle) * py
    b = np.sin(angle) * px + np.cos(angle) * py
    cell = np.maximum(np.abs(np.mod(a * lines, 1) - 0.5), np.abs(np.mod(b * lines, 1) - 0.5)) * 2
    printed += (cell[..., None] - 0.66) * (8, 22, 50)[s] * rng.random()
    sheet = np.where(inside[..., None], printed, white)
    if rng.random() < (0.2, 0.5, 0.8)[s]:  # creases
        for _ in range(rng.integers(1, 4)):
            t = rng.uniform(0, np.pi)
            d = (px - rng.random()) * np.cos(t) + (py - rng.random()) * np.sin(t)
            sheet = sheet * (1 + (0.04, 0.1, 0.22)[s] * np.clip(d * 25, -1, 1) / (1 + (d * 12) ** 2))[..., None]
    sheet = sheet * (1 - (0.15, 0.35, 0.6)[s] * rng.random() * _fractal(inside.shape, rng, 2.4))[..., None]
    wide = rng.uniform(0.02, 0.3, 2)
    page = (px > -wide[0]) & (px < 1 + wide[0]) & (py > -wide[1]) & (py < 1 + wide[1])
    out = np.where(page[..., None], sheet, _surroundings(inside.shape, rng))
    if rng.random() < (0.1, 0.35, 0.5)[s]:  # a thumb
        cx, cy = rng.choice([-0.03, 1.03]), rng.uniform(0.2, 0.8)
        thumb = ((px - cx) / rng.uniform(0.05, 0.12)) ** 2 + ((py - cy) / rng.uniform(0.06, 0.1)) ** 2 < 1
        out[thumb] = np.array([(205, 150, 125), (120, 80, 60), (70, 45, 35)][rng.integers(3)]) * rng.uniform(0.6, 1.1)
    return out


def _ocular(
    seen: np.ndarray, inside: np.ndarray, px: np.ndarray, py: np.ndarray, rng: np.random.Generator, s: int
) -> np.ndarray:
    r = np.hypot(px - 0.5 - rng.normal(0, 0.01 * (1 + s)), py - 0.5 - rng.normal(0, 0.01 * (1 + s)))
    radius = rng.uniform(0.52, 0.70)
    soft = rng.uniform(0.01, 0.05) * (1 + s)
    t = np.clip((radius - r) / soft + 0.5, 0, 1)
    field = t * t * (3 - 2 * t)
    bright = 1 - (0.15, 0.3, 0.55)[s] * rng.random() * (r / radius) ** 3
    tint = np.array([rng.uniform(0.9, 1.1), 1.0, rng.uniform(0.75, 1.1)])
    shown = np.where(inside[..., None], seen, 255.0 * rng.uniform(0.0, 0.9))
    return shown * (field * np.clip(bright, 0, 1))[..., None] * tint + rng.uniform(0, 10)


def _lamps(light: np.ndarray, rng: np.random.Generator, s: int) -> np.ndarray:
    """Reflect lamps, with ghosts, and a veil."""
    h, w = light.shape[:2]
    y, x = np.mgrid[0 : 1 : h * 1j, 0 : 1 : w * 1j]
    if rng.random() < (0.4, 0.6, 0.8)[s]:
        cx, cy = rng.uniform(0, 1, 2)
        d = np.hypot(x - cx, (y - cy) * rng.uniform(0.4, 2.5))
        core = (35, 110, 300)[s] * rng.random() / (1 + (d / rng.uniform(0.03, 0.12)) ** 3)
        ghost = np.hypot(x - 1 + cx, y - 1 + cy) < rng.uniform(0.02, 0.1)
        light = light + core[..., None] + 12.0 * s * ghost[..., None]
    return light + rng.uniform(0, (8, 22, 60)[s])


def _camera(light: np.ndarray, rng: np.random.Generator, s: int) -> np.ndarray:
    h, w = light.shape[:2]
    mix = np.eye(3) + rng.normal(0, (0.03, 0.07, 0.13)[s], (3, 3))
    light = light @ mix.T * 2 ** rng.normal(0, (0.12, 0.28, 0.55)[s])
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    light = light / (1 + (0.1, 0.25, 0.5)[s] * rng.random() * (x * x + y * y))[..., None] ** 2
    light = _defocus(light, rng.uniform(0.2, 1.0) * (0.9, 1.8, 4.0)[s] * max(h, w) / 400)
    shake = rng.uniform(0, (0.8, 2.2, 7.0)[s]) * max(h, w) / 400
    if rng.random() < 0.5 and shake > 1:
        light = _box(light, int(np.ceil(shake)), int(rng.integers(2)))
    photons = rng.uniform(1, 3) * (900.0, 220.0, 45.0)[s]
    level = np.clip(light, 0, 400) / 255
    light = 255 * rng.poisson(level * photons) / photons + rng.normal(0, (0.8, 2.5, 7.0)[s], (h, w, 1))
    t = np.clip(light / 255, 0, 1.2)
    k = rng.uniform(0.0, (2.0, 4.0, 6.0)[s])  # a sigmoid, or nearly a line
    if k > 0.3:
        low, high = 1 / (1 + np.exp(k / 2)), 1 / (1 + np.exp(-k / 2))
        t = (1 / (1 + np.exp(-k * (np.minimum(t, 1) - 0.5))) - low) / (high - low)
    out = 255 * np.clip(t, 0, 1) ** np.exp(rng.normal(0, (0.08, 0.18, 0.3)[s]))
    if rng.random() < 0.5:  # sharpened by the phone
        around = (np.roll(out, 1, 0) + np.roll(out, -1, 0) + np.roll(out, 1, 1) + np.roll(out, -1, 1)) / 4
        out = out + rng.uniform(0, (0.4, 0.9, 1.6)[s]) * (out - around)
    picture = Image.fromarray(np.clip(np.rint(out), 0, 255).astype(np.uint8))
    if s and rng.random() < 0.4:  # sent by a messenger
        share = rng.uniform((1, 0.6, 0.35)[s], 0.95)
        picture = picture.resize((max(32, round(w * share)), max(32, round(h * share))), Image.Resampling.BILINEAR)
        picture = picture.resize((w, h), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    form, best = ("WEBP", 90) if rng.random() < 0.3 else ("JPEG", 95)
    picture.save(file, form, quality=int(rng.integers((75, 50, 25)[s], best)))
    return np.asarray(Image.open(file).convert("RGB"))


def _defocus(light: np.ndarray, radius: float) -> np.ndarray:
    """Blur by a disc of so many pixels' radius, in the Fourier plane."""
    if radius < 0.4:
        return light
    h, w = light.shape[:2]
    y, x = np.minimum(np.arange(h), h - np.arange(h))[:, None], np.minimum(np.arange(w), w - np.arange(w))[None]
    disc = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)
    pass_ = np.fft.rfft2(disc / disc.sum())
    pad = np.fft.rfft2(light, axes=(0, 1)) * pass_[..., None]
    return np.fft.irfft2(pad, (h, w), axes=(0, 1))


def _box(light: np.ndarray, n: int, axis: int = 1) -> np.ndarray:
    """Average n neighbours along an axis."""
    return np.mean([np.roll(light, k - n // 2, axis) for k in range(n)], axis=0)
