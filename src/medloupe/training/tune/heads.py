"""Fit heads on tuned networks: which network and which head is decided and judged by what no network had seen.

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
    CS,
    FittedHead,
    Fitter,
    HeadChoice,
    best_index,
    build_head,
    scale_choices,
    search_levels,
)
from medloupe.training.heads.ranking import macro_auc, macro_aucs, ranking_scores
from medloupe.training.heads.solver import Solution
from medloupe.training.heads.temperature import fit_temperature
from medloupe.training.heads.tuned_fit import TunedFit, TuningCandidate
from medloupe.training.tune.photographed import teach_tuned
from medloupe.training.tune.run import TunedNetworks

DRAWS = 1000


def fit_tuned(
    tuned: TunedNetworks,
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

    Parameters
    ----------
    tuned : TunedNetworks
        A network for each fold, and the final one.
    targets : np.ndarray
        float32 (N, K) of all rows: 1, 0 and NaN.
    groups : np.ndarray
        int (N,).
    everything : np.ndarray
        Rows that the shipped head is fitted on; those of tuned.fitting judge.
    task : str
        "multiclass" or "multilabel".
    levels : tuple of int
        How an embedding divides.
    seed : int
        Of the bootstrap.
    may_stay : bool
        Whether the untuned network may win (it does unless tuning is worthwhile).
    """
    rows, fold = tuned.fitting, tuned.fold
    y = targets[rows]
    alphas = (0.0, *tuned.alphas)
    parts = [_search_alpha(tuned, alpha, rows, fold, y, task, levels) for alpha in alphas]
    searched = np.concatenate([z for z, _, _ in parts])
    scores = np.concatenate([s for _, s, _ in parts])
    choices = [c for _, _, of_alpha in parts for c in of_alpha]
    bests = [_best_index_of_alpha(alpha, scores, choices) for alpha in alphas]
    candidates = _compare([searched[b] for b in bests], [choices[b] for b in bests], y, groups[rows], task, seed)
    ours = max(range(1, len(alphas)), key=lambda i: scores[bests[i]])
    gained = candidates[ours].difference
    worthwhile = gained is not None and gained["low"] is not None and gained["low"] > 0
    untuned = may_stay and not worthwhile
    allowed = np.array([(c.alpha == 0) == untuned for c in choices])
    kept = [c for c, a in zip(choices, allowed, strict=True) if a]
    searched, scores = searched[allowed], scores[allowed]
    chosen = kept[best_index(scores, kept)]
    temperature = fit_temperature(searched[kept.index(chosen)], y, task)
    x = tuned.embeddings(None, chosen.alpha)
    whole = _fit_rows(x[everything], targets[everything], chosen, task, levels)
    same = len(everything) == len(rows)
    fitted = FittedHead(
        head=build_head(whole, temperature, task),
        choice=chosen,
        candidates=tuple(zip(kept, scores.tolist(), strict=True)),
        temperature=temperature,
        folds=fold[None],
        out_of_fold=_calibrate_across_choices(searched, fold, y, kept, task)[None],
    )
    taught = None
    if tuned.views is not None and chosen.alpha:
        taught = teach_tuned(tuned, fitted, targets, groups, everything, task=task, levels=levels)
    if taught is None:
        on_fitting = whole if same else _fit_rows(x[rows], y, chosen, task, levels)
    else:
        fitted, on_fitting = taught.fitted, taught.on_fitting
    return TunedFit(
        fitted=fitted,
        alpha=chosen.alpha,
        on_fitting=on_fitting,
        candidates=tuple(candidates),
        worthwhile=worthwhile,
        field=None if taught is None else taught.field,
    )


