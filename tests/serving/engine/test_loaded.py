"""What may be promoted next is loaded beforehand, and what is kept is what the store has."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from medloupe.errors import BusyError, ModelFileError, StorageError, UnknownError
from medloupe.model.bundle import Model
from medloupe.serving.engine.catalog import Catalog
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.loaded import LoadedVersions, passes
from medloupe.store.models import Store


class Opened:
    """Counts what is opened. room: whether there is any beside what is open."""

    def __init__(self, store: Store, *, room: bool = True):
        self.warmed: list[tuple[str, int | None]] = []
        self.prepared: list[tuple[str, int | None]] = []
        self.room = room
        self.catalog = Catalog(store, self.warm, prepare=self.prepare)
        self.versions: LoadedVersions = self.catalog._versions

    def warm(self, checkup: CheckUp) -> None:
        if checkup.version is not None:
            self.warmed.append((checkup.name, checkup.version))

    def prepare(self, checkup: CheckUp) -> bool:
        self.prepared.append((checkup.name, checkup.version))
        return self.room


def reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which versions were read from the store, from now on."""
    seen: list[tuple[str, int]] = []
    get = store.get

    def noted(name: str, version: Any = None, **options: Any) -> Model:
        seen.append((name, version))
        return get(name, version, **options)

    monkeypatch.setattr(store, "get", noted)
    return seen


def test_a_promotion_of_what_was_prepared_reads_and_opens_nothing(
    store: Store, add: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("lungs")
    opened = Opened(store)
    opened.catalog.refresh()
    add("lungs")
    opened.catalog.prepare()
    assert opened.warmed == [("lungs", 1), ("lungs", 2)]
    seen = reads(store, monkeypatch)
    store.promote("lungs", 2, actor="t", force=True, reason="test")
    assert opened.catalog.refresh() and opened.catalog.get("lungs").version == 2
    assert (seen, len(opened.warmed)) == ([], 2)
    store.rollback("lungs", actor="t")
    assert opened.catalog.refresh() and opened.catalog.get("lungs").version == 1
    assert (seen, len(opened.warmed)) == ([], 2)


def test_without_room_its_network_is_opened_when_it_is_promoted(store: Store, add: Any) -> None:
    add("lungs")
    add("lungs")
    opened = Opened(store, room=False)
    opened.catalog.refresh()
    opened.catalog.prepare()
    assert (opened.prepared, opened.warmed) == ([("lungs", 2)], [("lungs", 1)])
    store.promote("lungs", 2, actor="t", force=True, reason="test")
    opened.catalog.refresh()
    assert opened.warmed == [("lungs", 1), ("lungs", 2)]


def test_a_card_that_changed_since_is_read_again(store: Store, add: Any) -> None:
    add("lungs")
    add("lungs", title="As it was")
    opened = Opened(store)
    opened.catalog.refresh()
    opened.catalog.prepare()
    store.change_card("lungs", 2, lambda card: {**card, "title": "As it is"})
    store.promote("lungs", 2, actor="t", force=True, reason="test")
    opened.catalog.refresh()
    assert opened.catalog.get("lungs").title == "As it is"


def test_a_version_that_was_removed_is_not_answered_by(store: Store, add: Any) -> None:
    add("lungs")
    add("lungs")
    opened = Opened(store)
    opened.catalog.refresh()
    assert opened.catalog.get("lungs", 2).version == 2
    store.remove("lungs", 2)
    with pytest.raises(UnknownError, match="no version 2"):
        opened.catalog.get("lungs", 2)


def test_what_cannot_be_prepared_stops_no_other_and_is_left_for_a_while(store: Store, add: Any) -> None:
    for name in ("heart", "lungs"):
        add(name)
        add(name)
    opened = Opened(store)
    opened.catalog.refresh()
    tries: list[str] = []

    def prepare(checkup: CheckUp) -> bool:
        tries.append(checkup.name)
        if checkup.name == "heart":
            raise ModelFileError("The network cannot be optimised.")
        return True

    opened.versions._prepare = prepare
    opened.catalog.prepare()
    opened.catalog.prepare()
    assert sorted(tries) == ["heart", "lungs"]


def test_what_is_awaited(store: Store, add: Any) -> None:
    assert store.list_awaited() == []
    add("heart")
    for _ in range(3):
        add("lungs")
    assert store.list_awaited() == [("lungs", 3)]
    store.promote("lungs", 2, actor="t", force=True, reason="test")
    assert store.list_awaited() == [("lungs", 3), ("lungs", 1)]
    store.promote("lungs", 3, actor="t", force=True, reason="test")
    assert store.list_awaited() == [("lungs", 2)]
    store.remove("lungs", 2)
    assert store.list_awaited() == []


def test_what_the_database_refused_is_taken_up_soon(store: Store, add: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add("lungs")
    add("lungs")
    opened = Opened(store)
    opened.catalog.refresh()
    store.promote("lungs", 2, actor="t", force=True, reason="test")
    state = store.version_state

    def gone(name: str, version: int) -> str:
        raise StorageError("The database cannot be used.") from OperationalError("", None, Exception())

    monkeypatch.setattr(store, "version_state", gone)
    opened.catalog.refresh()
    assert opened.catalog.broken and opened.catalog.get("lungs").version == 1
    monkeypatch.setattr(store, "version_state", state)
    opened.catalog._again -= 1.0  # a second later
    assert opened.catalog.refresh() and opened.catalog.get("lungs").version == 2


def test_which_errors_pass() -> None:
    assert passes(BusyError("busy"))
    assert not passes(StorageError("damaged"))
    assert not passes(UnknownError("nothing"))
