"""Note when API tokens were last used, beside the requests that use them: none waits for the note."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from sqlalchemy import update

from medloupe.errors import StorageError
from medloupe.store.database import transaction
from medloupe.store.tables import TokenRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine

_MINUTE = len("2027-01-31T12:34")
_MOST = 10_000  # tokens remembered


class TokenUses:
    """When tokens were used, written at most once a minute each by a thread that ends when there is nothing to write.

    A database that is locked, stopped or full costs the note, not the request.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._lock = threading.Lock()
        self._seen: OrderedDict[int, str] = OrderedDict()
        self._waiting: dict[int, str] = {}
        self._writing = False

    def note(self, id: int) -> None:
        """Note that a token is used now; returns at once."""
        at = now()
        with self._lock:
            if self._seen.get(id, "")[:_MINUTE] == at[:_MINUTE]:
                return
            self._seen[id] = self._waiting[id] = at
            self._seen.move_to_end(id)
            if len(self._seen) > _MOST:
                self._seen.popitem(last=False)
            if self._writing:
                return
            self._writing = True
        threading.Thread(target=self._write, name="token uses", daemon=True).start()

    def last(self, id: int) -> str | None:
        """Return when a token was used here last, written or not."""
        with self._lock:
            return self._seen.get(id)

    def _write(self) -> None:
        while True:
            with self._lock:
                uses, self._waiting = self._waiting, {}
                if not uses:
                    self._writing = False
                    return
            with contextlib.suppress(StorageError), transaction(self._engine, write=True) as session:
                for id, at in sorted(uses.items()):
                    session.execute(update(TokenRow).where(TokenRow.id == id).values(last_used=at))
