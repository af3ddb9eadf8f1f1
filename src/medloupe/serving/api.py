"""The JSON routes of pictures: asking, predictions and feedback. docs/api.md is their manual."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from medloupe.errors import ImageError, UnknownError
from medloupe.people import Person
from medloupe.serving.auth import require
from medloupe.serving.checkup import CheckUp
from medloupe.serving.download import Download
from medloupe.serving.errors import as_http
from medloupe.serving.intake import JsonRoute, flag, read
from medloupe.serving.journal import Entry
from medloupe.serving.service import Answer, Service

router = APIRouter(route_class=JsonRoute)
Name = Annotated[str, InPath(description="Name of a check-up.", max_length=64)]
PredictionId = Annotated[str, InPath(description="The `id` of an answer.", max_length=64)]
_IMAGE = {"type": "string", "format": "binary", "description": "JPEG, PNG, DICOM, TIFF, WebP, BMP, GIF."}


def _takes(*fields: str) -> dict[str, Any]:
    """How OpenAPI describes a body with images; it is read by intake.py and not by FastAPI, which would spool it."""
    form: dict[str, Any] = {"image": {"type": "array", "items": _IMAGE}}
    form |= {name: {"type": "string"} for name in fields}
    kinds: dict[str, Any] = {
        "multipart/form-data": {"schema": {"type": "object", "required": ["image"], "properties": form}}
    }
    if not fields:
        kinds |= {kind: {"schema": _IMAGE} for kind in ("image/*", "application/dicom")}
    return {"requestBody": {"required": True, "content": kinds}}


class Problem(BaseModel):
    """What went wrong and what to do."""

    code: str
    message: str
    hint: str


class Failure(BaseModel):
    """The body of every answer that is no success."""

    error: Problem


class RefusedOut(BaseModel):
    """Why a picture was not judged, and what it looks like instead."""

    reason: str
    looks_like: str


class PredictionOut(BaseModel):
    """The answer to one picture. `heatmap`: by label, what each place adds to the logit."""

    file: str = ""
    model: str | None
    version: int | None
    prediction: str
    probabilities: dict[str, float]
    refused: RefusedOut | None
    id: str
    heatmap: dict[str, list[list[float]]] | None = None
    timings: dict[str, float] = Field(default_factory=dict, description="Milliseconds by stage.")


class PredictionsOut(BaseModel):
    """The answers to several pictures, in their order; an unreadable one has an error instead."""

    predictions: list[PredictionOut | dict[str, Any]]


class FeedbackIn(BaseModel):
    """Was the answer right? labels: the true ones, where it was not."""

    model_config = ConfigDict(extra="forbid")
    right: bool | None = None
    labels: list[Annotated[str, Field(max_length=1000)]] | None = Field(None, max_length=100)


FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": Failure, "description": text}
    for status, text in (
        (400, "The request cannot be read."),
        (401, "Log in first."),
        (403, "Not allowed."),
        (404, "There is no such thing."),
        (408, "The body stopped coming."),
        (409, "The promotion gate refuses."),
        (413, "Too large, by bytes or by pixels."),
        (415, "Not an image."),
        (422, "An image that cannot be read, or fields that do not fit."),
        (503, "Busy or out of order for now; see Retry-After."),
    )
}


def service_of(request: Request) -> Service:
    """The running service."""
    return request.app.state.service


# ------------------------------------------------------------------ asking


@router.post(
    "/api/v1/models/{name}/predict",
    response_model=PredictionOut | PredictionsOut,
    response_model_exclude_none=False,
    openapi_extra=_takes(),
    summary="Ask a check-up about one or several pictures",
)
async def predict(
    request: Request,
    name: Name,
    heatmap: Annotated[bool, Query(description="Also say what each place adds to each label.")] = False,
    version: Annotated[int | None, Query(ge=1, lt=2**31, description="Instead of the one in production.")] = None,
) -> Response:
    """One picture: its prediction. Several: `{"predictions": […]}`."""
    person = require(request, "clinician")
    checkup = await service_of(request).checkup(name, version)  # before the body is read, and the same for all of it
    return await _predict(request, person, checkup, heatmap)


@router.post(
    "/api/v1/predict",
    response_model=PredictionOut | PredictionsOut,
    openapi_extra=_takes(),
    summary="Let the app choose the check-up",
)
async def predict_auto(
    request: Request,
    heatmap: bool = False,
    models: Annotated[str, Query(description="Ask these instead, by name, with commas; `all` for all.")] = "",
) -> Response:
    """The check-up that knows pictures of this kind answers, or none does and it is refused.

    With `models` these answer, all from one pass of the network: `{"predictions": […]}`, in their order.
    """
    person = require(request, "clinician")
    if not models:
        return await _predict(request, person, None, heatmap)
    service = service_of(request)
    names = [c.name for c in service.catalog.all()] if models == "all" else [n.strip() for n in models.split(",")]
    checkups = [service.catalog.get(name) for name in dict.fromkeys(names)]  # before the body is read
    with admission(request).room() as room:
        file, data = (await read(request, room)).one()
        with admission(request).place():
            answers = await service.ask_many(checkups, data, person=person, file=file, heatmap=heatmap)
    for answer in answers:
        note(request, answer)
    return JSONResponse({"predictions": [a.as_json() for a in answers]})


@router.post("/predict", openapi_extra=_takes("user", "model"), summary="The plain form")
async def predict_plain(request: Request) -> Response:
    """`user`, `model` and `image` in, `{"user", "model", "prediction", "probabilities", …}` out; without `model`, or
    with `auto`, the app chooses."""
    person = require(request, "clinician")
    with admission(request).room() as room:
        upload = await read(request, room)
        name = upload.fields.get("model", "").strip()
        file, data = upload.one()
        wanted = flag(upload.fields.get("heatmap"))
        with admission(request).place():
            checkup = None if name in ("", "auto") else service_of(request).catalog.get(name)
            answer = await _ask(request, person, checkup, (file, data), wanted)
    return JSONResponse({"user": upload.fields.get("user", ""), **answer.as_json()})


async def _predict(request: Request, person: Person, checkup: CheckUp | None, heatmap: bool) -> Response:
    with admission(request).room() as room:
        upload = await read(request, room)
        with admission(request).place():
            if len(upload.images) == 1:
                answer = await _ask(request, person, checkup, upload.images[0], heatmap)
                return JSONResponse(answer.as_json())
            said = [await _ask_kindly(request, person, checkup, image, heatmap) for image in upload.images]
    return JSONResponse({"predictions": said})


async def _ask(
    request: Request, person: Person, checkup: CheckUp | None, image: tuple[str, bytes], heatmap: bool
) -> Answer:
    answer = await service_of(request).ask(checkup, image[1], person=person, file=image[0], heatmap=heatmap)
    note(request, answer)
    return answer


async def _ask_kindly(
    request: Request, person: Person, checkup: CheckUp | None, image: tuple[str, bytes], heatmap: bool
) -> dict[str, Any]:
    try:
        return (await _ask(request, person, checkup, image, heatmap)).as_json()
    except ImageError as e:
        return {"file": image[0], **as_http(e).as_json()}


def admission(request: Request) -> Any:
    """Who is let in."""
    return request.app.state.admission


def note(request: Request, answer: Answer) -> None:
    """For the log line and the figures: which model and version answered."""
    request.scope["state"]["noted"] = {"model": answer.prediction.model, "version": answer.prediction.version}
    request.app.state.metrics.answered(answer)


# ------------------------------------------------------------------ predictions


def entry_json(entry: Entry) -> dict[str, Any]:
    """One remembered answer."""
    said = {"right": entry.right, "labels": list(entry.labels)} if entry.commented else None
    return {**entry.answer, "id": entry.id, "at": entry.at, "image_kept": entry.kept, "feedback": said}


@router.get("/api/v1/predictions", summary="One's own predictions, the newest first")
async def predictions(
    request: Request, before: str | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """`before`: `AT_ID` of the last one seen, for the next page."""
    person = require(request, "clinician")
    found = await asyncio.to_thread(service_of(request).journal.mine, person, before, limit)
    return {"predictions": [entry_json(e) for e in found]}


@router.get("/api/v1/predictions/{id}", summary="One prediction")
async def prediction(request: Request, id: PredictionId) -> dict[str, Any]:
    """What was answered, and what was said of it."""
    person = require(request, "clinician")
    return entry_json(await asyncio.to_thread(service_of(request).journal.get, id, person))


@router.post("/api/v1/predictions/{id}/feedback", summary="Was it right?")
async def feedback(request: Request, id: PredictionId, said: FeedbackIn) -> dict[str, Any]:
    """Kept for retraining."""
    person = require(request, "clinician")
    await service_of(request).feedback(id, person, said.right, said.labels)
    return {"id": id, "feedback": {"right": said.right, "labels": said.labels or []}}


@router.delete("/api/v1/predictions/{id}", status_code=204, summary="Forget a prediction, its feedback and its image")
async def forget(request: Request, id: PredictionId) -> Response:
    """Nothing of it is left but the audit log's line that it was deleted."""
    person = require(request, "clinician")
    await service_of(request).journal.forget(id, person)
    await audit(request, person, "prediction.delete", id)
    return Response(status_code=204)


@router.get("/api/v1/predictions/{id}/image", summary="The kept image", response_class=Response)
async def image(request: Request, id: PredictionId) -> Response:
    """404 where it was not kept."""
    person = require(request, "clinician")
    found = await asyncio.to_thread(service_of(request).journal.image, id, person)
    if found is None:
        raise UnknownError(f"The image of the prediction {id} is not kept.", "Images are only kept with --keep-images.")
    path, suffix = found
    return Download(path, media_type="application/octet-stream", filename=f"{id}.{suffix}")


@router.delete("/api/v1/predictions/{id}/image", status_code=204, summary="Delete the kept image")
async def forget_image(request: Request, id: PredictionId) -> Response:
    """The answer stays."""
    person = require(request, "clinician")
    await service_of(request).journal.forget(id, person, image_only=True)
    await audit(request, person, "image.delete", id)
    return Response(status_code=204)


async def audit(
    request: Request, person: Person, action: str, object: str, detail: Mapping[str, Any] | None = None
) -> None:
    """A line in the audit log."""
    people = request.app.state.people
    await asyncio.to_thread(people.audit, person.name, action, object, detail, request.state.request_id)
