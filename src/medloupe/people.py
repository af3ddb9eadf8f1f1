"""People who may use a server: roles, passwords, log-ins and tokens, and the log of what they did. Nothing of HTTP.

Secrets are kept as what proves them: passwords as Argon2id hashes (passwords.py), cookies and tokens, which are long
and random, as sha256.
"""

from __future__ import annotations

import contextlib
import datetime
import getpass
import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from medloupe import passwords
from medloupe.database import unusable, writing
from medloupe.errors import MedloupeError, StorageError, did_you_mean
from medloupe.tables import AuditRow, LoginRow, TokenRow, UserRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine

Role = Literal["viewer", "clinician", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "clinician", "admin")
"""From the least to the most: looks at check-ups; asks about pictures; changes models and people."""

LOGIN_HOURS = 12
TOKEN_PREFIX = "mlp_"
_MOST_LOGINS = 50  # of one person at a time; the oldest goes
_MOST_TOKENS = 50  # of one person
_NAME = re.compile(r"[^\s/@:\\](?:[^/@:\\]{0,62}[^\s/@:\\])?")
_SECRET = re.compile(rf"(?:{TOKEN_PREFIX})?[A-Za-z0-9_-]{{20,64}}")
_RESERVED = {"local", "nobody"}  # who the audit log names where no account acted


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
    """The accounts in a database; safe to use from several threads and processes.

    Every method raises StorageError when the database cannot be used.
    """

    def __init__(self, engine: Engine):
        self._engine = engine

    # ------------------------------------------------------------------ accounts

    def any(self) -> bool:
        """Whether there is any account."""
        with self._session() as session:
            return session.scalar(select(UserRow.id).limit(1)) is not None

    def has_admin(self) -> bool:
        """Whether somebody may administer."""
        with self._session() as session:
            return bool(_admins(session))

    def all(self) -> list[Account]:
        """All accounts, by name."""
        with self._session() as session:
            rows = session.scalars(select(UserRow).order_by(UserRow.name))
            return [Account(r.id, r.name, r.role, r.created, r.disabled) for r in rows]

    def add(self, name: str, password: str, role: str) -> Person:
        """A new account. Raises MedloupeError for a bad name, password or role, or a name that is taken."""
        name = _named(name)
        if not _possible(name) or name.casefold() in _RESERVED:
            raise MedloupeError(
                f"{name[:80]!r} cannot name a person: 1 to 64 characters without / \\ : @, neither local nor nobody.",
                "A short name will do; no e-mail address is needed.",
            )
        checked = _role(role)
        kept = passwords.hashed(name, password)
        taken = MedloupeError(f"There is somebody named {name!r} already.", "Choose another name.")
        with self._session(write=True) as session:
            # Two people whose names differ in a capital letter would be taken for each other in the audit log.
            if name.casefold() in {other.casefold() for other in session.scalars(select(UserRow.name))}:
                raise taken
            row = UserRow(name=name, password=kept, role=checked, created=now(), disabled=False)
            session.add(row)
            try:
                session.flush()
            except IntegrityError as e:
                raise taken from e
            return Person(row.id, name, checked)

    def find(self, name: str) -> Person:
        """The person of that name. Raises MedloupeError when there is none."""
        with self._session() as session:
            return _person(_row(session, name))

    def set_password(self, name: str, password: str) -> None:
        """Change it, and log the person out everywhere; tokens go on working. Raises MedloupeError."""
        kept = passwords.hashed(name, password)
        with self._session(write=True) as session:
            row = _row(session, name)
            row.password = kept
            _log_out(session, row.id)

    def set_role(self, name: str, role: str) -> None:
        """Change it, and log the person out everywhere. Raises MedloupeError, also for the last admin's."""
        checked = _role(role)
        with self._session(write=True) as session:
            row = _row(session, name) if checked == "admin" else _row_but_the_last_admin(session, name)
            row.role = checked
            _log_out(session, row.id)

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Shut a person out, tokens included, or let them in again. Raises MedloupeError, also for the last admin."""
        with self._session(write=True) as session:
            row = _row_but_the_last_admin(session, name) if disabled else _row(session, name)
            row.disabled = disabled
            if disabled:
                _log_out(session, row.id)

    def remove(self, name: str) -> None:
        """Remove an account with its log-ins and tokens; predictions stay, without a person. Raises MedloupeError."""
        with self._session(write=True) as session:
            session.delete(_row_but_the_last_admin(session, name))

    def authenticate(self, name: str, password: str) -> Person | None:
        """The person, if the password is theirs and they are not shut out. Takes as long for unknown names."""
        decoy, name = passwords.decoy(), _named(name)
        with self._session() as session:
            wanted = select(UserRow.id, UserRow.password).where(UserRow.name == name)
            found = session.execute(wanted).one_or_none() if _possible(name) else None
        # No connection is held meanwhile: many who wait for their turn must not use them up.
        right = passwords.matches(found.password if found else decoy, password)
        if not right or found is None:
            return None
        with self._session() as session:  # again: the password may have been changed while it was checked
            same = (UserRow.id == found.id, UserRow.password == found.password, UserRow.disabled.is_(False))
            row = session.scalar(select(UserRow).where(*same))
            person = None if row is None else _person(row)
        if person is not None and passwords.outdated(found.password):
            renewed = update(UserRow).where(*same).values(password=passwords.rehashed(password))
            with contextlib.suppress(StorageError), self._session(write=True) as session:
                session.execute(renewed)
        return person

    # ------------------------------------------------------------------ log-ins and tokens

    def open_login(self, person: Person) -> tuple[str, str]:
        """A new log-in: the cookie's secret, and the token that its forms carry.

        Raises MedloupeError when the person was shut out or removed meanwhile.
        """
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        with self._session(write=True) as session:
            wanted = select(UserRow.id).where(UserRow.id == person.id, UserRow.disabled.is_(False))
            if session.scalar(wanted.with_for_update()) is None:
                raise MedloupeError(f"{person.name} may not log in.", "Ask an admin.")
            session.execute(delete(LoginRow).where(LoginRow.expires < now()))
            session.add(LoginRow(digest=_digest(cookie), csrf=csrf, user_id=person.id, created=now(), expires=_hence()))
            session.flush()
            mine = select(LoginRow.id).where(LoginRow.user_id == person.id).order_by(LoginRow.id.desc())
            for old in session.scalars(mine.offset(_MOST_LOGINS)).all():
                session.execute(delete(LoginRow).where(LoginRow.id == old))
        return cookie, csrf

    def login(self, cookie: str) -> tuple[Person, str] | None:
        """Who is logged in with that cookie, and the token of its forms."""
        if not _SECRET.fullmatch(cookie):
            return None
        wanted = (
            select(UserRow, LoginRow.csrf)
            .join(LoginRow, LoginRow.user_id == UserRow.id)
            .where(LoginRow.digest == _digest(cookie), LoginRow.expires >= now(), UserRow.disabled.is_(False))
        )
        with self._session() as session:
            found = session.execute(wanted).one_or_none()
            return None if found is None else (_person(found[0]), found[1])

    def close_login(self, cookie: str) -> None:
        """Log out."""
        if not _SECRET.fullmatch(cookie):
            return
        with self._session(write=True) as session:
            session.execute(delete(LoginRow).where(LoginRow.digest == _digest(cookie)))

    def add_token(self, person: Person, name: str) -> str:
        """A new API token, which is shown this once. Raises MedloupeError for a name that says nothing, and for too
        many."""
        name = name.strip()
        if not 0 < len(name) <= 64 or not name.isprintable():
            raise MedloupeError("A token needs a name of 1 to 64 characters.", "Name what will use it: 'phone app'.")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        with self._session(write=True) as session:
            if session.scalar(select(UserRow.id).where(UserRow.id == person.id).with_for_update()) is None:
                raise MedloupeError(f"{person.name} has no account.", "medloupe users list shows who has.")
            have = session.scalars(select(TokenRow.id).where(TokenRow.user_id == person.id)).all()
            if len(have) >= _MOST_TOKENS:
                raise MedloupeError(f"{person.name} has {len(have)} tokens.", "Revoke those that nothing uses.")
            session.add(TokenRow(digest=_digest(secret), user_id=person.id, name=name, created=now()))
        return secret

    def token(self, secret: str) -> Person | None:
        """Whose token that is. When it was used is noted to the minute."""
        if not (secret.startswith(TOKEN_PREFIX) and _SECRET.fullmatch(secret)):
            return None
        wanted = select(UserRow, TokenRow).join(TokenRow, TokenRow.user_id == UserRow.id)
        with self._session() as session:
            found = session.execute(
                wanted.where(TokenRow.digest == _digest(secret), UserRow.disabled.is_(False))
            ).one_or_none()
            if found is None:
                return None
            person, id, used = _person(found[0]), found[1].id, found[1].last_used or ""
        if used[:16] != now()[:16]:
            # A disk that is full refuses the note, not the person.
            with contextlib.suppress(StorageError), self._session(write=True) as session:
                session.execute(update(TokenRow).where(TokenRow.id == id).values(last_used=now()))
        return person

    def tokens(self, person: Person) -> list[Token]:
        """A person's tokens, the newest first."""
        with self._session() as session:
            rows = session.scalars(select(TokenRow).where(TokenRow.user_id == person.id).order_by(TokenRow.id.desc()))
            return [Token(r.id, r.name, r.created, r.last_used) for r in rows]

    def revoke(self, person: Person, id: int) -> None:
        """Make a token worthless. Raises MedloupeError when the person has none of that number."""
        with self._session(write=True) as session:
            wanted = select(TokenRow).where(TokenRow.id == id, TokenRow.user_id == person.id)
            row = session.scalar(wanted) if 0 < id < 2**31 else None
            if row is None:
                raise MedloupeError(f"{person.name} has no token {id}.", "The list of tokens shows their numbers.")
            session.delete(row)

    # ------------------------------------------------------------------ audit log

    def audit(
        self, actor: str, action: str, object: str = "", detail: Mapping[str, Any] | None = None, request_id: str = ""
    ) -> None:
        """Add a line: who did what to what. Name no patient and no file."""
        row = AuditRow(at=now(), actor=_line(actor, 64), action=_line(action, 64), object=_line(object, 200))
        row.request_id = _line(request_id, 64)
        row.detail = dict(detail) if detail else None
        with self._session(write=True) as session:
            session.add(row)

    def audit_failed_login(self, name: str, request_id: str = "") -> None:
        """Add a line for a wrong name or password. A name that nobody has is left out: it may be a password."""
        name = _named(name)
        with self._session() as session:
            wanted = select(UserRow.name).where(UserRow.name == name)
            known = session.scalar(wanted) if _possible(name) else None
        self.audit("nobody", "login.failed", known or "", None, request_id)

    def audits(self, limit: int = 100, before: int | None = None) -> Sequence[AuditEntry]:
        """The newest lines first, 1,000 at most. before: the id of the last one seen."""
        wanted = select(AuditRow).order_by(AuditRow.id.desc()).limit(min(max(limit, 1), 1000))
        if before is not None:
            wanted = wanted.where(AuditRow.id < min(max(before, 0), 2**31 - 1))
        with self._session() as session:
            return [
                AuditEntry(r.id, r.at, r.actor, r.action, r.object, r.detail, r.request_id)
                for r in session.scalars(wanted)
            ]

    # ------------------------------------------------------------------ within

    @contextlib.contextmanager
    def _session(self, *, write: bool = False) -> Iterator[Session]:
        """A transaction; one that writes is committed at the end of the block."""
        try:
            with writing(self._engine) if write else Session(self._engine) as session:
                yield session
                if write:
                    session.commit()
        except SQLAlchemyError as e:
            raise unusable(self._engine.url, e) from e


