"""Read what the version in production learned and was judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medloupe.data.digests import decode_digests, find_known
from medloupe.errors import StoreError
from medloupe.metrics.evidence import OUT_OF_FOLD, Evidence
from medloupe.model.bundle import Model
from medloupe.store.dataset_nouns import DatasetItem
from medloupe.store.models import Store


@dataclass(frozen=True, kw_only=True)
class ProductionVersion:
    """The version in production.

    Attributes
    ----------
    evidence
        What it was judged by; None where it keeps none.
    out_of_fold
        Its predictions for all that it learned, by heads that had not; None where it keeps none.
    """

    number: int
    model: Model
    evidence: Evidence | None
    out_of_fold: Evidence | None

    @cached_property
    def _learned(self) -> set[bytes]:
        return decode_digests(self.model.card["data"].get("digests"))

    def has_learned(self, item: DatasetItem) -> bool:
        """Whether it learned this picture, with this class or these findings as far as is known."""
        raw = bytes.fromhex(item.digest)
        if not find_known(self._learned, [raw])[0]:
            return False
        short = Evidence.digest([raw])[0]
        for kept in (self.out_of_fold, self.evidence):
            rows = [] if kept is None else np.flatnonzero(kept.digests == short)
            if kept is None or not len(rows):
                continue
            said: Mapping[str, int] = (
                ({} if item.label is None else {item.label: 1}) if item.labels is None else item.labels
            )
            known = [(kept.targets[rows[0], kept.labels.index(n)], v) for n, v in said.items() if n in kept.labels]
            if known:
                return all(learned == value for learned, value in known)
        return True


def read_production(store: Store, name: str) -> ProductionVersion:
    """Read the version in production.

    Raises
    ------
    StoreError
        There is none, or it is no classifier of pictures that was trained here.
    """
    found = store.production().get(name)
    if found is None:
        raise StoreError(
            f"No version of {name} is in production, so there is nothing to make better.",
            "Train and publish one first, in the studio or by medloupe train.",
        )
    model = store.get(name, found[0], report=False)
    if model.card.get("task") not in ("multiclass", "multilabel") or model.card.get("composed"):
        raise StoreError(
            f"{name} is no classifier of whole pictures; only those are made better by corrections.",
            "Train it anew from its data set, and promote that version.",
        )
    return read_version(store, model, found[0])


def read_version(store: Store, model: Model, number: int) -> ProductionVersion:
    """Read what a version was judged by."""
    folder = store.folder(model.name, number)
    evidence = Evidence.read(folder)
    return ProductionVersion(
        number=number, model=model, evidence=evidence, out_of_fold=Evidence.read(folder, OUT_OF_FOLD)
    )
