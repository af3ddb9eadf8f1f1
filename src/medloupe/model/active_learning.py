"""Choose which of many examples to label next: where a model is unsure, and spread over what there is.

Uncertainty-weighted k-means on the directions of standardised embeddings: as many clusters as are wanted, each row
weighing as much as the model is unsure of it, and of each cluster the row next to its centre. No two are of one group.

Source: Zhdanov, Diverse mini-batch active learning, arXiv:1901.05954 (2019).
"""

from __future__ import annotations

import numpy as np

POOL = 50  # candidates for each row that is wanted: the most uncertain
ROUNDS = 20
_ONE = 1e-6  # weight of a row of which the model is sure


def measure_uncertainty(probabilities: np.ndarray, task: str) -> np.ndarray:
    """Measure how unsure a model is, 0 to 1 (N,): 1 where the two likeliest classes are as likely, or a finding is .5.

    Parameters
    ----------
    probabilities : np.ndarray
        (N, K).
    task : str
        "multiclass" or "multilabel"; of several findings the least sure counts.
    """
    if task == "multiclass" and probabilities.shape[1] > 1:
        first, second = np.sort(probabilities, axis=1)[:, [-1, -2]].T
        return 1 - (first - second)
    return (1 - 2 * np.abs(probabilities - 0.5)).max(1)


def select_batch(
    embeddings: np.ndarray, uncertainty: np.ndarray, groups: np.ndarray, count: int, seed: int = 0
) -> np.ndarray:
    """Choose rows to label.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D).
    uncertainty : np.ndarray
        (N,), 0 to 1.
    groups : np.ndarray
        int (N,), of patients and copies: of each at most one row is chosen.
    count : int
        How many.
    seed : int
        Of the first centres.

    Returns
    -------
    np.ndarray
        int (count,) or as many as there are groups, the most uncertain first.
    """
    order = np.argsort(-uncertainty, kind="stable")
    first_of_group = np.sort(np.unique(groups[order], return_index=True)[1])
    candidates = order[first_of_group][: POOL * count]  # the most uncertain of each group
    if len(candidates) > count:
        chosen = _pick_centres(_directions(embeddings, candidates), uncertainty[candidates] + _ONE, count, seed)
        candidates = candidates[chosen]
    return candidates[np.argsort(-uncertainty[candidates], kind="stable")]


def _directions(embeddings: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Standardise rows by all embeddings, and bring them to length 1."""
    mean, deviation = embeddings.mean(0, dtype=np.float64), embeddings.std(0, dtype=np.float64)
    x = ((embeddings[rows] - mean) / np.where(deviation > 1e-6, deviation, np.inf)).astype(np.float32)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _pick_centres(x: np.ndarray, weight: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Cluster unit rows (n, D) by weighted k-means, and pick the row next to each centre."""
    centres = x[_spread(x, weight, count, np.random.default_rng(seed))]
    for _ in range(ROUNDS):
        own = _distance(x, centres).argmin(1)
        for k in range(count):
            if (of := own == k).any():
                centres[k] = np.average(x[of], axis=0, weights=weight[of])
    distance = _distance(x, centres)
    chosen: list[int] = []
    for k in range(count):
        nearest = int(distance[:, k].argmin())
        chosen.append(nearest)
        distance[nearest] = np.inf
    return np.array(chosen)


def _spread(x: np.ndarray, weight: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """Draw first centres by greedy k-means++: likely where rows weigh much and lie far, the best of several draws."""
    far = np.full(len(x), 2.0)
    chosen: list[int] = []
    draws = 2 + int(np.log(count))
    for _ in range(count):
        share = weight * far
        if share.sum() <= 0:
            share = np.isin(np.arange(len(x)), chosen, invert=True).astype(float)
        drawn = rng.choice(len(x), size=draws, p=share / share.sum())
        left = np.minimum(far[None], np.maximum(2 - 2 * (x[drawn] @ x.T), 0))  # (draws, n)
        best = int((left @ weight).argmin())
        chosen.append(int(drawn[best]))
        far = left[best]
    return chosen


def _distance(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances (n, K) of unit rows, less their own length, which is the same for all centres."""
    return (centres**2).sum(1)[None] - 2 * x @ centres.T
