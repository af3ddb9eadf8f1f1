"""Serve the page of the queue of long tasks."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import Response

from medloupe.errors import StoreError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import jobs_of
from medloupe.serving.http.threads import run_read, run_write
from medloupe.serving.web.language import Language
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.store.jobrows import RUNNING, WAITING, QueuedJob

router = APIRouter(include_in_schema=False)
_SHOWN = 100


@router.get("/jobs")
async def jobs(request: Request) -> Response:
    """Show what waits, what runs and what is over, the newest first."""
    require(request, "admin")
    found = await run_read(lambda: jobs_of(request).list(most=_SHOWN))
    lang = language_of(request)
    return render_page(request, "jobs.html", jobs=[_describe(job, lang) for job in found])


@router.post("/jobs/{id}/stop")
async def stop(request: Request, id: Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]) -> Response:
    """Stop a job; one that is over meanwhile stays as it is."""
    person = require(request, "admin")
    check_csrf(request, first_value(await read_form(request), "csrf"))
    queue = jobs_of(request)

    def ask() -> None:
        try:
            queue.ask_to_stop(id, by=person.name)
        except StoreError:
            queue.get(id)  # raises where there is none

    await run_write(ask)
    return redirect_to(request, "/jobs")


def _describe(job: QueuedJob, lang: Language) -> dict[str, Any]:
    """Say in words what is shown of a job."""
    far = ""
    if job.state == RUNNING and job.progress:
        stage, done, total = (job.progress.get(key) for key in ("stage", "done", "total"))
        known = f"jobs.stage_{stage}".replace(" ", "_").replace("-", "_")
        title = lang.t(known) if known in lang.words else str(stage)
        far = f"{title} {done}/{total}" if total else title
    came = ""
    if job.result and "version" in job.result:
        came = f"{job.result.get('name', '')}@{job.result['version']}"
    return {
        "id": job.id,
        "state": lang.t("jobs.stopping" if job.stop_asked and job.state == RUNNING else f"jobs.{job.state}"),
        "command": shlex.join([job.kind, *job.arguments]),
        "far": far,
        "came": came,
        "model": str(job.result.get("name", "")) if came and job.result else "",
        "error": job.error,
        "by": job.created_by,
        "at": lang.date(job.created),
        "stoppable": job.state in (WAITING, RUNNING) and not job.stop_asked,
    }
