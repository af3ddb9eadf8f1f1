"""Keep what was answered and what people said of it, on the disk before anybody is told that it was."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from medloupe.errors import StorageError, UnknownError
from medloupe.serving.engine.history import ALL, Wanted, read_alias, select_answers
from medloupe.serving.engine.rows import drop_input_values
from medloupe.serving.engine.sweeping import erase_removed, remove_stray_images, undo_limit
from medloupe.serving.engine.writer import TransactionWriter
from medloupe.store.database import explain_failure
from medloupe.store.tables import AuditRow, FeedbackRow, PredictionRow, now
from medloupe.utils.files import sync_folder, write_atomically

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.accounts.person import Person

_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One answer as it is remembered.

    Attributes
    ----------
    at : str
        When, in UTC, as ISO 8601.
    answer : dict
        The Prediction's JSON without the file's name; where the image is kept, `given` has what came beside it, else
        `inputs` only the names.
    kept : bool
        Whether its image is.
    right, labels : bool, tuple of str
        What was last said of it.
    commented : bool
        Whether anything was.
    alias : str
        A short name that a person gave it, or "".
    state : str
        Of the answer; of one from before there were states "refused" or "answered".
    """

    id: str
    at: str
    user_id: int | None
    model: str
    version: int | None
    answer: dict[str, Any]
    kept: bool
    right: bool | None = None
    labels: tuple[str, ...] = ()
    commented: bool = False
    alias: str = ""
    state: str = "answered"


