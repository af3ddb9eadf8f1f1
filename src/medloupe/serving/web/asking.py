"""Serve the pages that ask: the form of a check-up, the one that lets the app choose, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import JSONResponse, Response

from medloupe.errors import ClinicalError, ExtraError, ImageError, MedloupeError, NotesError
from medloupe.ondevice.card import describe_quality
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import admission_of, find_in_photograph, note_answer, service_of
from medloupe.serving.engine import ecg_intake
from medloupe.serving.engine.sending import FIELD, limits_for_any
from medloupe.serving.http.departure import watch_client
from medloupe.serving.http.errors import as_http
from medloupe.serving.http.intake import MAX_BODY, MAX_IMAGES, Upload, read_upload
from medloupe.serving.http.threads import run_file
from medloupe.serving.once import do_once, open_once
from medloupe.serving.web import answers, inputs
from medloupe.serving.web.applies import view_questions
from medloupe.serving.web.cards import Card, describe_checkup
from medloupe.serving.web.emblem import draw_emblem
from medloupe.serving.web.failures import view_failure
from medloupe.serving.web.kinds import PICTURE, accepted
from medloupe.serving.web.language import Language
from medloupe.serving.web.light import lighten
from medloupe.serving.web.lookups import answering_version, checkup_titles, passport_of
from medloupe.serving.web.render import language_of, redirect_to, render_page
from medloupe.serving.web.results import sort_rows, view_row
from medloupe.serving.web.views import AnswerView
from medloupe.store.tables import now

if TYPE_CHECKING:
    from medloupe.accounts.person import Person
    from medloupe.serving.engine.answer import Answer
    from medloupe.serving.engine.checkup import CheckUp

router = APIRouter(include_in_schema=False)
_ROUND = (
    "malaria",
    "monkeypox",
    "retina",
    "retina-referable",
    "skin",
)  # shipped check-ups of what lies in a round field
Name = Annotated[str, InPath(max_length=64)]


@router.get("/checkups/{name}")
async def checkup(request: Request, name: Name) -> Response:
    """Show a check-up and the form to ask it."""
    require(request, "viewer")
    service = service_of(request)
    found = service.catalog.get(name)
    card = describe_checkup(found, language_of(request), passport=passport_of(service, found))
    return _render_form(request, title=card.title, emblem=card.emblem, lead=card.lead, checkup=card, able=[found])


@router.post("/checkups/{name}")
async def ask(request: Request, name: Name) -> Response:
    """Answer the form."""
    return await _answer_form(request, name)


@router.get("/choose")
async def choose(request: Request) -> Response:
    """Show the form that lets the app choose the check-up."""
    require(request, "viewer")
    language = language_of(request)
    service = service_of(request)
    able = [
        c for c in service.catalog.all() if (c.novelty is not None and c.novelty.can_choose) or c.windows is not None
    ]
    cards = [describe_checkup(c, language) for c in able]
    return _render_form(
        request,
        title=language.t("choose.title"),
        emblem=draw_emblem("medloupe"),
        lead=language.t("choose.short"),
        checkup=None,
        able=able,
        cards=cards,
        questions=view_questions(able, language, request.query_params),
        ecgs=any(card.ecg for card in cards),
        any_kind=PICTURE,
        accept=accepted({card.kind.name for card in cards}),
    )


@router.post("/choose")
async def ask_any(request: Request) -> Response:
    """Answer from the check-ups that know such pictures."""
    return await _answer_form(request, None)


@router.post("/photo")
async def find_photo(request: Request) -> Response:
    """Find the picture in a photograph that was chosen, before a check-up is asked."""
    require(request, "clinician")
    with admission_of(request).room() as room:
        upload = await read_upload(request, room)
        check_csrf(request, upload.fields.get("csrf", ""))
        return JSONResponse(await find_in_photograph(request, upload))


def _render_form(request: Request, *, able: list[CheckUp], checkup: Card | None, **context: Any) -> Response:
    service = service_of(request)
    name = "" if checkup is None else f"models/{quote(checkup.name, safe='')}/"
    return render_page(
        request,
        "ask.html",
        tab="home",
        limit=MAX_IMAGES,
        most_bytes=MAX_BODY - 2**16,  # the form around the picture needs some
        keeps=service.keep_images,
        checkup=checkup,
        send_to=f"/api/v1/{name}predict",
        sending=limits_for_any(able),
        camera_rules=json.dumps(describe_quality(able[0].quality if len(able) == 1 else None)),
        round=checkup is not None and checkup.version is None and checkup.name in _ROUND,
        **context,
    )


async def _answer_form(request: Request, name: str | None) -> Response:
    """Answer the form.

    Without scripts by the address of the answers; a script that sends picture by picture (X-Part) gets one article at a
    time, with picture and heat maps, which it keeps in the browser before it goes to that address.
    """
    person = require(request, "clinician")
    service, language = service_of(request), language_of(request)
    asked = None if name is None else service.catalog.get(name)
    part = bool(request.headers.get("x-part"))
    found: list[Answer] = []
    failed: list[AnswerView] = []
    status = 200
    async with AsyncExitStack() as at_work:
        room = at_work.enter_context(admission_of(request).room())
        upload = await read_upload(request, room)
        check_csrf(request, upload.fields.get("csrf", ""))
        cancellation = await at_work.enter_async_context(watch_client(request))
        at_work.enter_context(admission_of(request).place())
        for i, (file, data) in enumerate(upload.images):
            work = partial(
                service.ask,
                asked,
                data,
                person=person,
                file=file,
                heatmap=part,
                preview=part,
                fields=upload.fields,
                cancellation=cancellation,
            )
            try:
                answer = await _ask_once(request, person, upload, i, name, work)
                if isinstance(answer, str):
                    return redirect_to(request, f"/results/{answer}")
            except (ImageError, ClinicalError, ExtraError) as e:
                error = as_http(e)
                status = error.status
                failed.append(view_failure(file, error, language, _describe_unreadable(e, language)))
                continue
            note_answer(request, answer)
            found.append(answer)
        start = ecg_intake.parse_start(upload.fields) if any(a.prediction.ecg is not None for a in found) else 0.0
        if part and len(found) + len(failed) == 1:
            reading = failed[0] if failed else await _view(request, found[0], start, chosen=name is None)
            if FIELD in upload.fields:  # the way is slow, and the browser has the picture
                reading = await run_file(
                    partial(lighten, reading, own=not failed and found[0].prediction.photo is None)
                )
            return render_page(request, "reading.html", status, reading=reading)
    if not failed:
        return redirect_to(request, _address([a.id for a in found], start, chosen=name is None))
    title = language.checkup(asked) if asked else language.t("choose.title")
    if not found and len(failed) == 1:
        return render_page(request, "result.html", status, tab="home", title=title, reading=failed[0])
    titles = checkup_titles(service, language)
    rows = sort_rows(
        [
            view_row({**a.prediction.as_json(), "id": a.id}, a.checkup, language, titles, file=a.prediction.file)
            for a in found
        ]
    )
    return render_page(
        request,
        "results.html",
        tab="home",
        title=title,
        rows=rows,
        failed=failed,
        ids=",".join(row.id for row in rows),
        back=name,
    )


async def _ask_once(
    request: Request, person: Person, upload: Upload, i: int, name: str | None, work: Callable[[], Awaitable[Answer]]
) -> Answer | str:
    """Ask about one image; the number of its answer where the same was asked before, under its Idempotency-Key."""
    root = str(request.scope.get("root_path", ""))
    path = root if root and str(request.scope["path"]).startswith(root) else ""
    path += f"/api/v1/models/{name}/predict" if name is not None else "/api/v1/predict"
    made: list[Answer] = []

    async def ask() -> dict[str, Any]:
        made.append(await work())
        return {"full": made[0].as_json()}

    said = await do_once(request, await open_once(request, person, upload, i, path), ask)
    return made[0] if made else str(said["full"]["id"])


async def _view(request: Request, answer: Answer, start: float, *, chosen: bool) -> AnswerView:
    service, language = service_of(request), language_of(request)
    view = partial(
        answers.view_answer,
        answer,
        language,
        titles=checkup_titles(service, language),
        at=now(),
        chosen=chosen,
        passport=passport_of(service, answer.checkup),
        start=start,
        find=partial(answering_version, service),
    )
    return await run_file(view)  # which looks at the picture once more


def _address(ids: list[str], start: float, *, chosen: bool) -> str:
    """Say where the answers are shown."""
    query = {"chosen": "1"} if chosen else {}
    query |= {"start": f"{start:g}"} if start else {}
    path = f"/results/{ids[0]}" if len(ids) == 1 else "/results"
    query |= {"ids": ",".join(ids)} if len(ids) > 1 else {}
    return f"{path}?{urlencode(query, safe=',')}" if query else path


def _describe_unreadable(e: MedloupeError, language: Language) -> str:
    """Say which value beside the picture could not be read, or ""."""
    if not isinstance(e, ClinicalError):
        return ""
    if isinstance(e, NotesError):
        return language.t("inputs.unread", name=inputs.input_title(e.column, language))
    return language.t("inputs.unreadable", name=inputs.input_title(e.column, language), value=e.value[:60])
