"""Manage the people who may use a server: their accounts, roles and passwords.

Passwords are kept as Argon2id hashes (passwords.py); logins.py has log-ins and tokens, log.py what people did.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from medloupe.accounts import passwords
from medloupe.accounts.log import AuditLog
from medloupe.accounts.logins import Logins, close_logins, revoke_tokens
from medloupe.accounts.person import Person, is_valid_name, normalise_name, parse_role, person_of
from medloupe.errors import MedloupeError, StorageError, did_you_mean
from medloupe.store.database import transaction
from medloupe.store.tables import UserRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

_RESERVED = {"local", "nobody"}  # who the audit log names where no account acted


@dataclass(frozen=True, slots=True)
class Account:
    """A person as admins see them."""

    id: int
    name: str
    role: str
    created: str
    disabled: bool


class People:
    """The accounts in a database; safe to use from several threads and processes.

    Every method raises StorageError when the database cannot be used.

    Attributes
    ----------
    logins : Logins
        Log-ins and tokens, in the same database.
    log : AuditLog
        The audit log, in the same database.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self.logins = Logins(engine)
        self.log = AuditLog(engine)

    def any(self) -> bool:
        """Tell whether there is any account."""
        with transaction(self._engine) as session:
            return session.scalar(select(UserRow.id).limit(1)) is not None

    def has_admin(self) -> bool:
        """Tell whether somebody may administer."""
        with transaction(self._engine) as session:
            return bool(_admins(session))

    def all(self) -> list[Account]:
        """List all accounts, by name."""
        with transaction(self._engine) as session:
            rows = session.scalars(select(UserRow).order_by(UserRow.name))
            return [Account(r.id, r.name, r.role, r.created, r.disabled) for r in rows]

    def add(self, name: str, password: str, role: str) -> Person:
        """Make an account.

        Raises
        ------
        MedloupeError
            The name, password or role is bad, or the name is taken.
        """
        name = normalise_name(name)
        if not is_valid_name(name) or name.casefold() in _RESERVED:
            raise MedloupeError(
                f"{name[:80]!r} cannot name a person: 1 to 64 characters without / \\ : @, neither local nor nobody.",
                "A short name will do; no e-mail address is needed.",
            )
        checked = parse_role(role)
        kept = passwords.hash_new_password(name, password)
        taken = MedloupeError(f"There is somebody named {name!r} already.", "Choose another name.")
        with transaction(self._engine, write=True) as session:
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
        """Find a person by name.

        Raises
        ------
        MedloupeError
            There is nobody of that name.
        """
        with transaction(self._engine) as session:
            return person_of(_row(session, name))

    def set_password(self, name: str, password: str, *, keep_tokens: bool = False) -> None:
        """Change a password, log the person out everywhere and make their API tokens worthless.

        Whoever knew the old password may have made a token with it (source: OWASP ASVS 3.3.3 and Session Management
        Cheat Sheet).

        Parameters
        ----------
        name, password
            Whose, and the new one.
        keep_tokens
            Whether the tokens go on working.

        Raises
        ------
        MedloupeError
            There is nobody of that name, or the password is too weak.
        """
        kept = passwords.hash_new_password(name, password)
        with transaction(self._engine, write=True) as session:
            row = _row(session, name)
            row.password = kept
            close_logins(session, row.id)
            if not keep_tokens:
                revoke_tokens(session, row.id)

    def set_role(self, name: str, role: str) -> None:
        """Change a role, and log the person out everywhere.

        Raises
        ------
        MedloupeError
            There is no such person or role, or it is the last admin's.
        """
        checked = parse_role(role)
        with transaction(self._engine, write=True) as session:
            row = _row(session, name) if checked == "admin" else _row_but_the_last_admin(session, name)
            row.role = checked
            close_logins(session, row.id)

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Shut a person out, tokens included, or let them in again.

        Raises
        ------
        MedloupeError
            There is nobody of that name, or the last admin would be shut out.
        """
        with transaction(self._engine, write=True) as session:
            row = _row_but_the_last_admin(session, name) if disabled else _row(session, name)
            row.disabled = disabled
            if disabled:
                close_logins(session, row.id)

    def remove(self, name: str) -> None:
        """Remove an account with its log-ins and tokens; predictions stay, without a person.

        Raises
        ------
        MedloupeError
            There is nobody of that name, or it is the last admin.
        """
        with transaction(self._engine, write=True) as session:
            session.delete(_row_but_the_last_admin(session, name))

    def authenticate(self, name: str, password: str) -> Person | None:
        """Return the person, or None where the password is wrong or they are shut out.

        It takes as long for names that nobody has.
        """
        decoy, name = passwords.decoy_hash(), normalise_name(name)
        with transaction(self._engine) as session:
            wanted = select(UserRow.id, UserRow.password).where(UserRow.name == name)
            found = session.execute(wanted).one_or_none() if is_valid_name(name) else None
        # No connection is held meanwhile: many who wait for their turn must not use them up.
        right = passwords.verify_password(found.password if found else decoy, password)
        if not right or found is None:
            return None
        with transaction(self._engine) as session:  # again: the password may have been changed while it was checked
            same = (UserRow.id == found.id, UserRow.password == found.password, UserRow.disabled.is_(False))
            row = session.scalar(select(UserRow).where(*same))
            person = None if row is None else person_of(row)
        if person is not None and passwords.needs_rehash(found.password):
            renewed = update(UserRow).where(*same).values(password=passwords.hash_password(password))
            with contextlib.suppress(StorageError), transaction(self._engine, write=True) as session:
                session.execute(renewed)
        return person


def _row(session: Session, name: str) -> UserRow:
    wanted = select(UserRow).where(UserRow.name == normalise_name(name))
    row = session.scalar(wanted) if is_valid_name(normalise_name(name)) else None
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
    """Find a row after locking the admins: two of them could otherwise shut each other out at once."""
    admins = _admins(session, lock=True)
    row = _row(session, name)
    if admins == [row.id]:
        raise MedloupeError(
            f"{row.name} is the only admin; without one nobody could administer the server.",
            "Make somebody else an admin first: medloupe users role NAME admin",
        )
    return row
