"""What was answered and what people said of it, on the disk before anybody is told that it was.

Writes of many requests go into one transaction: the cost of flushing to the disk is shared, and no request waits for
more than the transaction before its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, delete, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from medloupe.errors import StorageError, UnknownError
from medloupe.store.database import explain_failure
from medloupe.store.tables import FeedbackRow, PredictionRow, now
from medloupe.utils.files import sync_folder, write_atomically

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.accounts.person import Person

_MOST = 256  # writes in one transaction
_ID = re.compile("[0-9a-f]{32}")
Write = Callable[[Connection], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One answer as it is remembered. answer: the Prediction's JSON without the file's name; where the image is kept,
    `given` has what came beside it, else `inputs` only the names. kept: whether its image is. right, labels: what was
    last said of it."""

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


class Journal:
    """Predictions and feedback in the database, kept images under folder; safe to use from several threads."""

    def __init__(self, engine: Engine, folder: Path):
        self._engine = engine
        self._folder = folder
        self._queue: queue.SimpleQueue[tuple[Write, asyncio.AbstractEventLoop, asyncio.Future[Any]] | None]
        self._queue = queue.SimpleQueue()
        self._connection: Connection | None = None  # of the writing thread
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what was handed in."""
        self._queue.put(None)
        self._thread.join()

    # ------------------------------------------------------------------ writing

    async def record(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep predictions, each a row of PredictionRow. Returns when they are on the disk. Raises StorageError."""
        await self._write(lambda c: c.execute(insert(PredictionRow), list(rows)))

    async def feedback(self, id: str, person: Person, right: bool | None, labels: Sequence[str] | None) -> None:
        """Keep what a person says of an answer of theirs (an admin: of any). Raises UnknownError when there is none."""

        def write(c: Connection) -> bool:
            if self._find(c, id, person) is None:
                return False
            row = {"prediction_id": id, "user_id": person.id, "at": now(), "right": right, "labels": labels}
            c.execute(insert(FeedbackRow), [row])
            return True

        if not await self._write(write):
            raise _unknown(id)

    async def forget(self, id: str, person: Person, *, image_only: bool = False) -> None:
        """Delete an answer with its feedback and its kept image, or the image alone. Raises UnknownError."""

        def write(c: Connection) -> str | None:
            row = self._find(c, id, person)
            if row is None:
                return None
            if image_only:
                alone = {"kept": None, "answer": without_values(row.answer)}
                c.execute(update(PredictionRow).where(PredictionRow.id == id).values(**alone))
            else:
                c.execute(delete(FeedbackRow).where(FeedbackRow.prediction_id == id))
                c.execute(delete(PredictionRow).where(PredictionRow.id == id))
            return row.kept or ""

        suffix = await self._write(write)
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

    def keep(self, id: str, data: bytes, suffix: str) -> None:
        """Keep an image's bytes under the prediction's id, durably. Raises OSError."""
        path = self.image_path(id, suffix)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # pictures of patients: for the owner's eyes only
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, data)
        sync_folder(path.parent.parent)

    def sweep(self) -> int:
        """Remove kept images of no prediction, which a server left that was killed in between; how many.

        Only those older than an hour: others may belong to a request that is being answered.
        """
        with self._reading() as c:
            known = set(c.scalars(select(PredictionRow.id).where(PredictionRow.kept.is_not(None))))
        before = time.time() - 3600
        stray = [p for p in self._folder.glob("??/*") if p.stem not in known and p.stat().st_mtime < before]
        for path in stray:
            path.unlink(missing_ok=True)
        return len(stray)

    # ------------------------------------------------------------------ reading

    def mine(self, person: Person, before: str | None = None, limit: int = 50) -> list[Entry]:
        """A person's answers, the newest first. before: "AT_ID" of the last one seen."""
        wanted = select(PredictionRow).where(PredictionRow.user_id == person.id)
        if before:
            at, _, id = before.replace("\0", "").partition("_")  # which PostgreSQL cannot take
            earlier = PredictionRow.at < at
            wanted = wanted.where(or_(earlier, and_(PredictionRow.at == at, PredictionRow.id > id)) if id else earlier)
        wanted = wanted.order_by(PredictionRow.at.desc(), PredictionRow.id).limit(limit)
        with self._reading() as c:
            return self._entries(c, c.execute(wanted).all())

    def get(self, id: str, person: Person) -> Entry:
        """One answer of a person (an admin: anybody's). Raises UnknownError when there is none."""
        with self._reading() as c:
            row = self._find(c, id, person)
            if row is None:
                raise _unknown(id)
            return self._entries(c, [row])[0]

    def image(self, id: str, person: Person) -> tuple[Path, str] | None:
        """The kept image of an answer and its suffix, or None. Raises UnknownError when there is no such answer."""
        with self._reading() as c:
            row = self._find(c, id, person)
        if row is None:
            raise _unknown(id)
        path = self.image_path(id, row.kept) if row.kept else None
        return (path, row.kept) if path and path.is_file() else None

    def image_path(self, id: str, suffix: str) -> Path:
        """Where the image of a prediction is kept."""
        return self._folder / id[:2] / f"{id}.{suffix}"

    # ------------------------------------------------------------------ within

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as c:
                yield c
        except SQLAlchemyError as e:
            raise explain_failure(self._engine.url, e) from e

    def _find(self, c: Connection, id: str, person: Person) -> Any:
        if not _ID.fullmatch(id):
            return None
        wanted = select(PredictionRow).where(PredictionRow.id == id)
        if person.role != "admin":
            wanted = wanted.where(PredictionRow.user_id == person.id)
        return c.execute(wanted).one_or_none()

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
            )
            for row in rows
        ]

    async def _write(self, write: Write) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._queue.put((write, loop, done))
        return await done

    def _work(self) -> None:
        """Writes until the end, over one connection: SQLite clears its log away when the last one is closed."""
        try:
            self._write_all()
        finally:
            self._disconnect()

    def _write_all(self) -> None:
        while True:
            waiting = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(waiting) < _MOST and waiting[-1] is not None:
                    waiting.append(self._queue.get_nowait())
            work = [w for w in waiting if w is not None]
            if work and not self._commit(work):
                for one in work:  # apart, so that only those fail that must
                    self._commit([one], last=True)
            if len(work) < len(waiting):
                return

    def _commit(self, work: Sequence[tuple[Write, Any, Any]], last: bool = False) -> bool:
        """One transaction; False where it failed and nobody was told, because each is tried again alone."""
        try:
            if self._connection is None:
                # Taking the write lock at the start waits for other writers; later, after a read, it would not.
                self._connection = self._engine.execution_options(writing=True).connect()
            with self._connection.begin():
                results = [write(self._connection) for write, _, _ in work]
        except Exception as e:
            self._disconnect()  # it may be what failed: a database that was started anew knows it no longer
            if not last:
                return False
            error = explain_failure(self._engine.url, e) if isinstance(e, SQLAlchemyError) else e
            for _, loop, done in work:
                loop.call_soon_threadsafe(_settle, done, None, error)
            return True
        for (_, loop, done), result in zip(work, results, strict=True):
            loop.call_soon_threadsafe(_settle, done, result, None)
        return True

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None


def without_values(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer's JSON with the names of the inputs given beside the picture, and nothing that tells their values:
    from how an input moved the answer, its value could be found again."""
    if not answer.get("inputs"):
        return answer
    names = [{"name": i["name"]} for i in answer["inputs"] if i.get("value") or "effect" not in i]
    return {**{key: value for key, value in answer.items() if key != "given"}, "inputs": names}


def _settle(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.cancelled():  # the client went away; what it asked for was done all the same
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _unknown(id: str) -> UnknownError:
    return UnknownError(f"There is no prediction {id!r} of yours.", "It may have been deleted; see the history.")
