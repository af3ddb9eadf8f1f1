"""Run what blocks in threads, in pools apart: what waits in one of them does not keep the others from their work.

Reads ask the database. Writes change accounts or the audit log, and may wait for another writer. Changes are those of
models, which may wait for the store's lock. Files are kept pictures, what is drawn of them, and versions to be loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from medloupe.errors import BusyError
from medloupe.utils.spans import carry_spans

T = TypeVar("T")
WAIT_SECONDS = 5.0
"""For one of the threads to be free; what has begun is bounded by itself."""


class Pool:
    """Some threads for one kind of work."""

    def __init__(self, name: str, threads: int, holds: str):
        self._threads = ThreadPoolExecutor(threads, name)
        self._holds = holds

    async def run(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a function in one of the threads.

        Raises
        ------
        BusyError
            None was free within WAIT_SECONDS.
        """
        result = self._threads.submit(carry_spans(function), *arguments, **named)
        done = asyncio.wrap_future(result)
        try:
            await asyncio.wait({done}, timeout=WAIT_SECONDS)
            if not done.done() and result.cancel():  # which it cannot be once it has begun
                raise BusyError(f"{self._holds} for over {WAIT_SECONDS:.0f} s.", "Try again in a moment.")
            return await done
        except asyncio.CancelledError:
            result.cancel()
            raise


READS = Pool("reads", 8, "Others have been waiting for the database")
WRITES = Pool("writes", 4, "Others have been waiting to write to the database")
CHANGES = Pool("changes", 2, "Other changes of models have been waiting")
FILES = Pool("files", 4, "Other pictures have been read or drawn")


async def run_read(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Run what reads the database; raises as `Pool.run` does."""
    return await READS.run(function, *arguments, **named)


async def run_write(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Run what changes accounts or the audit log; raises as `Pool.run` does."""
    return await WRITES.run(function, *arguments, **named)


async def run_change(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Run what changes models; raises as `Pool.run` does."""
    return await CHANGES.run(function, *arguments, **named)


async def run_file(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Run what reads, writes or draws pictures; raises as `Pool.run` does."""
    return await FILES.run(function, *arguments, **named)
