"""Measure figures under changes of the pictures beside those of the unchanged ones, and say what they come to.

The same images are judged changed and unchanged, so a difference is paired: its interval is that of a bootstrap over
groups of patients, the same draw for both (as in metrics/paired.py). Where a bootstrap sees no spread, because no
answer differed, the interval is as wide as that many groups without a difference still allow (Wilson's for 0 of n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from medloupe.imaging.corruptions import Corruption
from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric, Ranking, Weighted

FIGURES = ("auc", "balanced_accuracy", "sensitivity", "specificity", "ece", "refused")
STEADY = 0.02  # an AUC whose interval stays within this of the unchanged one holds
OFTEN = 0.1  # share refused, beyond that of unchanged pictures, which is said
FEWEST_GROUPS = 30  # with fewer, little can be said
_SHARES: tuple[str, ...] = ("balanced_accuracy", "sensitivity", "specificity", "refused")


class ShiftedFigure(TypedDict):
    """A figure under a change with its 95 % interval, and its difference to that of the unchanged pictures."""

    value: float | None
    low: float | None
    high: float | None
    difference: Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class StressAnswers:
    """What was said of N images.

    Attributes
    ----------
    scores : np.ndarray
        (N, K), ranking as the probabilities do.
    probabilities : np.ndarray
        float32 (N, K).
    called : np.ndarray
        bool (N, K), which labels are announced.
    flags : np.ndarray
        bool (N, K), at or above their operating points.
    refused : np.ndarray or None
        bool (N,); None where the model refuses nothing.
    """

    scores: np.ndarray
    probabilities: np.ndarray
    called: np.ndarray
    flags: np.ndarray
    refused: np.ndarray | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StressQuestion:
    """The truth of N images, and what is looked for in them.

    Attributes
    ----------
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,).
    labels : tuple of str
        K names.
    task : str
        "multiclass" or "multilabel".
    positive : str or None
        Of two classes the one that is looked for.
    """

    targets: np.ndarray
    groups: np.ndarray
    labels: tuple[str, ...]
    task: str
    positive: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptionRow:
    """What one change does.

    Attributes
    ----------
    change : Change
        What is done to the pictures.
    figures : mapping of str to ShiftedFigure
        By name, of FIGURES those that can be computed.
    same : Metric
        Share of the images of which the same is announced.
    altered : float
        Share of the images that the change alters at all (grey ones lose no colour).
    """

    change: Corruption
    figures: Mapping[str, ShiftedFigure]
    same: Metric
    altered: float

    def as_json(self) -> dict[str, Any]:
        """Give the figures with the change's name and words."""
        c = self.change
        said = {"change": c.name, "kind": c.kind, "strength": c.strength, "words": c.words}
        return {**said, **self.figures, "same": self.same, "altered": self.altered}


def compare_figures(
    asked: StressQuestion,
    before: StressAnswers,
    after: Sequence[tuple[Corruption, StressAnswers, float]],
    seed: int = 0,
) -> tuple[dict[str, Metric], tuple[CorruptionRow, ...]]:
    """Compare the figures under every change with those of the unchanged pictures.

    Parameters
    ----------
    asked : StressQuestion
        The truth.
    before : StressAnswers
        To the unchanged pictures.
    after : sequence of tuple
        Of every change: what was answered, and the share of the pictures that it altered.
    seed : int
        Of the draws of groups, which all figures share.

    Returns
    -------
    unchanged : dict of str to Metric
        Figures of the unchanged pictures.
    rows : tuple of CorruptionRow
        One for each change.
    """
    arms = [_weighted_figures(asked, before), *(_weighted_figures(asked, said) for _, said, _ in after)]
    agreed = [weighted.share((said.called == before.called).all(1), _every_row(asked)) for _, said, _ in after]
    (base, *drawn), same = draw_figures(arms, agreed, asked.groups, seed)
    size = _count_groups(asked)
    rows = []
    for (change, _, altered), values, agreement in zip(after, drawn, same, strict=True):
        figures = {}
        for name, v in values.items():
            difference = _summarise(v - base[name])
            if altered and name in _SHARES:
                difference = widen_difference(difference, size[name])
            figures[name] = ShiftedFigure(**_widen(_summarise(v), name, asked, size), difference=difference)
        shown = weighted.widen_share_interval(_summarise(agreement), size["refused"])
        rows.append(CorruptionRow(change=change, figures=figures, same=shown, altered=altered))
    return {name: _widen(_summarise(v), name, asked, size) for name, v in base.items()}, tuple(rows)


