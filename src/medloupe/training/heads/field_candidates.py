"""Compare ways to learn from field views out of fold, and choose one that costs direct pictures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.embed.field import FieldFeatures
from medloupe.metrics.weighted import Ranking, average, bootstrap_weights

HARD = 0.5  # of a view's share that a hard one has: what it shows may not tell the label
NOISE = 1.0  # standard errors by which direct pictures may seem to fare worse
LOST, AUC_LOST = 0.01, 0.002
"""Log loss and AUC that direct pictures may lose where views cost more than noise: in a large set noise is tiny."""

_DRAWS = 100  # of the bootstrap that tells the error of a difference of AUC


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCandidate:
    """One weight of the views, and how it fared out of fold.

    Attributes
    ----------
    weight : float
        Of all views of a picture together; 0: a head without views.
    freer : float
        By how much weaker the regularisation is than without views: there is more to learn from.
    direct, field : float
        Mean log loss of direct pictures and of views.
    lost : float
        By how much the direct pictures' loss exceeds that without views.
    error : float
        Its standard error over groups.
    auc_lost, auc_error : float
        The same of the AUC: by how much it falls short.
    """

    weight: float
    freer: float
    direct: float
    field: float
    lost: float
    error: float
    auc_lost: float
    auc_error: float

    def describe_losses(self) -> dict[str, float]:
        """Give what views cost and bring, for the card."""
        return {
            "direct_loss": round(self.direct, 4),
            "field_loss": round(self.field, 4),
            "lost": round(self.lost, 4),
            "error": round(self.error, 4),
            "auc_lost": round(self.auc_lost, 4),
            "auc_error": round(self.auc_error, 4),
        }


def view_shares(views: FieldFeatures, n: int) -> np.ndarray:
    """Share out what the views of each of n rows weigh together: float32 (V,)."""
    share = np.where(views.severities == "hard", HARD, 1.0)
    total = np.bincount(views.rows, share, minlength=n)[views.rows]
    return np.asarray(share / np.maximum(total, 1e-9), np.float32)


def compare_candidates(
    tried: Sequence[tuple[float, float]],
    losses: np.ndarray,
    p: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    views: FieldFeatures,
    rows: np.ndarray,
) -> tuple[FieldCandidate, ...]:
    """Compare W ways to learn from views, the first of which learns nothing from them.

    Parameters
    ----------
    tried : sequence of (float, float)
        Of each the weight of the views, and how much freer it is.
    losses : np.ndarray
        (W, N + V), of direct pictures and of views.
    p, y, groups : np.ndarray
        Probabilities (W, N, K), truth (N, K) and groups (N,) of direct pictures.
    views : FieldFeatures
        Of these.
    rows : np.ndarray
        bool (N,), by which they are compared.
    """
    n = len(y)
    fallen, errors = _compare_aucs(p[:, rows], y[rows], groups[rows])
    shares = view_shares(views, n) * rows[views.rows]
    _, group = np.unique(groups[rows], return_inverse=True)
    found = []
    for i, ((weight, freer), loss) in enumerate(zip(tried, losses, strict=True)):
        lost = (loss - losses[0])[:n][rows]
        sums = np.bincount(group, lost - lost.mean())
        found.append(
            FieldCandidate(
                weight=weight,
                freer=freer,
                direct=float(loss[:n][rows].mean()),
                field=float((loss[n:] * shares).sum() / max(1e-9, shares.sum())),
                lost=float(lost.mean()),
                error=float(np.sqrt((sums**2).sum()) / len(lost)),
                auc_lost=float(fallen[i]),
                auc_error=float(errors[i]),
            )
        )
    return tuple(found)


def _compare_aucs(p: np.ndarray, y: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute by how much the AUC of probabilities (W, N, K) falls short of the first's, (W,), and its errors."""
    each = [average([Ranking(s, t).auc for s, t in zip(q.T, y.T, strict=True)]) for q in p]
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = [np.stack([auc(w) for auc in each]) for w in bootstrap_weights(groups, 0, _DRAWS)]
    values = np.nan_to_num(np.concatenate(drawn, axis=1), nan=0.5)
    fallen = values[0] - values  # the first column is of the rows as they are
    return fallen[:, 0], fallen[:, 1:].std(1)


def choose_weight(candidates: Sequence[FieldCandidate]) -> int:
    """Choose, of the weights that cost direct pictures nothing but noise, the one with the least loss on views.

    Where views cost more than noise at every weight, those are taken instead that cost next to nothing.

    Parameters
    ----------
    candidates : sequence of FieldCandidate
        That without views first.

    Returns
    -------
    int
        The place of the chosen one.
    """

    def least(lost: float, auc_lost: float) -> int:
        able = [
            i
            for i, c in enumerate(candidates)
            if c.lost <= max(NOISE * c.error, lost) and c.auc_lost <= max(NOISE * c.auc_error, auc_lost)
        ]
        return min(able, key=lambda i: (candidates[i].field, candidates[i].weight))

    best = least(1e-12, 1e-4)
    return best if candidates[best].weight else least(LOST, AUC_LOST)
