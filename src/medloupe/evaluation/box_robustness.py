"""Measure figures of boxes under changes of the pictures beside those of the unchanged ones, and say what they come to.

The same pictures are judged changed and unchanged, so a difference is paired, as in robustness.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.evaluation.robustness import (
    FEWEST_GROUPS,
    OFTEN,
    STEADY,
    CorruptionRow,
    ShiftedFigure,
    draw_figures,
    format_signed,
    widen_difference,
)
from medloupe.imaging.corruptions import Corruption
from medloupe.metrics import counting, weighted
from medloupe.metrics.average_precision import average_precisions
from medloupe.metrics.matching import LabelMatches
from medloupe.metrics.weighted import Metric, Weighted

FIGURES = ("map50", "found", "false_marks", "count_error", "refused")
_SHARES = ("found", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAnswers:
    """What a detector said of N pictures.

    Attributes
    ----------
    matches : list of LabelMatches
        Of K labels, at an overlap of one half.
    lines, counts : np.ndarray
        (K,): scores from which on boxes are marked, and counted.
    silent : np.ndarray
        bool (N,): whether a picture would get no answer.
    """

    matches: list[LabelMatches]
    lines: np.ndarray
    counts: np.ndarray
    silent: np.ndarray

    def count_marked(self) -> np.ndarray:
        """Count the marked boxes of each label, int (N, K)."""
        n = len(self.silent)
        rows = [
            counting.count_marks(m.scores, m.picture, n, float(x))
            for m, x in zip(self.matches, self.lines, strict=True)
        ]
        return np.stack(rows, 1)

    def figures(self, *, places: bool = True) -> dict[str, Weighted]:
        """Write the figures as functions of row weights. places: whether true boxes lie where they are said to."""
        n = len(self.silent)
        every = np.ones(n, bool)
        made: dict[str, Weighted] = {}
        if places:
            found, false, error = [], [], []
            for m, line, count in zip(self.matches, self.lines, self.counts, strict=True):
                above = m.scores >= line
                hits = np.bincount(m.picture[above & m.hit[0, 0]], minlength=n)
                found.append(_ratio(hits, m.truths[0]))
                false.append(_ratio(np.bincount(m.picture[above], minlength=n) - hits, every))
                counted = counting.count_marks(m.scores, m.picture, n, float(count))
                error.append(counting.median_relative_error(counted, m.truths[0]))
            made = {
                "map50": weighted.average([_precision(m) for m in self.matches]),
                "found": weighted.average(found),
                "false_marks": lambda w: np.sum([f(w) for f in false], axis=0),
                "count_error": weighted.average(error),
            }
        return {**made, "refused": weighted.share(self.silent, every)}


def _precision(m: LabelMatches) -> Weighted:
    return lambda weights: average_precisions(m, weights)[:, 0, 0]


def _ratio(of: np.ndarray, among: np.ndarray) -> Weighted:
    """Divide two sums over the pictures; NaN where there is nothing to divide by."""
    matrix = np.column_stack([of, among]).astype(np.float64)

    def value(weights: np.ndarray) -> np.ndarray:
        top, bottom = (weights @ matrix).T
        return top / np.where(bottom > 0, bottom, np.nan)

    return value


def compare_box_figures(
    before: BoxAnswers,
    after: Sequence[tuple[Corruption, BoxAnswers, float, bool]],
    groups: np.ndarray,
    seed: int = 0,
) -> tuple[dict[str, Metric], tuple[CorruptionRow, ...]]:
    """Compare the figures under every change with those of the unchanged pictures.

    Parameters
    ----------
    before : BoxAnswers
        To the unchanged pictures.
    after : sequence of tuple
        Of every change: what was answered, the share of the pictures that it altered, and whether it moves places.
    groups : np.ndarray
        int (N,).
    seed : int
        Of the draws of groups, which all figures share.
    """
    arms = [before.figures(), *(said.figures(places=not moved) for _, said, _, moved in after)]
    plain = before.count_marked()
    every = np.ones(len(groups), bool)
    agreed = [weighted.share((said.count_marked() == plain).all(1), every) for _, said, _, _ in after]
    (base, *drawn), same = draw_figures(arms, agreed, groups, seed)
    n = len(np.unique(groups))

    def widened(name: str, metric: Metric) -> Metric:
        return weighted.widen_share_interval(metric, n) if name in _SHARES else metric

    rows = []
    for (change, _, altered, _), values, agreement in zip(after, drawn, same, strict=True):
        figures = {}
        for name, v in values.items():
            difference = weighted.summarise(v - base[name])
            if altered and name in _SHARES:
                difference = widen_difference(difference, n)
            figures[name] = ShiftedFigure(**widened(name, weighted.summarise(v)), difference=difference)
        shown = weighted.widen_share_interval(weighted.summarise(agreement), n)
        rows.append(CorruptionRow(change=change, figures=figures, same=shown, altered=altered))
    return {name: widened(name, weighted.summarise(v)) for name, v in base.items()}, tuple(rows)


def word_box_shifts(rows: Sequence[CorruptionRow], groups: int) -> tuple[str, ...]:
    """Say what the detector is most sensitive to, what it refuses, and what leaves it alone."""
    judged = [r for r in rows if "map50" in r.figures]
    fallen = sorted(
        (r for r in judged if (_part(r, "map50", "high") or 0) < 0), key=lambda r: _part(r, "map50", "value") or 0
    )
    told = fallen[:3]
    if told:
        said = [f"Most sensitive to: {'; '.join(map(_word_fall, told))}."]
    elif any(_part(r, "map50", "high") is not None for r in judged):
        said = ["No change lowers the average precision by more than chance explains."]
    else:
        said = ["There are too few groups of patients for intervals: the differences may be chance."]
    refusing = [r for r in rows if r not in told and (_part(r, "refused", "value") or 0) > OFTEN]
    if refusing:
        refusing.sort(key=lambda r: -(_part(r, "refused", "value") or 0))
        listed = ", ".join(f"{r.change.title} {r.figures['refused']['value'] or 0:.0%}" for r in refusing[:4])
        said.append(f"Pictures of its own kind get no answer more often after: {listed}.")
    steady = [r.change.title for r in judged if r.altered and _is_steady(r)]
    if steady:
        said.append(f"Holds (AP50 within ±{STEADY:g}) under: {', '.join(steady)}.")
    if groups < FEWEST_GROUPS:
        said.append(f"With fewer than {FEWEST_GROUPS} groups of patients all of this says little.")
    return tuple(said)


def _word_fall(row: CorruptionRow) -> str:
    """Word a row as "blur (strong): AP50 −0.06 (−0.09 to −0.03), counts off by 20%"."""
    value, low, high = (format_signed(_part(row, "map50", part)) for part in ("value", "low", "high"))
    text = f"{row.change.title}: AP50 {value} ({low} to {high})"
    error, refused = row.figures["count_error"]["value"], row.figures["refused"]["value"]
    if error is not None:
        text += f", counts off by {error:.0%}"
    return f"{text}, {refused:.0%} without an answer" if refused else text


def _is_steady(row: CorruptionRow) -> bool:
    low, high = _part(row, "map50", "low"), _part(row, "map50", "high")
    close = low is not None and high is not None and low >= -STEADY and high <= STEADY
    return close and (_part(row, "refused", "value") or 0) <= OFTEN / 2


def _part(row: CorruptionRow, name: str, of: str) -> float | None:
    """Take the value, low or high of a figure's difference."""
    figure = row.figures.get(name)
    return figure["difference"].get(of) if figure else None
