"""Erase for good what people deleted, once that cannot be undone any more, and images that nobody knows of."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from medloupe.store.database import explain_failure
from medloupe.store.tables import FeedbackRow, PredictionRow

if TYPE_CHECKING:
    from sqlalchemy import Engine

UNDO_MINUTES = 10
"""For so long a deleted answer can be brought back."""
_MOST = 500  # answers erased at a time
_YOUNG = 3600.0  # seconds for which an image may belong to a request that is being answered


def undo_limit() -> str:
    """Tell what was deleted before which time cannot be brought back any more."""
    ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=UNDO_MINUTES)
    return ago.isoformat(timespec="milliseconds")


def erase_removed(engine: Engine, image_path: Callable[[str, str], Path]) -> int:
    """Erase answers that were deleted longer ago than UNDO_MINUTES, with feedback and image.

    Parameters
    ----------
    engine
        The database.
    image_path
        Says where the image of an answer lies, by id and suffix.

    Returns
    -------
    int
        How many.

    Raises
    ------
    StorageError
        The database cannot be used.
    OSError
        An image cannot be deleted; its answer stays, out of sight, until the next time.
    """
    over = select(PredictionRow.id, PredictionRow.kept).where(PredictionRow.deleted_at < undo_limit()).limit(_MOST)
    erased = 0
    try:
        while True:
            with engine.connect() as c:
                rows = c.execute(over).all()
            if not rows:
                return erased
            for id, suffix in rows:  # first the image: a row without one is found again, an image without a row is not
                if suffix:
                    image_path(id, suffix).unlink(missing_ok=True)
            ids = [id for id, _ in rows]
            with engine.execution_options(writing=True).connect() as c, c.begin():
                c.execute(delete(FeedbackRow).where(FeedbackRow.prediction_id.in_(ids)))
                c.execute(delete(PredictionRow).where(PredictionRow.id.in_(ids)))
            erased += len(ids)
    except SQLAlchemyError as e:
        raise explain_failure(engine.url, e) from e


def remove_stray_images(engine: Engine, folder: Path) -> int:
    """Remove kept images of no prediction, which a server left that was killed in between.

    Only those older than an hour: others may belong to a request that is being answered.

    Returns
    -------
    int
        How many.
    """
    try:
        with engine.connect() as c:
            known = set(c.scalars(select(PredictionRow.id).where(PredictionRow.kept.is_not(None))))
    except SQLAlchemyError as e:
        raise explain_failure(engine.url, e) from e
    before = time.time() - _YOUNG
    stray = [p for p in folder.glob("??/*") if p.stem not in known and p.stat().st_mtime < before]
    for path in stray:
        path.unlink(missing_ok=True)
    return len(stray)
