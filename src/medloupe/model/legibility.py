"""Tell whether a picture of the right kind shows too little to be answered, by its embedding.

A linear score of the sketch that novelty reads: above 0 the picture is too poor. It is learned from field views
(training/heads/legibility.py), on which it is known how often answers were wrong; sharpness, light and glare, which
imaging/quality.py measures, say how a picture was taken, this says what that does to answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CODE = "poor_photograph"
"""Of the reason, where a picture is found too poor."""

SENTENCE = (
    "The photograph is too poor to be answered. Photograph it again, sharp, from the front, filling the frame, without"
    " reflections; or send the original file."
)


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
