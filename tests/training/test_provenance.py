"""What a model was made of and judged by: recognised in any order, told apart by content and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medloupe.training.provenance import collect_evidence, data_fingerprint, describe_data, shorten_numbers
from synthetic import features, judged, of_targets, one_hot

Y = one_hot(np.array([0, 1, 1, 0, 1]), 2)
FEATURES = features(of_targets(Y, patient=["a", "a", "b", "c", "d"]), np.zeros((5, 3), np.float32))


def test_a_fingerprint_is_of_content_and_labels_in_any_order() -> None:
    print_of = data_fingerprint(FEATURES, range(5))
    assert data_fingerprint(FEATURES, np.array([3, 1, 0, 4, 2])) == print_of
    assert data_fingerprint(FEATURES, range(4)) != print_of
    relabelled = features(of_targets(Y[::-1], patient=["a", "a", "b", "c", "d"]), FEATURES.embeddings)
    assert data_fingerprint(relabelled, range(5)) != print_of
    other = replace(FEATURES, digests=(b"x" * 32, *FEATURES.digests[1:]))
    assert data_fingerprint(other, range(5)) != print_of


def test_data_are_described_by_the_rows_used() -> None:
    said = describe_data(FEATURES, np.array([0, 1, 3]), 2, marks={"fingerprint": "f"}, splits={"test": 1})
    assert (said["records"], said["labelled"], said["groups"], said["patients"]) == (5, 3, 2, 2)
    assert (said["fingerprint"], said["splits"]) == ("f", {"test": 1})
    assert list(said).index("fingerprint") == list(said).index("splits") - 1
    without = describe_data(FEATURES, np.array([0]), 1)
    assert "fingerprint" not in without
    assert without["splits"] == {}


def test_evidence_names_the_rows_and_what_was_announced() -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    rows = np.array([4, 0, 2])
    evidence = collect_evidence(FEATURES, judged(p, Y[rows]), rows)
    np.testing.assert_array_equal(evidence.digests, evidence.digest([FEATURES.digests[i] for i in (4, 0, 2)]))
    np.testing.assert_array_equal(evidence.announced, [[1, 0], [0, 1], [1, 0]])
    np.testing.assert_array_equal(evidence.targets, Y[rows])
    assert evidence.probabilities.dtype == np.float32


@pytest.mark.parametrize(
    ("values", "short"),
    [([1.23456, 1.23456], 1.2346), ([2.0], 2.0), ([0.12344, 1.0], [0.1234, 1.0])],
)
def test_numbers_that_are_all_the_same_are_one(values: list[float], short: float | list[float]) -> None:
    assert shorten_numbers(np.array(values)) == short
