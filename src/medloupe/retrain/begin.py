"""Ask for a candidate: a version of the data set with its corrections, and the job that learns from it, each once."""

from __future__ import annotations

from medloupe.errors import StoreError
from medloupe.retrain.corrections import find_fresh, list_corrections
from medloupe.retrain.frozen import ensure_frozen_test
from medloupe.retrain.production import read_production
from medloupe.store.candidates import Candidate, Candidates
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store


def start_candidate(store: Store, sets: Datasets, dataset: str, *, cause: str, by: str) -> Candidate:
    """Freeze a data set with its corrections, and put the training of a candidate into the queue.

    One at a time: where one is being made, or was made of the same, that one is given.

    Parameters
    ----------
    dataset : str
        Its id or name.
    cause : str
        One of store.candidates.CAUSES.
    by : str
        Who asks.

    Raises
    ------
    UnknownError
        There is no such data set.
    StoreError
        Nothing is in production, there is no correction that it has not learned, or no test can be frozen.
    """
    data, candidates = sets.get(dataset), Candidates(sets.engine)
    if (at_work := next((one for one in candidates.list(data.id) if one.open), None)) is not None:
        return at_work
    production = read_production(store, data.name)
    if data.several != (production.model.card["task"] == "multilabel"):
        held, said = ("several findings", "one class") if data.several else ("one class", "several findings")
        raise StoreError(
            f"Pictures of the data set {data.name} have {held} each, and version {production.number}, which is in"
            f" production, answers {said}.",
            "Train the data set, and promote that version.",
        )
    frozen = ensure_frozen_test(sets, data.id, production, by=by)
    fresh = find_fresh(list_corrections(sets, data.id, frozen), production)
    if not fresh:
        raise StoreError(
            f"The data set {data.name} has no correction that version {production.number}, which is in production,"
            " has not learned.",
            "Corrections come from answers that were sent for review and settled (medloupe serve --review single).",
        )
    version = sets.freeze(data.id, by=by)
    return candidates.begin(
        data.id,
        dataset_version=version.number,
        production=production.number,
        added=len(fresh),
        cause=cause,
        by=by,
    )
