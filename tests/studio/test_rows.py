"""A page that is open asks again and again: rows are read once for each state, and never told as they were before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

import marks
from medloupe.erasure.eraser import Eraser
from medloupe.serving.engine.service import Service
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store
from medloupe.studio.overview import find_all, look_at
from medloupe.studio.rows import MOST_KEPT, RowsReader
from medloupe.studio.state import Studio

CLASSES = (DatasetClass(name="dots", role="sought"), DatasetClass(name="clear", role="normal"))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    service = Service(Store(tmp_path / "home"), memory=64 * 2**20, workers=1)
    try:
        yield Studio(service, work=False)
    finally:
        service.close()


def item(number: int, kind: str = "dots") -> NewItem:
    return NewItem(key=f"{kind}{number}", data=marks.mark(kind, number), file=f"{kind}/{number}.png", label=kind)


def count_reads(studio: Studio, act: Callable[[], Any]) -> int:
    """How many statements read the rows of pictures while something is done."""
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM dataset_items" in statement:
            seen.append(statement)

    event.listen(studio.sets.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(studio.sets.engine, "before_cursor_execute", note)
    return len(seen)


def test_rows_are_read_once_for_each_state(studio: Studio) -> None:
    id = studio.sets.create("polled", classes=CLASSES).id
    studio.sets.add(id, [item(n) for n in range(3)], batch="one")

    def poll() -> None:
        find_all(look_at(studio, id))

    assert count_reads(studio, poll) == 1
    assert count_reads(studio, lambda: [poll() for _ in range(5)]) == 0
    studio.sets.add(id, [item(3)], batch="one")
    assert studio.sets.get(id).changes == 1, "what comes in one go is one change"
    assert count_reads(studio, poll) == 1


def test_nothing_is_told_as_it_was_before(studio: Studio, tmp_path: Path) -> None:
    elsewhere = Datasets(Store(tmp_path / "home").engine, tmp_path / "home")  # as another server has it
    id = studio.sets.create("polled", classes=CLASSES).id

    def check() -> None:
        seen, fresh = look_at(studio, id), look_at(Studio(studio.service, work=False), id)
        assert (seen.items, seen.left_out, seen.counts) == (fresh.items, fresh.left_out, fresh.counts)
        assert find_all(seen) == find_all(fresh)
        assert [i.id for i in seen.items] == [i.id for i in elsewhere.items(id)]

    for sets in (studio.sets, elsewhere):
        check()
        name = "ours" if sets is studio.sets else "theirs"
        first, *_ = sets.add(id, [item(n, "clear") for n in range(2)], batch=name)
        check()
        sets.add(id, [item(len(sets.items(id)))], batch=name)
        check()
        for act in (
            lambda sets=sets, first=first: sets.relabel(id, [first.id], "dots"),
            lambda sets=sets: sets.undo(id, sets.get(id).changes),
            lambda sets=sets, first=first: sets.leave_out(id, [first.id]),
            lambda sets=sets, first=first: sets.bring_back(id, [first.id]),
            lambda sets=sets: sets.set_classes(id, (*CLASSES, DatasetClass(name=f"more {sets.get(id).changes}"))),
            lambda sets=sets: sets.set_classes(id, CLASSES),
            lambda first=first: Eraser(studio.service.store).erase_items(id, [first.id], by="ada"),
        ):
            act()
            check()


def test_more_of_what_comes_in_one_go_is_audited_again(studio: Studio) -> None:
    id = studio.sets.create("arriving", classes=CLASSES).id
    studio.sets.add(id, [item(0)], batch="one")
    look_at(studio, id)
    before = studio.auditor.look(id, studio.sets.revision(id))
    before.revision, before.waiting = before.seen, None  # as after an audit of it
    assert not look_at(studio, id).auditing
    studio.sets.add(id, [item(1)], batch="one")
    seen = look_at(studio, id)
    assert seen.auditing and not seen.audited


def test_few_data_sets_are_held(studio: Studio) -> None:
    reader = RowsReader(studio.sets)
    made = [studio.sets.create(f"set-{n}", classes=CLASSES) for n in range(MOST_KEPT + 1)]
    held = [reader.read(data, "0.0") for data in made]
    assert reader.read(made[-1], "0.0") is held[-1]
    assert reader.read(made[0], "0.0") is not held[0]
    reader.forget(made[-1].id)
    assert reader.read(made[-1], "0.0") is not held[-1]
