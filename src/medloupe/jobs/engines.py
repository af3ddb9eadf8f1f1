"""Choose what workers run on, by the name of an engine."""

from __future__ import annotations

from typing import Any

from medloupe.errors import ExtraError, MedloupeError
from medloupe.jobs.pool import Start, WorkerPool

ENGINES = ("local", "ray")


def open_pool(engine: str, start: Start, workers: int | None = None, *, gpu: bool = False) -> WorkerPool[Any]:
    """Open a pool of workers.

    Parameters
    ----------
    engine : str
        One of ENGINES.
    start : callable
        Called once in each worker, gives its work. It is pickled, and so are tasks and results: an instance of a class
        of a module that is installed wherever workers are.
    workers : int, optional
        How many; the cores of this machine, or of the whole cluster, by default. Each has one core.
    gpu : bool
        Whether the work is for a GPU: on a cluster that has any, each worker has one for itself, and there are no more
        workers than GPUs.

    Raises
    ------
    ExtraError
        When Ray is asked for and is not installed.
    MedloupeError
        For an engine that there is not.
    """
    if engine == "local":
        from medloupe.jobs.local_pool import LocalPool
        from medloupe.settings import threads

        return LocalPool(start, workers or threads())
    if engine != "ray":
        raise MedloupeError(f"There is no engine {engine!r}.", f"Known are {' and '.join(ENGINES)}.")
    try:
        import ray  # noqa: F401
    except ImportError as e:
        raise ExtraError("Ray is not installed.", "pip install 'medloupe[ray]' on every machine of it.") from e
    from medloupe.jobs.ray_pool import RayPool

    return RayPool(start, workers, gpu)
