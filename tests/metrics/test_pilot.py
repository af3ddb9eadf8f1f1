"""Sizes of pilots and reader tables, against published figures."""

from __future__ import annotations

import math

import pytest

from medloupe.errors import MedloupeError
from medloupe.metrics.pilot import Share, compare_with_reference, plan_pilot
from medloupe.metrics.weighted import wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_of_newcombe(hits: int, n: int, low: float, high: float) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion" (Stat. Med. 17, 1998), table I, method 3."""
    found = Share.of(hits, n)
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(
    ("share", "half_width", "cases"),
    [(0.9, 0.05, 139), (0.8, 0.05, 246), (0.95, 0.03, 203), (0.7, 0.1, 81)],
)
def test_buderers_formula(share: float, half_width: float, cases: int) -> None:
    """z² p (1 - p) / w², as Buderer (1996) has it, divided by how common the finding is."""
    assert math.ceil(1.959964**2 * share * (1 - share) / half_width**2) == cases
    plan = plan_pilot(sensitivity=share, specificity=0.5, half_width=half_width, prevalence=0.01)
    assert plan.normal == math.ceil(1.959963984540054**2 * share * (1 - share) / half_width**2 / 0.01)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("half_width", [0.02, 0.05, 0.1])
def test_the_interval_is_as_narrow_as_wished_and_with_one_case_less_it_is_not(share: float, half_width: float) -> None:
    plan = plan_pilot(sensitivity=share, specificity=share, half_width=half_width, prevalence=0.2)
    assert plan.having == plan.lacking

    def width(n: int) -> float:
        low, high = wilson(share * n, n)
        return high - low

    assert width(plan.having) <= 2 * half_width < width(plan.having - 1)
    assert plan.people == math.ceil(plan.having / 0.2)
    assert plan.assured >= plan.people


def test_as_many_as_assured_are_enough_in_95_of_100() -> None:
    import numpy as np

    plan = plan_pilot(sensitivity=0.9, specificity=0.9, half_width=0.1, prevalence=0.1)
    drawn = np.random.default_rng(0).binomial(plan.assured, 0.1, 200_000)
    assert np.mean(drawn >= plan.having) == pytest.approx(0.95, abs=0.012)
    assert np.mean(np.random.default_rng(1).binomial(plan.assured - 5, 0.1, 200_000) >= plan.having) < 0.95


@pytest.mark.parametrize(
    "wrong",
    [{"sensitivity": 1.2}, {"specificity": -0.1}, {"half_width": 0.0}, {"prevalence": 1.0}, {"prevalence": 1e-9}],
)
def test_what_is_no_plan_is_said(wrong: dict[str, float]) -> None:
    usual = {"sensitivity": 0.9, "specificity": 0.9, "half_width": 0.05, "prevalence": 0.1}
    with pytest.raises(MedloupeError):
        plan_pilot(**(usual | wrong))


def said(state: str, *flagged: str, most: str = "well") -> dict[str, object]:
    return {"state": state, "flagged": list(flagged), "prediction": flagged[0] if flagged else most}


def test_undecided_answers_are_counted_and_never_left_out() -> None:
    answers = [
        (said("flagged", "sick"), ["sick"]),
        (said("flagged", "sick"), ["well"]),
        (said("clear"), ["sick"]),
        (said("clear"), ["well"]),
        (said("clear"), ["well"]),
        (said("unclear"), ["sick"]),
        (said("refused", most=""), ["well"]),
        (said("unusable", most=""), ["sick"]),
    ]
    whole, own = compare_with_reference(answers, ("sick", "well"), ("sick",))
    assert (whole.label, own.label) == ("", "sick")
    for table in (whole, own):
        assert (table.tp, table.fp, table.fn, table.tn, table.n) == (1, 1, 1, 2, 8)
        assert table.undecided_with == {"unclear": 1, "refused": 0, "unusable": 1}
        assert table.undecided_without == {"unclear": 0, "refused": 1, "unusable": 0}
        figures = table.figures()
        assert (figures["sensitivity"].hits, figures["sensitivity"].n) == (1, 2)
        assert (figures["sensitivity_all"].hits, figures["sensitivity_all"].n) == (1, 4)
        assert (figures["specificity_all"].hits, figures["specificity_all"].n) == (2, 4)
        assert figures["ppv"].value == 0.5


def test_without_findings_the_most_probable_label_counts() -> None:
    tables = compare_with_reference(
        [(said("answered", most="cat"), ["cat"]), (said("answered", most="dog"), ["cat"])], ("cat", "dog"), ()
    )
    assert [(t.label, t.tp, t.fp, t.fn, t.tn) for t in tables] == [("cat", 1, 0, 1, 0), ("dog", 0, 1, 0, 1)]
    assert tables[1].figures()["sensitivity"].value is None
