"""Hold the parts of the studio of a running server, and run what goes on beside the requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from fastapi import Request

from medloupe.errors import MedloupeError
from medloupe.retrain.conclude import conclude_all
from medloupe.retrain.due import start_due
from medloupe.serving.engine.retention import UPLOAD_DAYS, read_days
from medloupe.serving.engine.service import Service
from medloupe.serving.http.threads import Pool
from medloupe.store.datasets import Datasets
from medloupe.store.jobrows import RUNNING, WAITING
from medloupe.store.queue import JobQueue
from medloupe.studio.attended import AttendedWorker
from medloupe.studio.auditor import Auditor
from medloupe.studio.intake import Intake
from medloupe.studio.progress import StageClock
from medloupe.studio.rows import RowsReader
from medloupe.studio.training import DatasetTraining
from medloupe.studio.uploads import DatasetUpload, Uploads

BEAT_SECONDS = 0.5
SWEEP_SECONDS = 3600.0
LOOP_SECONDS = 10.0
"""Between two looks for candidates that are due by a rule, or that were made and wait to be judged."""
RESUME_SECONDS = 3.0
"""Between two looks for files that are all there and were not taken in: by a server that was killed, or a busy disk."""
TAKING = Pool("taking", 3, "Other pictures have been taken in")
log = logging.getLogger("medloupe.studio")


class Studio:
    """The parts of the studio.

    Parameters
    ----------
    service
        The running server.
    work
        Whether it does trainings itself.
    """

    def __init__(self, service: Service, *, work: bool):
        home = service.store.home
        self.service, self.work = service, work
        self.sets = Datasets(service.engine, home)
        self.queue = JobQueue(service.engine)
        self.rows = RowsReader(self.sets)
        self.uploads = Uploads(self.sets)
        self.intake = Intake(self.sets, self.uploads, service.decoders, service.parsers)
        self.auditor = Auditor(self.sets)
        self.clock = StageClock(home / "datasets" / "stages.json")
        self.worker = AttendedWorker(self.queue, home, home / "datasets" / "worker.log")
        self._unpacking: dict[str, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._pictures: dict[str, int] = {}
        self.expecting = False
        """Whether somebody brings pictures, so that a worker will be wanted soon."""

    def start(self) -> None:
        """Begin what goes on beside the requests."""
        self._tasks = [
            asyncio.create_task(self._repeat(work, seconds))
            for work, seconds in (
                (self._sweep, SWEEP_SECONDS),
                (self._resume, RESUME_SECONDS),
                (self._beat, BEAT_SECONDS),
                (self._loop, LOOP_SECONDS),
                (self._audit, 0.3),
            )
        ]

    async def end(self) -> None:
        """End it: the worker gives its job back, and archives are taken up again at the next start."""
        self.auditor.end()
        for task in (*self._tasks, *self._unpacking.values()):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._unpacking.values(), return_exceptions=True)
        await asyncio.to_thread(self.worker.end)

    def take_later(self, upload: DatasetUpload) -> None:
        """Take an archive in, beside the requests; once at a time for each."""
        if upload.id not in self._unpacking or self._unpacking[upload.id].done():
            self._unpacking[upload.id] = asyncio.create_task(self._take(upload))

    def count_pictures(self, training: DatasetTraining) -> int:
        """Count the pictures of the version that is trained; asked once."""
        job = training.job.id
        if job not in self._pictures:
            version = training.version
            self._pictures[job] = len(self.sets.version_items(version.dataset_id, version.number))
        return self._pictures[job]

    @property
    def somebody_works(self) -> bool:
        """Whether a worker is known to be there."""
        return self.work or bool(self.queue.list(RUNNING, most=1))

    async def _take(self, upload: DatasetUpload) -> None:
        try:
            await asyncio.to_thread(self.intake.take_upload, upload)
        except MedloupeError as e:
            log.error("an archive was not taken in", extra={"reason": str(e)})
        except Exception:
            log.exception("unexpected")

    async def _repeat(self, work: Callable[[], Any], seconds: float) -> None:
        while True:
            try:
                await asyncio.to_thread(work)
            except MedloupeError as e:
                log.error("the studio waits", extra={"reason": str(e)})
            except Exception:
                log.exception("unexpected")
            await asyncio.sleep(seconds)

    def _resume(self) -> None:
        """Take in what is all there and nobody takes in."""
        for upload in self.uploads.list_whole():
            self.intake.take_upload(upload)

    def _sweep(self) -> None:
        """Forget what nobody goes on with."""
        self.uploads.forget_old(read_days("MEDLOUPE_UPLOAD_DAYS") or UPLOAD_DAYS)
        self.sets.sweep()

    def _beat(self) -> None:
        if self.work:
            self.worker.ensure(soon=self.expecting)
            self.expecting = False
        for job in self.queue.list(WAITING, RUNNING, most=20):
            pictures = self._pictures.get(job.id)
            if pictures is not None:  # somebody looks at it
                self.clock.observe(job, pictures)

    def _loop(self) -> None:
        """Ask for candidates that are due, and conclude those whose worker died before it could."""
        start_due(self.service.store, self.sets)
        conclude_all(self.service.store)

    def _audit(self) -> None:
        self.auditor.run_due()


def studio_of(request: Request) -> Studio:
    """Return the studio of the running server."""
    return request.app.state.studio
