"""The test of a data set is chosen once, in whole groups, and stays what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.data.split import FEWEST_CASES, SMALLEST_TEST
from medloupe.erasure.eraser import Eraser
from medloupe.errors import StoreError
from medloupe.metrics.evidence import Evidence
from medloupe.retrain.corrections import is_tested
from medloupe.retrain.frozen import choose_apart
from medloupe.store.database import open_engine
from medloupe.store.dataset_nouns import DatasetClass, DatasetItem, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.frozen_tests import APART, FOLDS, find_frozen_test, freeze_test
from medloupe.store.models import Store


def evidence(groups: np.ndarray, classes: int, seed: int) -> Evidence:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, len(np.unique(groups)))[np.unique(groups, return_inverse=True)[1]]
    targets = np.eye(classes, dtype=np.float32)[label]
    return Evidence(
        labels=tuple("abcdef"[:classes]),
        task="multiclass",
        digests=np.arange(len(groups), dtype=np.uint64),
        groups=groups,
        targets=targets,
        probabilities=np.full((1, *targets.shape), 1 / classes, np.float32),
        announced=targets,
    )


@given(count=st.integers(20, 400), size=st.integers(1, 3), classes=st.integers(2, 4), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_a_part_is_whole_groups_that_can_judge(count: int, size: int, classes: int, seed: int) -> None:
    of = evidence(np.repeat(np.arange(count), size), classes, seed)
    apart = choose_apart(of)
    if apart.all():
        return
    assert not set(of.groups[apart]) & set(of.groups[~apart])
    for part in (apart, ~apart):
        assert len(np.unique(of.groups[part])) >= SMALLEST_TEST
        for column in of.targets.T:
            assert len(np.unique(of.groups[part & (column == 1)])) >= FEWEST_CASES
    assert 0.15 < apart.mean() < 0.35
    assert (choose_apart(of) == apart).all()


def test_few_groups_are_judged_out_of_fold() -> None:
    assert choose_apart(evidence(np.arange(100), 2, 0)).all()
    assert not choose_apart(evidence(np.arange(200), 2, 0)).all()


@pytest.fixture
def sets(home: Path) -> Datasets:
    home.mkdir(parents=True, exist_ok=True)
    return Datasets(open_engine(home), home)


def freeze(sets: Datasets, items: list[DatasetItem], kind: str = APART) -> None:
    freeze_test(sets.engine, "spots", items, kind=kind, dataset_version=1, model_version=1, by="ada")


def test_it_stays_and_erased_pictures_leave_a_place(sets: Datasets) -> None:
    id = sets.create("spots", classes=[DatasetClass(name="a"), DatasetClass(name="b")]).id
    new = [
        NewItem(key=f"{n}", data=b"%d" % n, file=f"{n}.png", label="a", patient=f"p{n}" if n < 2 else None)
        for n in range(4)
    ]
    items = sets.add(id, new)
    with pytest.raises(StoreError, match="without pictures"):
        freeze(sets, [])
    assert find_frozen_test(sets.engine, id) is None
    freeze(sets, items[:3])
    freeze(sets, items)  # a second time changes nothing
    frozen = find_frozen_test(sets.engine, id)
    assert frozen is not None
    assert (len(frozen.digests), frozen.patients, frozen.erased) == (3, frozenset({"p0", "p1"}), 0)
    assert is_tested(frozen, items[2])
    assert is_tested(frozen, DatasetItem(id="x", digest="0" * 64, file="x.png", patient="p1"))
    assert not is_tested(frozen, items[3])

    Eraser(Store(sets.home)).erase_items(id, [items[0].id], by="ada")
    frozen = find_frozen_test(sets.engine, id)
    assert frozen is not None
    assert (len(frozen.digests), frozen.patients, frozen.erased) == (2, frozenset({"p1"}), 1)
    sets.remove(id)
    assert find_frozen_test(sets.engine, id) is None


def test_out_of_fold_patients_may_be_learned_but_pictures_not_corrected(sets: Datasets) -> None:
    id = sets.create("spots", classes=[DatasetClass(name="a")]).id
    items = sets.add(id, [NewItem(key="1", data=b"1", file="1.png", label="a", patient="p")])
    freeze(sets, items, FOLDS)
    frozen = find_frozen_test(sets.engine, id)
    assert frozen is not None and is_tested(frozen, items[0])
    assert not is_tested(frozen, DatasetItem(id="x", digest="0" * 64, file="x.png", patient="p"))
