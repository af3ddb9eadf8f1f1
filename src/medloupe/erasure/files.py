"""Delete the files of a patient: pictures in data sets, review and history, uploads, versions, what was on its way."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from medloupe.erasure.nouns import Belongings
from medloupe.erasure.rows import split
from medloupe.store.blobs import Blobs
from medloupe.store.database import transaction
from medloupe.store.datasets import version_place
from medloupe.store.tables import DatasetItemRow, DatasetVersionItemRow, ReviewCaseRow

if TYPE_CHECKING:
    from sqlalchemy import Engine


def erase_files(
    engine: Engine, home: Path, found: Belongings, versions: Sequence[tuple[str, str, int]]
) -> dict[str, int]:
    """Delete files that no row names any more; what is gone already is not counted.

    Parameters
    ----------
    engine, home
        Of the store.
    found
        What was found of the patient.
    versions
        Of data sets, in which places are empty: id, name, number. Their folders are made anew when they are needed.

    Returns
    -------
    dict
        By nouns.COUNTED.

    Raises
    ------
    OSError
        Something cannot be deleted.
    """
    sets, review = home / "datasets", home / "review"
    count = sum(
        _remove(Blobs(root).path(digest))
        for root, digests in (
            (sets, _unnamed(engine, found.digests, DatasetItemRow, DatasetVersionItemRow)),
            (review, _unnamed(engine, found.digests, ReviewCaseRow)),
        )
        for digest in digests
    )
    for digest in found.digests:
        count += _remove(Blobs(sets / "thumbs").path(digest))
    for upload in found.uploads:
        count += _remove(sets / "uploads" / f"{upload}.part") + _remove(sets / "uploads" / f"{upload}.d")
    for id, name, number in versions:
        count += _remove(version_place(home, id, name, number))
    for id in found.items:
        for half in (sets / "versions" / id).glob(".*.tmp"):  # of a server that was killed
            count += _remove(half)
        count += _remove(sets / "audits" / id) + _remove(sets / "audits" / f"{id}.json")
    exports = sum(_remove(path) for path in (sets / "exports").glob("*")) if found.items else 0
    kept = sum(_remove(home / "kept" / id[:2] / f"{id}.{suffix}") for id, suffix in found.answers.items() if suffix)
    return {"files": count, "exports": exports, "kept_pictures": kept}


def _unnamed(engine: Engine, digests: Iterable[str], *tables: type) -> set[str]:
    """Choose the digests that no row of the tables has: the same picture may have been brought anew meanwhile."""
    named: set[str] = set()
    with transaction(engine) as session:
        for part in split(digests):
            for table in tables:
                named |= set(session.scalars(select(table.digest).where(table.digest.in_(part))))  # type: ignore[attr-defined]
    return set(digests) - named


def _remove(path: Path) -> int:
    """Delete a file or folder, with what a killed writer left half written of it; how many there were."""
    gone = 0
    if path.parent.is_dir():
        for half in path.parent.glob(f".{path.name}.*"):
            half.unlink(missing_ok=True) if not half.is_dir() else shutil.rmtree(half)
            gone += 1
    if path.is_dir():
        shutil.rmtree(path)
        return gone + 1
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return gone
    return gone + 1
