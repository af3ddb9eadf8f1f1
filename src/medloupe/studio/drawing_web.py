"""Serve the pages by which boxes are drawn on the pictures of a data set, one picture after the other."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from starlette.responses import Response

from medloupe.errors import StoreError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.http.errors import HttpError, as_http
from medloupe.serving.http.threads import run_file, run_read, run_write
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.studio.drawing import draw_boxes, find_box_task, find_next
from medloupe.studio.large_pictures import Id
from medloupe.studio.state import studio_of

router = APIRouter(include_in_schema=False)
MOST_FORM = 512 * 2**10
"""Bytes of the form with all boxes of a picture."""


@router.get("/studio/{id}/boxes")
async def next_picture(request: Request, id: Id, after: str = "") -> Response:
    """Go to the next picture at which nobody has looked; back to the data set where there is none."""
    require(request, "trainer")
    found = await run_read(find_next, studio_of(request).sets, id, after)
    return redirect_to(request, f"/studio/{id}/boxes/{found}" if found else f"/studio/{id}")


@router.get("/studio/{id}/boxes/{item}")
async def draw(request: Request, id: Id, item: Id) -> Response:
    """Show a picture with its boxes, to be drawn and corrected."""
    return await _show(request, id, item)


@router.post("/studio/{id}/boxes/{item}")
async def save(request: Request, id: Id, item: Id) -> Response:
    """Keep what was drawn, then on to the next picture."""
    person = require(request, "trainer")
    fields = await read_form(request, MOST_FORM)
    check_csrf(request, first_value(fields, "csrf"))
    home = studio_of(request)
    try:
        told = json.loads(first_value(fields, "boxes") or "[]")
        boxes = [{name: box[name] for name in ("label", "x", "y", "width", "height")} for box in told]
    except (ValueError, TypeError, KeyError) as e:
        raise HttpError(422, "bad_form", "The boxes cannot be read.", "Load the page again.") from e
    try:
        await run_write(draw_boxes, home.sets, home.service.decoders, id, item, boxes, by=person.name)
    except StoreError as e:
        return await _show(request, id, item, said=f"{e.message} {e.hint}".strip(), status=as_http(e).status)
    return redirect_to(request, f"/studio/{id}/boxes?after={item}")


async def _show(request: Request, id: str, item: str, *, said: str = "", status: int = 200) -> Response:
    require(request, "trainer")
    home, lang = studio_of(request), language_of(request)
    task = await run_file(find_box_task, home.sets, home.service.decoders, id, item)
    labels = [(c.name, lang.label(c.name, task.data.name) or c.name) for c in task.data.classes]
    return render_page(request, "studio_boxes.html", status, tab="studio", said=said, task=task, labels=labels)
