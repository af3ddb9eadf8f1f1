"""Find and stop trainings that learn from what is to be deleted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from medloupe.erasure.nouns import Belongings
from medloupe.erasure.rows import split
from medloupe.errors import StoreError
from medloupe.store.database import transaction
from medloupe.store.jobrows import RUNNING, WAITING
from medloupe.store.queue import JobQueue
from medloupe.store.tables import DatasetRow, DatasetVersionItemRow, DatasetVersionRow, JobRow

if TYPE_CHECKING:
    from sqlalchemy import Engine

STOP_SECONDS = 90.0
"""How long to wait for the process of a training to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingVersion:
    """A version of a data set that holds what is to be deleted.

    Attributes
    ----------
    title
        "NAME@NUMBER".
    pictures
        How many of them it holds, or held.
    job
        The training that was asked for last, or None.
    made
        The name and version of the model that came of it, or None.
    """

    title: str
    pictures: int
    job: str | None
    made: tuple[str, int] | None


def list_holding(engine: Engine, found: Belongings) -> list[HoldingVersion]:
    """List the versions of data sets that hold any of it, or held it until it was deleted, by name and number."""
    counts: Counter[tuple[str, int, str | None]] = Counter()
    wanted = (
        select(DatasetRow.name, DatasetVersionRow.number, DatasetVersionRow.job)
        .join(DatasetVersionRow, DatasetVersionRow.dataset_id == DatasetRow.id)
        .join(DatasetVersionItemRow, DatasetVersionItemRow.version_id == DatasetVersionRow.id)
    )
    told: list[HoldingVersion] = []
    with transaction(engine) as session:
        for part in split(id for ids in found.items.values() for id in ids):
            rows = session.execute(wanted.where(DatasetVersionItemRow.item_id.in_(part)))
            counts.update((name, number, job) for name, number, job in rows)
        for (name, number, job), pictures in sorted(counts.items(), key=lambda c: c[0][:2]):
            row = None if job is None else session.get(JobRow, job)
            said = (row.result or {}) if row is not None else {}
            made = (str(said["name"]), int(said["version"])) if {"name", "version"} <= said.keys() else None
            told.append(HoldingVersion(title=f"{name}@{number}", pictures=pictures, job=job, made=made))
    return told


def stop_trainings(engine: Engine, jobs: Iterable[str], *, by: str) -> list[str]:
    """Cancel jobs that wait, stop those that run, and wait until their processes have ended; which these were."""
    queue = JobQueue(engine)
    stopped: list[str] = []
    for id in sorted(set(jobs)):
        with suppress(StoreError):  # over, or forgotten
            if queue.get(id).state in (WAITING, RUNNING):
                queue.ask_to_stop(id, by=by)
                stopped.append(id)
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until and any(_runs(queue, id) for id in stopped):
        time.sleep(0.2)
    return stopped


def _runs(queue: JobQueue, id: str) -> bool:
    with suppress(StoreError):
        return queue.get(id).state == RUNNING
    return False
