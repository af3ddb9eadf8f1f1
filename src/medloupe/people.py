"""People who may use a server: roles, passwords, log-ins and tokens, and the log of what they did. Nothing of HTTP.

Secrets are kept as what proves them: passwords as Argon2id hashes, cookies and tokens, which are long and random, as
sha256. Source of the parameters: OWASP Password Storage Cheat Sheet.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from medloupe.errors import MedloupeError, did_you_mean
from medloupe.tables import AuditRow, LoginRow, TokenRow, UserRow, now

if TYPE_CHECKING:
    from argon2 import PasswordHasher
    from sqlalchemy import Engine

Role = Literal["viewer", "clinician", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "clinician", "admin")
"""From the least to the most: looks at check-ups; asks about pictures; changes models and people."""

LOGIN_HOURS = 12
MIN_PASSWORD = 10
TOKEN_PREFIX = "mlp_"
_AT_ONCE = 2  # passwords checked together: each takes 19 MiB and a core for a moment
_NAME = re.compile(r"[^\s/@:\\\x00-\x1f\x7f](?:[^/@:\\\x00-\x1f\x7f]{0,62}[^\s/@:\\\x00-\x1f\x7f])?")
_COMMON = {
    *("password", "passwort", "motdepasse", "medloupe", "qwertyuiop", "administrator", "letmein", "welcome"),
    *("1234567890", "0123456789", "iloveyou", "changeme", "secret", "default", "hospital", "clinic", "doctor"),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. id: None for the person at a computer without accounts."""

    id: int | None
    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the person has that role or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL = Person(None, "local", "admin")
"""The person at this computer, while there are no accounts and nobody else can reach the server."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person as admins see them."""

    id: int
    name: str
    role: str
    created: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret."""

    id: int
    name: str
    created: str
    last_used: str | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log."""

    id: int
    at: str
    actor: str
    action: str
    object: str
    detail: Mapping[str, Any] | None
    request_id: str


