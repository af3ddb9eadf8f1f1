"""Record which version of a model answers under its bare name, how that came about, and the audit log of it.

Everything here happens within the transaction of the session that is given.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from medloupe.store.chain import append_lines
from medloupe.store.notices import announce_change
from medloupe.store.tables import ModelRow, PromotionRow, now


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionChange:
    """A change of a model's production version.

    Attributes
    ----------
    at
        UTC, ISO 8601.
    kind
        "first", "promote" or "rollback".
    previous
        What was in production before.
    forced
        Whether the gate was overruled.
    comparison
        What the gate saw (medloupe.metrics.gate.Comparison.as_json), or None.
    """

    at: str
    kind: str
    version: int
    previous: int | None
    actor: str
    forced: bool
    reason: str
    comparison: dict[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """Give all fields, in types that JSON has."""
        return asdict(self)


def set_production(
    session: Session,
    model: ModelRow,
    version: int,
    *,
    kind: str,
    actor: str,
    reason: str = "",
    forced: bool = False,
    comparison: dict[str, Any] | None = None,
) -> None:
    """Make version the one in production and note the change."""
    session.add(
        PromotionRow(
            model_id=model.id,
            at=now(),
            kind=kind,
            version=version,
            previous=model.production,
            actor=_text(actor, 64),
            forced=forced,
            reason=_text(reason),
            comparison=comparison,
        )
    )
    model.production = version
    announce_change(session, model.name)


def log_action(
    session: Session, action: str, thing: str, *, actor: str, request_id: str = "", detail: dict[str, Any] | None = None
) -> None:
    """Write one line of the audit log."""
    session.flush()  # others wait from here on until the transaction ends
    row = {
        "at": now(),
        "actor": _text(actor, 64),
        "action": action,
        "object": _text(thing, 200),
        "request_id": _text(request_id, 64),
        "detail": detail,
    }
    append_lines(session.connection(), [row])


def read_changes(session: Session, name: str) -> list[ProductionChange]:
    """Read all changes of a name, the oldest first."""
    return [_read_change(row) for row in session.scalars(_changes_of(name).order_by(PromotionRow.id))]


def read_last_change(session: Session, name: str) -> ProductionChange | None:
    """Read the last change of a name; None where there was none."""
    row = session.scalar(_changes_of(name).order_by(PromotionRow.id.desc()).limit(1))
    return None if row is None else _read_change(row)


def _changes_of(name: str) -> Select[PromotionRow]:
    return select(PromotionRow).join(ModelRow, ModelRow.id == PromotionRow.model_id).where(ModelRow.name == name)


def _read_change(row: PromotionRow) -> ProductionChange:
    return ProductionChange(**{f: getattr(row, f) for f in ProductionChange.__dataclass_fields__})


def previous_version(made: Sequence[ProductionChange], present: int, there: Collection[int]) -> int | None:
    """Find the version that was in production before the present one, of those that are still there.

    A rollback undoes the change that brought the present version, so one after the other goes further and further back.
    """
    stack: list[int] = []
    for change in made:
        if change.kind == "rollback":
            del stack[-1:]
            while stack and stack[-1] != change.version:
                stack.pop()
        elif not stack and change.previous is not None:  # in production since before there was a history
            stack.append(change.previous)
        if change.kind != "rollback" or not stack:
            stack.append(change.version)
    return next((v for v in reversed(stack) if v != present and v in there), None)


def _text(value: str, length: int | None = None) -> str:
    """Cut a text, as both databases take it: PostgreSQL knows neither zero characters nor halves of characters."""
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "�")[:length]
