"""Remember who was forgotten, as hashes, so that a back-up from before can be brought in line after it is restored.

A line of home/erasures/forgotten.jsonl holds the hash of an id under the store's key, which a back-up keeps, too: who
has the key and an id can tell whether it is there, nobody can read an id from it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from sqlalchemy import select

from medloupe.erasure.nouns import LONGEST_PATIENT, Receipt
from medloupe.errors import StorageError, StoreError
from medloupe.imaging.tags import read_patient_id
from medloupe.store.database import transaction
from medloupe.store.models import Store
from medloupe.store.tables import DatasetChangeRow, DatasetItemRow, DatasetUploadRow, PredictionRow, ReviewCaseRow

FILE = Path("erasures") / "forgotten.jsonl"


def add_tombstone(home: Path, receipt: Receipt) -> None:
    """Remember a deletion that is complete, once.

    Raises
    ------
    OSError
        The disk refuses it.
    """
    path = home / FILE
    if any(line.get("id") == receipt.id for line in _read_lines(path)):
        return
    line = json.dumps({"id": receipt.id, "patient": receipt.patient, "at": receipt.at}) + "\n"
    with path.open("ab") as f:  # a line that was cut off by a kill is ended first, and skipped by whoever reads
        f.write((b"" if f.tell() == 0 else b"\n") + line.encode())
        f.flush()
        os.fsync(f.fileno())
    path.chmod(0o600)


def read_tombstones(place: Path) -> frozenset[str]:
    """Read hashes of a home folder, of a back-up of one, or of a file as `medloupe forget --receipts --json` prints it.

    Raises
    ------
    StoreError
        Nothing of the kind is there.
    """
    path = place / FILE if place.is_dir() else place
    if not path.is_file():
        raise StoreError(
            f"There are no receipts in {place}.",
            f"Name a home folder or back-up with {FILE.as_posix()}, or a file of `medloupe forget --receipts --json`.",
        )
    found = frozenset(str(line["patient"]) for line in _read_lines(path) if line.get("patient"))
    if not found:
        raise StoreError(f"{path} holds no receipt.", "Nobody was forgotten there.")
    return found


def list_patients(store: Store) -> set[str]:
    """List all ids under which anything is kept: in data sets, what was joined there, uploads, review, names and tags.

    Raises
    ------
    StorageError
        The database or the disk cannot be read.
    """
    found: set[str | None] = set()
    with transaction(store.engine) as session:
        for column in (DatasetItemRow.patient, ReviewCaseRow.patient, PredictionRow.alias):
            found |= set(session.scalars(select(column).where(column.is_not(None)).distinct()))
        found |= {str(meta.get("patient", "")).strip() for meta in session.scalars(select(DatasetUploadRow.meta))}
        for detail in session.scalars(select(DatasetChangeRow.detail).where(DatasetChangeRow.action == "join")):
            found |= {told["before"].get("patient") for told in detail.get("items", {}).values()}
    folders = [store.home / part / "blobs" for part in ("datasets", "review")]
    files = [path for folder in folders for path in folder.glob("*/*")] + list((store.home / "kept").glob("??/*"))
    try:
        found |= {read_patient_id(path) for path in files if not path.name.startswith(".")}
    except OSError as e:
        raise StorageError(f"Files cannot be read: {e.strerror or e}.", "Look at the rights of the folder.") from e
    return {id for id in found if id and len(id) <= LONGEST_PATIENT and id.isprintable()}


def _read_lines(path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict):
            found.append(told)
    return found
