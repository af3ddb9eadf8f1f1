"""What people deleted is erased while the server runs, and a failure is not the end of it."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from medloupe.errors import StorageError
from medloupe.serving import app


def test_deleted_and_old_answers_are_erased_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Exception] = [StorageError("The disk is full."), PermissionError(13, "not allowed"), KeyError("odd")]
    erased: list[int] = []

    def erase() -> int:
        if failures:
            raise failures.pop(0)
        erased.append(1)
        return 1

    async def run() -> None:
        service: Any = SimpleNamespace(
            journal=SimpleNamespace(erase_removed=erase), retention=SimpleNamespace(remove_old_lines=int)
        )
        state = SimpleNamespace(service=service, answer_retention=SimpleNamespace(erase_old=lambda: erased.append(2)))
        work = partial(app._erase_what_is_over, SimpleNamespace(state=state))
        task = asyncio.create_task(app._repeat("what is over was not erased", work, 0.001))
        async with asyncio.timeout(10):
            while len(erased) < 6:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with caplog.at_level(logging.ERROR, logger="medloupe.serving"):
        asyncio.run(run())
    assert erased[:2] == [1, 2]
    assert [r.getMessage() for r in caplog.records] == ["what is over was not erased"] * 2 + ["unexpected"]
