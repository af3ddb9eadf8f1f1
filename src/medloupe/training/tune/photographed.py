"""Fit heads on tuned networks to field views beside direct pictures: each fold by a network that had not seen it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medloupe.training.heads.field import FieldFit, refit_with_views, teach
from medloupe.training.heads.fit import FittedHead, build_head
from medloupe.training.heads.solver import Solution
from medloupe.training.tune.run import TunedNetworks


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtHead:
    """A head on a tuned network that learned from views.

    Attributes
    ----------
    fitted : FittedHead
        With the head to ship, fitted on everything, and predictions out of fold of the rows tuned.fitting.
    on_fitting : Solution
        The same head, uncalibrated, fitted on tuned.fitting alone.
    field : FieldFit
        Of views of tuned.fitting, numbered by these rows.
    """

    fitted: FittedHead
    on_fitting: Solution
    field: FieldFit


def teach_tuned(
    tuned: TunedNetworks,
    fitted: FittedHead,
    targets: np.ndarray,
    groups: np.ndarray,
    everything: np.ndarray,
    *,
    task: str,
    levels: tuple[int, ...],
) -> TaughtHead | None:
    """Fit the chosen head again with views beside the rows, and choose how much these weigh.

    Parameters
    ----------
    tuned : TunedNetworks
        With views.
    fitted : FittedHead
        By rows alone, on the networks at its choice's alpha.
    targets, groups : np.ndarray
        float32 (N, K) and int (N,), of all rows.
    everything : np.ndarray
        int, rows that the shipped head is fitted on.
    task, levels
        As it was fitted.

    Returns
    -------
    TaughtHead or None
        None where there are no views of the rows.
    """
    rows, choice = tuned.fitting, fitted.choice

    def see(fold: int) -> tuple[np.ndarray, np.ndarray]:
        views = tuned.see_views(fold, choice.alpha).within(rows)
        return tuned.embeddings(fold, choice.alpha)[rows], views.embeddings

    x, views = tuned.embeddings(None, choice.alpha), tuned.see_views(None, choice.alpha)
    y = targets[rows]
    own = views.within(rows)
    found = teach(fitted, x[rows], y, groups[rows], own, task=task, levels=levels, networks=see)
    if found is None:
        return None
    taught, field = found

    def solve(some: np.ndarray) -> Solution:
        return refit_with_views(
            x[some],
            targets[some],
            views.within(some),
            [np.ones(len(some), bool)],
            choice,
            weight=field.weight,
            freer=field.freer,
            task=task,
            levels=levels,
        )[0]

    on_fitting = solve(rows)
    if len(everything) != len(rows):
        taught = replace(taught, head=build_head(solve(everything), taught.temperature, task))
    return TaughtHead(fitted=taught, on_fitting=on_fitting, field=field)
