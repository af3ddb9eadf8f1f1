"""List what fusion tries (which extras, and how freely), and decide between them.

Source: the one-standard-error rule, Breiman et al., Classification and Regression Trees (1984), section 3.4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CLINICAL_CS = (0.03, 0.3, 3.0)  # C of scikit-learn, for the clinical numbers
NOTES_CS = (0.01, 0.03, 0.1, 0.3)  # the same for those of the notes


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionCandidate:
    """What the search tries.

    Attributes
    ----------
    inputs : tuple of int
        Which are read (numbers as in `EncodedInputs.input_of`).
    clinical, notes : float
        The inverse regularisation strength C of each, as in scikit-learn: the larger, the freer.
    """

    inputs: tuple[int, ...]
    clinical: float
    notes: float


def choose_candidate(losses: np.ndarray, candidates: Sequence[FusionCandidate], groups: np.ndarray) -> int:
    """Choose the candidate with the fewest inputs whose loss is within one standard error of the best's.

    Among those with the same inputs the best alone counts.

    Parameters
    ----------
    losses : np.ndarray
        (candidates, N), of each row.
    candidates : sequence of FusionCandidate
        As many.
    groups : np.ndarray
        int (N,), which are independent.

    Returns
    -------
    int
        Its place.
    """
    mean = losses.mean(1)
    of_inputs: dict[tuple[int, ...], int] = {}
    for i, c in enumerate(candidates):
        if c.inputs not in of_inputs or mean[i] < mean[of_inputs[c.inputs]] - 1e-9:
            of_inputs[c.inputs] = i
    best = min(of_inputs.values(), key=lambda i: mean[i])
    near = [
        i
        for i in of_inputs.values()
        if mean[i] - mean[best] <= standard_error(losses[i] - losses[best], groups) or i == best
    ]
    return min(near, key=lambda i: (len(candidates[i].inputs), mean[i]))


def standard_error(difference: np.ndarray, groups: np.ndarray) -> float:
    """Estimate the standard error of the mean of differences (N,) whose groups (N,) are independent."""
    _, place = np.unique(groups, return_inverse=True)
    sums = np.bincount(place, difference - difference.mean())
    return float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)) / len(difference))


def list_candidates(columns: int, notes: bool) -> list[FusionCandidate]:
    """List candidates: nothing; all the columns; the notes; both: each at several C."""
    clinical = tuple(range(columns))
    text = (columns,) if notes else ()
    tried = [FusionCandidate(inputs=(), clinical=0, notes=0)]
    if clinical:
        tried += [FusionCandidate(inputs=clinical, clinical=c, notes=0) for c in CLINICAL_CS]
    if text:
        tried += [FusionCandidate(inputs=text, clinical=0, notes=c) for c in NOTES_CS]
    if clinical and text:
        both = (*clinical, *text)
        tried += [FusionCandidate(inputs=both, clinical=c, notes=n) for c in CLINICAL_CS for n in NOTES_CS]
    return tried


def leave_one_out(best: FusionCandidate) -> list[FusionCandidate]:
    """List the candidate with each one of its inputs left out."""
    if len(best.inputs) < 2:
        return []
    every = best.inputs
    return [
        FusionCandidate(inputs=tuple(j for j in every if j != i), clinical=best.clinical, notes=best.notes)
        for i in every
    ]


def leave_out_in_turn(best: FusionCandidate, losses: Sequence[float]) -> list[FusionCandidate]:
    """List the candidate with two, three, … inputs left out, those first whose absence costs least.

    Parameters
    ----------
    best : FusionCandidate
        The one to go on from.
    losses : sequence of float
        Of each one left out, as `leave_one_out` has them.
    """
    order = [j for _, j in sorted(zip(losses, best.inputs, strict=True))]
    return [
        FusionCandidate(
            inputs=tuple(j for j in best.inputs if j not in order[:count]), clinical=best.clinical, notes=best.notes
        )
        for count in range(2, len(order))
    ]
