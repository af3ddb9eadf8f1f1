"""Delete the rows of a patient, by one transaction that also writes it into the audit log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from medloupe.erasure.finding import AT_ONCE
from medloupe.erasure.nouns import Belongings
from medloupe.store.dataset_items import add_change
from medloupe.store.frozen_tests import erase_within
from medloupe.store.production import log_action
from medloupe.store.review_queue import clear_case
from medloupe.store.tables import (
    DatasetChangeRow,
    DatasetItemRow,
    DatasetRow,
    DatasetUploadRow,
    DatasetVersionItemRow,
    DatasetVersionRow,
    FeedbackRow,
    FrozenTestItemRow,
    PredictionRow,
    ReviewCaseRow,
    now,
)

_BLANK: dict[str, Any] = {
    "digest": "",
    "file": "",
    **dict.fromkeys(("label", "labels", "patient", "site", "split", "boxes")),
}


def erase_rows(
    session: Session, found: Belongings, patient: str | None, *, order: str, action: str, thing: str, by: str
) -> list[tuple[str, str, int]]:
    """Delete what was found, within a transaction; what is gone already is not counted again.

    In versions of data sets places without content are left. What the data sets' logs said of the pictures goes, too.

    Parameters
    ----------
    session : Session
        That writes.
    found : Belongings
        What.
    patient : str, optional
        Whose id is blanked where it is left in logs.
    order, action, thing, by : str
        For the audit log: which deletion, what it is called, of what, and who wants it.

    Returns
    -------
    list of (str, str, int)
        The versions in which places are empty now: id and name of the data set, number. The counts are in the log.
    """
    counts: dict[str, int] = defaultdict(int)
    versions: list[tuple[str, str, int]] = []
    for id in sorted(found.items):
        data = session.scalars(select(DatasetRow).where(DatasetRow.id == id).with_for_update()).first()
        if data is None:
            continue
        ids = list(found.items[id])
        numbers, places = _empty_places(session, data, ids, patient)
        versions += [(data.id, data.name, number) for number in numbers]
        counts["version_places"] += places
        counts["frozen_places"] += erase_within(session, id, ids)
        gone = sum(
            _rowcount(
                session, delete(DatasetItemRow).where(DatasetItemRow.dataset_id == id, DatasetItemRow.id.in_(part))
            )
            for part in split(ids)
        )
        counts["pictures"] += gone
        if gone:
            add_change(session, data, "erase", {"count": gone}, by=by)
    if patient is not None:  # of pictures that were taken for this patient's, and are another's
        session.execute(update(FrozenTestItemRow).where(FrozenTestItemRow.patient == patient).values(patient=None))
    for change in session.scalars(select(DatasetChangeRow)):
        known = set(found.items.get(change.dataset_id, ()))
        if (told := _scrub(change.detail, known, patient)) != change.detail:
            change.detail = told
            counts["changes"] += 1
    counts["uploads"] += _delete_all(session, DatasetUploadRow, DatasetUploadRow.id, found.uploads)
    for part in split(found.answers):
        session.execute(delete(FeedbackRow).where(FeedbackRow.prediction_id.in_(part)))
    counts["answers"] += _delete_all(session, PredictionRow, PredictionRow.id, found.answers)
    for part in split(found.cases):
        for row in session.scalars(select(ReviewCaseRow).where(ReviewCaseRow.id.in_(part))):
            counts["cases"] += clear_case(session, row)
    told = {"order": order, "counts": dict(counts), "versions": [f"{name}@{number}" for _, name, number in versions]}
    log_action(session, action, thing, actor=by, detail=told)
    return versions


def split(values: Iterable[str]) -> list[Sequence[str]]:
    """Split ids into as many as one statement may hold."""
    listed = sorted(values)
    return [listed[at : at + AT_ONCE] for at in range(0, len(listed), AT_ONCE)]


def _empty_places(session: Session, data: DatasetRow, ids: Sequence[str], patient: str | None) -> tuple[list[int], int]:
    """Empty the places of items in the versions of a data set; which versions have any, and how many places."""
    own = select(DatasetVersionRow.id).where(DatasetVersionRow.dataset_id == data.id)
    count = 0
    numbers: set[int] = set()
    for part in split(ids):
        held = (DatasetVersionItemRow.version_id.in_(own), DatasetVersionItemRow.item_id.in_(part))
        wanted = select(DatasetVersionRow.number).join(
            DatasetVersionItemRow, DatasetVersionItemRow.version_id == DatasetVersionRow.id
        )
        numbers |= set(session.scalars(wanted.where(*held)))
        left = (*held, DatasetVersionItemRow.erased.is_(None))
        count += _rowcount(session, update(DatasetVersionItemRow).where(*left).values(erased=now(), **_BLANK))
    if patient is not None:  # pictures that were taken for this patient's when the version was made, and are another's
        said = (DatasetVersionItemRow.version_id.in_(own), DatasetVersionItemRow.patient == patient)
        wanted = select(DatasetVersionRow.number).join(
            DatasetVersionItemRow, DatasetVersionItemRow.version_id == DatasetVersionRow.id
        )
        numbers |= set(session.scalars(wanted.where(*said)))
        session.execute(update(DatasetVersionItemRow).where(*said).values(patient=None))
    return sorted(numbers), count


def _scrub(detail: Mapping[str, Any], ids: set[str], patient: str | None) -> dict[str, Any]:
    """Take out of a change what it says of pictures that are gone, and the patient's id of others."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: clean(v) for k, v in value.items() if k not in ids}
        if isinstance(value, list):
            return [clean(v) for v in value if not (isinstance(v, str) and v in ids)]
        return None if patient is not None and value == patient else value

    return clean(detail)


def _delete_all(session: Session, row: Any, column: Any, ids: Iterable[str]) -> int:
    return sum(_rowcount(session, delete(row).where(column.in_(part))) for part in split(ids))


def _rowcount(session: Session, statement: Any) -> int:
    result: Any = session.execute(statement)
    return int(result.rowcount)


def count_open(found: Belongings) -> dict[str, int]:
    """Count what would be deleted, for a preview; by nouns.COUNTED."""
    return {
        "pictures": sum(map(len, found.items.values())),
        "answers": len(found.answers),
        "kept_pictures": sum(bool(suffix) for suffix in found.answers.values()),
        "cases": len(found.cases),
        "uploads": len(found.uploads),
    }
