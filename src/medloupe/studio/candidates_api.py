"""Serve the JSON routes of the loop: corrections, candidates, their figures, promotion, and when they are made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from medloupe.retrain.figures import compare_candidate
from medloupe.serving.access.auth import require
from medloupe.serving.http.intake import JsonRoute
from medloupe.serving.http.threads import run_read, run_write
from medloupe.store.candidates import DISMISSED, MOST_CORRECTIONS, MOST_DAYS, Candidate, Candidates, RetrainRule
from medloupe.studio.api import DatasetId
from medloupe.studio.candidates import (
    ask_for_candidate,
    find_candidate,
    look_at_loop,
    promote_candidate,
)
from medloupe.studio.state import studio_of

router = APIRouter(route_class=JsonRoute)
CandidateId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]


class RuleIn(BaseModel):
    """When candidates are made without anybody asking; null: not by that."""

    model_config = ConfigDict(extra="forbid")
    corrections: int | None = Field(None, ge=1, le=MOST_CORRECTIONS, description="After so many new ones.")
    days: float | None = Field(None, gt=0, le=MOST_DAYS, description="After so long, where there is any new one.")


class DecisionIn(BaseModel):
    """Why, and whether the gate is overruled, which needs a reason."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field("", max_length=2000)
    force: bool = False


class ReasonIn(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field("", max_length=2000)


@router.get("/api/v1/datasets/{id}/candidates", summary="Corrections and candidates")
async def candidates(request: Request, id: DatasetId) -> dict[str, Any]:
    """How many corrections there are, the frozen test, the rule, and all candidates, the newest first."""
    require(request, "trainer")
    seen = await run_read(look_at_loop, studio_of(request), id)
    frozen = seen.frozen
    return {
        "production": seen.production,
        "corrections": len(seen.corrections),
        "new": len(seen.fresh),
        "why_not": seen.why_not,
        "rule": asdict(seen.rule),
        "frozen_test": None
        if frozen is None
        else {
            "kind": frozen.kind,
            "at": frozen.at,
            "by": frozen.by,
            "pictures": len(frozen.digests),
            "patients": len(frozen.patients),
            "erased": frozen.erased,
        },
        "candidates": [describe_candidate(one) for one in seen.candidates],
    }


@router.post("/api/v1/datasets/{id}/candidates", status_code=202, summary="A candidate, of the corrections")
async def ask(request: Request, id: DatasetId) -> dict[str, Any]:
    """Freeze a version and put the training of a candidate into the queue; one that is under way is told as it is."""
    person = require(request, "trainer")
    made = await run_write(ask_for_candidate, studio_of(request), id, cause="api", by=person.name)
    return describe_candidate(made)


@router.get("/api/v1/datasets/{id}/candidates/{candidate}", summary="A candidate, against production")
async def candidate(request: Request, id: DatasetId, candidate: CandidateId) -> dict[str, Any]:
    """Tell verdict, figures of both with differences, answers that change, what was added, and who is contradicted."""
    require(request, "trainer")
    studio = studio_of(request)

    def read() -> dict[str, Any]:
        found = find_candidate(studio, id, candidate)
        figures = None if found.version is None else compare_candidate(studio.service.store, found).as_json()
        return {**describe_candidate(found), "comparison": figures}

    return await run_read(read)


@router.post("/api/v1/datasets/{id}/candidates/{candidate}/promote", summary="Put a candidate into production")
async def promote(request: Request, id: DatasetId, candidate: CandidateId, wish: DecisionIn) -> dict[str, Any]:
    """Refused with 409 where the gate refuses, unless forced with a reason. A second time is no error."""
    person = require(request, "admin")
    made = await promote_candidate(
        studio_of(request),
        id,
        candidate,
        person,
        reason=wish.reason,
        force=wish.force,
        request_id=request.state.request_id,
    )
    return describe_candidate(made)


@router.post("/api/v1/datasets/{id}/candidates/{candidate}/dismiss", summary="Do without a candidate")
async def dismiss(request: Request, id: DatasetId, candidate: CandidateId, wish: ReasonIn) -> dict[str, Any]:
    """Leave it in the store, from where it can still be promoted."""
    person = require(request, "admin")
    studio = studio_of(request)

    def work() -> Candidate:
        found = find_candidate(studio, id, candidate)
        return Candidates(studio.sets.engine).decide(found.id, DISMISSED, by=person.name, reason=wish.reason)

    return describe_candidate(await run_write(work))


@router.put("/api/v1/datasets/{id}/candidates/rule", summary="When candidates are made by themselves")
async def rule(request: Request, id: DatasetId, wish: RuleIn) -> dict[str, Any]:
    """After so many new corrections, after so many days, or only when somebody asks."""
    person = require(request, "trainer")
    told = RetrainRule(corrections=wish.corrections, days=wish.days)
    await run_write(Candidates(studio_of(request).sets.engine).set_rule, id, told, by=person.name)
    return wish.model_dump()


def describe_candidate(one: Candidate) -> dict[str, Any]:
    """Describe a candidate, without its figures."""
    told = asdict(one)
    del told["figures"]
    return told
