"""Name what a job in the queue is, and whose it is for now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medloupe.errors import StoreError
from medloupe.store.tables import JobRow

WAITING, RUNNING, DONE, FAILED, CANCELLED = STATES = ("waiting", "running", "done", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """A job as it stands in the queue; the fields are those of tables.JobRow."""

    id: str
    kind: str
    arguments: tuple[str, ...]
    folder: str
    state: str
    created: str
    created_by: str
    started: str | None
    finished: str | None
    attempt: int
    worker: str | None
    stop_asked: bool
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Somebody's right to do a job: in this attempt, and no other."""

    job: QueuedJob
    attempt: int

    @property
    def token(self) -> str:
        """As a process that does the job is told it."""
        return f"{self.job.id}:{self.attempt}"


class LeaseLostError(StoreError):
    """The job was taken by somebody else, or is over."""


def read_job_row(row: JobRow) -> QueuedJob:
    """Read a row of the table."""
    return QueuedJob(
        id=row.id,
        kind=row.kind,
        arguments=tuple(row.arguments),
        folder=row.folder,
        state=row.state,
        created=row.created,
        created_by=row.created_by,
        started=row.started,
        finished=row.finished,
        attempt=row.attempt,
        worker=row.worker,
        stop_asked=row.stop_asked,
        progress=row.progress,
        result=row.result,
        error=row.error,
    )
