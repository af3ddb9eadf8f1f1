"""Serve the JSON routes of data sets: make, look at, correct, audit, freeze, train and take away."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from medloupe.data.labels import recognise_roles
from medloupe.serving.access.auth import require
from medloupe.serving.context import eraser_of
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.intake import JsonRoute
from medloupe.serving.http.threads import run_change, run_file, run_read, run_write
from medloupe.store.dataset_nouns import MOST_BOXES, SEVERAL_TASKS, DatasetChange, DatasetClass, StoredDataset
from medloupe.studio.drawing import draw_boxes
from medloupe.studio.export import FORMS, write_export
from medloupe.studio.intake import choose_role
from medloupe.studio.naming import choose_name
from medloupe.studio.overview import Overview, find_all, look_at
from medloupe.studio.state import Studio, studio_of
from medloupe.studio.training import find_training, start_training

router = APIRouter(route_class=JsonRoute)
DatasetId = Annotated[str, InPath(min_length=1, max_length=64, description="Or its name.")]
ItemId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
ChangeNumber = Annotated[int, InPath(ge=1, lt=2**31)]
RoleName = Literal["sought", "normal", "harmless", "none"]
Labels = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=100)]
Items = Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=20_000)]


class ClassIn(BaseModel):
    """A class. role: recognised by the name where it is left out."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=100)
    role: RoleName | None = None


class DatasetIn(BaseModel):
    """A new data set. name: of the model to come; made of the title where it is left out."""

    model_config = ConfigDict(extra="forbid")
    title: str = Field(min_length=1, max_length=120)
    name: str = Field("", max_length=64)
    kind: str = Field("", max_length=60, description='Of picture, in words, such as "chest X-ray".')
    classes: list[ClassIn] = Field(default_factory=list, max_length=100)
    ordered: bool = Field(False, description="Whether the classes are grades, from normal to worst.")
    task: Literal["multiclass", "multilabel", "detection", "ecg", "ecg_multilabel"] = Field(
        "multiclass",
        description="One class a picture, any number of findings a picture, boxes, one class an ECG, or any number of"
        " findings an ECG.",
    )


class ClassesIn(BaseModel):
    """The classes from now on; those that pictures have must be among them."""

    model_config = ConfigDict(extra="forbid")
    classes: list[ClassIn] = Field(max_length=100)
    ordered: bool | None = None


class DrawnBoxIn(BaseModel):
    """A box, in pixels of the upright picture."""

    model_config = ConfigDict(extra="forbid")
    label: str = Field(max_length=100)
    x: float = Field(ge=0, le=1e6, allow_inf_nan=False)
    y: float = Field(ge=0, le=1e6, allow_inf_nan=False)
    width: float = Field(gt=0, le=1e6, allow_inf_nan=False)
    height: float = Field(gt=0, le=1e6, allow_inf_nan=False)


