"""Fit a head on some rows of the features and on their field views, chosen by folds or by sources left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures
from medloupe.training.heads.field import FieldFit, teach
from medloupe.training.heads.fit import FittedHead, fit
from medloupe.training.heads.sources import part_by_source
from medloupe.utils.stacked import take_rows


def fit_taught(
    features: Features,
    plan: Plan,
    rows: np.ndarray,
    levels: tuple[int, ...],
    seed: int,
    views: FieldFeatures | None = None,
    sources: Sequence[str] | None = None,
    *,
    repeats: int | None = 1,
) -> tuple[FittedHead, FieldFit | None]:
    """Fit a head, and teach it the views.

    Parameters
    ----------
    features : Features
        Embeddings (N, D) and targets (N, K).
    plan : Plan
        With the groups.
    rows : np.ndarray
        int (n,), to fit on.
    levels : tuple of int
        How D divides.
    seed : int
        Of the folds.
    views : FieldFeatures, optional
        Of rows of the features.
    sources : sequence of str, optional
        Of each of the N rows, "" where it is not told. Where two of them can judge, they choose; else the folds do.
    repeats : int or None
        As of `fit`.

    Returns
    -------
    tuple of (FittedHead, FieldFit or None)
        The head, and what views taught it, numbered by `rows`; None without views.
    """
    task, y, groups = features.data.task, features.data.targets[rows], plan.groups[rows]
    x = take_rows(features.embeddings, rows)
    parts = None if sources is None else part_by_source([sources[int(i)] for i in rows], y, groups, seed)
    parts = parts if parts is not None and parts.can_choose else None
    fitted = fit(x, y, groups, task=task, levels=levels, seed=seed, repeats=repeats, sources=parts)
    if views is None:
        return fitted, None
    taught = teach(fitted, x, y, groups, views.within(rows), task=task, levels=levels, sources=parts)
    return (fitted, None) if taught is None else taught
