"""Give routes what they may reach of the running server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import Request

from medloupe.accounts.person import Person
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.service import Service
from medloupe.serving.http.intake import Admission


def service_of(request: Request) -> Service:
    """Return the running service."""
    return request.app.state.service


def admission_of(request: Request) -> Admission:
    """Return what lets requests in."""
    return request.app.state.admission


def note_answer(request: Request, answer: Answer) -> None:
    """Note which model and version answered, for the log line and the figures."""
    request.scope["state"]["noted"] = {"model": answer.prediction.model, "version": answer.prediction.version}
    request.app.state.metrics.count_answer(answer)


async def add_to_audit_log(
    request: Request, person: Person, action: str, object: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Add a line to the audit log: what a person did to what."""
    people = request.app.state.people
    await asyncio.to_thread(people.log.add, person.name, action, object, detail, request.state.request_id)
