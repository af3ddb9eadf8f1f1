"""Hold the check-ups in production by name, and exchange them in one step when a version changes."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace

from medloupe.errors import BusyError, MedloupeError, StorageError, UnknownError, did_you_mean
from medloupe.model.bundle import Model
from medloupe.modelfile.schema import drop_unsound_entries
from medloupe.serving.engine.checkup import CheckUp
from medloupe.starter import shipped
from medloupe.store.models import Store

_SHIPPED = (None, "")  # the mark of a model of the package
_RETRY = 30.0  # seconds until what could not be loaded is tried again
_SOON = 1.0  # the same where its storage was only busy
_KEPT = 60.0  # seconds for which a version is kept that is not in production
_OTHERS = 16  # versions kept that are not in production but were asked for
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
    ):
        self._store = store
        self._warm = warm
        self._choose = choose
        self._now: Mapping[str, CheckUp] = {}
        self._marks: dict[str, tuple[int, str]] = {}
        self._loaded: dict[str, tuple[int | None, str]] = {}  # the mark of each that is in `_now`
        self._busy = False
        self._again = 0.0  # when to try again what could not be loaded
        self._others: OrderedDict[tuple[str, int], tuple[float, CheckUp]] = OrderedDict()
        self._lock, self._others_lock = threading.Lock(), threading.Lock()
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
            return self._other(name, version)  # none of its versions is in production yet
        if found is None:
            raise UnknownError(
                f"There is no check-up {name!r}.",
                did_you_mean(name, self._now) or "GET /api/v1/models lists what there is.",
            )
        if version is not None and found.version is None:
            raise UnknownError(f"{name} comes with medloupe and has no version {version}.", "Leave the version out.")
        return found if version in (None, found.version) else self._other(name, version)

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
            self.swaps += sum(self._now.get(n) is not c for n, c in made.items())
            self._again = time.monotonic() + (_SOON if self._busy else _RETRY)
            self._marks, self._now, self.broken = marks, made, broken
            return True

    def _load_all(self, marks: Mapping[str, tuple[int | None, str]]) -> tuple[dict[str, CheckUp], dict[str, str]]:
        """Load what changed: the check-ups by name, and the errors of those that cannot be loaded."""
        made: dict[str, CheckUp] = {}
        broken: dict[str, str] = {}
        self._busy = False
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
                self._busy |= isinstance(e, BusyError)
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
        if version is None:
            checkup = CheckUp.of(shipped.load_shipped(name))
            shipped.load_shipped.cache_clear()  # what is needed of them is in the check-ups now
        else:
            checkup = self._load_chosen(name, version)
        self._warm(checkup)
        return checkup

    def _load_chosen(self, name: str, version: int) -> CheckUp:
        """Load a version in the precision that is to answer here."""
        options = {"fp32": CheckUp.of(_mend_card(self._store.get(name, version, report=False)))}
        try:
            variants = self._store.variants(name, version)
        except MedloupeError as e:  # the version itself is whole: it answers
            log.error("precision not loaded", extra={"model": name, "version": version, "reason": str(e)})
            variants = {}
        usual = options["fp32"]
        if not usual.whole:
            options |= {
                p: replace(CheckUp.of(_mend_card(m)), precision=p, base=usual.base) for p, m in variants.items()
            }
        kept = ("fp32", *(p for p in options if p != "fp32"))
        chosen = self._choose({p: replace(c, precisions=kept) for p, c in options.items()})
        if len(options) > 1:
            log.info("precision chosen", extra={"model": name, "version": version, "reason": chosen.precision})
        return chosen

    def _other(self, name: str, version: int) -> CheckUp:
        with self._others_lock:
            now = time.monotonic()
            until, found = self._others.get((name, version), (0.0, None))
            if found is None or until < now:  # it may have been removed meanwhile
                found = self.load(name, version)
                self._others[name, version] = now + _KEPT, found
            self._others.move_to_end((name, version))
            if len(self._others) > _OTHERS:
                self._others.popitem(last=False)
            return found


def _mend_card(model: Model) -> Model:
    """Leave out of a stored card what only describes and cannot be shown: it may be older than the checks of today."""
    card, dropped = drop_unsound_entries(model.card)
    if not dropped:
        return model
    log.error("card mended", extra={"model": model.name, "version": model.version, "reason": ", ".join(dropped)})
    return replace(model, card=card)
