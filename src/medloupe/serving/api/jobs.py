"""Serve the JSON routes of the queue of long tasks: what waits and runs, and stopping one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from medloupe.serving.access.auth import require
from medloupe.serving.context import jobs_of
from medloupe.serving.http.intake import JsonRoute
from medloupe.serving.http.threads import run_read, run_write
from medloupe.store.jobrows import RUNNING, WAITING, QueuedJob

router = APIRouter(route_class=JsonRoute)
JobId = Annotated[str, InPath(min_length=4, max_length=32, pattern="^[0-9a-f]+$", description="Or its first letters.")]


class JobOut(BaseModel):
    """A long task. Times are UTC."""

    id: str
    kind: str
    arguments: list[str] = Field(description="Of the command `medloupe KIND`.")
    folder: str = Field(description="In which it is run.")
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    created: str
    created_by: str
    started: str | None
    finished: str | None
    attempt: int
    worker: str | None
    stop_asked: bool
    progress: dict[str, Any] | None = Field(description="Stage, steps done, of how many.")
    result: dict[str, Any] | None
    error: str


class JobsOut(BaseModel):
    """Long tasks, the newest first."""

    jobs: list[JobOut]


def _describe(job: QueuedJob) -> JobOut:
    return JobOut(**{**asdict(job), "arguments": list(job.arguments)})


@router.get("/api/v1/jobs", summary="Long tasks")
async def jobs(
    request: Request, over: Annotated[bool, Query(description="Those that are over, too.")] = False
) -> JobsOut:
    """List what waits and what runs. They are added on the command line: `medloupe jobs add`."""
    require(request, "admin")
    states = () if over else (WAITING, RUNNING)
    found = await run_read(jobs_of(request).list, *states)
    return JobsOut(jobs=[_describe(job) for job in found])


@router.get("/api/v1/jobs/{id}", summary="One long task")
async def job(request: Request, id: JobId) -> JobOut:
    """Tell how far it is, or what came of it."""
    require(request, "admin")
    return _describe(await run_read(jobs_of(request).get, id))


@router.post("/api/v1/jobs/{id}/stop", summary="Stop a long task")
async def stop(request: Request, id: JobId) -> JobOut:
    """Cancel one that waits, or ask the worker of one that runs to stop it; 409 where it is over."""
    person = require(request, "admin")
    queue = jobs_of(request)
    return _describe(await run_write(lambda: queue.ask_to_stop(id, by=person.name)))
