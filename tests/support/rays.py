"""A Ray cluster of this machine, started once for all tests of a process, with room for two workers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from objectstorage import CREDENTIALS

PATIENCE = 600.0  # seconds for its first sign; Ray itself gives half a minute, which a crowded machine may not have


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """Ray is up. Its own processes end with this one."""
    ray = pytest.importorskip("ray")
    from ray._private import services

    from medloupe.jobs.ray_pool import connect

    get_node = services.get_node

    def wait_for_node(*told: Any, **more: Any) -> Any:
        end, before = time.monotonic() + PATIENCE, _ended_nodes()
        while True:
            try:
                return get_node(*told, **more)
            except RuntimeError:  # not there yet
                if time.monotonic() > end or _ended_nodes() - before:  # which ends itself, where parts of it are late
                    raise
                time.sleep(0.5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "get_node", wait_for_node)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
        for name, value in CREDENTIALS.items():  # of machines of a cluster: workers are told none
            patch.setenv(name, value)
        connect(cores=2, gpus=2)  # of which Ray only keeps count: there need be none
    yield
    ray.shutdown()


def _ended_nodes() -> set[int]:
    """The nodes that this process started and that ended."""
    children = psutil.Process().children()
    return {c.pid for c in children if c.name() == "raylet" and c.status() == psutil.STATUS_ZOMBIE}