class ChangeIn(BaseModel):
    """A correction, which is logged and can be undone."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["leave_out", "bring_back", "relabel", "join", "assign", "annotate"]
    items: Items = Field(default_factory=list)
    groups: list[Items] = Field(default_factory=list, max_length=20_000, description="Of join: whose patient is one.")
    label: str | None = Field(None, max_length=100, description="Of relabel: the class, or null for none.")
    labels: Labels | None = Field(
        None, description="Of relabel, of several findings: those that are there; null where nobody is to have looked."
    )
    patient: str | None = Field(None, max_length=100, description="Of assign.")
    site: str | None = Field(None, max_length=100, description="Of assign.")
    boxes: list[DrawnBoxIn] | None = Field(
        None, max_length=MOST_BOXES, description="Of annotate: all there are; null where nobody is to have looked."
    )
    why: str = Field("", max_length=200)


def read_class_list(told: list[ClassIn], *, several: bool = False) -> list[DatasetClass]:
    """Read classes, recognising the roles of those that have none; several: findings of which there may be more."""
    roles = recognise_roles([c.name for c in told])
    return [
        DatasetClass(name=c.name.strip(), role=c.role or choose_role(roles.of(c.name), several=several)) for c in told
    ]


@router.get("/api/v1/datasets", summary="All data sets")
async def datasets(request: Request) -> dict[str, Any]:
    """List them, the newest first."""
    require(request, "trainer")
    found = await run_read(studio_of(request).sets.list)
    return {"datasets": [asdict(data) for data in found]}


@router.post("/api/v1/datasets", status_code=201, summary="A new data set")
async def create(request: Request, wish: DatasetIn) -> dict[str, Any]:
    """For a new check-up; pictures come afterwards."""
    person = require(request, "trainer")
    studio = studio_of(request)

    def make() -> StoredDataset:
        name = wish.name or choose_name(wish.title, studio.sets, studio.service.store)
        return studio.sets.create(
            name,
            title=wish.title,
            kind=wish.kind,
            classes=read_class_list(wish.classes, several=wish.task in SEVERAL_TASKS),
            ordered=wish.ordered,
            task=wish.task,
            by=person.name,
        )

    return asdict(await run_write(make))


@router.get("/api/v1/datasets/{id}", summary="One data set")
async def dataset(request: Request, id: DatasetId) -> dict[str, Any]:
    """Its classes, how many pictures each has, what is wrong, versions, uploads on their way and the last training."""
    require(request, "trainer")
    seen = await run_read(look_at, studio_of(request), id)
    return describe_overview(seen)


@router.delete("/api/v1/datasets/{id}", status_code=204, summary="Remove a data set")
async def remove(request: Request, id: DatasetId) -> Response:
    """With its pictures and versions; models that were trained from it stay. 409 while a training is under way."""
    person = require(request, "trainer")
    studio = studio_of(request)

    def work() -> None:
        data = studio.sets.get(id)
        training = find_training(studio.sets, studio.queue, id)
        if training is not None and training.open:
            raise HttpError(409, "training", "A training of it is under way.", "Stop the training first.")
        studio.sets.remove(data.id, by=person.name)
        studio.auditor.forget(data.id)
        studio.rows.forget(data.id)

    await run_write(work)
    return Response(status_code=204)


@router.put("/api/v1/datasets/{id}/classes", summary="Change the classes")
async def classes(request: Request, id: DatasetId, wish: ClassesIn) -> dict[str, Any]:
    """Their names, roles and order: of those that are sought the first is the most dangerous."""
    person = require(request, "trainer")
    sets = studio_of(request).sets

    def work() -> StoredDataset:
        told = read_class_list(wish.classes, several=sets.get(id).several)
        return sets.set_classes(id, told, ordered=wish.ordered, by=person.name)

    return asdict(await run_write(work))


@router.get("/api/v1/datasets/{id}/items", summary="The pictures of a data set")
async def items(
    request: Request, id: DatasetId, left_out: Annotated[bool, Query(description="Those left out, too.")] = False
) -> dict[str, Any]:
    """File, class, patient, site, where it came from."""
    require(request, "trainer")
    found = await run_read(studio_of(request).sets.items, id, left_out=left_out)
    return {"items": [asdict(item) for item in found]}


@router.get("/api/v1/datasets/{id}/items/{item}/picture", summary="A small picture", response_class=Response)
async def picture(request: Request, id: DatasetId, item: ItemId) -> Response:
    """JPEG, for lists."""
    require(request, "trainer")
    studio = studio_of(request)
    found = await run_read(studio.sets.item, id, item)
    data = await run_file(studio.intake.thumb, found)
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})


@router.post("/api/v1/datasets/{id}/erase", summary="Erase pictures for good")
async def erase(request: Request, id: DatasetId, wish: ChangeIn) -> dict[str, Any]:
    """Those of `items`: from the data set, its versions, the caches and the disk.

    Tells which versions and models had any. A training of them is stopped, which may take a minute.
    """
    person = require(request, "trainer")
    done = await asyncio.to_thread(eraser_of(request).erase_items, id, wish.items, by=person.name)
    return {"versions": done.versions, "models": [asdict(model) for model in done.models]}


@router.get("/api/v1/datasets/{id}/changes", summary="What was done to a data set")
async def changes(request: Request, id: DatasetId) -> dict[str, Any]:
    """List the changes, the newest first, 200 at most."""
    require(request, "trainer")
    found = await run_read(studio_of(request).sets.changes, id)
    return {"changes": [asdict(change) for change in found]}


@router.post("/api/v1/datasets/{id}/changes", status_code=201, summary="Correct pictures")
async def change(request: Request, id: DatasetId, wish: ChangeIn) -> dict[str, Any]:
    """Leave out, bring back, relabel, join as of one patient, assign a patient and site, or annotate with boxes."""
    person = require(request, "trainer")
    return asdict(await run_write(make_change, studio_of(request), id, wish, by=person.name))


@router.post("/api/v1/datasets/{id}/changes/{number}/undo", status_code=201, summary="Undo a change")
async def undo(request: Request, id: DatasetId, number: ChangeNumber) -> dict[str, Any]:
    """409 where what it changed was changed again."""
    person = require(request, "trainer")
    return asdict(await run_write(studio_of(request).sets.undo, id, number, by=person.name))


@router.post("/api/v1/datasets/{id}/versions", status_code=201, summary="Freeze a version")
async def freeze(request: Request, id: DatasetId) -> dict[str, Any]:
    """Make a version of what takes part now, or tell the last one where nothing has changed since."""
    person = require(request, "trainer")
    return asdict(await run_write(studio_of(request).sets.freeze, id, by=person.name))


@router.get("/api/v1/datasets/{id}/versions/{number}/export", summary="Take a version away", response_class=Response)
async def export(
    request: Request,
    id: DatasetId,
    number: ChangeNumber,
    form: Annotated[
        Literal["table", "coco", "label-studio", "cvat"], Query(description="How it is written.")
    ] = "table",
) -> Response:
    """Pack the pictures with a table that `medloupe train` reads, COCO, Label Studio tasks, or CVAT for images 1.1."""
    require(request, "trainer")
    assert form in FORMS
    studio = studio_of(request)
    data = await run_read(studio.sets.get, id)
    path = await run_change(write_export, studio.sets, data.id, number, form)
    done = BackgroundTask(path.unlink, missing_ok=True)
    name = f"{data.name}-{number}-{form}.zip"
    return FileResponse(path, media_type="application/zip", filename=name, background=done)


@router.post("/api/v1/datasets/{id}/train", status_code=202, summary="Train")
async def train(request: Request, id: DatasetId) -> dict[str, Any]:
    """Freeze a version and put its training into the queue; one that is under way is told as it is."""
    person = require(request, "trainer")
    studio = studio_of(request)
    made = await run_write(start_training, studio.sets, studio.queue, id, by=person.name)
    return {"version": made.version.number, "job": made.job.id, "state": made.job.state}


@router.post("/api/v1/datasets/{id}/train/stop", summary="Stop the training")
async def stop(request: Request, id: DatasetId) -> dict[str, Any]:
    """Ask it to stop; what it computed so far is kept."""
    person = require(request, "trainer")
    studio = studio_of(request)

    def work() -> str:
        training = find_training(studio.sets, studio.queue, id)
        if training is None or not training.open:
            raise HttpError(409, "no_training", "No training of it is under way.", "")
        return studio.queue.ask_to_stop(training.job.id, by=person.name).state

    return {"state": await run_write(work)}


def make_change(studio: Studio, id: str, wish: ChangeIn, *, by: str) -> DatasetChange:
    """Make a correction that was asked for."""
    sets = studio.sets
    if wish.action == "annotate":
        boxes = None if wish.boxes is None else [box.model_dump() for box in wish.boxes]
        for item in wish.items:
            draw_boxes(sets, studio.service.decoders, id, item, boxes, by=by, why=wish.why)
        return sets.changes(id, 1)[0]
    if wish.action == "leave_out":
        return sets.leave_out(id, wish.items, by=by, why=wish.why)
    if wish.action == "bring_back":
        return sets.bring_back(id, wish.items, by=by)
    if wish.action == "relabel" and sets.get(id).several and wish.label is None:
        return sets.tell_findings(id, wish.items, wish.labels, by=by, why=wish.why)
    if wish.action == "relabel":
        return sets.relabel(id, wish.items, wish.label, by=by, why=wish.why)
    if wish.action == "join":
        return sets.join(id, wish.groups or [wish.items], by=by, why=wish.why)
    told = {name: value or None for name in ("patient", "site") if (value := getattr(wish, name)) is not None}
    return sets.change(id, "assign", dict.fromkeys(wish.items, told), by=by)


def describe_overview(seen: Overview) -> dict[str, Any]:
    """Describe a data set with all that is known of it."""
    training = seen.training
    return {
        **asdict(seen.data),
        "counts": seen.counts,
        "pictures": len(seen.items),
        "findings": [asdict(finding) for finding in find_all(seen)],
        "audit": {
            "up_to_date": seen.audited,
            "at_work": seen.auditing,
            "done": seen.looked[0],
            "total": seen.looked[1],
            "error": seen.audit.get("error", ""),
        },
        "versions": [asdict(version) for version in seen.versions],
        "uploads": [
            {"id": u.id, "file": u.meta.get("file", ""), "offset": u.offset, "length": u.length, "error": u.error}
            for u in seen.uploads
        ],
        "training": None
        if training is None
        else {
            "version": training.version.number,
            "job": training.job.id,
            "state": training.job.state,
            "stage": seen.far.stage if seen.far else "",
            "share": seen.far.share if seen.far else 0.0,
            "seconds_left": seen.far.seconds if seen.far else None,
            "model": seen.data.name,
            "model_version": training.made,
            "production": seen.production,
            "error": training.job.error,
        },
    }
