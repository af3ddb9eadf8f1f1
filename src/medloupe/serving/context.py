"""What a route may reach of the running service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import Request

from medloupe.accounts.person import Person
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.service import Service


def service_of(request: Request) -> Service:
    """The running service."""
    return request.app.state.service


def admission_of(request: Request) -> Any:
    """Who is let in."""
    return request.app.state.admission


def note_answer(request: Request, answer: Answer) -> None:
    """For the log line and the figures: which model and version answered."""
    request.scope["state"]["noted"] = {"model": answer.prediction.model, "version": answer.prediction.version}
    request.app.state.metrics.count_answer(answer)


async def add_to_audit_log(
    request: Request, person: Person, action: str, object: str, detail: Mapping[str, Any] | None = None
) -> None:
    """A line in the audit log."""
    people = request.app.state.people
    await asyncio.to_thread(people.log.add, person.name, action, object, detail, request.state.request_id)
