"""Running the application until it is told to stop, and then finishing what it accepted."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from types import FrameType
from typing import Any

import uvicorn

from medloupe.errors import MedloupeError
from medloupe.serving.intake import Admission

DRAIN = 0.3  # seconds between saying "not ready" and closing the door
FINISH = 60  # seconds that requests at work may take after that


class Server(uvicorn.Server):
    """uvicorn, with a moment between the signal and the closed door: load balancers look for /readyz meanwhile, and
    connections that are already made bring their requests in."""

    def __init__(self, config: uvicorn.Config, admission: Admission):
        super().__init__(config)
        self._admission = admission
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Until a signal."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first SIGTERM or SIGINT drains, a second SIGINT ends at once."""
        if self._admission.draining or self._loop is None:
            super().handle_exit(sig, frame)
            if sig == signal.SIGINT:
                self.force_exit = True
            return
        self._admission.draining = True
        self._loop.call_soon_threadsafe(self._loop.call_later, DRAIN, self._leave)

    def _leave(self) -> None:
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on host and port (0: any free one). Raises MedloupeError when that is not possible."""
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
    """Answer requests on a listening socket until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # auth.py decides what a proxy may say
        http="httptools",
        loop="auto",
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=FINISH,
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = Server(config, app.state.admission)
    assert threading.current_thread() is threading.main_thread()
    server.run([listening])
