"""Serve the pages of review: the queue, one case, and the form by which an answer comes into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import Response

from medloupe.accounts.person import Person
from medloupe.errors import MedloupeError, StoreError, UnknownError
from medloupe.review.api import read_offer
from medloupe.review.desk import ReviewDesk, desk_of, hide_opinions
from medloupe.review.recordings import draw_ecg_of_case, read_ecg_of_case
from medloupe.review.views import view_case, view_queue
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import add_to_audit_log, service_of
from medloupe.serving.engine.pictures import LARGE_PREVIEW, PREVIEW
from medloupe.serving.http.errors import HttpError, as_http
from medloupe.serving.http.threads import run_file, run_read, run_write
from medloupe.serving.web.choices import read_findings
from medloupe.serving.web.ecg import EcgView, describe_ecg
from medloupe.serving.web.language import Language
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.store.review_nouns import DISCARD, LABEL, OPEN, ReviewCase

router = APIRouter(include_in_schema=False)
Id = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]


@router.get("/review")
async def queue(request: Request) -> Response:
    """Show what waits, what was settled, and how far readers agree."""
    person, desk = require(request, "reviewer"), desk_of(request)
    seen = await run_read(view_queue, desk, person, language_of(request))
    return render_page(request, "review.html", tab="review", v=seen)


@router.get("/review/next")
async def next_case(request: Request) -> Response:
    """Go to the oldest case that the reader has not read."""
    person, desk = require(request, "reviewer"), desk_of(request)
    found = await run_read(_find_next, desk, person)
    return redirect_to(request, f"/review/{found.id}" if found else "/review")


@router.post("/review/place")
async def place(request: Request) -> Response:
    """Bring what is settled into data sets; begin one where a check-up is named."""
    person, desk = require(request, "trainer"), desk_of(request)
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    model = first_value(fields, "model")
    if model:
        await run_write(desk.begin, model, by=person.name)
    else:
        await run_write(desk.place_all, by=person.name)
    await add_to_audit_log(request, person, "review.place", model)
    return redirect_to(request, "/review")


@router.get("/review/{id}")
async def show(request: Request, id: Id) -> Response:
    """Show a case with what can be said of it."""
    return await _show(request, id)


@router.get("/review/{id}/picture")
async def picture(request: Request, id: Id, large: bool = False) -> Response:
    """Give the picture as browsers show it; large: so that boxes can be drawn on it. An ECG is drawn."""
    require(request, "reviewer")
    desk = desk_of(request)
    found = await run_read(desk.queue.get, id)
    data = await run_file(desk.queue.picture, found)
    if found.ecg:
        drawn = await service_of(request).in_pool(draw_ecg_of_case, data, service_of(request).parsers)
        return Response(drawn, 200, {"Cache-Control": "no-store"}, "image/svg+xml")
    shown = await service_of(request).in_pool(
        service_of(request).decoders.preview, data, LARGE_PREVIEW if large else PREVIEW
    )
    return Response(shown.jpeg, 200, {"Cache-Control": "no-store"}, "image/jpeg")


@router.post("/review/{id}")
async def read(request: Request, id: Id) -> Response:
    """Keep what a reader says, ask a second one, or withdraw; then on to the next case."""
    person, desk = require(request, "reviewer"), desk_of(request)
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    try:
        await run_write(_act, desk, id, fields, person)
    except StoreError as e:
        return await _show(request, id, said=f"{e.message} {e.hint}".strip(), status=as_http(e).status)
    if first_value(fields, "do") == "second":
        return redirect_to(request, f"/review/{id}")
    return redirect_to(request, "/review/next")


@router.post("/predictions/{id}/review")
async def offer(request: Request, id: Id) -> Response:
    """Take an answer into review, with its picture and the basis on which it is kept."""
    require(request, "clinician")
    desk_of(request)
    sent = await read_offer(request)
    check_csrf(request, sent.fields.get("csrf", ""))
    try:
        case = await sent.take(request, id)
    except MedloupeError as e:
        raise as_http(e) from e
    return render_page(request, "review_offered.html", 201, case=case)


@router.post("/predictions/{id}/withdraw")
async def withdraw(request: Request, id: Id) -> Response:
    """Withdraw one's own picture from review."""
    person, desk = require(request, "clinician"), desk_of(request)
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    await run_read(service_of(request).journal.get, id, person)
    await run_write(desk.withdraw, id, by=person.name)
    return redirect_to(request, f"/results/{id}")


def _find_next(desk: ReviewDesk, person: Person) -> ReviewCase | None:
    return next((case for case in desk.queue.list(OPEN, most=10_000) if not case.read_by(person.name)), None)


async def _show(request: Request, id: str, *, said: str = "", status: int = 200) -> Response:
    person, desk = require(request, "reviewer"), desk_of(request)
    case = await run_read(desk.queue.get, id)
    await add_to_audit_log(request, person, "review.look", case.id)
    lang = language_of(request)
    ecg = await _describe_ecg(request, case, lang) if case.ecg and case.digest else None
    seen = view_case(hide_opinions(case, person.name), person, lang, ecg)
    return render_page(request, "review_case.html", status, tab="review", v=seen, said=said)


async def _describe_ecg(request: Request, case: ReviewCase, lang: Language) -> EcgView:
    """Draw the ECG of a case, with what was measured of it when it was answered."""
    service, desk = service_of(request), desk_of(request)
    data, said = await run_file(desk.queue.picture, case), case.answer["ecg"]
    reading = await service.in_pool(read_ecg_of_case, data, said, service.parsers)
    return await run_file(describe_ecg, said, None, lang, case.model, reading)


def _act(desk: ReviewDesk, id: str, fields: Mapping[str, list[str]], person: Person) -> None:
    """Do what a button of the page says."""
    what = first_value(fields, "do")
    if what == "second":
        desk.queue.ask_second(id, by=person.name)
    elif what == "withdraw":
        desk.withdraw(id, by=person.name)
    elif what == DISCARD:
        desk.read(id, person, verdict=DISCARD)
    elif what == LABEL:
        labels = [name for name in fields.get("label", ()) if name]
        if desk.queue.get(id).several:
            labels = read_findings(fields)
        boxes = _read_boxes(first_value(fields, "boxes")) if "boxes" in fields else None
        desk.read(id, person, verdict=LABEL, labels=labels, boxes=boxes)
    else:
        raise UnknownError(f"There is nothing to do called {what[:40]!r}.", "Load the page again.")


def _read_boxes(text: str) -> list[dict[str, Any]]:
    """Read the boxes that the page drew; raises HttpError."""
    try:
        told = json.loads(text or "[]")
        return [
            {"label": str(box["label"]), **{name: float(box[name]) for name in ("x", "y", "width", "height")}}
            for box in told
        ]
    except (ValueError, TypeError, KeyError) as e:
        raise HttpError(422, "bad_form", "The boxes cannot be read.", "Load the page again.") from e
