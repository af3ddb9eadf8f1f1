"""Fit a head on field views beside direct pictures, weighed so that direct pictures lose nothing.

The views of a picture share one weight. Which, is found out of fold: among the weights under which direct pictures are
answered no worse than by a head without views, in log loss and AUC and but for noise or next to nothing, the one with
the least loss on the views. 0 is among them: then the views teach nothing, and the head is the one that it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medloupe.embed.field import FieldFeatures
from medloupe.metrics.calibration import row_losses
from medloupe.metrics.weighted import Ranking, average, bootstrap_weights
from medloupe.model.head import probabilities
from medloupe.training.heads.fit import FittedHead, HeadChoice, balanced_sample_weights, build_head
from medloupe.training.heads.solver import Problem, Solution, mean_and_scale, solve
from medloupe.training.heads.temperature import calibrate_across_folds, fit_temperature
from medloupe.utils.stacked import stack_rows

TRIED = ((0.3, 1.0), (1.0, 1.0), (1.0, 3.0), (3.0, 1.0), (3.0, 3.0), (3.0, 10.0))
"""Weights of all views of a picture together, the picture itself weighing 1; and by how much freer the head is then."""

HARD = 0.5  # of a view's share that a hard one has: what it shows may not tell the label
NOISE = 1.0  # standard errors by which direct pictures may seem to fare worse
LOST, AUC_LOST = 0.01, 0.002
"""Log loss and AUC that direct pictures may lose where views cost more than noise: in a large set noise is tiny."""

FoldNetworks = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""By a fold's number: embeddings float32 (N, D) and (V, D) of rows and views by the network that did not see it."""

_DRAWS = 100  # of the bootstrap that tells the error of a difference of AUC
_WITHOUT = (0.0, 1.0)


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldFit:
    """What views taught a head.

    Attributes
    ----------
    views : FieldFeatures
        The views, V in all, of rows of the features.
    weight : float
        The chosen one; 0 where they teach nothing.
    freer : float
        By how much weaker the regularisation is.
    candidates : tuple of FieldCandidate
        Among which it was chosen.
    out_of_fold : np.ndarray
        float32 (V, K), calibrated probabilities of the views by heads that had not seen their group.
    untaught : np.ndarray
        float32 (V, K), the same by heads without views.
    """

    views: FieldFeatures
    weight: float
    freer: float
    candidates: tuple[FieldCandidate, ...]
    out_of_fold: np.ndarray
    untaught: np.ndarray


def teach(
    fitted: FittedHead,
    embeddings: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    views: FieldFeatures,
    *,
    task: str,
    levels: tuple[int, ...],
    networks: FoldNetworks | None = None,
) -> tuple[FittedHead, FieldFit] | None:
    """Fit a head again with views beside the rows, and choose how much these weigh.

    Parameters
    ----------
    fitted : FittedHead
        By the rows alone, as heads.fit gives it: its folds, regularisation and levels stay.
    embeddings, targets, groups, task, levels
        As it was fitted on.
    views : FieldFeatures
        Of rows of the embeddings.
    networks : callable, optional
        Where each fold has a network of its own; the embeddings are then those of the one that ships.

    Returns
    -------
    tuple of (FittedHead, FieldFit) or None
        The head to ship, which is `fitted` where the weight is 0. None where rows are weighed already, as those of
        thousands of pictures a patient.
    """
    if not len(views.rows) or balanced_sample_weights(targets, groups, task) is not None:
        return None
    n, fold = len(targets), fitted.folds
    fitter = _WeighedFitter(embeddings, targets, views, task, levels, fitted.choice, networks)
    # One matrix product an iteration for all weights and folds together.
    logits = fitter.out_of_fold(fold[0], (_WITHOUT, *TRIED))
    own = np.concatenate([fold[0], fold[0][views.rows]])
    p = [_calibrate(z, n, targets, own, task) for z in logits]
    p[0][:n] = fitted.out_of_fold[0]  # whose choice among candidates was made without the row's fold
    losses = np.stack([row_losses(to_logits(q, task), fitter.targets, task) for q in p])
    every = np.ones(n, bool)
    direct = np.stack([q[:n] for q in p])
    tried = (_WITHOUT, *TRIED)
    candidates = compare_candidates(tried, losses, direct, targets, groups, views, every)
    best = choose_weight(candidates)
    # Each row is predicted by the weight that the other folds choose.
    chosen = np.empty_like(p[0])
    for f in np.unique(fold[0]):
        mine = own == f
        of_others = compare_candidates(tried, losses, direct, targets, groups, views, fold[0] != f)
        chosen[mine] = p[choose_weight(of_others)][mine]
    found = candidates[best]
    field = FieldFit(
        views=views,
        weight=found.weight,
        freer=found.freer,
        candidates=candidates,
        out_of_fold=chosen[n:],
        untaught=p[0][n:],
    )
    if found.weight == 0:
        return fitted, field
    asked = found.weight, found.freer
    others = [fitter.out_of_fold(f, (asked,))[0][:n] for f in fold[1:]]
    more = [calibrate_across_folds(z, targets, f, task) for z, f in zip(others, fold[1:], strict=True)]
    temperature = fit_temperature(logits[best][:n], targets, task)
    whole = fitter.solve([(every, *asked)])[0]
    taught = replace(
        fitted,
        head=build_head(whole, temperature, task),
        temperature=temperature,
        out_of_fold=np.stack([chosen[:n], *more]).astype(np.float32),
    )
    return taught, field