class People:
    """The accounts in a database; safe to use from several threads and processes."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._checking = threading.Semaphore(_AT_ONCE)

    # ------------------------------------------------------------------ accounts

    def any(self) -> bool:
        """Whether there is any account."""
        with Session(self._engine) as session:
            return session.scalar(select(UserRow.id).limit(1)) is not None

    def has_admin(self) -> bool:
        """Whether somebody may administer."""
        with Session(self._engine) as session:
            return _admins(session) > 0

    def all(self) -> list[Account]:
        """All accounts, by name."""
        with Session(self._engine) as session:
            rows = session.scalars(select(UserRow).order_by(UserRow.name))
            return [Account(r.id, r.name, r.role, r.created, r.disabled) for r in rows]

    def add(self, name: str, password: str, role: str) -> Person:
        """A new account. Raises MedloupeError for a bad name, password or role, or a name that is taken."""
        name = name.strip()
        if not _NAME.fullmatch(name):
            raise MedloupeError(
                f"{name[:80]!r} cannot name a person: up to 64 characters, without / \\ : @ and line breaks.",
                "An e-mail address is not needed: a short name will do.",
            )
        checked = _role(role)
        hashed = self._hash(name, password)
        with Session(self._engine) as session:
            row = UserRow(name=name, password=hashed, role=checked, created=now(), disabled=False)
            session.add(row)
            try:
                session.commit()
            except IntegrityError as e:
                raise MedloupeError(f"There is somebody named {name!r} already.", "Choose another name.") from e
            return Person(row.id, name, checked)

    def find(self, name: str) -> Person:
        """The person of that name. Raises MedloupeError when there is none."""
        with Session(self._engine) as session:
            return _person(self._row(session, name))

    def set_password(self, name: str, password: str) -> None:
        """Change it, and log the person out everywhere. Raises MedloupeError."""
        hashed = self._hash(name, password)
        with Session(self._engine) as session:
            row = self._row(session, name)
            row.password = hashed
            _log_out(session, row.id)
            session.commit()

    def set_role(self, name: str, role: str) -> None:
        """Change it, and log the person out everywhere. Raises MedloupeError, also for the last admin's."""
        checked = _role(role)
        with Session(self._engine) as session:
            row = self._row(session, name)
            if checked != "admin":
                _keep_one_admin(session, row)
            row.role = checked
            _log_out(session, row.id)
            session.commit()

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Shut a person out, tokens included, or let them in again. Raises MedloupeError, also for the last admin."""
        with Session(self._engine) as session:
            row = self._row(session, name)
            if disabled:
                _keep_one_admin(session, row)
                _log_out(session, row.id)
            row.disabled = disabled
            session.commit()

    def remove(self, name: str) -> None:
        """Remove an account with its log-ins and tokens; predictions stay, without a person. Raises MedloupeError."""
        with Session(self._engine) as session:
            row = self._row(session, name)
            _keep_one_admin(session, row)
            session.delete(row)
            session.commit()

    def authenticate(self, name: str, password: str) -> Person | None:
        """The person, if the password is theirs and they are not shut out. Takes as long for unknown names."""
        with Session(self._engine) as session:
            row = session.scalar(select(UserRow).where(UserRow.name == name.strip()))
            hashed = row.password if row else _decoy()
            if not self._verify(hashed, password) or row is None or row.disabled:
                return None
            if _hasher().check_needs_rehash(hashed):
                row.password = _hasher().hash(password)
                session.commit()
            return _person(row)

    # ------------------------------------------------------------------ log-ins and tokens

    def open_login(self, person: Person) -> tuple[str, str]:
        """A new log-in: the cookie's secret, and the token that its forms carry."""
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        with Session(self._engine) as session:
            session.execute(delete(LoginRow).where(LoginRow.expires < now()))
            session.add(LoginRow(digest=_digest(cookie), csrf=csrf, user_id=person.id, created=now(), expires=_hence()))
            session.commit()
        return cookie, csrf

    def login(self, cookie: str) -> tuple[Person, str] | None:
        """Who is logged in with that cookie, and the token of its forms."""
        wanted = (
            select(UserRow, LoginRow.csrf)
            .join(LoginRow, LoginRow.user_id == UserRow.id)
            .where(LoginRow.digest == _digest(cookie), LoginRow.expires >= now(), UserRow.disabled.is_(False))
        )
        with Session(self._engine) as session:
            found = session.execute(wanted).one_or_none()
            return None if found is None else (_person(found[0]), found[1])

    def close_login(self, cookie: str) -> None:
        """Log out."""
        with Session(self._engine) as session:
            session.execute(delete(LoginRow).where(LoginRow.digest == _digest(cookie)))
            session.commit()

    def add_token(self, person: Person, name: str) -> str:
        """A new API token, which is shown this once. Raises MedloupeError for a name that says nothing."""
        name = name.strip()
        if not 0 < len(name) <= 64:
            raise MedloupeError("A token needs a name of 1 to 64 characters.", "Name what will use it: 'phone app'.")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        with Session(self._engine) as session:
            session.add(TokenRow(digest=_digest(secret), user_id=person.id, name=name, created=now()))
            session.commit()
        return secret

    def token(self, secret: str) -> Person | None:
        """Whose token that is. When it was used is noted to the minute."""
        with Session(self._engine) as session:
            wanted = select(UserRow, TokenRow).join(TokenRow, TokenRow.user_id == UserRow.id)
            found = session.execute(
                wanted.where(TokenRow.digest == _digest(secret), UserRow.disabled.is_(False))
            ).one_or_none()
            if found is None:
                return None
            person = _person(found[0])
            minute = now()[:16]
            if (found[1].last_used or "")[:16] != minute:
                found[1].last_used = now()
                session.commit()
            return person

    def tokens(self, person: Person) -> list[Token]:
        """A person's tokens, the newest first."""
        with Session(self._engine) as session:
            rows = session.scalars(select(TokenRow).where(TokenRow.user_id == person.id).order_by(TokenRow.id.desc()))
            return [Token(r.id, r.name, r.created, r.last_used) for r in rows]

    def revoke(self, person: Person, id: int) -> None:
        """Make a token worthless. Raises MedloupeError when the person has none of that number."""
        with Session(self._engine) as session:
            row = session.scalar(select(TokenRow).where(TokenRow.id == id, TokenRow.user_id == person.id))
            if row is None:
                raise MedloupeError(f"{person.name} has no token {id}.", "The list of tokens shows their numbers.")
            session.delete(row)
            session.commit()

    # ------------------------------------------------------------------ audit log

    def audit(
        self, actor: str, action: str, object: str = "", detail: Mapping[str, Any] | None = None, request_id: str = ""
    ) -> None:
        """Add a line: who did what to what. Name no patient and no file."""
        row = AuditRow(at=now(), actor=actor[:64], action=action[:64], object=object[:200], request_id=request_id[:64])
        row.detail = dict(detail) if detail else None
        with Session(self._engine) as session:
            session.add(row)
            session.commit()

    def audits(self, limit: int = 100, before: int | None = None) -> Sequence[AuditEntry]:
        """The newest lines first. before: the id of the last one seen."""
        wanted = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(AuditRow.id < before)
        with Session(self._engine) as session:
            return [
                AuditEntry(r.id, r.at, r.actor, r.action, r.object, r.detail, r.request_id)
                for r in session.scalars(wanted)
            ]

    # ------------------------------------------------------------------ within

    def _row(self, session: Session, name: str) -> UserRow:
        row = session.scalar(select(UserRow).where(UserRow.name == name.strip()))
        if row is None:
            names = list(session.scalars(select(UserRow.name)))
            raise MedloupeError(
                f"There is nobody named {name!r}.",
                did_you_mean(name, names) or "medloupe users list shows who there is.",
            )
        return row

    def _hash(self, name: str, password: str) -> str:
        fault = password_fault(name, password)
        if fault:
            raise MedloupeError(f"The password {fault}.", "Several words that do not belong together are easy to keep.")
        with self._checking:
            return _hasher().hash(password)

    def _verify(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHash

        if len(password) > 1000:
            return False
        with self._checking:
            try:
                return _hasher().verify(hashed, password)
            except (Argon2Error, InvalidHash):
                return False


def password_fault(name: str, password: str) -> str:
    """What is wrong with a password, as the end of a sentence, or ""."""
    plain = password.strip().lower()
    if len(password) < MIN_PASSWORD:
        return f"has {len(password)} characters; expected at least {MIN_PASSWORD}"
    if len(password) > 1000:
        return "is longer than 1,000 characters"
    if name.strip().lower() and name.strip().lower() in plain and len(plain) < len(name.strip()) + 6:
        return "is little more than the name"
    if plain.strip("0123456789!.?#*- ") in _COMMON | {""} or len(set(plain)) < 4 or plain in _COMMON:
        return "is one of those that everybody tries first"
    return ""


_decoys: list[str] = []


def _decoy() -> str:
    """A hash that no password has, so that names which do not exist take as long as others."""
    if not _decoys:
        _decoys.append(_hasher().hash(secrets.token_hex(16)))
    return _decoys[0]


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _hence() -> str:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=LOGIN_HOURS)
    return until.isoformat(timespec="milliseconds")


def _person(row: UserRow) -> Person:
    return Person(row.id, row.name, _role(row.role))


def _role(text: str) -> Role:
    for role in ROLES:
        if role == text:
            return role
    raise MedloupeError(f"There is no role {text!r}; there are {', '.join(ROLES)}.", did_you_mean(text, ROLES))


def _admins(session: Session) -> int:
    wanted = select(func.count()).select_from(UserRow).where(UserRow.role == "admin", UserRow.disabled.is_(False))
    return session.scalar(wanted) or 0


def _keep_one_admin(session: Session, row: UserRow) -> None:
    if row.role == "admin" and not row.disabled and _admins(session) == 1:
        raise MedloupeError(
            f"{row.name} is the only admin; without one nobody could administer the server.",
            "Make somebody else an admin first: medloupe users role NAME admin",
        )


def _log_out(session: Session, user_id: int) -> None:
    session.execute(delete(LoginRow).where(LoginRow.user_id == user_id))
