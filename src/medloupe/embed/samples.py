"""Generate examples that are the same everywhere, to try networks on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medloupe.embed.backbone import BackboneCard


def generate_signals(card: BackboneCard) -> np.ndarray:
    """Generate three windows, the same everywhere: noise, a sum of sines and zeros; float32 (3, L, T) in mV."""
    leads, samples = card.input_shape
    noise = np.random.default_rng(0).normal(0, 0.3, (leads, samples))
    seconds = np.arange(samples) / card.rate
    waves = sum(np.sin(2 * np.pi * (hertz * seconds + np.arange(leads)[:, None] / 7)) / hertz for hertz in (1, 3, 8))
    return np.stack([noise, waves, np.zeros_like(noise)]).astype(np.float32)


def generate_images(size: int) -> np.ndarray:
    """Generate three images: noise, a slope and plain grey, uint8 (3, size, size, 3); the same everywhere."""
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3))
    slope = np.arange(size)[:, None] + np.arange(size)[None] * 2
    images = np.stack([noise, np.repeat((slope * 255 // (3 * size))[..., None], 3, 2), np.full_like(noise, 128)])
    return images.astype(np.uint8)
