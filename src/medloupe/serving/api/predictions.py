"""Serve the JSON routes of pictures: asking, predictions and feedback. docs/api.md is their manual."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response

from medloupe.accounts.person import Person
from medloupe.errors import ImageError, UnknownError
from medloupe.imaging.sandbox.processpool import Cancellation
from medloupe.model.brief import write_brief, write_brief_failure
from medloupe.serving.access.auth import require
from medloupe.serving.api.brief import Brief, BriefOut, BriefsOut
from medloupe.serving.api.schemas import FeedbackIn, PredictionOut, PredictionsOut, takes
from medloupe.serving.context import add_to_audit_log, admission_of, keyed, log_look, note_answer, service_of
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.entries import Entry
from medloupe.serving.engine.kinds import select_by_kind
from medloupe.serving.http.departure import watch_client
from medloupe.serving.http.download import Download
from medloupe.serving.http.errors import as_http
from medloupe.serving.http.intake import JsonRoute, Upload, parse_flag, read_upload
from medloupe.serving.http.threads import run_read
from medloupe.serving.once import do_once, open_once, open_once_for, refuse_key

router = APIRouter(route_class=JsonRoute)
Name = Annotated[str, InPath(description="Name of a check-up.", max_length=64)]
PredictionId = Annotated[str, InPath(description="The `id` of an answer.", max_length=64)]


# ------------------------------------------------------------------ asking


@router.post(
    "/api/v1/models/{name}/predict",
    response_model=PredictionOut | PredictionsOut | BriefOut | BriefsOut,
    response_model_exclude_none=False,
    openapi_extra=takes(),
    summary="Ask a check-up about one or several pictures or ECGs",
)
async def predict(
    request: Request,
    name: Name,
    heatmap: Annotated[bool, Query(description="Also say what each place adds to each label.")] = False,
    version: Annotated[int | None, Query(ge=1, lt=2**31, description="Instead of the one in production.")] = None,
    brief: Brief = False,
) -> Response:
    """One picture: its prediction. Several: `{"predictions": […]}`."""
    person = require(request, "clinician")
    checkup = await service_of(request).checkup(name, version)  # before the body is read, and the same for all of it
    return await _predict(request, person, checkup, heatmap, brief)


@router.post(
    "/api/v1/predict",
    response_model=PredictionOut | PredictionsOut | BriefOut | BriefsOut,
    openapi_extra=takes(applies=True),
    summary="Let the app choose the check-ups",
)
async def predict_auto(
    request: Request,
    heatmap: bool = False,
    models: Annotated[str, Query(description="Ask these instead, by name, with commas; `all` for all.")] = "",
    brief: Brief = False,
) -> Response:
    """Let all check-ups answer that are of the picture's kind; where there are none, it is refused.

    The most dangerous answer is given, with all of them in `answers`. Where it depends on whom or what the picture is
    of, `ask` says what must be known: a field `applies.QUESTION`, in the form or the address.

    With `models` these answer, all from one pass of the network: `{"predictions": […]}`, in their order; `all` are
    those that read such files, pictures or ECGs.
    """
    person = require(request, "clinician")
    if not models:
        return await _predict(request, person, None, heatmap, brief)
    refuse_key(request)
    service = service_of(request)
    names = [c.name for c in service.catalog.all()] if models == "all" else [n.strip() for n in models.split(",")]
    checkups = [service.catalog.get(name) for name in dict.fromkeys(names)]  # before the body is read
    with admission_of(request).room() as room:
        upload = await read_upload(request, room)
        file, data = upload.one()
        if models == "all":
            checkups = select_by_kind(checkups, data, file)
        async with watch_client(request) as cancellation:
            with admission_of(request).place():
                answers = await service.ask_many(
                    checkups,
                    data,
                    person=person,
                    file=file,
                    heatmap=heatmap,
                    fields=upload.fields,
                    cancellation=cancellation,
                )
    for answer in answers:
        note_answer(request, answer)
    return JSONResponse({"predictions": [_write(a, brief) for a in answers]})


@router.post("/predict", openapi_extra=takes("user", "model", applies=True), summary="The plain form")
async def predict_plain(request: Request, brief: Brief = False) -> Response:
    """`user`, `model` and `image` in, `{"user", "model", "prediction", "probabilities", …}` out.

    Without `model`, or with `auto`, the app chooses.
    """
    person = require(request, "clinician")
    with admission_of(request).room() as room:
        upload = await read_upload(request, room)
        name = upload.fields.get("model", "").strip()
        upload.one()
        wanted = parse_flag(upload.fields.get("heatmap"))
        async with watch_client(request) as cancellation:
            with admission_of(request).place():
                checkup = None if name in ("", "auto") else service_of(request).catalog.get(name)
                said = await _ask(request, person, checkup, upload, 0, wanted, cancellation, brief)
    user = {} if brief else {"user": upload.fields.get("user", "")}
    return JSONResponse({**user, **said})


def _write(answer: Answer, brief: bool) -> dict[str, Any]:
    return write_brief(answer.prediction) if brief else answer.as_json()


async def _predict(request: Request, person: Person, checkup: CheckUp | None, heatmap: bool, brief: bool) -> Response:
    with admission_of(request).room() as room:
        upload = await read_upload(request, room)
        async with watch_client(request) as cancellation:
            with admission_of(request).place():
                if len(upload.images) == 1:
                    return JSONResponse(await _ask(request, person, checkup, upload, 0, heatmap, cancellation, brief))
                said = [
                    await _ask_or_error(request, person, checkup, upload, i, heatmap, cancellation, brief)
                    for i in range(len(upload.images))
                ]
    return JSONResponse({"predictions": said})


async def _ask(
    request: Request,
    person: Person,
    checkup: CheckUp | None,
    upload: Upload,
    i: int,
    heatmap: bool,
    cancellation: Cancellation,
    brief: bool,
) -> dict[str, Any]:
    """Ask about one image of a request, or give the answer of before where it came under the same key."""
    file, data = upload.images[i]

    async def work() -> dict[str, Any]:
        answer = await service_of(request).ask(
            checkup,
            data,
            person=person,
            file=file,
            heatmap=heatmap,
            fields=upload.fields,
            cancellation=cancellation,
        )
        note_answer(request, answer)
        return {"brief" if brief else "full": _write(answer, brief)}

    told = await do_once(request, await open_once(request, person, upload, i), work)
    return dict(told["brief"]) if brief else {"file": file, **told["full"]}


async def _ask_or_error(
    request: Request,
    person: Person,
    checkup: CheckUp | None,
    upload: Upload,
    i: int,
    heatmap: bool,
    cancellation: Cancellation,
    brief: bool,
) -> dict[str, Any]:
    """Ask about one of several images; one that cannot be read does not keep the others from their answers."""
    try:
        return await _ask(request, person, checkup, upload, i, heatmap, cancellation, brief)
    except ImageError as e:
        error = as_http(e)
        return write_brief_failure(error.code) if brief else {"file": upload.images[i][0], **error.as_json()}


# ------------------------------------------------------------------ predictions


def entry_json(entry: Entry) -> dict[str, Any]:
    """Write one remembered answer as JSON."""
    said = {"right": entry.right, "labels": list(entry.labels)} if entry.commented else None
    return {**entry.answer, "id": entry.id, "at": entry.at, "image_kept": entry.kept, "feedback": said}


@router.get("/api/v1/predictions", summary="One's own predictions, the newest first")
async def predictions(
    request: Request, before: str | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """`before`: `AT_ID` of the last one seen, for the next page."""
    person = require(request, "clinician")
    found = await run_read(service_of(request).journal.mine, person, before, limit)
    await log_look(request, person, "history.look", [e.id for e in found])
    return {"predictions": [entry_json(e) for e in found]}


@router.get("/api/v1/predictions/{id}", summary="One prediction")
async def prediction(request: Request, id: PredictionId) -> dict[str, Any]:
    """Get what was answered, and what was said of it."""
    person = require(request, "clinician")
    entry = await run_read(service_of(request).journal.get, id, person)
    await log_look(request, person, "answer.look", [id])
    return entry_json(entry)


@router.post("/api/v1/predictions/{id}/feedback", summary="Was it right?")
async def feedback(request: Request, id: PredictionId, said: FeedbackIn) -> dict[str, Any]:
    """Kept for retraining."""
    person = require(request, "clinician")
    reply = {"id": id, "feedback": {"right": said.right, "labels": said.labels or []}}
    once = open_once_for(request, person, said.model_dump_json())

    async def work() -> dict[str, Any]:
        if once is not None:
            once.reply = reply
        await service_of(request).feedback(id, person, said.right, said.labels)
        return reply

    return dict(await do_once(request, once, work))


@router.delete("/api/v1/predictions/{id}", status_code=204, summary="Forget a prediction, its feedback and its image")
async def forget(request: Request, id: PredictionId) -> Response:
    """Nothing of it is left but the audit log's line that it was deleted."""
    person = require(request, "clinician")
    await service_of(request).journal.forget(id, person)
    await add_to_audit_log(request, person, "prediction.delete", keyed(request, id))
    return Response(status_code=204)


@router.get("/api/v1/predictions/{id}/image", summary="The kept image", response_class=Response)
async def image(request: Request, id: PredictionId) -> Response:
    """404 where it was not kept."""
    person = require(request, "clinician")
    found = await run_read(service_of(request).journal.image, id, person)
    if found is None:
        raise UnknownError(f"The image of the prediction {id} is not kept.", "Images are only kept with --keep-images.")
    await log_look(request, person, "image.look", [id])
    path, suffix = found
    return Download(path, media_type="application/octet-stream", filename=f"{id}.{suffix}")


@router.delete("/api/v1/predictions/{id}/image", status_code=204, summary="Delete the kept image")
async def forget_image(request: Request, id: PredictionId) -> Response:
    """Delete the image; the answer stays."""
    person = require(request, "clinician")
    await service_of(request).journal.forget(id, person, image_only=True)
    await add_to_audit_log(request, person, "image.delete", keyed(request, id))
    return Response(status_code=204)
