"""Find what the store keeps of a patient: by the id in data sets, uploads, review, names and tags, and by content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from medloupe.erasure.nouns import LONGEST_PATIENT, Belongings
from medloupe.errors import StoreError
from medloupe.imaging.tags import read_patient_id
from medloupe.store.chain import keyed_hash
from medloupe.store.database import transaction
from medloupe.store.models import Store
from medloupe.store.tables import (
    DatasetChangeRow,
    DatasetItemRow,
    DatasetUploadRow,
    DatasetVersionItemRow,
    DatasetVersionRow,
    PredictionRow,
    ReviewCaseRow,
)
from medloupe.utils.files import sha256_of

AT_ONCE = 500  # SQLite takes so many values at once


def read_patient(text: str) -> str:
    """Read a patient's id as it was typed.

    Raises
    ------
    StoreError
        It cannot be one.
    """
    told = text.strip()
    if not told or len(told) > LONGEST_PATIENT or not told.isprintable():
        raise StoreError("That is no patient's id.", f"Give 1 to {LONGEST_PATIENT} letters, as in the data.")
    return told


def find_belongings(store: Store, patient: str) -> Belongings:
    """Find all that is kept of a patient.

    Ids are compared letter by letter. What was said in a data set to be of the same patient (joined) belongs to the
    patient, and so does whatever has the same content, wherever it lies. An answer and the case made of it are one
    content, even where the case keeps another file than was sent.

    Raises
    ------
    StorageError
        The database or the disk cannot be read.
    """
    hashed = keyed_hash(store.engine, patient)
    with transaction(store.engine) as session:
        items, joined = _find_items(session, patient)
        digests = _read_digests(session, items)
        named = (PredictionRow.alias == patient) | (PredictionRow.patient == hashed)
        told = set(session.scalars(select(PredictionRow.id).where(named)))
        told |= set(session.scalars(select(ReviewCaseRow.prediction_id).where(ReviewCaseRow.patient == patient)))
        uploads, unread = _find_uploads(session, patient)
    parts = (store.home / "datasets" / "uploads" / f"{id}.part" for id in uploads)
    digests |= {sha256_of(path) for path in parts if path.is_file()}
    tagged, kept = _find_tagged(store.home, patient)
    with transaction(store.engine) as session:
        found = _find_alike(session, hashed, told | kept, digests | tagged, items)
    return replace(found, uploads=sorted(uploads), joined=joined, unread=unread)


def list_hashed(store: Store, hashes: Collection[str]) -> list[str]:
    """List those of the keyed hashes of patients under which answers are kept."""
    with transaction(store.engine) as session:
        return sorted({row.patient for row in _by(session, PredictionRow, PredictionRow.patient, hashes)})


def find_hashed(store: Store, hashed: str) -> Belongings:
    """Find all that is kept of a patient of whom nothing but a keyed hash is, beginning at the answers that have it.

    Raises
    ------
    StorageError
        The database cannot be read.
    """
    with transaction(store.engine) as session:
        told = set(session.scalars(select(PredictionRow.id).where(PredictionRow.patient == hashed)))
        return _find_alike(session, hashed, told, set(), {})


def find_items(store: Store, dataset: str, ids: Sequence[str]) -> Belongings:
    """Find what there is of some pictures of a data set: their content in the set, its versions and the caches."""
    with transaction(store.engine) as session:
        rows = [row for row in _by(session, DatasetItemRow, DatasetItemRow.id, ids) if row.dataset_id == dataset]
        alike = {row.digest for row in rows}
        elsewhere = {row.digest for row in _by(session, DatasetItemRow, DatasetItemRow.digest, alike)}
        own = {row.id for row in rows}
        spare = {
            row.digest for row in _by(session, DatasetItemRow, DatasetItemRow.digest, elsewhere) if row.id not in own
        }
    return Belongings(digests=frozenset(alike - spare), items={dataset: sorted(own)} if own else {})


def _find_alike(
    session: Session, hashed: str, told: set[str], digests: set[str], items: Mapping[str, set[str]]
) -> Belongings:
    """Find what belongs to a patient by content, and by an answer and its case being of one recording.

    The file of an ECG's case is another than was sent, so that what is found by one of the two has the other's content
    searched, too, until nothing more is found. What has the patient's content is found whomever it names; but where it
    names another patient and not this one, the search does not go on from it.

    Parameters
    ----------
    hashed : str
        The patient's keyed hash.
    told : set of str
        Answers known to be the patient's, by id; also those of cases that are, even where the answer is gone.
    digests : set of str
        Content known to be the patient's.
    items : mapping of str to set of str
        Items known to be the patient's, by data set.
    """
    own, searched = digests - {""}, set[str]()
    answers: dict[str, PredictionRow] = {}
    cases: dict[str, ReviewCaseRow] = {}  # by the answer's id
    known, fresh = set[str](), told
    while fresh or own - searched:
        known |= fresh
        answers |= {row.id: row for row in _by(session, PredictionRow, PredictionRow.id, fresh)}
        cases |= {row.prediction_id: row for row in _by(session, ReviewCaseRow, ReviewCaseRow.prediction_id, fresh)}
        for id in fresh:
            pair = [row for row in (answers.get(id), cases.get(id)) if row is not None]
            names = _read_names(session, answers.get(id), cases.get(id))
            if id in told or not names or hashed in names:
                own |= {row.digest for row in pair} - {""}
        left = own - searched
        searched |= left
        alike = {row.id for row in _by(session, PredictionRow, PredictionRow.digest, left)}
        alike |= {row.prediction_id for row in _by(session, ReviewCaseRow, ReviewCaseRow.digest, left)}
        fresh = alike - known
    found = {dataset: set(ids) for dataset, ids in items.items()}
    for row in _by(session, DatasetItemRow, DatasetItemRow.digest, own):
        found.setdefault(row.dataset_id, set()).add(row.id)
    wanted = select(DatasetVersionItemRow.item_id, DatasetVersionRow.dataset_id).join(
        DatasetVersionRow, DatasetVersionItemRow.version_id == DatasetVersionRow.id
    )
    for part in _parts(own):
        for item, dataset in session.execute(wanted.where(DatasetVersionItemRow.digest.in_(part))):
            found.setdefault(dataset, set()).add(item)
    return Belongings(
        digests=frozenset(own | {row.digest for row in (*answers.values(), *cases.values())} - {""}),
        items={dataset: sorted(ids) for dataset, ids in found.items()},
        answers={id: row.kept or "" for id, row in answers.items()},
        cases=sorted(row.id for row in cases.values()),
    )


def _read_names(session: Session, answer: PredictionRow | None, case: ReviewCaseRow | None) -> set[str]:
    """Read the keyed hashes of the patients whom an answer and its case name."""
    names = {answer.patient} if answer is not None and answer.patient else set[str]()
    if case is not None and case.patient:
        names.add(keyed_hash(session.connection(), case.patient))
    return names


def _find_items(session: Session, patient: str) -> tuple[dict[str, set[str]], int]:
    """Find the items of a patient, by data set, and how many of them are so by being joined."""
    items: dict[str, set[str]] = defaultdict(set)
    for row in session.scalars(select(DatasetItemRow).where(DatasetItemRow.patient == patient)):
        items[row.dataset_id].add(row.id)
    renamed: dict[str, set[str]] = defaultdict(set)  # items that were the patient's, and are under another id now
    others: set[str] = set()  # items that were another's
    joins = select(DatasetChangeRow).where(DatasetChangeRow.action == "join", DatasetChangeRow.undone.is_(False))
    for change in session.scalars(joins):
        for id, told in change.detail.get("items", {}).items():
            if told["before"].get("patient") == patient:
                renamed[change.dataset_id].add(id)
            elif told["before"].get("patient"):
                others.add(id)
    for dataset, ids in renamed.items():
        names = {row.patient for row in _by(session, DatasetItemRow, DatasetItemRow.id, ids) if row.patient}
        same = select(DatasetItemRow.id).where(
            DatasetItemRow.dataset_id == dataset, or_(DatasetItemRow.patient.in_(names), DatasetItemRow.id.in_(ids))
        )
        found = set(session.scalars(same))
        others |= found - ids - items[dataset]
        items[dataset] |= found
    return dict(items), len(others & {id for own in items.values() for id in own})


def _read_digests(session: Session, items: dict[str, set[str]]) -> set[str]:
    """Read what items are, now and in versions, by content."""
    ids = {id for own in items.values() for id in own}
    found = {row.digest for row in _by(session, DatasetItemRow, DatasetItemRow.id, ids)}
    return found | {row.digest for row in _by(session, DatasetVersionItemRow, DatasetVersionItemRow.item_id, ids)}


def _find_uploads(session: Session, patient: str) -> tuple[set[str], int]:
    found: set[str] = set()
    unread = 0
    for row in session.scalars(select(DatasetUploadRow)):
        if str(row.meta.get("patient", "")).strip() == patient:
            found.add(row.id)
        elif row.result is None and not row.error:
            unread += 1
    return found, unread


def _find_tagged(home: Path, patient: str) -> tuple[set[str], set[str]]:
    """Find DICOM files whose PatientID it is: by content in data sets and review, by answer among those kept."""
    digests = {
        path.parent.name + path.name
        for part in ("datasets", "review")
        for path in (home / part / "blobs").glob("*/*")
        if not path.name.startswith(".") and read_patient_id(path) == patient
    }
    kept = (path for path in (home / "kept").glob("??/*") if not path.name.startswith("."))
    return digests, {path.stem for path in kept if read_patient_id(path) == patient}


def _by(session: Session, row: Any, column: Any, values: Iterable[str]) -> Iterator[Any]:
    """Read rows by many values of a column."""
    for part in _parts(values):
        yield from session.scalars(select(row).where(column.in_(part)))


def _parts(values: Iterable[str]) -> Iterator[Collection[str]]:
    listed = sorted(values)
    for at in range(0, len(listed), AT_ONCE):
        yield listed[at : at + AT_ONCE]