def refit_with_views(
    embeddings: np.ndarray,
    targets: np.ndarray,
    views: FieldFeatures,
    rows: Sequence[np.ndarray],
    choice: HeadChoice,
    *,
    weight: float,
    freer: float,
    task: str,
    levels: tuple[int, ...],
) -> list[Solution]:
    """Fit heads by a choice made before, each on its rows, bool (N,), and on their views; uncalibrated.

    Parameters
    ----------
    embeddings, targets, views, task, levels
        As for `teach`.
    rows : sequence of np.ndarray
        One for each head.
    choice : HeadChoice
        As it was made without views.
    weight, freer : float
        As FieldFit has them.
    """
    fitter = _WeighedFitter(embeddings, targets, views, task, levels, choice)
    return fitter.solve([(mine, weight, freer) for mine in rows])


def view_shares(views: FieldFeatures, n: int) -> np.ndarray:
    """Share out what the views of each of n rows weigh together: float32 (V,)."""
    share = np.where(views.severities == "hard", HARD, 1.0)
    total = np.bincount(views.rows, share, minlength=n)[views.rows]
    return np.asarray(share / np.maximum(total, 1e-9), np.float32)


class _WeighedFitter:
    """Heads on rows and views, stacked as (N + V, D)."""

    def __init__(
        self,
        embeddings: np.ndarray,
        targets: np.ndarray,
        views: FieldFeatures,
        task: str,
        levels: tuple[int, ...],
        choice: HeadChoice,
        networks: FoldNetworks | None = None,
    ):
        self.networks = networks
        self.n, self.rows, self.task, self.choice = len(targets), views.rows, task, choice
        self.x = stack_rows(embeddings, views.embeddings)
        self.targets = np.concatenate([targets, targets[views.rows]])
        self.shares = view_shares(views, self.n)
        self.left_out = ~np.isin(np.repeat(np.arange(len(levels)), levels), choice.levels)

    def out_of_fold(self, fold: np.ndarray, tried: Sequence[tuple[float, float]]) -> np.ndarray:
        """Predict logits float32 (tried, N + V, K), every row by the head that did not see its fold: int (N,)."""
        numbers = np.unique(fold)
        own = np.concatenate([fold, fold[self.rows]])
        z = np.empty((len(tried), len(self.x), self.targets.shape[1]), np.float32)
        # by one network all are solved at once
        parts = [numbers] if self.networks is None else numbers[:, None]
        for part in parts:
            x = self.x if self.networks is None else stack_rows(*self.networks(int(part[0])))
            solved = iter(self.solve([(fold != f, *each) for f in part for each in tried], x))
            for f in part:
                mine = np.flatnonzero(own == f)
                for j in range(len(tried)):
                    solution = next(solved)
                    z[j, mine] = x[mine] @ solution.weight + solution.bias
        return z

    def solve(self, problems: Sequence[tuple[np.ndarray, float, float]], x: np.ndarray | None = None) -> list[Solution]:
        """Solve problems of (rows to fit on as bool (N,), weight of their views, how much freer), on x if given."""
        x = self.x if x is None else x
        scalers: dict[tuple[bytes, bool], tuple[np.ndarray, np.ndarray]] = {}
        full = []
        for rows, weight, freer in problems:
            parts = np.concatenate([rows, rows[self.rows] & (weight > 0)])
            key = np.packbits(rows).tobytes(), weight > 0
            if key not in scalers:
                mean, scale = mean_and_scale(x, parts)
                scalers[key] = mean, np.where(self.left_out, np.inf, scale).astype(np.float32)
            mean, scale = scalers[key]
            weights = parts * np.concatenate([np.ones(self.n, np.float32), weight * self.shares])
            c = self.choice.c * freer
            full.append(Problem(weights=weights.astype(np.float32), c=c, mean=mean, scale=scale))
        return solve(x, self.targets, full, task=self.task)


def _calibrate(z: np.ndarray, n: int, targets: np.ndarray, own: np.ndarray, task: str) -> np.ndarray:
    """Calibrate rows and views (N + V, K), each fold by the temperature of the other folds' rows: direct pictures."""
    p = np.empty_like(z)
    for f in np.unique(own):
        others = own[:n] != f
        temperature = fit_temperature(z[:n][others], targets[others], task)
        p[own == f] = probabilities(z[own == f] / temperature, task)
    return p


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


def to_logits(p: np.ndarray, task: str) -> np.ndarray:
    """Give logits (N, K) of which probabilities come."""
    q = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(q) if task == "multiclass" else np.log(q) - np.log1p(-q)
