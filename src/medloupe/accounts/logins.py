"""Keep log-ins and API tokens.

What proves them is long and random, so its sha256 is kept and needs no slow hash.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from medloupe.accounts.person import Person, person_of
from medloupe.accounts.uses import TokenUses
from medloupe.errors import MedloupeError
from medloupe.store.database import transaction
from medloupe.store.tables import LoginRow, TokenRow, UserRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

LOGIN_HOURS = 12
TOKEN_PREFIX = "mlp_"
_MOST_LOGINS = 50  # of one person at a time; the oldest goes
_MOST_TOKENS = 50  # of one person
_SECRET = re.compile(rf"(?:{TOKEN_PREFIX})?[A-Za-z0-9_-]{{20,64}}")


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret.

    Attributes
    ----------
    name : str
        What uses it, as its owner says.
    created : str
        In UTC, as ISO 8601.
    last_used : str, optional
        Likewise, to the minute; None where it was never used.
    """

    id: int
    name: str
    created: str
    last_used: str | None


class Logins:
    """The log-ins and tokens in a database; safe to use from several threads and processes.

    Every method raises StorageError when the database cannot be used.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._uses = TokenUses(engine)

    def open(self, person: Person) -> tuple[str, str]:
        """Open a log-in, and end those that are over or too many.

        Returns
        -------
        tuple of str
            The cookie's secret, and the token that its forms carry.

        Raises
        ------
        MedloupeError
            The person was shut out or removed meanwhile.
        """
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        with transaction(self._engine, write=True) as session:
            wanted = select(UserRow.id).where(UserRow.id == person.id, UserRow.disabled.is_(False))
            if session.scalar(wanted.with_for_update()) is None:
                raise MedloupeError(f"{person.name} may not log in.", "Ask an admin.")
            session.execute(delete(LoginRow).where(LoginRow.expires < now()))
            session.add(
                LoginRow(digest=_digest(cookie), csrf=csrf, user_id=person.id, created=now(), expires=_expiry())
            )
            session.flush()
            mine = select(LoginRow.id).where(LoginRow.user_id == person.id).order_by(LoginRow.id.desc())
            for old in session.scalars(mine.offset(_MOST_LOGINS)).all():
                session.execute(delete(LoginRow).where(LoginRow.id == old))
        return cookie, csrf

    def person(self, cookie: str) -> tuple[Person, str] | None:
        """Return who is logged in with a cookie and the token of its forms, or None."""
        if not _SECRET.fullmatch(cookie):
            return None
        wanted = (
            select(UserRow, LoginRow.csrf)
            .join(LoginRow, LoginRow.user_id == UserRow.id)
            .where(LoginRow.digest == _digest(cookie), LoginRow.expires >= now(), UserRow.disabled.is_(False))
        )
        with transaction(self._engine) as session:
            found = session.execute(wanted).one_or_none()
            return None if found is None else (person_of(found[0]), found[1])

    def close(self, cookie: str) -> None:
        """Log out: forget the cookie."""
        if not _SECRET.fullmatch(cookie):
            return
        with transaction(self._engine, write=True) as session:
            session.execute(delete(LoginRow).where(LoginRow.digest == _digest(cookie)))

    def add_token(self, person: Person, name: str) -> str:
        """Make an API token and return its secret, which is shown this once.

        Raises
        ------
        MedloupeError
            The name says nothing, the person has no account, or has too many tokens.
        """
        name = name.strip()
        if not 0 < len(name) <= 64 or not name.isprintable():
            raise MedloupeError("A token needs a name of 1 to 64 characters.", "Name what will use it: 'phone app'.")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        with transaction(self._engine, write=True) as session:
            if session.scalar(select(UserRow.id).where(UserRow.id == person.id).with_for_update()) is None:
                raise MedloupeError(f"{person.name} has no account.", "medloupe users list shows who has.")
            have = session.scalars(select(TokenRow.id).where(TokenRow.user_id == person.id)).all()
            if len(have) >= _MOST_TOKENS:
                raise MedloupeError(f"{person.name} has {len(have)} tokens.", "Revoke those that nothing uses.")
            session.add(TokenRow(digest=_digest(secret), user_id=person.id, name=name, created=now()))
        return secret

    def token(self, secret: str) -> Person | None:
        """Return whose token a secret is, or None; that it was used is noted later, to the minute."""
        if not (secret.startswith(TOKEN_PREFIX) and _SECRET.fullmatch(secret)):
            return None
        wanted = select(UserRow, TokenRow).join(TokenRow, TokenRow.user_id == UserRow.id)
        with transaction(self._engine) as session:
            found = session.execute(
                wanted.where(TokenRow.digest == _digest(secret), UserRow.disabled.is_(False))
            ).one_or_none()
            if found is None:
                return None
            person, id = person_of(found[0]), found[1].id
        self._uses.note(id)
        return person

    def tokens(self, person: Person) -> list[Token]:
        """List the tokens of a person, the newest first."""
        with transaction(self._engine) as session:
            rows = session.scalars(select(TokenRow).where(TokenRow.user_id == person.id).order_by(TokenRow.id.desc()))
            return [Token(r.id, r.name, r.created, self._uses.last(r.id) or r.last_used) for r in rows]

    def revoke(self, person: Person, id: int) -> None:
        """Make a token worthless.

        Raises
        ------
        MedloupeError
            The person has no token of that number.
        """
        with transaction(self._engine, write=True) as session:
            wanted = select(TokenRow).where(TokenRow.id == id, TokenRow.user_id == person.id)
            row = session.scalar(wanted) if 0 < id < 2**31 else None
            if row is None:
                raise MedloupeError(f"{person.name} has no token {id}.", "The list of tokens shows their numbers.")
            session.delete(row)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _expiry() -> str:
    """Tell when a log-in that begins now is over."""
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=LOGIN_HOURS)
    return until.isoformat(timespec="milliseconds")


def close_logins(session: Session, user_id: int) -> None:
    """Close all log-ins of a person, within a transaction."""
    session.execute(delete(LoginRow).where(LoginRow.user_id == user_id))


def revoke_tokens(session: Session, user_id: int) -> None:
    """Make all API tokens of a person worthless, within a transaction."""
    session.execute(delete(TokenRow).where(TokenRow.user_id == user_id))
