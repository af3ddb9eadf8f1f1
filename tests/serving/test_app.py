"""The whole application: what it tells to whom, what it waits for, what may be kept of it, and under which address."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import insert

from medloupe.accounts.people import People
from medloupe.accounts.person import Person
from medloupe.errors import StorageError, StoreError
from medloupe.serving.access import lookups
from medloupe.serving.access.proxies import parse_proxies, parse_public_url
from medloupe.serving.app import create_app
from medloupe.serving.engine import readiness
from medloupe.serving.engine.service import Service
from medloupe.serving.http import threads
from medloupe.store.models import Store
from medloupe.store.tables import PredictionRow, now
from postgres import Server

PASSWORD = "kettle orbit plaid"
ID = "ab" * 16
LOCAL = "http://127.0.0.1"
RUNNER = asyncio.Runner()  # one loop for all: what an application remembers belongs to it


@pytest.fixture(scope="module", autouse=True)
def _close_loop() -> Iterator[None]:
    yield
    RUNNER.close()


@pytest.fixture
def served(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Without check-ups; ada is an admin, bea a clinician with one kept answer."""
    monkeypatch.setenv("MEDLOUPE_STARTERS", "none")
    store = Store(home)
    people = People(store.engine)
    people.add("ada", PASSWORD, "admin")
    bea = people.add("bea", PASSWORD, "clinician")
    service = Service(store, memory=2**28, keep_images=True, workers=1)
    keep_answer(service, bea)
    yield service
    service.close()


def keep_answer(service: Service, person: Person) -> None:
    answer = {"model": "lungs", "version": 2, "prediction": "flu", "probabilities": {"flu": 0.9}, "refused": None}
    row = {"id": ID, "at": now(), "user_id": person.id, "model": "lungs", "version": 2, "answer": answer}
    row |= {"digest": "ab" * 32, "kept": "png", "state": "answered"}
    with service.engine.execution_options(writing=True).connect() as c, c.begin():
        c.execute(insert(PredictionRow).values(**row))
    service.journal.keep(ID, b"no picture", "png")


class Client:
    """Asks an application in this process; may hold a token."""

    def __init__(self, app: FastAPI, token: str = "", url: str = LOCAL, client: str = "127.0.0.1"):
        self.app, self.url, self.client = app, url, client
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(self.client, 5000), raise_app_exceptions=False)
        options["headers"] = {**self.headers, **options.get("headers", {})}
        async with httpx.AsyncClient(transport=transport, verify=False, base_url=self.url) as http:
            return await http.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return RUNNER.run(self.ask(path, **options))


