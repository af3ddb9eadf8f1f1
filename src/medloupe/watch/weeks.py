"""Count answers by week: how many, how long they took, and which shares were flagged and refused.

A share is held against what the weeks before it gave: a p-chart (Shewhart) with limits at three standard deviations,
those of the weeks before included, so that a week is marked by chance about 3 times in 1,000.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.model.decision import WITHHELD

FEWEST = 100  # answers of before, with which a share can be expected
SHOWN = 26  # weeks
_SIGMA = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekShare:
    """A share of a week's answers, 0 to 1, with what was expected; None where that is not known yet, or n is 0."""

    hits: int
    n: int
    value: float | None
    low: float | None
    high: float | None

    @property
    def unusual(self) -> bool:
        """Whether it lies outside of what was expected."""
        if self.value is None or self.low is None or self.high is None:
            return False
        return not self.low <= self.value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A week's answers.

    Attributes
    ----------
    start
        Its Monday.
    answers
        All, those that a pilot hides too.
    middle_ms, slow_ms
        Median and 95th percentile of how long they took; None where that is not known.
    flagged, refused
        Shares of the answers that are shown; flagged ones of those that say something.
    """

    start: datetime.date
    answers: int
    middle_ms: float | None
    slow_ms: float | None
    flagged: WeekShare
    refused: WeekShare


@dataclass(frozen=True, slots=True)
class Asked:
    """What is counted of an answer: its day, state and milliseconds."""

    day: datetime.date
    state: str
    ms: int | None


def count_weeks(asked: Iterable[Asked], today: datetime.date) -> list[Week]:
    """Count answers by week, from the first week with any on, at most the last SHOWN weeks."""
    by_week: dict[datetime.date, list[Asked]] = {}
    for one in asked:
        by_week.setdefault(monday_of(one.day), []).append(one)
    if not by_week:
        return []
    weeks: list[Week] = []
    flagged, refused = _Expectation(), _Expectation()
    start, last = min(by_week), max(monday_of(today), max(by_week))
    while start <= last:
        own = by_week.get(start, [])
        shown = [a for a in own if a.state != WITHHELD]
        saying = [a for a in shown if a.state not in ("refused", "unusable")]
        ms = [a.ms for a in own if a.ms is not None]
        weeks.append(
            Week(
                start=start,
                answers=len(own),
                middle_ms=float(np.median(ms)) if ms else None,
                slow_ms=float(np.quantile(ms, 0.95)) if ms else None,
                flagged=flagged.take(sum(a.state == "flagged" for a in saying), len(saying)),
                refused=refused.take(sum(a.state in ("refused", "unusable") for a in shown), len(shown)),
            )
        )
        start += datetime.timedelta(7)
    return weeks[-SHOWN:]


def monday_of(day: datetime.date) -> datetime.date:
    """Return the Monday of a day's week."""
    return day - datetime.timedelta(day.weekday())


class _Expectation:
    """What the weeks of before let expect of a share."""

    def __init__(self) -> None:
        self.hits, self.n = 0, 0

    def take(self, hits: int, n: int) -> WeekShare:
        """Hold a week's share against the weeks of before, then count it among them."""
        low = high = None
        if n and self.n >= FEWEST:
            p = (self.hits + 0.5) / (self.n + 1)
            half = _SIGMA * math.sqrt(p * (1 - p) * (1 / n + 1 / self.n)) + 0.5 / n
            low, high = max(0.0, p - half), min(1.0, p + half)
        found = WeekShare(hits=hits, n=n, value=hits / n if n else None, low=low, high=high)
        if not found.unusual:  # what stands out is not what is expected of the weeks after it
            self.hits, self.n = self.hits + hits, self.n + n
        return found


def unusual_weeks(weeks: Sequence[Week]) -> list[Week]:
    """List the weeks of which a share is unusual."""
    return [week for week in weeks if week.flagged.unusual or week.refused.unusual]
