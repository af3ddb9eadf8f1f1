"""Rank labels that look wrong, for a second look, by what the records of all other patients say of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.data.records import Dataset
from medloupe.embed.features import Features
from medloupe.metrics.weighted import Ranking
from medloupe.training.audit.finding import SHOWN, Finding, LabelSuspect, count_noun
from medloupe.training.audit.leave_out import GroupLeaveOut
from medloupe.training.heads.solver import Problem, mean_and_scale, solve
from medloupe.utils.stacked import take_rows

CONTRADICTED = 0.1  # probability of the label given up to which it is listed
SHARE = 0.1  # of the labels stated that are listed at most; who has looked through so many starts anew
MOST = 500
FEWEST = 40  # records below which nothing is ranked
FEWEST_GROUPS = 5  # with a label, and without, below which nothing is said of it
SHRINKAGE = 0.01  # of the regression that makes probabilities of leave-out predictions, for each record
TELLING = 0.7  # AUC below which embeddings tell too little of a label to contradict it


Contradiction = tuple[float, int, int, int, float]  # probability given, row, label, label instead, its probability


def find_label_errors(features: Features, groups: np.ndarray, seed: int = 0) -> tuple[LabelSuspect, ...]:
    """Rank the labels that records of other groups contradict, the most suspicious first.

    Parameters
    ----------
    features : Features
        Embeddings (N, D) and labels.
    groups : np.ndarray
        int (N,): patients and copies, left out together.
    seed : int
        Of the landmarks of large sets.

    Returns
    -------
    tuple of LabelSuspect
        At most one for each tenth record, and 500. Empty where there are too few records, or embeddings tell too
        little of the labels, to say anything.
    """
    data = features.data
    if data.task == "detection" or not len(data) or len(data.labels) < (2 if data.task == "multiclass" else 1):
        return ()
    rows = np.flatnonzero(~np.isnan(data.targets).all(1))
    targets, here = data.targets[rows], groups[rows]
    enough = np.array([_has_enough_groups(column, here) for column in targets.T])
    if len(rows) < FEWEST or not enough.any():
        return ()
    embeddings = take_rows(features.embeddings, rows)
    p = np.exp(score_labels(embeddings, targets, here, task=data.task, seed=seed))
    choose = _contradicted_classes if data.task == "multiclass" else _contradicted_findings
    found = choose(p, targets, enough)
    found.sort(key=lambda one: (one[0], one[1]))
    return tuple(
        _describe(data, int(rows[i]), k, instead, (own, other), rank)
        for rank, (own, i, k, instead, other) in enumerate(found[: min(MOST, int(SHARE * len(rows)))], start=1)
    )


def score_labels(
    embeddings: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    *,
    task: str,
    seed: int = 0,
    unknown: np.ndarray | None = None,
) -> np.ndarray:
    """Say how probable each label is by the records of other groups.

    Leave-out predictions are pulled to the commonest classes; a small softmax regression (of several findings logistic
    ones) on the predictions for all labels, K numbers a record, puts that right. Plain predictions found far fewer of
    planted errors where classes are uneven.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D).
    targets : np.ndarray
        float (N, K) of 1, 0 and NaN; multi-class rows are one-hot.
    groups : np.ndarray
        int (N,).
    task : str
        "multiclass" or "multilabel".
    seed : int
        Of the landmarks.
    unknown : np.ndarray, optional
        bool (N,), of which records the labels say nothing of any other.

    Returns
    -------
    np.ndarray
        Log-probability (N, K) of what is given: of several classes of each class, of several findings of the value
        that each label has; there 0 where nothing is stated.
    """
    known = np.ones(len(targets), bool) if unknown is None else ~unknown
    stated = ~np.isnan(targets) & known[:, None]
    mean = np.where(stated, targets, 0).sum(0) / np.maximum(stated.sum(0), 1)
    supports = GroupLeaveOut(embeddings, groups, seed).predict(np.where(stated, targets, mean).astype(np.float64))
    x = supports.astype(np.float32)
    center, scale = mean_and_scale(x, known)
    problem = Problem(weights=known.astype(np.float32), c=1 / (SHRINKAGE * known.sum()), mean=center, scale=scale)
    solution = solve(x, targets, [problem], task=task)[0]
    logits = (x @ solution.weight + solution.bias).astype(np.float64)
    if task == "multilabel":
        given = -np.logaddexp(0, np.where(targets == 1, -logits, logits))
        return np.where(np.isnan(targets), 0.0, given)
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def describe_label_errors(data: Dataset, suspects: Sequence[LabelSuspect]) -> list[Finding]:
    """Word what was found, for the audit."""
    if not suspects:
        return []
    n = len(suspects)
    return [
        Finding(
            kind="label_suspects",
            level="notice",
            title=f"{count_noun(n, 'label')} {'deserves' if n == 1 else 'deserve'} a second look",
            detail=f"Other patients' {data.things} speak clearly for another label than the one given; the most"
            " suspicious stand first. Many of them are right all the same: rare appearances look like errors. Nothing"
            " was left out or changed.",
            advice="Look at them from the top, as long as you find errors. `medloupe check DATA --suspects FILE.csv`"
            " lists them with pictures; `medloupe relabel DATA FILE.csv` applies what you decide.",
            count=n,
            files=tuple((s.file, f"{s.given} → {s.likely}?") for s in suspects[:SHOWN]),
        )
    ]


def _has_enough_groups(column: np.ndarray, groups: np.ndarray) -> bool:
    """Tell whether a label is present in, and absent from, enough groups to be judged without any one of them."""
    return all(len(np.unique(groups[column == value])) >= FEWEST_GROUPS for value in (0, 1))


def _contradicted_classes(p: np.ndarray, targets: np.ndarray, enough: np.ndarray) -> list[Contradiction]:
    """Find the contradicted among classes, of probabilities (N, K) and one-hot targets (N, K)."""
    told = enough & np.array([_auc(column, of) >= TELLING for column, of in zip(p.T, targets.T, strict=True)])
    given, likely = targets.argmax(1), p.argmax(1)
    rows = np.flatnonzero((given != likely) & told[given] & told[likely])
    return [
        (float(p[i, given[i]]), int(i), int(given[i]), int(likely[i]), float(p[i, likely[i]]))
        for i in rows
        if p[i, given[i]] <= CONTRADICTED
    ]


def _contradicted_findings(p: np.ndarray, targets: np.ndarray, enough: np.ndarray) -> list[Contradiction]:
    """Find the contradicted among findings, of probabilities of what is stated (N, K) and targets of 1, 0, NaN."""
    found = []
    for k in np.flatnonzero(enough):
        if _auc(np.where(targets[:, k] == 1, p[:, k], 1 - p[:, k]), targets[:, k]) >= TELLING:
            stated = np.flatnonzero(~np.isnan(targets[:, k]) & (p[:, k] <= CONTRADICTED))
            found += [(float(p[i, k]), int(i), int(k), int(k), float(1 - p[i, k])) for i in stated]
    return found


def _auc(support: np.ndarray, column: np.ndarray) -> float:
    """Compute the AUC of the support for a label, of which records without a statement take no part."""
    return float(Ranking(support, column).auc(np.ones((1, len(column)), np.float32))[0])


def _describe(
    data: Dataset, row: int, k: int, instead: int, probabilities: tuple[float, float], rank: int
) -> LabelSuspect:
    name, likely = data.labels[k], data.labels[instead]
    if data.task == "multilabel":
        present = data.records[row].labels[name] == 1
        name, likely = (name, f"not {name}") if present else (f"not {name}", name)
    own, other = probabilities
    return LabelSuspect(
        rank=rank,
        file=data.records[row].id,
        row=row,
        given=name,
        likely=likely,
        probability_given=own,
        probability_likely=other,
    )
