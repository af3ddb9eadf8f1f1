"""Put the server together as one ASGI application; what it is made of is elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from medloupe.accounts.people import People
from medloupe.erasure.eraser import Eraser
from medloupe.errors import MedloupeError
from medloupe.serving.access.attempts import Attempts
from medloupe.serving.access.auth import Guard, require
from medloupe.serving.access.failures import SharedFailures
from medloupe.serving.access.lookups import LookupCache
from medloupe.serving.access.proxies import Network, PublicAddress, PublicLinks, TrustedProxies
from medloupe.serving.api import facilities, forget, jobs, models, photos, predictions, protocol, shadows
from medloupe.serving.api.schemas import FAILURES
from medloupe.serving.engine.facilities import FacilityLists
from medloupe.serving.engine.retention import AnswerRetention
from medloupe.serving.engine.service import Service
from medloupe.serving.http.errors import HttpError, as_http
from medloupe.serving.http.intake import Admission
from medloupe.serving.observe import Metrics, Observe
from medloupe.serving.tracing import Tracing
from medloupe.serving.web import home
from medloupe.store.notices import ChangeListener
from medloupe.version import __version__

POLL = 0.4  # seconds between two looks for new production versions, and after one that failed
LISTENED = 1.2  # the same where the database tells of them
PREPARE = 5.0  # seconds between two looks for what may be promoted next
SWEEP = 60.0  # seconds between two looks for deleted answers to erase
RESUME = 20.0  # seconds between two looks for deletions that were interrupted
QUEUE = 32  # requests that may be at work or waiting together
_CODES = {404: "not_found", 405: "method_not_allowed"}
_ABOUT = (
    "Ask trained check-ups about pictures. **Research software, not a medical device.** Errors are always"
    ' `{"error": {"code", "message", "hint"}}`.'
)
log = logging.getLogger("medloupe.serving")
Extend = Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]
"""Adds routes to the application; what it gives is entered when the server starts, and left when it ends."""


def create_app(
    service: Service,
    *,
    loopback: bool = True,
    hosts: Sequence[str] = (),
    queue: int = QUEUE,
    public: PublicAddress | None = None,
    proxies: Sequence[Network] = (),
    extend: Sequence[Extend] = (),
    tracing: Tracing | None = None,
) -> FastAPI:
    """Make the application around a service, which it closes at its end.

    Parameters
    ----------
    service
        What answers.
    loopback
        Whether only this machine can reach it, so that nobody need log in while there are no accounts.
    hosts
        Further names under which browsers may ask for it.
    queue
        Requests at work or waiting before others are told to come back.
    public
        Where browsers reach it, for links and redirects.
    proxies
        Whose X-Forwarded-* count.
    extend
        Packages above that bring routes and pages of their own, each with what runs as long as the server.
    tracing
        Makes traces of requests; closed when the server ends.
    """
    app = FastAPI(
        title="medloupe",
        version=__version__,
        description=_ABOUT,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=FAILURES,
    )
    app.state.service = service
    app.state.tracing = tracing
    app.state.people = People(service.engine)
    app.state.eraser = Eraser(service.store)
    app.state.answer_retention = AnswerRetention(service.journal, service.log)
    app.state.facilities = FacilityLists(service.store.home)
    app.state.admission = Admission(queue)
    app.state.metrics = Metrics(service, app.state.admission)
    app.include_router(predictions.router)
    app.include_router(photos.router)
    app.include_router(models.router)
    app.include_router(shadows.router)
    app.include_router(jobs.router)
    app.include_router(forget.router)
    app.include_router(facilities.router)
    app.include_router(protocol.router)
    app.include_router(home.router)
    app.state.extensions = [take_part(app) for take_part in extend]
    app.mount("/static", home.static_files(), name="static")
    _operations(app)
    for kind, handler in (
        (HttpError, _answer_http_error),
        (MedloupeError, _answer_own_error),
        (HTTPException, _answer_routing_error),
        (RequestValidationError, _answer_invalid_request),
    ):
        app.add_exception_handler(kind, handler)
    # The last one added is the outermost.
    app.state.attempts = Attempts(
        shared=SharedFailures(service.engine) if service.engine.dialect.name == "postgresql" else None
    )
    app.state.guard_memory = LookupCache()
    app.add_middleware(PublicLinks, public=public)
    app.add_middleware(
        Guard,
        people=app.state.people,
        loopback=loopback,
        hosts=tuple(hosts),
        memory=app.state.guard_memory,
        public=public,
    )
    app.add_middleware(TrustedProxies, proxies=tuple(proxies), public=public)
    app.add_middleware(Observe, metrics=app.state.metrics, tracing=tracing)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    added = asyncio.Event()
    tasks = [
        asyncio.create_task(_watch(app.state.service, added)),
        asyncio.create_task(_prepare(app.state.service, added)),
        asyncio.create_task(_watch_facilities(app.state.facilities)),
        asyncio.create_task(_repeat("what is over was not erased", partial(_erase_what_is_over, app), SWEEP)),
        asyncio.create_task(_repeat("a deletion is not complete", app.state.eraser.resume, RESUME, first=0.0)),
    ]
    try:
        async with contextlib.AsyncExitStack() as running:
            for extension in app.state.extensions:
                await running.enter_async_context(extension)
            yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(app.state.service.close)
        if app.state.tracing is not None:
            await asyncio.to_thread(app.state.tracing.close)


async def _watch(service: Service, added: asyncio.Event) -> None:
    """Take up new production versions, from wherever they were promoted; added: set when the store told of a change."""
    changed, loop = asyncio.Event(), asyncio.get_running_loop()
    listener = ChangeListener(service.engine, lambda: loop.call_soon_threadsafe(changed.set))
    own = ThreadPoolExecutor(1, "production")  # whatever else is done waits in other threads
    failed = False
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), LISTENED if listener.listening and not failed else POLL)
            if changed.is_set():
                added.set()
            changed.clear()
            failed = True
            try:
                await loop.run_in_executor(own, service.refresh)
                failed = False
            except MedloupeError as e:  # what is in production goes on answering
                log.error("store not readable", extra={"reason": str(e)})
            except Exception:
                log.exception("unexpected")
    finally:
        own.shutdown(wait=False)
        await asyncio.to_thread(listener.close)


async def _prepare(service: Service, added: asyncio.Event) -> None:
    """Load what may be promoted next, so that a promotion needs no more than an exchange."""
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(added.wait(), PREPARE)
        added.clear()
        try:
            await asyncio.to_thread(service.catalog.prepare)
        except MedloupeError as e:  # it is loaded when it is promoted
            log.warning("nothing prepared", extra={"reason": str(e)})
        except Exception:
            log.exception("unexpected")


async def _watch_facilities(lists: FacilityLists) -> None:
    """Take up lists of facilities that were imported or removed, from the start on."""
    while True:
        try:
            await asyncio.to_thread(lists.refresh)
        except MedloupeError as e:  # those read before go on answering
            log.error("facilities not readable", extra={"reason": str(e)})
        except Exception:
            log.exception("unexpected")
        await asyncio.sleep(POLL)


def _erase_what_is_over(app: FastAPI) -> None:
    """Erase what people deleted, once that cannot be undone any more, what is old, and lines of the log that are."""
    app.state.service.journal.erase_removed()
    app.state.answer_retention.erase_old()
    app.state.service.retention.remove_old_lines()


async def _repeat(failing: str, work: Callable[[], Any], seconds: float, *, first: float | None = None) -> None:
    """Do something again and again; a failure is logged under that sentence, and the next time is soon."""
    await asyncio.sleep(seconds if first is None else first)
    while True:
        try:
            await asyncio.to_thread(work)
        except (MedloupeError, OSError) as e:
            log.error(failing, extra={"reason": str(e)})
        except Exception:
            log.exception("unexpected")
        await asyncio.sleep(seconds)


def _operations(app: FastAPI) -> None:
    @app.get("/healthz", tags=["operations"], summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["operations"], summary="Should it get requests?", response_model=None)
    async def readyz() -> JSONResponse:
        service, admission = app.state.service, app.state.admission
        failing = await service.readiness.failing()
        ready = bool(service.catalog.all()) and not failing and not admission.draining
        waiting = "failing" if failing else "starting"
        state = "draining" if admission.draining else "ready" if ready else waiting
        body = {"status": state, "failing": failing, "broken": sorted(service.catalog.broken)}
        return JSONResponse(body, 200 if ready else 503, {} if ready else {"Retry-After": "1"})

    @app.get("/metrics", tags=["operations"], summary="Figures for Prometheus", response_class=Response)
    async def metrics(request: Request) -> Response:
        require(request, "viewer")
        figures = await asyncio.to_thread(generate_latest, app.state.metrics.registry)
        return Response(figures, media_type=CONTENT_TYPE_LATEST)


# ------------------------------------------------------------------ errors


def _respond(request: Request, error: HttpError) -> Response:
    person = getattr(request.state, "person", None)
    if error.inner and (person is None or not person.may("admin")):
        fields = {"request_id": getattr(request.state, "request_id", None), "code": error.code}
        log.warning("refused", extra={**fields, "reason": f"{error.message} {error.hint}".strip()})
        error = error.for_outsiders()
    if wants_page(request):
        return home.error_page(request, error)
    if request.url.path.removeprefix(request.scope.get("root_path", "")).startswith(
        "/v2"
    ):  # whose clients expect a text
        return JSONResponse({"error": f"{error.message} {error.hint}".strip()}, error.status, error.headers)
    return JSONResponse(error.as_json(), error.status, error.headers)


def wants_page(request: Request) -> bool:
    """Tell whether a person with a browser asks, rather than a program."""
    path = _path_of(request)
    programs = path.startswith(("/api/", "/v2")) or path in ("/predict", "/healthz", "/readyz", "/metrics")
    return not programs and "text/html" in request.headers.get("accept", "")


def _path_of(request: Request) -> str:
    return request.scope["path"].removeprefix(request.scope.get("root_path", ""))


async def _answer_http_error(request: Request, error: Any) -> Response:
    return _respond(request, error)


async def _answer_own_error(request: Request, error: Any) -> Response:
    return _respond(request, as_http(error))


async def _answer_routing_error(request: Request, error: Any) -> Response:
    said = HttpError(
        error.status_code,
        _CODES.get(error.status_code, "refused"),
        f"{request.method} {request.url.path[:200]}: {error.detail}."
        if getattr(request.state, "person", None) is not None
        else f"{error.detail}.",
        "/docs lists what there is.",
        error.headers,
    )
    return _respond(request, said)


async def _answer_invalid_request(request: Request, error: Any) -> Response:
    first = error.errors()[0] if error.errors() else {"loc": (), "msg": "invalid"}
    where = ".".join(str(part) for part in first["loc"])
    return _respond(request, HttpError(422, "invalid", f"{where}: {first['msg']}.", "/docs tells what is expected."))
