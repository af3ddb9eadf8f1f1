"""Find the connected parts of a mask, and the box of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloupe.errors import DataError

_MOST_RUNS = 1_000_000  # of one mask; more is noise


@dataclass(frozen=True, slots=True)
class Part:
    """A connected part: its box in whole pixels, how many pixels it has, and their value."""

    x: int
    y: int
    width: int
    height: int
    area: int
    value: int = 1


def find_parts(mask: np.ndarray, name: str = "The mask") -> list[Part]:
    """Find the parts of a mask that hang together, over corners too (8 neighbours), each of one value.

    Runs of each row are joined with those that they touch in the row before, by union-find (Rosenfeld and Pfaltz 1966).

    Parameters
    ----------
    mask : np.ndarray
        bool or integer (h, w); 0 is the background.
    name : str
        What to call it in errors.

    Returns
    -------
    list of Part
        From the top.

    Raises
    ------
    DataError
        Where it has more than a million runs.
    """
    height, width = mask.shape
    values = mask.astype(np.int64)
    changes = np.diff(np.pad(values, ((0, 0), (1, 1)), constant_values=-1), axis=1) != 0  # (h, w + 1)
    some = values != 0
    rows, starts = np.nonzero(changes[:, :-1] & some)
    ends = np.nonzero(changes[:, 1:] & some)[1] + 1  # exclusive
    if len(rows) > _MOST_RUNS:
        raise DataError(f"{name} has {len(rows):,} separate runs of pixels: it is noise, and no mask.", "Check it.")
    if not len(rows):
        return []
    held = values[rows, starts]
    _, part = np.unique(_join(rows, starts, ends, held, width), return_inverse=True)
    n = int(part.max()) + 1
    x0, y0 = np.full(n, width), np.full(n, height)
    x1, y1, value = np.zeros(n, int), np.zeros(n, int), np.zeros(n, int)
    np.minimum.at(x0, part, starts)
    np.minimum.at(y0, part, rows)
    np.maximum.at(x1, part, ends)
    np.maximum.at(y1, part, rows + 1)
    value[part] = held
    area = np.bincount(part, ends - starts, n).astype(int)
    return [Part(*map(int, found)) for found in zip(x0, y0, x1 - x0, y1 - y0, area, value, strict=True)]


def _join(rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, values: np.ndarray, width: int) -> np.ndarray:
    """Give all runs of a part one number."""
    # A run touches those of the row before that end at its start or later, and start at its end or before: these are
    # neighbours in the list, as runs lie in order.
    step = width + 2
    first = np.searchsorted(rows * step + ends, (rows - 1) * step + starts)
    last = np.searchsorted(rows * step + starts, (rows - 1) * step + ends, side="right")
    parents = list(range(len(rows)))
    held = values.tolist()

    def find_root(k: int) -> int:
        while parents[k] != k:
            parents[k] = parents[parents[k]]
            k = parents[k]
        return k

    for k, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        for other in range(low, high):
            if held[other] != held[k]:
                continue
            a, b = find_root(k), find_root(other)
            if a != b:
                parents[max(a, b)] = min(a, b)
    return np.array([find_root(k) for k in range(len(rows))])
