"""Run the application until it is told to stop, and then finish what it accepted."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn

from medloupe.errors import MedloupeError
from medloupe.serving.connection import Connection
from medloupe.serving.http.intake import Admission
from medloupe.serving.shedding import Shedding

DRAIN = 0.3  # seconds between saying "not ready" and closing the door
ARRIVE = 0.05  # seconds for taking in who knocked before the door was closed
DOORS = 16
"""Times the listening socket is watched. The event loop lets one connection in at a time by each, between two looks at
those that are there; with one, new clients of a busy server wait for seconds before it could even refuse them."""
FINISH = 60  # seconds that requests at work may take after that
_SYN_ONLY = (  # a socket filter over the TCP header: what opens a connection is dropped, all else passes
    (0x30, 0, 0, 13),  # A = the byte of flags
    (0x54, 0, 0, 0x12),  # A &= SYN | ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),
)
_SO_ATTACH_FILTER = 26  # of Linux


class Server(uvicorn.Server):
    """uvicorn, with a moment between the signal and the closed door.

    From the signal on each answer says `Connection: close`, and /readyz says that the server leaves, so that load
    balancers and clients turn elsewhere by themselves. Who connected before the door was closed is still served.
    """

    def __init__(self, config: uvicorn.Config, admission: Admission):
        super().__init__(config)
        self._admission = admission
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first SIGTERM or SIGINT, end at once at a second SIGINT."""
        if self._admission.draining or self._loop is None:
            super().handle_exit(sig, frame)
            if sig == signal.SIGINT:
                self.force_exit = True
            return
        self._admission.draining = True
        self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        assert self._loop is not None
        self.config.encoded_headers = [*self.config.encoded_headers, (b"connection", b"close")]
        self.server_state.default_headers = self.config.encoded_headers
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False
        self._loop.call_later(DRAIN, self._leave)

    def _leave(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, then finish what came in."""
        for listening in sockets or ():
            _admit_no_more(listening)
        await asyncio.sleep(ARRIVE)
        await super().shutdown(sockets)


def _admit_no_more(listening: socket.socket) -> None:
    """Let nobody else connect, where the system can, while those who did can still be accepted.

    Closing the socket at once would cut those off whom the system has let in already and who may have sent their
    request.
    """
    if sys.platform != "linux":
        return
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _SYN_ONLY)
    held = ctypes.create_string_buffer(code, len(code))
    with suppress(OSError):
        listening.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_SYN_ONLY), ctypes.addressof(held))
        )


def listen(host: str, port: int) -> socket.socket:
    """Listen on host and port (0: any free one).

    Raises
    ------
    MedloupeError
        That is not possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except (OSError, OverflowError) as e:
        made.close()
        said = getattr(e, "strerror", None) or str(e)
        raise MedloupeError(f"Cannot listen on {host}:{port}: {said}.", "Choose another --port or --host.") from e
    made.listen(1024)
    return made


def serve(app: Any, listening: socket.socket) -> None:
    """Answer requests on a listening socket until SIGTERM or SIGINT.

    Parameters
    ----------
    app
        As `create_app` makes it.
    listening
        As `listen` opens it.
    """
    admission = app.state.admission
    config = uvicorn.Config(
        Shedding(app, admission, app.state.metrics),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # auth.py decides what a proxy may say
        http=Connection,
        loop="auto",
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=FINISH,
        ws="none",
    )
    server = Server(config, admission)
    assert threading.current_thread() is threading.main_thread()
    server.run([listening, *(listening.dup() for _ in range(DOORS - 1))])
