"""Keep what was answered and what people said of it, on the disk before anybody is told that it was."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from medloupe.errors import StorageError, UnknownError
from medloupe.serving.engine.entries import Entry, read_entries
from medloupe.serving.engine.history import ALL, Wanted, read_alias, select_answers
from medloupe.serving.engine.once import ONCE, Once, claim_key, find_reply, remove_old_keys
from medloupe.serving.engine.rows import drop_input_values
from medloupe.serving.engine.sweeping import erase_old, erase_removed, remove_stray_images, undo_limit
from medloupe.serving.engine.traces import TraceEraser
from medloupe.serving.engine.writer import TransactionWriter, Write
from medloupe.store.chain import append_lines, keyed_hash
from medloupe.store.database import explain_failure
from medloupe.store.tables import FeedbackRow, PredictionRow, now
from medloupe.utils.files import sync_folder, write_atomically

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.accounts.person import Person

_ID = re.compile("[0-9a-f]{32}")
_ADD_PREDICTIONS = insert(PredictionRow)


class Journal:
    """Predictions and feedback in the database, kept images under folder; safe to use from several threads."""

    def __init__(self, engine: Engine, folder: Path):
        self._engine = engine
        self._folder = folder
        self._writer = TransactionWriter(engine)
        self._eraser = TraceEraser(engine)

    def close(self) -> None:
        """Finish what was handed in."""
        self._writer.close()
        self._eraser.try_now()

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
        await self._writer.write(_recording(rows, asked, once=ONCE.get()))

    def hand_in(
        self,
        rows: Sequence[dict[str, Any]],
        asked: Sequence[dict[str, Any]],
        said: Any,
        loop: asyncio.AbstractEventLoop,
        done: asyncio.Future[Any],
        once: Once | None = None,
    ) -> None:
        """Keep predictions as `record` does, from any thread; a future of the loop gets `said` when they are kept."""
        self._writer.hand_in(_recording(rows, asked, said, once), loop, done)

    async def log(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add lines, as `accounts.log.audit_row` makes them, to the audit log; raises StorageError."""
        await self._writer.write(lambda c: append_lines(c, rows))

    def keyed(self, id: str) -> str:
        """Return what stands in the audit log for the id of an answer or the digest of a picture."""
        return keyed_hash(self._engine, id)

    async def feedback(self, id: str, person: Person, right: bool | None, labels: Sequence[str] | None) -> None:
        """Keep what a person says of an answer of theirs (an admin: of any).

        Raises
        ------
        UnknownError
            There is no such answer.
        KeyTakenError
            It was kept before, under the request's key.
        """
        once = ONCE.get()

        def write(c: Connection) -> bool:
            if self._find(c, id, person) is None:
                return False
            if once is not None:
                claim_key(c, once, id)
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
        await self._eraser.erase()
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
        await self._eraser.erase()  # the name before may have been a patient's

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
        count = erase_removed(self._engine, self.image_path)
        remove_old_keys(self._engine)
        if count:
            self._eraser.note()
        self._eraser.try_now()
        return count

    def erase_old(self, *, answers: int | None, images: int | None) -> tuple[int, int]:
        """Erase what is older than so many days; returns and raises as `sweeping.erase_old` does."""
        gone = erase_old(self._engine, self.image_path, answers=answers, images=images)
        if any(gone):
            self._eraser.note()
        self._eraser.try_now()
        return gone

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
            return read_entries(c, c.execute(select_answers(person, before, wanted).limit(limit)).all())

    def get(self, id: str, person: Person) -> Entry:
        """Return one answer of a person (to an admin: anybody's).

        Raises
        ------
        UnknownError
            There is no such answer.
        """
        with self._reading() as c:
            return read_entries(c, [self._require(c, id, person)])[0]

    def reply(self, once: Once) -> dict[str, Any] | None:
        """Return what was answered under a request's key before, or None; raises as `once.find_reply` does."""
        with self._reading() as c:
            return find_reply(c, once)

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

    def digest(self, id: str, person: Person) -> str:
        """Return the sha256 of the picture that an answer of a person is about. Raises UnknownError."""
        with self._reading() as c:
            return str(self._require(c, id, person).digest)

    def image_path(self, id: str, suffix: str) -> Path:
        """Return where the image of a prediction is kept."""
        return self._folder / id[:2] / f"{id}.{suffix}"

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


def _recording(
    rows: Sequence[dict[str, Any]], asked: Sequence[dict[str, Any]], said: Any = None, once: Once | None = None
) -> Write:
    """Make what writes predictions, who asked and under which key, and returns `said`."""

    def write(c: Connection) -> Any:
        c.execute(_ADD_PREDICTIONS, list(rows))
        if once is not None:
            claim_key(c, once, rows[0]["id"])
        append_lines(c, asked)
        return said

    return write


def _unknown(id: str) -> UnknownError:
    return UnknownError(f"There is no prediction {id!r} of yours.", "It may have been deleted; see the history.")
