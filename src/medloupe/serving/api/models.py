"""Serve the JSON routes of models: what there is, their passports and files, and which version is in production."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from medloupe.errors import UnknownError
from medloupe.serving.access.auth import require
from medloupe.serving.api.predictions import Name
from medloupe.serving.context import add_to_audit_log, admission_of, service_of
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.inputs import form_fields
from medloupe.serving.engine.model_intake import uploading
from medloupe.serving.engine.sending import sending_limits
from medloupe.serving.http.download import Download
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.intake import JsonRoute, read_body
from medloupe.serving.http.threads import run_read
from medloupe.store.names import check_name

router = APIRouter(route_class=JsonRoute)
VersionNumber = Annotated[int, InPath(ge=1, lt=2**31)]
_LISTED = 50  # labels of a check-up in the list of all
_FILE = {"type": "string", "format": "binary", "description": "An ONNX file that medloupe exported."}


class PromoteIn(BaseModel):
    """Which version answers from now on. force needs a reason, which goes into the audit log."""

    model_config = ConfigDict(extra="forbid")
    version: int = Field(ge=1, lt=2**31)
    force: bool = False
    reason: str = Field("", max_length=2000)


class RollbackIn(BaseModel):
    """Why the version before is to answer again."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field("", max_length=2000)


@router.get("/api/v1/models", summary="All check-ups")
async def models(request: Request) -> dict[str, Any]:
    """Those in production, and the versions there are."""
    require(request, "viewer")
    service = service_of(request)
    versions = await run_read(service.store.list)
    return {
        "models": [
            {
                "name": c.name,
                "version": c.version,
                "title": c.title,
                "task": c.task,
                "modality": c.modality,
                "labels": list(c.labels[:_LISTED]),
                "label_count": len(c.labels),
                "auc": c.auc,
                "versions": [v.version for v in versions if v.name == c.name],
            }
            for c in service.catalog.all()
        ],
        "broken": service.catalog.broken,
    }


@router.get("/api/v1/models/{name}", summary="One check-up and its versions")
async def model(request: Request, name: Name) -> dict[str, Any]:
    """Its labels, what it reads beside the picture, operating points, versions and who promoted what."""
    require(request, "viewer")
    service = service_of(request)
    c = service.catalog.get(name)
    versions = [v for v in await run_read(service.store.list) if v.name == name]
    history = await run_read(service.store.history, name) if versions else []
    return {
        "name": name,
        "version": c.version,
        "title": c.title,
        "task": c.task,
        "labels": list(c.labels),
        "modality": c.modality,
        "input_size": c.size,
        **_windows(c),
        "inputs": form_fields(c),
        "sending": limits.as_json() if (limits := sending_limits(c)) else None,
        "precision": c.precision,
        "precisions": list(c.precisions),
        "auc": c.auc,
        "operating_points": {
            label: {"threshold": p.threshold, "sensitivity": p.sensitivity, "specificity": p.specificity}
            for label, p in c.points.items()
        },
        "intended_use": c.intended_use,
        "limits": list(c.limits),
        "versions": [{"version": v.version, "created": v.created, "auc": v.auc} for v in versions],
        "history": [change.as_json() for change in history],
    }


@router.get("/api/v1/models/{name}/card", summary="The evaluation passport")
async def card(request: Request, name: Name, version: Annotated[int | None, Query(ge=1, lt=2**31)] = None) -> Response:
    """JSON; its keys stand in docs/card.md."""
    require(request, "viewer")
    return JSONResponse(await run_read(service_of(request).card, name, version))


@router.get("/api/v1/models/{name}/versions/{version}/onnx", summary="Download the model", response_class=Response)
async def download(request: Request, name: Name, version: VersionNumber) -> Response:
    """One self-contained ONNX file."""
    if not require(request, "viewer").may("admin"):
        service_of(request).pilot.refuse("Models, which answer anywhere, are not given")
    path = await run_read(service_of(request).file, name, version, "model.onnx")
    return Download(path, media_type="application/octet-stream", filename=f"{name}-{version}.onnx")


@router.get("/api/v1/models/{name}/compare", summary="Two versions on the same test records")
async def compare(request: Request, name: Name, a: int, b: int) -> dict[str, Any]:
    """Whether `a` is not worse than `b`: paired bootstrap over patients."""
    require(request, "viewer")
    await _exists(request, name)
    return (await run_read(service_of(request).store.compare, name, a, b)).as_json()


@router.post("/api/v1/models/{name}/promote", summary="Put a version into production")
async def promote(request: Request, name: Name, wish: PromoteIn) -> dict[str, Any]:
    """Refused with 409 when it is worse than the one in production, unless forced with a reason."""
    person = require(request, "admin")
    await _exists(request, name)
    comparison = await service_of(request).promote(
        name, wish.version, person, reason=wish.reason, force=wish.force, request_id=request.state.request_id
    )
    return {"name": name, "version": wish.version, "comparison": comparison and comparison.as_json()}


@router.post("/api/v1/models/{name}/rollback", summary="Back to the version before")
async def rollback(request: Request, name: Name, wish: Annotated[RollbackIn | None, Body()] = None) -> dict[str, Any]:
    """Never refused while there is one."""
    person = require(request, "admin")
    await _exists(request, name)
    reason = wish.reason if wish else ""
    version = await service_of(request).rollback(name, person, reason=reason, request_id=request.state.request_id)
    return {"name": name, "version": version}


@router.post(
    "/api/v1/models/{name}/versions",
    status_code=201,
    summary="Add a model file as a new version",
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": _FILE}}}},
)
async def add(request: Request, name: Name) -> dict[str, Any]:
    """Send an ONNX file that medloupe exported; it is checked in a process of its own and trusted in nothing."""
    person = require(request, "admin")
    check_name(name)
    with admission_of(request).room() as room, uploading(service_of(request).store.home) as folder:
        path = folder / "model.onnx"
        with path.open("wb") as f:
            async for chunk in read_body(request, room):
                f.write(chunk)
        if path.stat().st_size == 0:
            raise HttpError(422, "no_model", "The request brings no model file.", "Send the ONNX file as the body.")
        with admission_of(request).place():
            version = await service_of(request).add(name, path)
    await add_to_audit_log(request, person, "model.add", f"{name}@{version}")
    return {"name": name, "version": version}


async def _exists(request: Request, name: str) -> None:
    if not await run_read(service_of(request).store.has, name):
        raise UnknownError(f"There is no model {name!r} with versions.", "GET /api/v1/models lists what there is.")


def _windows(checkup: CheckUp) -> dict[str, Any]:
    """Describe the windows of a check-up; nothing of pictures."""
    card = checkup.windows
    if card is None:
        return {}
    if not card.leads:
        return {"shape": list(card.input_shape)}
    return {"leads": list(card.leads), "rate": card.rate, "before": card.before}