def token_of(service: Service, name: str) -> str:
    people = People(service.engine)
    return people.logins.add_token(people.find(name), "test")


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every route there is, with something in place of its parameters."""
    found: list[tuple[str, str]] = []

    def walk(several: Any) -> None:
        for route in several:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                walk(inner.routes)
            elif getattr(route, "methods", None):
                path = re.sub(r"\{(?:version|number|id)[^}]*\}", "1", route.path)
                found.extend((m, re.sub(r"\{[^}]*\}", "x", path)) for m in sorted(route.methods - {"HEAD"}))

    walk(app.routes)
    return found


# ------------------------------------------------------------------ what is said to whom


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_who_is_not_logged_in_learns_no_place_host_or_name(
    served: Service, home: Path, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    """All routes, with the database, the store and the routes themselves failing in turn."""
    secret = [str(home), "medloupe.sqlite", "db.internal.example", "bea", "ada", "dbuser", "hunter2", "/etc/passwd"]

    def fail(*_: Any, **__: Any) -> Any:
        raise StorageError(
            f"The database postgresql://dbuser:hunter2@db.internal.example{home} has gone.", f"ada: {home}"
        )

    def refuse(*_: Any, **__: Any) -> Any:
        raise StoreError(f"The store {home} has no model.", "See /etc/passwd of ada on db.internal.example.")

    def crash(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{home} db.internal.example ada")

    texts: list[tuple[str, str, int, str]] = []
    for fault in (None, fail, refuse, crash):
        app = create_app(served)
        with monkeypatch.context() as patch:
            if fault is not None:
                for name in ("any", "authenticate", "all"):
                    patch.setattr(app.state.people, name, fault)
                patch.setattr(app.state.people.logins, "token", fault)
                patch.setattr(served.catalog, "get", fault)
            client = Client(app)

            async def sweep(client: Client = client, app: FastAPI = app) -> None:
                told: dict[str, Any] = {"headers": {"Accept": accept, "Cookie": "medloupe_login=" + "x" * 43}}
                for method, path in [*routes(app), ("GET", "/nowhere"), ("PATCH", "/"), ("GET", "/history/")]:
                    for more in ({}, {"params": {"before": "x" * 90, "limit": "x", "version": "x"}}, {"content": b"{"}):
                        answer = await client.ask(path, method, **told, **more)
                        texts.append((method, path, answer.status_code, answer.text + str(answer.headers)))

            RUNNER.run(sweep())
    assert {status for _, _, status, _ in texts} >= {401, 404, 405, 422, 503, 500} and len(texts) > 500
    leaks = [(m, p, s, w) for m, p, s, t in texts for w in secret if re.search(rf"(?<!\w){re.escape(w)}(?!\w)", t)]
    assert leaks == []


def test_an_admin_learns_what_failed_and_a_clinician_does_not(
    served: Service, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise StorageError(f"The database {home}/x cannot be used.", "Mend it.")

    said = {}
    for name in ("ada", "bea"):
        client = Client(create_app(served), token_of(served, name))
        with monkeypatch.context() as patch:
            patch.setattr(served.journal, "get", fail)
            said[name] = client.get(f"/api/v1/predictions/{ID}")
    assert [a.status_code for a in said.values()] == [503, 503] and said["bea"].headers["retry-after"]
    assert str(home) in said["ada"].text and str(home) not in said["bea"].text


def test_nothing_of_patients_may_be_kept_by_browsers_or_proxies(served: Service) -> None:
    bea = Client(create_app(served), token_of(served, "bea"))
    for path in (
        *("/history", "/history.csv", f"/results/{ID}", f"/predictions/{ID}", f"/results?ids={ID}"),
        *(f"/results.csv?ids={ID}", "/api/v1/predictions", f"/api/v1/predictions/{ID}"),
        *(f"/api/v1/predictions/{ID}/image", f"/predictions/{ID}/thumbnail", "/api/v1/predictions/x", "/nowhere"),
        *("/results/x", "/account", "/api/v1/predictions?limit=x", "/openapi.json"),
    ):
        answer = bea.get(path, headers={"Accept": "text/html"})
        assert answer.headers["cache-control"] == "no-store", path
    assert Client(create_app(served)).get("/history").headers["cache-control"] == "no-store"


# ------------------------------------------------------------------ the audit log


def test_looks_at_answers_and_pictures_are_logged(served: Service) -> None:
    bea = Client(create_app(served), token_of(served, "bea"))
    hidden = served.journal.keyed(ID)
    for path, action in (
        (f"/api/v1/predictions/{ID}", "answer.look"),
        (f"/predictions/{ID}", "answer.look"),
        (f"/api/v1/predictions/{ID}/image", "image.look"),
    ):
        assert bea.get(path, headers={"X-Request-ID": f"r{len(path)}"}).status_code == 200
        found = [e for e in served.log.entries(5) if e.action == action and e.request_id == f"r{len(path)}"]
        assert [(e.actor, e.object) for e in found] == [("bea", hidden)], path
    for path in ("/api/v1/predictions", "/history", f"/results?ids={ID}", f"/results.csv?ids={ID}"):
        assert bea.get(path).status_code == 200
        assert [e.object for e in served.log.entries(1, action="history.look")] == [hidden]
    assert bea.get("/history.csv").status_code == 200
    assert served.log.entries(1)[0].action == "history.download"
    assert RUNNER.run(bea.ask(f"/api/v1/predictions/{ID}", "DELETE")).status_code == 204
    assert (served.log.entries(1)[0].action, served.log.entries(1)[0].object) == ("prediction.delete", hidden)
    lines = json.dumps([[e.object, e.detail] for e in served.log.entries(100)])
    assert ID not in lines and "ab" * 32 not in lines and served.log.prove().broken == ""
    assert {e.action for e in served.log.entries(answer=ID)} >= {"answer.look", "image.look", "prediction.delete"}


def test_a_look_does_not_wait_long_for_its_line(served: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []

    async def slow(rows: Any) -> None:
        await asyncio.sleep(2)
        written.extend(rows)

    monkeypatch.setattr(served.journal, "log", slow)
    client = Client(create_app(served), token_of(served, "bea"))

    async def look() -> float:
        begun = time.monotonic()
        assert (await client.ask(f"/api/v1/predictions/{ID}")).status_code == 200
        took = time.monotonic() - begun
        await asyncio.sleep(2.2)
        return took

    assert RUNNER.run(look()) < 1.5 and len(written) == 1


# ------------------------------------------------------------------ ready


def test_readiness_names_what_fails(served: Service, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH", 0.0)
    monkeypatch.setattr(served.catalog, "all", lambda: [1])
    client = Client(create_app(served))
    assert client.get("/readyz").json() == {"status": "ready", "failing": {}, "broken": []}
    with monkeypatch.context() as patch:
        patch.setattr(readiness.shutil, "disk_usage", lambda _: SimpleNamespace(total=2**40, free=99 * 2**20))
        answer = client.get("/readyz")
        assert answer.status_code == 503 and list(answer.json()["failing"]) == ["disk"]
    with monkeypatch.context() as patch:
        patch.setattr(served.decoders, "preview", lambda *_: time.sleep(30))
        patch.setattr(readiness, "PATIENCE", 0.3)
        patch.setattr(served.decoders, "last_answer", -100.0)
        served.readiness._looks["decoders"] = readiness._Look(served.readiness._check_decoders)
        begun = time.monotonic()
        answers = [client.get("/readyz") for _ in range(3)]
        assert answers[-1].json()["failing"] == {"decoders": "does not answer"} and time.monotonic() - begun < 3
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/healthz").status_code == 200
    served.readiness._looks["decoders"] = readiness._Look(served.readiness._check_decoders)
    (home / "medloupe.sqlite").rename(home / "away")
    try:
        answer = client.get("/readyz")
        assert answer.status_code == 503 and answer.json()["failing"] == {"database": "cannot be used"}
        assert str(home) not in answer.text
    finally:
        (home / "away").rename(home / "medloupe.sqlite")
    assert client.get("/readyz").status_code == 200


def test_asking_for_readiness_often_costs_nothing(served: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    served.readiness._looks["disk"] = readiness._Look(lambda: looked.append(1) or "")
    client = Client(create_app(served))

    async def many() -> None:
        await asyncio.gather(*(client.ask("/readyz") for _ in range(50)))

    RUNNER.run(many())
    assert len(looked) == 1


# ------------------------------------------------------------------ waiting


def test_a_held_store_lock_is_a_503_and_keeps_nobody_else(
    served: Service, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.store.patience = 1.0
    monkeypatch.setattr(threads, "WAIT_SECONDS", 1.0)
    code = (
        "import sys, time; from pathlib import Path; from medloupe.utils.files import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1])): print(1, flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(home / "store.lock")], stdout=subprocess.PIPE, text=True)
    client = Client(create_app(served), token_of(served, "ada"))
    monkeypatch.setattr(served.store, "has", lambda name: True)
    try:
        assert holder.stdout is not None and holder.stdout.readline()

        async def both() -> tuple[list[httpx.Response], list[float], float]:
            begun = time.monotonic()
            blocked = [
                asyncio.create_task(client.ask("/api/v1/models/lungs/rollback", "POST", json={})) for _ in range(12)
            ]
            await asyncio.sleep(0.2)
            times = []
            for path in ("/healthz", "/api/v1/predictions", "/history", "/account", "/about"):
                at = time.monotonic()
                assert (await client.ask(path)).status_code == 200
                times.append(time.monotonic() - at)
            return await asyncio.gather(*blocked), times, time.monotonic() - begun

        answers, times, took = RUNNER.run(both())
    finally:
        holder.kill()
        holder.communicate()
    assert {a.status_code for a in answers} == {503} and all("retry-after" in a.headers for a in answers)
    assert {a.json()["error"]["code"] for a in answers} == {"busy"}
    assert max(times) < 2 and took < 8


def test_a_locked_database_is_a_503_and_reads_go_on(served: Service, home: Path, monkeypatch: Any) -> None:
    client = Client(create_app(served), token_of(served, "bea"))
    with closing(sqlite3.connect(home / "medloupe.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        assert client.get(f"/api/v1/predictions/{ID}").status_code == 200  # its line comes later
        assert time.monotonic() - begun < 3
        begun = time.monotonic()
        answer = RUNNER.run(client.ask(f"/api/v1/predictions/{ID}/feedback", "POST", json={"right": True}))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
        assert time.monotonic() - begun < 14 and answer.headers["retry-after"]


def test_a_stopped_postgresql(
    postgres_server: Server, postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs the database is told so within seconds; what does not goes on; health answers at once."""
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
    monkeypatch.setenv("MEDLOUPE_STARTERS", "none")
    monkeypatch.setattr(lookups, "REMEMBERED", 0.2)
    people = People(Store(home).engine)
    bea = people.add("bea", PASSWORD, "clinician")
    service = Service(Store(home), memory=2**28, workers=1)
    keep_answer(service, bea)
    client = Client(create_app(service), token_of(service, "bea"))

    async def drill() -> None:
        assert (await client.ask("/")).status_code == 200
        assert (await client.ask(f"/api/v1/predictions/{ID}")).status_code == 200
        with postgres_server.paused():
            await asyncio.sleep(0.5)
            health: list[float] = []
            asked = [asyncio.create_task(client.ask(f"/api/v1/predictions/{ID}")) for _ in range(6)]
            begun = time.monotonic()
            while not all(task.done() for task in asked) or time.monotonic() - begun < 2:
                at = time.monotonic()
                assert (await client.ask("/healthz")).status_code == 200
                health.append(time.monotonic() - at)
                at = time.monotonic()
                assert (await client.ask("/", headers={"Accept": "text/html"})).status_code == 200
                assert time.monotonic() - at < 3
                await asyncio.sleep(0.05)
            took = time.monotonic() - begun
            answers = [task.result() for task in asked]
            assert {a.status_code for a in answers} == {503} and took < 12
            assert statistics.median(health) < 0.25
            ready = await client.ask("/readyz")
            assert ready.status_code == 503 and "database" in ready.json()["failing"]
        until = time.monotonic() + 20
        while (await client.ask(f"/api/v1/predictions/{ID}")).status_code != 200:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)

    try:
        RUNNER.run(drill())
    finally:
        service.close()


