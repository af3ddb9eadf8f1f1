"""Keep long tasks in the database until they are done: each is done once, whatever dies in between.

A table of leases in the database that the store has anyway. procrastinate knows PostgreSQL alone, rq wants a Redis, and
huey keeps its tasks in files of its own: each would be a second place that can be lost, while here a version and the
end of the job that made it are written by one transaction (`finish_within`).

Whoever takes a job has it for LEASE_SECONDS and says in time that it is still at work. One that is not heard of any
more is taken for dead, and its job is taken again; what it says afterwards no longer counts, as the number of its
attempt is over. PostgreSQL lets several take jobs at the same time (SKIP LOCKED); SQLite lets one write after another.
Clocks of the machines must agree to a few seconds.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.engine import CursorResult

from medloupe.errors import StoreError, UnknownError
from medloupe.jobs.inside import read_job
from medloupe.store.database import transaction
from medloupe.store.jobrows import (
    CANCELLED,
    DONE,
    FAILED,
    RUNNING,
    WAITING,
    Lease,
    LeaseLostError,
    QueuedJob,
    read_job_row,
)
from medloupe.store.production import log_action
from medloupe.store.tables import CandidateRow, JobRow, now

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine
    from sqlalchemy.orm import Session

KINDS = ("train", "evaluate", "stress", "adapt", "retrain")
"""Commands that a job may be."""
LEASE_SECONDS = 60.0
MOST_DEATHS = 3
"""How often the process or the worker of a job may die in the middle of it; then it is given up."""
MOST_WAITING = 1000
MOST_ARGUMENTS, MOST_LETTERS = 100, 4000
_ERROR_LETTERS = 4000


class JobQueue:
    """The queue in one database.

    Parameters
    ----------
    engine : Engine
        Of the store.
    lease : float
        Seconds for which a job is had.
    """

    def __init__(self, engine: Engine, lease: float = LEASE_SECONDS):
        self.engine, self.lease = engine, lease

    def add(self, kind: str, arguments: Sequence[str], *, folder: str = "", by: str = "local") -> QueuedJob:
        """Put a job at the end of the queue.

        Parameters
        ----------
        kind, arguments
            The command `medloupe KIND ARGUMENTS`.
        folder
            In which it is run, as relative paths mean; "" for that of the worker.
        by
            Who wants it, for the audit log.

        Raises
        ------
        StoreError
            No such kind, too many arguments, or too many jobs wait.
        """
        with transaction(self.engine, write=True) as session:
            return add_within(session, kind, arguments, folder=folder, by=by)

    def get(self, id: str) -> QueuedJob:
        """Read a job, by its id or the beginning of it.

        Raises
        ------
        UnknownError
            There is none, or several begin so.
        """
        with transaction(self.engine) as session:
            return read_job_row(_find(session, id))

    def list(self, *states: str, most: int = 200) -> list[QueuedJob]:
        """List jobs, the newest first; of some states only where they are given."""
        wanted = select(JobRow).order_by(JobRow.created.desc(), JobRow.id).limit(most)
        if states:
            wanted = wanted.where(JobRow.state.in_(states))
        with transaction(self.engine) as session:
            return [read_job_row(row) for row in session.scalars(wanted)]

    def take(self, worker: str) -> Lease | None:
        """Take the job that waits for the longest, one whose worker is not heard of any more included.

        Returns
        -------
        Lease or None
            None where there is nothing to do.
        """
        free = or_(JobRow.state == WAITING, _dead())
        with transaction(self.engine) as session:  # an empty queue, looked at every second, takes no lock of writers
            if session.scalars(select(JobRow.id).where(free).limit(1)).first() is None:
                return None
        with transaction(self.engine, write=True) as session:
            while True:
                wanted = (
                    select(JobRow)
                    .where(free)
                    .order_by(JobRow.created, JobRow.id)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                )
                row = session.scalars(wanted).first()
                if row is None:
                    return None
                if row.stop_asked:
                    _close(row, CANCELLED)
                elif row.state == RUNNING and row.deaths + 1 >= MOST_DEATHS:
                    _close(row, FAILED, f"{MOST_DEATHS} times its process or its worker ended in the middle of it.")
                else:
                    break
                session.flush()
            row.deaths += row.state == RUNNING
            row.state, row.worker, row.started = RUNNING, worker[:100], now()
            row.attempt += 1
            row.leased_until = _later(self.lease)
            session.flush()
            return Lease(job=read_job_row(row), attempt=row.attempt)

    def beat(self, lease: Lease, progress: dict[str, Any] | None = None) -> bool:
        """Say that one is still at work, and how far.

        Returns
        -------
        bool
            Whether somebody wants it stopped.

        Raises
        ------
        LeaseLostError
            It is not one's own any more.
        """
        with transaction(self.engine, write=True) as session:
            row = _own(session, lease, done=True)
            if row.state == DONE:
                return False  # its version is in the store; its process has a last word to say
            row.leased_until = _later(self.lease)
            if progress is not None:
                row.progress = progress
            return row.stop_asked

    def finish(self, lease: Lease, result: dict[str, Any]) -> None:
        """Say that the job is done. What `finish_within` wrote stays; result is added to it.

        Raises
        ------
        LeaseLostError
            It is not one's own any more; the result is forgotten.
        """
        with transaction(self.engine, write=True) as session:
            row = _own(session, lease, done=True)
            _close(row, DONE)
            row.result = {**result, **(row.result or {})}

    def fail(self, lease: Lease, error: str, *, again: bool = False) -> None:
        """Say that it failed, and why. again: it may be tried once more, as the fault may not lie in it.

        Raises
        ------
        LeaseLostError
            It is not one's own any more.
        """
        with transaction(self.engine, write=True) as session:
            row = _own(session, lease, done=True)
            if row.state == DONE:
                return  # its version is in the store already
            row.deaths += again
            if again and row.deaths < MOST_DEATHS and not row.stop_asked:
                row.state, row.leased_until, row.error = WAITING, None, error[-_ERROR_LETTERS:]
            else:
                _close(row, CANCELLED if row.stop_asked else FAILED, error)

    def give_back(self, lease: Lease) -> None:
        """Put a job back that was not done, because the worker ends; that is no death.

        Raises
        ------
        LeaseLostError
            It is not one's own any more.
        """
        with transaction(self.engine, write=True) as session:
            row = _own(session, lease)
            row.state, row.leased_until, row.worker = WAITING, None, None

    def ask_to_stop(self, id: str, *, by: str = "local") -> QueuedJob:
        """Cancel a job that waits, or ask the worker of one that runs to stop it.

        Raises
        ------
        UnknownError
            There is none.
        StoreError
            It is over.
        """
        with transaction(self.engine, write=True) as session:
            row = _find(session, id, lock=True)
            if row.state not in (WAITING, RUNNING):
                raise StoreError(f"The job {row.id[:8]} is over: {row.state}.")
            row.stop_asked = True
            if row.state == WAITING:
                _close(row, CANCELLED)
            log_action(session, "job.stop", f"{row.kind} {row.id}", actor=by)
            session.flush()
            return read_job_row(row)

    def forget(self, days: float) -> int:
        """Remove jobs that have been over for so many days; how many."""
        over = and_(JobRow.state.in_((DONE, FAILED, CANCELLED)), JobRow.finished < _later(-86400 * days))
        with transaction(self.engine, write=True) as session:
            done = session.execute(delete(JobRow).where(over))
            return done.rowcount if isinstance(done, CursorResult) else 0


def add_within(
    session: Session, kind: str, arguments: Sequence[str], *, folder: str = "", by: str = "local"
) -> QueuedJob:
    """Put a job at the end of the queue within a transaction; takes and raises as `JobQueue.add`."""
    if kind not in KINDS:
        raise StoreError(f"No job is called {kind!r}.", f"There are {', '.join(KINDS)}.")
    if len(arguments) > MOST_ARGUMENTS or sum(map(len, arguments)) > MOST_LETTERS:
        raise StoreError(
            f"A job has at most {MOST_ARGUMENTS} arguments of {MOST_LETTERS:,} letters together.", "Give fewer."
        )
    waiting = session.query(JobRow).filter(JobRow.state == WAITING).count()
    if waiting >= MOST_WAITING:
        raise StoreError(f"{waiting:,} jobs wait already.", "Wait, or cancel some: medloupe jobs stop ID")
    row = JobRow(
        id=secrets.token_hex(16),
        kind=kind,
        arguments=list(arguments),
        folder=folder,
        state=WAITING,
        created=now(),
        created_by=by[:64],
        attempt=0,
        deaths=0,
        stop_asked=False,
        error="",
    )
    session.add(row)
    log_action(session, "job.add", f"{kind} {row.id}", actor=by)
    return read_job_row(row)


def finish_within(session: Session, result: dict[str, Any]) -> None:
    """Write the end of the job that this process does into a transaction that writes what it made.

    So there is never the one without the other. Where no worker started this process nothing is done.

    Raises
    ------
    LeaseLostError
        Somebody else has the job by now, so that nothing must be written.
    """
    told = read_job()
    if told is None:
        return
    id, attempt = told
    own = and_(JobRow.id == id, JobRow.attempt == attempt, JobRow.state == RUNNING)
    values = {"state": DONE, "finished": now(), "leased_until": None, "result": result}
    done = session.execute(update(JobRow).where(own).values(**values))
    if not isinstance(done, CursorResult) or done.rowcount != 1:
        raise _lost(id)
    if isinstance(version := result.get("version"), int):
        session.execute(update(CandidateRow).where(CandidateRow.job == id).values(version=version))


def _own(session: Session, lease: Lease, *, done: bool = False) -> JobRow:
    """Find and lock the row of one's own job. done: also where `finish_within` has ended it."""
    row = session.scalars(select(JobRow).where(JobRow.id == lease.job.id).with_for_update()).first()
    if row is None or row.attempt != lease.attempt or row.state not in ((RUNNING, DONE) if done else (RUNNING,)):
        raise _lost(lease.job.id)
    return row


def _lost(id: str) -> LeaseLostError:
    return LeaseLostError(
        f"The job {id[:8]} is not this worker's any more: it was not heard of in time, or the job is over.",
        "Nothing was written. See: medloupe jobs list",
    )


def _find(session: Session, id: str, *, lock: bool = False) -> JobRow:
    known = len(id) >= 4 and set(id) <= set("0123456789abcdef")
    wanted = select(JobRow).where(JobRow.id.startswith(id)).limit(2)
    found = list(session.scalars(wanted.with_for_update() if lock else wanted)) if known else []
    if len(found) != 1:
        why = "several jobs begin so" if found else "there is no such job"
        raise UnknownError(f"{id!r}: {why}.", "List them: medloupe jobs list")
    return found[0]


def _dead() -> ColumnElement[bool]:
    return and_(JobRow.state == RUNNING, JobRow.leased_until < now())


def _later(seconds: float) -> str:
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds")


def _close(row: JobRow, state: str, error: str = "") -> None:
    row.state, row.finished, row.leased_until = state, row.finished or now(), None
    row.error = error[-_ERROR_LETTERS:]
