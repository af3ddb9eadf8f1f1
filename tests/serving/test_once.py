"""Idempotency-Key: the same request again is answered as before and done once, whoever is killed or comes at once."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from live import Live, running, start
from medloupe.serving.engine.once import KEPT_DAYS, digest, is_key, remove_old_keys
from medloupe.store.database import transaction
from medloupe.store.models import Store
from medloupe.store.tables import FeedbackRow, IdempotencyRow, PredictionRow
from trained import Trained
from visiting import png


@pytest.fixture(scope="module")
def own(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("once") / "home"
    shutil.copytree(_trained.home, home)
    with running(home) as server:
        yield server


def ask(live: Live, key: str, *pictures: bytes, model: str = "spots", **query: Any) -> httpx.Response:
    files = [("image", (f"{i}.png", data)) for i, data in enumerate(pictures)]
    with live.client(headers={"Idempotency-Key": key}) as client:
        return client.post(f"/api/v1/models/{model}/predict", params=query, files=files)


def count(live: Live, table: Any = PredictionRow) -> int:
    with transaction(Store(live.home).engine) as session:
        return len(session.execute(select(table)).all())


def without(said: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in said.items() if k not in names}


def test_sent_again_it_is_answered_as_before_and_made_once(own: Live) -> None:
    before = count(own)
    first = ask(own, "a-1", png(1), heatmap=True)
    again = ask(own, "a-1", png(1), heatmap=True)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert count(own) == before + 1
    assert ask(own, "a-2", png(1), heatmap=True).json()["id"] != first.json()["id"]


def test_a_key_belongs_to_one_request(own: Live) -> None:
    assert ask(own, "b-1", png(2)).status_code == 200
    for response in (ask(own, "b-1", png(3)), ask(own, "b-1", png(2), heatmap=True), ask(own, "b-1", png(2), brief=1)):
        assert (response.status_code, response.json()["error"]["code"]) == (422, "key_reused")


def test_what_cannot_be_a_key(own: Live) -> None:
    for key in ("x" * 201, "two words"):
        response = ask(own, key, png(2))
        assert (response.status_code, response.json()["error"]["code"]) == (422, "bad_key")
    assert is_key("x" * 200)
    assert not is_key("")
    assert digest("a", "bc") != digest("ab", "c")


def test_briefly_and_several_at_once(own: Live) -> None:
    before = count(own)
    brief = ask(own, "c-1", png(4), brief=1).json()
    assert set(brief) >= {"s", "l", "p", "m"}
    assert ask(own, "c-1", png(4), brief=1).json() == brief
    several = ask(own, "c-2", png(5), png(6)).json()
    assert ask(own, "c-2", png(5), png(6)).json() == several
    assert count(own) == before + 3


def test_at_the_same_time(own: Live) -> None:
    before = count(own)
    with ThreadPoolExecutor(8) as pool:
        answers = [r.json() for r in pool.map(lambda _: ask(own, "d-1", png(7)), range(8))]
    assert all(a == answers[0] for a in answers)
    assert count(own) == before + 1


def test_two_servers_on_one_store(own: Live) -> None:
    other = start(own.home)
    try:
        before = count(own)
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(ask, server, "e-1", png(8)) for _ in range(3) for server in (own, other)]
            ids = {future.result().json()["id"] for future in asked}
        assert len(ids) == 1
        assert count(own) == before + 1
    finally:
        other.stop(signal.SIGKILL)


def test_a_killed_server_has_both_or_none(_trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(_trained.home, tmp_path / "home")
    live = start(tmp_path / "home")
    first = ask(live, "f-1", png(9)).json()
    live.stop(signal.SIGKILL)
    live = start(tmp_path / "home")
    try:
        assert ask(live, "f-1", png(9)).json() == first
        assert count(live) == count(live, IdempotencyRow) == 1
    finally:
        live.stop(signal.SIGKILL)


def test_names_of_files_are_not_kept(own: Live) -> None:
    with own.client(headers={"Idempotency-Key": "g-1"}) as client:
        said = client.post("/api/v1/models/spots/predict", files={"image": ("Okonkwo Ada.png", png(10))}).json()
    assert said["file"] == "Okonkwo Ada.png"
    with transaction(Store(own.home).engine) as session:
        kept = session.execute(select(IdempotencyRow.reply)).scalars().all()
    assert "Okonkwo" not in str(kept)


def test_what_was_deleted_is_not_given_again(own: Live) -> None:
    id = ask(own, "h-1", png(11)).json()["id"]
    keys = count(own, IdempotencyRow)
    with own.client() as client:
        assert client.delete(f"/api/v1/predictions/{id}").status_code == 204
    assert count(own, IdempotencyRow) == keys - 1
    assert ask(own, "h-1", png(11)).json()["id"] != id


def test_feedback_is_kept_once(own: Live) -> None:
    id = ask(own, "i-1", png(12)).json()["id"]
    with own.client(headers={"Idempotency-Key": "i-2"}) as client:
        replies = [client.post(f"/api/v1/predictions/{id}/feedback", json={"right": True}).json() for _ in range(3)]
        other = client.post(f"/api/v1/predictions/{id}/feedback", json={"right": False})
    assert replies[0] == replies[1] == replies[2]
    assert (other.status_code, other.json()["error"]["code"]) == (422, "key_reused")
    with transaction(Store(own.home).engine) as session:
        assert len(session.execute(select(FeedbackRow).where(FeedbackRow.prediction_id == id)).all()) == 1


def test_several_check_ups_take_no_key(own: Live) -> None:
    with own.client(headers={"Idempotency-Key": "j-1"}) as client:
        response = client.post("/api/v1/predict?models=spots", files={"image": ("a.png", png(13))})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "key_not_taken")


def test_keys_go_after_a_week(own: Live) -> None:
    ask(own, "k-1", png(14))
    engine = Store(own.home).engine
    keys = count(own, IdempotencyRow)
    with transaction(engine, write=True) as session:
        session.execute(update(IdempotencyRow).values(at="2020-01-01T00:00:00.000+00:00"))
    ask(own, "k-2", png(14))
    remove_old_keys(engine)
    assert (count(own, IdempotencyRow), KEPT_DAYS) == (1, 7)
    assert keys > 1
