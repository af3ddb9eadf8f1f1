"""Learn to tell a check-up's grey pictures from their negatives, black for white."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medloupe.data.records import Record
from medloupe.data.split import sample_rows
from medloupe.embed.backbone import Backbone
from medloupe.embed.negatives import embed_negatives
from medloupe.model.novelty import FEWEST
from medloupe.model.sketch import sketch_many
from medloupe.training.heads.polarity import fit_polarity
from medloupe.training.pipeline.apart import Apart

MOST = 300
"""Pictures whose negatives are looked at, about."""


def add_polarity(
    apart: Apart,
    records: Sequence[Record],
    embeddings: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    network: Backbone,
    seed: int,
) -> Apart:
    """Add to what a check-up refuses a boundary to the negatives of its own pictures, where enough are grey.

    Parameters
    ----------
    apart : Apart
        By what it refuses other kinds; as it is returned where nothing is, or nothing can be learned.
    records : sequence of Record
        Its N pictures.
    embeddings : np.ndarray
        float32 (N, D), of these by the network.
    targets : np.ndarray
        (N, K).
    groups : np.ndarray
        int (N,), of patients and copies.
    network : Backbone
        By whose embeddings it is judged.
    seed : int
        Of what is drawn and of the folds.
    """
    if apart.novelty is None or len(np.unique(groups)) < FEWEST:
        return apart
    drawn = sample_rows(np.arange(len(records)), targets, groups, MOST, seed)
    found, negatives = embed_negatives([records[i] for i in drawn], network)
    rows = drawn[found]
    if len(np.unique(groups[rows])) < FEWEST:
        return apart
    levels = apart.novelty.levels
    fitted = fit_polarity(sketch_many(embeddings[rows], levels), sketch_many(negatives, levels), groups[rows], seed)
    if fitted is None:
        return apart
    return replace(apart, novelty=replace(apart.novelty, polarity=fitted.boundary), polarity=fitted)
