"""Serve the pages of the watch: the board of all check-ups, and the pilot."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from medloupe.errors import MedloupeError, StoreError
from medloupe.metrics.pilot import plan_pilot
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import add_to_audit_log, service_of
from medloupe.serving.http.errors import as_http
from medloupe.serving.http.threads import run_read, run_write
from medloupe.serving.web.lookups import checkup_titles
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.watch.board import board_of
from medloupe.watch.pilots import give_references, read_references, report_on, write_cases, write_report, write_waiting
from medloupe.watch.pilotviews import PLANNED, read_plan, view_pilot
from medloupe.watch.views import view_board

router = APIRouter(include_in_schema=False)


@router.get("/watch")
async def watch(request: Request, fresh: bool = False) -> Response:
    """Show what is watched of every check-up."""
    require(request, "admin")
    board, language = board_of(request), language_of(request)
    state = await run_read(lambda: board.look(fresh=fresh))
    failures = count_failures(request)
    seen = view_board(state, checkup_titles(service_of(request), language), language, failures)
    return render_page(request, "watch.html", v=seen, pilot=service_of(request).pilot.running is not None)


def count_failures(request: Request) -> dict[str, float]:
    """Count requests that were answered since the start, and those that failed by a fault of the server."""
    counted = {"asked": 0.0, "failed": 0.0}
    for metric in request.app.state.metrics.requests.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                counted["asked"] += sample.value
                counted["failed"] += sample.value if sample.labels["status"] in ("500", "0") else 0
    return counted


@router.get("/watch/pilot")
async def pilot(request: Request) -> Response:
    """Show the pilot: how far it is, how many people it takes, and what came of it."""
    return await _show(request)


@router.post("/watch/pilot")
async def act(request: Request) -> Response:
    """Begin a pilot, end it, keep its plan, or take references."""
    person = require(request, "admin")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    service, what = service_of(request), first_value(fields, "do")
    pilots = service.pilot.pilots
    try:
        if what == "begin":
            done = await run_write(lambda: pilots.begin(by=person.name).id)
        elif what == "end":
            done = str(await run_write(lambda: pilots.end(by=person.name)))
        elif what == "plan":
            plan = plan_pilot(**read_plan({name: first_value(fields, name) for name in PLANNED}))
            if service.pilot.running is None or not first_value(fields, "keep"):
                return await _show(request, plan=plan.as_json())
            done = await run_write(lambda: pilots.begin(by=person.name, plan=plan.as_json()).id)
        elif what == "reference":
            told = read_references(first_value(fields, "table"))
            latest = await run_read(pilots.latest)
            if latest is None:
                raise StoreError(language_of(request).t("pilot.none"))
            taken, failed = await run_write(lambda: give_references(pilots, latest, told, by=person.name))
            await add_to_audit_log(request, person, "pilot.reference", latest.id, {"references": taken})
            said = language_of(request).t("pilot.taken", n=taken)
            return await _show(request, done=said, failed=failed)
        else:
            raise StoreError("There is no such thing to do.", "Load the page again.")
    except MedloupeError as e:
        return await _show(request, failed=[f"{e.message} {e.hint}".strip()], status=as_http(e).status)
    await add_to_audit_log(request, person, f"pilot.{what}", done)
    await run_read(service.pilot.refresh)
    return redirect_to(request, "/watch/pilot")


@router.get("/watch/pilot/{table}.csv")
async def table(request: Request, table: str) -> Response:
    """Give a table of the pilot: `waiting`, `report` or `cases`."""
    person = require(request, "admin")
    service = service_of(request)
    latest = await run_read(service.pilot.pilots.latest)
    if latest is None or table not in ("waiting", "report", "cases"):
        raise as_http(StoreError("There is no such table of a pilot.", "/watch/pilot has them."))
    if table == "waiting":
        text = await run_read(write_waiting, service.pilot.pilots, latest)
    elif table == "cases":
        text = await run_read(write_cases, service.pilot.pilots, latest)
    else:
        text = write_report(await run_read(report_on, service.pilot.pilots, latest, service.store))
    await add_to_audit_log(request, person, "pilot.look", latest.id, {"table": table})
    headers = {"Content-Disposition": f'attachment; filename="pilot-{table}.csv"', "Cache-Control": "no-store"}
    return Response("\ufeff" + text, 200, headers, "text/csv; charset=utf-8")


async def _show(
    request: Request,
    *,
    plan: dict[str, Any] | None = None,
    done: str = "",
    failed: list[str] | None = None,
    status: int = 200,
) -> Response:
    require(request, "admin")
    service, language = service_of(request), language_of(request)
    latest = await run_read(service.pilot.pilots.latest)
    reports = [] if latest is None else await run_read(report_on, service.pilot.pilots, latest, service.store)
    titles = checkup_titles(service, language)
    seen = view_pilot(latest, reports, plan, titles, language)
    return render_page(request, "pilot.html", status, v=seen, done=done, failed=failed or [])
