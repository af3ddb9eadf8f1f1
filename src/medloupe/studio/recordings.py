"""Draw ECGs of data sets small, for lists."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from medloupe.ecg.signal import Signal

_SECONDS = 3.0  # of a lead that are drawn
_LEADS = ("II", "MLII", "I")  # the first of which is drawn; else the first there is
_PAPER, _GRID, _INK = (255, 250, 247), (242, 205, 200), (22, 22, 30)
_MILLIVOLTS = 3.0  # that a drawing spans at least


def draw_thumb(signal: Signal, side: int) -> bytes:
    """Draw the first seconds of one lead as a square JPEG.

    Parameters
    ----------
    signal
        The ECG.
    side
        Pixels.
    """
    lead = next((signal.leads.index(name) for name in _LEADS if name in signal.leads), 0)
    trace = signal.samples[lead, : max(2, round(_SECONDS * signal.rate))]
    picture = Image.new("RGB", (side, side), _PAPER)
    pen = ImageDraw.Draw(picture)
    for step in range(0, side, max(2, side // 15)):
        pen.line([(step, 0), (step, side)], _GRID)
        pen.line([(0, step), (side, step)], _GRID)
    known = trace[np.isfinite(trace)]
    if known.size:
        middle = float(np.median(known))
        span = max(_MILLIVOLTS, 2.2 * float(np.abs(known - middle).max()))
        x = np.linspace(0, side - 1, len(trace))
        y = side / 2 - (trace - middle) * side / span
        whole = np.isfinite(y)
        for begin, end in _find_runs(whole):
            pen.line(list(zip(x[begin:end].tolist(), y[begin:end].tolist(), strict=True)), _INK, max(1, side // 110))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()


def _find_runs(known: np.ndarray) -> list[tuple[int, int]]:
    """Find where numbers follow each other, at least two of them."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a > 1]
