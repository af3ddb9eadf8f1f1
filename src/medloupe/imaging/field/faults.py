"""Draw how strong each fault of a photograph is, for a severity.

Every fault is drawn from 0 to what the severity allows. A hard photograph is one with one or two faults at their
strongest, as real poor ones are: out of focus, or with a lamp in the glass, seldom everything together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Severity = Literal["mild", "medium", "hard"]
SEVERITIES: tuple[Severity, ...] = ("mild", "medium", "hard")

MOST: dict[str, tuple[float, float, float]] = {
    "askew": (0.02, 0.05, 0.10),  # of a side, by which each corner lies off
    "turn": (2.0, 5.0, 12.0),  # degrees
    "moire": (0.03, 0.08, 0.18),  # amplitude, share of the light
    "glare": (0.12, 0.40, 1.4),  # of white at its core
    "veil": (0.03, 0.10, 0.30),  # of white, everywhere
    "shadow": (0.15, 0.35, 0.65),  # share of the light that is taken
    "uneven": (0.12, 0.28, 0.50),  # of the light, from one side to the other
    "vignette": (0.12, 0.30, 0.55),
    "cast": (0.06, 0.14, 0.28),  # by which a channel's gain differs
    "exposure": (0.15, 0.40, 0.95),  # stops
    "tone": (0.12, 0.25, 0.45),  # by which the exponent differs, and of the curve's bend
    "focus": (0.0015, 0.0035, 0.011),  # deviation of the blur, of the longer side
    "motion": (0.002, 0.006, 0.024),  # its length, of the longer side
    "noise": (0.010, 0.028, 0.085),  # deviation at middle grey, of white
    "sharpen": (0.6, 1.3, 2.2),
    "smooth": (0.3, 0.6, 1.0),
    "cover": (0.0, 0.05, 0.16),  # of the picture's side, by which fingers reach over it
    "fold": (0.05, 0.14, 0.30),
}
"""Of each fault the most by severity."""

_RANKED = ("moire", "glare", "veil", "shadow", "exposure", "focus", "motion", "noise", "cast")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultLevels:
    """Draw fault levels for one photograph.

    Attributes
    ----------
    severity : str
        One of SEVERITIES.
    rng : Generator
        Of what is drawn.
    worst : tuple of str
        The faults that are at their strongest, in a hard photograph.
    """

    severity: Severity
    rng: np.random.Generator
    worst: tuple[str, ...] = field(default=())

    @classmethod
    def draw(cls, severity: Severity, rng: np.random.Generator) -> FaultLevels:
        """Draw which faults are the worst ones."""
        count = {"mild": 0, "medium": 0, "hard": int(rng.integers(1, 3))}[severity]
        return cls(severity=severity, rng=rng, worst=tuple(rng.choice(_RANKED, count, replace=False).tolist()))

    @property
    def rank(self) -> int:
        """0 mild, 1 medium, 2 hard."""
        return SEVERITIES.index(self.severity)

    def level(self, fault: str) -> float:
        """Draw the strength of a fault, 0 to what the severity allows."""
        most = MOST[fault]
        if fault in self.worst:
            return float(self.rng.uniform(0.65, 1.0) * most[2])
        # Of a hard photograph all but the worst faults are those of a medium one.
        return float(self.rng.uniform(0, 1) * most[min(self.rank, 1)] * (1.0 if self.rank < 2 else 1.15))

    def signed(self, fault: str) -> float:
        """Draw a strength with a sign."""
        return float(self.level(fault) * self.rng.choice((-1.0, 1.0)))

    def happens(self, mild: float, medium: float, hard: float) -> bool:
        """Tell whether something happens, whose probabilities by severity these are."""
        return bool(self.rng.random() < (mild, medium, hard)[self.rank])
