"""Connections: how long a client may take to say what it wants, and what it is told when it does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
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

from medloupe.serving import connection
from medloupe.serving.connection import Connection

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE = 0.4
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _answer(request: Request) -> PlainTextResponse:
    await asyncio.sleep(float(request.query_params.get("seconds", 0)))
    if request.method == "POST":
        await request.body()
    return PlainTextResponse("done" * int(request.query_params.get("times", 1)))


@asynccontextmanager
async def _client() -> AsyncIterator[Streams]:
    """Connected to a server that answers every request."""
    async with _server() as (address, _):
        reader, writer = await asyncio.open_connection(*address)
        try:
            yield reader, writer
        finally:
            writer.close()


@asynccontextmanager
async def _server() -> AsyncIterator[tuple[tuple[str, int], ServerState]]:
    """Its address, and what it holds."""
    routes = [Route("/", _answer, methods=["GET", "POST"])]
    config = uvicorn.Config(Starlette(routes=routes), ws="none", timeout_keep_alive=2)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(config, state, {}, loop), "127.0.0.1")
    try:
        yield listening.sockets[0].getsockname(), state
    finally:
        listening.close()
        for open_one in list(state.connections):
            open_one.transport.abort()
        await asyncio.sleep(0.01)


async def _told(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    return int(head.split()[1]), await reader.readexactly(length)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ASK", PATIENCE)


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


def test_a_bad_chunk_is_answered() -> None:
    async def drill() -> None:
        for chunks in (b"zz\r\n", b"5\r\nhello\r\nnot hex\r\n", b"5\r\nhelloXX"):
            async with _client() as (reader, writer):
                writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                await asyncio.sleep(0.05)
                writer.write(chunks)
                status, body = await asyncio.wait_for(_told(reader), 5)
                error = json.loads(body)["error"]
                assert (status, error["code"]) == (400, "bad_request")
                assert "body" in error["message"]
                assert await reader.read() == b"", "and nothing else is answered"

    asyncio.run(drill())


def test_who_takes_nothing_of_an_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALL", 0.3)

    async def drill() -> None:
        async with _server() as (address, state):
            held = socket.create_connection(address)
            held.sendall(GET.replace(b"/ ", b"/?times=10000000 ", 1))
            await asyncio.sleep(0.2)
            assert len(state.connections) == 1
            for _ in range(100):
                await asyncio.sleep(0.05)
                if not state.connections:
                    break
            assert not state.connections
            held.close()

    asyncio.run(drill())


def test_who_is_slow_but_takes_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALL", 0.3)

    async def drill() -> None:
        async with _client() as (reader, writer):
            writer.write(GET.replace(b"/ ", b"/?times=2000000 ", 1))
            await reader.readuntil(b"\r\n\r\n")
            got = 0
            while got < 8_000_000:
                got += len(await reader.readexactly(400_000))
                await asyncio.sleep(0.05)

    asyncio.run(drill())


def test_an_idle_connection_goes_for_a_new_one_and_one_at_work_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "most_connections", lambda: 3)

    async def drill() -> None:
        opened: list[asyncio.StreamWriter] = []

        async def connect() -> Streams:
            reader, writer = await asyncio.open_connection(*address)
            opened.append(writer)
            return reader, writer

        async with _server() as (address, state):
            at_work = [await connect() for _ in range(2)]
            for _, writer in at_work:
                writer.write(GET.replace(b"/ ", b"/?seconds=0.6 ", 1))
            idle, _ = await connect()
            await asyncio.sleep(0.05)
            reader, writer = await connect()
            writer.write(GET)
            assert await _told(reader) == (200, b"done")
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(idle.read(), 2) == b"", "the idle one is gone"
            assert len(state.connections) == 3
            writer.write(GET.replace(b"/ ", b"/?seconds=0.4 ", 1))
            await asyncio.sleep(0.05)
            crowded, _ = await connect()
            assert (await _told(crowded))[0] == 503
            for open_one, _ in (*at_work, (reader, writer)):
                assert await _told(open_one) == (200, b"done")
        for one in opened:
            one.close()
        await asyncio.sleep(0.01)

    asyncio.run(drill())


def test_at_most_half_of_the_files_are_connections() -> None:
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < connection.most_connections() <= max(1, allowed // 2)
