"""Find what pages of answers need of the running server: titles, versions, passports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medloupe.errors import MedloupeError
from medloupe.serving.web import models

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.entries import Entry
    from medloupe.serving.engine.service import Service
    from medloupe.serving.web.language import Language


def checkup_titles(service: Service, language: Language) -> dict[str, str]:
    """Return the titles of all check-ups by name."""
    return {c.name: language.checkup(c) for c in service.catalog.all()}


def passport_of(service: Service, checkup: CheckUp | None) -> str:
    """Return the path of a version's report, or "" where it has none."""
    return "" if checkup is None else models.passport_path(service, checkup.name, checkup.version)


def find_at_hand(service: Service, entry: Entry) -> CheckUp | None:
    """Return the version that gave an answer if it is in production; nothing is loaded."""
    return next((c for c in service.catalog.all() if (c.name, c.version) == (entry.model, entry.version)), None)


def answering_version(service: Service, model: str, version: int | None) -> CheckUp | None:
    """Return the version that gave an answer, if it is still there; it may have to be loaded, so this blocks."""
    try:
        return service.catalog.get(model, version) if model else None
    except MedloupeError:
        return None
