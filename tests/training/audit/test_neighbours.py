"""Among many pictures an index finds the near copies that a look at all pairs finds, and the audit says so."""

from __future__ import annotations

import numpy as np
import pytest

from crowds import Crowd, crowd
from medloupe.embed.features import Features
from medloupe.training.audit import duplicates, neighbours
from medloupe.training.audit.duplicates import Duplicates, find
from medloupe.training.audit.findings import audit
from medloupe.training.audit.neighbours import propose_pairs, uses_index
from synthetic import features, of_targets, one_hot

N, COPIES = 4000, 300


@pytest.fixture(scope="module")
def made() -> Crowd:
    return crowd(N, COPIES)


@pytest.fixture(scope="module")
def many(made: Crowd) -> Features:
    return features(of_targets(one_hot(np.arange(N) % 2, 2)), made.embeddings, made.facts)


@pytest.fixture(scope="module")
def all_pairs(many: Features) -> Duplicates:
    return find(many)


def as_set(pairs: np.ndarray) -> set[tuple[int, int]]:
    return set(map(tuple, pairs.tolist()))


def test_planted_copies_are_near_copies_and_little_else_is(all_pairs: Duplicates, made: Crowd) -> None:
    found, planted = as_set(all_pairs.near), as_set(made.planted)
    assert len(planted & found) > 0.8 * COPIES
    assert len(found - planted) < 0.2 * COPIES
    assert not all_pairs.by_index


def test_an_index_finds_what_all_pairs_find(
    many: Features, all_pairs: Duplicates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "ALL_PAIRS", 1000)
    by_index = find(many)
    assert by_index.by_index
    found, true = as_set(by_index.near), as_set(all_pairs.near)
    assert found <= true  # what it proposes is measured as among all pairs
    assert len(found) >= 0.99 * len(true)
    assert as_set(by_index.exact) == as_set(all_pairs.exact)
    again = find(many)
    np.testing.assert_array_equal(again.near, by_index.near)


def test_what_cannot_agree_enough_is_dropped_without_loss(made: Crowd) -> None:
    thumbs = duplicates._normalised_thumbs(made.facts["thumb"])
    unit = made.embeddings / np.linalg.norm(made.embeddings, axis=1, keepdims=True)
    every = as_set(propose_pairs(N, lambda r: thumbs[r], lambda r: unit[r], (-1.0, -1.0)))
    strict = as_set(propose_pairs(N, lambda r: thumbs[r], lambda r: unit[r], (0.95, 0.2)))
    assert strict < every
    for i, j in every - strict:
        assert thumbs[i] @ thumbs[j] < 0.95 or unit[i] @ unit[j] < 0.2


def test_the_audit_says_that_an_index_was_asked(many: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "near_copies_by_index" not in {f.kind for f in audit(many).findings}
    monkeypatch.setattr(neighbours, "ALL_PAIRS", 1000)
    (said,) = (f for f in audit(many).findings if f.kind == "near_copies_by_index")
    assert said.level == "notice"
    assert "same content are all found" in said.detail


def test_without_usearch_all_pairs_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert uses_index(10**6)
    assert not uses_index(neighbours.ALL_PAIRS)
    monkeypatch.setattr(neighbours, "find_spec", lambda name: None)
    assert not uses_index(10**6)