class Journal:
    """Predictions and feedback in the database, kept images under folder; safe to use from several threads."""

    def __init__(self, engine: Engine, folder: Path):
        self._engine = engine
        self._folder = folder
        self._writer = TransactionWriter(engine)

    def close(self) -> None:
        """Finish what was handed in."""
        self._writer.close()

    # ------------------------------------------------------------------ writing

    async def record(self, rows: Sequence[dict[str, Any]], asked: Sequence[dict[str, Any]] = ()) -> None:
        """Keep predictions; returns when they are on the disk.

        Parameters
        ----------
        rows
            Of PredictionRow.
        asked
            Of AuditRow, written with them: none of the answers without the line that says who asked.

        Raises
        ------
        StorageError
            The database cannot be written.
        """

        def write(c: Connection) -> None:
            c.execute(insert(PredictionRow), list(rows))
            if asked:
                c.execute(insert(AuditRow), list(asked))

        await self._writer.write(write)

    async def feedback(self, id: str, person: Person, right: bool | None, labels: Sequence[str] | None) -> None:
        """Keep what a person says of an answer of theirs (an admin: of any).

        Raises
        ------
        UnknownError
            There is no such answer.
        """

        def write(c: Connection) -> bool:
            if self._find(c, id, person) is None:
                return False
            row = {"prediction_id": id, "user_id": person.id, "at": now(), "right": right, "labels": labels}
            c.execute(insert(FeedbackRow), [row])
            return True

        if not await self._writer.write(write):
            raise _unknown(id)

    async def forget(self, id: str, person: Person, *, image_only: bool = False) -> None:
        """Delete an answer with its feedback and its kept image, or the image alone.

        Raises
        ------
        UnknownError
            There is no such answer of this person.
        StorageError
            The image could not be deleted.
        """

        def write(c: Connection) -> str | None:
            row = self._find(c, id, person, deleted=not image_only)
            if row is None:
                return None
            if image_only:
                alone = {"kept": None, "answer": drop_input_values(row.answer)}
                c.execute(update(PredictionRow).where(PredictionRow.id == id).values(**alone))
            else:
                c.execute(delete(FeedbackRow).where(FeedbackRow.prediction_id == id))
                c.execute(delete(PredictionRow).where(PredictionRow.id == id))
            return row.kept or ""

        suffix = await self._writer.write(write)
        if suffix is None:
            raise _unknown(id)
        if suffix:
            try:
                self.image_path(id, suffix).unlink(missing_ok=True)
            except OSError as e:
                raise StorageError(
                    f"The answer is forgotten, but its image could not be deleted: {e.strerror or e}.",
                    "The operator should look at the rights of the folder `kept`.",
                ) from e

    async def set_alias(self, id: str, person: Person, text: str) -> None:
        """Give an answer a short name, or none.

        Raises
        ------
        UnknownError
            There is no such answer of this person.
        """
        await self._change(id, person, alias=read_alias(text))

    async def remove(self, id: str, person: Person) -> None:
        """Put an answer out of sight; it can be restored for sweeping.UNDO_MINUTES, then `sweep` erases it for good.

        Raises
        ------
        UnknownError
            There is no such answer of this person.
        """
        await self._change(id, person, deleted_at=now())

    async def restore(self, id: str, person: Person) -> None:
        """Bring a removed answer back.

        Raises
        ------
        UnknownError
            There is no such answer of this person, or it has been erased.
        """
        await self._change(id, person, deleted=True, deleted_at=None)

    async def _change(self, id: str, person: Person, *, deleted: bool = False, **values: Any) -> None:
        def write(c: Connection) -> bool:
            row = self._find(c, id, person, deleted=deleted)
            if row is None or (row.deleted_at or "~") < undo_limit():
                return False
            c.execute(update(PredictionRow).where(PredictionRow.id == id).values(**values))
            return True

        if not await self._writer.write(write):
            raise _unknown(id)

    def keep(self, id: str, data: bytes, suffix: str) -> None:
        """Keep an image's bytes under the prediction's id, durably.

        Raises
        ------
        OSError
            The disk refuses it.
        """
        path = self.image_path(id, suffix)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # pictures of patients: for the owner's eyes only
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, data)
        sync_folder(path.parent.parent)

    def sweep(self) -> int:
        """Erase what was deleted and cannot be restored any more, and kept images of no prediction.

        Such images a server left that was killed in between. Only those older than an hour: others may belong to a
        request that is being answered.

        Returns
        -------
        int
            How many images of no prediction there were.
        """
        self.erase_removed()
        return remove_stray_images(self._engine, self._folder)

    def erase_removed(self) -> int:
        """Erase answers that can no longer be restored; returns and raises as `sweeping.erase_removed` does."""
        return erase_removed(self._engine, self.image_path)

    # ------------------------------------------------------------------ reading

    def mine(self, person: Person, before: str | None = None, limit: int = 50, wanted: Wanted = ALL) -> list[Entry]:
        """List a person's answers, the newest first.

        Parameters
        ----------
        person
            Whose.
        before
            "AT_ID" of the last one seen.
        limit
            How many.
        wanted
            Which of them.
        """
        with self._reading() as c:
            return self._entries(c, c.execute(select_answers(person, before, wanted).limit(limit)).all())

    def get(self, id: str, person: Person) -> Entry:
        """Return one answer of a person (to an admin: anybody's).

        Raises
        ------
        UnknownError
            There is no such answer.
        """
        with self._reading() as c:
            return self._entries(c, [self._require(c, id, person)])[0]

    def image(self, id: str, person: Person) -> tuple[Path, str] | None:
        """Return where the image of an answer is kept and its suffix, or None.

        Raises
        ------
        UnknownError
            There is no such answer.
        """
        with self._reading() as c:
            row = self._require(c, id, person)
        path = self.image_path(id, row.kept) if row.kept else None
        return (path, row.kept) if path and path.is_file() else None

    def image_path(self, id: str, suffix: str) -> Path:
        """Return where the image of a prediction is kept."""
        return self._folder / id[:2] / f"{id}.{suffix}"

    # ------------------------------------------------------------------ within

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as c:
                yield c
        except SQLAlchemyError as e:
            raise explain_failure(self._engine.url, e) from e

    def _find(self, c: Connection, id: str, person: Person, *, deleted: bool = False) -> Any:
        """Find the row of an answer, or None. deleted: also one that is out of sight."""
        if not _ID.fullmatch(id):
            return None
        wanted = select(PredictionRow).where(PredictionRow.id == id)
        if not deleted:
            wanted = wanted.where(PredictionRow.deleted_at.is_(None))
        if person.role != "admin":
            wanted = wanted.where(PredictionRow.user_id == person.id)
        return c.execute(wanted).one_or_none()

    def _require(self, c: Connection, id: str, person: Person) -> Any:
        """Find the row of an answer; raises UnknownError."""
        row = self._find(c, id, person)
        if row is None:
            raise _unknown(id)
        return row

    def _entries(self, c: Connection, rows: Sequence[Any]) -> list[Entry]:
        ids = [row.id for row in rows]
        said = select(FeedbackRow).where(FeedbackRow.prediction_id.in_(ids)).order_by(FeedbackRow.id)
        last = {row.prediction_id: row for row in c.execute(said).all()}
        return [
            Entry(
                id=row.id,
                at=row.at,
                user_id=row.user_id,
                model=row.model,
                version=row.version,
                answer=row.answer,
                kept=row.kept is not None,
                right=last[row.id].right if row.id in last else None,
                labels=tuple(last[row.id].labels or ()) if row.id in last else (),
                commented=row.id in last,
                alias=row.alias or "",
                state=row.answer.get("state") or ("refused" if row.answer.get("refused") else "answered"),
            )
            for row in rows
        ]


def _unknown(id: str) -> UnknownError:
    return UnknownError(f"There is no prediction {id!r} of yours.", "It may have been deleted; see the history.")
