"""Measure how long networks take, side by side.

Their runs are interleaved, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 40
_WARMING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long several things take.

    Attributes
    ----------
    milliseconds : tuple of float
        Median of one run of each.
    times_faster : tuple of float
        Median over rounds of the first one's time divided by each one's; steadier than the milliseconds on a busy
        machine.
    """

    milliseconds: tuple[float, ...]
    times_faster: tuple[float, ...]


def measure_pace(runs: Sequence[Callable[[], object]], rounds: int = ROUNDS) -> Pace:
    """Call each of runs once a round, after a few rounds to warm up, and measure what each call takes."""
    spent = np.empty((rounds, len(runs)))
    for turn in range(-_WARMING, rounds):
        for i, run in enumerate(runs):
            started = time.perf_counter()
            run()
            if turn >= 0:
                spent[turn, i] = time.perf_counter() - started
    return Pace(
        milliseconds=tuple(round(1000 * float(t), 3) for t in np.median(spent, 0)),
        times_faster=tuple(round(float(r), 3) for r in np.median(spent[:, :1] / spent, 0)),
    )
