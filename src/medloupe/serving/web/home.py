"""Serve the pages for people: home, history, what this is.

Pages that ask, of answers, of models and of accounts are in their own modules; JSON is in serving/api.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from medloupe.serving.access.auth import require
from medloupe.serving.context import service_of
from medloupe.serving.web import asking, models, people, results
from medloupe.serving.web.cards import describe_checkup
from medloupe.serving.web.headline import summarize
from medloupe.serving.web.lookups import checkup_titles
from medloupe.serving.web.render import error_page, language_of, render_page, static_files
from medloupe.serving.web.summary import describe_feedback
from medloupe.version import __version__

__all__ = ["error_page", "router", "static_files"]
router = APIRouter(include_in_schema=False)
_PAGE = 30  # answers on one page of the history


@router.get("/")
async def home(request: Request) -> Response:
    """Show all check-ups as cards."""
    require(request, "viewer")
    language = language_of(request)
    cards = [describe_checkup(c, language) for c in service_of(request).catalog.all()]
    return render_page(request, "home.html", tab="home", cards=cards)


@router.get("/history")
async def history(
    request: Request, before: Annotated[str | None, Query(max_length=80)] = None, deleted: bool = False
) -> Response:
    """Show one's own answers."""
    person = require(request, "clinician")
    service, language = service_of(request), language_of(request)
    found = await asyncio.to_thread(service.journal.mine, person, before, _PAGE)
    titles = checkup_titles(service, language)
    entries = [
        {
            "id": e.id,
            "headline": summarize(e.answer, language),
            "title": titles.get(e.model) or language.label(e.model) or language.t("choose.title"),
            "at": language.date(e.at),
            "said": describe_feedback(e, language),
        }
        for e in found
    ]
    older = f"{found[-1].at}_{found[-1].id}" if len(found) == _PAGE else ""
    return render_page(request, "history.html", tab="history", entries=entries, older=older, deleted=deleted)


# ------------------------------------------------------------------ what this is


@router.get("/about")
async def about(request: Request) -> Response:
    """Show what the figures mean and what is kept; open to all."""
    return render_page(request, "about.html", tab="about", version=__version__)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Show the API, from its OpenAPI description."""
    require(request, "viewer")
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "summary": said.get("summary", ""),
            "text": said.get("description", ""),
        }
        for path, methods in request.app.openapi()["paths"].items()
        for method, said in methods.items()
    ]
    return render_page(request, "docs.html", routes=routes, base=str(request.base_url).rstrip("/"))


router.include_router(asking.router)
router.include_router(results.router)
router.include_router(models.router)
router.include_router(people.router)
