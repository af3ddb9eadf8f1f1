"""Do a request once that may be sent twice: by its Idempotency-Key, kept with what was answered for a week.

The key is written in the transaction of the answer itself. Whatever is killed in between, there are both or none; of
two requests that come at the same time the second one's answer is taken back, and the first one's given.

Source: IETF, "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from medloupe.errors import KeyReusedError, MedloupeError, UnknownError
from medloupe.model.brief import write_brief
from medloupe.serving.engine.rows import drop_input_values
from medloupe.store.database import transaction
from medloupe.store.tables import IdempotencyRow, PredictionRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.serving.engine.answer import Answer

KEPT_DAYS = 7
MOST_CHARACTERS = 200
_KEY = re.compile(r"[\x21-\x7e]+")


class KeyTakenError(MedloupeError):
    """What was to be done under a key was done in the meantime."""


@dataclass(slots=True, kw_only=True)
class Once:
    """A request that is to be done once.

    Attributes
    ----------
    key : str
        Of its person, its address and its Idempotency-Key: a sha256.
    request : str
        Of all that it asks: a sha256.
    reply : mapping
        What was answered: "full", and "brief" of a picture; made before it is written down. As in the journal, names of
        files and what was given beside them are not in it.
    """

    key: str
    request: str
    reply: Mapping[str, Any] = field(default_factory=dict)

    def tell(self, answer: Answer) -> None:
        """Say what is answered."""
        said = answer.as_json()
        del said["file"]
        self.reply = {"full": drop_input_values(said), "brief": write_brief(answer.prediction)}


ONCE: ContextVar[Once | None] = ContextVar("once", default=None)
"""The request that is being answered, where it brought a key."""


def is_key(text: str) -> bool:
    """Tell whether a header's value can be a key: 1 to MOST_CHARACTERS printable characters of ASCII, no spaces."""
    return len(text) <= MOST_CHARACTERS and _KEY.fullmatch(text) is not None


def digest(*parts: str | bytes) -> str:
    """Hash texts and bytes together, each with its length."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        whole.update(f"{len(data)}:".encode())
        whole.update(data)
    return whole.hexdigest()


def claim_key(c: Connection, once: Once, prediction_id: str) -> None:
    """Write a request's key beside what it did, within the same transaction.

    Raises
    ------
    KeyTakenError
        Another request has it; then nothing of the transaction stays.
    """
    if c.execute(select(IdempotencyRow.key).where(IdempotencyRow.key == once.key)).first() is not None:
        raise KeyTakenError("A request with this Idempotency-Key was done in the meantime.")
    row = {"key": once.key, "at": now(), "request": once.request, "prediction_id": prediction_id, "reply": once.reply}
    # Another server may write it this very moment: then this waits for its end.
    add = (postgresql.insert if c.dialect.name == "postgresql" else sqlite.insert)(IdempotencyRow).values(row)
    if c.execute(add.on_conflict_do_nothing().returning(IdempotencyRow.key)).first() is None:
        raise KeyTakenError("A request with this Idempotency-Key was done in the meantime.")


def find_reply(c: Connection, once: Once) -> dict[str, Any] | None:
    """Return what was answered under the key before; None where it is new.

    Raises
    ------
    KeyReusedError
        It came with another request.
    UnknownError
        The answer was deleted since.
    """
    asked = (
        select(IdempotencyRow.request, IdempotencyRow.reply, PredictionRow.deleted_at)
        .join(PredictionRow, PredictionRow.id == IdempotencyRow.prediction_id)
        .where(IdempotencyRow.key == once.key)
    )
    row = c.execute(asked).first()
    if row is None:
        return None
    if row.request != once.request:
        raise KeyReusedError(
            "This Idempotency-Key came with another request before.", "Make a new key for each request, such as a UUID."
        )
    if row.deleted_at is not None:
        raise UnknownError("What was answered under this Idempotency-Key was deleted.", "Make a new key to ask again.")
    return row.reply


def remove_old_keys(engine: Engine) -> None:
    """Remove keys that are older than KEPT_DAYS. Raises StorageError."""
    limit = (datetime.now(UTC) - timedelta(days=KEPT_DAYS)).isoformat(timespec="milliseconds")
    with transaction(engine, write=True) as c:
        c.execute(delete(IdempotencyRow).where(IdempotencyRow.at < limit))
