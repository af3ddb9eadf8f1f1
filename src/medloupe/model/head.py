"""Define the linear head, and how logits become probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A linear head with scaling and calibration folded in.

    For embeddings e (N, D), `e @ weight.T + bias` are the calibrated logits (N, K); the probabilities are their softmax
    (multiclass) or sigmoid (multilabel, detection).

    Attributes
    ----------
    weight
        float32 (K, D).
    bias
        float32 (K,).
    """

    weight: np.ndarray
    bias: np.ndarray
    task: Literal["multiclass", "multilabel", "detection"]

    def logits(self, embedding: np.ndarray) -> np.ndarray:
        """Compute the calibrated logits float32 (N, K) of embeddings (N, D)."""
        return np.asarray(embedding @ self.weight.T + self.bias, np.float32)

    def probabilities(self, embedding: np.ndarray) -> np.ndarray:
        """Compute the calibrated probabilities float32 (N, K) of embeddings (N, D)."""
        return probabilities(self.logits(embedding), self.task)


def probabilities(logits: np.ndarray, task: str) -> np.ndarray:
    """Take the softmax over the last axis (multiclass) or the element-wise sigmoid (multilabel, detection)."""
    if task != "multiclass":
        return np.asarray(0.5 * (1 + np.tanh(logits / 2)), logits.dtype)
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
