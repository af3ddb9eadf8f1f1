"""Read the box around a run-length encoded region of COCO, without painting it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.errors import DataError

_MOST_PIXELS = 1 << 40


def box_of_runs(
    counts: str | Sequence[int], size: Sequence[int], where: str
) -> tuple[float, float, float, float] | None:
    """Find x, y, width and height of a region given by runs down the columns (pycocotools' order).

    Parameters
    ----------
    counts : str or sequence of int
        Lengths of runs, the first of background; or the same compressed, as pycocotools writes it.
    size : sequence of int
        Height and width.
    where : str
        File and place, for errors.

    Returns
    -------
    tuple or None
        None where the region is empty.

    Raises
    ------
    DataError
        Where the runs do not fill the picture.
    """
    try:
        height, width = (int(side) for side in size)
        runs = np.asarray(_decompress(counts) if isinstance(counts, str) else counts, np.int64)
    except (TypeError, ValueError, OverflowError, IndexError):
        height = width = 0
        runs = np.empty(0, np.int64)
    if runs.ndim != 1 or not 0 < height * width < _MOST_PIXELS or (runs < 0).any() or runs.sum() != height * width:
        raise DataError(
            f"{where}: a run-length encoded region does not fill its picture of {list(size)[:2]} (height, width).",
            "Export it again, or as polygons.",
        )
    ends = np.cumsum(runs)
    first, last = ends[:-1:2], ends[1::2] - 1  # of each run of foreground
    some = last >= first
    first, last = first[some], last[some]
    if not len(first):
        return None
    x0, x1 = int(first[0] // height), int(last[-1] // height)
    over = first // height != last // height  # a run that goes on in the next column touches top and bottom
    y0 = 0 if over.any() else int((first % height).min())
    y1 = height - 1 if over.any() else int((last % height).max())
    return float(x0), float(y0), float(x1 - x0 + 1), float(y1 - y0 + 1)


def _decompress(counts: str) -> list[int]:
    """Decompress pycocotools' string: 5 bits a character, the highest of 6 goes on, differences from the third on."""
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 60:
            raise ValueError("not a run")
        value |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            continue
        if code & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("cut short")
    return runs
