"""Choose among the answers that are remembered: whose, in which state, of which check-up, by what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, func, or_, select

from medloupe.model.decision import STATES, WITHHELD
from medloupe.store.tables import PredictionRow

if TYPE_CHECKING:
    from medloupe.accounts.person import Person

LONGEST_ALIAS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which answers are wanted.

    Attributes
    ----------
    state, model : str
        Only those in that state, and of that check-up; "" for all. What is no state is none.
    search : str
        A part of the short name, or the beginning of the id; "" for all.
    """

    state: str = ""
    model: str = ""
    search: str = ""

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return bool(self.state or self.model or self.search)


ALL = Wanted()


def select_answers(person: Person, before: str | None = None, wanted: Wanted = ALL) -> Select[Any]:
    """Select a person's answers that are not deleted, the newest first.

    Parameters
    ----------
    person
        Whose.
    before
        "AT_ID" of the last one seen.
    wanted
        Which of them.
    """
    found = select(PredictionRow).where(PredictionRow.user_id == person.id, PredictionRow.deleted_at.is_(None))
    if before:
        at, _, id = _clean(before).partition("_")
        earlier = PredictionRow.at < at
        found = found.where(or_(earlier, and_(PredictionRow.at == at, PredictionRow.id > id)) if id else earlier)
    if wanted.state in (*STATES, WITHHELD):
        found = found.where(PredictionRow.state == wanted.state)
    if wanted.model:
        found = found.where(PredictionRow.model == _clean(wanted.model))
    if text := _clean(wanted.search).strip():
        named = func.lower(PredictionRow.alias).contains(text.lower(), autoescape=True)
        as_typed = PredictionRow.alias.contains(text, autoescape=True)  # SQLite knows capitals of English only
        found = found.where(or_(named, as_typed, PredictionRow.id.startswith(text.lower(), autoescape=True)))
    return found.order_by(PredictionRow.at.desc(), PredictionRow.id)


def read_alias(text: str) -> str | None:
    """Read a short name as a person types it: on one line and no longer than it may be; None for none."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line[:LONGEST_ALIAS].strip() or None


def _clean(text: str) -> str:
    return text.replace("\0", "")[:200]  # which PostgreSQL cannot take
