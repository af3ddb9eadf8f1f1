"""Serve the pages of answers: one by its own address, those of one upload as a table, CSV, feedback, deletion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import Response

from medloupe.errors import MedloupeError, UnknownError
from medloupe.model.decision import WITHHELD
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import log_look, service_of
from medloupe.serving.engine import ecg_intake, ecg_storage, examples
from medloupe.serving.engine.pictures import PREVIEW
from medloupe.serving.engine.question import Question
from medloupe.serving.http.intake import MAX_IMAGES
from medloupe.serving.http.threads import run_file, run_read
from medloupe.serving.web import answers
from medloupe.serving.web.csvtable import write_answers
from medloupe.serving.web.headline import ORDER, describe_state
from medloupe.serving.web.kinds import page_kind
from medloupe.serving.web.language import Language
from medloupe.serving.web.lookups import answering_version, checkup_titles, passport_of
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.serving.web.summary import describe_feedback
from medloupe.serving.web.withheld import show_withheld

if TYPE_CHECKING:
    from medloupe.accounts.person import Person
    from medloupe.ecg.reading import Reading
    from medloupe.imaging.sandbox.pool import Preview
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.entries import Entry
    from medloupe.serving.engine.service import Service

router = APIRouter(include_in_schema=False)
Id = Annotated[str, InPath(max_length=64, pattern=r"^[^\x00]*$")]  # which PostgreSQL refuses
Ids = Annotated[str, Query(max_length=33 * MAX_IMAGES, pattern=r"^[0-9a-f,]*$")]
Start = Annotated[float, Query(ge=0, le=1e7)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """One answer in a table. text, lines: what is said first, and with it. title: of the check-up."""

    id: str
    file: str
    title: str
    state: str
    chip: str
    text: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What a server that keeps examples can show of one again."""

    preview: Preview | None = None
    evidence: Mapping[str, bytes] | None = None
    ecg: Reading | None = None
    drawing: str = ""


def view_row(
    said: Mapping[str, Any], checkup: CheckUp | None, lang: Language, titles: Mapping[str, str], *, file: str = ""
) -> AnswerRow:
    """Show an answer as a row. said: the Prediction's JSON with its `id`."""
    name = str(said.get("model") or "")
    kind = page_kind("ecg") if "ecg" in said else page_kind("image")
    told = describe_state(said, checkup, lang, kind)
    return AnswerRow(
        id=str(said["id"]),
        file=file,
        title=titles.get(name) or lang.label(name) or lang.t("choose.title"),
        state=told.state,
        chip=told.chip,
        text=told.text,
        lines=told.lines,
    )


def sort_rows(rows: Sequence[AnswerRow]) -> list[AnswerRow]:
    """Sort rows by state, what is flagged first."""
    return sorted(rows, key=lambda row: ORDER.index(row.state))


@router.get("/results")
async def results(request: Request, ids: Ids = "", chosen: bool = False) -> Response:
    """Show the answers of one upload as a table."""
    person = require(request, "clinician")
    service, language = service_of(request), language_of(request)
    entries = await run_read(_load_entries, service, ids, person)
    if not entries:
        raise UnknownError("There are no such answers of yours.", "They may have been deleted; see the history.")
    await log_look(request, person, "history.look", [e.id for e in entries])
    titles = checkup_titles(service, language)
    versions = [await run_read(answering_version, service, e.model, e.version) for e in entries]
    rows = sort_rows(
        [view_row({**e.answer, "id": e.id}, c, language, titles) for e, c in zip(entries, versions, strict=True)]
    )
    names = {e.model for e in entries}
    back = names.pop() if len(names) == 1 and not chosen else None
    return render_page(
        request,
        "results.html",
        tab="history",
        title=language.t("batch.title", n=len(rows)),
        rows=rows,
        failed=(),
        ids=",".join(row.id for row in rows),  # from one to the next as the table has them
        back=back if back in titles else None,
    )


@router.get("/results.csv")
async def results_csv(request: Request, ids: Ids = "") -> Response:
    """Give the answers of one upload as CSV."""
    person = require(request, "clinician")
    entries = await run_read(_load_entries, service_of(request), ids, person)
    await log_look(request, person, "history.look", [e.id for e in entries])
    text = write_answers({**e.answer, "id": e.id, "at": e.at} for e in entries)
    headers = {"Content-Disposition": 'attachment; filename="answers.csv"', "Cache-Control": "no-store"}
    return Response("\ufeff" + text, 200, headers, "text/csv; charset=utf-8")


