"""Printed ECGs as devices print them, drawn here: a grid on paper, twelve leads in rows, names of leads."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

LEADS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))


def printed_ecg(seed: int, width: int = 720, height: int = 520) -> np.ndarray:
    """Draw a sheet: uint8 (height, width, 3), another heart and another paper for each seed."""
    rng = np.random.default_rng(seed)
    paper = tuple(int(v) for v in rng.integers((246, 236, 230), (256, 246, 242)))
    ink = tuple(int(v) for v in rng.integers(0, 60, 3))
    pale, strong = (250, 205, 200), (235, 150, 150)
    sheet = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(sheet)
    small = int(rng.integers(5, 8))
    for at in range(0, max(width, height), small):
        colour = strong if at % (5 * small) == 0 else pale
        draw.line((at, 0, at, height), fill=colour)
        draw.line((0, at, width, at), fill=colour)
    tall, wide, beat = height / 3.6, width / 4, rng.uniform(38, 80)
    for row, names in enumerate(LEADS):
        for column, name in enumerate(names):
            left, middle = column * wide, (row + 0.75) * tall
            x = np.arange(int(wide))
            phase = (x + rng.uniform(0, beat)) % beat / beat
            r, t = rng.uniform(-0.5, 1) * tall * 0.5, rng.uniform(-0.1, 0.3) * tall * 0.4
            y = middle - r * np.exp(-(((phase - 0.4) / 0.02) ** 2)) - t * np.exp(-(((phase - 0.7) / 0.06) ** 2))
            y += 0.12 * tall * np.exp(-(((phase - 0.45) / 0.02) ** 2)) + rng.normal(0, 0.4, len(x))
            draw.line([(left + float(a), float(b)) for a, b in zip(x, y, strict=True)], fill=ink, width=2)
            draw.text((left + 4, middle - 0.45 * tall), name, fill=ink)
    draw.text((8, 6), f"25 mm/s  10 mm/mV  {int(60 * 250 / (4 * beat))}/min", fill=ink)
    return np.asarray(sheet)
