"""Who may ask: log-ins, tokens, forms and other people's pages, by real requests to a small application."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from medloupe.accounts import passwords
from medloupe.accounts.people import People
from medloupe.errors import MedloupeError
from medloupe.serving.access import lookups
from medloupe.serving.access.attempts import Attempts
from medloupe.serving.access.auth import Guard, check_bind, check_csrf, log_in, log_out, redirect_path, require
from medloupe.serving.access.lookups import REMEMBERED, LookupCache
from medloupe.serving.access.proxies import TrustedProxies, parse_proxies
from medloupe.serving.http.errors import HttpError, as_http
from medloupe.store.database import open_engine

GOOD = "kettle orbit plaid"
HERE = "http://127.0.0.1:8000"


# ------------------------------------------------------------------ the application


async def page(request: Request) -> Response:
    return HTMLResponse(f'<input name="csrf" value="{request.state.csrf}">')


async def who(request: Request) -> Response:
    person = require(request, "viewer")
    return JSONResponse({"name": person.name, "role": person.role, "via": request.state.via})


async def change(request: Request) -> Response:
    return JSONResponse({"name": require(request, "admin").name})


async def form(request: Request) -> Response:
    person = require(request, "clinician")
    check_csrf(request, (await request.json()).get("csrf"))
    return JSONResponse({"name": person.name})


async def login(request: Request) -> Response:
    said = await request.json()
    check_csrf(request, said["csrf"])
    put = await log_in(request, said["name"], said["password"])
    response = RedirectResponse(redirect_path(said.get("next")), 303)
    put(response)
    return response


async def logout(request: Request) -> Response:
    check_csrf(request, (await request.json())["csrf"])
    response = RedirectResponse("/login", 303)
    await log_out(request, response)
    return response


async def healthz(request: Request) -> Response:
    return JSONResponse({"person": request.state.person})


async def said(request: Request, error: Exception) -> Response:
    told = error if isinstance(error, HttpError) else as_http(error)  # pyright: ignore[reportArgumentType]
    return JSONResponse(told.as_json() | {"handled": True}, told.status, told.headers)


class Site:
    """The application on a database of its own, and browsers to ask it with."""

    def __init__(self, folk: People, runner: asyncio.Runner, *, loopback: bool = True, hosts: tuple[str, ...] = ()):
        self.people = folk
        self.runner = runner
        memory = LookupCache()
        routes = [
            Route("/page", page),
            Route("/who", who),
            Route("/change", change, methods=["POST", "DELETE"]),
            Route("/form", form, methods=["POST"]),
            Route("/login", login, methods=["POST"]),
            Route("/logout", logout, methods=["POST"]),
            Route("/healthz", healthz),
        ]
        guard = Middleware(Guard, people=folk, loopback=loopback, hosts=hosts, memory=memory)
        proxies = Middleware(TrustedProxies, proxies=parse_proxies("10.9.9.9, 172.16.0.0/12"))
        self.app = Starlette(
            routes=routes, middleware=[proxies, guard], exception_handlers={HttpError: said, MedloupeError: said}
        )
        self.app.state.people = folk
        self.app.state.attempts = Attempts()
        self.app.state.guard_memory = memory

    def browser(self, url: str = HERE, address: str = "127.0.0.1", **headers: str) -> Browser:
        return Browser(self, url, address, headers)


class Browser:
    """Keeps cookies; says where a POST comes from, as browsers do, unless told otherwise."""

    def __init__(self, site: Site, url: str, address: str, headers: dict[str, str]):
        self.site = site
        self.url = url
        transport = httpx.ASGITransport(site.app, client=(address, 50_000))
        self.http = httpx.AsyncClient(transport=transport, base_url=url, headers=headers)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.site.runner.run(self.http.get(path, headers=named(headers)))

    def post(self, path: str, said: Any = None, origin: str | None = "", **headers: str) -> httpx.Response:
        return self.site.runner.run(self.send(path, said, origin, **headers))

    def send(self, path: str, said: Any = None, origin: str | None = "", **headers: str) -> Any:
        told = headers | ({"Origin": origin or self.url} if origin is not None else {})
        return self.http.post(path, content=json.dumps(said or {}), headers=named(told))

    def form_token(self) -> str:
        found = re.search('value="([^"]+)"', self.get("/page").text)
        assert found
        return found[1]

    def log_in(self, name: str = "ada", password: str = GOOD, **more: str) -> httpx.Response:
        return self.post("/login", {"csrf": self.form_token(), "name": name, "password": password, **more})


def named(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["handled"]  # by the application, in its own form


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def lite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    return open_engine(tmp_path)


@pytest.fixture
def empty(lite: Engine, runner: asyncio.Runner) -> Site:
    """Nobody has an account."""
    return Site(People(lite), runner)


@pytest.fixture
def site(empty: Site) -> Site:
    """ada is an admin, bob a clinician, vic a viewer."""
    for name, role in (("ada", "admin"), ("bob", "clinician"), ("vic", "viewer")):
        empty.people.add(name, GOOD, role)
    return empty


# ------------------------------------------------------------------ without accounts


def test_at_this_computer_it_just_works(empty: Site) -> None:
    browser = empty.browser()
    assert browser.get("/who").json() == {"name": "local", "role": "admin", "via": "local"}
    assert browser.post("/form", {"csrf": browser.form_token()}).json() == {"name": "local"}
    assert browser.post("/change", origin=None).json() == {"name": "local"}  # a program
    for name in ("localhost:8000", "[::1]:8000", "LOCALHOST"):
        assert browser.get("/who", host=name).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "192.168.1.4:8000", "x@127.0.0.1", "[", "[::1", "", "a b", "\xff"],
)
def test_a_name_that_others_point_here(empty: Site, host: str) -> None:
    answer = empty.browser().get("/page", host=host)
    refused(answer, 403, "unknown_host")
    assert "set-cookie" not in answer.headers


def test_names_the_operator_allows(lite: Engine, runner: asyncio.Runner) -> None:
    site = Site(People(lite), runner, hosts=("Clinic.local",))
    assert site.browser().get("/who", host="clinic.local:8000").status_code == 200
    refused(site.browser().get("/who", host="other.local"), 403, "unknown_host")


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP"]
)
def test_through_a_proxy_nobody_is_at_this_computer(empty: Site, header: str) -> None:
    refused(empty.browser().get("/who", **{header.replace("-", "_"): "127.0.0.1"}), 403, "accounts_needed")


def test_reachable_by_others_without_accounts(lite: Engine, runner: asyncio.Runner) -> None:
    refused(Site(People(lite), runner, loopback=False).browser().get("/who"), 403, "no_accounts")


def test_where_it_may_listen(lite: Engine) -> None:
    folk = People(lite)
    for host in ("127.0.0.1", "localhost", "::1"):
        check_bind(host, folk)
    for host in ("0.0.0.0", "::", "192.168.1.4", "", "clinic.local"):
        with pytest.raises(MedloupeError, match=r"no accounts yet; it was not started.*users add NAME --role admin"):
            check_bind(host, folk)
    folk.add("vic", GOOD, "viewer")  # who could let nobody in
    for host in ("0.0.0.0", "::", "192.168.1.4", "", "clinic.local"):
        with pytest.raises(MedloupeError, match=r"nobody who may log in is an admin; it was not started.*users role"):
            check_bind(host, folk)
    folk.add("ada", GOOD, "admin")
    check_bind("0.0.0.0", folk)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9000", "http://localhost:8000", "http://["]
)
def test_pages_of_others_change_nothing(empty: Site, origin: str) -> None:
    for made in (empty.browser, lambda: logged_in(empty)):  # without accounts and with them
        browser = made()
        refused(browser.post("/change", origin=origin), 403, "cross_site")
        assert browser.get("/who", origin=origin).status_code == 200


def logged_in(site: Site, name: str = "ada") -> Browser:
    if not site.people.any():
        site.people.add(name, GOOD, "admin")
        site.app.state.guard_memory.forget("any", "")
    browser = site.browser()
    assert browser.log_in(name).status_code == 303
    return browser


def test_what_browsers_say_of_the_page(empty: Site) -> None:
    for where in ("cross-site", "same-site"):
        refused(empty.browser().post("/change", origin=None, sec_fetch_site=where), 403, "cross_site")
    assert empty.browser().post("/change", sec_fetch_site="same-origin").status_code == 200


def test_forms_need_the_token_of_this_browser(empty: Site) -> None:
    browser, other = empty.browser(), empty.browser()
    token = browser.form_token()
    assert token == browser.form_token()  # of two tabs
    for wrong in ("", None, "x" * 32, other.form_token(), "é", token[:-1]):
        refused(browser.post("/form", {"csrf": wrong}), 403, "form_expired")
    refused(empty.browser().post("/form", {"csrf": token}), 403, "form_expired")
    assert browser.post("/form", {"csrf": token}).status_code == 200


@pytest.mark.parametrize("cookie", ["", "short", "é" * 20, "x" * 65, "a b" * 8, 'quo"te' * 4, "\\303\\251" * 8])
def test_form_cookies_that_were_not_made_here(empty: Site, cookie: str) -> None:
    answer = empty.browser().get("/page", cookie=f"medloupe_form={cookie}")
    assert answer.status_code == 200
    made = re.search('value="([^"]+)"', answer.text)
    assert made and re.fullmatch("[A-Za-z0-9_-]{32}", made[1])
    assert answer.headers["set-cookie"] == f"medloupe_form={made[1]}; Path=/; HttpOnly; SameSite=lax"


def test_answers_to_programs_set_no_cookie(empty: Site) -> None:
    assert "set-cookie" not in empty.browser().get("/who").headers


# ------------------------------------------------------------------ log-ins


def test_log_in_and_out(site: Site) -> None:
    browser = site.browser()
    refused(browser.get("/who"), 401, "login_needed")
    token = browser.form_token()
    answer = browser.log_in("ada", next="/history")
    assert (answer.status_code, answer.headers["location"]) == (303, "/history")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(
        r"medloupe_login=[\w-]{43}; HttpOnly; Max-Age=43200; Path=/; SameSite=lax", cookie, re.IGNORECASE
    ), cookie
    assert browser.get("/who").json() == {"name": "ada", "role": "admin", "via": "cookie"}
    assert browser.form_token() != token
    refused(browser.post("/form", {"csrf": token}), 403, "form_expired")
    assert browser.post("/form", {"csrf": browser.form_token()}).json() == {"name": "ada"}

    kept = browser.http.cookies["medloupe_login"]
    out = browser.post("/logout", {"csrf": browser.form_token()})
    assert 'medloupe_login=""' in out.headers["set-cookie"] and "Max-Age=0" in out.headers["set-cookie"]
    refused(browser.get("/who"), 401, "login_needed")
    refused(site.browser().get("/who", cookie=f"medloupe_login={kept}"), 401, "login_needed")  # at once
    assert [e.action for e in site.people.log.entries()] == ["login"]


def test_a_log_in_gets_a_secret_of_its_own(site: Site) -> None:
    browser = site.browser()
    browser.http.cookies.set("medloupe_login", "x" * 43, domain="127.0.0.1")
    browser.log_in()
    first = browser.http.cookies.get("medloupe_login", domain="127.0.0.1")
    other = logged_in(site).http.cookies["medloupe_login"]
    assert len({"x" * 43, first, other}) == 3


def test_over_tls_the_cookies_are_bound_to_this_site(site: Site) -> None:
    told = {"X-Forwarded-Proto": "https"}
    for url, address, headers in (("https://clinic", "9.9.9.9", {}), ("http://clinic", "10.9.9.9", told)):
        browser = site.browser(url, address, **headers)
        browser.url = "https://clinic"  # what it believes to ask
        first = browser.get("/page").headers["set-cookie"]
        assert first.startswith("__Host-medloupe_form=") and first.endswith("; Path=/; HttpOnly; SameSite=lax; Secure")
        token = first.partition("=")[2].partition(";")[0]
        form_cookie = f"__Host-medloupe_form={token}"
        said = {"csrf": token, "name": "ada", "password": GOOD}
        cookie = browser.post("/login", said, cookie=form_cookie).headers["set-cookie"]
        assert re.match(r"__Host-medloupe_login=[\w-]{43}; ", cookie)
        assert "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie
        secret = cookie.partition("=")[2].partition(";")[0]
        assert browser.get("/who", cookie=f"__Host-medloupe_login={secret}").status_code == 200
        # A neighbouring site can set this one, and must not log people in as somebody else.
        refused(
            site.browser(url, address, **headers).get("/who", cookie=f"medloupe_login={secret}"), 401, "login_needed"
        )


def test_a_proxy_that_does_not_say_it_speaks_tls(site: Site) -> None:
    browser = site.browser("http://clinic")
    said = {"csrf": browser.form_token(), "name": "ada", "password": GOOD}
    assert "Secure" in browser.post("/login", said, origin="https://clinic").headers["set-cookie"]


def test_cookies_of_other_programs_do_no_harm(site: Site) -> None:
    cookie = logged_in(site).http.cookies["medloupe_login"]
    for others in ('{"json": 1}; ', "a[]=1; ", 'q="open; ', "; ;", "é=ü; "):
        assert site.browser().get("/who", cookie=f"{others}medloupe_login={cookie}").status_code == 200


@pytest.mark.parametrize("secret", ["any", "", "x", "x" * 60_000, "nul\\000", "é", "mlp_" + "x" * 43, '"', "a,b"])
def test_secrets_that_nobody_has(site: Site, secret: str) -> None:
    refused(site.browser().get("/who", cookie=f"medloupe_login={secret}"), 401, "login_needed")
    refused(site.browser().get("/who", authorization=f"Bearer {secret}"), 401, "bad_token")


def test_wrong_passwords_tell_nothing(site: Site) -> None:
    site.people.set_disabled("vic", True)
    answers = [site.browser(address="8.8.8.8").log_in(*who) for who in (("ada", "x"), ("vic", GOOD), ("eve", GOOD))]
    for answer in answers:
        refused(answer, 401, "wrong_password")
        assert "set-cookie" not in answer.headers
    assert len({answer.text for answer in answers}) == 1
    assert [(e.actor, e.object) for e in reversed(site.people.log.entries())] == [
        ("nobody", "ada"),
        ("nobody", "vic"),
        ("nobody", ""),
    ]


@pytest.mark.parametrize("name", ["nul\0", "half \ud800", "x" * 10_000, "a\r\nSet-Cookie: b=c", "' OR 1=1 --", ""])
def test_names_that_try_something(site: Site, name: str) -> None:
    browser = site.browser()
    answer = browser.log_in(name, name)
    refused(answer, 401, "wrong_password")


def test_guessing_is_slowed_down(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    guesser = site.browser(address="8.8.8.8")
    codes = [guesser.log_in("ada", f"guess {i}").status_code for i in range(5)]
    assert codes == [401] * 5
    monkeypatch.setattr(site.people, "authenticate", None)  # no password is checked any more
    answer = guesser.log_in("ada", GOOD)
    refused(answer, 429, "too_many_attempts")
    assert 0 < int(answer.headers["retry-after"]) <= 3
    monkeypatch.undo()
    assert site.browser(address="9.9.9.9").log_in("ada").status_code == 303
    assert guesser.log_in("bob").status_code == 303


def test_behind_a_proxy_each_has_an_address(site: Site) -> None:
    def proxied(address: str) -> Browser:
        return site.browser("http://clinic", "172.18.0.3", **{"X-Forwarded-For": address})

    guesser = proxied("8.8.8.8")
    for i in range(20):
        guesser.log_in(f"name {i}", "guess")
    refused(guesser.log_in("bob"), 429, "too_many_attempts")
    assert proxied("9.9.9.9").log_in("bob").status_code == 303


def test_a_flood_of_log_ins_leaves_the_server_to_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While sixteen passwords wait for their turn and one is checked, everybody else is answered at once."""
    go_on = threading.Event()
    token = site.people.logins.add_token(site.people.find("bob"), "app")

    def slow(kept: str, password: str) -> bool:
        return go_on.wait(60) and False

    monkeypatch.setattr(passwords, "verify_password", slow)
    browsers = [site.browser(address=f"8.8.8.{i}") for i in range(60)]
    tokens = [b.form_token() for b in browsers]

    async def story() -> tuple[float, list[httpx.Response]]:
        flood = [
            asyncio.ensure_future(b.send("/login", {"csrf": t, "name": f"name {i}", "password": "guess"}))
            for i, (b, t) in enumerate(zip(browsers, tokens, strict=True))
        ]
        await asyncio.sleep(0.3)
        started = time.perf_counter()
        asked = await site.browser().http.get("/who", headers={"Authorization": f"Bearer {token}"})
        took = time.perf_counter() - started
        assert asked.status_code == 200
        assert len(await asyncio.gather(*(asyncio.to_thread(int) for _ in range(4)))) == 4  # threads are free
        go_on.set()
        return took, list(await asyncio.gather(*flood))

    took, answers = site.runner.run(story())
    assert took < 2
    codes = [a.json()["error"]["code"] for a in answers]
    assert (codes.count("wrong_password"), codes.count("many_logins")) == (16, 44)


