"""Check what JSON from elsewhere holds."""

from __future__ import annotations

import math


def is_text(value: object) -> bool:
    """Tell whether it is text: not empty, short, no control characters (joiners of Indic scripts are fine)."""
    return (
        isinstance(value, str)
        and 0 < len(value.strip()) <= len(value) <= 1000
        and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value)
    )


def is_whole(value: object) -> bool:
    """Tell whether it is a whole number from 1 that fits into 31 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def is_number(value: object) -> bool:
    """Tell whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
