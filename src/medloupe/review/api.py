"""Serve the JSON routes of the review queue. docs/review.md says how it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field
from starlette.responses import Response

from medloupe.accounts.person import Person
from medloupe.ecg.recording_files import Source
from medloupe.review.desk import desk_of, hide_opinions
from medloupe.serving.access.auth import require
from medloupe.serving.api.schemas import takes
from medloupe.serving.context import add_to_audit_log, admission_of, service_of
from medloupe.serving.http.intake import JsonRoute, read_upload
from medloupe.serving.http.threads import run_file, run_read, run_write
from medloupe.serving.web.render import read_form
from medloupe.store.review_nouns import ReviewCase

router = APIRouter(route_class=JsonRoute)
CaseId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$", description="Of a case, or of its answer.")]


class ReviewBoxIn(BaseModel):
    """A box, in pixels of the upright picture."""

    label: str = Field(max_length=100)
    x: float = Field(ge=0, le=1e6, allow_inf_nan=False)
    y: float = Field(ge=0, le=1e6, allow_inf_nan=False)
    width: float = Field(gt=0, le=1e6, allow_inf_nan=False)
    height: float = Field(gt=0, le=1e6, allow_inf_nan=False)


class ReviewOpinionIn(BaseModel):
    """What a reader says."""

    verdict: Literal["label", "discard"]
    labels: list[str] = Field(
        default=[], max_length=100, description="Those that are right: of classes one, of several findings any number."
    )
    boxes: list[ReviewBoxIn] | None = Field(default=None, max_length=400, description="Of a detector: all there are.")


@router.post(
    "/api/v1/predictions/{id}/review",
    status_code=201,
    openapi_extra=takes("basis", "patient"),
    summary="Let it be reviewed",
)
async def take(
    request: Request,
    id: CaseId,
    basis: Annotated[str, Query(max_length=20)] = "",
    patient: Annotated[str, Query(max_length=100)] = "",
) -> dict[str, Any]:
    """Keep the picture or ECG for review, which was sent before and is sent again; it must be the one answered.

    `basis`, a field or in the address, says why it may be kept: `consent` of the person, or `house_rule`. Where the
    server keeps pictures, a body without one is enough: `basis` in the address. `patient` (better a field than in the
    address, which logs may keep) says whose it is, by an id of the house; without it, it is taken for another person's
    than all others.
    """
    person = require(request, "clinician")
    desk_of(request)  # before anything is read
    offer = await read_offer(request)
    return describe_case(await offer.take(request, id, basis, patient), person)


@router.delete("/api/v1/predictions/{id}/review", status_code=204, summary="Withdraw it from review")
async def withdraw_answer(request: Request, id: CaseId) -> Response:
    """Withdraw one's own picture from review, and from the data set that it went into."""
    person, desk = require(request, "clinician"), desk_of(request)
    await run_read(service_of(request).journal.get, id, person)
    await run_write(desk.withdraw, id, by=person.name)
    return Response(status_code=204)


@router.get("/api/v1/review", summary="Cases to review")
async def cases(
    request: Request,
    state: Literal["open", "settled", "discarded", "withdrawn"] = "open",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """List cases, the oldest first. What others said of an open case is not told to who has not read it."""
    person, desk = require(request, "reviewer"), desk_of(request)
    found = await run_read(desk.queue.list, state, most=limit)
    return {"cases": [describe_case(case, person) for case in found]}


@router.get("/api/v1/review/agreement", summary="How far readers agree")
async def agreement(request: Request, model: Annotated[str | None, Query(max_length=64)] = None) -> dict[str, Any]:
    """Cohen's kappa of the first two readers of each case, with its 95 % interval.

    Of several findings two agree who name exactly the same ones; `findings` has each of them by itself.
    """
    require(request, "reviewer")
    return (await run_read(desk_of(request).measure_agreement, model)).as_json()


@router.get("/api/v1/review/{id}", summary="One case")
async def case(request: Request, id: CaseId) -> dict[str, Any]:
    """Get a case."""
    person, desk = require(request, "reviewer"), desk_of(request)
    found = await run_read(desk.queue.get, id)
    await add_to_audit_log(request, person, "review.look", found.id)
    return describe_case(found, person)


@router.get("/api/v1/review/{id}/image", summary="The picture of a case", response_class=Response)
async def image(request: Request, id: CaseId) -> Response:
    """Get the file as it was sent."""
    person, desk = require(request, "reviewer"), desk_of(request)
    found = await run_read(desk.queue.get, id)
    data = await run_file(desk.queue.picture, found)
    await add_to_audit_log(request, person, "review.look", found.id)
    headers = {"Content-Disposition": f'attachment; filename="{found.id}"', "Cache-Control": "no-store"}
    return Response(data, 200, headers, "application/octet-stream")


@router.post("/api/v1/review/{id}/opinion", summary="Say what it shows")
async def opinion(request: Request, id: CaseId, said: ReviewOpinionIn) -> dict[str, Any]:
    """Say it once. Where enough readers agree, the case is settled and goes into the data set of the model's name."""
    person, desk = require(request, "reviewer"), desk_of(request)
    boxes = None if said.boxes is None else [box.model_dump() for box in said.boxes]
    found = await run_write(desk.read, id, person, verdict=said.verdict, labels=said.labels, boxes=boxes)
    return describe_case(found, person)


@router.post("/api/v1/review/{id}/second", summary="Ask a second reader")
async def second(request: Request, id: CaseId) -> dict[str, Any]:
    """From now on two readers must agree."""
    person, desk = require(request, "reviewer"), desk_of(request)
    return describe_case(await run_write(desk.queue.ask_second, id, by=person.name), person)


@router.delete("/api/v1/review/{id}", status_code=204, summary="Withdraw a case")
async def withdraw(request: Request, id: CaseId) -> Response:
    """Delete the picture and all that was said of it, here and in its data set; its place stays."""
    person, desk = require(request, "reviewer"), desk_of(request)
    await run_write(desk.withdraw, id, by=person.name)
    return Response(status_code=204)


@dataclass(frozen=True, slots=True)
class ReviewOffer:
    """What is sent to let an answer be reviewed: the picture or ECG, or None where it is kept here, and the fields."""

    data: Source | None
    fields: Mapping[str, str]

    async def take(self, request: Request, id: str, basis: str = "", patient: str = "") -> ReviewCase:
        """Take the answer into review; raises as `ReviewDesk.take`."""
        person, desk = require(request, "clinician"), desk_of(request)
        entry = await run_read(service_of(request).journal.get, id, person)
        told = (self.fields.get("patient", "") or patient).strip() or None
        return await run_file(desk.take, entry, self.data, self.fields.get("basis", "") or basis, person, patient=told)


async def read_offer(request: Request) -> ReviewOffer:
    """Read the picture and the fields of a request; a form without files has none. Raises HttpError."""
    kind = request.headers.get("content-type", "")
    if not kind:
        return ReviewOffer(None, {})
    if kind.startswith("application/x-www-form-urlencoded"):
        return ReviewOffer(None, {name: values[0] for name, values in (await read_form(request)).items()})
    with admission_of(request).room() as room:
        upload = await read_upload(request, room)
        _, sent = upload.one()
        return ReviewOffer(sent, upload.fields)


def describe_case(case: ReviewCase, person: Person) -> dict[str, Any]:
    """Describe a case for a person as JSON."""
    told = asdict(hide_opinions(case, person.name))
    return {**told, "disputed": case.disputed, "read": case.read_by(person.name)}
