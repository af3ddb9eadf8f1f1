"""Run the application until it is told to stop, and then finish what it accepted."""

from __future__ import annotations

import asyncio
import ctypes
import json
import select
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from medloupe.errors import MedloupeError
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.intake import Admission
from medloupe.serving.shedding import Shedding

DRAIN = 0.3  # seconds between saying "not ready" and closing the door
ARRIVE = 0.05  # seconds for taking in who knocked before the door was closed
DOORS = 16
"""Times the listening socket is watched. The event loop lets one connection in at a time by each, between two looks at
those that are there; with one, new clients of a busy server wait for seconds before it could even refuse them."""
SILENCE = 1.0  # seconds after which nothing more is expected of a connection that was kept open
ASK = 30.0  # seconds for the head of a request, from connecting or from its first byte
MAX_HEAD = 64 * 2**10  # bytes of the head of a request
_OVERLONG = 431, "head_too_large", "The head of the request is too large.", "Send fewer or shorter headers."
FINISH = 60  # seconds that requests at work may take after that
_SYN_ONLY = (  # a socket filter over the TCP header: what opens a connection is dropped, all else passes
    (0x30, 0, 0, 13),  # A = the byte of flags
    (0x54, 0, 0, 0x12),  # A &= SYN | ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),
)
_SO_ATTACH_FILTER = 26  # of Linux


class Connection(HttpToolsProtocol):
    """uvicorn's connection, bounded, and closed without losing a request.

    A server that leaves closes it after an answer or a silence, and never while a request may be on its way: a client
    that keeps its connection cannot know that the server is about to close it. The head of a request is bounded in
    time and size, which uvicorn with httptools leaves open.
    """

    _head = 0  # bytes of the head that is being read
    _fields = 0  # of which in headers that are complete
    _reading = False  # whether one is
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, also for those that were waiting at the door when it was closed."""
        super().connection_made(transport)
        self._be_patient()
        if (b"connection", b"close") in self.server_state.default_headers:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._be_patient(False)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, up to the end of an overlong head, which is answered by 431."""
        if self._reading:
            self._head += len(data)
        if self._head > MAX_HEAD:
            self._refuse(*_OVERLONG)
            return
        super().data_received(data)
        if self._patience is None and self.timeout_keep_alive_task is None and not self._at_work():
            self._be_patient()  # bytes between two requests

    def on_message_begin(self) -> None:
        """Note the first byte of a request."""
        super().on_message_begin()
        self._reading, self._head, self._fields = True, 0, 0
        self._be_patient()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Refuse overlong heads that came in one piece."""
        self._fields += len(name) + len(value) + 4
        if self._fields + len(self.url) > MAX_HEAD:
            self._head = MAX_HEAD + 1
            raise ValueError("the head of the request is too large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the request may be answered."""
        self._reading, self._head = False, 0
        self._be_patient(False)
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Tell what is no HTTP that it is none, as everything else is told."""
        if self._head > MAX_HEAD:
            self._refuse(*_OVERLONG)
        else:
            self._refuse(400, "bad_request", "This is no HTTP request.", "Use a browser, curl or another HTTP client.")

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: it is answered as any other request."""

    def _be_patient(self, wait: bool = True) -> None:
        """Wait ASK seconds for the rest of a head, from now; or no longer."""
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self.loop.call_later(ASK, self._give_up) if wait else None

    def _give_up(self) -> None:
        self._patience = None
        if not self._at_work():
            self._refuse(408, "too_slow", f"No request came within {ASK:.0f} s.", "Try again.")

    def _refuse(self, status: int, code: str, message: str, hint: str) -> None:
        """Answer outside the application, and close."""
        if self.transport.is_closing():
            return
        if not self._at_work():  # else the answer would be taken for that to an earlier request
            body = json.dumps(HttpError(status, code, message, hint).as_json()).encode()
            head = {"content-type": "application/json", "content-length": len(body), "connection": "close"}
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in head.items())]
            self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()

    def shutdown(self) -> None:
        """Close the connection when that loses nothing."""
        if self._at_work():
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(SILENCE, self._close_if_silent)

    def _at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close_if_silent(self) -> None:
        if self.transport.is_closing() or self._at_work():  # it is closed after its answer
            return
        if _readable(self.transport.get_extra_info("socket")):
            self.loop.call_later(0.01, self._close_if_silent)
        else:
            self.transport.close()


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


def _readable(connected: Any) -> bool:
    """Tell whether bytes have arrived that nobody has read."""
    if not hasattr(select, "poll"):  # Windows
        return False
    waiting = select.poll()
    waiting.register(connected.fileno(), select.POLLIN)
    return any(event & select.POLLIN for _, event in waiting.poll(0))


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
