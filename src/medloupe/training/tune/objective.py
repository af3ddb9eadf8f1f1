"""What a training strives for: softened and mixed targets, weights of classes, the loss, and what counts as a hit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.graphs.module import import_torch

if TYPE_CHECKING:
    import torch


def loss(z: torch.Tensor, soft: torch.Tensor, known: torch.Tensor, weights: torch.Tensor, task: str) -> torch.Tensor:
    """Cross-entropy of logits z (n, K) with soft targets (multiclass), or a label at a time where it is stated
    (multilabel); soft, known: from softened or mixed, weights (K,): from class_weights."""
    f = import_torch().nn.functional
    if task == "multilabel":
        each = f.binary_cross_entropy_with_logits(z, soft, reduction="none", pos_weight=weights)
        return (each * known).sum() / known.sum().clamp(min=1)
    of_rows = soft @ weights * known[:, 0]
    return (-(soft * f.log_softmax(z, 1)).sum(1) * of_rows).sum() / of_rows.sum().clamp(min=1e-6)


def class_weights(targets: np.ndarray, balance: float, task: str) -> np.ndarray:
    """float32 (K,): of each class (mean 1 over the rows), or of each label's positive cases (multilabel)."""
    positives = np.nansum(targets == 1, axis=0)
    if task == "multilabel":
        negatives = np.nansum(targets == 0, axis=0)
        ratio = np.where((positives > 0) & (negatives > 0), negatives / np.maximum(positives, 1), 1)
        return (ratio**balance).astype(np.float32)
    weights = (positives.max() / np.maximum(positives, 1)) ** balance
    return (weights * positives.sum() / np.maximum((weights * positives).sum(), 1)).astype(np.float32)


def smooth_targets(targets: np.ndarray, smoothing: float, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Targets (n, K) with smoothing, and where they are stated, both float32; of classes all or none of a row are."""
    known = ~np.isnan(targets)
    if task == "multiclass":
        known = np.repeat(known.all(1, keepdims=True), targets.shape[1], 1)
        soft = np.nan_to_num(targets) * (1 - smoothing) + smoothing / targets.shape[1]
    else:
        soft = np.nan_to_num(targets) * (1 - smoothing) + smoothing / 2
    return soft.astype(np.float32), known.astype(np.float32)


def mix_targets(soft: torch.Tensor, known: torch.Tensor, share: float, other: torch.Tensor) -> tuple[Any, Any]:
    """Targets of rows mixed with other rows, and how much they count: what only one of the two states, as its share."""
    ours, theirs = known * share, known[other] * (1 - share)
    both = ours + theirs
    return (soft * ours + soft[other] * theirs) / both.clamp(min=1e-6), both


def count_hits(z: np.ndarray, targets: np.ndarray, task: str) -> float:
    """How many of the rows are answered right: the class, or the mean share of labels."""
    if task == "multilabel":
        known = ~np.isnan(targets)
        right = ((z > 0) == (targets == 1)) & known
        return float((right.sum(1) / np.maximum(known.sum(1), 1)).sum())
    return float((z.argmax(1) == np.nan_to_num(targets).argmax(1)).sum())
