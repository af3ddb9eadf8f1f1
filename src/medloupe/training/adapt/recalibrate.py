"""Fit a finished model's percentages to few local cases: how far, if at all, its logits are shifted and scaled.

Three candidates, from least to most: nothing; a shift of each label's logit, which is what another prevalence does; a
shift and one scale, which also makes the model more or less sure. All are drawn towards nothing by a penalty, so that
fifty cases cannot run away with them, and the simplest is taken that cross-validation cannot tell from the best.

Sources: Alexandari, Kundaje & Shrikumar, "Maximum likelihood with bias-corrected calibration is hard-to-beat at label
shift adaptation" (ICML 2020) for the shift with a temperature; Platt, "Probabilistic outputs for support vector
machines" (1999) for a label of its own; Breiman et al., "Classification and regression trees" (1984), section 3.4.3,
for the rule of one standard error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medloupe.data.split import assign_folds, count_folds
from medloupe.model.head import Head
from medloupe.training.adapt.newton import minimise_log_loss

KINDS = ("unchanged", "prevalence", "prevalence and temperature")
FOLDS = 5
REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """A change of calibrated logits (N, K): `logits * scale + shift`.

    Attributes
    ----------
    kind : str
        Of KINDS.
    scale : np.ndarray
        float64 (K,), 1 / temperature; equal for all classes of a multi-class model.
    shift : np.ndarray
        float64 (K,), in logits.
    """

    kind: str
    scale: np.ndarray
    shift: np.ndarray

    @classmethod
    def unchanged(cls, k: int) -> Calibration:
        """Make the one that does nothing to k labels."""
        return cls(kind=KINDS[0], scale=np.ones(k), shift=np.zeros(k))

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """Turn logits (N, K) into new ones, float64; the very same where nothing changes."""
        return logits if self.kind == KINDS[0] else logits.astype(np.float64) * self.scale + self.shift

    def fold_into(self, head: Head) -> Head:
        """Make the head that gives the new logits by itself; the very same head where nothing changes."""
        if self.kind == KINDS[0]:
            return head
        return Head(
            weight=np.ascontiguousarray(head.weight * self.scale[:, None], np.float32),
            bias=np.asarray(head.bias * self.scale + self.shift, np.float32),
            task=head.task,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationCandidate:
    """One kind of calibration, as cross-validation sees it.

    Attributes
    ----------
    kind : str
        Of KINDS.
    log_loss : float
        Out of fold, natural logarithm, mean over what is known.
    difference : float
        To the best kind's.
    error : float
        The standard error of that difference, over groups.
    """

    kind: str
    log_loss: float
    difference: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossFitFold:
    """One fold of one repeat.

    Attributes
    ----------
    repeat : int
        Which, from 0.
    own : np.ndarray
        int (n,), its rows.
    others : np.ndarray
        int (N - n,), all other rows.
    calibration : Calibration
        Made of these others alone.
    """

    repeat: int
    own: np.ndarray
    others: np.ndarray
    calibration: Calibration


def fit_calibration(
    logits: np.ndarray, targets: np.ndarray, groups: np.ndarray, *, task: str, kind: str
) -> Calibration:
    """Fit the calibration of a kind: the least penalised log loss.

    Labels that do not both occur and lack here are left as they are: nothing can be known of them.

    Parameters
    ----------
    logits : np.ndarray
        (N, K), calibrated as the model ships.
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,); many images of few patients weigh against the penalty as that many patients do.
    task : str
        "multiclass" or "multilabel".
    kind : str
        Of KINDS.
    """
    k = logits.shape[1]
    if kind == KINDS[0]:
        return Calibration.unchanged(k)
    z, scaled = logits.astype(np.float64), kind == KINDS[2]
    if task == "multilabel":
        scale, shift = _fit_labels(z, targets, groups, scaled)
        return Calibration(kind=kind, scale=scale, shift=shift)
    known = ~np.isnan(targets).any(1)
    present = np.flatnonzero((targets[known] == 1).any(0))
    if len(present) < 2:
        return Calibration.unchanged(k)
    shift = np.zeros(k)
    # Among the classes that occur here: that one does not occur in a hundred cases is no proof that it never will.
    z, y = z[known][:, present], targets[known][:, present].astype(np.float64)
    a, shift[present] = minimise_log_loss(z - z.max(1, keepdims=True), y, _row_weight(groups[known]), scaled)
    return Calibration(kind=kind, scale=np.full(k, a), shift=shift)


def _fit_labels(z: np.ndarray, targets: np.ndarray, groups: np.ndarray, scaled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scales and shifts (K,), each label by itself."""
    k = z.shape[1]
    scale, shift = np.ones(k), np.zeros(k)
    for j in range(k):
        known = ~np.isnan(targets[:, j])
        y = targets[known, j].astype(np.float64)
        if 0 < y.sum() < len(y):  # yes against no, as two classes half the logit either side of 0
            sides = np.column_stack([-z[known, j], z[known, j]]) / 2
            truth = np.column_stack([1 - y, y])
            scale[j], b = minimise_log_loss(sides, truth, _row_weight(groups[known]), scaled)
            shift[j] = b[1] - b[0]
    return scale, shift


