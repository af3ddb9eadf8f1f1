"""What an operator watches a server by: traces that a real receiver gets, and the dashboard of its figures."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from generated import tissue
from live import Live, running
from medloupe.errors import ExtraError
from medloupe.serving.tracing import start_tracing
from pictures import encode
from places import ROOT
from trained import Trained

DASHBOARD = ROOT / "deploy" / "grafana.json"
ABOVE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
"""Trace and span of a caller."""


class Receiver:
    """An OTLP receiver on a port of this machine. spans: as dicts, as they came."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.resource: dict[str, str] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, sent: ExportTraceServiceRequest) -> None:
        for part in sent.resource_spans:
            self.resource = {a.key: a.value.string_value for a in part.resource.attributes}
            for scope in part.scope_spans:
                for one in scope.spans:
                    told = {a.key: a.value for a in one.attributes}
                    said = {k: v.string_value or v.int_value for k, v in told.items()}
                    ids = {"trace": one.trace_id.hex(), "id": one.span_id.hex(), "above": one.parent_span_id.hex()}
                    times = {"begin": one.start_time_unix_nano, "end": one.end_time_unix_nano}
                    self.spans.append({"name": one.name, "told": said, "text": str(one), **ids, **times})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def home(_trained: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_trained.home, tmp_path / "home"))


def ask(server: Live, **headers: str) -> dict[str, Any]:
    with server.client() as client:
        files = {"image": ("Mrs Smith 1950.png", encode(tissue(0, True), "PNG"))}
        said = client.post("/api/v1/models/spots/predict", files=files, headers=headers)
        assert said.status_code == 200, said.text
        return said.json()


def test_a_request_is_one_trace_of_its_stages(home: Path, receiver: Receiver) -> None:
    with running(home, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as server:
        ask(server, traceparent=f"00-{ABOVE[0]}-{ABOVE[1]}-01", **{"X-Request-ID": "my-own-7"})
        with server.client() as client:
            client.get("/healthz")
        server.stop()  # which sends what is left
        spans = {s["name"]: s for s in receiver.spans if s["trace"] == ABOVE[0]}
        line = next(line for line in server.lines() if line.get("request_id") == "my-own-7")
    top = spans["POST /api/v1/models/{name}/predict"]
    assert top["above"] == ABOVE[1]
    assert top["told"] == {
        "http.request.method": "POST",
        "http.route": "/api/v1/models/{name}/predict",
        "http.response.status_code": 200,
        "medloupe.request_id": "my-own-7",
        "medloupe.model": "spots",
        "medloupe.version": 1,
    }
    assert line["trace_id"] == ABOVE[0]
    assert set(spans) == {top["name"], "wait for a thread", "decode", "network", "answer", "keep"}
    for name, stage in spans.items():
        if name != top["name"]:
            assert stage["above"] == top["id"], name
            assert top["begin"] <= stage["begin"] <= stage["end"] <= top["end"], name
    assert spans["decode"]["end"] <= spans["network"]["begin"]
    assert spans["network"]["end"] <= spans["answer"]["begin"]
    assert receiver.resource["service.name"] == "medloupe"
    for one in receiver.spans:  # nothing of a patient, nothing of the answer
        assert "Smith" not in one["text"]
        assert not {"healthz", "/healthz", "GET /healthz"} & {one["name"]}
        assert not re.search("clear|spots\\b.*probab", one["text"])


def test_what_fails_says_so_and_a_receiver_that_is_gone_keeps_nobody_waiting(home: Path, receiver: Receiver) -> None:
    gone = Receiver()
    gone.close()
    with running(home, OTEL_EXPORTER_OTLP_ENDPOINT=gone.url, OTEL_BSP_SCHEDULE_DELAY="50") as server:
        for _ in range(5):
            assert ask(server)["model"] == "spots"
    with running(home, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.url}/v1/traces") as server:
        with server.client() as client:
            said = client.post("/api/v1/models/spots/predict", files={"image": ("x.png", b"no picture")})
            assert said.status_code == 415, said.text
        server.stop()  # sends what is left
    top = next(s for s in receiver.spans if s["name"].startswith("POST"))
    assert top["told"]["http.response.status_code"] == 415


def test_without_being_told_it_traces_nothing(home: Path) -> None:
    with running(home) as server:
        ask(server)
        assert all("trace_id" not in line for line in server.lines())


def test_where_its_packages_are_missing_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ExtraError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT names .* not installed.*medloupe\[otel\]"):
        start_tracing()
    for name, value in (("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")):
        with monkeypatch.context() as told:
            told.setenv(name, value)
            assert start_tracing() is None


# ---------------------------------------------------------------- the dashboard


def expressions() -> list[tuple[str, str]]:
    """Title and expression of each of the dashboard's queries, its variables filled in."""
    read = json.loads(DASHBOARD.read_text("utf-8"))
    values = {"$__rate_interval": "5m", "$job": "medloupe", "$instance": ".+"}
    found = []
    for panel in read["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"]
            for name, value in values.items():
                text = text.replace(name, value)
            found.append((panel["title"], text))
    return found


def test_each_query_of_the_dashboard_asks_for_figures_that_there_are(live: Live) -> None:
    with live.client() as client:
        client.get("/checkups/spots")
        ask(live)
        figures = client.get("/metrics").text
    there = {line.split("{")[0].split(" ")[0] for line in figures.splitlines() if not line.startswith("#")}
    labels: dict[str, set[str]] = {}
    for line in figures.splitlines():
        if "{" in line and not line.startswith("#"):
            name, _, rest = line.partition("{")
            labels.setdefault(name, set()).update(re.findall(r'(\w+)="', rest))
    brought = {"job", "instance"}  # by Prometheus
    for title, text in expressions():
        promql_parser.parse(text)
        for name, matchers in re.findall(r"((?:medloupe|process)_\w+)\{([^}]*)\}", text):
            assert name in there, (title, name)
            asked = set(re.findall(r"(\w+)\s*=~?", matchers))
            assert asked <= labels.get(name, set()) | brought, (title, name, asked)
        for by in re.findall(r"by \(([^)]*)\)", text):
            known = set().union(brought, *labels.values())
            assert {one.strip() for one in by.split(",")} <= known, title


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    read = json.loads(DASHBOARD.read_text("utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in read["panels"]:
        place = panel["gridPos"]
        xs, ys = (range(place[at], place[at] + place[size]) for at, size in ("xw", "yh"))
        cells = set(itertools.product(xs, ys))
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({p["id"] for p in read["panels"]}) == len(read["panels"])
