"""Notice that the client of a request has gone, so that work which nobody waits for is given up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from medloupe.imaging.sandbox.processpool import Cancellation


@asynccontextmanager
async def watch_client(request: Request) -> AsyncIterator[Cancellation]:
    """Give up, through what is yielded, as soon as the client of a request goes; its body must have been read."""
    cancellation = Cancellation()

    async def wait() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        cancellation.cancel()

    waiting = asyncio.ensure_future(wait())
    try:
        yield cancellation
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