# ------------------------------------------------------------------ requests with a cookie, and with a token


def test_a_cookie_alone_changes_nothing(site: Site) -> None:
    browser = logged_in(site)
    csrf = browser.form_token()
    refused(browser.post("/change", origin=None), 403, "csrf_needed")
    refused(browser.post("/change", origin=None, x_csrf_token="x" * 32), 403, "csrf_needed")
    assert browser.post("/change", origin=None, x_csrf_token=csrf).status_code == 200
    assert browser.post("/change", origin=None, sec_fetch_site="same-origin").status_code == 200
    assert browser.post("/change").status_code == 200
    refused(site.runner.run(browser.http.delete("/change")), 403, "csrf_needed")


def test_roles(site: Site) -> None:
    for name, allowed in (("vic", False), ("bob", False), ("ada", True)):
        token = site.people.logins.add_token(site.people.find(name), "app")
        answer = site.browser().post("/change", origin=None, authorization=f"Bearer {token}")
        if allowed:
            assert answer.json() == {"name": name}
        else:
            refused(answer, 403, "role_needed")
            assert name in answer.json()["error"]["message"]


def test_tokens(site: Site) -> None:
    token = site.people.logins.add_token(site.people.find("bob"), "app")
    program = site.browser("http://clinic", "203.0.113.9")
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = program.get("/who", authorization=f"{scheme} {token}")
        assert answer.json() == {"name": "bob", "role": "clinician", "via": "token"}
        assert "set-cookie" not in answer.headers
    assert program.post("/form", {}, authorization=f"Bearer {token}").json() == {"name": "bob"}
    answer = program.get("/who")
    refused(answer, 401, "login_needed")
    assert answer.headers["www-authenticate"] == "Bearer"
    answer = program.get("/who", authorization=f"Bearer {token[:-1]}x")
    refused(answer, 401, "bad_token")
    assert "invalid_token" in answer.headers["www-authenticate"]
    refused(program.get("/who", authorization=f"Bearer {GOOD}"), 401, "bad_token")


