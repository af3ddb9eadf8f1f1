"""Draw what is around a picture and between it and the camera: a room, shadows, reflections, fingers."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from medloupe.imaging.field.faults import FaultLevels
from medloupe.imaging.field.placing import PlacedPicture

_SKIN = np.array([(0.75, 0.48, 0.36), (0.55, 0.32, 0.22), (0.28, 0.15, 0.09), (0.12, 0.06, 0.04), (0.6, 0.7, 0.8)])
# of linear light, from fair to dark; the last is a glove
LINEAR = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)
"""Light of the 256 levels of a file."""


def drift(shape: tuple[int, int], rng: np.random.Generator, cells: int = 3) -> np.ndarray:
    """Draw a smooth random field, float32 (h, w) of 0 to 1."""
    small = rng.random((cells + 1, cells + 1), np.float32)
    small = (small - small.min()) / max(1e-6, float(np.ptp(small)))
    return np.asarray(Image.fromarray(small).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)).clip(0, 1)


def draw_room(shape: tuple[int, int], levels: FaultLevels) -> np.ndarray:
    """Draw a room out of focus or a desk: linear light float32 (h, w, 3)."""
    rng = levels.rng
    bright = float(np.exp(rng.uniform(np.log(0.01), np.log(0.7))))
    colour = np.clip(1 + rng.normal(0, 0.15, 3), 0.4, 1.6).astype(np.float32)
    room = (bright * colour)[None, None] * (0.6 + 0.8 * drift(shape, rng, int(rng.integers(1, 6))))[..., None]
    if rng.random() < 0.6:  # things lie about
        canvas = Image.new("RGB", (shape[1] // 4 + 1, shape[0] // 4 + 1))
        base = np.clip(np.array(bright * colour) ** (1 / 2.2) * 255, 0, 255)
        canvas.paste(tuple(base.astype(int).tolist()), (0, 0, *canvas.size))
        pen = ImageDraw.Draw(canvas)
        for _ in range(int(rng.integers(2, 9))):
            x, y = rng.uniform(-0.1, 1.0, 2) * canvas.size
            w, h = rng.uniform(0.05, 0.6, 2) * canvas.size
            fill = tuple(np.clip(base * rng.uniform(0.3, 2.0) + rng.normal(0, 25, 3), 0, 255).astype(int).tolist())
            (pen.rectangle if rng.random() < 0.6 else pen.ellipse)((x, y, x + w, y + h), fill=fill)
        things = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 4))).resize((shape[1], shape[0]))
        room = 0.5 * room + 0.5 * LINEAR[np.asarray(things)]
    if rng.random() < 0.3:  # wood, cloth
        grain = rng.standard_normal((shape[0], 1, 1), np.float32) if rng.random() < 0.5 else None
        grain = rng.standard_normal((1, shape[1], 1), np.float32) if grain is None else grain
        room = room * (1 + rng.uniform(0, 0.15) * grain)
    return np.asarray(np.maximum(room, 0), np.float32)


def cast_shadow(shape: tuple[int, int], levels: FaultLevels) -> np.ndarray:
    """Draw a shadow of the phone, a hand or a frame: factors float32 (h, w) of at most 1."""
    rng = levels.rng
    mask = Image.new("L", (96, 96), 0)
    pen = ImageDraw.Draw(mask)
    x, y = rng.uniform(0, 96, 2)
    if rng.random() < 0.5:
        pen.rectangle((x, y, x + rng.uniform(20, 70), y + rng.uniform(30, 90)), fill=255)
    else:
        angle = rng.uniform(0, 2 * np.pi)
        far = 200 * np.array([np.cos(angle), np.sin(angle)])
        side = 200 * np.array([-np.sin(angle), np.cos(angle)])
        at = np.array([x, y])
        pen.polygon([tuple(p) for p in (at - side, at + side, at + side + far, at - side + far)], fill=255)
    soft = mask.rotate(rng.uniform(0, 90)).filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 12)))
    large = soft.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return 1 - np.float32(levels.level("shadow")) * np.asarray(large, np.float32) / 255


def reflect_light(shape: tuple[int, int], levels: FaultLevels) -> np.ndarray:
    """Draw reflections in glass: linear light float32 (h, w, 3), a lamp, a tube, a window or a bright room."""
    rng = levels.rng
    canvas = Image.new("L", (128, 128), 0)
    pen = ImageDraw.Draw(canvas)
    kind = rng.choice(("lamp", "tube", "window", "blob"))
    x, y = rng.uniform(5, 123, 2)
    if kind == "window":
        w, h = rng.uniform(10, 45, 2)
        n, m = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        for i in range(n):
            for j in range(m):
                left, top = x + i * (w / n), y + j * (h / m)
                pen.rectangle((left, top, left + w / n * 0.85, top + h / m * 0.85), fill=int(rng.uniform(140, 255)))
    elif kind == "tube":
        w = rng.uniform(30, 110)
        pen.rectangle((x - w / 2, y, x + w / 2, y + rng.uniform(2, 8)), fill=255)
    else:
        r, q = rng.uniform(3, 24, 2)
        pen.ellipse((x - r, y - q, x + r, y + q), fill=255)
    soft = {"blob": (8, 20), "lamp": (1, 8)}.get(str(kind), (0.5, 6))
    canvas = canvas.rotate(rng.uniform(-40, 40)).filter(ImageFilter.GaussianBlur(rng.uniform(*soft)))
    made = np.asarray(canvas.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float32) / 255
    tint = np.clip(1 + rng.normal(0, 0.08, 3), 0.7, 1.3).astype(np.float32)
    return np.float32(levels.level("glare")) * made[..., None] * tint


def lay_fingers(light: np.ndarray, placed: PlacedPicture, levels: FaultLevels) -> np.ndarray:
    """Let fingers hold the picture at an edge: they reach a little over it."""
    rng = levels.rng
    reach = levels.level("cover") * float(np.ptp(placed.corners, axis=0).min())
    h, w = light.shape[:2]
    mask = Image.new("L", (w, h), 0)
    pen = ImageDraw.Draw(mask)
    side = int(rng.integers(4))
    a, b = placed.corners[side], placed.corners[(side + 1) % 4]
    inward = placed.corners.mean(0) - (a + b) / 2
    inward /= np.linalg.norm(inward) + 1e-6
    thick = rng.uniform(0.05, 0.10) * max(h, w)
    start = rng.uniform(0.1, 0.7)
    for k in range(int(rng.integers(1, 5))):
        tip = a + (b - a) * (start + 1.1 * k * thick / (np.linalg.norm(b - a) + 1e-6))
        tip = tip + inward * (reach * rng.uniform(0.6, 1.0) - thick / 2)
        tail = tip - inward * 3 * max(h, w) * 0.3
        pen.line((*tip, *tail), fill=255, width=max(2, int(thick)))
        pen.ellipse((*(tip - thick / 2), *(tip + thick / 2)), fill=255)
    where = np.asarray(mask.filter(ImageFilter.GaussianBlur(max(0.6, 0.002 * max(h, w)))), np.float32)[..., None] / 255
    skin = _SKIN[int(rng.integers(len(_SKIN)))].astype(np.float32) * np.float32(rng.uniform(0.4, 1.1))
    shaded = skin * (0.6 + 0.6 * drift((h, w), rng, 8))[..., None]
    return light + (shaded - light) * where
