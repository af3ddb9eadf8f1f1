"""Set a check-up's kind of picture apart from other kinds: room for what happens to pictures in the field.

The distance of medloupe.model.novelty knows only its own kind as it was collected. A photograph of a screen lies far
off, and so does another kind of picture; by distance alone one cannot be let in without the other. Where other kinds
are at hand, a linear boundary between them and the own kind tells them apart, whatever was done to the picture: on the
wrong side of it a picture is foreign at any distance, and the further on the right side, the more distance is forgiven.

Fitted on sketches (N, W) of medloupe.model.novelty: in training by what is known of other kinds (kind_bank.py), by
scripts/build_starters.py for what is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SURE = 0.05  # share of its own pictures, changed in the hardest way, that need not be given all the room there is
LOST = 0.02  # share of its own pictures that may come to lie on the wrong side
KEPT = 0.99  # share of each change's pictures that are to find room
MOST = 1.0  # room: at most twice the limit
METHOD = (
    "A linear boundary in the sketch between its own kind, also as the field changes pictures, and other kinds refuses"
    " what lies beyond it, and gives room to what lies well within."
)
_EXTRA = 3  # numbers beside the weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contrast:
    """A boundary in the sketch: `sketch @ weight + bias` is above 0 on its own side.

    Attributes
    ----------
    weight
        float32 (W,).
    bias
        Of the boundary.
    sure
        From which value on all room is given.
    room
        By what share a picture may then exceed the limit.
    """

    weight: np.ndarray
    bias: float
    sure: float
    room: float

    def side(self, z: np.ndarray) -> np.ndarray:
        """Tell the side (N,) of sketches (N, W): above 0 where a picture is of its own kind."""
        return z @ self.weight + self.bias

    def apply(self, distance: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Take this into account in distances (N,), relative to the limit: still above 1 where foreign."""
        side = self.side(z)
        forgiven = distance / (1 + self.room * np.clip(side / self.sure, 0, 1))
        return np.where(side > 0, forgiven, np.maximum(distance, 1 - side) + 1e-6)

    def as_array(self) -> np.ndarray:
        """Give all numbers as float32 (W + 3,)."""
        return np.concatenate([self.weight, (self.bias, self.sure, self.room)]).astype(np.float32)

    @classmethod
    def from_array(cls, stored: np.ndarray, width: int) -> Contrast:
        """Read back from as_array, trusting nothing.

        Raises
        ------
        ValueError
            Says what is wrong with it.
        """
        if stored.shape != (width + _EXTRA,) or not np.isfinite(stored).all():
            raise ValueError(f"its contrast is not {width + _EXTRA} numbers")
        bias, sure, room = (float(v) for v in stored[width:])
        if sure <= 0 or not 0 <= room <= MOST:
            raise ValueError("its contrast gives more room than can be")
        return cls(weight=np.ascontiguousarray(stored[:width], np.float32), bias=bias, sure=sure, room=room)

    def shift(self, sides: np.ndarray) -> Contrast:
        """Move the boundary away from its own kind where need be.

        Parameters
        ----------
        sides
            Of its own pictures (n,), by boundaries that were drawn without them.
        """
        return replace(self, bias=self.bias + max(0.0, -float(np.quantile(sides, LOST))))

    def with_room(self, distances: dict[str, np.ndarray], sketches: dict[str, np.ndarray]) -> Contrast:
        """Give room for its own pictures as the field changes them.

        Parameters
        ----------
        distances, sketches
            By change, (n,) and (n, W) of its own pictures.
        """
        sides = min(float(np.quantile(self.side(z), SURE)) for z in sketches.values())
        needed = max(float(np.quantile(d, KEPT)) for d in distances.values()) - 1
        return replace(self, sure=max(sides, 1.0), room=float(np.clip(needed, 0, MOST)))
