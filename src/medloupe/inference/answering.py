"""Turn what a network made of one example into an answer: the head, then the decision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medloupe.imaging.facts import Fact
from medloupe.model.boxes import FoundBox
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision, Why
from medloupe.model.head import probabilities
from medloupe.model.prediction import Influence, Prediction, Refusal
from medloupe.model.tiling import Tiling


def apply_head(model: Model, embedding: np.ndarray, maps: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Apply a model's head: calibrated logits (N, K) and, from maps (N, D, h, w), heat maps (N, K, h, w)."""
    logits = model.head.logits(embedding)
    if maps is None:
        return logits, None
    from medloupe.model.heatmaps import map_contributions

    return logits, map_contributions(model.head, maps)


def make_prediction(
    model: Model,
    decision: Decision,
    file: str,
    logits: np.ndarray,
    parts: np.ndarray | None,
    timings: Mapping[str, float],
    refused: Refusal | None = None,
    inputs: tuple[Influence, ...] | None = None,
    unusable: Why | None = None,
    facts: tuple[Fact, ...] = (),
    boxes: tuple[FoundBox, ...] | None = None,
    size: tuple[int, int] | None = None,
    tiling: Tiling | None = None,
    cropped: bool = False,
) -> Prediction:
    """Turn logits (K,) into a Prediction. A refused or unusable one keeps its probabilities; nothing is said of it."""
    return Prediction.of(
        decision,
        probabilities(logits.astype(np.float64), decision.task),
        refused=refused,
        unusable=unusable,
        heatmap=parts,
        file=file,
        model=model.name,
        version=model.version,
        timings=timings,
        inputs=inputs,
        facts=facts,
        boxes=boxes,
        size=size,
        tiling=tiling,
        cropped=cropped,
    )
