"""The pages of accounts: log-in, one's own account, everybody's for an admin, and the audit log."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import RedirectResponse, Response

from medloupe.accounts.people import People
from medloupe.accounts.person import ROLES, Person
from medloupe.errors import MedloupeError
from medloupe.serving.access.auth import check_csrf, check_password, log_in, log_out, redirect_path, require
from medloupe.serving.context import add_to_audit_log
from medloupe.serving.http.errors import HttpError
from medloupe.serving.web.render import form, lang, one, page, to

router = APIRouter(include_in_schema=False)
_PAGE = 100  # lines on one page of the audit log


def _people(request: Request) -> People:
    return request.app.state.people


# ------------------------------------------------------------------ logging in


@router.get("/login")
async def login(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """The form."""
    if request.state.person is not None:
        return to(request, redirect_path(next))
    return page(request, "login.html", next=redirect_path(next), name="", problem="")


@router.post("/login")
async def log_in_now(request: Request) -> Response:
    """Log in, then on to where one wanted to go."""
    fields = await form(request)
    check_csrf(request, one(fields, "csrf"))
    name, after = one(fields, "name"), redirect_path(one(fields, "next"))
    try:
        put = await log_in(request, name, one(fields, "password"))
    except HttpError as e:
        if e.status not in (401, 429):
            raise
        language = lang(request)
        wait = int(e.headers.get("Retry-After", "0"))
        problem = language.t("login.wait", n=wait) if e.status == 429 else language.t("login.wrong")
        response = page(request, "login.html", e.status, next=after, name=name[:64], problem=problem)
        for header, value in e.headers.items():
            response.headers[header] = value
        return response
    response = to(request, after)
    put(response)
    return response


@router.post("/logout")
async def log_out_now(request: Request) -> Response:
    """Log out, here."""
    fields = await form(request)
    check_csrf(request, one(fields, "csrf"))
    response = RedirectResponse(request.scope.get("root_path", "") + "/login", 303)
    await log_out(request, response)
    return response


# ------------------------------------------------------------------ one's own account


@router.get("/account")
async def account(request: Request, done: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Password and API tokens."""
    _own(request)
    said = {"revoked": "account.revoked", "password": "account.password_done"}.get(done)
    return await _account(request, done=lang(request).t(said) if said else "")


@router.post("/account/password")
async def change_password(request: Request) -> Response:
    """A new password, which closes all other log-ins."""
    person = _own(request)
    fields = await form(request)
    check_csrf(request, one(fields, "csrf"))
    try:
        await check_password(request, person.name, one(fields, "old"))  # so that guessing here is slowed down as well
    except HttpError as e:
        key, n = ("login.wait", int(e.headers.get("Retry-After", "0"))) if e.status == 429 else ("", 0)
        problem = lang(request).t(key, n=n) if key else lang(request).t("account.password_wrong")
        return await _account(request, problem=problem, status=422)
    try:
        await asyncio.to_thread(_people(request).set_password, person.name, one(fields, "new"))
    except MedloupeError as e:
        return await _account(request, problem=str(e), status=422)
    await add_to_audit_log(request, person, "password.change", person.name)
    put = await log_in(request, person.name, one(fields, "new"))
    response = to(request, "/account?done=password")
    put(response)
    return response


@router.post("/account/tokens")
async def add_token(request: Request) -> Response:
    """A new token, on the page this once."""
    person = _own(request)
    fields = await form(request)
    check_csrf(request, one(fields, "csrf"))
    try:
        token = await asyncio.to_thread(_people(request).logins.add_token, person, one(fields, "name"))
    except MedloupeError as e:
        return await _account(request, problem=str(e), status=422)
    await add_to_audit_log(request, person, "token.add", one(fields, "name").strip())
    return await _account(request, token=token)


