"""Figures under changes of the pictures, each beside those of the unchanged ones, and what they come to in words.

The same images are judged changed and unchanged, so a difference is paired: its interval is that of a bootstrap over
groups of patients, the same draw for both (as in comparing.py). Where a bootstrap sees no spread, because no answer
differed, the interval is as wide as that many groups without a difference still allow (Wilson's for 0 of n).
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


class Moved(TypedDict):
    """A figure under a change with its 95 % interval, and its difference to that of the unchanged pictures."""

    value: float | None
    low: float | None
    high: float | None
    difference: Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What was said of N images. scores: (N, K), ranking as the probabilities do. probabilities: float32 (N, K).
    called: bool (N, K), which labels are announced. flags: bool (N, K), at or above their operating points. refused:
    bool (N,), or None where the model refuses nothing."""

    scores: np.ndarray
    probabilities: np.ndarray
    called: np.ndarray
    flags: np.ndarray
    refused: np.ndarray | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The images and the question. targets: (N, K) of 1/0/NaN. groups: int (N,). positive: of two classes the one that
    is looked for."""

    targets: np.ndarray
    groups: np.ndarray
    labels: tuple[str, ...]
    task: str
    positive: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one change does. figures: by name, of FIGURES those that can be computed. same: share of the images of which
    the same is announced. altered: share of the images that the change alters at all (grey ones lose no colour)."""

    change: Corruption
    figures: Mapping[str, Moved]
    same: Metric
    altered: float

    def as_json(self) -> dict[str, Any]:
        """With the change's name and words."""
        c = self.change
        said = {"change": c.name, "kind": c.kind, "strength": c.strength, "words": c.words}
        return {**said, **self.figures, "same": self.same, "altered": self.altered}


def table(
    asked: Asked, before: Answered, after: Sequence[tuple[Corruption, Answered, float]], seed: int = 0
) -> tuple[dict[str, Metric], tuple[Row, ...]]:
    """The figures of the unchanged pictures, and a row for each change with what was answered and its share altered."""
    arms = [_weighted(asked, before), *(_weighted(asked, said) for _, said, _ in after)]
    agreed = [weighted.share((said.called == before.called).all(1), _all(asked)) for _, said, _ in after]
    drawn: list[dict[str, list[np.ndarray]]] = [{name: [] for name in arm} for arm in arms]
    same: list[list[np.ndarray]] = [[] for _ in agreed]
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in weighted.bootstrap_weights(asked.groups, seed):
            for arm, values in zip(arms, drawn, strict=True):
                for name, figure in arm.items():
                    values[name].append(np.asarray(figure(weights), np.float64))
            for values, share in zip(same, agreed, strict=True):
                values.append(share(weights))
    joined = [{name: np.concatenate(v) for name, v in values.items()} for values in drawn]
    size = _sizes(asked)
    unchanged = {name: _widened(_summary(v), name, asked, size) for name, v in joined[0].items()}
    rows = []
    for (change, _, altered), values, agreement in zip(after, joined[1:], same, strict=True):
        figures = {}
        for name, v in values.items():
            difference = _summary(v - joined[0][name])
            if altered and name in _SHARES:
                difference = _no_narrower(difference, size[name])
            figures[name] = Moved(**_widened(_summary(v), name, asked, size), difference=difference)
        shown = weighted.widen_share_interval(_summary(np.concatenate(agreement)), size["refused"])
        rows.append(Row(change=change, figures=figures, same=shown, altered=altered))
    return unchanged, tuple(rows)


def sentences(unchanged: Mapping[str, Metric], rows: Sequence[Row], groups: int) -> tuple[str, ...]:
    """What it comes to, for a doctor: what the model is most sensitive to, what it refuses, what leaves it alone."""
    said = []
    fallen = [r for r in rows if _end(r, "auc", "high") is not None and (_end(r, "auc", "high") or 0) < 0]
    fallen.sort(key=lambda r: _end(r, "auc", "value") or 0)
    told = fallen[:3]
    if told:
        said.append(f"Most sensitive to: {'; '.join(map(_worst, told))}.")
    elif unchanged.get("auc", {}).get("value") is None:
        said.append("The AUC cannot be computed on these images: they lack cases with or without the labels.")
    elif any(_end(r, "auc", "high") is not None for r in rows):
        said.append("No change lowers the AUC by more than chance explains.")
    else:
        said.append("There are too few groups of patients for intervals: the differences may be chance.")
    refusing = [r for r in rows if r not in told and (_end(r, "refused", "value") or 0) > OFTEN]
    if refusing:
        refusing.sort(key=lambda r: -(_end(r, "refused", "value") or 0))
        listed = ", ".join(f"{r.change.title} {_refused(r)}" for r in refusing[:4])
        said.append(f"Pictures of its own kind are refused more often after: {listed}.")
    steady = [r.change.title for r in rows if r.altered and _steady(r)]
    if steady:
        said.append(f"Holds (AUC within ±{STEADY:g}) under: {', '.join(steady)}.")
    if groups < FEWEST_GROUPS:
        said.append(f"With fewer than {FEWEST_GROUPS} groups of patients all of this says little.")
    return tuple(said)


