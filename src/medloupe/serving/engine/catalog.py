"""Hold the check-ups in production by name, and exchange them in one step when a version changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from medloupe.errors import MedloupeError, StorageError, UnknownError, did_you_mean
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.loaded import LoadedVersions
from medloupe.starter import shipped
from medloupe.store.models import Store

_SHIPPED = (None, "")  # the mark of a model of the package
_SOON = 1.0  # seconds until what could not be loaded is tried again; each time twice as long
_RETRY = 30.0  # at most
log = logging.getLogger("medloupe.serving")


class Catalog:
    """The check-ups in production; safe to use from several threads.

    A reader takes a whole state at once and keeps it for its request: answers of two versions cannot mix.

    Parameters
    ----------
    store
        Where versions come from.
    warm
        Called with each new check-up before it answers anybody, so that no request waits for its network to open.
    choose
        Which of a version's check-ups by precision is to answer (precisions.py); by default the one trained in.
    prepare
        As LoadedVersions has it; by default nothing is opened before it is needed.
    taken_up
        Called with each check-up that answers from now on in the place of another, or anew.

    Attributes
    ----------
    swaps : int
        Versions taken up since the start.
    """

    def __init__(
        self,
        store: Store,
        warm: Callable[[CheckUp], None] = lambda _: None,
        choose: Callable[[Mapping[str, CheckUp]], CheckUp] = lambda options: options["fp32"],
        prepare: Callable[[CheckUp], bool] = lambda _: False,
        taken_up: Callable[[CheckUp], None] = lambda _: None,
    ):
        self._store = store
        self._warm = warm
        self._taken_up = taken_up
        self._versions = LoadedVersions(store, warm, choose, prepare)
        self._now: Mapping[str, CheckUp] = {}
        self._marks: dict[str, tuple[int, str]] = {}
        self._loaded: dict[str, tuple[int | None, str]] = {}  # the mark of each that is in `_now`
        self._failures = 0  # in a row, of what is in production
        self._again = 0.0  # when to try again what could not be loaded
        self._lock = threading.Lock()
        self.broken: dict[str, str] = {}
        """Names whose version in production cannot be loaded, with the error; what answered before goes on."""
        self.swaps = 0

    def all(self) -> list[CheckUp]:
        """List those in production, by title; everyday objects last."""
        return sorted(self._now.values(), key=lambda c: (c.name == shipped.EVERYDAY, c.title.lower()))

    def get(self, name: str, version: int | None = None) -> CheckUp:
        """Return the version in production, or another one.

        Raises
        ------
        StoreError
            There is no such check-up or version, or it cannot be loaded.
        """
        found = self._now.get(name)
        if found is None and name in self.broken:
            raise StorageError(
                f"The check-up {name} cannot be loaded: {self.broken[name]}", "Its version in production is damaged."
            )
        if found is None and version is not None and self._store.has(name):
            return self._versions.take(name, version)  # none of its versions is in production yet
        if found is None:
            raise UnknownError(
                f"There is no check-up {name!r}.",
                did_you_mean(name, self._now) or "GET /api/v1/models lists what there is.",
            )
        if version is not None and found.version is None:
            raise UnknownError(f"{name} comes with medloupe and has no version {version}.", "Leave the version out.")
        return found if version in (None, found.version) else self._versions.take(name, version)

    def refresh(self) -> bool:
        """Take up what changed in the store.

        Returns
        -------
        bool
            Whether anything did.

        Raises
        ------
        StoreError
            The store cannot be read.
        """
        with self._lock:
            marks = self._store.production()
            again = bool(self.broken) and time.monotonic() >= self._again
            if marks == self._marks and self._now and not again:
                return False
            made, broken = self._load_all({**dict.fromkeys(shipped.list_offered(), _SHIPPED), **marks})
            swapped = [c for n, c in made.items() if self._now.get(n) is not c]
            first = not self._now
            self._failures = self._failures + 1 if broken else 0
            self._again = time.monotonic() + min(_SOON * 2.0 ** (self._failures - 1), _RETRY)
            self._marks, self._now, self.broken = marks, made, broken
            self.swaps += len(swapped)
            if not first:
                for checkup in swapped:
                    self._taken_up(checkup)
            return True

    def prepare(self) -> None:
        """Load what may be promoted next (LoadedVersions.prepare). Raises StoreError where the store is not readable.

        Nobody waits for it: what is promoted meanwhile is taken up.
        """
        self._versions.prepare()

    def _load_all(self, marks: Mapping[str, tuple[int | None, str]]) -> tuple[dict[str, CheckUp], dict[str, str]]:
        """Load what changed: the check-ups by name, and the errors of those that cannot be loaded."""
        made: dict[str, CheckUp] = {}
        broken: dict[str, str] = {}
        for name, mark in marks.items():
            if name in self._now and self._loaded.get(name) == mark:
                made[name] = self._now[name]
                continue
            try:
                made[name] = self.load(name, mark[0])
                self._loaded[name] = mark
            except Exception as e:  # whatever is wrong with one must not stop the others
                if not isinstance(e, MedloupeError):
                    log.exception("unexpected", extra={"model": name, "version": mark[0]})
                broken[name] = str(e)
                log.error("version not loaded", extra={"model": name, "version": mark[0], "reason": str(e)})
                if name in self._now:  # the one that answered so far goes on
                    made[name] = self._now[name]
        return made, broken

    def load(self, name: str, version: int | None) -> CheckUp:
        """Load a version from the store, or a model of the package (None), and open its network.

        Raises
        ------
        StoreError
            There is no such version, or it cannot be loaded.
        """
        if version is not None:
            return self._versions.take(name, version)
        checkup = CheckUp.of(shipped.load_shipped(name))
        shipped.load_shipped.cache_clear()  # what is needed of them is in the check-ups now
        self._warm(checkup)
        return checkup
