"""Workers as actors of a Ray cluster, one core each, wherever it has room for them."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Mapping
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from medloupe.errors import MedloupeError
from medloupe.jobs.local_pool import ONE_CORE
from medloupe.jobs.pool import Event, Start, WorkerPool
from medloupe.jobs.worker import attempt

PLACES = (
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ALLOW_HTTP"),
    *("GOOGLE_BASE_URL", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT"),
)
"""Variables of object storage that a worker is told, beside settings; no secret goes through Ray."""
_STARTS = 5  # of a cluster on this machine, before it is given up
_PATIENCE = 60.0  # seconds of waiting for the cluster between two looks at it

log = logging.getLogger("medloupe.jobs")


def connect(cores: int | None = None, gpus: int | None = None) -> None:
    """Reach the cluster that RAY_ADDRESS names, else start one on this machine. cores, gpus: of one that is started.

    Raises
    ------
    MedloupeError
        It cannot be reached, or does not start in several attempts: each has half a minute, which a busy machine may
        not have.
    """
    address = os.environ.get("RAY_ADDRESS")
    for attempts_left in reversed(range(1 if address else _STARTS)):
        try:
            ray.init(
                address=address or "local",
                num_cpus=None if address else cores,
                num_gpus=None if address else gpus,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None if address else False,
            )
            _keep_quiet()
            return
        except Exception as e:  # what times out has no class of its own
            ray.shutdown()
            if not attempts_left:
                raise MedloupeError(
                    f"The Ray cluster {address or 'of this machine'} cannot be reached: {e}",
                    "Set RAY_ADDRESS to one that runs, or unset it; or use --engine local.",
                ) from e


def _keep_quiet() -> None:
    """Keep what Ray tells of lost workers and nodes, log_to_driver or not, off stdout, where results are printed.

    As Ray's own debugger does; how many workers were replaced is told by the pool.
    """
    from ray._private import worker

    worker._worker_logs_enabled = False


class RayWorker:
    """What an actor is. environment: settings of whoever asks, in force before anything is opened."""

    def __init__(self, start: Start, environment: Mapping[str, str]):
        os.environ.update(environment)
        self._opened = attempt(start)

    def open(self) -> tuple[str, Any]:
        """Tell whether it could be opened."""
        return ("ready", None) if self._opened[0] == "done" else self._opened

    def do(self, task: Any) -> tuple[str, Any]:
        """Do a task."""
        return attempt(self._opened[1], task)


class RayPool(WorkerPool[Any]):
    """A pool of actors on the cluster that RAY_ADDRESS names, else on one that is started here for as long.

    Parameters
    ----------
    start, workers, gpu
        As open_pool has them.

    Raises
    ------
    MedloupeError
        The cluster cannot be reached.
    """

    def __init__(self, start: Start, workers: int | None = None, gpu: bool = False):
        self._own = not ray.is_initialized()
        if self._own:
            connect()
        there = ray.cluster_resources()
        gpus = int(there.get("GPU", 0)) if gpu else 0
        cores = max(1, int(there.get("CPU", 1)))
        super().__init__(min(workers or gpus, gpus) if gpus else workers or cores)
        settings = {n: value for n, value in os.environ.items() if n.startswith("MEDLOUPE_") or n in PLACES}
        # No restarts by Ray itself: a restarted actor may wait for room while its task waits with it.
        actor = ray.remote(num_cpus=1, num_gpus=min(1, gpus), max_restarts=0, max_task_retries=0)(RayWorker)
        work = ray.put(start)
        self._make = lambda: actor.remote(work, {**settings, **ONE_CORE})
        self._actors: dict[Hashable, Any] = {}
        self._pending: dict[Any, Hashable] = {}
        self._gpus = gpus
        self._up: set[Hashable] = set()  # that said they are ready and did not die
        self._count = 0

    def _start(self) -> Hashable:
        self._count += 1
        self._actors[self._count] = self._make()
        self._pending[self._actors[self._count].open.remote()] = self._count
        return self._count

    def _send(self, worker: Hashable, task: Any) -> None:
        self._pending[self._actors[worker].do.remote(task)] = worker

    def _wait(self) -> list[Event]:
        done, _ = ray.wait(list(self._pending), num_returns=1, timeout=_PATIENCE)
        events: list[Event] = []
        if not done and not self._up:
            log.warning(self._explain_waiting())
        for reference in done:
            worker = self._pending.pop(reference)
            try:
                kind, value = ray.get(reference, timeout=_PATIENCE)
                events.append(Event(worker, kind, value))
            except (RayActorError, GetTimeoutError):
                events.append(Event(worker, "died"))
            except RayTaskError as e:
                events.append(Event(worker, "failed", RuntimeError(str(e))))
            if events[-1].kind == "died":
                self._up.discard(worker)
                ray.kill(self._actors.pop(worker), no_restart=True)
            else:
                self._up.add(worker)
        return events

    def _explain_waiting(self) -> str:
        """Tell why no worker is up: Ray itself lets actors wait for room without a word."""
        what, name = ("GPU", "GPUs") if self._gpus else ("CPU", "cores")
        there = ray.cluster_resources().get(what, 0)
        began = f"No worker began within {_PATIENCE:.0f} seconds"
        if ray.available_resources().get(what, 0) >= 1:
            return f"{began}, though the Ray cluster has room: its machines start one slowly. Still waiting."
        taken = f"all {there:g} {name} of the Ray cluster are taken by other work" if there >= 1 else "it has no core"
        return f"{began}: {taken}. Waiting until one is free (`ray status` tells more); --engine local does without."

    def close(self) -> None:
        """End all actors, and the cluster where it was started here."""
        for actor in self._actors.values():
            ray.kill(actor, no_restart=True)
        self._actors.clear()
        self._pending.clear()
        self._up.clear()
        self._idle.clear()
        self._living = 0
        if self._own:
            ray.shutdown()