@router.post("/account/tokens/{id}/revoke")
async def revoke_token(request: Request, id: Annotated[int, InPath(ge=1, lt=2**31)]) -> Response:
    """Make a token worthless."""
    person = _own(request)
    fields = await form(request)
    check_csrf(request, one(fields, "csrf"))
    await asyncio.to_thread(_people(request).logins.revoke, person, id)
    await add_to_audit_log(request, person, "token.revoke", str(id))
    return to(request, "/account?done=revoked")


def _own(request: Request) -> Person:
    """The person with an account. Raises HttpError where there are none: the person at the computer has no password."""
    person = require(request, "viewer")
    if person.id is None:
        raise HttpError(404, "not_found", "There are no accounts.", "medloupe users add NAME --role admin")
    return person


async def _account(
    request: Request, *, done: str = "", problem: str = "", token: str = "", status: int = 200
) -> Response:
    language = lang(request)
    tokens = [
        {
            "id": t.id,
            "name": t.name,
            "used": language.t("account.used", created=language.date(t.created), used=language.date(t.last_used))
            if t.last_used
            else language.t("account.unused", created=language.date(t.created)),
        }
        for t in await asyncio.to_thread(_people(request).logins.tokens, _own(request))
    ]
    return page(request, "account.html", status, done=done, problem=problem, token=token, tokens=tokens)


# ------------------------------------------------------------------ everybody's


@router.get("/users")
async def users(request: Request, done: Annotated[str, Query(max_length=64)] = "") -> Response:
    """All accounts."""
    require(request, "admin")
    known = {account.name for account in await asyncio.to_thread(_people(request).all)}
    return await _users(request, done=lang(request).t("users.done", name=done) if done in known else "")


@router.post("/users")
async def change_users(request: Request) -> Response:
    """Add a person, or change one: `do` says what."""
    person = require(request, "admin")
    if person.id is None:
        raise HttpError(404, "not_found", "There are no accounts.", "medloupe users add NAME --role admin")
    fields = await form(request)
    check_csrf(request, one(fields, "csrf"))
    people, name, do = _people(request), one(fields, "name").strip(), one(fields, "do")
    role, password = one(fields, "role"), one(fields, "password")
    work: dict[str, Any] = {
        "add": lambda: people.add(name, password, role),
        "role": lambda: people.set_role(name, role),
        "disable": lambda: people.set_disabled(name, True),
        "enable": lambda: people.set_disabled(name, False),
        "password": lambda: people.set_password(name, password),
    }
    if do not in work:
        raise HttpError(422, "not_possible", f"There is no action {do[:20]!r}.", "Use the form on the page.")
    try:
        await asyncio.to_thread(work[do])
    except MedloupeError as e:
        return await _users(request, problem=str(e), status=422)
    detail = {"role": role} if do in ("add", "role") else None
    await asyncio.to_thread(people.log.add, person.name, f"user.{do}", name, detail, request.state.request_id)
    return RedirectResponse(str(request.url_for("users").include_query_params(done=name)), 303)


async def _users(request: Request, *, done: str = "", problem: str = "", status: int = 200) -> Response:
    accounts = await asyncio.to_thread(_people(request).all)
    return page(request, "users.html", status, users=accounts, roles=ROLES, done=done, problem=problem)


@router.get("/audit")
async def audit_log(request: Request, before: Annotated[int | None, Query(ge=1, lt=2**63)] = None) -> Response:
    """Who did what, the newest first."""
    require(request, "admin")
    found = await asyncio.to_thread(_people(request).log.entries, _PAGE, before)
    language = lang(request)
    rows = [
        {
            "at": language.date(r.at),
            "actor": r.actor,
            "action": r.action,
            "object": r.object,
            "detail": _shown(r.detail),
        }
        for r in found
    ]
    return page(request, "audit.html", rows=rows, older=str(found[-1].id) if len(found) == _PAGE else "")


def _shown(detail: Any) -> str:
    """What a line of the log says besides, without the figures of a comparison."""
    if not detail:
        return ""
    kept = {k: v for k, v in detail.items() if k != "comparison" and v not in ("", None, False)}
    return json.dumps(kept, ensure_ascii=False)[:300] if kept else ""
