"""Serve the pages of accounts: log-in, one's own account, everybody's for an admin, and the audit log."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import RedirectResponse, Response

from medloupe.accounts.log import ACTIONS
from medloupe.accounts.people import People
from medloupe.accounts.person import ROLES, Person
from medloupe.errors import MedloupeError, StorageError
from medloupe.serving.access.auth import check_csrf, check_password, log_in, log_out, redirect_path, require
from medloupe.serving.context import add_to_audit_log
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.threads import run_read, run_write
from medloupe.serving.web.auditwords import describe_detail
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page

router = APIRouter(include_in_schema=False)
_DONE = {"revoked": "revoked", "password": "password_done", "password_kept": "password_kept"}
_PAGE = 100  # lines on one page of the audit log


def _people_of(request: Request) -> People:
    return request.app.state.people


# ------------------------------------------------------------------ logging in


@router.get("/login")
async def login(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """Show the form."""
    if request.state.person is not None:
        return redirect_to(request, redirect_path(next))
    return render_page(request, "login.html", next=redirect_path(next), name="", problem="")


@router.post("/login")
async def log_in_now(request: Request) -> Response:
    """Log in, then go on to where one wanted to go."""
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    name, after = first_value(fields, "name"), redirect_path(first_value(fields, "next"))
    try:
        put = await log_in(request, name, first_value(fields, "password"))
    except HttpError as e:
        if e.status not in (401, 429):
            raise
        language = language_of(request)
        wait = int(e.headers.get("Retry-After", "0"))
        problem = language.t("login.wait", n=wait) if e.status == 429 else language.t("login.wrong")
        response = render_page(request, "login.html", e.status, next=after, name=name[:64], problem=problem)
        for header, value in e.headers.items():
            response.headers[header] = value
        return response
    response = redirect_to(request, after)
    put(response)
    return response


@router.post("/logout")
async def log_out_now(request: Request) -> Response:
    """Log out, here."""
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    response = RedirectResponse(request.scope.get("root_path", "") + "/login", 303)
    await log_out(request, response)
    return response


# ------------------------------------------------------------------ one's own account


@router.get("/account")
async def account(request: Request, done: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Show password and API tokens."""
    _require_account(request)
    said = f"account.{_DONE[done]}" if done in _DONE else ""
    return await _render_account(request, done=language_of(request).t(said) if said else "")


@router.post("/account/password")
async def change_password(request: Request) -> Response:
    """Set a new password, which closes all other log-ins."""
    person, fields = await _read_own_form(request)
    try:
        await check_password(
            request, person.name, first_value(fields, "old")
        )  # so that guessing here is slowed down as well
    except HttpError as e:
        key, n = ("login.wait", int(e.headers.get("Retry-After", "0"))) if e.status == 429 else ("", 0)
        problem = language_of(request).t(key, n=n) if key else language_of(request).t("account.password_wrong")
        return await _render_account(request, problem=problem, status=422)
    try:
        keep = first_value(fields, "keep_tokens") == "1"
        people = _people_of(request)
        await run_write(people.set_password, person.name, first_value(fields, "new"), keep_tokens=keep)
        request.app.state.guard_memory.forget_all()
    except StorageError:  # nobody's mistake
        raise
    except MedloupeError as e:
        return await _render_account(request, problem=str(e), status=422)
    detail = {"tokens": "kept" if keep else "revoked"}
    await add_to_audit_log(request, person, "password.change", person.name, detail)
    put = await log_in(request, person.name, first_value(fields, "new"))
    response = redirect_to(request, "/account?done=" + ("password_kept" if keep else "password"))
    put(response)
    return response


@router.post("/account/tokens")
async def add_token(request: Request) -> Response:
    """Make a new token, on the page this once."""
    person, fields = await _read_own_form(request)
    try:
        token = await run_write(_people_of(request).logins.add_token, person, first_value(fields, "name"))
    except StorageError:  # nobody's mistake
        raise
    except MedloupeError as e:
        return await _render_account(request, problem=str(e), status=422)
    await add_to_audit_log(request, person, "token.add", first_value(fields, "name").strip())
    return await _render_account(request, token=token)


