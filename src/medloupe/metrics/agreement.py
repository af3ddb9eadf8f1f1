"""Measure how far two readers agree beyond chance: Cohen's kappa."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """Agreement of two readers on the same cases.

    Attributes
    ----------
    n : int
        Cases that both read.
    agreed : float
        Share on which they say the same.
    value, low, high : float or None
        Cohen's kappa with its 95 % interval (of large samples, so honest from some 30 cases on); None where chance
        alone would make them agree always, or there are no cases.
    """

    n: int
    agreed: float
    value: float | None
    low: float | None
    high: float | None


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> Kappa:
    """Compute Cohen's kappa of two readers' labels of the same cases, in the same order.

    References
    ----------
    Cohen, Educational and Psychological Measurement 20 (1960) 37-46; its standard error after Fleiss, Cohen & Everitt,
    Psychological Bulletin 72 (1969) 323-327.
    """
    n = len(first)
    if not n:
        return Kappa(n=0, agreed=0.0, value=None, low=None, high=None)
    cells = Counter(zip(first, second, strict=True))
    rows, columns = Counter(first), Counter(second)
    agreed = sum(k for (a, b), k in cells.items() if a == b) / n
    chance = sum(rows[name] * columns[name] for name in rows) / n**2
    if chance >= 1:
        return Kappa(n=n, agreed=agreed, value=None, low=None, high=None)
    kappa = (agreed - chance) / (1 - chance)
    on = sum(
        (cells[name, name] / n) * (1 - (rows[name] + columns[name]) / n * (1 - kappa)) ** 2
        for name in {*rows, *columns}
    )
    off = (1 - kappa) ** 2 * sum((k / n) * ((columns[a] + rows[b]) / n) ** 2 for (a, b), k in cells.items() if a != b)
    variance = (on + off - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    wide = 1.96 * math.sqrt(max(variance, 0.0))
    return Kappa(n=n, agreed=agreed, value=kappa, low=max(-1.0, kappa - wide), high=min(1.0, kappa + wide))
