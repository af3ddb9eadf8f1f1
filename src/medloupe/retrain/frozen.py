"""Choose the test of a data set, once, when a model of it is first published."""

from __future__ import annotations

import numpy as np

from medloupe.data.split import FEWEST_CASES, SMALLEST_TEST, assign_folds
from medloupe.errors import StoreError
from medloupe.metrics.evidence import Evidence
from medloupe.metrics.gate import FEWEST_GROUPS
from medloupe.retrain.production import ProductionVersion
from medloupe.store.datasets import Datasets
from medloupe.store.frozen_tests import APART, BROUGHT, FOLDS, FrozenTest, find_frozen_test, freeze_test

PARTS = 4  # of which one is set apart


def ensure_frozen_test(sets: Datasets, dataset: str, production: ProductionVersion, *, by: str) -> FrozenTest:
    """Give the frozen test of a data set; choose it where there is none yet.

    It is chosen among what the published version was judged by: the test part, where the data brought one; else a
    fourth of the groups of patients and copies, where that is enough to judge by; else all of them.

    Raises
    ------
    StoreError
        The version keeps no record of what it was judged by, or the data set holds too little of that.
    """
    data = sets.get(dataset)
    if (there := find_frozen_test(sets.engine, data.id)) is not None:
        return there
    evidence, name = production.evidence, f"{data.name}@{production.number}"
    if evidence is None:
        raise StoreError(
            f"{name} keeps no record of the predictions it was judged by, so no test can be frozen.",
            "Train it anew from its data set, and promote that version.",
        )
    every = sets.items(data.id)
    at = {int(d): i for i, d in enumerate(evidence.digests)}
    short = Evidence.digest([bytes.fromhex(item.digest) for item in every])
    held = [(item, at[int(d)]) for item, d in zip(every, short, strict=True) if int(d) in at]
    rows = np.array([row for _, row in held], np.int64)
    if len(np.unique(evidence.groups[rows])) < FEWEST_GROUPS:
        raise StoreError(
            f"The data set {data.name} holds {len(np.unique(evidence.groups[rows]))} of the cases that {name} was"
            f" judged by, and {FEWEST_GROUPS} are needed to judge what is made of corrections.",
            "Bring the pictures that it was trained on into the data set, as well as the corrections.",
        )
    kind = BROUGHT if all(item.split == "test" for item, _ in held) else APART
    chosen = np.ones(len(rows), bool)
    if kind == APART:
        chosen = choose_apart(evidence.take(rows))
        if chosen.all():
            kind = FOLDS
    versions = sets.versions(data.id)
    return freeze_test(
        sets.engine,
        data.id,
        [item for (item, _), take in zip(held, chosen, strict=True) if take],
        kind=kind,
        dataset_version=versions[0].number if versions else 0,
        model_version=production.number,
        by=by,
    )


def choose_apart(evidence: Evidence, seed: int = 0) -> np.ndarray:
    """Choose a part of what a version was judged by to be the test from now on.

    Returns
    -------
    np.ndarray
        bool (N,): whole groups; all where a part would be too small to judge by, or leave too little to learn from.
    """
    targets, groups = evidence.targets, evidence.groups
    apart = assign_folds(targets, groups, PARTS, seed) == 0
    for part, least in ((apart, SMALLEST_TEST), (~apart, SMALLEST_TEST)):
        cases = [len(np.unique(groups[part & (column == value)])) for column in targets.T for value in (0, 1)]
        if len(np.unique(groups[part])) < least or min(cases) < FEWEST_CASES:
            return np.ones(len(groups), bool)
    return apart
