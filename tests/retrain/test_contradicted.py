"""A reader who is wrong again and again does not bear themselves out, nor tell against one who is right."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from medloupe.metrics.evidence import Evidence
from medloupe.retrain.contradicted import RankedCorrections, rank_labels


@dataclass
class Made:
    embeddings: np.ndarray
    evidence: Evidence
    ids: list[str]
    corrections: list[Any]


def make(base: int, good: int, turned: int, seed: int = 0) -> Made:
    """Two classes in ten dimensions, with noise; ada is right, mallory turns every label."""
    rng = np.random.default_rng(seed)
    n = base + good + turned
    truth = np.arange(n) % 2
    x = rng.normal(0, 1, (n, 10)).astype(np.float32)
    x[:, 0] += 3 * truth
    given = truth.copy()
    given[base + good :] = 1 - given[base + good :]
    ids = [f"i{k}" for k in range(n)]
    corrections = [
        SimpleNamespace(
            item=SimpleNamespace(id=ids[k]),
            case=SimpleNamespace(id=f"case-{k}"),
            readers=("ada",) if k < base + good else ("mallory",),
        )
        for k in range(base, n)
    ]
    targets = np.eye(2, dtype=np.float32)[given]
    evidence = Evidence(
        labels=("clear", "spots"),
        task="multiclass",
        digests=np.arange(n, dtype=np.uint64),
        groups=np.arange(n),
        targets=targets,
        probabilities=targets[None],
        announced=targets,
    )
    return Made(x, evidence, ids, corrections)


def rank(made: Made) -> RankedCorrections:
    return rank_labels(made.embeddings, made.evidence, made.ids, made.corrections)


def test_the_one_who_turns_labels_stands_first() -> None:
    for turned in (10, 100):  # even where theirs are more than all others
        ranked = rank(make(40, 30, turned))
        assert [r.reader for r in ranked.readers] == ["mallory", "ada"]
        first, other = ranked.readers
        assert first.contradicted >= 0.7 * first.corrections and other.contradicted <= 0.35 * other.corrections
        assert ranked.usual is not None and ranked.usual < 0.35
        named = [c.readers[0] for c in ranked.cases[: turned // 2]]
        assert named.count("mallory") >= 0.75 * len(named)
        assert [c.probability_given for c in ranked.cases] == sorted(c.probability_given for c in ranked.cases)


def test_with_too_little_beside_nothing_is_said() -> None:
    assert rank(make(10, 30, 0)) == RankedCorrections()


def test_of_several_findings_the_one_that_is_turned_is_named() -> None:
    rng = np.random.default_rng(3)
    n, base = 120, 90
    truth = rng.integers(0, 2, (n, 2)).astype(np.float32)
    x = rng.normal(0, 1, (n, 10)).astype(np.float32)
    x[:, :2] += 4 * truth
    given = truth.copy()
    given[base::2, 1] = 1 - given[base::2, 1]  # mallory turns the second finding, and only that
    given[5, 0] = np.nan
    ids = [f"i{k}" for k in range(n)]
    corrections: list[Any] = [
        SimpleNamespace(
            item=SimpleNamespace(id=ids[k]),
            case=SimpleNamespace(id=f"case-{k}"),
            readers=("mallory",) if (k - base) % 2 == 0 else ("ada",),
        )
        for k in range(base, n)
    ]
    evidence = Evidence(
        labels=("dots", "stripes"),
        task="multilabel",
        digests=np.arange(n, dtype=np.uint64),
        groups=np.arange(n),
        targets=given,
        probabilities=np.nan_to_num(given)[None],
        announced=np.nan_to_num(given),
    )
    ranked = rank_labels(x, evidence, ids, corrections)
    by_reader = {r.reader: (r.contradicted, r.corrections) for r in ranked.readers}
    assert by_reader["mallory"][0] >= 13 and by_reader["mallory"][1] == 15
    assert by_reader["ada"][0] <= 2
    mallory = [case for case in ranked.cases if case.readers == ("mallory",)]
    assert {case.finding for case in mallory} == {"stripes"}
    for case in mallory:
        there = given[int(case.item[1:]), 1] == 1
        assert (case.given, case.likely) == (("stripes", "not stripes") if there else ("not stripes", "stripes"))
    assert ranked.usual is not None and ranked.usual < 0.15