@router.post("/account/tokens/{id}/revoke")
async def revoke_token(request: Request, id: Annotated[int, InPath(ge=1, lt=2**31)]) -> Response:
    """Make a token worthless."""
    person, _ = await _read_own_form(request)
    await run_write(_people_of(request).logins.revoke, person, id)
    request.app.state.guard_memory.forget_all()
    await add_to_audit_log(request, person, "token.revoke", str(id))
    return redirect_to(request, "/account?done=revoked")


async def _read_own_form(request: Request) -> tuple[Person, dict[str, list[str]]]:
    """Read a form about one's own account, with its token checked."""
    person = _require_account(request)
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    return person, fields


def _require_account(request: Request) -> Person:
    """Return the person with an account.

    Raises
    ------
    HttpError
        There are no accounts: the person at the computer has no password.
    """
    person = require(request, "viewer")
    if person.id is None:
        raise HttpError(404, "not_found", "There are no accounts.", "medloupe users add NAME --role admin")
    return person


async def _render_account(
    request: Request, *, done: str = "", problem: str = "", token: str = "", status: int = 200
) -> Response:
    language = language_of(request)
    tokens = [
        {
            "id": t.id,
            "name": t.name,
            "used": language.t("account.used", created=language.date(t.created), used=language.date(t.last_used))
            if t.last_used
            else language.t("account.unused", created=language.date(t.created)),
        }
        for t in await run_read(_people_of(request).logins.tokens, _require_account(request))
    ]
    return render_page(request, "account.html", status, done=done, problem=problem, token=token, tokens=tokens)


# ------------------------------------------------------------------ everybody's


@router.get("/users")
async def users(request: Request, done: Annotated[str, Query(max_length=64)] = "") -> Response:
    """Show all accounts."""
    require(request, "admin")
    known = {account.name for account in await run_read(_people_of(request).all)}
    return await _render_users(request, done=language_of(request).t("users.done", name=done) if done in known else "")


@router.post("/users")
async def change_users(request: Request) -> Response:
    """Add a person, or change one: `do` says what."""
    person = require(request, "admin")
    if person.id is None:
        raise HttpError(404, "not_found", "There are no accounts.", "medloupe users add NAME --role admin")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    people, name, do = _people_of(request), first_value(fields, "name").strip(), first_value(fields, "do")
    role, password = first_value(fields, "role"), first_value(fields, "password")
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
        await run_write(work[do])
        request.app.state.guard_memory.forget_all()
    except StorageError:  # nobody's mistake
        raise
    except MedloupeError as e:
        return await _render_users(request, problem=str(e), status=422)
    detail = {"role": role} if do in ("add", "role") else None
    await run_write(people.log.add, person.name, f"user.{do}", name, detail, request.state.request_id)
    return redirect_to(request, f"/users?{urlencode({'done': name})}")


async def _render_users(request: Request, *, done: str = "", problem: str = "", status: int = 200) -> Response:
    accounts = await run_read(_people_of(request).all)
    return render_page(request, "users.html", status, users=accounts, roles=ROLES, done=done, problem=problem)


@router.get("/audit")
async def audit_log(
    request: Request,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    actor: Annotated[str, Query(max_length=64)] = "",
    action: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Show who did what, the newest first; of all, or of one person or kind of action."""
    require(request, "admin")
    people = _people_of(request)
    found = await run_read(people.log.entries, _PAGE, before, actor=actor.strip(), action=action)
    names = [account.name for account in await run_read(people.all)]
    language = language_of(request)
    rows = [
        {
            "at": language.date(r.at),
            "actor": r.actor,
            "action": r.action,
            "object": r.object,
            "detail": describe_detail(r.detail, language),
            "request": r.request_id,
        }
        for r in found
    ]
    kept = {key: value for key, value in {"actor": actor.strip(), "action": action}.items() if value}
    older = urlencode({**kept, "before": found[-1].id}) if len(found) == _PAGE else ""
    return render_page(
        request,
        "audit.html",
        rows=rows,
        older=older,
        actor=actor.strip(),
        action=action,
        actors=names,
        actions=ACTIONS,
    )