# ------------------------------------------------------------------ under which address


@pytest.mark.parametrize(
    ("public", "trusted", "told", "url"),
    [
        ("https://clinic.example", "", {}, "https://clinic.example/history?x=1"),
        ("https://clinic.example/loupe", "", {}, "https://clinic.example/loupe/history?x=1"),
        ("", "loopback", {"X-Forwarded-Proto": "https"}, "https://127.0.0.1/history?x=1"),
        (
            "",
            "127.0.0.1, 10.0.0.0/8",
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "c.example:8443"},
            "https://c.example:8443/history?x=1",
        ),
        ("", "10.0.0.1", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil"}, "http://127.0.0.1/history?x=1"),
        ("", "", {"X-Forwarded-Proto": "https", "Forwarded": "proto=https;host=evil"}, "http://127.0.0.1/history?x=1"),
        ("", "loopback", {"X-Forwarded-Host": "evil/@x"}, "http://127.0.0.1/history?x=1"),
        ("https://clinic.example", "loopback", {"X-Forwarded-Host": "evil"}, "https://clinic.example/history?x=1"),
    ],
)
def test_redirects_name_the_public_address(
    served: Service, public: str, trusted: str, told: dict[str, str], url: str
) -> None:
    app = create_app(served, public=parse_public_url(public), proxies=parse_proxies(trusted))
    answer = Client(app, token_of(served, "bea")).get("/history/?x=1", headers=told)
    assert (answer.status_code, answer.headers["location"]) == (307, url)


