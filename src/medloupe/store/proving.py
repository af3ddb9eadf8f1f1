"""Prove that the audit log is whole, and remove its old segments so that it still can be proven."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from medloupe.errors import StoreError
from medloupe.store import chain
from medloupe.store.database import explain_failure
from medloupe.store.postgres import allow_long
from medloupe.store.tables import AuditHeadRow, AuditRow, AuditSealRow, now


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is known of the audit log.

    Attributes
    ----------
    lines : int
        Lines whose hashes are right.
    before : int
        Lines from before there was a chain, which are as they were sealed.
    removed : int
        Lines that were removed on purpose.
    seals : int
        Segments that are sealed.
    broken : str
        The first place that is not as it was written, as a sentence; "" where there is none.
    """

    lines: int = 0
    before: int = 0
    removed: int = 0
    seals: int = 0
    broken: str = ""


def prove_log(engine: Engine) -> Proof:
    """Read the whole audit log and check each line.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with allow_long(connection):
                return _prove(connection)
    except SQLAlchemyError as e:
        raise explain_failure(engine.url, e) from e


def _prove(connection: Connection) -> Proof:
    key = chain.key_of(connection)
    head = connection.execute(select(AuditHeadRow.last, AuditHeadRow.hash, AuditHeadRow.mac)).one_or_none()
    if head is None or not _same(head.mac, chain.head_mac(key, head.last, head.hash)):
        return Proof(broken="What says which line is the last one was changed or made with another key.")
    seals = [dict(s) for s in connection.execute(select(*AuditSealRow.__table__.columns).order_by("id")).mappings()]
    if fault := _fault_of_seals(key, seals):
        return Proof(broken=fault)
    old = next((s for s in seals if s["kind"] == chain.BEFORE), None)
    segments = [s for s in seals if s["kind"] == chain.CHAINED]
    known = {"seals": len(seals), "removed": sum(s["lines"] for s in seals if s["removed_at"])}
    fault, before = _fault_before(connection, key, old)
    if fault:
        return Proof(**known, broken=fault)
    gone = [s for s in segments if s["removed_at"]]
    number = gone[-1]["last"] if gone else 0
    link = gone[-1]["hash"] if gone else old["mac"] if old else chain.START
    start, at_seal = number, {s["last"]: s["hash"] for s in segments}
    for line in chain.read_chained(connection):
        if line["number"] != number + 1:
            fault = _name_gap(line, number)
            break
        link = chain.line_hash(key, link, line)
        if not _same(line["hash"], link):
            fault = f"Line {line['id']} ({line['at']}) was changed, or one before it was."
            break
        number += 1
        if not _same(at_seal.get(number, link), link):
            fault = f"Line {line['id']} ({line['at']}) is not the one that was sealed."
            break
    else:
        if (number, link) != (head.last, head.hash):
            fault = f"The last lines are missing: there are {number}, and {head.last} were written."
    return Proof(lines=number - start, before=before, **known, broken=fault)


def _name_gap(line: Mapping[str, Any], number: int) -> str:
    if line["number"] <= number:
        return f"Line {line['id']} ({line['at']}) is of a segment that was removed."
    return f"{line['number'] - number - 1} lines are missing before line {line['id']} ({line['at']})."


def _fault_of_seals(key: bytes, seals: Sequence[Mapping[str, Any]]) -> str:
    """Say which seal is wrong; "" for none."""
    before, last, kept = chain.START, 0, False
    for seal in seals:
        named = f"The seal of the lines {seal['first']} to {seal['last']}"
        if not _same(seal["mac"], chain.seal_mac(key, before, seal)):
            return f"{named} was changed, or the one before it is missing."
        if seal["removed_at"] and not _same(
            seal["removed_mac"] or "", chain.removal_mac(key, seal["mac"], seal["removed_at"])
        ):
            return f"{named} says that they were removed, which nobody did who may."
        if seal["kind"] == chain.CHAINED:
            if seal["first"] != last + 1 or (seal["removed_at"] and kept):
                return f"{named} does not follow the one before."
            last, kept = seal["last"], kept or not seal["removed_at"]
        before = seal["mac"]
    return ""


def _fault_before(connection: Connection, key: bytes, seal: Mapping[str, Any] | None) -> tuple[str, int]:
    """Say what is wrong with the lines from before there was a chain, and how many they are."""
    first, last, count, found = chain.digest_unchained(key, chain.read_unchained(connection))
    if seal is None or seal["removed_at"]:
        return (f"Line {first} does not belong to the chain." if count else "", 0)
    if (first, last, count) == (seal["first"], seal["last"], seal["lines"]) and _same(found, seal["hash"]):
        return "", count
    if last > seal["last"]:
        return f"Line {last} does not belong to the chain.", 0
    return f"The lines {seal['first']} to {seal['last']}, from before there was a chain, were changed.", 0


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode("utf-8", "replace"), b.encode("utf-8", "replace"))


def remove_lines(engine: Engine, before: str) -> int:
    """Remove the lines from before a time, up to the first younger one, and seal where the log begins from then on.

    Parameters
    ----------
    engine
        The database.
    before
        In UTC, as ISO 8601.

    Returns
    -------
    int
        How many were removed.

    Raises
    ------
    StoreError
        The log is not whole: what is wrong with it must not be removed.
    StorageError
        The database cannot be used.
    """
    proof = prove_log(engine)
    if proof.broken:
        raise StoreError(
            f"The audit log is not whole, and nothing was removed. {proof.broken}", "Find out who changed it."
        )
    try:
        writing = engine.execution_options(writing=True)
        with writing.connect() as connection, allow_long(connection), connection.begin():
            return _remove(connection, before)
    except SQLAlchemyError as e:
        raise explain_failure(engine.url, e) from e


def _remove(connection: Connection, before: str) -> int:
    connection.execute(select(AuditHeadRow.last).with_for_update())
    key, removed = chain.key_of(connection), 0
    open_seals = select(*AuditSealRow.__table__.columns).where(AuditSealRow.removed_at.is_(None)).order_by("id")
    old = connection.execute(open_seals.where(AuditSealRow.kind == chain.BEFORE)).mappings().one_or_none()
    if old is not None:
        young = select(AuditRow.id).where(AuditRow.number.is_(None), AuditRow.at >= before).limit(1)
        if connection.execute(young).first() is not None:
            return 0
        removed += connection.execute(delete(AuditRow).where(AuditRow.number.is_(None))).rowcount
        _note_removal(connection, key, dict(old))
    younger = select(func.min(AuditRow.number)).where(AuditRow.number.is_not(None), AuditRow.at >= before)
    newest = select(func.max(AuditRow.number))
    limit = connection.execute(younger).scalar()
    last = (connection.execute(newest).scalar() or 0) if limit is None else limit - 1
    sealed = connection.execute(select(func.max(AuditSealRow.last)).where(AuditSealRow.kind == chain.CHAINED)).scalar()
    if last > (sealed or 0):  # the segment that is not full yet is sealed where it is cut
        hash = connection.execute(select(AuditRow.hash).where(AuditRow.number == last)).scalar_one()
        chain.add_seal(connection, last, hash or chain.START)
    for seal in connection.execute(open_seals.where(AuditSealRow.kind == chain.CHAINED)).mappings().all():
        if seal["last"] > last:
            break
        removed += connection.execute(delete(AuditRow).where(AuditRow.number <= seal["last"])).rowcount
        _note_removal(connection, key, dict(seal))
    return removed


def _note_removal(connection: Connection, key: bytes, seal: Mapping[str, Any]) -> None:
    at = now()
    values = {"removed_at": at, "removed_mac": chain.removal_mac(key, seal["mac"], at)}
    connection.execute(update(AuditSealRow).where(AuditSealRow.id == seal["id"]).values(**values))
