"""Learn which photographs show too little to be answered.

A boundary in the sketch of novelty tells hard field views from all others: there answers are wrong most often. Its
limit is the highest of three, so that of direct pictures, mild and medium photographs no more than a share each is
withheld, by boundaries that had seen no picture of the patient. Where answers hold even on hard views, nothing is
withheld.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloupe.data.split import assign_folds, count_folds
from medloupe.embed.field import FieldFeatures
from medloupe.model.legibility import Legibility
from medloupe.model.sketch import sketch_many
from medloupe.training.heads.field import FieldFit
from medloupe.training.heads.solver import Problem, solve
from medloupe.utils.stacked import stack_rows

WITHHELD = {"direct": 0.02, "mild": 0.05, "medium": 0.10}
"""Share of the pictures of each kind that may be withheld, when it is learned; new ones are withheld more often."""

WORSE = 0.03
"""By how much answers on hard views must be wrong more often than on direct pictures, for any to be withheld."""

FEWEST_HARD = 30
C = 3e-3  # inverse regularisation strength, as in scikit-learn
_SCALE = 0.05  # of the sketch's numbers, about their deviation
_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedLegibility:
    """What withholds, and what it withheld out of fold.

    Attributes
    ----------
    legibility : Legibility or None
        None where nothing is withheld.
    direct, views : np.ndarray
        bool (N,) and (V,), which were withheld by boundaries that had not seen their group.
    """

    legibility: Legibility | None
    direct: np.ndarray
    views: np.ndarray


def fit_legibility(
    embeddings: np.ndarray,
    wrong: np.ndarray,
    field: FieldFit,
    wrong_views: np.ndarray,
    groups: np.ndarray,
    levels: tuple[int, ...],
    seed: int,
) -> FittedLegibility:
    """Learn from direct pictures and their field views.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D), of direct pictures.
    wrong : np.ndarray
        bool (N,), whose answers out of fold are wrong.
    field : FieldFit
        With V views of them.
    wrong_views : np.ndarray
        bool (V,), the same of these.
    groups : np.ndarray
        int (N,).
    levels : tuple of int
        Of the novelty.
    seed : int
        Of the folds.
    """
    views = field.views
    hard = np.concatenate([np.zeros(len(groups), bool), views.severities == "hard"])
    nothing = FittedLegibility(
        legibility=None, direct=np.zeros(len(groups), bool), views=np.zeros(len(views.rows), bool)
    )
    together = np.concatenate([groups, groups[views.rows]])
    folds = count_folds(hard[:, None].astype(float), together, _FOLDS)
    photographed = photographs(views)
    on_hard = wrong_views[photographed & (views.severities == "hard")]
    if hard.sum() < FEWEST_HARD or folds < 2 or not len(on_hard) or on_hard.mean() - wrong.mean() <= WORSE:
        return nothing
    both = stack_rows(embeddings, views.shared)
    z = sketch_many(both, levels)
    fold = assign_folds(hard[:, None].astype(float), together, folds, seed)
    score = np.empty(len(z), np.float32)
    for f in range(folds):
        score[fold == f] = _fit(z[fold != f], hard[fold != f]).score(z[fold == f])
    n = len(groups)
    parts = {
        "direct": score[:n],
        **{s: score[n:][photographed & (views.severities == s)] for s in ("mild", "medium")},
    }
    limit = max(float(np.quantile(part, 1 - WITHHELD[name])) for name, part in parts.items() if len(part))
    whole = _fit(z, hard)
    return FittedLegibility(
        legibility=Legibility(weight=whole.weight, bias=whole.bias - limit),
        direct=score[:n] > limit,
        views=score[n:] > limit,
    )


def photographs(views: FieldFeatures) -> np.ndarray:
    """Tell which views are photographs, bool (V,): the others are worn direct copies."""
    return np.asarray(views.kinds != "worn")


def _fit(z: np.ndarray, hard: np.ndarray) -> Legibility:
    """Fit a logistic regression to sketches (N, W)."""
    problem = Problem(
        weights=np.ones(len(z), np.float32),
        c=C,
        mean=z.mean(0),
        scale=np.full(z.shape[1], _SCALE, np.float32),
    )
    target = hard[:, None].astype(np.float32)
    (found,) = solve(z, target, [problem], task="multilabel", tolerance=1e-3, iterations=300)
    return Legibility(weight=found.weight[:, 0].astype(np.float32), bias=float(found.bias[0]))
