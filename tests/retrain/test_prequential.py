"""Answers as they were given, against heads that had not learned the picture."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from medloupe.metrics.evidence import Evidence
from medloupe.retrain.prequential import measure_prequential

LABELS = ("clear", "spots")


def digest(n: int) -> str:
    return hashlib.sha256(b"%d" % n).hexdigest()


def across(truth: list[int], said: list[float], groups: list[int] | None = None) -> Evidence:
    """The candidate: said is its probability of spots."""
    p = np.array(said, np.float32)
    return Evidence(
        labels=LABELS,
        task="multiclass",
        digests=Evidence.digest([bytes.fromhex(digest(n)) for n in range(len(truth))]),
        groups=np.array(groups or range(len(truth)), np.int64),
        targets=np.eye(2, dtype=np.float32)[truth],
        probabilities=np.stack([1 - p, p], 1)[None],
        announced=np.eye(2, dtype=np.float32)[(p > 0.5).astype(int)],
    )


def told(n: int, spots: float, *, version: int = 1, brought: bool = True) -> dict[str, Any]:
    return {
        "digest": digest(n),
        "said": LABELS[int(spots > 0.5)],
        "version": version,
        "probabilities": {"clear": 1 - spots, "spots": spots},
        "brought": brought,
    }


def test_both_are_measured_on_the_same_corrections() -> None:
    candidate = across([1, 1, 0, 0, 1], [0.9, 0.8, 0.2, 0.6, 0.7])
    found = measure_prequential([told(n, 0.3) for n in range(4)], candidate, {})
    assert (found.corrections, found.groups, found.skipped) == (4, 4, 0)
    assert found.wrong is not None and (found.wrong.a, found.wrong.b) == (0.5, 0.25)
    assert found.auc is not None and (found.auc.a, found.auc.b) == (0.5, 1.0)


def test_what_was_learned_or_not_answered_does_not_count() -> None:
    candidate = across([1, 1, 0, 0], [0.9] * 4, groups=[0, 0, 1, 2])
    learned = {1: candidate.digests[1:2]}  # of the same patient as the first
    corrections = [
        told(0, 0.3),
        told(0, 0.3, version=2),
        told(2, 0.3, brought=False),
        {**told(3, 0.3), "probabilities": {}},
        told(99, 0.3),
    ]
    found = measure_prequential(corrections, candidate, learned)
    assert (found.corrections, found.skipped) == (1, 4)
    assert measure_prequential([], candidate, {}).wrong is None


def test_repeats_and_intervals_over_patients() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 80).tolist()
    candidate = across(truth, [0.8 if t else 0.2 for t in truth], groups=[n // 4 for n in range(80)])
    found = measure_prequential([told(n, float(rng.random())) for n in range(80)], candidate, {})
    assert found.groups == 20 and found.wrong is not None
    assert found.wrong.b == 0 and found.wrong.a == pytest.approx(0.5, abs=0.2)
    assert found.wrong.low is not None and found.wrong.high is not None
    assert found.wrong.low < found.wrong.difference < found.wrong.high < 0


def test_of_several_findings_those_looked_for_count_by_finding() -> None:
    truth = np.array([[1, 1, 1], [1, 0, 0], [0, 0, np.nan], [0, 1, 1]], np.float32)
    p = np.array([[0.9, 0.8, 0.1], [0.9, 0.7, 0.2], [0.2, 0.1, 0.3], [0.1, 0.9, 0.4]], np.float32)
    candidate = Evidence(
        labels=("edema", "effusion", "mass"),
        task="multilabel",
        digests=Evidence.digest([bytes.fromhex(digest(n)) for n in range(4)]),
        groups=np.arange(4),
        targets=truth,
        probabilities=p[None],
        announced=(p > 0.5).astype(np.float32),
    )
    corrections = [
        {
            "digest": digest(n),
            "said": "edema",
            "flagged": ["edema"],
            "version": 1,
            "brought": True,
            "probabilities": {"edema": 0.6, "effusion": 0.1 + n / 10, "mass": 0.1},
        }
        for n in range(4)
    ]
    found = measure_prequential(corrections, candidate, {}, sought=("edema", "effusion"))
    assert found.corrections == 4
    assert found.wrong is not None
    assert found.wrong.a == pytest.approx((1 / 2 + 0 + 1 / 2 + 1) / 4), "missed, right, a false alarm, both wrong"
    assert found.wrong.b == pytest.approx((0 + 1 / 2 + 0 + 0) / 4)
    assert found.auc is not None and 0.5 < found.auc.b <= 1
    nothing = measure_prequential(corrections, candidate, {}, sought=())
    assert nothing.wrong is None and nothing.auc is not None, "where nothing is looked for nothing is said wrongly"
