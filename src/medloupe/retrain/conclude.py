"""Conclude what is to be done with candidates that are made: judge, refuse, promote where that is automatic."""

from __future__ import annotations

from medloupe.errors import MedloupeError, PromotionRefusedError, StoreError
from medloupe.retrain.figures import CandidateFigures, compare_candidate
from medloupe.settings import setting
from medloupe.store.candidates import PROMOTED, READY, Candidate, Candidates
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store

AUTOMATIC = "automatic"
SETTING = "MEDLOUPE_AUTO_PROMOTE"


def promotes_automatically(name: str) -> bool:
    """Whether the operator lets candidates of a check-up be promoted without a person."""
    told = {part.strip() for part in setting(SETTING).split(",")} - {""}
    return "all" in told or name in told


def conclude_candidate(store: Store, id: str) -> tuple[Candidate, CandidateFigures]:
    """Keep the figures of a candidate that is made, refuse it or promote it, where that is to be; each once.

    Raises
    ------
    UnknownError
        There is no such candidate.
    StoreError
        It is not made yet, or was removed.
    """
    candidates = Candidates(store.engine)
    candidate = candidates.get(id)
    figures = compare_candidate(store, candidate)
    if candidate.figures is None:
        candidate = candidates.judge(id, figures.for_log(), passed=figures.gate.passed, reason=figures.gate.words)
    name = Datasets(store.engine, store.home).get(candidate.dataset_id).name
    if candidate.state == READY and figures.gate.passed and promotes_automatically(name):
        try:
            if store.production().get(name, (0, ""))[0] != figures.version:
                store.promote(name, figures.version, actor=AUTOMATIC, reason=f"candidate {id}: {SETTING}")
            candidate = candidates.decide(id, PROMOTED, by=AUTOMATIC, reason=SETTING)
        except (PromotionRefusedError, StoreError):  # another one came into production, or this one did, meanwhile
            candidate = candidates.get(id)
    return candidate, figures


def conclude_all(store: Store) -> int:
    """Conclude all candidates that were made and whose worker died before it could; how many."""
    done = 0
    candidates = Candidates(store.engine)
    for data in Datasets(store.engine, store.home).list():
        for one in candidates.list(data.id)[:1]:
            automatic = one.state == READY and promotes_automatically(data.name)
            if one.version is not None and (one.figures is None or automatic):
                try:
                    done += conclude_candidate(store, one.id)[0].state != one.state
                except MedloupeError:  # its version was removed
                    continue
    return done
