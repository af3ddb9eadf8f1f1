"""Serve the JSON routes of shadow comparisons: another version answers live requests unseen, and both are compared."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from medloupe.metrics.shadow import compare_answers
from medloupe.serving.access.auth import require
from medloupe.serving.api.predictions import Name
from medloupe.serving.context import service_of
from medloupe.serving.engine.service import Service
from medloupe.serving.http.intake import JsonRoute
from medloupe.serving.http.threads import run_read, run_write
from medloupe.store.shadows import MOST, Shadow, Shadows

router = APIRouter(route_class=JsonRoute)


class ShadowIn(BaseModel):
    """The version to be compared with the one in production, and on how many requests."""

    model_config = ConfigDict(extra="forbid")
    version: int = Field(ge=1, lt=2**31)
    requests: int = Field(200, ge=1, le=MOST)


@router.get("/api/v1/models/{name}/shadow", summary="Two versions on live requests")
async def shadows(request: Request, name: Name) -> dict[str, Any]:
    """All comparisons of a check-up, the newest first: how often both agree, and where they do not."""
    require(request, "trainer")
    shadow = service_of(request).shadow.shadows
    found = await run_read(lambda: [describe_shadow(shadow, one) for one in shadow.list(name)])
    return {"shadows": found}


@router.post("/api/v1/models/{name}/shadow", status_code=202, summary="Compare another version on live requests")
async def begin(request: Request, name: Name, wish: ShadowIn) -> dict[str, Any]:
    """Let it answer the next requests in shadow; one of the same two versions that goes on is told as it is."""
    person = require(request, "admin")
    made = await begin_shadow(
        service_of(request),
        name,
        wish.version,
        wanted=wish.requests,
        by=person.name,
        request_id=request.state.request_id,
    )
    return asdict(made)


@router.post("/api/v1/models/{name}/shadow/stop", summary="End the comparison that goes on")
async def stop(request: Request, name: Name) -> dict[str, Any]:
    """Keep what was compared so far. 409 where none goes on."""
    person = require(request, "admin")
    ended = await end_shadow(service_of(request), name, by=person.name, request_id=request.state.request_id)
    return asdict(ended)


async def begin_shadow(service: Service, name: str, version: int, *, wanted: int, by: str, request_id: str) -> Shadow:
    """Compare a version with the one in production, here at once and elsewhere within seconds.

    Raises
    ------
    UnknownError
        There is no such version, or none is in production.
    StoreError
        Two others are being compared, or it is the one in production.
    """
    present = (await service.checkup(name)).version

    def work() -> Shadow:
        made = service.shadow.shadows.begin(name, present or 0, version, wanted=wanted, by=by, request_id=request_id)
        service.shadow.refresh()
        return made

    return await run_write(work)


async def end_shadow(service: Service, name: str, *, by: str, request_id: str) -> Shadow:
    """End the comparison of a check-up that goes on. Raises StoreError where none does."""

    def work() -> Shadow:
        ended = service.shadow.shadows.end(name, by=by, request_id=request_id)
        service.shadow.refresh()
        return ended

    return await run_write(work)


def describe_shadow(shadows: Shadows, one: Shadow) -> dict[str, Any]:
    """Describe a comparison with its figures."""
    cases = list(shadows.cases(one))
    figures = compare_answers(((c.site, c.before, c.after) for c in cases), (c.ms for c in cases))
    return {**asdict(one), "figures": figures.as_json()}
