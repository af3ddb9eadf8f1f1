"""List the corrections of a data set: what reviewers agreed on, and what the check-up had said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medloupe.retrain.production import ProductionVersion
from medloupe.store.dataset_nouns import DatasetItem
from medloupe.store.datasets import Datasets
from medloupe.store.frozen_tests import FOLDS, FrozenTest
from medloupe.store.review_nouns import SETTLED, ReviewCase
from medloupe.store.review_queue import ReviewQueue

_MOST = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A picture that people looked at again.

    Attributes
    ----------
    brought
        Whether the case brought the picture; else it had been there, and the case corrected its label.
    """

    item: DatasetItem
    case: ReviewCase
    brought: bool

    @property
    def readers(self) -> tuple[str, ...]:
        """Who read it."""
        return tuple(opinion.reader for opinion in self.case.opinions)


def list_corrections(sets: Datasets, dataset: str, frozen: FrozenTest | None = None) -> list[Correction]:
    """List the corrections that take part in a data set, the oldest first; never one of the frozen test.

    Raises
    ------
    UnknownError
        There is no such data set.
    """
    data = sets.get(dataset)
    items = {item.id: item for item in sets.items(data.id) if item.told is not None}
    found: list[Correction] = []
    for case in ReviewQueue(sets.engine, sets.home).list(SETTLED, most=_MOST):
        item = items.get(case.item or "") if case.dataset == data.id else None
        if item is None or item.split == "test" or (frozen is not None and is_tested(frozen, item)):
            continue
        found.append(Correction(item=item, case=case, brought=item.origin.get("case") == case.id))
    return found


def is_tested(frozen: FrozenTest, item: DatasetItem) -> bool:
    """Whether a picture is of the frozen test, or of a patient of a test that is kept apart."""
    whose = frozen.patients if frozen.kind != FOLDS else frozenset[str]()
    return item.digest in frozen.digests or item.patient in whose


def find_fresh(corrections: Sequence[Correction], production: ProductionVersion) -> list[Correction]:
    """Find those that the version in production has not learned."""
    return [c for c in corrections if not production.has_learned(c.item)]