def operator() -> str:
    """Who sits at the command line, for the audit log. No account can have such a name."""
    try:
        return f"local:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a user without a name, as in some containers
        return "local"


def _named(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _possible(name: str) -> bool:
    """Whether an account may have that name. What does not print could look like another name."""
    return _NAME.fullmatch(name) is not None and name.isprintable()


def _line(text: str, length: int) -> str:
    """Text that stays on its line, does nothing to a terminal, and that every database takes."""
    return "".join(c if c.isprintable() else "�" for c in text[:length])


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
    raise MedloupeError(f"There is no role {text[:40]!r}; there are {', '.join(ROLES)}.", did_you_mean(text, ROLES))


def _row(session: Session, name: str) -> UserRow:
    wanted = select(UserRow).where(UserRow.name == _named(name))
    row = session.scalar(wanted) if _possible(_named(name)) else None
    if row is None:
        names = list(session.scalars(select(UserRow.name)))
        raise MedloupeError(
            f"There is nobody named {name[:80]!r}.",
            did_you_mean(name, names) or "medloupe users list shows who there is.",
        )
    return row


def _admins(session: Session, *, lock: bool = False) -> list[int]:
    wanted = select(UserRow.id).where(UserRow.role == "admin", UserRow.disabled.is_(False)).order_by(UserRow.id)
    return list(session.scalars(wanted.with_for_update() if lock else wanted))


def _row_but_the_last_admin(session: Session, name: str) -> UserRow:
    """The row, of which the admins are locked first: two of them could otherwise shut each other out at once."""
    admins = _admins(session, lock=True)
    row = _row(session, name)
    if admins == [row.id]:
        raise MedloupeError(
            f"{row.name} is the only admin; without one nobody could administer the server.",
            "Make somebody else an admin first: medloupe users role NAME admin",
        )
    return row


def _log_out(session: Session, user_id: int) -> None:
    session.execute(delete(LoginRow).where(LoginRow.user_id == user_id))
