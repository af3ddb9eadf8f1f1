"""Serve the pages by which it is told which of several findings pictures have, one picture after the other."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from medloupe.errors import StoreError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.http.errors import as_http
from medloupe.serving.http.threads import run_read, run_write
from medloupe.serving.web.choices import read_findings
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.studio.labelling import find_label_task, find_unlabelled, label_picture
from medloupe.studio.large_pictures import Id
from medloupe.studio.state import studio_of

router = APIRouter(include_in_schema=False)


@router.get("/studio/{id}/labels")
async def next_picture(request: Request, id: Id, after: str = "") -> Response:
    """Go to the next picture of which a finding is not told; back to the data set where there is none."""
    require(request, "trainer")
    found = await run_read(find_unlabelled, studio_of(request).sets, id, after)
    return redirect_to(request, f"/studio/{id}/labels/{found}" if found else f"/studio/{id}")


@router.get("/studio/{id}/labels/{item}")
async def show(request: Request, id: Id, item: Id) -> Response:
    """Show a picture with the findings that it may have."""
    return await _show(request, id, item)


@router.post("/studio/{id}/labels/{item}")
async def save(request: Request, id: Id, item: Id) -> Response:
    """Keep what was told, then on to the next picture."""
    person = require(request, "trainer")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    try:
        found = read_findings(fields)
        await run_write(label_picture, studio_of(request).sets, id, item, found, by=person.name)
    except StoreError as e:
        return await _show(request, id, item, said=f"{e.message} {e.hint}".strip(), status=as_http(e).status)
    return redirect_to(request, f"/studio/{id}/labels?after={item}")


async def _show(request: Request, id: str, item: str, *, said: str = "", status: int = 200) -> Response:
    require(request, "trainer")
    lang = language_of(request)
    task = await run_read(find_label_task, studio_of(request).sets, id, item)
    labels = [(c.name, lang.label(c.name, task.data.name) or c.name) for c in task.data.classes]
    return render_page(request, "studio_labels.html", status, tab="studio", said=said, task=task, labels=labels)
