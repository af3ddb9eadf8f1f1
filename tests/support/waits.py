"""A server whose database waits: SQLite locked by another process, PostgreSQL stopped. Counts what clients saw.

The suite runs it small; benchmarks/faults_serving.py runs it in full.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from drills import NAME, Line, Told, get, post, post_json

CLIENTS = 8


@dataclass
class Held:
    """What was seen while the database was held and for a moment before and after.

    told: what was acknowledged. health, answered: milliseconds. refused: 503 with Retry-After. wrong: anything else,
    silence included. back: seconds from the release to the first prediction answered.
    """

    told: Told = field(default_factory=Told)
    health: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    back: float = 0.0


def take_in(home: Path, onnx: Path) -> None:
    """Put a model file into production in a home of its own, in the database that MEDLOUPE_DATABASE names."""
    command = [sys.executable, "-m", "medloupe", "models", "add", str(onnx), "--name", NAME]
    subprocess.run(command, env={**os.environ, "MEDLOUPE_HOME": str(home)}, check=True, capture_output=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """An SQLite file that another connection has locked altogether, for the length of a block."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def hold(port: int, image: bytes, holding: AbstractContextManager[None], seconds: float, seen: Held) -> None:
    """Eight clients ask for predictions and comment on them; after a second the database is held for so long."""
    ask = post(f"/api/v1/models/{NAME}/predict", image)
    over, released = asyncio.Event(), 0.0

    async def client() -> None:
        async with Line(port) as line:
            while not over.is_set():
                reply = await line.ask(ask)
                if reply is None or reply.status not in (200, 503):
                    seen.wrong.append("no answer" if reply is None else f"{reply.status} {reply.body[:200]!r}")
                elif reply.status == 503:
                    seen.refused.append(reply.ms)
                    if not reply.headers.get("retry-after", "").isdigit():
                        seen.wrong.append(f"503 {reply.headers}")
                    await asyncio.sleep(0.05)
                else:
                    seen.answered.append(reply.ms)
                    if released and not seen.back:
                        seen.back = reply.ended - released
                    said = reply.json()
                    seen.told.answers[said["id"]] = said
                    reply = await line.ask(post_json(f"/api/v1/predictions/{said['id']}/feedback", {"right": True}))
                    if reply is not None and reply.status == 200:
                        seen.told.feedback[said["id"]] = True

    async def health() -> None:
        async with Line(port) as line:
            while not over.is_set():
                reply = await line.ask(get("/healthz"))
                if reply is None or reply.status != 200:
                    seen.wrong.append("health")
                else:
                    seen.health.append(reply.ms)
                await asyncio.sleep(0.02)

    asking = [asyncio.create_task(work()) for work in (*[client] * CLIENTS, health)]
    await asyncio.sleep(1)
    with holding:
        await asyncio.sleep(seconds)
    released = time.monotonic()
    while not seen.back and time.monotonic() < released + 60:
        await asyncio.sleep(0.05)
    over.set()
    await asyncio.gather(*asking)
