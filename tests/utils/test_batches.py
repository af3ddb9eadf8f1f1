"""Every item once, whatever thread has it; errors arrive; nothing keeps running."""

from __future__ import annotations

import threading
import time

import pytest

from medloupe.utils.batches import map_batches


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_THREADS", "3")


@pytest.mark.parametrize("n", [0, 1, 7, 100])
@pytest.mark.parametrize("size", [1, 4])
def test_every_item_once(n: int, size: int) -> None:
    batches = list(map_batches(range(n), size, lambda: list))
    assert sorted(i for b in batches for i in b) == list(range(n))
    assert all(0 < len(b) <= size for b in batches)
    assert len(batches) == -(-n // size)


def test_each_thread_has_work_of_its_own() -> None:
    started: list[int] = []

    def start():
        started.append(threading.get_ident())
        return lambda taken: (threading.get_ident(), time.sleep(0.01))[0]

    workers = set(map_batches(range(30), 1, start))
    assert len(started) == len(set(started)) == 3
    assert workers <= set(started)
    assert len(workers) > 1


def test_items_are_taken_as_they_are_needed() -> None:
    taken = []

    def endless():
        for i in range(1_000_000):
            taken.append(i)
            yield i

    for _, _ in zip(range(5), map_batches(endless(), 2, lambda: len), strict=False):
        pass
    assert len(taken) < 200


@pytest.mark.parametrize("where", ["start", "work", "items"])
def test_an_error_is_raised_where_the_results_are_read(where: str) -> None:
    def items():
        yield from range(50)
        if where == "items":
            raise ZeroDivisionError("items")

    def start():
        if where == "start":
            raise ZeroDivisionError("start")

        def work(taken: list[int]) -> int:
            if where == "work" and 20 in taken:
                raise ZeroDivisionError("work")
            return len(taken)

        return work

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError, match=where):
        list(map_batches(items(), 3, start))
    assert threading.active_count() == before


def test_leaving_early_ends_the_threads() -> None:
    before = threading.active_count()
    done: list[int] = []
    for batch in map_batches(range(10_000), 1, lambda: lambda taken: done.append(taken[0]) or taken):
        if batch[0] >= 5:
            break
    del batch
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
    count = len(done)
    time.sleep(0.05)
    assert len(done) == count < 1000


def test_an_exception_may_be_a_result() -> None:
    (found,) = map_batches([1], 1, lambda: lambda taken: ValueError("kept"))
    assert isinstance(found, ValueError)
