"""Make candidates without anybody asking: after so many corrections, or days."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from medloupe.errors import MedloupeError
from medloupe.retrain.begin import start_candidate
from medloupe.retrain.corrections import Correction, find_fresh, list_corrections
from medloupe.retrain.production import read_production
from medloupe.store.candidates import Candidate, Candidates, RetrainRule
from medloupe.store.datasets import Datasets
from medloupe.store.frozen_tests import find_frozen_test
from medloupe.store.jobrows import CANCELLED, FAILED
from medloupe.store.models import Store

BY = "schedule"


def start_due(store: Store, sets: Datasets) -> list[Candidate]:
    """Ask for the candidates that are due by their data sets' rules."""
    started: list[Candidate] = []
    for dataset, rule in Candidates(sets.engine).rules().items():
        try:
            cause = find_cause(store, sets, dataset, rule)
            if cause:
                started.append(start_candidate(store, sets, dataset, cause=cause, by=BY))
        except MedloupeError:  # nothing in production, no test: its page says so
            continue
    return started


def find_cause(store: Store, sets: Datasets, dataset: str, rule: RetrainRule) -> str:
    """Tell by what a candidate is due: "count", "schedule", or "" where none is.

    Counted are corrections that neither production nor the last candidate has learned. One that failed, or was stopped,
    is not tried again before there are more.

    Raises
    ------
    UnknownError, StoreError
        As `read_production` does.
    """
    data = sets.get(dataset)
    made = Candidates(sets.engine).list(data.id)
    if any(one.open for one in made):
        return ""
    frozen = find_frozen_test(sets.engine, data.id)
    fresh = find_fresh(list_corrections(sets, data.id, frozen), read_production(store, data.name))
    last = made[0] if made else None
    if last is not None and last.state in (FAILED, CANCELLED) and len(fresh) <= last.added:
        return ""
    fresh = find_unmade(sets, fresh, last)
    if rule.corrections is not None and len(fresh) >= rule.corrections:
        return "count"
    since = max(rule.at, last.created if last is not None else "")
    if rule.days is not None and fresh and _is_past(since, rule.days):
        return "schedule"
    return ""


def find_unmade(sets: Datasets, fresh: Sequence[Correction], last: Candidate | None) -> list[Correction]:
    """Find those of corrections that the last candidate has not learned, where it was made."""
    if last is None or last.version is None:
        return list(fresh)
    learned = {item.id: item.told for item in sets.version_items(last.dataset_id, last.dataset_version)}
    return [c for c in fresh if learned.get(c.item.id) != c.item.told]


def _is_past(since: str, days: float) -> bool:
    at = datetime.datetime.fromisoformat(since)
    return datetime.datetime.now(datetime.UTC) - at >= datetime.timedelta(days=days)
