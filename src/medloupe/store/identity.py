"""Know a store and its database by each other, so that one without the other is no new and empty store.

A file in the store's folder and a row of the database name the same store. Where one of the two is missing, or names
another, a database was lost, a folder was not mounted, or a URL leads elsewhere: a server that went on would have no
accounts, and be open. The file also holds the store's key, which the database does not have: with it the audit log is
chained (chain.py) and what it names is hashed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, insert, inspect, select

from medloupe.errors import StoreError
from medloupe.settings import setting
from medloupe.store.tables import IdentityRow, now
from medloupe.utils.files import sync_folder

FILE = "store.id"
_ANEW = (
    "Put back what is missing: mount the folder, restore the back-up, correct MEDLOUPE_DATABASE. To go on without it,"
    " on purpose: medloupe users begin-anew"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a store is.

    Attributes
    ----------
    store : str
        Random, hexadecimal.
    key : str
        Of keyed hashes, 64 hexadecimal digits; a secret.
    made : str
        When, in UTC, as ISO 8601.
    settled : bool
        Whether the database has it too, so that it must be there from now on.
    """

    store: str
    key: str
    made: str
    settled: bool = False

    @property
    def mark(self) -> dict[str, str]:
        """What the database has of it: no key, but whether it is the same one."""
        digest = hmac.new(bytes.fromhex(self.key), b"medloupe key", hashlib.sha256).hexdigest()
        return {"store": self.store, "key_digest": digest}


def make_identity() -> Identity:
    """Make a new one."""
    return Identity(store=secrets.token_hex(16), key=secrets.token_hex(32), made=now())


def read_identity(home: Path) -> Identity | None:
    """Read the file of a store; None where there is none.

    Raises
    ------
    StoreError
        It is damaged.
    OSError
        It cannot be read.
    """
    path = home / FILE
    try:
        said = json.loads(path.read_text("utf-8"))
        found = Identity(**{name: said[name] for name in ("store", "key", "made", "settled")})
        if len(bytes.fromhex(found.key)) != 32:
            raise ValueError("the key is too short")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as e:
        raise StoreError(f"{path} is damaged.", _ANEW) from e
    return found


def told_identity() -> Identity | None:
    """Read MEDLOUPE_STORE_KEY, by which servers without a common folder are one store; None where it is not set.

    Raises
    ------
    StoreError
        It is neither a key nor what a store.id holds.
    """
    told = setting("MEDLOUPE_STORE_KEY").strip()
    if not told:
        return None
    try:
        if told.startswith("{"):
            said = json.loads(told)
            found = Identity(store=str(said["store"]), key=str(said["key"]), made=str(said["made"]))
        else:
            digest = hashlib.sha256(b"medloupe store" + bytes.fromhex(told)).hexdigest()
            found = Identity(store=digest[:32], key=told.lower(), made=now())
        if len(bytes.fromhex(found.key)) != 32:
            raise ValueError("the key is too short")
    except (ValueError, KeyError, TypeError) as e:
        raise StoreError(
            "MEDLOUPE_STORE_KEY is no key of a store.",
            "Expected 64 hexadecimal digits (openssl rand -hex 32), or what the file store.id of a store holds.",
        ) from e
    return found


def find_identity(home: Path) -> Identity | None:
    """Read the file of a store, or where there is none what MEDLOUPE_STORE_KEY says.

    Raises
    ------
    StoreError
        One of them is damaged, or they are of two stores.
    OSError
        The file cannot be read.
    """
    known, told = read_identity(home), told_identity()
    if known is None or told is None:
        return known or told
    if known.mark != told.mark:
        raise StoreError(f"MEDLOUPE_STORE_KEY is of another store than {home / FILE}.", "Unset one of the two.")
    return known


def write_identity(home: Path, identity: Identity) -> None:
    """Write the file durably, for its owner's eyes only. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=home, prefix=f".{FILE}.")  # which nobody else may read
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as f:
            json.dump(asdict(identity), f)
            f.flush()
            os.fsync(f.fileno())
        Path(temporary).replace(home / FILE)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(home)


def set_identity_aside(home: Path) -> None:
    """Rename the file, if there is one: its key still proves the audit log of the database that is lost."""
    path = home / FILE
    if path.exists():
        path.replace(home / f"{FILE}.before-{now()[:19].replace(':', '')}")
        sync_folder(home)


def read_mark(connection: Connection) -> dict[str, str] | None:
    """Read what the database says; None where it says nothing."""
    if not inspect(connection).has_table(IdentityRow.__tablename__):
        return None
    row = connection.execute(select(IdentityRow.store, IdentityRow.key_digest)).one_or_none()
    return None if row is None else {"store": row.store, "key_digest": row.key_digest}


def write_mark(connection: Connection, identity: Identity) -> None:
    """Write an identity into the database, in place of any other."""
    connection.execute(delete(IdentityRow))
    connection.execute(insert(IdentityRow).values(id=1, made=identity.made, **identity.mark))


def check_database(home: Path, identity: Identity | None, mark: dict[str, str] | None, where: str) -> None:
    """Check that a folder and a database belong together, or that both are new.

    Parameters
    ----------
    home
        The folder of the store.
    identity, mark
        What the folder and the database say; None for nothing.
    where
        Names the database.

    Raises
    ------
    StoreError
        One is missing or another's.
    """
    if identity is None and mark is not None:
        raise StoreError(
            f"The database {where} belongs to a store, and the folder {home} is not that store's: it has no {FILE}.",
            _ANEW,
        )
    if identity is None or mark == identity.mark:
        return
    if mark is None:
        if identity.settled:
            raise StoreError(
                f"The store {home} has had a database since {identity.made[:10]}, and {where} is not it: it is missing"
                " or empty. Accounts, answers and the audit log are in the one that is not there.",
                _ANEW,
            )
        return
    raise StoreError(f"The database {where} belongs to another store than the folder {home}.", _ANEW)