def _search_alpha(
    tuned: TunedNetworks,
    alpha: float,
    rows: np.ndarray,
    fold: np.ndarray,
    y: np.ndarray,
    task: str,
    levels: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray, list[HeadChoice]]:
    """Search as heads.fit does, at one alpha, each row by heads and a network that saw nothing of its fold.

    The choices are those of heads.fit, so that the untuned network is not held down; and one freer head, which suits
    tuned ones.
    """

    def ask(choices: Sequence[HeadChoice]) -> np.ndarray:
        z = np.empty((len(choices), *y.shape), np.float32)
        for f in np.unique(fold):
            x = tuned.embeddings(int(f), alpha)[rows]
            own = fold == f
            for i, s in enumerate(Fitter(x, y, task, levels).solve([(~own, c) for c in choices])):
                z[i, own] = x[own] @ s.weight + s.bias
        return z

    choices = scale_choices((*CS, 4 * CS[-1]), len(rows), levels, alpha)
    return search_levels(ask, choices, lambda z: macro_aucs(z, y, task), levels)


def _best_index_of_alpha(alpha: float, scores: np.ndarray, choices: Sequence[HeadChoice]) -> int:
    """Find where the best choice of an alpha stands among all."""
    own = [i for i, c in enumerate(choices) if c.alpha == alpha]
    return own[best_index(scores[own], [choices[i] for i in own])]


def _calibrate_across_choices(
    searched: np.ndarray, fold: np.ndarray, y: np.ndarray, choices: Sequence[HeadChoice], task: str
) -> np.ndarray:
    """Calibrate probabilities float32 (n, K), for each fold of what the other folds choose and calibrate.

    The temperature is of that choice's own logits on the other folds: those of networks at different alphas differ in
    scale, and a mixture of them would no longer rank across folds.
    """
    p = np.empty(searched.shape[1:], np.float32)
    for f in np.unique(fold):
        own, others = fold == f, fold != f
        scores = macro_aucs(searched[:, others], y[others], task)
        z = searched[best_index(scores, choices)]
        p[own] = probabilities(z[own] / fit_temperature(z[others], y[others], task), task)
    return p


def _fit_rows(x: np.ndarray, y: np.ndarray, choice: HeadChoice, task: str, levels: tuple[int, ...]) -> Solution:
    return Fitter(x, y, task, levels).solve([(np.ones(len(y), bool), choice)])[0]


def _compare(
    logits: Sequence[np.ndarray], choices: Sequence[HeadChoice], y: np.ndarray, groups: np.ndarray, task: str, seed: int
) -> list[TuningCandidate]:
    """Measure the AUC of each with its interval, and the paired difference to the first, at 95 % for all together."""
    each = []
    for z in logits:
        scores = ranking_scores(z, task)
        rankings = [Ranking(s, t) for s, t in zip(scores.T, y.T, strict=True) if len(np.unique(t[~np.isnan(t)])) > 1]
        each.append(weighted.average([r.auc for r in rankings]))
    found = weighted.bootstrap_intervals({str(i): auc for i, auc in enumerate(each)}, groups, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = [np.stack([auc(w) for auc in each]) for w in weighted.bootstrap_weights(groups, seed, DRAWS)]
    drawn = np.concatenate(values, axis=1)  # (candidates, 1 + draws), the first with all weights 1
    drawn = drawn[:, np.isfinite(drawn).all(0)]
    return [
        TuningCandidate(
            alpha=choice.alpha,
            c=choice.c,
            levels=choice.levels,
            auc=found[str(i)],
            difference=_difference(i, logits, drawn, y, task) if i and drawn.shape[1] > DRAWS / 2 else None,
        )
        for i, choice in enumerate(choices)
    ]


def _difference(i: int, logits: Sequence[np.ndarray], drawn: np.ndarray, y: np.ndarray, task: str) -> Metric:
    """Compare candidate i to the first, by AUCs drawn (candidates, 1 + draws)."""
    apart = macro_auc(ranking_scores(logits[i], task), y) - macro_auc(ranking_scores(logits[0], task), y)
    tail = 0.025 / (len(logits) - 1)  # the best of several is shown: each must hold for all (Bonferroni)
    low, high = np.quantile(drawn[i, 1:] - drawn[0, 1:], (tail, 1 - tail))
    return {"value": float(apart), "low": float(low), "high": float(high)}
