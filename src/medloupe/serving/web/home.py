"""Serve the pages for people: home, asking a check-up, answers, history.

Pages of models and of accounts are in their own modules; JSON is in serving/api.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import Response

from medloupe.accounts.person import Person
from medloupe.errors import ClinicalError, ExtraError, ImageError, MedloupeError, NotesError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import admission_of, note_answer, service_of
from medloupe.serving.engine import ecg_intake, ecg_storage, examples
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.journal import Entry
from medloupe.serving.engine.pictures import PREVIEW
from medloupe.serving.engine.service import Service
from medloupe.serving.http.errors import as_http
from medloupe.serving.http.intake import MAX_BODY, MAX_IMAGES, read_upload
from medloupe.serving.web import answers, history, inputs, models, people, samples
from medloupe.serving.web.applies import view_questions
from medloupe.serving.web.cards import describe_checkup
from medloupe.serving.web.emblem import draw_emblem
from medloupe.serving.web.groups import group
from medloupe.serving.web.kinds import PICTURE, accepted, page_kind
from medloupe.serving.web.language import Language
from medloupe.serving.web.render import (
    error_page,
    first_value,
    language_of,
    read_form,
    redirect_to,
    render_page,
    static_files,
)
from medloupe.serving.web.summary import describe_feedback
from medloupe.serving.web.tiles import describe_tile
from medloupe.serving.web.views import AnswerPicture, AnswerView
from medloupe.store.tables import now
from medloupe.version import __version__

if TYPE_CHECKING:
    from medloupe.ecg.reading import Reading

__all__ = ["error_page", "router", "static_files"]
router = APIRouter(include_in_schema=False)
Name = Annotated[str, InPath(max_length=64)]
Id = Annotated[str, InPath(max_length=64, pattern=r"^[^\x00]*$")]  # which PostgreSQL refuses


# ------------------------------------------------------------------ check-ups


@router.get("/")
async def home(request: Request) -> Response:
    """Show where to drop a picture, then all check-ups as cards, in groups by what they look at."""
    require(request, "viewer")
    language, service = language_of(request), service_of(request)
    groups = [
        (name, [describe_tile(c, language, passport=_passport(service, c)) for c in own])
        for name, own in group(service.catalog.all())
    ]
    cards = [card for _, own in groups for card in own]
    return render_page(
        request,
        "home.html",
        tab="home",
        groups=groups,
        cards=cards,
        kind=PICTURE,
        accept=accepted({card.card.kind.name for card in cards}),
        limit=MAX_IMAGES,
        most_bytes=MAX_BODY - 2**16,  # the form around the picture needs some
        keeps=service.keep_images,
    )


@router.get("/checkups/{name}")
async def checkup(request: Request, name: Name) -> Response:
    """Show a check-up and the form to ask it."""
    require(request, "viewer")
    service = service_of(request)
    found = service.catalog.get(name)
    card = describe_checkup(found, language_of(request), passport=_passport(service, found))
    return _render_form(request, title=card.title, emblem=card.emblem, lead=card.lead, checkup=card)


@router.post("/checkups/{name}")
async def ask(request: Request, name: Name) -> Response:
    """Answer the form: one view for each picture."""
    return await _answer_form(request, name)


@router.get("/choose")
async def choose(request: Request) -> Response:
    """Show the form that lets the app choose the check-up."""
    require(request, "viewer")
    language = language_of(request)
    service = service_of(request)
    able = [c for c in service.catalog.all() if c.novelty is not None or c.windows is not None]
    cards = [describe_checkup(c, language) for c in able]
    return _render_form(
        request,
        title=language.t("choose.title"),
        emblem=draw_emblem("medloupe"),
        lead=language.t("choose.short"),
        checkup=None,
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


def _render_form(request: Request, **context: Any) -> Response:
    service = service_of(request)
    return render_page(
        request,
        "ask.html",
        tab="home",
        limit=MAX_IMAGES,
        most_bytes=MAX_BODY - 2**16,  # the form around the picture needs some
        keeps=service.keep_images,
        **context,
    )


async def _answer_form(request: Request, name: str | None) -> Response:
    """Answer the form.

    The picture is not kept, so the page is the answer to the POST; a script that sends picture by picture (X-Part)
    gets one article at a time.
    """
    person = require(request, "clinician")
    service, language = service_of(request), language_of(request)
    checkup = None if name is None else service.catalog.get(name)
    titles = _titles(service, language)
    found: list[AnswerView] = []
    status = 200
    with admission_of(request).room() as room, ExitStack() as at_work:
        upload = await read_upload(request, room)
        check_csrf(request, upload.fields.get("csrf", ""))
        at_work.enter_context(admission_of(request).place())
        for file, data in upload.images:
            try:
                answer = await service.ask(
                    checkup, data, person=person, file=file, heatmap=True, preview=True, fields=upload.fields
                )
            except (ImageError, ClinicalError, ExtraError) as e:
                error = as_http(e)
                status = error.status
                found.append(answers.view_failure(file, error, language, _describe_unreadable(e, language)))
                continue
            note_answer(request, answer)
            passport = _passport(service, answer.checkup) if answer.checkup else ""
            found.append(
                answers.view_answer(
                    answer,
                    language,
                    titles=titles,
                    at=now(),
                    chosen=name is None,
                    passport=passport,
                    start=ecg_intake.parse_start(upload.fields) if answer.prediction.ecg is not None else 0.0,
                )
            )
    alone = len(found) == 1
    if request.headers.get("x-part") and alone:
        return render_page(request, "reading.html", status, reading=found[0])
    title = language.checkup(checkup) if checkup else language.t("choose.title")
    return render_page(request, "result.html", status if alone else 200, tab="home", title=title, readings=found)


def _describe_unreadable(e: MedloupeError, language: Language) -> str:
    """Say which value beside the picture could not be read, or ""."""
    if not isinstance(e, ClinicalError):
        return ""
    if isinstance(e, NotesError):
        return language.t("inputs.unread", name=inputs.input_title(e.column, language))
    return language.t("inputs.unreadable", name=inputs.input_title(e.column, language), value=e.value[:60])


# ------------------------------------------------------------------ answers that were given


@router.get("/predictions/{id}")
async def prediction(request: Request, id: Id, thanks: bool = False) -> Response:
    """Show one answer, with its picture where that was kept."""
    person = require(request, "clinician")
    service, language = service_of(request), language_of(request)
    entry = await asyncio.to_thread(service.journal.get, id, person)
    checkup = await asyncio.to_thread(_answering_version, service, entry)
    picture, drawn, drawing = await _load_kept(service, entry, person, checkup)
    reading = answers.view_entry(
        entry,
        checkup,
        language,
        titles=_titles(service, language),
        picture=picture,
        ecg=drawn,
        drawing=drawing,
        passport=_passport(service, checkup) if checkup else "",
    )
    return render_page(
        request,
        "prediction.html",
        tab="history",
        reading=reading,
        thanks=thanks,
        known=entry.model in _titles(service, language),
        said=describe_feedback(entry, language),
    )


async def _load_kept(
    service: Service, entry: Entry, person: Person, checkup: CheckUp | None
) -> tuple[AnswerPicture | None, Reading | None, str]:
    """Return the picture, the ECG or the drawing of an answer, where it was kept and can be shown."""
    found = await asyncio.to_thread(service.journal.image, entry.id, person)
    if found is None:
        return None, None, ""
    path, suffix = found
    try:
        data = await asyncio.to_thread(path.read_bytes)
        if "ecg" in entry.answer:
            source = ecg_storage.unpack(f"kept.{suffix}", data)
            return None, await service.in_pool(ecg_intake.read_again, source, entry.answer["ecg"], checkup), ""
        if checkup is not None and page_kind(checkup.modality).drawn:
            return None, None, await service.in_pool(examples.draw_again, data, checkup)
        return answers.embed_picture(await service.in_pool(service.decoders.preview, data, PREVIEW)), None, ""
    except (MedloupeError, OSError):  # the answer is still worth showing
        return None, None, ""


@router.post("/predictions/{id}/feedback")
async def feedback(request: Request, id: Id) -> Response:
    """Note whether an answer was right.

    Without scripts the answer is shown again, with thanks.
    """
    person = require(request, "clinician")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    right = {"yes": True, "no": False}.get(first_value(fields, "right"))
    truth = None
    if right is False:
        labels = [label for label in fields.get("label", ()) if label]
        # Of several findings "none of these" is an answer; of exclusive classes no choice means that it is not known.
        truth = labels if labels or ("label" in fields and first_value(fields, "several")) else None
    await service_of(request).feedback(id, person, right, truth)
    return redirect_to(request, f"/predictions/{id}?thanks=1")


# ------------------------------------------------------------------ what this is


@router.get("/about")
async def about(request: Request) -> Response:
    """Show what the figures mean and what is kept; open to all."""
    return render_page(request, "about.html", tab="about", version=__version__)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Show the API, from its OpenAPI description."""
    require(request, "viewer")
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "summary": said.get("summary", ""),
            "text": said.get("description", ""),
        }
        for path, methods in request.app.openapi()["paths"].items()
        for method, said in methods.items()
    ]
    return render_page(request, "docs.html", routes=routes, base=str(request.base_url).rstrip("/"))


def _titles(service: Service, language: Language) -> dict[str, str]:
    return {c.name: language.checkup(c) for c in service.catalog.all()}


def _passport(service: Service, checkup: CheckUp) -> str:
    return models.passport_path(service, checkup.name, checkup.version)


def _answering_version(service: Service, entry: Entry) -> CheckUp | None:
    """Return the version that gave an answer, if it is still there."""
    try:
        return service.catalog.get(entry.model, entry.version) if entry.model else None
    except MedloupeError:
        return None


router.include_router(history.router)
router.include_router(samples.router)
router.include_router(models.router)
router.include_router(people.router)
