"""Lung sounds for tests: breath, with or without a wheeze."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np


def wav(samples: np.ndarray, rate: int = 4000) -> bytes:
    """A .wav file of samples from -1 to 1."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def breath(seed: int, wheeze: bool, rate: int = 4000) -> bytes:
    """A second of breath as a .wav file."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(rate) / rate
    noise = rng.normal(0, 0.1, rate) * (0.4 + np.sin(np.pi * seconds))
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(350, 450) * seconds + rng.uniform(0, 6)) if wheeze else 0
    return wav(noise + tone, rate)


def folders(root: Path, each: int = 20) -> Path:
    """A folder of sounds for each class."""
    for wheeze, name in ((False, "clear"), (True, "wheeze")):
        for i in range(each):
            path = root / name / f"p{2 * i + wheeze:03d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(breath(2 * i + wheeze, wheeze))
    return root