def _worst(row: Row) -> str:
    """ "blur (strong): AUC −0.06 (−0.09 to −0.03), 34% refused"."""
    d = row.figures["auc"]["difference"]
    text = f"{row.change.title}: AUC {_signed(d['value'])} ({_signed(d['low'])} to {_signed(d['high'])})"
    return f"{text}, {_refused(row)} refused" if row.figures.get("refused", {}).get("value") else text


def _refused(row: Row) -> str:
    return f"{row.figures['refused']['value'] or 0:.0%}"


def _steady(row: Row) -> bool:
    low, high = _end(row, "auc", "low"), _end(row, "auc", "high")
    close = low is not None and high is not None and low >= -STEADY and high <= STEADY
    return close and (_end(row, "refused", "value") or 0) <= OFTEN / 2


def _end(row: Row, name: str, of: str) -> float | None:
    """The value, low or high of a figure's difference."""
    figure = row.figures.get(name)
    return figure["difference"].get(of) if figure else None


def _signed(x: float | None) -> str:
    return f"{x or 0:+.2f}".replace("-", "−").replace("+0.00", "0.00").replace("−0.00", "0.00")


def _all(asked: Asked) -> np.ndarray:
    return np.ones(len(asked.targets), bool)


def _weighted(asked: Asked, said: Answered) -> dict[str, Weighted]:
    """The figures as functions of row weights, as evaluate.headline has them."""
    y, called = asked.targets, said.called
    known, truth = ~np.isnan(y), y == 1
    labels = _judgeable(asked)
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
        figures["refused"] = weighted.share(said.refused, _all(asked))
    return {name: figures[name] for name in FIGURES if name in figures}


def _judgeable(asked: Asked) -> list[int]:
    """Labels with cases for and against them."""
    return [k for k, column in enumerate(asked.targets.T) if (column == 1).any() and (column == 0).any()]


def _sizes(asked: Asked) -> dict[str, int]:
    """Independent groups that each share is of."""
    every = len(np.unique(asked.groups))
    sizes = dict.fromkeys(_SHARES, every)
    if asked.positive is not None:
        column = asked.targets[:, asked.labels.index(asked.positive)]
        for name, value in (("sensitivity", 1), ("specificity", 0)):
            sizes[name] = len(np.unique(asked.groups[column == value]))
    return sizes


def _widened(metric: Metric, name: str, asked: Asked, size: Mapping[str, int]) -> Metric:
    """As in the headline of a report: intervals that a bootstrap cannot see are joined in."""
    if name in _SHARES:
        return weighted.widen_share_interval(metric, size[name])
    if name == "auc" and asked.positive is not None:
        column = asked.targets[:, asked.labels.index(asked.positive)]
        with_it, without = (len(np.unique(asked.groups[column == v])) for v in (1, 0))
        return weighted.widen_auc_interval(metric, with_it, without)
    return metric


def _no_narrower(difference: Metric, n: int) -> Metric:
    v, low, high = difference["value"], difference["low"], difference["high"]
    if v is None or low is None or high is None:
        return difference
    room = weighted.wilson(0, n)[1]
    return Metric(value=v, low=max(-1.0, min(low, v - room)), high=min(1.0, max(high, v + room)))


def _summary(values: np.ndarray) -> Metric:
    """The first of values (1 + draws,) with the 2.5 and 97.5 percentiles of the others; None where most are missing."""
    point, drawn = values[0], values[1:]
    if not np.isfinite(point):
        return Metric(value=None, low=None, high=None)
    known = drawn[np.isfinite(drawn)]
    if len(known) < len(drawn) / 2:
        return Metric(value=float(point), low=None, high=None)
    low, high = np.quantile(known, (0.025, 0.975))
    return Metric(value=float(point), low=float(min(low, point)), high=float(max(high, point)))
