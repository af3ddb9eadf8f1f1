"""The shortcut probe: can the file's outside alone predict the label?

A classifier learns whatever separates the folders. When the size of the file, the format of the picture, its brightness
or its borders already tell the classes apart, a high figure need not mean that disease was recognised.

Source: DeGrave, Janizek & Lee, Nature Machine Intelligence 3 (2021) 610-619.
"""

from __future__ import annotations

import numpy as np

from medloupe.data.split import fold_count, folds
from medloupe.embed.features import Features
from medloupe.metrics.weighted import Metric, Ranking, average, bootstrap_intervals, widen_auc_interval
from medloupe.training.heads.fit import macro_auc, rankable
from medloupe.training.heads.solver import Problem, solve

SERIOUS = 0.75  # AUC of the probe from which it is said loudly
_BINS = 8  # quantiles a feature is cut into, so that a linear probe sees curves
_PENALTY = 0.3


def outside(features: Features) -> dict[str, np.ndarray]:
    """What can be seen without looking into the picture, float (N,) each."""
    facts = features.facts
    width, height = facts["width"].astype(float), facts["height"].astype(float)
    thumb = facts["thumb"].astype(np.float32) / 255
    grey = thumb.mean(3)
    inside = _content(width, height, grey.shape[1])
    return {
        "file size": facts["bytes"].astype(float),
        "width in pixels": width,
        "height in pixels": height,
        "aspect ratio": width / height,
        "bytes per pixel": facts["bytes"] / (width * height),
        "brightness": _mean(grey, inside),
        "contrast": np.sqrt(np.maximum(_mean(grey**2, inside) - _mean(grey, inside) ** 2, 0)),
        "border brightness": _mean(grey, inside & ~_content(width, height, grey.shape[1], margin=2)),
        "colourfulness": _mean(thumb.max(3) - thumb.min(3), inside),
    }


def _content(width: np.ndarray, height: np.ndarray, side: int, margin: int = 0) -> np.ndarray:
    """bool (N, side, side): where the fitted thumbnail shows picture, not padding, less a margin in pixels."""
    longest = np.maximum(width, height)
    at = np.abs(np.arange(side) + 0.5 - side / 2)
    half_w = np.maximum(side * width / longest / 2 - margin, 0.5)
    half_h = np.maximum(side * height / longest / 2 - margin, 0.5)
    return (at[None, None, :] <= half_w[:, None, None]) & (at[None, :, None] <= half_h[:, None, None])


def _mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    return (values * where).sum((1, 2)) / np.maximum(where.sum((1, 2)), 1)


def probe(features: Features, rows: np.ndarray, groups: np.ndarray, seed: int = 0) -> dict | None:
    """How well the outside predicts the label, out of fold by group.

    rows: labelled records. Returns {"auc": Metric, "features": [{"name", "auc"}], "sentence"}, or None when the
    records are too few to cross-validate.
    """
    targets = features.data.targets[rows]
    group = groups[rows]
    task = features.data.task
    count = fold_count(targets, group)
    if not count:
        return None
    values = {name: v[rows] for name, v in outside(features).items()}
    varying = {name: v for name, v in values.items() if np.ptp(v) > 1e-9}
    single = {name: _either_way(v, targets) for name, v in varying.items()}
    x = np.concatenate([_binned(v) for v in varying.values()] or [np.zeros((len(rows), 1), np.float32)], axis=1)
    fold = folds(targets, group, count, seed)
    flat = {"mean": np.zeros(x.shape[1], np.float32), "scale": np.ones(x.shape[1], np.float32)}
    problems = [Problem(weights=(fold != f).astype(np.float32), penalty=_PENALTY, **flat) for f in range(count)]
    z = np.empty(targets.shape, np.float32)
    for f, s in enumerate(solve(x, targets, problems, task=task)):
        z[fold == f] = x[fold == f] @ s.weight + s.bias
    scores = rankable(z, task)
    each = [Ranking(s, t).auc for s, t in zip(scores.T, targets.T, strict=True)]
    auc = bootstrap_intervals({"auc": average(each)}, group, seed)["auc"]
    if targets.shape[1] == 2 and task == "multiclass":
        sides = [len(np.unique(group[targets[:, 1] == v])) for v in (1, 0)]
        auc = widen_auc_interval(auc, *sides)
    named = sorted(single.items(), key=lambda item: -item[1])
    return {
        "auc": auc,
        "features": [{"name": name, "auc": round(value, 4)} for name, value in named],
        "sentence": _sentence(auc, macro_auc(scores, targets), named),
    }


def _either_way(values: np.ndarray, targets: np.ndarray) -> float:
    """The AUC of one feature, averaged over labels, whichever way it points."""
    ones = np.ones((1, len(values)), np.float32)
    each = np.array([Ranking(values, t).auc(ones)[0] for t in targets.T])
    each = each[np.isfinite(each)]
    return float(np.mean(np.abs(each - 0.5) + 0.5)) if len(each) else 0.5


def _binned(values: np.ndarray) -> np.ndarray:
    """One-hot float32 (N, bins) of the quantile a value falls into."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.eye(len(edges) + 1, dtype=np.float32)[np.searchsorted(edges, values)]


def _sentence(auc: Metric, value: float, named: list[tuple[str, float]]) -> str:
    best = f"{named[0][0]} alone reaches {named[0][1]:.2f}" if named else "no outside feature varies"
    if value >= SERIOUS:
        return (
            "Without looking into the picture, from its file size, dimensions, brightness, borders and colour alone,"
            f" the label can be guessed with an AUC of {value:.2f} ({best}). The classes were collected differently: a"
            " good part of any figure in this report may come from that difference and be lost elsewhere."
        )
    low = auc["low"]
    if low is not None and low > 0.5 and value >= 0.6:
        return (
            f"The outside of the files tells a little about the label: AUC {value:.2f} ({best}), where 0.5 is guessing."
        )
    return (
        f"The outside of the files tells next to nothing about the label: AUC {value:.2f} ({best}), where 0.5 is"
        " guessing."
    )
