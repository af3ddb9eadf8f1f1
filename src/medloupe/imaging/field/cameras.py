"""Take light with a phone: lens, exposure, white balance, sensor, tone curve, the phone's own processing, JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from medloupe.imaging.field.faults import FaultLevels

_STEPS = 4096  # of the table by which light becomes levels
_QUALITY = ((80, 96), (55, 92), (28, 80))  # of JPEG, by severity


def take(light: np.ndarray, levels: FaultLevels) -> np.ndarray:
    """Photograph linear light, float32 (h, w, 3) of about 0 to 1: uint8 (h, w, 3)."""
    rng = levels.rng
    h, w = light.shape[:2]
    light = light * _vignette((h, w), levels)[..., None]
    gains = 1 + np.array([levels.signed("cast"), levels.signed("cast") / 3, levels.signed("cast")], np.float32)
    metered = 0.0
    if rng.random() < 0.6:  # the phone meters: what is dark as a whole is taken brighter
        metered = float(np.clip(np.log2(0.20 / max(1e-3, float(light[::4, ::4].mean()))), -1.2, 1.2)) * rng.uniform(
            0, 0.7
        )
    light *= gains * np.float32(2 ** (metered + levels.signed("exposure")))
    levelled = _tone(light, levels)
    image = Image.fromarray(levelled)
    image = _blur(image, levels)
    image = _process(_add_noise(np.asarray(image), levels), levels)
    return _save(image, levels)


def _vignette(shape: tuple[int, int], levels: FaultLevels) -> np.ndarray:
    y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return (1 - levels.level("vignette") * (x * x + y * y) / 2).astype(np.float32)


def _tone(light: np.ndarray, levels: FaultLevels) -> np.ndarray:
    """Turn light into levels by a phone's curve: a gamma, a bend, a soft shoulder or a hard clip."""
    rng = levels.rng
    v = np.linspace(0, 2, _STEPS)
    shoulder = rng.uniform(0, 1) < 0.6
    squeezed = np.where(v > 0.8, 0.8 + 0.2 * (1 - np.exp(-(v - 0.8) / 0.2)), v) if shoulder else np.minimum(v, 1)
    curve = squeezed ** (1 / (2.2 * (1 + levels.signed("tone"))))
    bend = levels.signed("tone")
    curve = curve + bend * (curve - 0.5) * curve * (1 - curve) * 2
    table = np.rint(255 * np.clip(curve, 0, 1)).astype(np.uint8)
    return table[np.clip(light * np.float32(_STEPS / 2), 0, _STEPS - 1).astype(np.int16)]


def _blur(image: Image.Image, levels: FaultLevels) -> Image.Image:
    rng = levels.rng
    longer = max(image.size)
    image = image.filter(ImageFilter.GaussianBlur(max(0.3, levels.level("focus") * longer)))
    length = levels.level("motion") * longer
    if length > 1.2 and ("motion" in levels.worst or rng.random() < 0.4):
        image = _smear(image, length, rng.uniform(0, 360))
    return image


def _smear(image: Image.Image, length: float, angle: float) -> Image.Image:
    """Blur along a line of so many pixels."""
    steps = int(min(12, max(2, round(length))))
    dx, dy = np.cos(np.deg2rad(angle)) * length / steps, np.sin(np.deg2rad(angle)) * length / steps
    total = np.zeros((image.size[1], image.size[0], 3), np.float32)
    for k in range(steps + 1):
        t = k - steps / 2
        moved = image.transform(
            image.size, Image.Transform.AFFINE, (1, 0, t * dx, 0, 1, t * dy), Image.Resampling.BILINEAR
        )
        total += np.asarray(moved)
    return Image.fromarray((total / (steps + 1)).astype(np.uint8))


def _add_noise(pixels: np.ndarray, levels: FaultLevels) -> np.ndarray:
    rng = levels.rng
    strength = 255 * levels.level("noise")
    if strength < 0.7:
        return pixels
    grey = rng.random() < 0.4
    h, w = pixels.shape[:2]
    grain = rng.standard_normal((h, w, 1 if grey else 3), np.float32)
    if rng.random() < 0.3:  # blotches, as denoised colour noise leaves them
        small = rng.standard_normal((h // 3 + 1, w // 3 + 1, 3), np.float32)
        grain = 0.6 * grain + 0.7 * small.repeat(3, 0).repeat(3, 1)[:h, :w]
    seen = pixels.astype(np.float32)
    seen += np.float32(strength) * np.sqrt(np.float32(0.35) + seen * np.float32(0.65 / 128)) * grain
    return np.clip(seen, 0, 255).astype(np.uint8)


def _process(pixels: np.ndarray, levels: FaultLevels) -> Image.Image:
    """Process as phones do: smooth noise away, sharpen, strengthen colour and local contrast."""
    rng = levels.rng
    image = Image.fromarray(pixels)
    if rng.random() < 0.35:  # a median is ten times as dear
        smooth = ImageFilter.MedianFilter(3) if rng.random() < 0.15 else ImageFilter.BoxBlur(1)
        image = Image.blend(image, image.filter(smooth), min(1.0, levels.level("smooth") * 0.9))
    if rng.random() < 0.3:  # large-scale contrast is lessened, detail kept ("HDR")
        low = image.resize((24, 24), Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
        seen, flat = np.asarray(image, np.float32), np.asarray(low, np.float32).mean(2, keepdims=True)
        seen += rng.uniform(0.05, 0.15) * (1 + levels.rank) * (flat.mean() - flat)
        image = Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8))
    if rng.random() < 0.6:
        radius, percent = rng.uniform(0.6, 2.2), int(100 * levels.level("sharpen"))
        image = image.filter(ImageFilter.UnsharpMask(radius, percent, int(rng.integers(0, 4))))
    if rng.random() < 0.4:
        image = ImageEnhance.Color(image).enhance(rng.uniform(0.6, 1.5))
    return image


def _save(image: Image.Image, levels: FaultLevels) -> np.ndarray:
    """Save as JPEG, in the worse cases twice with a smaller size between, as messengers do."""
    rng = levels.rng
    if levels.happens(0.05, 0.2, 0.35):
        size = image.size
        share = rng.uniform(*((0.75, 0.95), (0.5, 0.9), (0.3, 0.8))[levels.rank])
        small = image.resize(
            (max(16, round(size[0] * share)), max(16, round(size[1] * share))), Image.Resampling.BICUBIC
        )
        image = _jpeg(small, levels).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(_jpeg(image, levels))


def _jpeg(image: Image.Image, levels: FaultLevels) -> Image.Image:
    file = io.BytesIO()
    low, high = _QUALITY[levels.rank]
    image.save(file, "JPEG", quality=int(levels.rng.integers(low, high)), subsampling=int(levels.rng.choice((0, 2))))
    return Image.open(file).convert("RGB")
