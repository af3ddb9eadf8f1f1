"""Keep the audit log: who did what to a server."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, or_, select

from medloupe.accounts.person import is_valid_name, normalise_name
from medloupe.store.chain import append_lines, keyed_hash
from medloupe.store.database import transaction
from medloupe.store.proving import Proof, prove_log, remove_lines
from medloupe.store.tables import AuditRow, UserRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine


REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The request that is being answered, for lines that are written far from it."""
ACTIONS = (
    "predict",
    "answer.look",
    "image.look",
    "history.look",
    "history.download",
    "prediction.delete",
    "prediction.restore",
    "image.delete",
    "login",
    "login.failed",
    "password.change",
    "token.add",
    "token.revoke",
    "user.add",
    "user.role",
    "user.disable",
    "user.enable",
    "user.password",
    "user.remove",
    "model.add",
    "add",
    "attach",
    "promote",
    "promote.refused",
    "promote.forced",
    "rollback",
    "remove",
    "job.add",
    "job.stop",
    "dataset.add",
    "dataset.freeze",
    "dataset.erase",
    "dataset.remove",
    "test.freeze",
    "retrain.rule",
    "candidate.add",
    "candidate.judge",
    "candidate.promoted",
    "candidate.refused",
    "candidate.dismissed",
    "shadow.begin",
    "shadow.end",
    "pilot.begin",
    "pilot.look",
    "pilot.reference",
    "pilot.end",
    "patient.forget",
    "patient.forgotten",
    "retention.erase",
    "review.add",
    "review.look",
    "review.opinion",
    "review.second",
    "review.withdraw",
    "review.place",
    "audit.remove",
    "store.anew",
)
"""What lines may say was done, for those who look through the log."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log.

    Attributes
    ----------
    at : str
        When, in UTC, as ISO 8601.
    object : str
        To what it was done: a model, a person, a token; "" where that says nothing.
    detail : Mapping, optional
        More about it, as JSON.
    """

    id: int
    at: str
    actor: str
    action: str
    object: str
    detail: Mapping[str, Any] | None
    request_id: str


class AuditLog:
    """The log in a database; safe to use from several threads and processes.

    Every method raises StorageError when the database cannot be used.
    """

    def __init__(self, engine: Engine):
        self._engine = engine

    def keyed(self, id: str) -> str:
        """Return what stands in the log for the id of an answer, or the digest of a picture: a hash with a key."""
        return keyed_hash(self._engine, id)

    def prove(self) -> Proof:
        """Read all lines and check that none was changed, taken out or put in."""
        return prove_log(self._engine)

    def remove_before(self, at: str) -> int:
        """Remove lines from before a time, UTC as ISO 8601; returns and raises as `proving.remove_lines` does."""
        return remove_lines(self._engine, at)

    def add(
        self, actor: str, action: str, object: str = "", detail: Mapping[str, Any] | None = None, request_id: str = ""
    ) -> None:
        """Add a line that says who did what to what. Name no patient and no file."""
        row = audit_row(actor, action, object, detail, request_id)
        with transaction(self._engine, write=True) as session:
            append_lines(session.connection(), [row])

    def add_failed_login(self, name: str, request_id: str = "") -> None:
        """Add a line for a wrong name or password, without a name that nobody has: it may be a password."""
        name = normalise_name(name)
        with transaction(self._engine) as session:
            wanted = select(UserRow.name).where(UserRow.name == name)
            known = session.scalar(wanted) if is_valid_name(name) else None
        self.add("nobody", "login.failed", known or "", None, request_id)

    def entries(
        self, limit: int = 100, before: int | None = None, *, actor: str = "", action: str = "", answer: str = ""
    ) -> Sequence[AuditEntry]:
        """Return the newest lines first.

        Parameters
        ----------
        limit : int
            How many lines, 1 to 1,000.
        before : int, optional
            The id of the last line seen; older ones follow.
        actor, action : str
            Only lines of this person, and of what was done; "" for all.
        answer : str
            Only lines about the answer of this id.
        """
        wanted = select(AuditRow).order_by(AuditRow.id.desc()).limit(min(max(limit, 1), 1000))
        if before is not None:
            wanted = wanted.where(AuditRow.id < min(max(before, 0), 2**31 - 1))
        if actor:
            wanted = wanted.where(AuditRow.actor == _line(normalise_name(actor), 64))
        if action:
            wanted = wanted.where(AuditRow.action == _line(action, 64))
        if answer:
            hidden = self.keyed(answer)
            wanted = wanted.where(or_(AuditRow.object == hidden, cast(AuditRow.detail, Text).contains(hidden)))
        with transaction(self._engine) as session:
            return [
                AuditEntry(r.id, r.at, r.actor, r.action, r.object, r.detail, r.request_id)
                for r in session.scalars(wanted)
            ]


def audit_row(
    actor: str, action: str, object: str = "", detail: Mapping[str, Any] | None = None, request_id: str = ""
) -> dict[str, Any]:
    """Make the row of AuditRow that says who did what to what, now."""
    return {
        "at": now(),
        "actor": _line(actor, 64),
        "action": _line(action, 64),
        "object": _line(object, 200),
        "request_id": _line(request_id, 64),
        "detail": dict(detail) if detail else None,
    }


def operator() -> str:
    """Name whoever sits at the command line, for the audit log; no account can have such a name."""
    try:
        return f"local:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a user without a name, as in some containers
        return "local"


def _line(text: str, length: int) -> str:
    """Make a text stay on its line, do nothing to a terminal and fit every database."""
    return "".join(c if c.isprintable() else "�" for c in text[:length])
