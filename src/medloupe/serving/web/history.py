"""Serve the history: one's own answers to filter, search, name, download, delete and bring back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import Response, StreamingResponse

from medloupe.accounts.person import Person
from medloupe.data.modalities import PICTURES
from medloupe.errors import MedloupeError, UnknownError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import add_to_audit_log, keyed, log_look, service_of
from medloupe.serving.engine.entries import Entry
from medloupe.serving.engine.history import LONGEST_ALIAS, Wanted
from medloupe.serving.engine.service import Service
from medloupe.serving.engine.sweeping import UNDO_MINUTES
from medloupe.serving.http.threads import run_file, run_read
from medloupe.serving.web.chips import chip, list_states
from medloupe.serving.web.headline import summarize
from medloupe.serving.web.language import Language
from medloupe.serving.web.lookups import checkup_titles, find_at_hand
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.serving.web.summary import describe_feedback
from medloupe.utils.csvcells import escape_formula

router = APIRouter(include_in_schema=False)
Id = Annotated[str, InPath(max_length=64, pattern=r"^[^\x00]*$")]  # which PostgreSQL refuses
Text = Annotated[str, Query(max_length=100)]
_ID = re.compile("[0-9a-f]{32}")
_PAGE = 30  # answers on one page
_AT_A_TIME = 500  # answers read at once for a table
_THUMBNAIL = 96  # longer side, in pixels
_COLUMNS = ("name", "id", "time", "check_up", "version", "state", "most_probable", "percent", "flagged", "feedback")


@router.get("/history")
async def history(
    request: Request,
    before: Annotated[str | None, Query(max_length=80)] = None,
    state: Text = "",
    checkup: Text = "",
    search: Text = "",
    deleted: Text = "",
    restored: bool = False,
) -> Response:
    """Show one's own answers.

    Parameters
    ----------
    request
        The request.
    before
        "AT_ID" of the last one seen.
    state, checkup, search
        Which are wanted, as `Wanted` has them.
    deleted
        The id of one that was just deleted.
    restored
        Whether one was just brought back.
    """
    person = require(request, "clinician")
    service, language = service_of(request), language_of(request)
    wanted = Wanted(state=state, model=checkup, search=search)
    found = await run_read(service.journal.mine, person, before, _PAGE, wanted)
    await log_look(request, person, "history.look", [e.id for e in found])
    titles = checkup_titles(service, language)
    kept = {key: value for key, value in {"state": state, "checkup": checkup, "search": search}.items() if value}
    last = f"{found[-1].at}_{found[-1].id}" if len(found) == _PAGE else ""
    return render_page(
        request,
        "history.html",
        tab="history",
        entries=[_describe(e, service, titles, language) for e in found],
        older=urlencode({**kept, "before": last}) if last else "",
        table=urlencode(kept),
        wanted=wanted,
        states=list_states(language),
        checkups=sorted(titles.items(), key=lambda item: item[1].lower()),
        deleted=deleted if _ID.fullmatch(deleted) else "",
        restored=restored,
        minutes=UNDO_MINUTES,
        longest=LONGEST_ALIAS,
    )


def _describe(entry: Entry, service: Service, titles: Mapping[str, str], language: Language) -> dict[str, Any]:
    return {
        "id": entry.id,
        "alias": entry.alias,
        "chip": chip(entry.state, language),
        "about": summarize(entry.answer, language, find_at_hand(service, entry)),
        "title": titles.get(entry.model) or language.label(entry.model) or language.t("choose.title"),
        "at": language.date(entry.at),
        "said": describe_feedback(entry, language),
        "picture": entry.kept and _is_picture(entry, service),
        "sign": "pulse" if "ecg" in entry.answer else "scan",
    }


def _is_picture(entry: Entry, service: Service) -> bool:
    """Tell whether what was kept is a picture, as far as is known here."""
    if "ecg" in entry.answer:
        return False
    found = next((c for c in service.catalog.all() if c.name == entry.model), None)
    return found is None or found.modality == PICTURES.name


@router.get("/history.csv")
async def table(request: Request, state: Text = "", checkup: Text = "", search: Text = "") -> Response:
    """Download the answers that are wanted as a table."""
    person = require(request, "clinician")
    rows = _table(service_of(request), person, Wanted(state=state, model=checkup, search=search))
    first = await run_read(next, rows)  # before anything is said: a database that is out can still be told as that
    await add_to_audit_log(request, person, "history.download", "")
    rows = chain([first], rows)
    headers = {"Content-Disposition": 'attachment; filename="history.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)


def _table(service: Service, person: Person, wanted: Wanted) -> Iterator[str]:
    """Write the table, some hundred answers at a time. With a mark in front by which spreadsheets know UTF-8."""
    before, head = None, "\ufeff" + _line(_COLUMNS)
    while True:
        found = service.journal.mine(person, before, _AT_A_TIME, wanted)
        yield head + "".join(_line(_cells(entry)) for entry in found)
        head = ""
        if len(found) < _AT_A_TIME:
            return
        before = f"{found[-1].at}_{found[-1].id}"


def _cells(entry: Entry) -> tuple[str, ...]:
    said = entry.answer
    longest = str(said.get("prediction") or "")
    p = (said.get("probabilities") or {}).get(longest)
    right = {True: "right", False: "wrong"}.get(entry.right, "") if entry.right is not None else ""
    return (
        entry.alias,
        entry.id,
        entry.at,
        entry.model,
        "" if entry.version is None else str(entry.version),
        entry.state,
        longest,
        "" if p is None else f"{100 * p:.1f}",
        "; ".join(map(str, said.get("flagged") or ())),
        "; ".join(entry.labels) or right,
    )


def _line(cells: tuple[str, ...]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow([escape_formula(cell) for cell in cells])
    return written.getvalue()


@router.get("/predictions/{id}/thumbnail")
async def thumbnail(request: Request, id: Id) -> Response:
    """Serve the kept picture of an answer, small."""
    person = require(request, "clinician")
    service = service_of(request)
    found = await run_read(service.journal.image, id, person)
    if found is not None:
        try:
            data = await run_file(found[0].read_bytes)
            shown = await service.in_pool(service.decoders.preview, data, _THUMBNAIL)
            await log_look(request, person, "image.look", [id])
            return Response(shown.jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})
        except (MedloupeError, OSError):  # it cannot be shown: the row stands without it
            pass
    raise UnknownError("There is no picture of this answer to show.", "It was not kept, or cannot be read any more.")


@router.post("/predictions/{id}/alias")
async def name_answer(request: Request, id: Id) -> Response:
    """Give an answer a short name, or take it away."""
    person, fields = await _read(request)
    await service_of(request).journal.set_alias(id, person, first_value(fields, "alias"))
    return redirect_to(request, f"/predictions/{id}" if first_value(fields, "back") == "answer" else "/history")


@router.post("/predictions/{id}/delete")
async def delete(request: Request, id: Id) -> Response:
    """Put an answer out of sight; for some minutes it can be brought back."""
    person, _ = await _read(request)
    await service_of(request).journal.remove(id, person)
    await add_to_audit_log(request, person, "prediction.delete", keyed(request, id))
    return redirect_to(request, f"/history?deleted={id}")


@router.post("/predictions/{id}/restore")
async def restore(request: Request, id: Id) -> Response:
    """Bring a deleted answer back."""
    person, _ = await _read(request)
    await service_of(request).journal.restore(id, person)
    await add_to_audit_log(request, person, "prediction.restore", keyed(request, id))
    return redirect_to(request, "/history?restored=1")


async def _read(request: Request) -> tuple[Person, dict[str, list[str]]]:
    """Read a form about one of one's answers, with its token checked."""
    person = require(request, "clinician")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    return person, fields
