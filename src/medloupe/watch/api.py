"""Serve the JSON routes of the watch and the pilot. docs/watch.md and docs/pilot.md say how they work."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from medloupe.serving.access.auth import require
from medloupe.serving.context import add_to_audit_log, keyed, service_of
from medloupe.serving.engine.references import give_reference
from medloupe.serving.http.intake import JsonRoute
from medloupe.serving.http.threads import run_read, run_write
from medloupe.store.pilots import Pilot, Pilots
from medloupe.watch.board import board_of
from medloupe.watch.pilots import report_on

router = APIRouter(route_class=JsonRoute)
AnswerId = Annotated[str, InPath(description="The `id` of an answer.", max_length=64)]


class ReferenceIn(BaseModel):
    """What an answer of a pilot is compared with."""

    labels: list[str] = Field(max_length=100, description="Those that are true; empty for none.")


@router.get("/api/v1/watch", summary="What is watched of every check-up")
async def watch(request: Request) -> dict[str, Any]:
    """By check-up its weeks, its sites with their drift, and its calibration; the disk."""
    require(request, "admin")
    state = await run_read(board_of(request).look)
    told = asdict(state)
    for board, shown in zip(state.checkups, told["checkups"], strict=True):
        if board.calibration is not None:
            shown["calibration"]["verdict"] = board.calibration.verdict
        for week, own in zip(board.weeks, shown["weeks"], strict=True):
            own["start"] = week.start.isoformat()
            own["flagged"]["unusual"], own["refused"]["unusual"] = week.flagged.unusual, week.refused.unusual
    return told


@router.get("/api/v1/pilot", summary="How far the pilot is")
async def pilot(request: Request) -> dict[str, Any]:
    """Tell of the last pilot; `id` is null where there was none."""
    require(request, "admin")
    return await run_read(_describe, service_of(request).pilot.pilots)


@router.get("/api/v1/pilot/report", summary="Answers of the pilot against their references")
async def report(request: Request) -> dict[str, Any]:
    """By check-up and label the counts, and sensitivity, specificity and predictive values with 95 % intervals."""
    person = require(request, "admin")
    service = service_of(request)
    latest = await run_read(service.pilot.pilots.latest)
    found = [] if latest is None else await run_read(report_on, service.pilot.pilots, latest, service.store)
    await add_to_audit_log(request, person, "pilot.look", "" if latest is None else latest.id)
    return {"reports": [one.as_json() for one in found]}


@router.post("/api/v1/pilot/begin", summary="Begin a pilot")
async def begin(request: Request) -> dict[str, Any]:
    """Record answers from now on and show none; a pilot that runs goes on."""
    person = require(request, "admin")
    service = service_of(request)
    found = await run_write(lambda: service.pilot.pilots.begin(by=person.name))
    await run_read(service.pilot.refresh)
    await add_to_audit_log(request, person, "pilot.begin", found.id)
    return await run_read(_describe, service.pilot.pilots)


@router.post("/api/v1/pilot/end", summary="End the pilot")
async def end(request: Request) -> dict[str, Any]:
    """Show all its answers."""
    person = require(request, "admin")
    service = service_of(request)
    running = service.pilot.running
    await run_write(lambda: service.pilot.pilots.end(by=person.name))
    await run_read(service.pilot.refresh)
    await add_to_audit_log(request, person, "pilot.end", running.id if running else "")
    return await run_read(_describe, service.pilot.pilots)


@router.post("/api/v1/predictions/{id}/reference", summary="Give the reference of an answer of a pilot")
async def reference(request: Request, id: AnswerId, told: ReferenceIn) -> dict[str, Any]:
    """Once, and before the answer is seen; the answer is shown from then on."""
    person = require(request, "clinician")
    await run_write(give_reference, service_of(request), id, person, told.labels)
    await add_to_audit_log(request, person, "pilot.reference", keyed(request, id))
    return {"id": id, "labels": told.labels}


def _describe(pilots: Pilots) -> dict[str, Any]:
    found: Pilot | None = pilots.latest()
    if found is None:
        return {"id": None, "running": False, "started": None, "ended": None, "plan": None, "models": {}}
    counts = pilots.count(found.id)
    return {
        "id": found.id,
        "running": found.ended is None,
        "started": found.started,
        "ended": found.ended,
        "plan": found.plan,
        "models": {model: {"answers": n, "referred": referred} for model, (n, referred) in counts.items()},
    }
