"""Add the watch to a server: its pages, its routes, and its figures for Prometheus."""

from __future__ import annotations

import contextlib

from fastapi import FastAPI

from medloupe.serving.app import Extend
from medloupe.serving.web.render import add_pages
from medloupe.watch import api, web
from medloupe.watch.board import Board
from medloupe.watch.exporter import BoardCollector


def extend_with_watch() -> Extend:
    """Give what adds the watch to an application, as `create_app` takes it."""

    def extend(app: FastAPI) -> contextlib.AbstractAsyncContextManager[None]:
        add_pages("medloupe.watch")
        app.state.watch = Board(app.state.service)
        app.state.metrics.registry.register(BoardCollector(app.state.watch))
        app.include_router(api.router)
        app.include_router(web.router)
        return contextlib.nullcontext()

    return extend