def choose_calibration(
    logits: np.ndarray, targets: np.ndarray, groups: np.ndarray, *, task: str, seed: int = 0, repeats: int = REPEATS
) -> tuple[str, tuple[CalibrationCandidate, ...]]:
    """Choose the simplest kind whose log loss out of fold is within one standard error of the best.

    Parameters
    ----------
    logits, targets, groups, task
        As for `fit_calibration`.
    seed : int
        Of the folds.
    repeats : int
        Of cross-validation.

    Returns
    -------
    kind : str
        "unchanged" where the cases are too few for two folds.
    candidates : tuple of CalibrationCandidate
        All kinds; none where the cases are too few.
    """
    count = count_folds(targets, groups, FOLDS)
    if not count:
        return KINDS[0], ()
    total = np.zeros((len(KINDS), len(targets)))
    for r in range(repeats):
        fold = assign_folds(targets, groups, count, seed + r)
        for f in np.unique(fold):
            own, others = fold == f, fold != f
            for i, kind in enumerate(KINDS):
                made = fit_calibration(logits[others], targets[others], groups[others], task=task, kind=kind)
                total[i, own] += row_log_losses(made.apply(logits[own]), targets[own], task)[0]
    known = row_log_losses(logits, targets, task)[1]
    lost = total / repeats
    means = lost.sum(1) / known.sum()
    best = int(means.argmin())
    candidates = tuple(
        CalibrationCandidate(
            kind=kind,
            log_loss=float(means[i]),
            difference=float(means[i] - means[best]),
            error=_standard_error(lost[i] - lost[best], known, groups),
        )
        for i, kind in enumerate(KINDS)
    )
    return next(c.kind for c in candidates if c.difference <= c.error), candidates


def cross_fit_calibrations(
    logits: np.ndarray, targets: np.ndarray, groups: np.ndarray, *, task: str, seed: int = 0, repeats: int = REPEATS
) -> Iterator[CrossFitFold]:
    """Choose and fit a calibration without each fold, by which its rows can be judged honestly.

    Parameters
    ----------
    logits, targets, groups, task
        As for `fit_calibration`.
    seed : int
        Of the folds.
    repeats : int
        Of cross-validation.

    Yields
    ------
    CrossFitFold
        Every fold of every repeat.

    Raises
    ------
    ValueError
        When the cases are too few for two folds (data/split.py).
    """
    count = count_folds(targets, groups, FOLDS)
    if not count:
        raise ValueError("no label is both present and absent in at least two groups")
    for r in range(repeats):
        fold = assign_folds(targets, groups, count, seed + r)
        for f in np.unique(fold):
            own, others = np.flatnonzero(fold == f), np.flatnonzero(fold != f)
            given = (logits[others], targets[others], groups[others])
            kind, _ = choose_calibration(*given, task=task, seed=seed + r, repeats=1)
            yield CrossFitFold(
                repeat=r, own=own, others=others, calibration=fit_calibration(*given, task=task, kind=kind)
            )


def row_log_losses(logits: np.ndarray, targets: np.ndarray, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute the log loss of each row.

    Parameters
    ----------
    logits : np.ndarray
        (N, K).
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    task : str
        "multiclass" or "multilabel".

    Returns
    -------
    losses : np.ndarray
        float64 (N,), summed over what is known of a row.
    known : np.ndarray
        float64 (N,), how many truths that are.
    """
    z = logits.astype(np.float64)
    if task == "multilabel":
        known = ~np.isnan(targets)
        each = np.logaddexp(0, z) - np.nan_to_num(targets) * z
        return np.where(known, each, 0).sum(1), known.sum(1).astype(np.float64)
    known = ~np.isnan(targets).any(1)
    z = z - z.max(1, keepdims=True)
    each = np.log(np.exp(z).sum(1)) - (np.nan_to_num(targets) * z).sum(1)
    return known * each, np.asarray(known, np.float64)


def _row_weight(groups: np.ndarray) -> float:
    """Work out what each row counts: together as much as there are groups."""
    return len(np.unique(groups)) / len(groups)


def _standard_error(difference: np.ndarray, known: np.ndarray, groups: np.ndarray) -> float:
    """Estimate the standard error of the mean of differences (N,) over `known` truths (N,), whole groups drawn."""
    _, group = np.unique(groups, return_inverse=True)
    g, n = int(group.max()) + 1, known.sum()
    sums, sizes = np.bincount(group, difference, g), np.bincount(group, known, g)
    apart = sums - sizes * difference.sum() / n
    return float(np.sqrt((apart**2).sum() * g / max(1, g - 1)) / n)
