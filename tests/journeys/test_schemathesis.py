"""The whole OpenAPI, asked by Schemathesis: no server error, and each answer is one of those documented."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any
from unittest import SkipTest
from zlib import crc32

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import drills
import studio_client
from live import Live, running
from trained import Trained
from unharmed import unharmed

EXAMPLES = int(os.environ.get("MEDLOUPE_EXAMPLES", "12"))
"""Of each operation, right ones and as many wrong ones; `make soak` asks for 250."""
schemathesis.serializer.alias(studio_client.BINARY, "application/octet-stream")
HEALTH = ("/healthz", "/readyz", "/v2/health/ready")


@pytest.fixture(scope="module")
def server(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Its own: its models are promoted, rolled back and added to."""
    home = tmp_path_factory.mktemp("schema") / "home"
    shutil.copytree(_trained.home, home)
    with running(home, "--keep-images") as live:
        yield live


@pytest.fixture(scope="module")
def api(server: Live) -> Any:
    """The schema; half of all names and numbers in paths are those of something that is there."""
    there = {"name": drills.NAME, "version": 1, "number": 1}
    with server.client() as client:
        dataset = studio_client.new(client, "A set", {"normal": "normal", "sick": "sought"})
        made = studio_client.send(client, dataset, "x.png", drills.picture(), "sick").json()
        there |= {
            "item": made["result"]["items"][0],
            "upload": made["id"],
            "candidate": "0" * 32,
        }  # of candidates there are none
        client.post(f"/api/v1/datasets/{dataset}/versions")
    ids = [server.ask(drills.NAME, drills.picture()).json()["id"] for _ in range(3)]
    found = schemathesis.openapi.from_url(server.url + "/openapi.json")

    @found.hook
    def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        for key, value in (path_parameters or {}).items():
            mark = crc32(repr(value).encode())
            if mark % 2:
                own = dataset if "/datasets/" in context.operation.path else ids[mark % 3]
                path_parameters[key] = own if key == "id" else there[key]  # pyright: ignore
        return path_parameters

    return found


@pytest.mark.slow
def test_every_operation(api: Any, server: Live) -> None:
    """All of them in one test: pytest's own way of telling them apart would need the server before it runs."""
    wrong, seen = [], 0
    for found in api.get_all_operations():
        operation = found.ok()
        seen += 1
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=[*HealthCheck],
            )
            @given(operation.as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case) -> None:
                check(case)

            try:
                ask()
            except (Unsatisfiable, SkipTest):  # what takes nothing cannot be given anything wrong
                pass
            except (Exception, BaseExceptionGroup) as e:
                wrong.append(f"{operation.label}: {e!r} {getattr(e, 'exceptions', '')}")
    assert seen > 25
    assert not wrong, "\n\n".join(wrong)


def check(case: schemathesis.Case) -> None:
    """Ask, and look at the answer."""
    answer = case.call(timeout=30)
    assert answer.status_code < 500 or (answer.status_code == 503 and case.path in HEALTH), answer.text
    if answer.status_code >= 400:
        said = answer.json()["error"]
        if case.path.startswith("/v2"):
            assert isinstance(said, str)
            assert said
        else:
            assert set(said) == {"code", "message", "hint"}
            assert said["message"]
    case.validate_response(
        answer, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
    )


def test_nothing_of_it_stays(server: Live) -> None:
    """After all of that."""
    unharmed(server)
