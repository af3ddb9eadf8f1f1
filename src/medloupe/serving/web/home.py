"""Serve the home page, and what this is about.

Pages that ask, of answers, of models and of accounts are in their own modules; JSON is in serving/api.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from medloupe.serving.access.auth import require
from medloupe.serving.context import service_of
from medloupe.serving.engine.retention import read_days
from medloupe.serving.http.intake import MAX_BODY, MAX_IMAGES
from medloupe.serving.web import (
    asking,
    boxfiles,
    device,
    forget,
    history,
    jobs,
    models,
    nearby,
    people,
    results,
    samples,
    withheld,
)
from medloupe.serving.web.groups import group
from medloupe.serving.web.guard import show_each
from medloupe.serving.web.kinds import PICTURE, accepted
from medloupe.serving.web.language import Language
from medloupe.serving.web.lookups import passport_of
from medloupe.serving.web.render import error_page, language_of, render_page, static_files
from medloupe.serving.web.tiles import Tile, describe_tile
from medloupe.settings import setting
from medloupe.version import __version__

__all__ = ["error_page", "router", "static_files"]
router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(request: Request) -> Response:
    """Show where to drop a picture, then all check-ups as cards, in groups by what they look at."""
    require(request, "viewer")
    language, service = language_of(request), service_of(request)
    failed = set(service.catalog.broken)
    groups: list[tuple[str, list[Tile]]] = []
    for name, own in group(service.catalog.all()):
        tiles, unshown = show_each(
            ((c.name, c) for c in own), lambda c: describe_tile(c, language, passport=passport_of(service, c))
        )
        failed |= set(unshown)
        groups += [(name, tiles)] if tiles else []
    cards = [card for _, own in groups for card in own]
    return render_page(
        request,
        "home.html",
        tab="home",
        groups=groups,
        cards=cards,
        broken=language.join(sorted(failed)) if failed else "",
        kind=PICTURE,
        accept=accepted({card.card.kind.name for card in cards}),
        limit=MAX_IMAGES,
        most_bytes=MAX_BODY - 2**16,  # the form around the picture needs some
        keeps=service.keep_images,
    )


# ------------------------------------------------------------------ what this is


def _tell_kept(pictures: bool, lang: Language) -> list[str]:
    """Say how long what is kept is kept; pictures: whether they are kept with answers."""
    answers, images = read_days("MEDLOUPE_ANSWER_DAYS"), read_days("MEDLOUPE_PICTURE_DAYS")
    return [
        lang.t("about.kept_answers_always") if answers is None else lang.t("about.kept_answers", n=answers),
        lang.t("about.kept_no_pictures")
        if not pictures
        else lang.t("about.kept_pictures_always")
        if images is None
        else lang.t("about.kept_pictures", n=images),
        lang.t("about.kept_uploads", n=read_days("MEDLOUPE_UPLOAD_DAYS") or 0),
        lang.t("about.kept_patient"),
    ]


@router.get("/about")
async def about(request: Request) -> Response:
    """Show what the figures mean and what is kept; open to all."""
    kept = _tell_kept(service_of(request).keep_images, language_of(request))
    automatic = setting("MEDLOUPE_AUTO_PROMOTE")
    return render_page(request, "about.html", tab="about", version=__version__, kept=kept, automatic=automatic)


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
router.include_router(boxfiles.router)
router.include_router(history.router)
router.include_router(nearby.router)
router.include_router(samples.router)
router.include_router(device.router)
router.include_router(models.router)
router.include_router(jobs.router)
router.include_router(forget.router)
router.include_router(people.router)
router.include_router(withheld.router)
