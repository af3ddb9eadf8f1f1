"""Tell how long it takes this server to answer with what was put into production, wherever that was done."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable

from medloupe.errors import MedloupeError
from medloupe.serving.engine.checkup import CheckUp
from medloupe.store.models import Store

log = logging.getLogger("medloupe.serving")


class TakeUps:
    """Notes each check-up that is taken up, with the time since it was put into production.

    The time is told by the clock of the server that did so; between machines it is as right as their clocks agree.

    Parameters
    ----------
    store
        Knows when.

    Attributes
    ----------
    observe : callable
        Called with seconds, for figures.
    """

    def __init__(self, store: Store):
        self._store = store
        self.observe: Callable[[float], object] = lambda _: None

    def note(self, checkup: CheckUp) -> None:
        """Note that a check-up answers from now on."""
        now = datetime.datetime.now(datetime.UTC)
        seconds = None
        try:
            change = self._store.last_change(checkup.name) if checkup.version is not None else None
        except MedloupeError:  # the database went away just now: the swap counts all the same
            change = None
        if change is not None and change.version == checkup.version:
            seconds = max(0.0, (now - datetime.datetime.fromisoformat(change.at)).total_seconds())
            self.observe(seconds)
        log.info(
            "version taken up",
            extra={
                "model": checkup.name,
                "version": checkup.version,
                "ms": None if seconds is None else round(1000 * seconds),
            },
        )
