"""Show an answer that a pilot hides: that it was recorded, and the form that takes its reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import Response

from medloupe.errors import MedloupeError, StoreError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import add_to_audit_log, keyed, service_of
from medloupe.serving.engine.references import give_reference
from medloupe.serving.http.errors import as_http
from medloupe.serving.http.threads import run_read, run_write
from medloupe.serving.web.lookups import answering_version, checkup_titles
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page

if TYPE_CHECKING:
    from medloupe.serving.engine.entries import Entry

router = APIRouter(include_in_schema=False)
Id = Annotated[str, InPath(max_length=64, pattern=r"^[^\x00]*$")]  # which PostgreSQL refuses


async def show_withheld(request: Request, entry: Entry, *, said: str = "", status: int = 200) -> Response:
    """Show that an answer was recorded, and ask for its reference."""
    service, language = service_of(request), language_of(request)
    checkup = await run_read(answering_version, service, entry.model, entry.version)
    labels = () if checkup is None else checkup.answered_labels
    return render_page(
        request,
        "withheld.html",
        status,
        tab="history",
        id=entry.id,
        at=language.date(entry.at),
        title=checkup_titles(service, language).get(entry.model) or language.label(entry.model),
        labels=[(name, language.label(name)) for name in labels],
        several=checkup is not None and checkup.task != "multiclass",
        said=said,
    )


@router.post("/predictions/{id}/reference")
async def reference(request: Request, id: Id) -> Response:
    """Take the reference of an answer; from then on it is shown."""
    person = require(request, "clinician")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    service = service_of(request)
    labels = [label for label in fields.get("label", ()) if label]
    try:
        if not labels and not first_value(fields, "none"):
            raise StoreError(language_of(request).t("pilot.choose_one"))
        await run_write(give_reference, service, id, person, labels)
    except MedloupeError as e:
        entry = await run_read(service.journal.get, id, person)
        return await show_withheld(request, entry, said=f"{e.message} {e.hint}".strip(), status=as_http(e).status)
    await add_to_audit_log(request, person, "pilot.reference", keyed(request, id))
    return redirect_to(request, f"/results/{id}")
