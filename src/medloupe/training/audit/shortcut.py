"""Probe for shortcuts: whether the file's outside alone predicts the label.

A classifier learns whatever separates the folders. When the size of the file, the format of the picture, its brightness
or its borders already tell the classes apart, a high figure need not mean that disease was recognised.

Source: DeGrave, Janizek & Lee, Nature Machine Intelligence 3 (2021) 610-619.
"""

from __future__ import annotations

import numpy as np

from medloupe.data.split import assign_folds, count_folds
from medloupe.embed.features import Features
from medloupe.metrics.weighted import Metric, Ranking, average, bootstrap_intervals, widen_auc_interval
from medloupe.training.audit.probe import probe_logits
from medloupe.training.heads.ranking import macro_auc, ranking_scores

NOTABLE = 0.05  # by which one feature alone must tell more than all together to be named for it
SERIOUS = 0.75  # AUC of the probe from which it is said loudly
_CHANCE = 2.8  # standard deviations that the best of nine features that tell nothing exceeds in one of twenty sets
_BINS = 8  # quantiles a feature is cut into, so that a linear probe sees curves


def outside_features(features: Features) -> dict[str, np.ndarray]:
    """Measure what can be seen without looking into the picture: by name, float (N,) each."""
    facts = features.facts
    width, height = facts["width"].astype(float), facts["height"].astype(float)
    thumb = facts["thumb"].astype(np.float32) / 255
    grey = thumb.mean(3)
    inside = _picture_mask(width, height, grey.shape[1])
    return {
        "file size": facts["bytes"].astype(float),
        "width in pixels": width,
        "height in pixels": height,
        "aspect ratio": width / height,
        "bytes per pixel": facts["bytes"] / (width * height),
        "brightness": _masked_mean(grey, inside),
        "contrast": np.sqrt(np.maximum(_masked_mean(grey**2, inside) - _masked_mean(grey, inside) ** 2, 0)),
        "border brightness": _masked_mean(grey, inside & ~_picture_mask(width, height, grey.shape[1], margin=2)),
        "colourfulness": _masked_mean(thumb.max(3) - thumb.min(3), inside),
    }


def _picture_mask(width: np.ndarray, height: np.ndarray, side: int, margin: int = 0) -> np.ndarray:
    """Mark, bool (N, side, side), where a fitted thumbnail shows picture, not padding, less a margin in pixels."""
    longest = np.maximum(width, height)
    at = np.abs(np.arange(side) + 0.5 - side / 2)
    half_w = np.maximum(side * width / longest / 2 - margin, 0.5)
    half_h = np.maximum(side * height / longest / 2 - margin, 0.5)
    return (at[None, None, :] <= half_w[:, None, None]) & (at[None, :, None] <= half_h[:, None, None])


def _masked_mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    return (values * where).sum((1, 2)) / np.maximum(where.sum((1, 2)), 1)


def probe_shortcut(features: Features, rows: np.ndarray, groups: np.ndarray, seed: int = 0) -> dict | None:
    """Measure how well the outside predicts the label, out of fold by group.

    Parameters
    ----------
    features : Features
        Of pictures, with the facts noted as they were decoded.
    rows : np.ndarray
        int (n,), the labelled records.
    groups : np.ndarray
        int (N,), of all records.
    seed : int
        Of folds and bootstrap.

    Returns
    -------
    dict or None
        {"auc": Metric, "features": [{"name", "auc"}], "sentence"}; None when the records are too few to
        cross-validate.
    """
    targets = features.data.targets[rows]
    group = groups[rows]
    task = features.data.task
    count = count_folds(targets, group)
    if not count:
        return None
    values = {name: v[rows] for name, v in outside_features(features).items()}
    varying = {name: v for name, v in values.items() if np.ptp(v) > 1e-9}
    single = {name: _undirected_auc(v, targets) for name, v in varying.items()}
    x = np.concatenate(
        [_one_hot_quantiles(v) for v in varying.values()] or [np.zeros((len(rows), 1), np.float32)], axis=1
    )
    fold = assign_folds(targets, group, count, seed)
    scores = ranking_scores(probe_logits(x, targets, fold, task)[0], task)
    each = [Ranking(s, t).auc for s, t in zip(scores.T, targets.T, strict=True)]
    auc = bootstrap_intervals({"auc": average(each)}, group, seed)["auc"]
    if targets.shape[1] == 2 and task == "multiclass":
        sides = [len(np.unique(group[targets[:, 1] == v])) for v in (1, 0)]
        auc = widen_auc_interval(auc, *sides)
    named = sorted(single.items(), key=lambda item: -item[1])
    return {
        "auc": auc,
        "features": [{"name": name, "auc": round(value, 4)} for name, value in named],
        "sentence": _sentence(auc, macro_auc(scores, targets), named, _reach_by_chance(targets, group)),
    }


def _reach_by_chance(targets: np.ndarray, group: np.ndarray) -> float:
    """Say what AUC the best of features that tell nothing may reach among so many groups (Mann and Whitney 1947)."""
    sides = [[len(np.unique(group[t == v])) for v in (1, 0)] for t in targets.T]
    spread = [np.sqrt((a + b + 1) / (12 * a * b)) for a, b in sides if a and b]
    return 0.5 + _CHANCE * float(np.mean(spread)) if spread else 1.0


def _undirected_auc(values: np.ndarray, targets: np.ndarray) -> float:
    """Average the AUC of one feature over the labels, whichever way it points."""
    ones = np.ones((1, len(values)), np.float32)
    each = np.array([Ranking(values, t).auc(ones)[0] for t in targets.T])
    each = each[np.isfinite(each)]
    return float(np.mean(np.abs(each - 0.5) + 0.5)) if len(each) else 0.5


def _one_hot_quantiles(values: np.ndarray) -> np.ndarray:
    """Encode values (N,) one-hot, float32 (N, bins), by the quantile they fall into."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.eye(len(edges) + 1, dtype=np.float32)[np.searchsorted(edges, values)]


def _sentence(auc: Metric, value: float, named: list[tuple[str, float]], chance: float) -> str:
    best = f"{named[0][0]} alone reaches {named[0][1]:.2f}" if named else "no outside feature varies"
    if value >= SERIOUS:
        return (
            "Without looking into the picture, from its file size, dimensions, brightness, borders and colour alone,"
            f" the label can be guessed with an AUC of {value:.2f} ({best}). The classes were collected differently: a"
            " good part of any figure in this report may come from that difference and be lost elsewhere."
        )
    low = auc["low"]
    if named and named[0][1] >= max(
        max(value, 0.5) + NOTABLE, chance
    ):  # together they were not learned, one alone tells more
        return (
            f"The outside of the files tells something about the label: {named[0][0]} alone reaches an AUC of"
            f" {named[0][1]:.2f}, all of it learned together {value:.2f} out of fold, where 0.5 is guessing."
        )
    if low is not None and low > 0.5 and value >= 0.6:
        return (
            f"The outside of the files tells a little about the label: AUC {value:.2f} ({best}), where 0.5 is guessing."
        )
    return (
        f"The outside of the files tells next to nothing about the label: AUC {value:.2f} ({best}), where 0.5 is"
        " guessing."
    )
