"""Score logits by how well they rank the truth."""

from __future__ import annotations

import numpy as np

from medloupe.metrics.weighted import Ranking
from medloupe.model.head import probabilities


def ranking_scores(logits: np.ndarray, task: str) -> np.ndarray:
    """Turn logits (N, K) into scores that rank like the probabilities do, without their ties near 0 and 1."""
    if task == "multilabel":
        return logits
    if logits.shape[1] == 2:
        return np.column_stack([logits[:, 0] - logits[:, 1], logits[:, 1] - logits[:, 0]])
    return np.log(np.maximum(probabilities(logits.astype(np.float64), task), 1e-300))


def macro_auc(scores: np.ndarray, targets: np.ndarray) -> float:
    """Average the AUC over the labels that are both present and absent; scores and targets (N, K)."""
    ones = np.ones((1, len(scores)), np.float32)
    each = np.array([Ranking(s, t).auc(ones)[0] for s, t in zip(scores.T, targets.T, strict=True)])
    return float(each[np.isfinite(each)].mean()) if np.isfinite(each).any() else 0.5


def macro_aucs(searched: np.ndarray, targets: np.ndarray, task: str) -> np.ndarray:
    """Compute the macro AUC (choices,) of logits (choices, N, K)."""
    return np.array([macro_auc(ranking_scores(z, task), targets) for z in searched])
