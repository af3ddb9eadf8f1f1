"""Tell from the embeddings of a picture and of its negative which of the two is as the check-up learned its pictures.

A linear score of the difference of their sketches (medloupe.model.sketch), learned from own pictures and their
negatives (training/heads/polarity.py). What both share, the clinic, the machine and the patient, falls out of the
difference, so that it holds on films of other hospitals where a distance does not. Measured by benchmarks/polarity.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MARGIN = 1.0
"""Log odds by which the negative must be the right one; of 1,800 pictures of 12 other sources none came so far."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolarityBoundary:
    """A linear score in the sketch: of a picture less that of its negative it is above 0 where the picture is right.

    Attributes
    ----------
    weight
        float32 (W,).
    """

    weight: np.ndarray

    def margin(self, z: np.ndarray, negative: np.ndarray) -> np.ndarray:
        """Score sketches (N, W) of pictures against their negatives': log odds (N,) that the pictures are right."""
        return np.asarray((z - negative) @ self.weight, np.float32)

    def as_array(self) -> np.ndarray:
        """Give all numbers as float32 (W,)."""
        return np.asarray(self.weight, np.float32)

    @classmethod
    def from_array(cls, stored: np.ndarray, width: int) -> PolarityBoundary:
        """Read back from as_array, trusting nothing.

        Raises
        ------
        ValueError
            Says what is wrong with it.
        """
        if stored.shape != (width,) or not np.isfinite(stored).all():
            raise ValueError(f"its polarity is not {width} numbers")
        return cls(weight=np.ascontiguousarray(stored, np.float32))
