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
from medloupe.model.head import probabilities
from medloupe.training.heads.field_candidates import FieldCandidate, choose_weight, compare_candidates, view_shares
from medloupe.training.heads.fit import FittedHead, HeadChoice, build_head
from medloupe.training.heads.row_weights import balanced_sample_weights
from medloupe.training.heads.solver import Problem, Solution, mean_and_scale, solve
from medloupe.training.heads.sources import SourceParts
from medloupe.training.heads.temperature import calibrate_across_folds, fit_temperature
from medloupe.utils.stacked import stack_rows

TRIED = ((0.3, 1.0), (1.0, 1.0), (1.0, 3.0), (3.0, 1.0), (3.0, 3.0), (3.0, 10.0))
"""Weights of all views of a picture together, the picture itself weighing 1; and by how much freer the head is then."""

FoldNetworks = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""By a fold's number: embeddings float32 (N, D) and (V, D) of rows and views by the network that did not see it."""

_WITHOUT = (0.0, 1.0)


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
    sources: SourceParts | None = None,
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
    sources : SourceParts, optional
        Where the weight is to be chosen by sources left out: direct pictures and views of a source are then answered by
        heads without it.

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
    tried = (_WITHOUT, *TRIED)
    compared = p
    if sources is not None:
        # The same for rows answered without their source; those that judge nothing count for nothing.
        left_out = np.concatenate([sources.source, sources.source[views.rows]])
        z = fitter.predict_apart(sources.part, sources.taught, tried)
        compared = [_calibrate(each, n, targets, left_out, task) for each in z]
    counted = np.ones(n, bool) if sources is None else sources.part >= 0
    losses = np.stack([row_losses(to_logits(q, task), fitter.targets, task) for q in compared])
    direct = np.stack([q[:n] for q in compared])
    candidates = compare_candidates(tried, losses, direct, targets, groups, views, counted)
    best = choose_weight(candidates)
    # Each row is predicted by the weight that the other folds choose.
    chosen = np.empty_like(p[0])
    for f in np.unique(fold[0]):
        mine = own == f
        of_others = compare_candidates(tried, losses, direct, targets, groups, views, counted & (fold[0] != f))
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
    whole = fitter.solve([(np.ones(n, bool), *asked)])[0]
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
        return self.predict_apart(np.searchsorted(numbers, fold), [fold != f for f in numbers], tried, numbers.tolist())

    def predict_apart(
        self,
        part: np.ndarray,
        taught: Sequence[np.ndarray],
        tried: Sequence[tuple[float, float]],
        networks: Sequence[int] = (),
    ) -> np.ndarray:
        """Predict logits float32 (tried, N + V, K), every row and its views by the head of its part.

        Parameters
        ----------
        part : np.ndarray
            int (N,), the part of each row; of rows with -1, which are in none, the logits are 0.
        taught : sequence of np.ndarray
            bool (N,) for each part, the rows that its heads are fitted on.
        tried : sequence of (float, float)
            Weights of the views, and how much freer.
        networks : sequence of int
            The number of each part's network, where parts have networks of their own.
        """
        own = np.concatenate([part, part[self.rows]])
        z = np.zeros((len(tried), len(self.x), self.targets.shape[1]), np.float32)
        # by one network all are solved at once
        together = [range(len(taught))] if self.networks is None else [[i] for i in range(len(taught))]
        for parts in together:
            x = self.x if self.networks is None else stack_rows(*self.networks(networks[parts[0]]))
            solved = iter(self.solve([(taught[i], *each) for i in parts for each in tried], x))
            for i in parts:
                mine = np.flatnonzero(own == i)
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
    """Calibrate rows and views (N + V, K), each fold by the temperature of the other folds' rows: direct pictures.

    Those of fold -1 are in none: they calibrate nothing, and of them nothing is said.
    """
    p = np.full_like(z, 0.5)
    for f in np.unique(own[own >= 0]):
        others = (own[:n] != f) & (own[:n] >= 0)
        temperature = fit_temperature(z[:n][others], targets[others], task)
        p[own == f] = probabilities(z[own == f] / temperature, task)
    return p


def to_logits(p: np.ndarray, task: str) -> np.ndarray:
    """Give logits (N, K) of which probabilities come."""
    q = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(q) if task == "multiclass" else np.log(q) - np.log1p(-q)