@router.get("/results/{id}")
@router.get("/predictions/{id}")
async def result(
    request: Request, id: Id, ids: Ids = "", thanks: bool = False, chosen: bool = False, start: Start = 0.0
) -> Response:
    """Show one answer; its picture where that was kept, here or in the reader's browser."""
    person = require(request, "clinician")
    service, language = service_of(request), language_of(request)
    entry = await run_read(service.journal.get, id, person)
    if entry.state == WITHHELD:
        return await show_withheld(request, entry)
    checkup = await run_read(answering_version, service, entry.model, entry.version)
    kept = await _load_kept(service, entry, person, checkup)
    await log_look(request, person, "answer.look", [id])
    if entry.kept:
        await log_look(request, person, "image.look", [id])
    titles = checkup_titles(service, language)
    view = partial(
        answers.view_entry,
        entry,
        checkup,
        language,
        titles=titles,
        preview=kept.preview,
        evidence=kept.evidence,
        ecg=kept.ecg,
        drawing=kept.drawing,
        chosen=chosen,
        passport=passport_of(service, checkup),
        start=start,
        find=partial(answering_version, service),
    )
    reading = await run_file(view)
    return render_page(
        request,
        "result.html",
        tab="history",
        title=reading.title,
        reading=reading,
        thanks=thanks,
        known=entry.model in titles and not reading.chosen,
        said=describe_feedback(entry, language),
        among=[one for one in ids.split(",") if one] if id in ids.split(",") else [],
        ids=ids,
    )


def _load_entries(service: Service, ids: str, person: Person) -> list[Entry]:
    """Load answers of a person in their order; those that are gone are left out."""
    found = []
    for id in list(dict.fromkeys(filter(None, ids.split(","))))[:MAX_IMAGES]:
        try:
            found.append(service.journal.get(id, person))
        except UnknownError:
            continue
    return found


async def _load_kept(service: Service, entry: Entry, person: Person, checkup: CheckUp | None) -> _Kept:
    """Return picture and heat maps, ECG or drawing of an answer, where it was kept and can be shown."""
    found = await run_read(service.journal.image, entry.id, person)
    if found is None:
        return _Kept()
    path, suffix = found
    try:
        data = await run_file(path.read_bytes)
        if "ecg" in entry.answer:
            source = ecg_storage.unpack(f"kept.{suffix}", data)
            said = entry.answer["ecg"]
            read = await service.in_pool(ecg_intake.read_again, source, said, checkup, service.parsers)
            if checkup is None or not entry.answer.get("prediction"):
                return _Kept(ecg=read)
            fields = ecg_intake.told_fields(said)  # where it looked is not kept
            question = Question(data=source, file=f"kept.{suffix}", heatmap=True, fields=fields)
            again = (await service.in_pool(service.answerer.ask, service.catalog, checkup, question)).prediction.ecg
            found = None if again is None else again.attention
            fits = found is not None and len(found) == read.signal.samples.shape[1]
            return _Kept(ecg=replace(read, attention=found) if fits else read)
        if checkup is not None and page_kind(checkup.modality).drawn:
            return _Kept(drawing=await service.in_pool(examples.draw_again, data, checkup))
        if checkup is None or checkup.finds_boxes or not entry.answer.get("prediction"):
            return _Kept(preview=await service.in_pool(service.decoders.preview, data, PREVIEW))  # boxes are remembered
        # the same network looks at the same places again
        question = Question(data=data, heatmap=True, preview=True, fields=_same_picture(entry.answer))
        again = await service.in_pool(service.answerer.ask, service.catalog, checkup, question)
        return _Kept(preview=again.preview, evidence=again.evidence)
    except (MedloupeError, OSError):  # the answer is still worth showing
        return _Kept()


def _same_picture(answer: Mapping[str, Any]) -> dict[str, str]:
    """Make the fields by which a kept photograph is cut out as it was; a check-up of crops answered, so it was one."""
    corners = (answer.get("photo") or {}).get("corners")
    if not corners:
        return {"photo": "always" if answer.get("photo") else "never", "cropped": "true"}
    return {"cropped": "true", "photo": "always", "corners": ",".join(str(v) for place in corners for v in place)}


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
    return redirect_to(request, f"/results/{id}?thanks=1")
