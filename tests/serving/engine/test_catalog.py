"""What is in production: taken up in one step, and what is wrong with one stops no other."""

from __future__ import annotations

from typing import Any

import pytest

from medloupe.errors import ModelFileError, UnknownError
from medloupe.serving.engine import catalog as module
from medloupe.serving.engine.catalog import Catalog
from medloupe.serving.engine.checkup import CheckUp
from medloupe.store.models import Store


def test_what_is_promoted_is_taken_up(store: Store, add: Any) -> None:
    add("lungs")
    add("lungs")
    catalog = Catalog(store)
    assert catalog.refresh()
    assert (catalog.get("lungs").version, catalog.get("lungs", 2).version) == (1, 2)
    assert not catalog.refresh(), "nothing changed"
    store.promote("lungs", 2, actor="t", force=True, reason="test")
    assert catalog.refresh()
    assert catalog.get("lungs").version == 2
    store.remove("lungs")
    assert catalog.refresh()
    with pytest.raises(UnknownError, match="no check-up 'lungs'"):
        catalog.get("lungs")


@pytest.mark.parametrize("card", [{"decision": [1]}, {"top_shown": "x", "data": 5}, {"per_label": [{"label": "x"}]}])
def test_an_odd_card_stops_no_other(store: Store, add: Any, card: dict[str, Any]) -> None:
    add("odd", **card)
    add("sound")
    catalog = Catalog(store)
    catalog.refresh()
    assert catalog.get("sound").version == 1
    assert set(catalog.broken) == {"odd"}
    assert {c.name for c in catalog.all()} == {"sound", "imagenet"}


def test_what_could_not_be_loaded_is_tried_again(store: Store, add: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ill = {"lungs"}

    def warm(checkup: CheckUp) -> None:
        if checkup.name in ill:
            raise ModelFileError("The network cannot be opened.")

    add("lungs")
    catalog = Catalog(store, warm)
    catalog.refresh()
    assert set(catalog.broken) == {"lungs"}
    ill.clear()
    assert not catalog.refresh(), "not at once: it may take long"
    monkeypatch.setattr(module, "_RETRY", 0.0)
    catalog._again = 0.0
    assert catalog.refresh()
    assert not catalog.broken
    assert catalog.get("lungs").version == 1


def test_the_version_before_goes_on_when_the_new_one_cannot_be_loaded(store: Store, add: Any) -> None:
    ill: set[int | None] = set()

    def warm(checkup: CheckUp) -> None:
        if checkup.version in ill and checkup.name == "lungs":
            raise ModelFileError("The network cannot be opened.")

    add("lungs")
    add("lungs")
    catalog = Catalog(store, warm)
    catalog.refresh()
    ill.add(2)
    store.promote("lungs", 2, actor="t", force=True, reason="test")
    catalog.refresh()
    assert catalog.get("lungs").version == 1
    assert set(catalog.broken) == {"lungs"}
    store.rollback("lungs", actor="t")
    catalog.refresh()
    assert not catalog.broken


def test_a_stored_model_of_a_shipped_name_gives_way_when_it_is_removed(store: Store, add: Any) -> None:
    add("imagenet")
    catalog = Catalog(store)
    catalog.refresh()
    assert catalog.get("imagenet").version == 1
    store.remove("imagenet")
    catalog.refresh()
    assert catalog.get("imagenet").version is None
    assert len(catalog.get("imagenet").labels) == 1000
