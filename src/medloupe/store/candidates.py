"""Keep candidates: versions made of corrections, each once, what was decided on them, and when they are to be made."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from medloupe.errors import StoreError, UnknownError
from medloupe.store.database import transaction
from medloupe.store.dataset_items import find_dataset
from medloupe.store.jobrows import CANCELLED, DONE, FAILED, RUNNING, WAITING
from medloupe.store.production import log_action
from medloupe.store.queue import add_within
from medloupe.store.tables import CandidateRow, JobRow, RetrainRuleRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

CAUSES = ("button", "command", "api", "count", "schedule")
PROMOTED, REFUSED, DISMISSED = DECISIONS = ("promoted", "refused", "dismissed")
JUDGING, READY, SUPERSEDED = "judging", "ready", "superseded"
JOB, GATE = "retrain", "gate"
MOST_CORRECTIONS, MOST_DAYS = 100_000, 3650.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A candidate; the other fields are those of retrain_tables.CandidateRow.

    Attributes
    ----------
    state
        "waiting", "running", "failed" or "cancelled", as its job; "judging": made, and its figures are still to come;
        "ready" to be decided on; "superseded" by a later one; or what was decided.
    progress, error
        Of its job.
    """

    id: str
    dataset_id: str
    dataset_version: int
    job: str
    cause: str
    created: str
    created_by: str
    production: int
    added: int
    version: int | None
    decision: str
    decided: str | None
    decided_by: str | None
    figures: Mapping[str, Any] | None
    state: str
    progress: Mapping[str, Any] | None = None
    error: str = ""

    @property
    def open(self) -> bool:
        """Whether it is still to be made."""
        return self.state in (WAITING, RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainRule:
    """When candidates are made without anybody asking: after so many corrections, or days; None: not by that.

    at: since when it holds.
    """

    corrections: int | None = None
    days: float | None = None
    at: str = ""


class Candidates:
    """The candidates of one store. Safe to use from several processes."""

    def __init__(self, engine: Engine):
        self.engine = engine

    def list(self, dataset: str) -> list[Candidate]:
        """List the candidates of a data set, by its id, the newest first."""
        with transaction(self.engine) as session:
            return _list(session, dataset)

    def get(self, id: str) -> Candidate:
        """Read a candidate by its id or its job's. Raises UnknownError."""
        with transaction(self.engine) as session:
            wanted = select(CandidateRow).where((CandidateRow.id == id) | (CandidateRow.job == id))
            row = session.scalars(wanted).first()
            if row is None:
                raise UnknownError(f"There is no candidate {id[:60]!r}.", "List them: medloupe retrain NAME --list")
            return next(one for one in _list(session, row.dataset_id) if one.id == row.id)

    def begin(
        self,
        dataset: str,
        *,
        dataset_version: int,
        production: int,
        added: int,
        cause: str,
        by: str,
    ) -> Candidate:
        """Ask for a candidate, and put its training into the queue; one that is there already is given as it is.

        That is one that is still being made, or one of the same version of the data set, against the same version in
        production, that did not fail.

        Raises
        ------
        UnknownError
            There is no such data set.
        StoreError
            Too many jobs wait.
        """
        with transaction(self.engine, write=True) as session:
            data = find_dataset(session, dataset, lock=True)
            there = _list(session, data.id)
            for one in there:
                same = (one.dataset_version, one.production) == (dataset_version, production)
                if one.open or (one is there[0] and same and one.version is not None):
                    return one
            id = secrets.token_hex(16)
            job = add_within(session, JOB, [data.name, "--candidate", id], by=by)
            session.add(
                CandidateRow(
                    id=id,
                    dataset_id=data.id,
                    dataset_version=dataset_version,
                    job=job.id,
                    cause=cause,
                    created=now(),
                    created_by=by[:64],
                    production=production,
                    added=added,
                    version=None,
                    decision="",
                )
            )
            detail = {"cause": cause, "corrections": added, "dataset": f"{data.name}@{dataset_version}"}
            log_action(session, "candidate.add", f"{data.name} {id}", actor=by, detail=detail)
            session.flush()
            return _list(session, data.id)[0]

    def judge(self, id: str, figures: Mapping[str, Any], *, passed: bool, reason: str) -> Candidate:
        """Keep the figures of a candidate that was just made, and refuse it where the gate does; once.

        Raises
        ------
        UnknownError
            There is no such candidate.
        """
        with transaction(self.engine, write=True) as session:
            row = _lock(session, id)
            if row.figures is None and row.version is not None:
                row.figures = dict(figures)
                if not passed and not row.decision:
                    row.decision, row.decided, row.decided_by = REFUSED, now(), GATE
                name = find_dataset(session, row.dataset_id).name
                detail = {"candidate": id, "passed": passed, "reason": reason, **figures}
                log_action(session, "candidate.judge", f"{name}@{row.version}", actor=GATE, detail=detail)
        return self.get(id)

    def decide(self, id: str, decision: str, *, by: str, reason: str = "") -> Candidate:
        """Keep what was decided on a candidate, and log it; one refused or dismissed may still be promoted.

        Raises
        ------
        UnknownError
            There is no such candidate.
        StoreError
            It is not made yet, or was decided on.
        """
        if decision not in DECISIONS:
            raise StoreError(f"There is no decision {decision!r}.", f"There are {', '.join(DECISIONS)}.")
        with transaction(self.engine, write=True) as session:
            row = _lock(session, id)
            if row.version is None:
                raise StoreError("The candidate is not made yet.", "Wait for its training: medloupe jobs list")
            if row.decision in (decision, PROMOTED):
                raise StoreError(f"The candidate is {row.decision} already.", "Load the page again.")
            row.decision, row.decided, row.decided_by = decision, now(), by[:64]
            name = find_dataset(session, row.dataset_id).name
            detail = {"candidate": id, "reason": reason, "figures": row.figures}
            log_action(session, f"candidate.{decision}", f"{name}@{row.version}", actor=by, detail=detail)
        return self.get(id)

    def rule(self, dataset: str) -> RetrainRule:
        """Tell when candidates of a data set are made without anybody asking."""
        with transaction(self.engine) as session:
            row = session.get(RetrainRuleRow, dataset)
            return RetrainRule() if row is None else _read_rule(row)

    def rules(self) -> dict[str, RetrainRule]:
        """List all rules that make candidates, by data set."""
        with transaction(self.engine) as session:
            rows = session.scalars(select(RetrainRuleRow))
            found = {row.dataset_id: _read_rule(row) for row in rows}
        return {id: rule for id, rule in found.items() if rule.corrections or rule.days}

    def set_rule(self, dataset: str, rule: RetrainRule, *, by: str) -> None:
        """Say when candidates of a data set are to be made without anybody asking.

        Raises
        ------
        UnknownError
            There is no such data set.
        StoreError
            A number makes no sense.
        """
        for value, most, what in (
            (rule.corrections, MOST_CORRECTIONS, "corrections"),
            (rule.days, MOST_DAYS, "days"),
        ):
            if value is not None and not 0 < value <= most:
                raise StoreError(f"{value:g} {what} make no sense.", f"Give a number above 0, at most {most:,.0f}.")
        with transaction(self.engine, write=True) as session:
            data = find_dataset(session, dataset, lock=True)
            row = session.get(RetrainRuleRow, data.id)
            if row is None:
                row = RetrainRuleRow(dataset_id=data.id)
                session.add(row)
            row.corrections, row.days, row.at, row.by = rule.corrections, rule.days, now(), by[:64]
            detail = {"corrections": rule.corrections, "days": rule.days}
            log_action(session, "retrain.rule", data.name, actor=by, detail=detail)


def _lock(session: Session, id: str) -> CandidateRow:
    row = session.scalars(select(CandidateRow).where(CandidateRow.id == id).with_for_update()).first()
    if row is None:
        raise UnknownError(f"There is no candidate {id[:60]!r}.")
    return row


def _read_rule(row: RetrainRuleRow) -> RetrainRule:
    return RetrainRule(corrections=row.corrections, days=row.days, at=row.at)


def _list(session: Session, dataset: str) -> list[Candidate]:
    wanted = select(CandidateRow).where(CandidateRow.dataset_id == dataset)
    rows = list(session.scalars(wanted.order_by(CandidateRow.created.desc(), CandidateRow.id)))
    jobs = {job.id: job for job in session.scalars(select(JobRow).where(JobRow.id.in_([row.job for row in rows])))}
    found: list[Candidate] = []
    newer = False  # whether a later one is made
    for row in rows:
        found.append(_read(row, jobs.get(row.job), superseded=newer))
        newer = newer or row.version is not None
    return found


def _read(row: CandidateRow, job: JobRow | None, *, superseded: bool) -> Candidate:
    if row.decision:
        state = row.decision
    elif row.version is not None:
        state = SUPERSEDED if superseded else JUDGING if row.figures is None else READY
    else:
        state = FAILED if job is None or job.state == DONE else job.state
    told = {name: getattr(row, name) for name in CandidateRow.__table__.columns.keys()}  # noqa: SIM118
    return Candidate(
        **told,
        state=state,
        progress=None if job is None else job.progress,
        error="" if job is None or state not in (FAILED, CANCELLED) else job.error,
    )
