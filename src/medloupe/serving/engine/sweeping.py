"""Erase for good what people deleted, once that cannot be undone any more, and images that nobody knows of."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from medloupe.serving.engine.rows import drop_input_values
from medloupe.store.database import explain_failure
from medloupe.store.tables import FeedbackRow, PredictionRow

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine

UNDO_MINUTES = 10
"""For so long a deleted answer can be brought back."""
_MOST = 500  # answers erased at a time
_YOUNG = 3600.0  # seconds for which an image may belong to a request that is being answered


def undo_limit() -> str:
    """Tell what was deleted before which time cannot be brought back any more."""
    ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=UNDO_MINUTES)
    return ago.isoformat(timespec="milliseconds")


def erase_removed(engine: Engine, image_path: Callable[[str, str], Path]) -> int:
    """Erase answers that were deleted longer ago than UNDO_MINUTES, with feedback and image; as `erase_answers`."""
    return erase_answers(engine, image_path, PredictionRow.deleted_at < undo_limit())


def erase_old(
    engine: Engine, image_path: Callable[[str, str], Path], *, answers: int | None, images: int | None
) -> tuple[int, int]:
    """Erase answers and kept images that are older than so many days; None: whatever their age.

    Returns
    -------
    tuple of int
        How many answers, and how many images of answers that stay. Raises as `erase_answers`.
    """
    gone = 0 if answers is None else erase_answers(engine, image_path, PredictionRow.at < days_ago(answers))
    if images is None:
        return gone, 0
    old = (PredictionRow.at < days_ago(images)) & PredictionRow.kept.is_not(None)
    wanted = select(PredictionRow.id, PredictionRow.kept, PredictionRow.answer).where(old).limit(_MOST)
    cut = 0
    try:
        while True:
            with engine.connect() as c:
                rows = c.execute(wanted).all()
            if not rows:
                return gone, cut
            for id, suffix, _ in rows:
                image_path(id, str(suffix)).unlink(missing_ok=True)
            with engine.execution_options(writing=True).connect() as c, c.begin():
                for id, _, answer in rows:
                    alone = {"kept": None, "answer": drop_input_values(answer)}
                    c.execute(update(PredictionRow).where(PredictionRow.id == id).values(**alone))
            cut += len(rows)
    except SQLAlchemyError as e:
        raise explain_failure(engine.url, e) from e


def days_ago(days: int) -> str:
    """Tell the time so many days ago, as the tables keep it."""
    ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    return ago.isoformat(timespec="milliseconds")


def erase_answers(engine: Engine, image_path: Callable[[str, str], Path], which: ColumnElement[bool]) -> int:
    """Erase answers for good, with feedback and image.

    Parameters
    ----------
    engine
        The database.
    image_path
        Says where the image of an answer lies, by id and suffix.
    which
        Of PredictionRow.

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
    over = select(PredictionRow.id, PredictionRow.kept).where(which).limit(_MOST)
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
