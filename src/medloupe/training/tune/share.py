"""Decide whether a network is tuned on field views too: on one fold, by what that costs direct pictures.

Two networks are tuned on the other folds, one on direct pictures alone, one on both. Heads on them answer the fold's
direct pictures and views. Views are learned from where that costs direct pictures nothing but noise, or next to nothing
(heads.field_candidates), and answers views better than a head can that learns from them on the other network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.embed.field import FieldFeatures
from medloupe.embed.tail import join_outputs
from medloupe.metrics.calibration import row_losses
from medloupe.model.head import probabilities
from medloupe.training.heads.field import refit_with_views, to_logits
from medloupe.training.heads.field_candidates import FieldCandidate, choose_weight, compare_candidates
from medloupe.training.heads.fit import CS, Fitter, HeadChoice, scale_choices
from medloupe.training.heads.ranking import macro_auc, ranking_scores
from medloupe.training.heads.temperature import fit_temperature
from medloupe.training.tune.jobfolder import FinishedJob

SHARE = 0.5
"""Of the pictures of an epoch, those shown as a view, where a network learns from views."""

_WEIGHT, _FREER = 1.0, 3.0  # of the views in the heads that are compared, as heads.field tries them


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareChoice:
    """Which share was chosen, and how the networks fared that were compared.

    Attributes
    ----------
    share : float
        0 where direct pictures alone are learned from.
    candidates : tuple of FieldCandidate
        The network of direct pictures with a head of these, the same with one of views too, and the network of both.
    """

    share: float
    candidates: tuple[FieldCandidate, ...]

    def as_json(self) -> dict[str, Any]:
        """Give what the card tells."""
        names = ("direct pictures alone", "views in the head", "views in the network too")
        tried = [{"name": n, **c.describe_losses()} for n, c in zip(names, self.candidates, strict=True)]
        return {"share": self.share, "tried": tried}


def choose_share(
    direct: FinishedJob,
    both: FinishedJob,
    base: np.ndarray,
    views: FieldFeatures,
    rows: np.ndarray,
    own: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    *,
    task: str,
    levels: tuple[int, ...],
) -> ShareChoice:
    """Compare two networks on the fold that neither saw.

    Parameters
    ----------
    direct, both : FinishedJob
        Tuned on direct pictures alone, and on views too.
    base : np.ndarray
        float32 (N, D), the untuned embeddings.
    views : FieldFeatures
        V views of rows of these, by the untuned network.
    rows : np.ndarray
        int (n,), what may be learned from or judged by.
    own : np.ndarray
        bool (n,), which of them are the fold's.
    targets, groups : np.ndarray
        (N, K) and int (N,).
    task, levels
        As heads are fitted.
    """
    asked = _Asked(base, views, rows, own, targets[rows], task, levels)
    first, second = asked.choose(direct), asked.choose(both)
    z = [asked.answer(direct, first, taught=False), asked.answer(direct, first), asked.answer(both, second)]
    shown = views.within(rows[own])
    y = targets[rows[own]]
    n, truth = len(y), np.concatenate([y, y[shown.rows]])
    p = np.stack([probabilities(logits / fit_temperature(logits[:n], y, task), task) for logits in z])
    losses = np.stack([row_losses(to_logits(q, task), truth, task) for q in p])
    tried = ((0.0, 1.0), (_WEIGHT, _FREER), (_WEIGHT, _FREER))
    candidates = compare_candidates(tried, losses, p[:, :n], y, groups[rows[own]], shown, np.ones(n, bool))
    return ShareChoice(share=SHARE if choose_weight(candidates) == 2 else 0.0, candidates=candidates)


class _Asked:
    """What is asked of both networks alike: heads fitted without a fold, and their answers on it."""

    def __init__(
        self,
        base: np.ndarray,
        views: FieldFeatures,
        rows: np.ndarray,
        own: np.ndarray,
        targets: np.ndarray,
        task: str,
        levels: tuple[int, ...],
    ):
        self.base, self.views, self.rows, self.own = base, views, rows, own
        self.targets, self.task, self.levels = targets, task, levels

    def _seen(self, made: FinishedJob, alpha: float) -> np.ndarray:
        return join_outputs(made.embeddings[alpha][self.rows], self.base[self.rows])

    def choose(self, made: FinishedJob) -> HeadChoice:
        """Choose how far the network goes and how free its head is, by the AUC of the fold's direct pictures."""
        found: list[tuple[float, HeadChoice]] = []
        for alpha in sorted(made.embeddings):
            x = self._seen(made, alpha)
            choices = scale_choices((*CS, 4 * CS[-1]), len(x), self.levels, alpha)
            solved = Fitter(x, self.targets, self.task, self.levels).solve([(~self.own, c) for c in choices])
            for choice, s in zip(choices, solved, strict=True):
                z = x[self.own] @ s.weight + s.bias
                found.append((macro_auc(ranking_scores(z, self.task), self.targets[self.own]), choice))
        return max(found, key=lambda each: (each[0], -each[1].c))[1]

    def answer(self, made: FinishedJob, choice: HeadChoice, *, taught: bool = True) -> np.ndarray:
        """Compute logits of the fold's direct pictures and, behind these, of its views."""
        x = self._seen(made, choice.alpha)
        views = made.see_views(self.views, choice.alpha).within(self.rows)
        (s,) = refit_with_views(
            x,
            self.targets,
            views,
            [~self.own],
            choice,
            weight=_WEIGHT if taught else 0.0,
            freer=_FREER if taught else 1.0,
            task=self.task,
            levels=self.levels,
        )
        # views of the rows of the fold, in the order in which `within` gives them
        shown = views.within(np.flatnonzero(self.own))
        return np.concatenate([x[self.own], shown.embeddings]) @ s.weight + s.bias
