"""Who is asking, and whether they may: for each request, before any route sees it.

Without accounts whoever sits at the computer may do all, but only from there: the server must be asked by a loopback
name (a page elsewhere could make its own name point here), and not through a proxy. With accounts everybody logs in,
by cookie or by token, wherever they are.

A browser sends cookies along with requests that other sites make it send. What changes anything must therefore come
from our own pages: by its Origin, and for forms by a token that only our pages know.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medloupe.errors import MedloupeError
from medloupe.people import LOCAL, LOGIN_HOURS, TOKEN_PREFIX, People, Person, Role
from medloupe.serving.errors import HttpError

LOGIN_COOKIE = "medloupe_login"
FORM_COOKIE = "medloupe_form"
REMEMBERED = 3.0
"""Seconds for which a cookie or token that was looked up is believed: a person who is shut out may go on so long."""

_SAFE = {"GET", "HEAD", "OPTIONS"}
_OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
_PROXY = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
_MOST = 4096  # entries of each memory here


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own, which others cannot reach."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_bind(host: str, people: People) -> None:
    """Raises MedloupeError where others could reach the server and nobody could log in."""
    if not is_loopback(host) and not people.has_admin():
        raise MedloupeError(
            f"On {host} others can reach the server, and there are no accounts yet; it was not started.",
            "Make one: medloupe users add NAME --role admin (or leave --host at 127.0.0.1).",
        )


def require(request: Request, role: Role) -> Person:
    """The person asking. Raises HttpError 401 when nobody is logged in, 403 when the role is too low."""
    person: Person | None = getattr(request.state, "person", None)
    if person is None:
        raise HttpError(
            401,
            "login_needed",
            "Log in first.",
            "In a browser at /login; a program sends `Authorization: Bearer TOKEN` (medloupe users token NAME).",
            {"WWW-Authenticate": "Bearer"},
        )
    if not person.may(role):
        raise HttpError(
            403, "role_needed", f"This needs the role {role}; {person.name} is a {person.role}.", "Ask an admin."
        )
    return person


def check_csrf(request: Request, value: str) -> None:
    """Raises HttpError 403 unless value is the token that our own forms carry. Not asked of tokens and programs."""
    if getattr(request.state, "via", "") == "token":
        return
    wanted = getattr(request.state, "csrf", "")
    if not wanted or not hmac.compare_digest(value.encode(), wanted.encode()):
        raise HttpError(
            403, "form_expired", "The form is too old or was not made by this server.", "Load the page again."
        )


def local_path(path: str | None) -> str:
    """Where to go after logging in: a path of this server, else "/"."""
    if not path or not path.startswith("/") or path[1:2] in ("/", "\\") or any(ord(c) < 32 for c in path):
        return "/"
    return path


async def log_in(request: Request, name: str, password: str) -> Callable[[Response], None]:
    """Check a password; returns what puts the new log-in's cookie on a response.

    Raises HttpError: 401 for a wrong name or password, 429 with Retry-After after too many of them.
    """
    people: People = request.app.state.people
    attempts: Attempts = request.app.state.attempts
    keys = (f"name:{name.strip().lower()[:64]}", f"address:{address(request.scope)}")
    attempts.check(keys)
    person = await asyncio.to_thread(people.authenticate, name, password)
    if person is None:
        attempts.failed(keys)
        await asyncio.to_thread(people.audit, name[:64], "login.failed", "", None, request.state.request_id)
        raise HttpError(401, "wrong_password", "The name or the password is wrong.", "Capital letters count.")
    attempts.succeeded(keys)
    cookie, _ = await asyncio.to_thread(people.open_login, person)
    await asyncio.to_thread(people.audit, person.name, "login", "", None, request.state.request_id)

    def put(response: Response) -> None:
        response.set_cookie(
            LOGIN_COOKIE,
            cookie,
            max_age=LOGIN_HOURS * 3600,
            httponly=True,
            samesite="lax",
            secure=_https(request.scope),
        )

    return put


async def log_out(request: Request, response: Response) -> None:
    """End the log-in of this browser."""
    cookie = request.cookies.get(LOGIN_COOKIE)
    if cookie:
        await asyncio.to_thread(request.app.state.people.close_login, cookie)
        _forget(request.app.state.guard_memory, cookie)
    response.delete_cookie(LOGIN_COOKIE, httponly=True, samesite="lax")


class Attempts:
    """Slows down who guesses passwords: from the fifth failure on, each doubles the wait, up to five minutes."""

    FREE = 5
    LONGEST = 300.0

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and when it may be tried again

    def check(self, keys: Sequence[str]) -> None:
        """Raises HttpError 429 while any of the keys has to wait."""
        wait = max((self._failures.get(k, (0, 0.0))[1] for k in keys), default=0.0) - self._clock()
        if wait > 0:
            seconds = str(int(wait) + 1)
            raise HttpError(
                429,
                "too_many_attempts",
                "Too many wrong passwords.",
                f"Wait {seconds} s and try again; an admin can set a new one: medloupe users passwd NAME",
                {"Retry-After": seconds},
            )

    def failed(self, keys: Sequence[str]) -> None:
        """A wrong password was given."""
        for key in keys:
            count = self._failures.get(key, (0, 0.0))[0] + 1
            # An address may be a whole clinic behind one router: it gets more tries than a name.
            over = count - (self.FREE if key.startswith("name:") else 4 * self.FREE)
            wait = min(2.0 ** min(over, 20), self.LONGEST) if over >= 0 else 0.0
            self._failures[key] = (count, self._clock() + wait)
            self._failures.move_to_end(key)
        while len(self._failures) > _MOST:
            self._failures.popitem(last=False)

    def succeeded(self, keys: Sequence[str]) -> None:
        """The right one was given."""
        for key in keys:
            self._failures.pop(key, None)


class Guard:
    """ASGI middleware: puts `person` (or None), `csrf` and `via` into the request's state, or refuses.

    loopback: whether only this machine can reach the server. hosts: names, besides those of this machine, under which
    it may be asked while there are no accounts. memory: of log-ins looked up lately, shared with log_out.
    """

    def __init__(self, app: ASGIApp, people: People, loopback: bool, hosts: Sequence[str], memory: Memory):
        self.app = app
        self._people = people
        self._loopback = loopback
        self._hosts = {host.lower() for host in hosts}
        self._memory = memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state.update(person=None, csrf="", via="")
        headers = Headers(scope=scope)
        try:
            if scope["path"] not in _OPEN:
                await self._recognise(scope, state, headers)
                _check_origin(scope, state, headers)
        except HttpError as e:
            await _refuse(send, e)
            return
        given = _cookies(headers).get(FORM_COOKIE, "")
        if state["via"] == "cookie" or not state["csrf"] or given == state["csrf"]:
            await self.app(scope, receive, send)
            return
        cookie = f"{FORM_COOKIE}={state['csrf']}; Path=/; HttpOnly; SameSite=strict"
        cookie += "; Secure" if _https(scope) else ""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = list(message.get("headers", ()))
                if any(k == b"content-type" and v.startswith(b"text/html") for k, v in told):
                    message = {**message, "headers": [*told, (b"set-cookie", cookie.encode("latin-1"))]}
            await send(message)

        await self.app(scope, receive, answer)

    async def _recognise(self, scope: Scope, state: dict[str, Any], headers: Headers) -> None:
        if not await self._memory.look("any", lambda _: self._people.any()):
            self._check_local(headers)
            state.update(person=LOCAL, csrf=_form_token(headers), via="local")
            return
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if secret:
            person = None
            if kind.lower() == "bearer" and secret.startswith(TOKEN_PREFIX):
                person = await self._memory.look(secret.strip(), self._people.token)
            if person is None:
                raise HttpError(
                    401, "bad_token", "The token is not valid.", "Make a new one: medloupe users token NAME"
                )
            state.update(person=person, via="token")
            return
        cookie = _cookies(headers).get(LOGIN_COOKIE, "")
        found = await self._memory.look(cookie, self._people.login) if cookie else None
        if found:
            state.update(person=found[0], csrf=found[1], via="cookie")
        else:
            state.update(csrf=_form_token(headers), via="form")  # for the log-in form

    def _check_local(self, headers: Headers) -> None:
        if not self._loopback:
            raise HttpError(
                403, "no_accounts", "There are no accounts any more.", "Make one: medloupe users add NAME --role admin"
            )
        if any(name in headers for name in _PROXY):
            raise HttpError(
                403,
                "accounts_needed",
                "Behind a proxy everybody could ask, and there are no accounts.",
                "Make one: medloupe users add NAME --role admin",
            )
        host = headers.get("host", "")
        name = (urlsplit(f"//{host}").hostname or "") if "@" not in host else ""
        if not is_loopback(name) and name not in self._hosts:
            raise HttpError(
                403,
                "unknown_host",
                f"This server is not known as {name[:100]!r}.",
                "Ask for 127.0.0.1 or localhost, or start it with --allow-host NAME.",
            )


class Memory:
    """What was looked up in the database lately, so that it is not asked at each request."""

    def __init__(self) -> None:
        self.known: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    async def look(self, key: str, find: Callable[[str], Any]) -> Any:
        """What `find` says of the key, at most REMEMBERED seconds old."""
        found = self.known.get(key)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        value = await asyncio.to_thread(find, key)
        self.known[key] = (time.monotonic() + REMEMBERED, value)
        self.known.move_to_end(key)
        while len(self.known) > _MOST:
            self.known.popitem(last=False)
        return value


def address(scope: Scope) -> str:
    """Where a request comes from; a proxy on this machine is believed what it says of that."""
    peer = (scope.get("client") or ("", 0))[0]
    if is_loopback(peer):
        passed = Headers(scope=scope).get("x-forwarded-for", "")
        return passed.rpartition(",")[2].strip()[:64] or peer
    return peer


def _check_origin(scope: Scope, state: dict[str, Any], headers: Headers) -> None:
    if scope["method"] in _SAFE or state["via"] == "token":
        return
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "")
    ours = origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    if not ours or site in ("cross-site", "same-site"):
        raise HttpError(
            403, "cross_site", "The request was made by a page of another site.", "Use this server's own page."
        )
    if state["via"] == "cookie" and origin is None and site == "":
        given = headers.get("x-csrf-token", "")
        if not hmac.compare_digest(given.encode(), state["csrf"].encode()):
            raise HttpError(
                403,
                "csrf_needed",
                "A request with a log-in cookie must say where it comes from (Origin or X-CSRF-Token).",
                "Programs use a token: medloupe users token NAME",
            )


def _form_token(headers: Headers) -> str:
    """The token of forms for a browser without a log-in: what its cookie says, else a new one."""
    given = _cookies(headers).get(FORM_COOKIE, "")
    return given if 16 <= len(given) <= 64 and given.replace("-", "").replace("_", "").isalnum() else _new_token()


def _new_token() -> str:
    return secrets.token_urlsafe(24)


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {key: morsel.value for key, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _https(scope: Scope) -> bool:
    if scope.get("scheme") == "https":
        return True
    peer = (scope.get("client") or ("", 0))[0]
    return is_loopback(peer) and Headers(scope=scope).get("x-forwarded-proto", "") == "https"


def _forget(memory: Memory, key: str) -> None:
    memory.known.pop(key, None)


async def _refuse(send: Send, error: HttpError) -> None:
    data = json.dumps(error.as_json()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    headers += [(k.lower().encode(), v.encode("latin-1")) for k, v in error.headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
