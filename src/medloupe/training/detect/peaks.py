"""Find boxes in what a head says: peaks of the heat, the best of those that lie over each other.

The same is in the graph that `training.detect.export` makes; tests hold the two together.
"""

from __future__ import annotations

import numpy as np

from medloupe.graphs.module import import_torch
from medloupe.model.boxes import suppress

LEAST_SCORE = 0.005  # of a candidate, before it is calibrated


def find_peaks(scores: np.ndarray, boxes: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the boxes of one picture, best first.

    Parameters
    ----------
    scores : np.ndarray
        float32 (K, h, w).
    boxes : np.ndarray
        float32 (4, h, w).
    most : int
        Candidates at most.

    Returns
    -------
    tuple of np.ndarray
        boxes (n, 4), scores (n,), labels (n,).
    """
    torch = import_torch()
    top = torch.nn.functional.max_pool2d(torch.from_numpy(scores)[None], 3, 1, 1)[0].numpy()
    flat = np.where(scores >= top, scores, 0).ravel()
    order = np.argsort(-flat, kind="stable")[:most]
    order = order[flat[order] >= LEAST_SCORE]
    k, y, x = np.unravel_index(order, scores.shape)
    found = boxes[:, y, x].T
    kept = suppress(found, k)
    return found[kept], flat[order][kept], k[kept]
