"""Connections: how long a client may take to say what it wants, and what it is told when it does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from uvicorn.server import ServerState

from medloupe.serving import server
from medloupe.serving.server import Connection

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE = 0.4
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _answer(request: Request) -> PlainTextResponse:
    await asyncio.sleep(float(request.query_params.get("seconds", 0)))
    return PlainTextResponse("done")


@asynccontextmanager
async def _client() -> AsyncIterator[Streams]:
    """Connected to a server that answers every GET."""
    config = uvicorn.Config(Starlette(routes=[Route("/", _answer)]), ws="none", timeout_keep_alive=2)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(config, state, {}, loop), "127.0.0.1")
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        listening.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.01)


async def _told(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    return int(head.split()[1]), await reader.readexactly(length)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ASK", PATIENCE)


async def _nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


async def _slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 30:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)


async def _empty_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _ in range(40):
        writer.write(b"\r\n")
        await asyncio.sleep(0.02)


async def _after_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GET)
    assert await _told(reader) == (200, b"done")
    writer.write(GET[:-10])


@pytest.mark.parametrize("way", [_nothing, _slowly, _empty_lines, _after_an_answer])
def test_who_never_comes_to_the_point_is_told_so(way: Callable[..., Coroutine[Any, Any, None]]) -> None:
    async def drill() -> None:
        async with _client() as (reader, writer):
            doing = asyncio.create_task(way(reader, writer))
            if way is _after_an_answer:
                await doing
            status, body = await asyncio.wait_for(_told(reader), 5)
            assert (status, json.loads(body)["error"]["code"]) == (408, "too_slow")
            with contextlib.suppress(ConnectionResetError):  # it may end with bytes of ours unread
                assert await reader.read() == b"", "and the connection ends"
            doing.cancel()

    asyncio.run(drill())


def test_who_asks_may_wait_for_the_answer_and_ask_again() -> None:
    """Patience is for heads alone: not for answers, not for pauses between two requests."""

    async def drill() -> None:
        async with _client() as (reader, writer):
            for _ in range(2):
                writer.write(GET.replace(b"/ ", b"/?seconds=0.8 ", 1))
                assert await _told(reader) == (200, b"done")
                await asyncio.sleep(2 * PATIENCE)

    asyncio.run(drill())


def test_an_answer_on_its_way_is_not_mixed_with_a_refusal() -> None:
    async def drill() -> None:
        async with _client() as (reader, writer):
            writer.write(GET.replace(b"/ ", b"/?seconds=0.2 ", 1) + b"NONSENSE\r\n\r\n")
            said = await reader.read()
            assert b"bad_request" not in said

    asyncio.run(drill())
