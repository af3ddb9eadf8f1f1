"""Answers of two versions compared: agreement, changed states and labels, differences of probabilities, sites."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.metrics.shadow import compare_answers


def said(state: str, p: float = 0.5, flagged: tuple[str, ...] = ()) -> dict[str, Any]:
    best = "sick" if p > 0.5 else "well"
    return {"state": state, "prediction": best, "flagged": list(flagged), "probabilities": {"sick": p, "well": 1 - p}}


def test_what_changes_is_counted_by_state_label_and_site() -> None:
    cases = [
        ("A", said("flagged", 0.9, ("sick",)), said("clear", 0.4)),
        ("A", said("flagged", 0.9, ("sick",)), said("flagged", 0.8, ("sick",))),
        ("", said("clear", 0.1), said("clear", 0.2)),
        ("B", said("refused", 0.9), said("refused", 0.1)),
        ("B", said("refused", 0.9), said("clear", 0.1)),
    ]
    found = compare_answers(cases, [(10, 20), (30, 60), (None, 5)])
    assert (found.n, found.agreed) == (5, 3)
    assert found.low < 0.6 < found.high
    assert found.states[:2] == (("flagged", "clear", 1), ("refused", "clear", 1))
    assert set(found.states[2:]) == {("flagged", "flagged", 1), ("clear", "clear", 1), ("refused", "refused", 1)}
    assert found.labels == (("sick", "well", 1),)
    sick = next(d for d in found.differences if d.label == "sick")
    assert sick.n == 3, "refused ones have no probability that means anything"
    assert sick.mean == pytest.approx((-0.5 - 0.1 + 0.1) / 3)
    assert (sick.size, sick.largest) == (pytest.approx(0.7 / 3), pytest.approx(-0.5))
    assert [(s.site, s.n, s.agreed) for s in found.sites] == [("A", 2, 1), ("B", 2, 1), ("", 1, 1)]
    assert found.ms == (20, 40)
    assert found.as_json()["states"][0] == {"before": "flagged", "after": "clear", "n": 1}


def test_flagging_another_label_is_no_agreement() -> None:
    one, other = said("flagged", 0.9, ("sick",)), said("flagged", 0.9, ("sick", "well"))
    assert compare_answers([("", one, other)]).agreed == 0


def test_nothing_compared() -> None:
    found = compare_answers([])
    assert (found.n, found.agreed, found.low, found.high, found.ms) == (0, 0, 0.0, 1.0, (None, None))


@given(st.lists(st.tuples(st.sampled_from(["A", "B"]), st.floats(0, 1), st.floats(0, 1)), max_size=30))
def test_counts_add_up_and_a_version_agrees_with_itself(drawn: list[tuple[str, float, float]]) -> None:
    cases = [(site, said("clear", p), said("clear", q)) for site, p, q in drawn]
    found = compare_answers(cases)
    assert found.n == len(cases) == sum(s.n for s in found.sites) == sum(n for *_, n in found.states)
    assert found.agreed == sum(s.agreed for s in found.sites)
    assert compare_answers([(site, a, a) for site, a, _ in cases]).agreed == len(cases)
