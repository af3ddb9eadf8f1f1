"""Describe what a check-up says of each of the cells, or other things, that a detector found on a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from medloupe.metrics.prevalence import ErrorRate, count_interval, estimate_count, is_telling, most_by_mistake
from medloupe.metrics.weighted import wilson
from medloupe.model.boxes import FoundBox

MOST_CELLS = 4000  # of a picture that are asked about; of more, so many chosen by chance
MOST_UNUSUAL = 0.2
"""Share of the things found that may lie where only 3 in 100 of what the check-up learned from do: of patients that it
had not seen up to a third of a dozen cells do, of many cells less (docs/localisation.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCell:
    """One found thing and what the check-up says of it.

    Attributes
    ----------
    box : FoundBox
        Where it lies.
    state : str
        As of a picture: "flagged", "unclear", "clear", "answered"; "refused" and "unusable" were not judged.
    label : str
        The most probable one; "" where it was not judged.
    probabilities : mapping of float
        By label.
    """

    box: FoundBox
    state: str
    label: str
    probabilities: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Give all fields, in types that JSON has."""
        box = self.box.as_json()
        return {
            **{k: box[k] for k in ("x", "y", "w", "h", "score")},
            "state": self.state,
            "label": self.label,
            "probabilities": dict(self.probabilities),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How many of the things judged have a finding.

    Attributes
    ----------
    label : str
        The finding.
    flagged : int
        How many are flagged.
    n : int
        Of how many.
    count, low, high : float or None
        How many have it, by the sensitivity and specificity with which the check-up was judged, and a 95 % interval;
        None where these are not known or say nothing.
    mistakes, most_mistakes : float or None
        How many of n would be flagged by mistake if none had it: on average, and at most in 39 of 40 such pictures.
    """

    label: str
    flagged: int
    n: int
    count: float | None = None
    low: float | None = None
    high: float | None = None
    mistakes: float | None = None
    most_mistakes: int | None = None

    @classmethod
    def of(cls, label: str, flagged: int, n: int, rates: tuple[ErrorRate, ErrorRate] | None) -> Estimate:
        """Correct a number of flags. rates: of misses and of mistakes; None where they are not known."""
        if rates is None or not n or not is_telling(*rates):
            return cls(label=label, flagged=flagged, n=n)
        low, high = count_interval(flagged, n, *rates)
        return cls(
            label=label,
            flagged=flagged,
            n=n,
            count=estimate_count(flagged, n, *rates),
            low=float(low),
            high=float(high),
            mistakes=n * rates[1].mean,
            most_mistakes=most_by_mistake(n, rates[1]),
        )

    @property
    def certain(self) -> bool:
        """Whether more are flagged than would be if none had it."""
        return self.low is not None and self.low >= 1

    def as_json(self) -> dict[str, Any]:
        """Give all fields, and the count as a share of those judged, in types that JSON has."""
        share = None if self.count is None else {e: v / self.n for e, v in self._figure.items() if v is not None}
        return {
            "label": self.label,
            "flagged": self.flagged,
            "of": self.n,
            "count": None if self.count is None else self._figure,
            "share": share,
            "flagged_if_none": None
            if self.mistakes is None
            else {"mean": self.mistakes, "at_most": self.most_mistakes},
        }

    @property
    def _figure(self) -> dict[str, float | None]:
        return {"value": self.count, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCells:
    """What was asked of a picture's things, and what came of it.

    Attributes
    ----------
    what : str
        The detector's label of what was asked about.
    found : int
        How many there are; where that is more than MOST_CELLS, `cells` are so many of them.
    checkup : str
        Which was asked, NAME@VERSION.
    cells : sequence of AskedCell
        Those asked about.
    labels : sequence of str
        The check-up's.
    mean : np.ndarray
        float64 (K,), of the probabilities of those judged; zeros where none was.
    estimates : sequence of Estimate
        Of each label that is looked for.
    unusual : int
        How many of those asked about lie farther from what the check-up learned from than all but 3 in 100 of that.
    """

    what: str
    found: int
    checkup: str
    cells: Sequence[AskedCell]
    labels: Sequence[str]
    mean: np.ndarray
    estimates: Sequence[Estimate] = field(default_factory=tuple)
    unusual: int = 0

    @property
    def is_unusual(self) -> bool:
        """Whether the picture as a whole is unlike what the check-up learned from: surely more than MOST_UNUSUAL."""
        return bool(self.cells) and wilson(float(self.unusual), float(len(self.cells)))[0] > MOST_UNUSUAL

    @property
    def judged(self) -> int:
        """How many were judged."""
        return sum(bool(c.label) for c in self.cells)

    @property
    def refused(self) -> int:
        """How many were not judged, being unlike what the check-up knows or not to be used."""
        return len(self.cells) - self.judged

    def without_estimates(self) -> AskedCells:
        """Leave out how many have a finding: of things that the check-up does not know nothing is estimated."""
        bare = (Estimate(label=e.label, flagged=e.flagged, n=e.n) for e in self.estimates)
        return replace(self, estimates=tuple(bare))

    def shares(self) -> dict[str, float]:
        """Give by label which share of those judged has it: corrected where it can be, else the mean probability.

        What is left by labels that were corrected is shared out among the others by their means.
        """
        known = {e.label: e.count / e.n for e in self.estimates if e.count is not None and e.n}
        rest = [k for k, n in enumerate(self.labels) if n not in known]
        left, weight = max(0.0, 1 - sum(known.values())), float(self.mean[rest].sum())
        made = {n: float(self.mean[k]) for k, n in enumerate(self.labels)} | known
        if known and weight > 0:
            made |= {self.labels[k]: left * float(self.mean[k]) / weight for k in rest}
        return made

    def as_json(self) -> dict[str, Any]:
        """Give all fields, in types that JSON has."""
        return {
            "what": self.what,
            "checkup": self.checkup,
            "found": self.found,
            "asked": len(self.cells),
            "judged": self.judged,
            "refused": self.refused,
            "unusual": self.unusual,
            "unclear": sum(c.state == "unclear" for c in self.cells),
            "labels": {n: sum(c.label == n for c in self.cells) for n in self.labels},
            "estimates": [e.as_json() for e in self.estimates],
            "cells": [c.as_json() for c in self.cells],
        }
