"""Describe the head on a tuned network, and what it was chosen among."""

from __future__ import annotations

from dataclasses import dataclass

from medloupe.metrics.weighted import Metric
from medloupe.training.heads.field import FieldFit
from medloupe.training.heads.fit import FittedHead
from medloupe.training.heads.solver import Solution


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningCandidate:
    """One way among those compared when a network was tuned.

    Attributes
    ----------
    alpha : float
        Of the way from the untuned network (0) to the tuned one (1).
    c : float
        Inverse regularisation strength of its head.
    levels : tuple of int
        That its head reads.
    auc : Metric
        Out of fold, with its interval.
    difference : Metric or None
        To the linear head on the untuned network, paired over groups, with an interval that holds for all candidates
        at once; of that head itself None.
    """

    alpha: float
    c: float
    levels: tuple[int, ...]
    auc: Metric
    difference: Metric | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedFit:
    """The head on a tuned network, and what it was chosen among.

    Attributes
    ----------
    fitted : FittedHead
        As heads.fit gives it, for rows tuned.fitting; its head is for embeddings of the final network at `alpha`.
    alpha : float
        Of the way from the untuned weights (0) to the tuned ones (1).
    on_fitting : Solution
        The same head, uncalibrated, fitted on tuned.fitting alone.
    candidates : tuple of TuningCandidate
        The best of each alpha.
    worthwhile : bool
        Whether tuning beats the linear head by more than noise (the 95 % interval lies above 0).
    field : FieldFit or None
        What views taught the head, numbered by tuned.fitting; None where there are none.
    """

    fitted: FittedHead
    alpha: float
    on_fitting: Solution
    candidates: tuple[TuningCandidate, ...]
    worthwhile: bool
    field: FieldFit | None = None
