"""Turn probabilities into an answer: which label is announced, and which are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Rules:
    """What a card says of announcing.

    Attributes
    ----------
    limits
        float32 (K,), threshold of each label's operating point.
    weights
        (K,), what probabilities are multiplied by before the largest is announced.
    top
        How many labels are shown; None for all.
    """

    task: str
    labels: tuple[str, ...]
    limits: np.ndarray
    weights: np.ndarray
    top: int | None

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Rules:
        """Read the rules of a card; thresholds are one half and weights one where it has none."""
        labels = tuple(card["labels"])
        points = {row["label"]: row["operating_point"].get("threshold") for row in card.get("per_label") or ()}
        weights = (card.get("decision") or {}).get("weights") or {}
        return cls(
            task=card["task"],
            labels=labels,
            limits=np.array([0.5 if points.get(n) is None else points[n] for n in labels], np.float32),
            weights=np.array([weights.get(n, 1.0) for n in labels]),
            top=card.get("top_shown"),
        )

    def flags(self, p: np.ndarray) -> np.ndarray:
        """Tell which labels are announced, bool (K,), for probabilities p (K,)."""
        if self.task == "multilabel":
            # In single precision, as the limits were found: near 1 a limit is rounded up to 1, above all that is exact.
            return p.astype(np.float32) >= self.limits
        called = np.zeros(len(p), bool)
        called[int((p * self.weights).argmax())] = True
        return called

    def announce(self, p: np.ndarray) -> str:
        """Name the label, or those of several findings joined with "|"; "" when there is none."""
        return "|".join(name for name, flag in zip(self.labels, self.flags(p), strict=True) if flag)

    def labels_shown(self, p: np.ndarray) -> Sequence[int]:
        """List which labels an answer shows, by number, in what order."""
        return np.argsort(-p)[: self.top].tolist() if self.top else range(len(self.labels))
