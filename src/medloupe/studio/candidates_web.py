"""Serve the pages of the loop: corrections and candidates of a data set, and a candidate beside production."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import JSONResponse, Response

from medloupe.accounts.person import Person
from medloupe.errors import PromotionRefusedError, StoreError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.api.shadows import end_shadow
from medloupe.serving.http.errors import HttpError, as_http
from medloupe.serving.http.threads import run_read, run_write
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.store.candidates import DISMISSED, Candidates, RetrainRule
from medloupe.studio.candidates import (
    ask_for_candidate,
    begin_comparison,
    compare_now,
    find_candidate,
    look_at_loop,
    look_at_shadows,
    promote_candidate,
)
from medloupe.studio.candidates_views import view_comparison, view_loop
from medloupe.studio.shadow_views import view_shadow
from medloupe.studio.state import Studio, studio_of

router = APIRouter(include_in_schema=False)
Id = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]


@router.get("/studio/{id}/loop")
async def loop(request: Request, id: Id) -> Response:
    """Show corrections, when candidates are made, and all candidates."""
    return await _show_loop(request, id)


@router.get("/studio/{id}/loop/now")
async def loop_now(request: Request, id: Id) -> Response:
    """Give the part of the page that changes by itself."""
    person = require(request, "trainer")
    studio = studio_of(request)
    seen = await run_read(look_at_loop, studio, id)
    context = {"v": view_loop(seen, language_of(request)), "may_promote": person.may("admin")}
    part = bytes(render_page(request, "loop_candidates.html", **context).body).decode()
    told = {"parts": {"candidates": part}, "busy": seen.at_work is not None}
    return JSONResponse(told, headers={"Cache-Control": "no-store"})


@router.post("/studio/{id}/loop")
async def act(request: Request, id: Id) -> Response:
    """Do what a button of the page says."""
    require(request, "trainer")
    fields = await read_form(request)
    what = first_value(fields, "do")
    person = require(request, "admin" if what == "rollback" else "trainer")
    check_csrf(request, first_value(fields, "csrf"))
    studio = studio_of(request)
    try:
        if what == "retrain":
            await run_write(ask_for_candidate, studio, id, cause="button", by=person.name)
        elif what == "rule":
            await run_write(Candidates(studio.sets.engine).set_rule, id, _read_rule(fields), by=person.name)
        elif what == "stop":
            await run_write(_stop, studio, id, person)
        elif what == "rollback":
            data = await run_read(studio.sets.get, id)
            reason = first_value(fields, "reason")[:2000]
            await studio.service.rollback(data.name, person, reason=reason, request_id=request.state.request_id)
        else:
            raise HttpError(422, "bad_form", "The form cannot be read.", "Load the page again.")
    except StoreError as e:
        if as_http(e).status == 409:
            return await _show_loop(request, id, said=f"{e.message} {e.hint}".strip(), status=409)
        raise
    return redirect_to(request, f"/studio/{id}/loop")


@router.get("/studio/{id}/candidates/{candidate}")
async def candidate(request: Request, id: Id, candidate: Id) -> Response:
    """Show a candidate beside the version in production."""
    return await _show_candidate(request, id, candidate)


@router.post("/studio/{id}/candidates/{candidate}")
async def decide(request: Request, id: Id, candidate: Id) -> Response:
    """Promote a candidate, or do without it."""
    person = require(request, "admin")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    studio, reason = studio_of(request), first_value(fields, "reason")[:2000]
    what = first_value(fields, "do")
    try:
        if what in ("promote", "overrule"):
            await promote_candidate(
                studio,
                id,
                candidate,
                person,
                reason=reason,
                force=what == "overrule",
                request_id=request.state.request_id,
            )
        elif what == "shadow":
            await begin_comparison(studio, id, candidate, person, _read_count(fields), request.state.request_id)
        elif what == "unshadow":
            data = await run_read(studio.sets.get, id)
            await end_shadow(studio.service, data.name, by=person.name, request_id=request.state.request_id)
        elif what == "dismiss":
            found = await run_read(find_candidate, studio, id, candidate)
            await run_write(Candidates(studio.sets.engine).decide, found.id, DISMISSED, by=person.name, reason=reason)
        else:
            raise HttpError(422, "bad_form", "The form cannot be read.", "Load the page again.")
    except (PromotionRefusedError, StoreError) as e:
        if as_http(e).status == 409:
            return await _show_candidate(request, id, candidate, said=e.message, status=409)
        raise
    return redirect_to(request, f"/studio/{id}/candidates/{candidate}")


async def _show_loop(request: Request, id: str, *, said: str = "", status: int = 200) -> Response:
    person = require(request, "trainer")
    seen = await run_read(look_at_loop, studio_of(request), id)
    context: dict[str, Any] = {"v": view_loop(seen, language_of(request)), "may_promote": person.may("admin")}
    return render_page(request, "loop.html", status, tab="studio", said=said, **context)


async def _show_candidate(request: Request, id: str, candidate: str, *, said: str = "", status: int = 200) -> Response:
    person = require(request, "trainer")
    studio = studio_of(request)
    found = await run_read(find_candidate, studio, id, candidate)
    figures = await run_write(compare_now, studio, found)
    found = await run_read(find_candidate, studio, id, candidate)  # as the figures left it
    seen = await run_read(look_at_loop, studio, id)
    lang = language_of(request)
    view = view_comparison(seen, found, figures, lang)
    told: dict[str, Any] = {"v": view, "shadow": None, "may_promote": person.may("admin")}
    if figures is not None:
        pair = (figures.production, figures.version)
        compared, by_id = await run_read(look_at_shadows, studio, seen.data.name, pair)
        told["shadow"] = view_shadow(compared, pair, by_id, seen.production, lang)
    return render_page(request, "loop_candidate.html", status, tab="studio", said=said, **told)


def _stop(studio: Studio, id: str, person: Person) -> None:
    at_work = look_at_loop(studio, id).at_work
    if at_work is not None:
        studio.queue.ask_to_stop(at_work.job, by=person.name)


def _read_count(fields: Mapping[str, list[str]]) -> int:
    """Read how many requests are to be compared. Raises HttpError."""
    text = first_value(fields, "requests").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise HttpError(422, "bad_form", "The form cannot be read.", "Give a whole number of requests.")
    return int(text)


def _read_rule(fields: Mapping[str, list[str]]) -> RetrainRule:
    """Read the form of the rule; an empty field: not by that. Raises HttpError."""
    try:
        corrections, days = (first_value(fields, name).strip().replace(",", ".") for name in ("corrections", "days"))
        return RetrainRule(corrections=int(corrections) if corrections else None, days=float(days) if days else None)
    except (ValueError, OverflowError) as e:
        raise HttpError(422, "bad_form", "The form cannot be read.", "Give whole numbers, or nothing.") from e
