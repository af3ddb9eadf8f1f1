"""Keep the frozen test of each data set: by which versions are judged, and which nothing ever learns from again.

It is chosen once, when a model of the data set is first published, and kept by content and patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from medloupe.errors import StoreError
from medloupe.store.database import transaction
from medloupe.store.dataset_items import find_dataset
from medloupe.store.dataset_nouns import DatasetItem
from medloupe.store.production import log_action
from medloupe.store.tables import FrozenTestItemRow, FrozenTestRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

BROUGHT, APART, FOLDS = KINDS = ("brought", "apart", "folds")
"""A test part that the data brought; one that was set apart; or, where there is too little for that, all pictures of
the version that was published, each judged by a head of cross-validation that had not seen it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenTest:
    """The frozen test of a data set.

    Attributes
    ----------
    digests
        sha256, hexadecimal, of its pictures.
    patients
        Whose pictures they are, as far as that was known.
    erased
        How many pictures were erased on purpose since.
    """

    dataset_id: str
    kind: str
    at: str
    by: str
    dataset_version: int
    model_version: int
    digests: frozenset[str]
    patients: frozenset[str]
    erased: int


def freeze_test(
    engine: Engine,
    dataset: str,
    items: Sequence[DatasetItem],
    *,
    kind: str,
    dataset_version: int,
    model_version: int,
    by: str,
) -> FrozenTest:
    """Freeze the test of a data set; where it has one already, that one stays.

    Raises
    ------
    UnknownError
        There is no such data set.
    StoreError
        Without a picture there is no test.
    """
    if not items:
        raise StoreError("A test without pictures cannot be frozen.", "Train on pictures first.")
    with transaction(engine, write=True) as session:
        data = find_dataset(session, dataset, lock=True)
        there = session.get(FrozenTestRow, data.id)
        if there is None:
            there = FrozenTestRow(
                dataset_id=data.id,
                kind=kind,
                at=now(),
                by=by[:64],
                dataset_version=dataset_version,
                model_version=model_version,
            )
            session.add(there)
            session.flush()
            for item in items:
                told = {"item_id": item.id, "digest": item.digest, "patient": item.patient, "erased": None}
                session.add(FrozenTestItemRow(dataset_id=data.id, **told))
            detail = {"kind": kind, "pictures": len(items), "model_version": model_version}
            log_action(session, "test.freeze", f"{data.name}@{dataset_version}", actor=by, detail=detail)
            session.flush()
        return _read(session, there)


def find_frozen_test(engine: Engine, dataset: str) -> FrozenTest | None:
    """Find the frozen test of a data set, by the id; None where nothing of it was published yet."""
    with transaction(engine) as session:
        row = session.get(FrozenTestRow, dataset)
        return None if row is None else _read(session, row)


def erase_within(session: Session, dataset: str, items: Sequence[str]) -> int:
    """Leave but empty places of pictures of a frozen test that are erased; how many there were."""
    own = (FrozenTestItemRow.dataset_id == dataset, FrozenTestItemRow.item_id.in_(items))
    found = list(session.scalars(select(FrozenTestItemRow.id).where(*own, FrozenTestItemRow.erased.is_(None))))
    gone = {"digest": "", "patient": None, "erased": now()}
    session.execute(update(FrozenTestItemRow).where(FrozenTestItemRow.id.in_(found)).values(**gone))
    return len(found)


def _read(session: Session, row: FrozenTestRow) -> FrozenTest:
    wanted = select(FrozenTestItemRow).where(FrozenTestItemRow.dataset_id == row.dataset_id)
    items = list(session.scalars(wanted))
    held = [item for item in items if item.erased is None]
    return FrozenTest(
        dataset_id=row.dataset_id,
        kind=row.kind,
        at=row.at,
        by=row.by,
        dataset_version=row.dataset_version,
        model_version=row.model_version,
        digests=frozenset(item.digest for item in held),
        patients=frozenset(item.patient for item in held if item.patient is not None),
        erased=len(items) - len(held),
    )
