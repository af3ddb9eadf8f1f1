"""Hold one connection of a client: bounded in time and size, and closed without losing a request."""

from __future__ import annotations

import asyncio
import json
import select
import sys
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from medloupe.serving.http.errors import HttpError

SILENCE = 1.0  # seconds after which nothing more is expected of a connection that was kept open
ASK = 30.0  # seconds for the head of a request, from connecting or from its first byte
MAX_HEAD = 64 * 2**10  # bytes of the head of a request
STALL = 60.0  # seconds in which a client must take something of its answer
CONNECTIONS = 2000
"""Most connections at a time; fewer where the system allows fewer open files."""
_OVERLONG = 431, "head_too_large", "The head of the request is too large.", "Send fewer or shorter headers."
_CROWDED = 503, "busy", "All connections are taken.", "Try again soon."


def most_connections() -> int:
    """Count how many connections may be open at a time: half of the files that may be, as the rest is the server's."""
    if sys.platform == "win32":
        return CONNECTIONS
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if allowed == resource.RLIM_INFINITY else min(CONNECTIONS, allowed // 2)


class Connection(HttpToolsProtocol):
    """uvicorn's connection, bounded, and closed without losing a request.

    The head of a request is bounded in time and size, which uvicorn with httptools leaves open. When there are too many
    connections, the one that was idle for the longest time goes; one that takes nothing of its answer goes, too.

    A server that leaves closes it after an answer or a silence, and never while a request may be on its way: a client
    that keeps its connection cannot know that the server is about to close it.
    """

    _head = 0  # bytes of the head that is being read
    _fields = 0  # of which in headers that are complete
    _reading = False  # whether one is
    _patience: asyncio.TimerHandle | None = None
    _since = 0.0  # when it became idle
    _untaken = 0  # bytes of an answer that wait for the client, when it was looked last

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, also for those that were waiting at the door when it was closed."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._be_patient()
        if len(self.connections) > most_connections() and not self._displace():
            self._refuse(*_CROWDED)
            return
        if (b"connection", b"close") in self.server_state.default_headers:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._be_patient(False)
        super().connection_lost(exc)

    def _displace(self) -> bool:
        """Close the connection that has been idle for the longest time; False where none is."""
        idle = [c for c in self.connections if isinstance(c, Connection) and c is not self and not c._at_work()]
        if not idle:
            return False
        longest = min(idle, key=lambda c: c._since)
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    def pause_writing(self) -> None:
        """Note that the client is slow in taking its answer."""
        super().pause_writing()
        self._watch_taking()

    def _watch_taking(self) -> None:
        self._untaken = self.transport.get_write_buffer_size()
        self.loop.call_later(STALL, self._give_up_on_reader)

    def _give_up_on_reader(self) -> None:
        """Close where nothing was taken since the last look: what waits for the client is memory of the server."""
        left = self.transport.get_write_buffer_size()
        if left and left >= self._untaken:
            self.transport.abort()
        elif left and (self.flow.write_paused or self.transport.is_closing()):
            self._watch_taking()

    def on_response_complete(self) -> None:
        """Note from when on the connection is idle."""
        self._since = self.loop.time()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, without waiting for a client that takes nothing."""
        self._close()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
            self._watch_taking()

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
            within = self._at_work() and self.cycle.more_body
            message = "The body of the request is no sound HTTP." if within else "This is no HTTP request."
            self._refuse(400, "bad_request", message, "Use a browser, curl or another HTTP client.")

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
        if self._at_work() and self.cycle.more_body and not self.cycle.response_started and not self.pipeline:
            self.cycle.disconnected = True  # its body is what cannot be read: nobody else is to answer it
            self.cycle.message_event.set()
        if not self._at_work() or self.cycle.disconnected:  # else it would be taken for that to an earlier request
            body = json.dumps(HttpError(status, code, message, hint).as_json()).encode()
            head = {"content-type": "application/json", "content-length": len(body), "connection": "close"}
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in head.items())]
            self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self._close()

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
            self._close()


def _readable(connected: Any) -> bool:
    """Tell whether bytes have arrived that nobody has read."""
    if not hasattr(select, "poll"):  # Windows
        return False
    waiting = select.poll()
    waiting.register(connected.fileno(), select.POLLIN)
    return any(event & select.POLLIN for _, event in waiting.poll(0))
