"""Read what the version in production learned and was judged by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medloupe.data.digests import decode_digests, find_known
from medloupe.errors import StoreError
from medloupe.metrics.evidence import OUT_OF_FOLD, Evidence
from medloupe.model.bundle import Model
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

    def has_learned(self, digest: str, label: str | None) -> bool:
        """Whether it learned this picture, with this label as far as is known."""
        raw = bytes.fromhex(digest)
        if not find_known(self._learned, [raw])[0]:
            return False
        short = Evidence.digest([raw])[0]
        for kept in (self.out_of_fold, self.evidence):
            rows = [] if kept is None else np.flatnonzero(kept.digests == short)
            if kept is not None and len(rows) and label in kept.labels:
                return bool(kept.targets[rows[0], kept.labels.index(label)] == 1)
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
    if model.card.get("task") != "multiclass" or model.card.get("composed"):
        raise StoreError(
            f"{name} is no classifier of one label a picture; only those are made better by corrections.",
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
