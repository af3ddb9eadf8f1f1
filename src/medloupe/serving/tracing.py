"""Send a trace of each request by OpenTelemetry: how long it waited, was decoded, looked at, answered and kept.

It is on where OpenTelemetry's own environment variables name a receiver (OTEL_EXPORTER_OTLP_ENDPOINT) and the extra
`otel` is installed. A trace holds the route, status, request id, check-up and version; never a file name, a label, a
probability, a person or an address.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from medloupe.errors import ExtraError
from medloupe.utils.spans import Attribute, listen_to_spans
from medloupe.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

P = ParamSpec("P")
R = TypeVar("R")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables of which one names who receives the traces."""
QUIET = ("/healthz", "/readyz", "/metrics")
"""Routes that are asked every few seconds, of which nobody wants a trace."""


class Tracing:
    """Makes OpenTelemetry spans of requests and of what `utils.spans` is told.

    Parameters
    ----------
    exporter : SpanExporter
        Sends them, in batches and in a thread of its own; what it cannot send is lost and keeps nobody waiting.
    """

    def __init__(self, exporter: SpanExporter):
        from opentelemetry import context, propagate, trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "medloupe", "service.version": __version__}
        self._provider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer: Tracer = self._provider.get_tracer("medloupe", __version__)
        self._context, self._propagate, self._trace = context, propagate, trace

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str], request_id: str) -> Iterator[RequestSpan]:
        """Open the span of a request, below the caller's where its `traceparent` header names one.

        Parameters
        ----------
        method, headers, request_id
            Of the request; header names in lower case.
        """
        above = self._propagate.extract(headers)
        kind = self._trace.SpanKind.SERVER
        attributes = {"http.request.method": method, "medloupe.request_id": request_id}
        with self._tracer.start_as_current_span(method, above, kind, attributes, record_exception=False) as opened:
            yield RequestSpan(opened, self._trace.StatusCode.ERROR)

    def open_span(self, name: str, attributes: dict[str, Attribute]) -> AbstractContextManager[Any]:
        """Open a span, as `utils.spans.SpanListener` has it."""
        return self._tracer.start_as_current_span(name, attributes=attributes, record_exception=False)

    def begin_span(self, name: str, attributes: dict[str, Attribute]) -> Callable[[], None]:
        """Begin a span that is ended by what is returned, in any thread."""
        return self._tracer.start_span(name, attributes=attributes).end

    def carry(self, function: Callable[P, R]) -> Callable[P, R]:
        """Take the open span along into another thread, and tell how long that one was waited for."""
        above = self._context.get_current()
        waited = self.begin_span("wait for a thread", {})

        def carried(*arguments: P.args, **named: P.kwargs) -> R:
            waited()
            token = self._context.attach(above)
            try:
                return function(*arguments, **named)
            finally:
                self._context.detach(token)

        return carried

    def close(self) -> None:
        """Send what is left, for a few seconds at most, and listen no more."""
        listen_to_spans(None)
        self._provider.shutdown()


class RequestSpan:
    """The span of one request, told at its end what it was."""

    def __init__(self, span: Any, failed: Any):
        self._span, self._failed = span, failed

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hexadecimal digits, by which the log names it."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def tell(self, method: str, route: str, status: int, noted: Mapping[str, Any]) -> None:
        """Tell the span what was answered. noted: model and version that answered, where any did."""
        self._span.update_name(f"{method} {route}")
        told = {"http.route": route, "http.response.status_code": status}
        told |= {f"medloupe.{key}": value for key, value in noted.items() if value not in (None, "")}
        self._span.set_attributes(told)
        if status >= 500:
            self._span.set_status(self._failed)


def start_tracing() -> Tracing | None:
    """Start to send traces where the environment says so; None where it does not.

    Raises
    ------
    ExtraError
        It does, and the packages are missing.
    """
    wanted = os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower()
    if wanted == "none" or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    named = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if named is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as e:
        raise ExtraError(
            f"{named} names a receiver of traces, but OpenTelemetry is not installed.",
            "pip install 'medloupe[otel]', or unset it.",
        ) from e
    tracing = Tracing(OTLPSpanExporter())
    listen_to_spans(tracing)
    return tracing
