"""Leave one source at a time out: which rows judge, and which teach, where a head is to hold at another hospital.

Source: Zhou et al., "Domain generalization: a survey" (IEEE TPAMI 45, 2023) for choosing by domains left out; Gulrajani
& Lopez-Paz, "In search of lost domain generalization" (ICLR 2021) for why the domain that judges must not choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.data.split import assign_folds, count_folds
from medloupe.metrics.weighted import Ranking, Weighted, average, bootstrap_weights
from medloupe.training.heads.ranking import macro_auc, ranking_scores

FEWEST_CASES = 5
"""Groups with, and without, a label that a source must have to judge by that label."""

MOST = 8
"""Sources that are left out one by one; where there are more, the smallest judge together."""

NOISE = 1.0
"""Standard errors by which what sources choose must do better than what folds choose, to be taken."""

OTHERS = "all smaller ones"
_DRAWS = 100  # of the bootstrap that tells that error
_FOLDS = 4  # of patients, where some stand in several sources


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceParts:
    """Rows dealt into P parts, each of one source and answered by heads that saw neither it nor its patients.

    Attributes
    ----------
    names : tuple of str
        Of the sources that judge, S of them.
    source : np.ndarray
        int (N,), place in `names`; -1 of rows that judge nothing and always teach.
    part : np.ndarray
        int (N,), the part that a row is judged in; -1 where it judges nothing.
    of : tuple of int
        The source of each part.
    taught : tuple of np.ndarray
        bool (N,) for each part, the rows that teach its head.
    """

    names: tuple[str, ...]
    source: np.ndarray
    part: np.ndarray
    of: tuple[int, ...]
    taught: tuple[np.ndarray, ...]

    @property
    def can_choose(self) -> bool:
        """Whether anything can be chosen by leaving sources out: it takes two."""
        return len(self.names) > 1

    def score(self, logits: np.ndarray, targets: np.ndarray, task: str, rows: np.ndarray | None = None) -> np.ndarray:
        """Score ways to fit by the macro AUC on sources left out, every source counting the same.

        Parameters
        ----------
        logits : np.ndarray
            (C, N, K), of C ways, each row by a head that did not see its source.
        targets : np.ndarray
            (N, K) of 1, 0 and NaN.
        task : str
            "multiclass" or "multilabel".
        rows : np.ndarray, optional
            bool (N,), that count; all by default.

        Returns
        -------
        np.ndarray
            (C,).
        """
        counted = self.part >= 0 if rows is None else rows & (self.part >= 0)
        each = [np.flatnonzero(counted & (self.source == s)) for s in range(len(self.names))]
        return np.array(
            [np.mean([macro_auc(ranking_scores(z[at], task), targets[at]) for at in each if len(at)]) for z in logits]
        )

    def surely_gains(
        self, logits: np.ndarray, targets: np.ndarray, groups: np.ndarray, task: str, rows: np.ndarray | None = None
    ) -> bool:
        """Tell whether the second of two ways to fit does better on sources left out, by more than noise.

        That is by more than NOISE standard errors of the difference of their scores, over groups.

        Parameters
        ----------
        logits : np.ndarray
            (2, N, K).
        groups : np.ndarray
            int (N,).
        targets, task, rows
            As for `score`.
        """
        counted = np.flatnonzero(self.part >= 0 if rows is None else rows & (self.part >= 0))
        source, y = self.source[counted], targets[counted]
        sides = []
        for z in logits:
            scores = ranking_scores(z[counted], task)
            each = []
            for at in (np.flatnonzero(source == s) for s in range(len(self.names))):
                aucs = average([Ranking(p, t).auc for p, t in zip(scores[at].T, y[at].T, strict=True)])
                each.append(on_rows(aucs, at))
            sides.append(average(each))
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = [sides[1](w) - sides[0](w) for w in bootstrap_weights(groups[counted], 0, _DRAWS)]
        gains = np.nan_to_num(np.concatenate(drawn))
        return bool(gains[0] > NOISE * gains[1:].std())


def on_rows(metric: Weighted, at: np.ndarray) -> Weighted:
    """Make a metric of some rows, int (n,), one of all."""
    return lambda w: metric(w[:, at])


def part_by_source(told: Sequence[str], targets: np.ndarray, groups: np.ndarray, seed: int = 0) -> SourceParts:
    """Deal rows into parts by what is told of their source.

    A source judges where some label has FEWEST_CASES groups for and against in it and can be learned from the others.
    Where patients stand in several sources, the rows of a source are dealt by patients into several parts.

    Parameters
    ----------
    told : sequence of str
        Of each row, N in all; "" where it is not told.
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,), of patients and copies.
    seed : int
        Of the folds of patients.
    """
    sources = np.array(told)
    able = [n for n in sorted(set(told) - {""}) if _can_judge(sources == n, targets, groups)]
    size = {n: int((sources == n).sum()) for n in able}
    able.sort(key=lambda n: (-size[n], n))
    own, small = able[: MOST - 1 if len(able) > MOST else MOST], able[MOST - 1 :] if len(able) > MOST else []
    source = np.full(len(told), -1)
    for s, name in enumerate(own):
        source[sources == name] = s
    source[np.isin(sources, small)] = len(own)
    names = (*own, OTHERS) if small else tuple(own)
    part, of, taught = np.full(len(told), -1), [], []
    for s in range(len(names)):
        here = source == s
        for mine in _deal(here, targets, groups, seed):
            part[mine] = len(of)
            of.append(s)
            taught.append(~here & ~np.isin(groups, groups[mine]))
    return SourceParts(names=names, source=source, part=part, of=tuple(of), taught=tuple(taught))


def _can_judge(here: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> bool:
    """Tell whether the rows `here`, bool (N,), can judge heads that learned from the others."""

    def able(rows: np.ndarray, column: np.ndarray) -> bool:
        sides = (rows & (column == value) for value in (1, 0))
        return min(len(np.unique(groups[side])) for side in sides) >= FEWEST_CASES

    judged = [k for k in range(targets.shape[1]) if able(here, targets[:, k])]
    return any(able(~here, targets[:, k]) for k in judged) and count_folds(targets[~here], groups[~here]) > 0


def _deal(here: np.ndarray, targets: np.ndarray, groups: np.ndarray, seed: int) -> list[np.ndarray]:
    """Deal the rows of a source, bool (N,), by patients where any stands in another source too."""
    if not np.isin(groups[here], groups[~here]).any():
        return [here]
    fold = np.full(len(here), -1)
    fold[here] = assign_folds(targets[here], groups[here], _FOLDS, seed)
    return [fold == f for f in range(_FOLDS) if (fold == f).any()]
