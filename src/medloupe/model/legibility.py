"""Tell whether a picture of the right kind shows too little to be answered, by its embedding.

A linear score of the sketch that novelty reads: above 0 the picture is too poor. It is learned from field views
(training/heads/legibility.py), on which it is known how often answers were wrong; sharpness, light and glare, which
imaging/quality.py measures, say how a picture was taken, this says what that does to answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

CODE = "poor_photograph"
"""Of the reason, where a picture is found too poor."""

SENTENCE = (
    "The photograph is too poor to be answered. Photograph it again, sharp, from the front, filling the frame, without"
    " reflections; or send the original file."
)

MOST_LOST = 0.10
"""Of the AUC of direct pictures, that answers on mild or medium photographs with known corners may lose."""

NOT_ANSWERED = "Photographs of a screen, film or print are not answered: too much is lost on them."


def answers_photographs(card: Mapping[str, Any]) -> bool:
    """Tell whether a check-up answers photographs of a screen, film or print.

    It does where it learned from such, and where its answers on mild and medium ones, out of fold and with the corners
    known, lose MOST_LOST of the AUC at most.
    """
    field = card.get("field") or {}
    if not field.get("weight"):
        return False
    direct = [_auc(judged) for judged in (card.get("metrics"), (card.get("secondary") or {}).get("metrics"))]
    known = [auc for auc in direct if auc is not None]
    photographed = [
        auc
        for row in field.get("rows") or ()
        if row.get("kind") == "straight" and row.get("severity") != "hard" and (auc := _auc(row)) is not None
    ]
    return not known or all(auc >= max(known) - MOST_LOST for auc in photographed)


def _auc(figures: Mapping[str, Any] | None) -> float | None:
    return ((figures or {}).get("auc") or {}).get("value")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Legibility:
    """A linear score in the sketch: `sketch @ weight + bias` is above 0 where a picture is too poor.

    Attributes
    ----------
    weight
        float32 (W,).
    bias
        Shifted so that 0 is the limit.
    """

    weight: np.ndarray
    bias: float

    def score(self, z: np.ndarray) -> np.ndarray:
        """Score sketches (N, W), float32 (N,): above 0 a picture is too poor."""
        return np.asarray(z @ self.weight + self.bias, np.float32)

    def as_array(self) -> np.ndarray:
        """Give all numbers as float32 (W + 1,)."""
        return np.concatenate([self.weight, (self.bias,)]).astype(np.float32)

    @classmethod
    def from_array(cls, stored: np.ndarray, width: int) -> Legibility:
        """Read back from as_array, trusting nothing.

        Raises
        ------
        ValueError
            Says what is wrong with it.
        """
        if stored.shape != (width + 1,) or not np.isfinite(stored).all():
            raise ValueError(f"its legibility is not {width + 1} numbers")
        return cls(weight=np.ascontiguousarray(stored[:width], np.float32), bias=float(stored[width]))
