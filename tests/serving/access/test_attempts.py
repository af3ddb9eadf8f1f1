"""Guessing passwords, slowed down, without shutting out those who do not guess."""

from __future__ import annotations

import asyncio

import pytest

from medloupe.serving.access import attempts
from medloupe.serving.access.attempts import Attempts
from medloupe.serving.http.errors import HttpError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> Attempts:
    return Attempts(clock)


def wait(guard: Attempts, name: str = "ada", address: str = "8.8.8.8") -> int:
    """Seconds that the next try has to wait."""

    async def ask() -> None:
        async with guard.turn(name, address):
            pass

    try:
        asyncio.run(ask())
    except HttpError as e:
        assert (e.status, e.code) == (429, "too_many_attempts")
        assert e.headers["Retry-After"] in e.hint
        return int(e.headers["Retry-After"])
    return 0


def fail(guard: Attempts, times: int, name: str = "ada", address: str = "8.8.8.8") -> None:
    for _ in range(times):
        guard.record_failure(name, address)


def test_each_failure_doubles_the_wait(guard: Attempts, clock: Clock) -> None:
    fail(guard, 4)
    assert wait(guard) == 0
    waits = []
    for _ in range(12):
        fail(guard, 1)
        waits.append(wait(guard) - 1)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    clock.now += 299.9
    assert wait(guard) == 1
    clock.now += 0.1
    assert wait(guard) == 0


def test_capitals_and_spaces_make_no_new_name(guard: Attempts) -> None:
    for name in ("ada", "ADA", " Ada", "ada ", "aDa"):
        fail(guard, 1, name)
    assert wait(guard) > 0


def test_guessing_does_not_shut_out_the_owner(guard: Attempts, clock: Clock) -> None:
    for _ in range(40):  # one who tries again whenever that is possible
        clock.now += wait(guard)
        fail(guard, 1)
    assert wait(guard) > 200
    assert wait(guard, address="9.9.9.9") == 0
    for i in range(200):  # many who guess at the name
        fail(guard, 1, address=f"10.0.0.{i}")
    assert 0 < wait(guard, address="9.9.9.9") <= 31


def test_one_address_cannot_try_many_names(guard: Attempts) -> None:
    for i in range(19):
        fail(guard, 1, f"name {i}")
    assert wait(guard, "somebody") == 0
    fail(guard, 1, "name 19")
    assert wait(guard, "somebody") > 0 and wait(guard, "somebody", "9.9.9.9") == 0


def test_success_clears_the_name_there_alone(guard: Attempts) -> None:
    fail(guard, 4)
    guard.record_success("ada", "8.8.8.8")
    fail(guard, 4)
    assert wait(guard) == 0
    for _ in range(20):  # a person's own success does not free them to guess at others
        guard.record_success("eve", "6.6.6.6")
        fail(guard, 1, "ada", "6.6.6.6")
    guard.record_success("eve", "6.6.6.6")
    assert wait(guard, "bob", "6.6.6.6") > 0


def test_old_failures_are_forgotten(guard: Attempts, clock: Clock) -> None:
    fail(guard, 4)
    clock.now += 3601
    fail(guard, 4)
    assert wait(guard) == 0
    fail(guard, 1)
    assert wait(guard) > 0


def test_what_is_remembered_is_bounded(guard: Attempts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_MOST", 30)
    for i in range(100):
        guard.record_failure("x" * 5000 + str(i), f"10.0.0.{i}")
    assert len(guard._failures) <= 30
    assert max(len(part) for key in guard._failures for part in key) <= 64


def test_a_flood_leaves_few_lines_in_the_audit_log(guard: Attempts, clock: Clock) -> None:
    assert sum(guard.record_failure(f"n{i}", f"a{i}") for i in range(500)) == 30
    clock.now += 60
    assert guard.record_failure("ada", "8.8.8.8")


def test_one_at_a_time_and_few_who_wait(guard: Attempts) -> None:
    async def story() -> tuple[int, list[str]]:
        at_work = most = 0
        refused: list[str] = []

        async def one(i: int) -> None:
            nonlocal at_work, most
            try:
                async with guard.turn(f"name {i}", f"10.0.0.{i}"):
                    at_work += 1
                    most = max(most, at_work)
                    await asyncio.sleep(0.001)
                    at_work -= 1
            except HttpError as e:
                assert e.status == 429 and e.headers["Retry-After"] == "1"
                refused.append(e.code)

        for _ in range(2):  # the places are given back
            await asyncio.gather(*(one(i) for i in range(attempts.WAITING + 10)))
        return most, refused

    most, refused = asyncio.run(story())
    assert most == 1 and refused == ["many_logins"] * 20


def test_many_tries_at_once_count_like_one_after_the_other(guard: Attempts) -> None:
    async def story() -> int:
        tried = 0

        async def one() -> None:
            nonlocal tried
            try:
                async with guard.turn("ada", "8.8.8.8"):
                    tried += 1
                    await asyncio.sleep(0)
                    guard.record_failure("ada", "8.8.8.8")
            except HttpError:
                pass

        await asyncio.gather(*(one() for _ in range(attempts.WAITING)))
        return tried

    assert asyncio.run(story()) == 5