def draw_figures(
    arms: Sequence[Mapping[str, Weighted]], agreed: Sequence[Weighted], groups: np.ndarray, seed: int
) -> tuple[list[dict[str, np.ndarray]], list[np.ndarray]]:
    """Compute every figure of every arm, and every agreement, (1 + draws,), over the same draws of groups.

    Parameters
    ----------
    arms : sequence of mapping
        Figures by name: of the unchanged pictures and under every change.
    agreed : sequence of Weighted
        Under every change, how much stays the same.
    groups : np.ndarray
        int (N,).
    seed : int
        Of the draws.
    """
    drawn: list[dict[str, list[np.ndarray]]] = [{name: [] for name in arm} for arm in arms]
    same: list[list[np.ndarray]] = [[] for _ in agreed]
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in weighted.bootstrap_weights(groups, seed):
            for arm, values in zip(arms, drawn, strict=True):
                for name, figure in arm.items():
                    values[name].append(np.asarray(figure(weights), np.float64))
            for values, share in zip(same, agreed, strict=True):
                values.append(share(weights))
    joined = [{name: np.concatenate(v) for name, v in values.items()} for values in drawn]
    return joined, [np.concatenate(values) for values in same]


def word_shifts(unchanged: Mapping[str, Metric], rows: Sequence[CorruptionRow], groups: int) -> tuple[str, ...]:
    """Say, to a doctor, what the model is most sensitive to, what it refuses, and what leaves it alone.

    Parameters
    ----------
    unchanged : mapping of str to Metric
        Figures of the unchanged pictures.
    rows : sequence of CorruptionRow
        One for each change.
    groups : int
        Of patients and copies, that were judged.
    """
    fallen = [r for r in rows if _falls_clearly(r)]
    fallen.sort(key=lambda r: _difference_part(r, "auc", "value") or 0)
    told = fallen[:3]
    said = [_word_worst(unchanged, rows, told)]
    refusing = [r for r in rows if r not in told and (_difference_part(r, "refused", "value") or 0) > OFTEN]
    if refusing:
        refusing.sort(key=lambda r: -(_difference_part(r, "refused", "value") or 0))
        listed = ", ".join(f"{r.change.title} {_format_refused(r)}" for r in refusing[:4])
        said.append(f"Pictures of its own kind are refused more often after: {listed}.")
    steady = [r.change.title for r in rows if r.altered and _is_steady(r)]
    if steady:
        said.append(f"Holds (AUC within ±{STEADY:g}) under: {', '.join(steady)}.")
    if groups < FEWEST_GROUPS:
        said.append(f"With fewer than {FEWEST_GROUPS} groups of patients all of this says little.")
    return tuple(said)


def _word_worst(unchanged: Mapping[str, Metric], rows: Sequence[CorruptionRow], told: Sequence[CorruptionRow]) -> str:
    """Say which changes lower the AUC most, or that none is known to."""
    if told:
        return f"Most sensitive to: {'; '.join(map(_word_fall, told))}."
    if unchanged.get("auc", {}).get("value") is None:
        return "The AUC cannot be computed on these images: they lack cases with or without the labels."
    if any(_difference_part(r, "auc", "high") is not None for r in rows):
        return "No change lowers the AUC by more than chance explains."
    return "There are too few groups of patients for intervals: the differences may be chance."


def _falls_clearly(row: CorruptionRow) -> bool:
    high = _difference_part(row, "auc", "high")
    return high is not None and high < 0


def _word_fall(row: CorruptionRow) -> str:
    """Word a row as "blur (strong): AUC −0.06 (−0.09 to −0.03), 34% refused"."""
    d = row.figures["auc"]["difference"]
    value, low, high = (format_signed(d[part]) for part in ("value", "low", "high"))
    text = f"{row.change.title}: AUC {value} ({low} to {high})"
    return f"{text}, {_format_refused(row)} refused" if row.figures.get("refused", {}).get("value") else text


def _format_refused(row: CorruptionRow) -> str:
    return f"{row.figures['refused']['value'] or 0:.0%}"


def _is_steady(row: CorruptionRow) -> bool:
    low, high = _difference_part(row, "auc", "low"), _difference_part(row, "auc", "high")
    close = low is not None and high is not None and low >= -STEADY and high <= STEADY
    return close and (_difference_part(row, "refused", "value") or 0) <= OFTEN / 2