def test_a_log_in_behind_a_proxy_works(served: Service) -> None:
    """Over TLS, by a proxy that passes the name on, or by one that is trusted and says it in a header."""
    for public, trusted, host, told in (
        ("https://clinic.example", "", "http://clinic.example", {}),
        ("", "loopback", LOCAL, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "clinic.example"}),
        ("https://clinic.example", "", LOCAL, {}),
    ):
        app = create_app(served, public=parse_public_url(public), proxies=parse_proxies(trusted))
        client = Client(app, url=host)
        page = client.get("/login", headers={**told, "Accept": "text/html"})
        cookie = page.headers["set-cookie"].partition(";")[0]
        csrf = cookie.partition("=")[2]
        form = {"csrf": csrf, "name": "bea", "password": PASSWORD, "next": "/history"}
        headers = {**told, "Origin": "https://clinic.example", "Cookie": cookie}
        answer = RUNNER.run(client.ask("/login", "POST", data=form, headers=headers))
        assert answer.status_code == 303 and "Secure" in answer.headers["set-cookie"], answer.text
        cookie = answer.headers["set-cookie"].partition(";")[0]
        assert client.get("/history", headers={**told, "Cookie": cookie, "Accept": "text/html"}).status_code == 200


def test_a_path_in_front_is_kept(served: Service) -> None:
    app = create_app(served, public=parse_public_url("https://clinic.example/loupe/"))
    for path in ("/history", "/loupe/history"):  # some proxies take it off
        answer = Client(app).get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/loupe/login?next=/history")
    page = Client(app).get("/login", headers={"Accept": "text/html"}).text
    assert 'action="/loupe/login"' in page and 'href="/about"' not in page
    assert Client(app).get("/loupe/api/v1/predictions", headers={"Accept": "text/html"}).json()["error"]


def test_accounts_that_vanish_do_not_open_the_server(served: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "REMEMBERED", 0.0)
    app = create_app(served)
    client = Client(app)
    assert client.get("/api/v1/predictions").status_code == 401
    monkeypatch.setattr(app.state.people, "any", lambda: False)
    time.sleep(0.01)
    answers = [client.get("/api/v1/predictions") for _ in range(2)]
    assert {a.status_code for a in answers} <= {401, 403} and answers[-1].status_code == 403
