"""Serve drawn pictures to try check-ups with, and what a check-up says of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import Response

from medloupe.errors import ImageError, MedloupeError, UnknownError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import admission_of, log_look, note_answer, service_of
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.http.errors import as_http
from medloupe.serving.http.threads import run_file, run_read
from medloupe.serving.web.chips import chip
from medloupe.serving.web.drawings import NUMBERS, can_draw, draw, draw_file, draw_small
from medloupe.serving.web.groups import drawing_of
from medloupe.serving.web.headline import state_of, summarize
from medloupe.serving.web.lookups import find_at_hand
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page

router = APIRouter(include_in_schema=False)
Name = Annotated[str, InPath(max_length=64)]
Number = Annotated[int, InPath(ge=0, le=NUMBERS[-1])]
Answered = Annotated[str, Query(max_length=64)]


def samples_of(checkup: CheckUp) -> tuple[int, ...]:
    """List the drawings with which a check-up can be tried, by number."""
    return NUMBERS if can_draw(drawing_of(checkup)) and checkup.version is None else ()


@router.get("/drawings/{group}/{number}.png")
async def drawing(request: Request, group: Name, number: Number) -> Response:
    """Serve a drawing."""
    return await _serve(request, group, number, draw, "image/png")


@router.get("/drawings/{group}/{number}.jpg")
async def small_drawing(request: Request, group: Name, number: Number) -> Response:
    """Serve a drawing small."""
    return await _serve(request, group, number, draw_small, "image/jpeg")


async def _serve(
    request: Request, group: str, number: int, drawn: Callable[[str, int], bytes], media_type: str
) -> Response:
    require(request, "viewer")
    if not can_draw(group):
        raise UnknownError(f"There is no drawing of the kind {group!r}.", "/ shows what there is.")
    data = await run_file(drawn, group, number)
    return Response(data, media_type=media_type, headers={"Cache-Control": "private, max-age=86400"})


@router.post("/checkups/{name}/drawing")
async def ask_drawing(request: Request, name: Name) -> Response:
    """Ask a check-up about a drawing; it is answered or refused as any picture is, and never kept for retraining."""
    person = require(request, "clinician")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    service, language = service_of(request), language_of(request)
    checkup = service.catalog.get(name)
    number = first_value(fields, "number")
    if number not in {str(n) for n in samples_of(checkup)}:
        raise UnknownError(f"There is no such drawing for {name}.", "/ shows what there is.")
    file, data = await run_file(draw_file, drawing_of(checkup), int(number))
    try:
        with admission_of(request).place():
            answer = await service.ask(checkup, data, person=person, file=file, keep=False)
    except ImageError as e:
        raise as_http(e) from e
    note_answer(request, answer)
    await service.journal.set_alias(answer.id, person, language.t("try.alias"))
    return redirect_to(request, f"/checkups/{name}/drawing/{number}?answer={answer.id}")


@router.get("/checkups/{name}/drawing/{number}")
async def drawing_answer(request: Request, name: Name, number: Number, answer: Answered = "") -> Response:
    """Show what was said of a drawing, beside it."""
    person = require(request, "clinician")
    service, language = service_of(request), language_of(request)
    checkup = service.catalog.get(name)
    if number not in samples_of(checkup):
        raise UnknownError(f"There is no such drawing for {name}.", "/ shows what there is.")
    said: dict[str, Any] | None = None
    try:
        entry = await run_read(service.journal.get, answer, person)
        await log_look(request, person, "answer.look", [answer])
        said = {
            "id": entry.id,
            "chip": chip(state_of(entry.answer), language),
            "about": summarize(entry.answer, language, find_at_hand(service, entry)),
            "why": str((entry.answer.get("why") or {}).get("text") or ""),
        }
    except MedloupeError:  # deleted since, or never asked: the drawing is shown, to be asked about again
        pass
    return render_page(
        request,
        "drawing.html",
        tab="home",
        name=name,
        title=language.checkup(checkup),
        group=drawing_of(checkup),
        number=number,
        numbers=samples_of(checkup),
        said=said,
    )
