"""SIGTERM in full swing: what came in is answered, and then the door is shut."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

import drills
from live import Live, start
from trained import Trained


@pytest.fixture(scope="module")
def home(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shutdown") / "home"
    shutil.copytree(_trained.home, folder)
    return folder


@pytest.fixture
def server(home: Path) -> Live:
    return start(home)


@pytest.mark.parametrize(
    ("request_", "clients", "idle"),
    [
        (drills.ask_for(drills.picture()), 8, 0.0),
        (drills.ask_for(drills.picture()), 8, 0.1),
        (drills.get("/healthz"), 48, 0.01),  # so many and so light that some are on their way at any moment
    ],
)
def test_sigterm_loses_no_request(server: Live, request_: bytes, clients: int, idle: float) -> None:
    """Clients in a loop; with pauses between their requests some connections are idle when the server leaves."""
    process = server.process
    try:
        seen = asyncio.run(
            drills.leaving(
                server.port,
                request_,
                lambda: process.send_signal(signal.SIGTERM),
                lambda: process.poll() is not None,
                clients=clients,
                idle=idle,
            )
        )
    finally:
        process.kill()
    assert process.returncode == 0
    assert (seen.lost, seen.other) == (0, {})
    assert seen.answered >= 8
    assert seen.refused == clients, "each client was told in the end"
    assert seen.seconds < 10


def _read(connected: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of an answer after which the connection ends."""
    parts = b""
    while chunk := connected.recv(65536):
        parts += chunk
    head, _, body = parts.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    return head, body


def _closed(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.05).close()
    except ConnectionRefusedError:
        return True
    except TimeoutError:  # it lets nobody in any more while it takes those in who came before
        pass
    return False


def test_while_it_leaves_it_answers_and_says_so(server: Live) -> None:
    """An upload in the middle, a connection that has not asked yet, and an idle one: all are answered, and told that
    the connection ends."""
    request = drills.post(f"/api/v1/models/{drills.NAME}/predict", drills.picture())
    half, new, kept, ready = (socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(4))
    try:
        half.sendall(request[:-200])
        kept.sendall(drills.get("/healthz"))
        said = b""
        while not said.endswith(b'{"status":"ok"}'):
            said += kept.recv(65536)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        ready.sendall(drills.get("/readyz"))
        head, body = _read(ready)
        assert head.startswith(b"HTTP/1.1 503")
        assert json.loads(body)["status"] == "draining"
        while not _closed(server.port):
            time.sleep(0.02)
        for connected, rest in ((new, request), (kept, request), (half, request[-200:])):
            connected.sendall(rest)
        for connected in (new, kept, half):
            head, body = _read(connected)
            assert head.startswith(b"HTTP/1.1 200")
            assert json.loads(body)["model"] == drills.NAME
        assert server.process.wait(20) == 0
    finally:
        for connected in (half, new, kept, ready):
            connected.close()
        server.process.kill()
        server.process.wait()


def test_silent_connections_do_not_hold_it_up(server: Live) -> None:
    quiet = [socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(5)]
    try:
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert time.monotonic() - began < 8
        assert [connected.recv(1) for connected in quiet] == [b""] * 5
    finally:
        for connected in quiet:
            connected.close()
        server.process.kill()
