"""Recognise who asks, and refuse what they may not, for each request before any route sees it.

Without accounts whoever sits at the computer may do all, but only from there: the server must be asked by a loopback
name (a page elsewhere could make its own name point here), and not through a proxy. With accounts everybody logs in,
by cookie or by token, wherever they are.

A browser sends cookies along with requests that other sites make it send. What changes anything must therefore come
from our own pages: by its Origin, and for forms by a token that only our pages know.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medloupe.accounts.logins import LOGIN_HOURS
from medloupe.accounts.people import People
from medloupe.accounts.person import LOCAL, Person, Role, article
from medloupe.errors import MedloupeError
from medloupe.serving.access.attempts import Attempts
from medloupe.serving.access.crosssite import check_origin, is_same
from medloupe.serving.access.lookups import EVERYBODY, LookupCache
from medloupe.serving.access.origin import (
    came_by_proxy,
    client_address,
    host_name,
    is_https,
    is_loopback,
)
from medloupe.serving.access.proxies import PublicAddress
from medloupe.serving.http.errors import HttpError, as_http
from medloupe.serving.http.threads import run_read, run_write

LOGIN_COOKIE = "medloupe_login"
FORM_COOKIE = "medloupe_form"
"""Over TLS both names begin with __Host-, so that neighbouring sites cannot set them."""

_OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
_FORM_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")
log = logging.getLogger("medloupe.serving")


def check_bind(host: str, people: People, *, behind_proxy: bool = False) -> None:
    """Refuse to listen where others could reach the server and nobody could log in.

    Parameters
    ----------
    host
        The address to listen on.
    people
        The accounts.
    behind_proxy
        Whether others reach this machine's own address, too: through a proxy.

    Raises
    ------
    MedloupeError
        Others could reach it, and there is no admin.
    """
    if (is_loopback(host) and not behind_proxy) or people.has_admin():
        return
    if people.any():
        lacking, hint = "nobody who may log in is an admin", "Make somebody one: medloupe users role NAME admin"
    else:
        lacking, hint = "there are no accounts yet", "Make one: medloupe users add NAME --role admin"
    if is_loopback(host):
        raise MedloupeError(
            f"Through a proxy others can reach the server, and {lacking}; it was not started.",
            f"{hint} (or unset MEDLOUPE_PUBLIC_URL and MEDLOUPE_TRUSTED_PROXIES).",
        )
    raise MedloupeError(
        f"On {host} others can reach the server, and {lacking}; it was not started.",
        f"{hint} (or leave --host at 127.0.0.1).",
    )


def require(request: Request, role: Role) -> Person:
    """Return the person who asks, who must have a role or a higher one.

    Raises
    ------
    HttpError
        401 when nobody is logged in, 403 when the role is too low.
    """
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
            403,
            "role_needed",
            f"This needs the role {role}; {person.name} is {article(person.role)} {person.role}.",
            "Ask an admin.",
        )
    return person


def check_csrf(request: Request, value: str | None) -> None:
    """Check that a form is our own, by the token that those carry.

    Not asked of who sends an API token: no other site can make a browser do that.

    Raises
    ------
    HttpError
        403 for another token, or none.
    """
    if getattr(request.state, "via", "") == "token":
        return
    wanted = getattr(request.state, "csrf", "")
    if not wanted or not is_same(value or "", wanted):
        raise HttpError(
            403, "form_expired", "The form is too old or was not made by this server.", "Load the page again."
        )


def redirect_path(path: str | None) -> str:
    """Return where to go after logging in: the path if it is one of this server, else "/"."""
    if not path or not path.startswith("/") or path[1:2] in ("/", "\\") or not path.isprintable():
        return "/"
    return path


async def log_in(request: Request, name: str, password: str) -> Callable[[Response], None]:
    """Check a password and open a log-in.

    Returns
    -------
    Callable
        Puts the new log-in's cookie on a response.

    Raises
    ------
    HttpError
        401 for a wrong name or password; 429 with Retry-After after too many of them or while many people log in.
    MedloupeError
        The database cannot be used.
    """
    people: People = request.app.state.people
    person = await check_password(request, name, password)
    cookie, _ = await run_write(people.logins.open, person)
    await run_write(people.log.add, person.name, "login", "", None, _request_id(request))

    def put(response: Response) -> None:
        _set_cookie(request.scope, response, cookie, LOGIN_HOURS * 3600)

    return put


async def check_password(request: Request, name: str, password: str) -> Person:
    """Return whose name and password these are, without logging in; raises as `log_in` does."""
    people: People = request.app.state.people
    attempts: Attempts = request.app.state.attempts
    where = client_address(request.scope)
    async with attempts.turn(name, where):
        person = await run_read(people.authenticate, name, password)
        if person is not None:
            attempts.record_success(name, where)
            await attempts.share_success(name, where)
            return person
        noted = attempts.record_failure(name, where)
        await attempts.share_failure(name, where)
    id = _request_id(request)
    log.warning("log-in failed", extra={"request_id": id, "address": where})
    if noted:
        await run_write(people.log.add_failed_login, name, id)
    raise HttpError(401, "wrong_password", "The name or the password is wrong.", "Capital letters count.")


async def log_out(request: Request, response: Response) -> None:
    """End the log-in of this browser."""
    cookie = request.cookies.get(_cookie_name(LOGIN_COOKIE, request.scope))
    if cookie:
        await run_write(request.app.state.people.logins.close, cookie)
        request.app.state.guard_memory.forget("login", cookie)
    _set_cookie(request.scope, response, "", 0)


class Guard:
    """ASGI middleware that puts `person` (or None), `csrf` and `via` into the request's state, or refuses.

    Parameters
    ----------
    app
        What is behind it.
    people
        The accounts.
    loopback
        Whether only this machine can reach the server.
    hosts
        Names, besides those of this machine, under which it may be asked while there are no accounts.
    memory
        Log-ins looked up lately, shared with `log_out`.
    public
        The server's public address, if it has one.
    """

    def __init__(
        self,
        app: ASGIApp,
        people: People,
        loopback: bool,
        hosts: Sequence[str],
        memory: LookupCache,
        public: PublicAddress | None = None,
    ):
        self.app = app
        self._public = public
        self._had_accounts = False
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
        state.update(person=None, csrf="", via="", https=is_https(scope))
        headers = Headers(scope=scope)
        try:
            if scope["path"] not in _OPEN:
                await self._recognise(scope, state, headers)
                check_origin(scope, state, headers, self._public)
        except (HttpError, MedloupeError) as e:
            state.update(person=None, csrf="", via="")
            await _refuse(scope, receive, send, e if isinstance(e, HttpError) else as_http(e))
            return
        name = _cookie_name(FORM_COOKIE, scope)
        if state["via"] == "cookie" or not state["csrf"] or _cookies(headers).get(name) == state["csrf"]:
            await self.app(scope, receive, send)
            return
        cookie = f"{name}={state['csrf']}; Path=/; HttpOnly; SameSite=lax{'; Secure' if is_https(scope) else ''}"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = list(message.get("headers", ()))
                if any(k == b"content-type" and v.startswith(b"text/html") for k, v in told):
                    message = {**message, "headers": [*told, (b"set-cookie", cookie.encode("latin-1"))]}
            await send(message)

        await self.app(scope, receive, answer)

    async def _recognise(self, scope: Scope, state: dict[str, Any], headers: Headers) -> None:
        cookies = _cookies(headers)
        form_token = cookies.get(_cookie_name(FORM_COOKIE, scope), "")
        if not _FORM_TOKEN.fullmatch(form_token):
            form_token = secrets.token_urlsafe(24)
        if not await self._memory.look(EVERYBODY, "", lambda _: self._people.any()):
            self._check_local(headers)
            state.update(person=LOCAL, csrf=form_token, via="local")
            return
        self._had_accounts = True
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":  # others are between the browser and a proxy
            person = await self._memory.look("token", secret.strip(), self._people.logins.token)
            if person is None:
                raise HttpError(
                    401,
                    "bad_token",
                    "The token is not valid.",
                    "Make a new one: medloupe users token NAME",
                    {"WWW-Authenticate": 'Bearer error="invalid_token"'},
                )
            state.update(person=person, via="token")
            return
        cookie = cookies.get(_cookie_name(LOGIN_COOKIE, scope), "")
        found = await self._memory.look("login", cookie, self._people.logins.person) if cookie else None
        if found:
            state.update(person=found[0], csrf=found[1], via="cookie")
        else:
            state.update(csrf=form_token, via="form")  # for the log-in form

    def _check_local(self, headers: Headers) -> None:
        if not self._loopback or self._had_accounts or self._public is not None:  # another database, or an emptied one
            raise HttpError(
                403, "no_accounts", "There are no accounts any more.", "Make one: medloupe users add NAME --role admin"
            )
        if came_by_proxy(headers):
            raise HttpError(
                403,
                "accounts_needed",
                "Behind a proxy everybody could ask, and there are no accounts.",
                "Make one: medloupe users add NAME --role admin",
            )
        name = host_name(headers.get("host", ""))
        if not is_loopback(name) and name not in self._hosts:
            raise HttpError(
                403,
                "unknown_host",
                "This server is not known by the name under which it was asked.",
                "Ask for 127.0.0.1 or localhost, or start it with --allow-host NAME.",
            )


def _cookies(headers: Headers) -> dict[str, str]:
    return cookie_parser(headers.get("cookie", ""))


def _cookie_name(name: str, scope: Scope) -> str:
    return f"__Host-{name}" if _speaks_tls(scope) else name


def _speaks_tls(scope: Scope) -> bool:
    """Tell what the guard found: links, made further in, may be of another scheme."""
    return (scope.get("state") or {}).get("https", is_https(scope))


def _set_cookie(scope: Scope, response: Response, value: str, seconds: int) -> None:
    # A proxy may not say that it speaks TLS; the browser does, in the Origin of the form.
    secure = _speaks_tls(scope) or Headers(scope=scope).get("origin", "").startswith("https://")
    response.set_cookie(
        _cookie_name(LOGIN_COOKIE, scope), value, max_age=seconds, httponly=True, samesite="lax", secure=secure
    )


def _request_id(request: Request) -> str:
    return getattr(request.state, "request_id", "")


async def _refuse(scope: Scope, receive: Receive, send: Send, error: HttpError) -> None:
    """Answer as the application says what goes wrong: a page to a browser, JSON to a program."""
    handler = getattr(scope.get("app"), "exception_handlers", {}).get(HttpError)
    if handler is None:
        response: Response = JSONResponse(error.for_outsiders().as_json(), error.status, error.headers)
    else:
        response = await handler(Request(scope, receive), error)
    await response(scope, receive, send)
