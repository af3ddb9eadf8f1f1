"""Serve the pages of the studio: all data sets, a new one, and one with its pictures, checks, training and try-out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from medloupe.data.labels import recognise_roles
from medloupe.errors import ImageError, MedloupeError, PromotionRefusedError, StoreError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import admission_of, note_answer
from medloupe.serving.http.errors import HttpError, as_http
from medloupe.serving.http.intake import read_upload
from medloupe.serving.http.threads import run_file, run_read, run_write
from medloupe.serving.web import answers
from medloupe.serving.web.cards import describe_checkup
from medloupe.serving.web.failures import view_failure
from medloupe.serving.web.lookups import answering_version, checkup_titles, passport_of
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.store.dataset_items import TASKS
from medloupe.store.dataset_nouns import DatasetClass
from medloupe.store.tables import now
from medloupe.studio.api import ChangeIn, make_change
from medloupe.studio.candidates import freeze_published
from medloupe.studio.intake import choose_role
from medloupe.studio.naming import choose_name
from medloupe.studio.overview import Overview, look_at
from medloupe.studio.state import Studio, studio_of
from medloupe.studio.training import find_training, start_training
from medloupe.studio.uploads import MOST_CHUNK
from medloupe.studio.views import view_overview

router = APIRouter(include_in_schema=False)
Id = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
PARTS = ("steps", "classes", "coming", "findings", "log", "training", "publish")
"""What of the page changes by itself; each is a template studio_PART.html."""


@router.get("/studio")
async def studio(request: Request) -> Response:
    """Show all data sets, the newest first, and the way to a new one."""
    require(request, "trainer")
    home = studio_of(request)

    def read() -> list[dict[str, Any]]:
        production = home.service.store.production()
        return [
            {
                "data": data,
                "pictures": home.sets.count_items(data.id),
                "at": language_of(request).date(data.created),
                "answers": data.name in production,
            }
            for data in home.sets.list()
        ]

    return render_page(request, "studio_home.html", tab="studio", tasks=TASKS, sets=await run_read(read))


@router.post("/studio")
async def create(request: Request) -> Response:
    """Make a data set of what the form says."""
    person = require(request, "trainer")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    home = studio_of(request)
    title, kind, task = (first_value(fields, name).strip() for name in ("title", "kind", "task"))
    if not title:
        return redirect_to(request, "/studio")

    def make() -> str:
        name = choose_name(title, home.sets, home.service.store)
        return home.sets.create(name, title=title, kind=kind, task=task or TASKS[0], by=person.name).id

    return redirect_to(request, f"/studio/{await run_write(make)}")


@router.get("/studio/{id}")
async def dataset(request: Request, id: Id, refused: int | None = None) -> Response:
    """Show a data set with all that can be done."""
    return await _render(request, id, said="")


@router.get("/studio/{id}/now")
async def parts(request: Request, id: Id) -> Response:
    """Give the parts of the page that change by themselves, as they stand now; asked again and again."""
    require(request, "trainer")
    home = studio_of(request)
    seen = await run_read(look_at, home, id)
    context = await _context(request, home, seen)
    told = {name: bytes(render_page(request, f"studio_{name}.html", **context).body).decode() for name in PARTS}
    busy = seen.auditing or bool(context["v"]["coming"]) or bool(seen.training and seen.training.open)
    return JSONResponse({"parts": told, "busy": busy}, headers={"Cache-Control": "no-store"})


@router.post("/studio/{id}/do")
async def do(request: Request, id: Id) -> Response:
    """Do what a button of the page says; without scripts the page is shown again."""
    person = require(request, "trainer")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    home, what = studio_of(request), first_value(fields, "do")
    if what == "publish":
        return await _publish(request, home, id, fields)
    if what == "remove":
        training = await run_read(find_training, home.sets, home.queue, id)
        if training is not None and training.open:
            raise HttpError(409, "training", "A training of it is under way.", "Stop the training first.")
        await run_write(home.sets.remove, id, by=person.name)
        home.auditor.forget(id)
        home.rows.forget(id)
        return redirect_to(request, "/studio")
    try:
        await run_write(_act, home, id, what, fields, person.name)
    except StoreError as e:
        if as_http(e).status == 409:
            return await _render(request, id, said=f"{e.message} {e.hint}".strip(), status=409)
        raise
    return redirect_to(request, f"/studio/{id}")


@router.post("/studio/{id}/try")
async def try_out(request: Request, id: Id) -> Response:
    """Answer a picture by the newest version, whether it is published or not."""
    person = require(request, "trainer")
    home, language = studio_of(request), language_of(request)
    seen = await run_read(look_at, home, id)
    if seen.tried is None:
        raise HttpError(409, "not_trained", "Nothing was trained yet.", "Train it first.")
    with admission_of(request).room() as room:
        upload = await read_upload(request, room)
        check_csrf(request, upload.fields.get("csrf", ""))
        file, data = upload.one()
        checkup = await run_file(home.service.catalog.get, seen.data.name, seen.tried)
        with admission_of(request).place():
            try:
                answer = await home.service.ask(
                    checkup, data, person=person, file=file, heatmap=True, preview=True, keep=False
                )
            except ImageError as e:
                error = as_http(e)
                reading = view_failure(file, error, language, "")
                return render_page(request, "reading.html", error.status, reading=reading)
    note_answer(request, answer)
    view = partial(
        answers.view_answer,
        answer,
        language,
        titles=checkup_titles(home.service, language),
        at=now(),
        passport=passport_of(home.service, checkup),
        find=partial(answering_version, home.service),
    )
    return render_page(request, "reading.html", reading=await run_file(view))


async def _publish(request: Request, home: Studio, id: str, fields: Mapping[str, list[str]]) -> Response:
    """Put the newest version into production, through the gate."""
    person = require(request, "admin")
    seen = await run_read(look_at, home, id)
    if seen.tried is None:
        raise HttpError(409, "not_trained", "Nothing was trained yet.", "Train it first.")
    if seen.production == seen.tried:
        return redirect_to(request, f"/studio/{id}")  # a second click, or one that came again
    try:
        await home.service.promote(
            seen.data.name,
            seen.tried,
            person,
            reason=first_value(fields, "reason")[:2000],
            force=False,
            request_id=request.state.request_id,
        )
    except PromotionRefusedError as e:
        return await _render(request, id, said=e.comparison.words if e.comparison else e.message, status=409)
    await run_write(freeze_published, home, seen.data.name, by=person.name)
    return redirect_to(request, f"/studio/{id}")


def _act(home: Studio, id: str, what: str, fields: Mapping[str, list[str]], by: str) -> None:
    """Do what a button says to a data set."""
    sets = home.sets
    if what == "change":
        try:
            told = json.loads(first_value(fields, "body"))
            wish = ChangeIn(**{name: value for name, value in told.items() if name in ChangeIn.model_fields})
        except (ValueError, TypeError, AttributeError, ValidationError) as e:
            raise HttpError(422, "bad_form", "The form cannot be read.", "Load the page again.") from e
        make_change(home, id, wish, by=by)
    elif what == "undo":
        number = first_value(fields, "number")
        sets.undo(id, int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0, by=by)
    elif what == "bring_back":
        out = [item.id for item in sets.items(id, left_out=True) if item.left_out]
        sets.bring_back(id, out, by=by)
    elif what == "class":
        several = sets.get(id).several
        names = [first_value(fields, "name").strip()] if "name" in fields else split_names(first_value(fields, "names"))
        sets.edit_classes(id, lambda now: _with_names(names, now, several=several), by=by)
    elif what == "role":
        name, role = first_value(fields, "name"), first_value(fields, "role")
        told = DatasetClass(name=name, role=role)  # type: ignore[arg-type]
        sets.edit_classes(id, lambda now: [told if c.name == name else c for c in now], by=by)
    elif what == "ordered":
        sets.edit_classes(id, lambda now: now, ordered=first_value(fields, "ordered") == "yes", by=by)
    elif what == "drop_class":
        name = first_value(fields, "name")
        sets.edit_classes(id, lambda now: [c for c in now if c.name != name], by=by)
    elif what == "train":
        start_training(sets, home.queue, id, by=by)
    elif what == "stop":
        training = find_training(sets, home.queue, id)
        if training is not None and training.open:
            home.queue.ask_to_stop(training.job.id, by=by)
    elif what == "forget_upload":
        home.uploads.remove(home.uploads.get(id, first_value(fields, "upload")))
    else:
        raise HttpError(422, "bad_form", "The form cannot be read.", "Load the page again.")


def split_names(text: str) -> list[str]:
    """Split what a person wrote into names of classes, each once: between commas, semicolons or lines.

    At least one, which may be empty, for what takes the classes to refuse.
    """
    names = (name.strip() for name in text.replace(";", ",").replace("\n", ",").split(","))
    return list(dict.fromkeys(name for name in names if name)) or [""]


def _with_names(names: Sequence[str], now: Sequence[DatasetClass], *, several: bool) -> list[DatasetClass]:
    classes = list(now)
    for name in names:
        classes.append(_with_role(name, classes, several=several))
    return classes


def _with_role(name: str, others: Sequence[DatasetClass], *, several: bool) -> DatasetClass:
    roles = recognise_roles([*(c.name for c in others), name])
    return DatasetClass(name=name, role=choose_role(roles.of(name), several=several))


async def _render(request: Request, id: str, *, said: str, status: int = 200) -> Response:
    require(request, "trainer")
    home = studio_of(request)
    seen = await run_read(look_at, home, id)
    context = await _context(request, home, seen)
    return render_page(
        request,
        "studio.html",
        status,
        tab="studio",
        said=said,
        chunk=MOST_CHUNK // 4,
        **context,
    )


async def _context(request: Request, home: Studio, seen: Overview) -> dict[str, Any]:
    """Give what the templates of the parts need."""
    language = language_of(request)
    card = None
    if seen.tried is not None:
        try:
            checkup = await run_file(home.service.catalog.get, seen.data.name, seen.tried)
            card = describe_checkup(checkup, language, passport=passport_of(home.service, checkup))
        except MedloupeError:  # it was removed at this moment
            card = None
    return {
        "v": view_overview(seen, language),
        "card": card,
        "tried": seen.tried,
        "production": seen.production,
        "share": str(request.base_url).rstrip("/") + f"/checkups/{seen.data.name}",
        "may_publish": require(request, "trainer").may("admin"),
    }
