"""Show the operator each request: an id, one log line, and figures for Prometheus. Never an image or a name."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medloupe.accounts.log import REQUEST_ID
from medloupe.serving.engine.circumstances import PATIENT, SITE, read_patient, read_site
from medloupe.serving.http.errors import HttpError
from medloupe.serving.tracing import QUIET

if TYPE_CHECKING:
    from medloupe.serving.engine.answer import Answer
    from medloupe.serving.engine.service import Service
    from medloupe.serving.http.intake import Admission
    from medloupe.serving.tracing import RequestSpan, Tracing

log = logging.getLogger("medloupe.serving")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), geolocation=(self), microphone=()"),
    (b"cache-control", b"no-store"),  # of patients, or of who is logged in; what may be kept says so itself
)

_BAD_PATIENT = HttpError(
    400,
    "bad_patient",
    "The header Medloupe-Patient is no patient's id.",
    "Expected at most 100 letters in UTF-8, without line breaks; or leave the header out.",
)


class Metrics:
    """The figures of one server, in a registry of their own."""

    def __init__(self, service: Service, admission: Admission):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        here: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("medloupe_requests_total", "Requests answered.", ["method", "route", "status"], **here)
        self.seconds = Histogram(
            "medloupe_request_seconds", "Seconds from request to answer.", ["route"], buckets=_BUCKETS, **here
        )
        self.stages = Histogram(
            "medloupe_stage_seconds", "Seconds of an answer by stage.", ["stage"], buckets=_BUCKETS, **here
        )
        self.predictions = Counter(
            "medloupe_predictions_total", "Pictures answered.", ["model", "version", "refused"], **here
        )

        take_up = Histogram(
            "medloupe_take_up_seconds",
            "Seconds from a promotion, wherever it was made, until this server answers with it.",
            buckets=_BUCKETS,
            **here,
        )
        service.take_ups.observe = take_up.observe

        def gauge(name: str, help: str, value: Any) -> None:
            Gauge(name, help, **here).set_function(value)

        gauge("medloupe_requests_at_work", "Pictures being answered or waiting.", lambda: admission.taken)
        gauge("medloupe_upload_bytes", "Bytes of requests held in memory.", lambda: admission.bytes)
        gauge("medloupe_rejected", "Requests told to come back.", lambda: admission.rejected)
        gauge("medloupe_checkups", "Check-ups in production.", lambda: len(service.catalog.all()))
        gauge("medloupe_checkups_broken", "Versions that cannot be loaded.", lambda: len(service.catalog.broken))
        gauge("medloupe_swaps", "Versions taken up since the start.", lambda: service.catalog.swaps)
        gauge("medloupe_networks", "Networks held in memory.", lambda: service.sessions.count)
        gauge("medloupe_network_bytes", "Bytes of the networks held.", lambda: service.sessions.bytes)
        gauge("medloupe_network_loads", "Sessions opened since the start.", lambda: service.sessions.loads)
        gauge("medloupe_network_evictions", "Networks given up for others.", lambda: service.sessions.evictions)
        gauge("medloupe_shadows", "Comparisons of two versions that go on.", lambda: service.shadow.count)
        gauge("medloupe_shadow_compared", "Requests that both versions answered.", lambda: service.shadow.compared)
        gauge("medloupe_shadow_dropped", "Requests left out on a busy server.", lambda: service.shadow.dropped)
        gauge("medloupe_shadow_failed", "Requests the other version failed on.", lambda: service.shadow.failed)
        gauge("medloupe_decoders_killed", "Decoders stopped for taking too long.", lambda: service.decoders.killed)
        gauge("medloupe_decoders_died", "Decoders that crashed.", lambda: service.decoders.died)

    def count_answer(self, answer: Answer) -> None:
        """Count one picture's answer."""
        p = answer.prediction
        self.predictions.labels(p.model or "none", str(p.version or ""), str(p.refused is not None).lower()).inc()
        for stage, ms in p.timings.items():
            self.stages.labels(stage).observe(ms / 1000)


def request_id(scope: Scope) -> str:
    """Return what the client calls its request, if that is fit for a log, else something new."""
    told = _read_header(scope, b"x-request-id").decode("latin-1")
    return told if _ID.fullmatch(told) else secrets.token_hex(8)


class Observe:
    """ASGI middleware around everything: id, log line, figures, headers, and the last net for errors."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing | None = None):
        self.app = app
        self.metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        if scope["method"] == "HEAD":  # the routes know GET; uvicorn leaves the body out
            scope = {**scope, "method": "GET"}
        id = request_id(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = id
        REQUEST_ID.set(id)
        SITE.set(read_site(_read_header(scope, b"medloupe-site").decode("latin-1")))
        if self._tracing is None or scope["path"] in QUIET:
            await self._answer(scope, receive, send, id, started)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        with self._tracing.request(scope["method"], headers, id) as traced:
            await self._answer(scope, receive, send, id, started, traced)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, id: str, started: float, traced: RequestSpan | None = None
    ) -> None:
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {k for k, _ in message.get("headers", ())}
                extra = [(b"x-request-id", id.encode()), *(h for h in _HEADERS if h[0] not in given)]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        patient = read_patient(_read_header(scope, b"medloupe-patient"))
        PATIENT.set(patient or "")
        try:
            if patient is None:  # taken for unknown, it could neither be counted nor be forgotten
                await _json(answer, 400, _BAD_PATIENT.as_json())
            else:
                await self.app(scope, receive, answer)
        except ClientDisconnect:
            status = status or 499  # nobody is there to be told
        except Exception:
            log.exception("unexpected", extra={"request_id": id})
            if status == 0:
                body = HttpError(
                    500, "internal", "Something went wrong in the server.", f"Its log tells more under {id}."
                ).as_json()
                await _json(answer, 500, body)
        finally:
            self._note(scope, id, status, time.perf_counter() - started, traced)

    def _note(self, scope: Scope, id: str, status: int, seconds: float, traced: RequestSpan | None) -> None:
        route = getattr(scope.get("route"), "path", "") or "none"
        self.metrics.requests.labels(scope["method"], route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        if route in QUIET:
            return
        person = scope["state"].get("person")
        noted = scope["state"].get("noted") or {}
        if traced is not None:
            traced.tell(scope["method"], route, status, noted)
            noted = {**noted, "trace_id": traced.trace_id}
        log.info(
            "request",
            extra={
                "request_id": id,
                "method": scope["method"],
                "route": route,
                "status": status,
                "ms": round(1000 * seconds, 2),
                "user": getattr(person, "id", None),
                **noted,
            },
        )


async def _json(send: Send, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


_FIELDS = ("request_id", "trace_id", "method", "route", "status", "ms", "user", "model", "version", "code", "reason")
_FIELDS += ("address",)


class _Json(logging.Formatter):
    """One JSON object a line, of fields that are known to name no patient and no file."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{record.msecs:03.0f}",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        said |= {key: getattr(record, key) for key in _FIELDS if getattr(record, key, None) is not None}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write structured logs of the server and of uvicorn's errors to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    for name in ("medloupe", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level if name == "medloupe" else logging.WARNING)


def _read_header(scope: Scope, name: bytes) -> bytes:
    """Read a header of a request; b"" where there is none."""
    return next((value for key, value in scope["headers"] if key == name), b"")
