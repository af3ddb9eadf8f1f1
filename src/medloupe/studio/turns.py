"""Go through the pictures of a data set one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medloupe.store.dataset_nouns import DatasetItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Which picture of how many one is, 0 where it takes no part; before, after: the ids of those beside it, or ""."""

    number: int
    of: int
    before: str
    after: str


def find_turn(items: Sequence[DatasetItem], item: str) -> Turn:
    """Find the turn of a picture by its id."""
    ids = [one.id for one in items]
    at = ids.index(item) if item in ids else -1
    return Turn(
        number=at + 1,
        of=len(ids),
        before=ids[at - 1] if at > 0 else "",
        after=ids[at + 1] if 0 <= at < len(ids) - 1 else "",
    )


def find_waiting(items: Sequence[DatasetItem], after: str, waits: Callable[[DatasetItem], bool]) -> str | None:
    """Find the id of the first picture that waits, from the one after `after` on, then from the beginning."""
    at = next((k for k, item in enumerate(items) if item.id == after), -1)
    return next((item.id for item in (*items[at + 1 :], *items[: at + 1]) if waits(item)), None)