def test_a_bad_token_is_not_saved_by_a_cookie(site: Site) -> None:
    browser = logged_in(site)
    refused(browser.get("/who", authorization="Bearer mlp_" + "x" * 43), 401, "bad_token")


def test_a_password_for_the_proxy_is_not_ours(site: Site) -> None:
    browser = logged_in(site)
    assert browser.get("/who", authorization="Basic eDp5").json()["via"] == "cookie"
    refused(site.browser().get("/who", authorization="Basic eDp5"), 401, "login_needed")


def test_token_and_cookie_are_not_taken_for_each_other(site: Site) -> None:
    token = site.people.logins.add_token(site.people.find("ada"), "app")
    cookie = logged_in(site).http.cookies["medloupe_login"]
    for _ in range(2):  # the second time from memory
        assert site.browser().get("/who", authorization=f"Bearer {token}").status_code == 200
        refused(site.browser().get("/who", cookie=f"medloupe_login={token}"), 401, "login_needed")
        assert site.browser().get("/who", cookie=f"medloupe_login={cookie}").status_code == 200
        refused(site.browser().get("/who", authorization=f"Bearer {cookie}"), 401, "bad_token")


def test_who_is_shut_out_is_so_within_five_seconds(site: Site) -> None:
    assert REMEMBERED <= 5
    bob = site.people.find("bob")
    tokens = [site.people.logins.add_token(bob, "one"), site.people.logins.add_token(site.people.find("vic"), "two")]
    ada = logged_in(site, "ada")

    def answers() -> list[int]:
        by_token = [site.browser().get("/who", authorization=f"Bearer {token}") for token in tokens]
        return [answer.status_code for answer in (*by_token, ada.get("/who"))]

    assert answers() == [200] * 3
    site.people.logins.revoke(bob, site.people.logins.tokens(bob)[0].id)
    site.people.set_disabled("vic", True)
    site.people.set_password("ada", "velvet anchor moss")
    time.sleep(REMEMBERED)
    assert answers() == [401] * 3


