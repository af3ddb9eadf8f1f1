"""Estimate how many of some examples have a finding from how many are flagged, given how often flags err.

Source: Rogan and Gladen, Estimating prevalence from the results of a screening test, Am J Epidemiol 107, 1978. The
interval inverts the distribution of the number of flags, a sum of two beta-binomial numbers: flags of those that have
the finding, and of those that have not, where how often either errs is itself only known within an interval and
differs from one patient to the next. Where fewer are flagged than by mistake alone, that is luck with mistakes and
excludes no finding: the upper end is taken in proportion to how probable so few flags are without any finding (CLs;
Read, Presentation of search results, J Phys G 28, 2002).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVEL = 0.95
LEAST_SKILL = 0.05  # sensitivity + specificity - 1, below which flags say nothing
_UNKNOWN_N = 500  # examples that are assumed behind a rate of 0 whose card does not tell how many they were
_WIDTH = 2 * 1.96  # of a 95 % interval, in standard errors


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRate:
    """How often a kind of error happens: its mean over patients and how much it differs, as a beta distribution.

    Attributes
    ----------
    mean : float
        0 to 1, exclusive.
    spread : float
        Standard deviation, of what is not known of the mean and of what differs from one patient to the next.
    """

    mean: float
    spread: float

    @classmethod
    def from_figure(cls, figure: Mapping[str, Any], n: int | None = None, groups: int | None = None) -> ErrorRate:
        """Read the error beside a sensitivity or specificity, {"value", "low", "high"}.

        What differs between patients is told from the width of the interval, which was drawn over them: as much of it
        as chance alone does not explain, and at most the error itself. Where it is not told on how many patients
        (groups) and examples (n) the figure rests, it is taken to differ that much.
        """
        value, low, high = (figure.get(end) for end in ("value", "low", "high"))
        if value is None:
            raise ValueError("the figure has no value")
        mean = max(1 - float(value), 0.5 / ((n or _UNKNOWN_N) + 1))
        standard = mean if low is None or high is None else (float(high) - float(low)) / _WIDTH
        between = mean**2
        if n and groups and low is not None:
            between = min(between, max(standard**2 * groups - mean * (1 - mean) * groups / n, 0.0))
        return cls(mean=min(mean, 0.999), spread=math.sqrt(standard**2 + between))

    @property
    def shape(self) -> tuple[float, float]:
        """The two parameters of the beta distribution."""
        most = self.mean * (1 - self.mean)
        size = most / min(max(self.spread**2, 1e-10), 0.9 * most) - 1
        return self.mean * size, (1 - self.mean) * size


def estimate_count(flagged: int, n: int, misses: ErrorRate, mistakes: ErrorRate) -> float:
    """Estimate how many of n examples have the finding: Rogan and Gladen, within 0 and n.

    Parameters
    ----------
    flagged : int
        Of the n.
    misses : ErrorRate
        Of those that have it: 1 - sensitivity.
    mistakes : ErrorRate
        Of those that have it not: 1 - specificity.

    Raises
    ------
    ValueError
        Flags say nothing (`is_telling`).
    """
    if not is_telling(misses, mistakes):
        raise ValueError("flags of such sensitivity and specificity say nothing")
    return float(np.clip((flagged - n * mistakes.mean) / (1 - misses.mean - mistakes.mean), 0, n))


def is_telling(misses: ErrorRate, mistakes: ErrorRate) -> bool:
    """Tell whether flags say anything: whether the finding is flagged more often than its absence."""
    return 1 - misses.mean - mistakes.mean >= LEAST_SKILL


def count_interval(
    flagged: int, n: int, misses: ErrorRate, mistakes: ErrorRate, level: float = LEVEL
) -> tuple[int, int]:
    """Find the smallest and the largest count of the finding among n with which so many flags agree.

    Exact but for the shape of the error rates; arguments as `estimate_count` has them.
    """
    tail = (1 - level) / 2

    def at_least(k: int) -> float:
        return 1 - _flags_up_to(flagged - 1, k, n, misses, mistakes)

    without = max(_flags_up_to(flagged, 0, n, misses, mistakes), 1e-300)

    def at_most(k: int) -> float:
        return _flags_up_to(flagged, k, n, misses, mistakes) / without

    low = _first(n, lambda k: at_least(k) > tail)
    high = _first(n, lambda k: at_most(k) <= tail)
    centre = round(estimate_count(flagged, n, misses, mistakes))
    beyond = high > n or at_most(high) > tail
    return min(low, centre), max(n if beyond else high - 1, centre)


def most_by_mistake(n: int, mistakes: ErrorRate, level: float = LEVEL) -> int:
    """Find how many of n examples without the finding are flagged at most, in all but the last few of 100 cases."""
    up_to = np.cumsum(_beta_binomial(n, *mistakes.shape))
    return int(min(np.searchsorted(up_to, 1 - (1 - level) / 2), n))


def _first(n: int, holds: Any) -> int:
    """Find the first count from 0 to n from which on something holds; n where it never does."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _flags_up_to(most: int, k: int, n: int, misses: ErrorRate, mistakes: ErrorRate) -> float:
    """Compute the probability of at most so many flags where k of n have the finding."""
    if most < 0:
        return 0.0
    a, b = misses.shape
    found = _beta_binomial(k, b, a)[: most + 1]
    wrong = np.cumsum(_beta_binomial(n - k, *mistakes.shape))
    rest = np.minimum(most - np.arange(len(found)), n - k)
    return float(min(found @ wrong[rest], 1.0))


def _beta_binomial(n: int, a: float, b: float) -> np.ndarray:
    """Compute the probability of 0 to n hits, float64 (n + 1,), whose rate is beta distributed."""
    k = np.arange(n)
    steps = np.log((n - k) / (k + 1)) + np.log((k + a) / (n - k - 1 + b))
    first = math.lgamma(b + n) - math.lgamma(b) - math.lgamma(a + b + n) + math.lgamma(a + b)
    made = np.exp(first + np.concatenate([[0.0], np.cumsum(steps)]))
    return made / made.sum()
