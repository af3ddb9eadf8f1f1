"""Serve pictures of a data set large enough to be looked at, and to be drawn on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import Response

from medloupe.serving.access.auth import require
from medloupe.serving.engine.pictures import LARGE_PREVIEW
from medloupe.serving.http.threads import run_file, run_read
from medloupe.studio.state import studio_of

router = APIRouter(include_in_schema=False)
Id = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]


@router.get("/studio/{id}/boxes/{item}/picture")
@router.get("/studio/{id}/labels/{item}/picture")
async def picture(request: Request, id: Id, item: Id) -> Response:
    """Give a picture as browsers show it; an ECG is drawn."""
    require(request, "trainer")
    home = studio_of(request)
    found = await run_read(home.sets.item, id, item)
    data = await run_file(home.sets.blobs.get, found.digest)
    if (await run_read(home.sets.get, id)).ecgs:
        drawn = await home.service.in_pool(home.intake.draw_large, found, data)
        return Response(drawn, 200, {"Cache-Control": "private, max-age=86400"}, "image/svg+xml")
    shown = await home.service.in_pool(home.service.decoders.preview, data, LARGE_PREVIEW)
    return Response(shown.jpeg, 200, {"Cache-Control": "private, max-age=86400"}, "image/jpeg")
