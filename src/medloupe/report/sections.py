"""Choose the sections of a page, and put its warnings in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LEVELS = {"serious": "Serious", "warning": "Warning", "notice": "Notice"}


def with_matter(listed: Iterable[tuple[str, str, Any]]) -> list[tuple[str, str]]:
    """Return anchor and heading of the sections that have matter.

    Parameters
    ----------
    listed
        Anchor, heading and matter; a section whose matter is empty is left out of the page and of its contents.
    """
    return [(anchor, heading) for anchor, heading, matter in listed if matter]


def sort_by_level(entries: Any) -> list[dict[str, Any]]:
    """Return entries with the serious ones first, in their own order otherwise; an unknown level is a notice."""
    order = list(LEVELS)
    levelled = [
        {**e, "level": e.get("level") if e.get("level") in LEVELS else "notice"}
        for e in entries or []
        if isinstance(e, Mapping)
    ]
    return sorted(levelled, key=lambda e: order.index(e["level"]))
