"""Serve the boxes of an answer as files: those at or over their lines, or those that a page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import Response

from medloupe.errors import UnknownError
from medloupe.inference.boxfiles import PictureBoxes, write_boxes_csv, write_coco
from medloupe.model.boxes import FoundBox
from medloupe.serving.access.auth import require
from medloupe.serving.context import log_look, service_of
from medloupe.serving.engine.journal import Entry
from medloupe.serving.http.threads import run_read
from medloupe.serving.web.lookups import answering_version

router = APIRouter(include_in_schema=False)
Id = Annotated[str, InPath(max_length=64, pattern=r"^[^\x00]*$")]  # which PostgreSQL refuses
From = Annotated[str, Query(alias="from", max_length=5000)]
_NEVER = 2.0  # a line that no score reaches


@router.get("/results/{id}/boxes.{kind}")
async def boxes(request: Request, id: Id, kind: Literal["csv", "json"], least: From = "") -> Response:
    """Give the boxes of an answer as CSV or COCO JSON.

    Parameters
    ----------
    request
        The request.
    id
        Of the answer.
    kind
        "csv", or "json" for COCO.
    least
        From which score on boxes of a label are wanted, "PLACE:SCORE,…" by its place among the labels; by its line
        where it is not named.
    """
    person = require(request, "clinician")
    service = service_of(request)
    entry = await run_read(service.journal.get, id, person)
    if entry.answer.get("boxes") is None:
        raise UnknownError("This answer has no boxes.", "Only detectors find any.")
    checkup = await run_read(answering_version, service, entry.model, entry.version)
    await log_look(request, person, "answer.look", [id])
    labels = list(checkup.labels) if checkup else list(entry.answer.get("lines") or {})
    found = _select(entry, labels, _read_least(least))
    name = f"boxes-{id[:12]}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    if kind == "csv":
        return Response("\ufeff" + write_boxes_csv([found]), 200, headers, "text/csv; charset=utf-8")
    version = "" if entry.version is None else f", version {entry.version}"
    about = f"Marked by {entry.model}{version}, medloupe; research software, not a medical device"
    return Response(write_coco([found], labels, about), 200, headers, "application/json")


def _select(entry: Entry, labels: list[str], least: Mapping[int, float]) -> PictureBoxes:
    lines: Mapping[str, float] = entry.answer.get("lines") or {}
    limit = {name: least.get(k, lines.get(name, _NEVER)) for k, name in enumerate(labels)}
    size: Mapping[str, Any] = entry.answer.get("picture") or {}
    return PictureBoxes(
        file=entry.alias or entry.id,
        width=int(size.get("width") or 0),
        height=int(size.get("height") or 0),
        boxes=[
            FoundBox(label=b["label"], score=b["score"], x=b["x"], y=b["y"], width=b["w"], height=b["h"])
            for b in entry.answer["boxes"]
            if b["score"] >= limit.get(b["label"], _NEVER)
        ],
    )


def _read_least(text: str) -> dict[int, float]:
    """Read "0:0.44,2:0.3"; what is none of that is left out."""
    found: dict[int, float] = {}
    for part in text.split(","):
        place, _, score = part.partition(":")
        try:
            value = float(score)
        except ValueError:
            continue
        if place.isascii() and place.isdigit() and len(place) < 6 and math.isfinite(value):
            found[int(place)] = value
    return found