def _difference_part(row: CorruptionRow, name: str, of: str) -> float | None:
    """Take the value, low or high of a figure's difference."""
    figure = row.figures.get(name)
    return figure["difference"].get(of) if figure else None


def format_signed(x: float | None) -> str:
    """Write a difference with two digits and its sign."""
    return f"{x or 0:+.2f}".replace("-", "−").replace("+0.00", "0.00").replace("−0.00", "0.00")


def _every_row(asked: StressQuestion) -> np.ndarray:
    return np.ones(len(asked.targets), bool)


def _weighted_figures(asked: StressQuestion, said: StressAnswers) -> dict[str, Weighted]:
    """Write the figures as functions of row weights, as metrics.tables.headline has them."""
    y, called = asked.targets, said.called
    known, truth = ~np.isnan(y), y == 1
    labels = _judgeable_labels(asked)
    found = [weighted.share(called[:, k], truth[:, k]) for k in labels]
    figures: dict[str, Weighted] = {
        "auc": weighted.average([Ranking(said.scores[:, k], y[:, k]).auc for k in labels]),
    }
    p = said.probabilities
    if asked.task == "multiclass":
        figures["balanced_accuracy"] = weighted.average(found)
        rows = np.flatnonzero(known.any(1))
        right = truth[rows, p[rows].argmax(1)]
        figures["ece"] = weighted.calibration_error(p[rows].max(1), right, rows)
    else:
        spared = [weighted.share(~called[:, k], known[:, k] & ~truth[:, k]) for k in labels]
        figures["balanced_accuracy"] = weighted.average([*found, *spared])
        row, k_of = np.nonzero(known)
        figures["ece"] = weighted.calibration_error(p[row, k_of], truth[row, k_of], row)
    if asked.positive is not None:
        k = asked.labels.index(asked.positive)
        figures["sensitivity"] = weighted.share(said.flags[:, k], truth[:, k])
        figures["specificity"] = weighted.share(~said.flags[:, k], known[:, k] & ~truth[:, k])
    if said.refused is not None:
        figures["refused"] = weighted.share(said.refused, _every_row(asked))
    return {name: figures[name] for name in FIGURES if name in figures}


def _judgeable_labels(asked: StressQuestion) -> list[int]:
    """Find the labels with cases for and against them."""
    return [k for k, column in enumerate(asked.targets.T) if (column == 1).any() and (column == 0).any()]


def _count_groups(asked: StressQuestion) -> dict[str, int]:
    """Count the independent groups that each share is of."""
    every = len(np.unique(asked.groups))
    sizes = dict.fromkeys(_SHARES, every)
    if asked.positive is not None:
        column = asked.targets[:, asked.labels.index(asked.positive)]
        for name, value in (("sensitivity", 1), ("specificity", 0)):
            sizes[name] = len(np.unique(asked.groups[column == value]))
    return sizes


def _widen(metric: Metric, name: str, asked: StressQuestion, size: Mapping[str, int]) -> Metric:
    """Join in the intervals that a bootstrap cannot see, as in the headline of a report."""
    if name in _SHARES:
        return weighted.widen_share_interval(metric, size[name])
    if name == "auc" and asked.positive is not None:
        column = asked.targets[:, asked.labels.index(asked.positive)]
        with_it, without = (len(np.unique(asked.groups[column == v])) for v in (1, 0))
        return weighted.widen_auc_interval(metric, with_it, without)
    return metric


def widen_difference(difference: Metric, n: int) -> Metric:
    """Join the interval of a difference of shares with what n groups without a difference still allow (Wilson)."""
    v, low, high = difference["value"], difference["low"], difference["high"]
    if v is None or low is None or high is None:
        return difference
    room = weighted.wilson(0, n)[1]
    return Metric(value=v, low=max(-1.0, min(low, v - room)), high=min(1.0, max(high, v + room)))


def _summarise(values: np.ndarray) -> Metric:
    """Summarise values (1 + draws,): the first, with the 2.5 and 97.5 percentiles of the others if most are known."""
    point, drawn = values[0], values[1:]
    if not np.isfinite(point):
        return Metric(value=None, low=None, high=None)
    known = drawn[np.isfinite(drawn)]
    if len(known) < len(drawn) / 2:
        return Metric(value=float(point), low=None, high=None)
    low, high = np.quantile(known, (0.025, 0.975))
    return Metric(value=float(point), low=float(min(low, point)), high=float(max(high, point)))