def test_accounts_count_soon_after_the_first_was_made(empty: Site) -> None:
    assert empty.browser().get("/who").status_code == 200
    empty.people.add("ada", GOOD, "admin")
    time.sleep(REMEMBERED + lookups._GRACE)
    refused(empty.browser().get("/who"), 401, "login_needed")
    assert (
        empty.browser("http://clinic", "203.0.113.9").get("/page").status_code == 200
    )  # the log-in form, from anywhere


# ------------------------------------------------------------------ memory, trouble, small things


def test_what_was_looked_up_is_asked_once(runner: asyncio.Runner) -> None:
    memory, asked = LookupCache(), []

    def find(secret: str) -> str:
        asked.append(secret)
        time.sleep(0.05)
        return secret.upper()

    async def story() -> list[str]:
        return [*await asyncio.gather(*(memory.look("token", "a", find) for _ in range(20)))]

    assert runner.run(story()) == ["A"] * 20 and asked == ["a"]
    runner.run(memory.look("login", "a", find))
    memory.forget("token", "a")
    runner.run(memory.look("token", "a", find))
    assert len(asked) == 3


def test_the_age_counts_from_the_question(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a slow database said is as old as the question."""
    monkeypatch.setattr(lookups, "REMEMBERED", 0.2)
    memory, asked = LookupCache(), []

    def slow(_: str) -> int:
        asked.append(1)
        time.sleep(0.25)
        return len(asked)

    assert [runner.run(memory.look("token", "a", slow)) for _ in range(2)] == [1, 2]


def test_nobody_waits_for_what_all_are_asked(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there are accounts is asked by every request: the old answer counts while the database is asked again."""
    monkeypatch.setattr(lookups, "REMEMBERED", 0.1)
    memory, asked = LookupCache(), []

    def slow(_: str) -> int:
        asked.append(1)
        time.sleep(0.05 if len(asked) == 1 else 0.5)
        return len(asked)

    async def story() -> tuple[int, float, int]:
        await memory.look(lookups.EVERYBODY, "", slow)
        await asyncio.sleep(0.15)
        started = time.monotonic()
        old = await memory.look(lookups.EVERYBODY, "", slow)
        took = time.monotonic() - started
        await asyncio.sleep(0.7)
        return old, took, await memory.look("token", "", lambda _: len(asked))

    old, took, asked_by_then = runner.run(story())
    assert (old, asked_by_then) == (1, 2)
    assert took < 0.3


def test_the_memory_is_bounded_and_holds_no_secret(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "_MOST", 10)
    memory = LookupCache()
    for i in range(50):
        runner.run(memory.look("login", f"secret{i}" * 1000, lambda _: None))
    assert len(memory._known) == 10
    assert all(len(digest) == 32 for _, digest in memory._known)


def test_failures_are_not_remembered(runner: asyncio.Runner) -> None:
    memory, answers = LookupCache(), iter([MedloupeError("out of order"), "fine"])

    def find(_: str) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(MedloupeError, match="out of order"):
        runner.run(memory.look("any", "", find))
    assert runner.run(memory.look("any", "", find)) == "fine"


def test_slow_work_of_others_does_not_hold_up_the_guard(site: Site) -> None:
    go_on = threading.Event()

    async def story() -> int:
        busy = [asyncio.ensure_future(asyncio.to_thread(go_on.wait, 30)) for _ in range(64)]  # all threads and more
        try:
            return (await asyncio.wait_for(site.browser().http.get("/who"), 10)).status_code
        finally:
            go_on.set()
            await asyncio.gather(*busy)

    assert site.runner.run(story()) == 401


def test_a_database_out_of_order_is_no_500(site: Site, lite: Engine) -> None:
    with lite.begin() as connection:
        connection.execute(text("ALTER TABLE users RENAME TO gone"))
    answer = site.browser().get("/who")
    refused(answer, 503, "storage_unavailable")
    assert answer.headers["retry-after"]
    assert site.browser().get("/healthz").json() == {"person": None}


def test_health_is_asked_by_anybody(site: Site) -> None:
    assert site.browser("http://10.0.0.9", "10.0.0.1", Via="x").get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "path",
    [None, "", "history", "//evil.example", "/\\evil.example", "https://evil", "/\t/evil", "/a\r\nb", "/\x7f", "\\/e"],
)
def test_where_a_log_in_does_not_lead(path: str | None) -> None:
    assert redirect_path(path) == "/"


@pytest.mark.parametrize("path", ["/", "/history", "/checkups/é", "/a//b", "/x?next=//evil"])
def test_where_it_may_lead(path: str) -> None:
    assert redirect_path(path) == path


def test_without_handlers_the_answer_is_json_all_the_same(lite: Engine, runner: asyncio.Runner) -> None:
    guard = Guard(Starlette(), People(lite), loopback=False, hosts=(), memory=LookupCache())

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url=HERE) as client:
            return await client.get("/")

    assert runner.run(ask()).json()["error"]["code"] == "no_accounts"
