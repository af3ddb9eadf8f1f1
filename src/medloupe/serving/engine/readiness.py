"""Find out whether what answers need works: the database, the disk and the decoders.

Asking costs nothing: each is looked at in the background, at most every few seconds, by one thread each, and what does
not come to an end counts as not working. Nothing that is said names a place or a host.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from medloupe.errors import MedloupeError
from medloupe.store.database import transaction
from medloupe.store.identity import read_identity, read_mark

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.imaging.sandbox.pool import DecoderPool

FRESH = 2.0
"""Seconds for which what was found is believed."""
PATIENCE = 2.0
"""Seconds that a look may take."""
LEAST_FREE = 100 * 2**20
"""Bytes of the disk, or a twentieth of a small one, below which it counts as full: answers must be written down."""
DOT = (  # a GIF of one pixel
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""Which every decoder reads."""


class Readiness:
    """What is known of the parts that a server needs.

    Parameters
    ----------
    engine
        The database.
    home
        The store's folder.
    decoders
        Which decode pictures.
    """

    def __init__(self, engine: Engine, home: Path, decoders: DecoderPool):
        self._engine = engine
        self._home = home
        self._decoders = decoders
        self._identity = read_identity(home)
        self._looks = {
            "database": _Look(self._check_database),
            "disk": _Look(self._check_disk),
            # With much to do the look itself has to wait: then it is enough that others are answered.
            "decoders": _Look(self._check_decoders, lambda: self._decoders_answered(2 * decoders.seconds)),
        }

    async def failing(self) -> dict[str, str]:
        """Return what does not work, and in a few words why; at once, or after PATIENCE at most."""
        for look in self._looks.values():
            look.begin()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and any(look.pending for look in self._looks.values()):
            await asyncio.sleep(0.01)
        return {name: fault for name, look in self._looks.items() if (fault := look.fault())}

    def _check_database(self) -> str:
        try:
            with transaction(self._engine) as session:
                mark = read_mark(session.connection())
        except MedloupeError:
            return "cannot be used"
        return "" if self._identity is None or mark == self._identity.mark else "is another one"

    def _check_disk(self) -> str:
        try:
            with tempfile.TemporaryFile(dir=self._home) as f:
                f.write(b"\0" * 4096)
                f.flush()
                os.fsync(f.fileno())
            disk = shutil.disk_usage(self._home)
        except OSError:
            return "cannot be written"
        least = min(LEAST_FREE, disk.total // 20)
        return "" if disk.free >= least else f"has less than {max(1, least >> 20)} MiB left"

    def _check_decoders(self) -> str:
        if self._decoders_answered(FRESH):
            return ""
        try:
            self._decoders.preview(DOT, 16)
        except (MedloupeError, RuntimeError):
            return "do not answer"
        return ""

    def _decoders_answered(self, seconds: float) -> bool:
        return time.monotonic() - self._decoders.last_answer < seconds


class _Look:
    """A look at one part, again and again, never twice at a time."""

    def __init__(self, check: Callable[[], str], works: Callable[[], bool] = lambda: False):
        self._check = check
        self._works = works
        self._lock = threading.Lock()
        self._fault = ""
        self._begun = self._done = -FRESH
        self._busy = False

    @property
    def pending(self) -> bool:
        """Whether it is being looked at, and not for too long."""
        with self._lock:
            return self._busy and time.monotonic() - self._begun < PATIENCE

    def begin(self) -> None:
        """Look, unless what was found is fresh or somebody looks."""
        with self._lock:
            now = time.monotonic()
            if self._busy or now - self._done < FRESH:
                return
            self._busy, self._begun = True, now
        threading.Thread(target=self._look, name="readiness", daemon=True).start()

    def fault(self) -> str:
        """Return what is wrong; "" where nothing is."""
        with self._lock:
            overdue = self._busy and time.monotonic() - self._begun >= PATIENCE
            fault = self._fault
        return fault if not overdue or self._works() else "does not answer"

    def _look(self) -> None:
        found = "cannot be looked at"
        with contextlib.suppress(Exception):
            found = self._check()
        with self._lock:
            self._fault, self._busy, self._done = found, False, time.monotonic()
