"""Heads on tuned networks: which network and which penalty, decided and judged by what no network had seen.

Every fold has a network of its own, tuned on the other folds; heads are fitted on its embeddings of those, and asked
about the fold. What is compared that way: the untuned network, the tuned one, and points between the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric, Ranking
from medloupe.model.head import probabilities
from medloupe.training.heads.fit import (
    PENALTIES,
    Choice,
    Fitted,
    Fitter,
    best_of,
    folded,
    macro_auc,
    rankable,
    scores_of,
    search,
)
from medloupe.training.heads.solver import Solution
from medloupe.training.heads.temperature import fit_temperature
from medloupe.training.heads.verdict import Candidate, TunedFit
from medloupe.training.tune.run import Tuned

DRAWS = 1000


def fit(
    tuned: Tuned,
    targets: np.ndarray,
    groups: np.ndarray,
    everything: np.ndarray,
    *,
    task: str,
    levels: tuple[int, ...],
    seed: int,
    may_stay: bool,
) -> TunedFit:
    """Choose, judge and fit a head.

    targets: float32 (N, K) of all rows. groups: int (N,). everything: rows that the shipped head is fitted on; those of
    tuned.fitting judge. may_stay: whether the untuned network may win (it does unless tuning is worthwhile).
    """
    rows, fold = tuned.fitting, tuned.fold
    y = targets[rows]
    shares = (0.0, *tuned.shares)
    parts = [_searched(tuned, share, rows, fold, y, task, levels) for share in shares]
    searched = np.concatenate([z for z, _, _ in parts])
    scores = np.concatenate([s for _, s, _ in parts])
    choices = [c for _, _, of_share in parts for c in of_share]
    bests = [_best(share, scores, choices) for share in shares]
    candidates = _compared([searched[b] for b in bests], [choices[b] for b in bests], y, groups[rows], task, seed)
    ours = max(range(1, len(shares)), key=lambda i: scores[bests[i]])
    gained = candidates[ours].difference
    worthwhile = gained is not None and gained["low"] is not None and gained["low"] > 0
    untuned = may_stay and not worthwhile
    allowed = np.array([(c.share == 0) == untuned for c in choices])
    kept = [c for c, a in zip(choices, allowed, strict=True) if a]
    searched, scores = searched[allowed], scores[allowed]
    chosen = kept[best_of(scores, kept)]
    temperature = fit_temperature(searched[kept.index(chosen)], y, task)
    x = tuned.embeddings(None, chosen.share)
    whole = _solution(x[everything], targets[everything], chosen, task, levels)
    same = len(everything) == len(rows)
    return TunedFit(
        fitted=Fitted(
            head=folded(whole, temperature, task),
            choice=chosen,
            candidates=tuple(zip(kept, scores.tolist(), strict=True)),
            temperature=temperature,
            folds=fold[None],
            out_of_fold=_out_of_choice(searched, fold, y, kept, task)[None],
        ),
        share=chosen.share,
        on_fitting=whole if same else _solution(x[rows], y, chosen, task, levels),
        candidates=tuple(candidates),
        worthwhile=worthwhile,
    )


def _searched(
    tuned: Tuned, share: float, rows: np.ndarray, fold: np.ndarray, y: np.ndarray, task: str, levels: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, list[Choice]]:
    """As head.search, of one share, each row by heads and a network that saw nothing of its fold.

    The choices are those of head.fit, so that the untuned network is not held down; and one weaker penalty, which suits
    tuned ones.
    """

    def ask(choices: Sequence[Choice]) -> np.ndarray:
        z = np.empty((len(choices), *y.shape), np.float32)
        for f in np.unique(fold):
            x = tuned.embeddings(int(f), share)[rows]
            own = fold == f
            for i, s in enumerate(Fitter(x, y, task, levels).solve([(~own, c) for c in choices])):
                z[i, own] = x[own] @ s.weight + s.bias
        return z

    every = tuple(range(len(levels)))
    penalties = (*PENALTIES, 4 * PENALTIES[-1])
    choices = [Choice(penalty=c * 1000 / len(rows), levels=every, share=share) for c in penalties]
    return search(ask, choices, y, task, levels)


def _best(share: float, scores: np.ndarray, choices: Sequence[Choice]) -> int:
    """Where the best choice of a share stands among all."""
    own = [i for i, c in enumerate(choices) if c.share == share]
    return own[best_of(scores[own], [choices[i] for i in own])]


def _out_of_choice(
    searched: np.ndarray, fold: np.ndarray, y: np.ndarray, choices: Sequence[Choice], task: str
) -> np.ndarray:
    """Calibrated probabilities float32 (n, K), for each fold of what the other folds choose and calibrate.

    The temperature is of that choice's own logits on the other folds: those of networks at different shares differ in
    scale, and a mixture of them would no longer rank across folds.
    """
    p = np.empty(searched.shape[1:], np.float32)
    for f in np.unique(fold):
        own, others = fold == f, fold != f
        scores = scores_of(searched[:, others], y[others], task)
        z = searched[best_of(scores, choices)]
        p[own] = probabilities(z[own] / fit_temperature(z[others], y[others], task), task)
    return p


def _solution(x: np.ndarray, y: np.ndarray, choice: Choice, task: str, levels: tuple[int, ...]) -> Solution:
    return Fitter(x, y, task, levels).solve([(np.ones(len(y), bool), choice)])[0]


def _compared(
    logits: Sequence[np.ndarray], choices: Sequence[Choice], y: np.ndarray, groups: np.ndarray, task: str, seed: int
) -> list[Candidate]:
    """AUC of each with its interval, and the paired difference to the first, at 95 % for all of them together."""
    each = []
    for z in logits:
        scores = rankable(z, task)
        rankings = [Ranking(s, t) for s, t in zip(scores.T, y.T, strict=True) if len(np.unique(t[~np.isnan(t)])) > 1]
        each.append(weighted.average([r.auc for r in rankings]))
    found = weighted.bootstrap_intervals({str(i): auc for i, auc in enumerate(each)}, groups, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = [np.stack([auc(w) for auc in each]) for w in weighted.bootstrap_weights(groups, seed, DRAWS)]
    drawn = np.concatenate(values, axis=1)  # (candidates, 1 + draws), the first with all weights 1
    drawn = drawn[:, np.isfinite(drawn).all(0)]
    out = []
    for i, choice in enumerate(choices):
        difference: Metric | None = None
        if i and drawn.shape[1] > DRAWS / 2:
            apart = macro_auc(rankable(logits[i], task), y) - macro_auc(rankable(logits[0], task), y)
            tail = 0.025 / (len(choices) - 1)  # the best of several is shown: each must hold for all (Bonferroni)
            low, high = np.quantile(drawn[i, 1:] - drawn[0, 1:], (tail, 1 - tail))
            difference = {"value": float(apart), "low": float(low), "high": float(high)}
        out.append(
            Candidate(
                share=choice.share,
                penalty=choice.penalty,
                levels=choice.levels,
                auc=found[str(i)],
                difference=difference,
            )
        )
    return out
