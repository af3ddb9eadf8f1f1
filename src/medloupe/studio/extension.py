"""Add the studio to a server: its routes, its pages, and what goes on beside them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from medloupe.serving.app import Extend
from medloupe.serving.web.render import add_pages
from medloupe.studio import api, candidates_api, candidates_web, drawing_web, labelling_web, large_pictures, tus, web
from medloupe.studio.state import Studio


def extend_with_studio(*, work: bool = True) -> Extend:
    """Give what adds the studio to an application, as `create_app` takes it.

    Parameters
    ----------
    work
        Whether the server does trainings itself, one at a time, in a process of their own.
    """

    def extend(app: FastAPI) -> contextlib.AbstractAsyncContextManager[None]:
        add_pages("medloupe.studio")
        app.state.studio = Studio(app.state.service, work=work)
        app.include_router(api.router)
        app.include_router(candidates_api.router)
        app.include_router(tus.router)
        app.include_router(web.router)
        app.include_router(drawing_web.router)
        app.include_router(labelling_web.router)
        app.include_router(large_pictures.router)
        app.include_router(candidates_web.router)
        return _run(app.state.studio)

    return extend


@contextlib.asynccontextmanager
async def _run(studio: Studio) -> AsyncIterator[None]:
    studio.start()
    try:
        yield
    finally:
        await studio.end()
