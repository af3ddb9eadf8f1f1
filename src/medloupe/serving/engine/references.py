"""Take the reference of an answer of a pilot: what was found to be true, by another way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medloupe.errors import DataError

if TYPE_CHECKING:
    from medloupe.accounts.person import Person
    from medloupe.serving.engine.service import Service


def give_reference(service: Service, id: str, person: Person, labels: Sequence[str]) -> None:
    """Keep the reference of an answer of a person (an admin: of anybody), which is shown from then on.

    Raises
    ------
    UnknownError
        There is no such answer of this person, or it is of no pilot.
    DataError
        A label is none of its check-up's.
    StoreError
        It has a reference, or has been shown.
    """
    entry = service.journal.get(id, person)
    known = service.catalog.get(entry.model, entry.version).answered_labels if entry.model else ()
    if wrong := [label for label in labels if label not in known]:
        raise DataError(f"{wrong[0][:60]!r} is no label of this answer.", f"There are {', '.join(known[:20])}.")
    service.pilot.pilots.refer(id, labels, by=person.name)
