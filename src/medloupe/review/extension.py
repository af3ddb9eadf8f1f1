"""Add the review queue to a server: its routes and its pages."""

from __future__ import annotations

import contextlib

from fastapi import FastAPI

from medloupe.review import api, web
from medloupe.review.desk import ReviewDesk
from medloupe.serving.app import Extend
from medloupe.serving.web.render import add_pages


def extend_with_review(*, double: bool = False) -> Extend:
    """Give what adds the review queue to an application, as `create_app` takes it.

    Parameters
    ----------
    double
        Whether each case needs two readers from the beginning.
    """

    def extend(app: FastAPI) -> contextlib.AbstractAsyncContextManager[None]:
        add_pages("medloupe.review")
        app.state.review = ReviewDesk(app.state.service, double=double)
        app.include_router(api.router)
        app.include_router(web.router)
        return contextlib.nullcontext()

    return extend
