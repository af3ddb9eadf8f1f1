"""Read amounts of memory or disk as people write them."""

from __future__ import annotations

import re

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_amount(text: str) -> int | None:
    """Read an amount such as "512MB", in bytes; K, M, G, T, with or without B or iB, are powers of 1024.

    Returns
    -------
    int or None
        None where it is no amount, or none above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s?([KMGT]?)(?:i?B)?", text.strip()[:40], re.IGNORECASE)
    if not found or float(found[1]) <= 0:
        return None
    return int(float(found[1]) * _UNITS[found[2].upper()])
