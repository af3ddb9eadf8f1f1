"""Load versions of models once and keep them, so that what is promoted only has to be exchanged.

A version is loaded when it is added, when it was in production before, or when somebody asks for it by its number. What
is kept counts as long as the store says that the version is still the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from medloupe.errors import BusyError, MedloupeError
from medloupe.model.bundle import Model
from medloupe.modelfile.schema import drop_unsound_entries
from medloupe.serving.engine.checkup import CheckUp
from medloupe.store.models import Store

KEPT = 16
"""Versions kept, those used last; what is in production is held by the catalog besides."""
PREPARED = 8
"""Of them at most so many before anybody asks, so that they do not drive out each other."""
AGAIN = 60.0
"""Seconds until a version that could not be prepared is tried again."""
log = logging.getLogger("medloupe.serving")
Key = tuple[str, int]


@dataclass(slots=True)
class _Slot:
    """A version: its check-up, what the store said of it then, and whether its network was opened."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    state: str = ""
    checkup: CheckUp | None = None
    warm: bool = False


class LoadedVersions:
    """Check-ups of versions by name and number; safe to use from several threads.

    Parameters
    ----------
    store
        Where versions come from.
    warm
        Opens the network of a check-up.
    choose
        Which of a version's check-ups by precision is to answer.
    prepare
        Makes what opening its network needs, and tells whether there is room for it beside those that are open.
    """

    def __init__(
        self,
        store: Store,
        warm: Callable[[CheckUp], None],
        choose: Callable[[Mapping[str, CheckUp]], CheckUp],
        prepare: Callable[[CheckUp], bool],
    ):
        self._store = store
        self._warm = warm
        self._choose = choose
        self._prepare = prepare
        self._slots: OrderedDict[Key, _Slot] = OrderedDict()
        self._failed: dict[Key, float] = {}  # when to try again
        self._lock = threading.Lock()

    def take(self, name: str, version: int) -> CheckUp:
        """Return a version with its network open; it is loaded where it is not kept, or not the same any more.

        Raises
        ------
        StoreError
            There is no such version, or it cannot be loaded.
        """
        slot = self._fill(name, version)
        with slot.lock:
            assert slot.checkup is not None
            if not slot.warm:
                self._warm(slot.checkup)
                slot.warm = True
            return slot.checkup

    def prepare(self) -> None:
        """Load what may be promoted next: the newest version of each name, and the one that a rollback puts back.

        What cannot be loaded is logged, and tried again after a minute.

        Raises
        ------
        StoreError
            The store cannot be read.
        """
        now = time.monotonic()
        for name, version in self._store.list_awaited()[:PREPARED]:
            key = (name, version)
            with self._lock:
                slot = self._slots.get(key)
                waits = self._failed.get(key, 0.0) > now
            if waits or (slot is not None and slot.checkup is not None):
                continue
            try:
                slot = self._fill(name, version)
                with slot.lock:
                    if not slot.warm and slot.checkup is not None and self._prepare(slot.checkup):
                        self._warm(slot.checkup)
                        slot.warm = True
            except Exception as e:  # whatever is wrong with one must not stop the others
                self._failed[key] = now + (AGAIN if not passes(e) else 0.0)
                if not isinstance(e, MedloupeError):
                    log.exception("unexpected", extra={"model": name, "version": version})
                log.warning("version not prepared", extra={"model": name, "version": version, "reason": str(e)})
                with self._lock:
                    if (found := self._slots.get(key)) is not None and found.checkup is None:
                        del self._slots[key]
            else:
                self._failed.pop(key, None)
                log.info("version prepared", extra={"model": name, "version": version})

    def _fill(self, name: str, version: int) -> _Slot:
        """Return the slot of a version, with a check-up that is as the store has it now."""
        key = (name, version)
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            if len(self._slots) > KEPT:
                self._slots.popitem(last=False)
        with slot.lock:
            try:
                state = self._store.version_state(name, version)
            except MedloupeError as e:
                if not passes(e):  # removed, say
                    self._drop(key, slot)
                raise
            if slot.checkup is None or slot.state != state:
                try:
                    slot.checkup, slot.state, slot.warm = self._load(name, version), state, False
                except MedloupeError:
                    self._drop(key, slot)
                    raise
        return slot

    def _drop(self, key: Key, slot: _Slot) -> None:
        with self._lock:
            if self._slots.get(key) is slot:
                del self._slots[key]

    def _load(self, name: str, version: int) -> CheckUp:
        """Load a version in the precision that is to answer here."""
        options = {"fp32": CheckUp.of(_mend_card(self._store.get(name, version, report=False)))}
        try:
            variants = self._store.variants(name, version)
        except MedloupeError as e:
            if passes(e):
                raise
            # The version itself is whole: it answers.
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


def passes(error: BaseException) -> bool:
    """Tell whether an error passes by itself: what is needed is busy, or the database was not there."""
    from sqlalchemy.exc import DBAPIError

    return isinstance(error, BusyError) or isinstance(error.__cause__, DBAPIError)


def _mend_card(model: Model) -> Model:
    """Leave out of a stored card what only describes and cannot be shown: it may be older than the checks of today."""
    card, dropped = drop_unsound_entries(model.card)
    if not dropped:
        return model
    log.error("card mended", extra={"model": model.name, "version": model.version, "reason": ", ".join(dropped)})
    return replace(model, card=card)
