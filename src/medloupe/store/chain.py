"""Chain the lines of the audit log, so that none can be changed, taken out or put in without its being found.

Each line carries a hash, keyed by the store (identity.py), of itself and of the line before; a head names the last one.
Whoever can write to the database, but has no key, cannot make such hashes. Every SEGMENT lines are sealed: old segments
may be removed and the chain still holds, from the seal on. Writers are one after the other: the head is locked while a
transaction adds lines, and a transaction that was cut short has added none.

Sources: Schneier and Kelsey, "Secure Audit Logs to Support Computer Forensics" (1999); RFC 2104 (HMAC).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, update

from medloupe.errors import StorageError
from medloupe.store.tables import AuditHeadRow, AuditRow, AuditSealRow, now

KEY = "audit_key"
"""The engine's execution option with the store's key, as bytes."""
SEGMENT = 1000
"""Lines from one seal to the next."""
START = "0" * 64
"""Stands before the first line of a log that began chained."""
FIELDS = ("at", "actor", "action", "object", "request_id", "detail")
BEFORE, CHAINED = "before", "chained"
"""Kinds of seals: of the lines from before there was a chain, and of a segment of it."""
# Made once: an answer waits for them, and making them takes longer than running them.
_LOCK_HEAD = select(AuditHeadRow.last, AuditHeadRow.hash).with_for_update()
_ADD_LINES = insert(AuditRow)
_SET_HEAD = update(AuditHeadRow).values({name: bindparam(f"new_{name}") for name in ("last", "hash", "mac")})


def append_lines(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add lines to the log, within the transaction of a connection that writes.

    Parameters
    ----------
    connection
        Of an engine that `open_engine` opened.
    rows
        Of AuditRow: FIELDS.
    """
    if not rows:
        return
    key = key_of(connection)
    # Locked from here to the end of the transaction, so that nobody adds to the same line.
    head = connection.execute(_LOCK_HEAD).one()
    number, link = head.last, head.hash
    made: list[dict[str, Any]] = []
    sealed: list[tuple[int, str]] = []
    for row in rows:
        number += 1
        line = {**{name: row.get(name) for name in FIELDS}, "number": number}
        line["detail"] = None if line["detail"] is None else json.loads(json.dumps(line["detail"]))
        link = line_hash(key, link, line)
        made.append({**line, "hash": link})
        if number % SEGMENT == 0:
            sealed.append((number, link))
    connection.execute(_ADD_LINES, made)
    set_head(connection, key, number, link)
    for last, hash in sealed:
        add_seal(connection, last, hash)


def key_of(source: Connection | Engine) -> bytes:
    """Return the store's key."""
    found = source.get_execution_options().get(KEY)
    if not isinstance(found, bytes):
        raise StorageError("The key of the store is not at hand.", "Open the database as the store does.")
    return found


def keyed_hash(source: Connection | Engine, text: str) -> str:
    """Hash an identifier under the store's key, so that only who has it can find the identifier's lines.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return hmac.new(key_of(source), b"name\0" + text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]


def line_hash(key: bytes, before: str, line: Mapping[str, Any]) -> str:
    """Hash a line with its number and the hash of the line before."""
    return _mac(key, ["line", before, line["number"], *(line[name] for name in FIELDS)])


def digest_unchained(key: bytes, lines: Iterable[Mapping[str, Any]]) -> tuple[int, int, int, str]:
    """Hash lines from before there was a chain.

    Returns
    -------
    tuple
        The ids of the first and the last one, how many they are, and their hash.
    """
    first = last = count = 0
    found = START
    for line in lines:
        found = _mac(key, ["before", found, line["id"], *(line[name] for name in FIELDS)])
        first, last, count = first or line["id"], line["id"], count + 1
    return first, last, count, found


def start_chain(connection: Connection) -> None:
    """Begin the chain after the lines that are there, which are sealed as they are.

    Also those of a chain whose key is lost: what they prove can no longer be told.
    """
    key = key_of(connection)
    connection.execute(delete(AuditHeadRow))
    connection.execute(delete(AuditSealRow))
    connection.execute(update(AuditRow).where(AuditRow.number.is_not(None)).values(number=None, hash=None))
    first, last, count, hash = digest_unchained(key, read_unchained(connection))
    link = START
    if count:
        link = _insert_seal(connection, key, BEFORE, first, last, count, hash)
    connection.execute(insert(AuditHeadRow).values(id=1, last=0, hash=link, mac=head_mac(key, 0, link)))


def read_unchained(connection: Connection) -> Iterable[Mapping[str, Any]]:
    """Read the lines without a number, the oldest first, some at a time."""
    return _read(connection, AuditRow.id, AuditRow.number.is_(None))


def read_chained(connection: Connection, after: int = 0) -> Iterable[Mapping[str, Any]]:
    """Read the lines of the chain behind a number, in their order, some at a time."""
    return _read(connection, AuditRow.number, AuditRow.number.is_not(None), after)


def _read(connection: Connection, order: Any, which: Any, after: int = 0) -> Iterable[Mapping[str, Any]]:
    columns = (AuditRow.id, AuditRow.number, AuditRow.hash, *(getattr(AuditRow, name) for name in FIELDS))
    while True:
        wanted = select(*columns).where(which, order > after).order_by(order).limit(SEGMENT)
        found = connection.execute(wanted).mappings().all()
        yield from (dict(row) for row in found)
        if len(found) < SEGMENT:
            return
        after = found[-1][order.key]


def add_seal(connection: Connection, last: int, hash: str) -> None:
    """Seal the lines behind the last seal up to a number, of which the hash is given."""
    key = key_of(connection)
    sealed = select(func.max(AuditSealRow.last)).where(AuditSealRow.kind == CHAINED)
    before = connection.execute(sealed).scalar() or 0
    _insert_seal(connection, key, CHAINED, before + 1, last, last - before, hash)


def _insert_seal(connection: Connection, key: bytes, kind: str, first: int, last: int, lines: int, hash: str) -> str:
    newest = select(AuditSealRow.mac).order_by(AuditSealRow.id.desc()).limit(1)
    seal = {"kind": kind, "first": first, "last": last, "lines": lines, "at": now(), "hash": hash}
    mac = seal_mac(key, connection.execute(newest).scalar() or START, seal)
    connection.execute(insert(AuditSealRow).values(**seal, mac=mac))
    return mac


def seal_mac(key: bytes, before: str, seal: Mapping[str, Any]) -> str:
    """Hash a seal with the one before."""
    return _mac(key, ["seal", before, *(seal[name] for name in ("kind", "first", "last", "lines", "at", "hash"))])


def removal_mac(key: bytes, mac: str, at: str) -> str:
    """Hash that a segment was removed on purpose: else taking lines out could be told as that."""
    return _mac(key, ["removed", mac, at])


def head_mac(key: bytes, last: int, hash: str) -> str:
    """Hash which line is the last one."""
    return _mac(key, ["head", last, hash])


def set_head(connection: Connection, key: bytes, last: int, hash: str) -> None:
    """Note which line is the last one."""
    connection.execute(_SET_HEAD, {"new_last": last, "new_hash": hash, "new_mac": head_mac(key, last, hash)})


def _mac(key: bytes, said: Sequence[Any]) -> str:
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))  # ASCII: halves of characters have a form, too
    return hmac.new(key, text.encode("ascii"), hashlib.sha256).hexdigest()
