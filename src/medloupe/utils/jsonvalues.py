"""Read values of JSON that came from elsewhere, taking nothing for granted."""

from __future__ import annotations

from typing import Any

FARTHEST = 1e12
"""No figure of a card lies beyond it; what does could not be written or drawn."""


def as_number(x: Any) -> float | None:
    """Return a number no farther than FARTHEST from 0, or None for all else; true and false are no numbers."""
    return float(x) if isinstance(x, int | float) and not isinstance(x, bool) and -FARTHEST <= x <= FARTHEST else None
