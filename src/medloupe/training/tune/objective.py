"""Define the objective of a training: smoothed and mixed targets, class weights, the loss, and hits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.graphs.module import import_torch

if TYPE_CHECKING:
    import torch


def loss(z: torch.Tensor, soft: torch.Tensor, known: torch.Tensor, weights: torch.Tensor, task: str) -> torch.Tensor:
    """Compute the cross-entropy with soft targets (multiclass), or a label at a time where it is stated (multilabel).

    Parameters
    ----------
    z : torch.Tensor
        Logits (n, K).
    soft, known : torch.Tensor
        float32 (n, K), from smooth_targets or mix_targets.
    weights : torch.Tensor
        float32 (K,), from class_weights.
    task : str
        "multiclass" or "multilabel".
    """
    f = import_torch().nn.functional
    if task == "multilabel":
        each = f.binary_cross_entropy_with_logits(z, soft, reduction="none", pos_weight=weights)
        return (each * known).sum() / known.sum().clamp(min=1)
    of_rows = soft @ weights * known[:, 0]
    return (-(soft * f.log_softmax(z, 1)).sum(1) * of_rows).sum() / of_rows.sum().clamp(min=1e-6)


def class_weights(targets: np.ndarray, balance: float, task: str) -> np.ndarray:
    """Weigh each class (mean 1 over the rows), or each label's positive cases (multilabel): float32 (K,).

    Parameters
    ----------
    targets : np.ndarray
        (n, K) of 1, 0 and NaN.
    balance : float
        Exponent: 0 for weights of 1, 1 for classes that count the same however rare.
    task : str
        "multiclass" or "multilabel".
    """
    positives = np.nansum(targets == 1, axis=0)
    if task == "multilabel":
        negatives = np.nansum(targets == 0, axis=0)
        ratio = np.where((positives > 0) & (negatives > 0), negatives / np.maximum(positives, 1), 1)
        return (ratio**balance).astype(np.float32)
    weights = (positives.max() / np.maximum(positives, 1)) ** balance
    return (weights * positives.sum() / np.maximum((weights * positives).sum(), 1)).astype(np.float32)


def smooth_targets(targets: np.ndarray, smoothing: float, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Smooth targets, and tell where they are stated.

    Parameters
    ----------
    targets : np.ndarray
        (n, K) of 1, 0 and NaN.
    smoothing : float
        Share, 0 to 1, that is spread over the classes, or over yes and no.
    task : str
        "multiclass" or "multilabel".

    Returns
    -------
    tuple of np.ndarray
        Both float32 (n, K); of classes all or none of a row are stated.
    """
    known = ~np.isnan(targets)
    if task == "multiclass":
        known = np.repeat(known.all(1, keepdims=True), targets.shape[1], 1)
        soft = np.nan_to_num(targets) * (1 - smoothing) + smoothing / targets.shape[1]
    else:
        soft = np.nan_to_num(targets) * (1 - smoothing) + smoothing / 2
    return soft.astype(np.float32), known.astype(np.float32)


def mix_targets(soft: torch.Tensor, known: torch.Tensor, share: float, other: torch.Tensor) -> tuple[Any, Any]:
    """Mix targets of rows with those of other rows; what only one of the two states counts as its share.

    Parameters
    ----------
    soft, known : torch.Tensor
        float32 (n, K), from smooth_targets.
    share : float
        Of the rows themselves, 0 to 1.
    other : torch.Tensor
        int (n,), the rows mixed in.

    Returns
    -------
    tuple of torch.Tensor
        Targets, and how much they count, float32 (n, K) each.
    """
    ours, theirs = known * share, known[other] * (1 - share)
    both = ours + theirs
    return (soft * ours + soft[other] * theirs) / both.clamp(min=1e-6), both


def count_hits(z: np.ndarray, targets: np.ndarray, task: str) -> float:
    """Count the rows answered right: by class, or by the mean share of labels. z: logits (n, K)."""
    if task == "multilabel":
        known = ~np.isnan(targets)
        right = ((z > 0) == (targets == 1)) & known
        return float((right.sum(1) / np.maximum(known.sum(1), 1)).sum())
    return float((z.argmax(1) == np.nan_to_num(targets).argmax(1)).sum())
