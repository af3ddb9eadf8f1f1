"""Tell a training which classes of a data set it learns, and which are sought, normal or harmless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medloupe.data.readers.base import natural_key
from medloupe.store.dataset_nouns import DatasetClass, DatasetItem


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRoles:
    """Roles as `training.options.Options` takes them."""

    normal: tuple[str, ...] = ()
    sought: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    ordered: bool = False


def find_taught(classes: Sequence[DatasetClass], items: Sequence[DatasetItem]) -> list[str]:
    """List the findings that pictures teach: which are there on some, and not on others."""
    said = {(name, value) for item in items for name, value in (item.labels or {}).items()}
    return [c.name for c in classes if {(c.name, 0), (c.name, 1)} <= said]


def choose_roles(classes: Sequence[DatasetClass], *, ordered: bool) -> ToldRoles:
    """Bring the roles of classes to what a training is told.

    Training takes grades in the order of their names; where that is another, the worst is told first instead.
    """
    names = tuple(c.name for c in classes)
    if ordered:
        if list(names) == sorted(names, key=natural_key):
            return ToldRoles(normal=names[:1], ordered=True)
        return ToldRoles(sought=names[:0:-1], normal=names[:1])
    normal, sought, harmless = (
        tuple(c.name for c in classes if c.role == role) for role in ("normal", "sought", "harmless")
    )
    return ToldRoles(normal=normal, sought=sought, harmless=harmless)
