"""From predictions and truth to the figures of a card."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc as area
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, roc_auc_score

from medloupe.data.labels import tell_roles
from medloupe.data.records import Record
from medloupe.metrics.curves import curves
from medloupe.metrics.subgroups import _age_band, subgroups
from medloupe.metrics.tables import (
    confusion,
    describe_point,
    headline,
    per_label,
    split_hundred,
)
from synthetic import judged, one_hot

N = 120


def noisy(k: int = 2, n: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, k) and one-hot targets; right more often than not."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, k, n)
    z = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[classes]
    p = np.exp(z)
    return (p / p.sum(1, keepdims=True)).astype(np.float32), one_hot(classes, k)


# Operating points


@pytest.mark.parametrize(
    ("sensitivity", "specificity", "words"),
    [
        (0.95, 0.88, "finds 95 of 100 cases; 1 in 8 without it is flagged"),
        (0.9, 1.0, "finds 90 of 100 cases; fewer than 1 in 200 without it are flagged"),
        (0.9, 0.995, "finds 90 of 100 cases; 1 in 200 without it is flagged"),
        (1.0, 0.65, "finds 100 of 100 cases; 1 in 3 without it is flagged"),
        (0.9, 0.4, "finds 90 of 100 cases; 60 of 100 without it are flagged"),
        (0.9, 0.0, "finds 90 of 100 cases; 100 of 100 without it are flagged"),
        (None, 0.9, "cannot be judged on this data"),
        (0.9, None, "cannot be judged on this data"),
    ],
)
def test_in_words(sensitivity: float | None, specificity: float | None, words: str):
    assert describe_point(sensitivity, specificity) == words


# Headline


def test_headline_of_classes_agrees_with_scikit_learn():
    p, y = noisy(3)
    truth, answer = y.argmax(1), p.argmax(1)
    figures = headline(judged(p, y))
    value = {name: m["value"] for name, m in figures.items()}
    assert value["auc"] == pytest.approx(roc_auc_score(y, p, average="macro"), abs=1e-5)
    assert value["accuracy"] == pytest.approx((truth == answer).mean())
    assert value["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, answer))
    assert value["macro_f1"] == pytest.approx(f1_score(truth, answer, average="macro"))
    assert value["majority_accuracy"] == pytest.approx(np.bincount(truth).max() / N)
    assert value["brier"] == pytest.approx(((p - y) ** 2).sum(1).mean(), abs=1e-5)
    for m in figures.values():
        assert m["low"] <= m["value"] <= m["high"]  # type: ignore[operator]


def test_headline_of_several_labels():
    rng = np.random.default_rng(0)
    y = (rng.random((N, 3)) < 0.4).astype(np.float32)
    p = np.clip(0.5 + 0.3 * (y - 0.5) + rng.normal(0, 0.2, (N, 3)), 0, 1)
    y[rng.random((N, 3)) < 0.2] = np.nan
    figures = headline(judged(p, y, task="multilabel"))
    known = ~np.isnan(y)
    aucs = [roc_auc_score(y[known[:, k], k], p[known[:, k], k]) for k in range(3)]
    assert figures["auc"]["value"] == pytest.approx(np.mean(aucs), abs=1e-5)
    right = [((p[:, k] >= 0.5) == (y[:, k] == 1))[known[:, k]].mean() for k in range(3)]
    assert figures["accuracy"]["value"] == pytest.approx(np.mean(right), abs=1e-5)
    assert figures["majority_accuracy"]["value"] == pytest.approx(
        np.mean([max(np.nanmean(c), 1 - np.nanmean(c)) for c in y.T]), abs=1e-5
    )


def test_headline_averages_over_the_repeats():
    (p, y), (q, _) = noisy(seed=0), noisy(seed=1)
    both = headline(judged(np.stack([p, q]), y))["auc"]["value"]
    each = [headline(judged(x, y))["auc"]["value"] for x in (p, q)]
    assert both == pytest.approx(np.mean(each), abs=1e-6)  # type: ignore[arg-type]


def test_headline_where_all_are_of_one_class():
    p, y = noisy()
    y[:] = [1, 0]
    figures = headline(judged(p, y))
    assert figures["auc"] == {"value": None, "low": None, "high": None}
    assert figures["accuracy"]["value"] == pytest.approx((p.argmax(1) == 0).mean())


def test_a_perfect_small_sample_is_not_certain():
    y = one_hot(np.arange(20) % 2, 2)
    figures = headline(judged(y * 0.8 + 0.1, y))
    assert figures["auc"]["value"] == 1
    assert 0.7 < figures["auc"]["low"] < 0.95  # type: ignore[operator]
    assert 0.8 < figures["balanced_accuracy"]["low"] < 0.9  # type: ignore[operator]


def test_copies_do_not_narrow_the_headline():
    p, y = noisy(n=60)
    alone = headline(judged(p, y))["auc"]
    copied = headline(judged(np.repeat(p, 8, 0), np.repeat(y, 8, 0), groups=np.repeat(np.arange(60), 8)))["auc"]
    widths = [m["high"] - m["low"] for m in (alone, copied)]  # type: ignore[operator]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


# One row a label


def test_per_label_agrees_with_counting():
    p, y = noisy(3)
    limits = np.array([0.3, 0.4, np.nan])
    flags = (p >= np.where(np.isnan(limits), np.inf, limits))[None]
    rows = per_label(judged(p, y, flags=flags), limits, 0.9)
    for k, row in enumerate(rows):
        truth, called = y[:, k] == 1, p.argmax(1) == k
        assert row["label"] == f"class{k}"
        assert row["n"] == truth.sum()
        assert row["sensitivity"]["value"] == pytest.approx(called[truth].mean())
        assert row["specificity"]["value"] == pytest.approx((~called)[~truth].mean())
        assert row["ppv"]["value"] == pytest.approx(truth[called].mean())
        assert row["npv"]["value"] == pytest.approx((~truth)[~called].mean())
        operating = row["operating_point"]
        assert operating["sensitivity"]["value"] == pytest.approx(flags[0, truth, k].mean())
        assert operating["specificity"]["value"] == pytest.approx((~flags[0, :, k])[~truth].mean())
        assert operating["target_sensitivity"] == 0.9
        assert operating["words"].startswith("finds ")
    assert rows[0]["operating_point"]["threshold"] == pytest.approx(0.3)
    assert rows[2]["operating_point"]["threshold"] is None
    assert rows[2]["operating_point"]["ppv"]["value"] is None  # nothing was flagged


def test_per_label_counts_known_rows_only():
    y = np.array([[1], [0], [np.nan], [1], [0], [np.nan]], np.float32)
    p = np.array([[0.9], [0.1], [0.9], [0.2], [0.8], [0.1]])
    row = per_label(judged(p, y, task="multilabel"), np.array([0.5]), 0.9)[0]
    assert row["n"] == 2
    assert row["ppv"]["value"] == 0.5
    assert row["npv"]["value"] == 0.5


def test_per_label_without_cases():
    y = np.zeros((10, 1), np.float32)
    row = per_label(judged(np.full((10, 1), 0.2), y, task="multilabel"), np.array([np.nan]), 0.9)[0]
    assert row["auc"]["value"] is None
    assert row["operating_point"]["words"] == "cannot be judged on this data"


def test_confusion_counts():
    p, y = noisy(3)
    found = confusion(judged(p, y))
    assert found is not None
    assert found["labels"] == ["class0", "class1", "class2"]
    np.testing.assert_array_equal(found["matrix"], confusion_matrix(y.argmax(1), p.argmax(1)))
    assert confusion(judged(p, y, task="multilabel")) is None


# Subgroups


def records(**columns: list[str]) -> list[Record]:
    n = len(next(iter(columns.values())))
    return [
        Record(id=str(i), image=np.zeros((1, 1), np.uint8), columns={c: v[i] for c, v in columns.items() if v[i]})
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("0", "0-17"),
        ("17", "0-17"),
        ("17.5", "0-17"),
        ("17.99", "0-17"),
        ("18", "18-39"),
        ("39", "18-39"),
        ("39.9", "18-39"),
        ("40", "40-59"),
        ("055Y", "40-59"),
        ("55y", "40-59"),
        (" 60 ", "60-79"),
        ("79", "60-79"),
        ("80", "80+"),
        ("101", "80+"),
        ("006M", "0-17"),
        ("013W", "0-17"),
        ("300M", "18-39"),
        ("-1", ""),
        ("999", ""),
        ("<18", ""),
        ("~40", ""),
        ("40%", ""),
        (">60", ""),
        ("60+", ""),
        (">89", "80+"),
        ("90+", "80+"),
        ("38,5", "18-39"),
        ("unknown", ""),
        ("nan", ""),
        ("", ""),
    ],
)
def test_age_bands(text: str, band: str):
    assert _age_band("Age", text) == band
    assert _age_band("sex", text) == text


def test_subgroups_are_judged_apart():
    p, y = noisy()
    sex = ["F" if i % 2 else "M" for i in range(N)]
    p[1::2] = 1 - p[1::2]  # wrong about women
    found = subgroups(judged(p, y), records(Sex=sex, age=[str(20 + i % 50) for i in range(N)], other=sex))
    assert [(r["column"], r["value"]) for r in found] == [
        ("Sex", "F"),
        ("Sex", "M"),
        ("age", "18-39"),
        ("age", "40-59"),
        ("age", "60-79"),
    ]
    by_sex = {r["value"]: r for r in found if r["column"] == "Sex"}
    assert by_sex["F"]["n"] == by_sex["M"]["n"] == N // 2
    assert by_sex["F"]["auc"]["value"] < 0.3 < 0.7 < by_sex["M"]["auc"]["value"]
    half = np.arange(N) % 2 == 0
    assert by_sex["M"]["auc"]["value"] == pytest.approx(roc_auc_score(y[half, 1], p[half, 1]), abs=1e-5)


def test_small_subgroups_are_not_judged():
    p, y = noisy()
    found = subgroups(judged(p, y), records(site=["A"] * 110 + ["B"] * 10))
    small = next(r for r in found if r["value"] == "B")
    assert (small["n"], small["auc"], small["note"]) == (10, None, "too few to judge")


def test_a_subgroup_of_one_class_is_not_fatal():
    p, y = noisy()
    y[:30] = [1, 0]
    found = subgroups(judged(p, y), records(view=["AP"] * 30 + ["PA"] * 90))
    alone = next(r for r in found if r["value"] == "AP")
    assert alone["auc"]["value"] is None
    assert next(r for r in found if r["value"] == "PA")["auc"]["value"] > 0.7


def test_columns_that_make_no_groups_are_left_out():
    p, y = noisy()
    same, many = ["x"] * N, [str(i) for i in range(N)]
    assert subgroups(judged(p, y), records(site=same, device=many, colour=["a", "b"] * 60)) == []


# Curves


def test_curves_are_monotone_and_whole():
    p, y = noisy(3, 2000)
    found = curves(judged(p, y))
    for roc in found["roc"].values():
        assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
        assert (np.diff(roc["fpr"]) >= 0).all()
        assert (np.diff(roc["tpr"]) >= 0).all()
        assert len(roc["fpr"]) == len(roc["tpr"]) <= 163
    for pr in found["pr"].values():
        assert (np.diff(pr["recall"]) >= 0).all()
        assert pr["recall"][-1] == 1
        assert pr["precision"][-1] == pytest.approx(pr["prevalence"], abs=1e-3)


def test_the_area_under_the_thinned_curve_is_the_auc():
    p, y = noisy(2, 3000)
    roc = curves(judged(p, y))["roc"]["class1"]
    assert area(roc["fpr"], roc["tpr"]) == pytest.approx(roc_auc_score(y[:, 1], p[:, 1]), abs=0.005)


def test_ties_are_one_step_of_the_curve():
    y = one_hot(np.array([0, 1, 0, 1]), 2)
    roc = curves(judged(np.full((4, 2), 0.5), y))["roc"]["class1"]
    assert (roc["fpr"], roc["tpr"]) == ([0, 1], [0, 1])


def test_calibration_bins_count_everything_once():
    p, y = noisy(2, 500)
    bins = curves(judged(p, y))["calibration"]
    assert sum(b["n"] for b in bins) == 500
    for b in bins:
        assert b["low"] <= b["observed"] <= b["high"]
        assert 0.5 <= b["predicted"] <= 1
    several = curves(judged(p, y, task="multilabel"))["calibration"]
    assert sum(b["n"] for b in several) == 1000
    predicted = [b["predicted"] for b in several]
    assert predicted == sorted(predicted)


def test_one_sided_labels_have_no_curve():
    p, y = noisy()
    y[:] = [1, 0]
    found = curves(judged(p, y))
    assert found["roc"] == {}
    assert found["pr"] == {}


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_counts_of_a_hundred_add_up(parts: list[float]):
    total = sum(parts) or 1.0
    shares = [x / total for x in parts] if sum(parts) else [1.0, *[0.0] * (len(parts) - 1)]
    made = split_hundred(shares)
    assert sum(made) == 100
    assert all(abs(m - 100 * s) < 1 + 1e-6 for m, s in zip(made, shares, strict=True))


def test_three_counts_of_a_finding_and_none_of_what_is_normal():
    p, y = noisy()
    flags = np.zeros((1, N, 2), bool)
    flags[0, :, 1] = p[:, 1] >= 0.5
    unclear = (p[None, :, 1] >= 0.4) & ~flags[:, :, 1]
    roles = tell_roles(("class0", "class1"), normal=("class0",), sought=("class1",))
    normal, ill = per_label(judged(p, y, flags=flags, unclear=unclear, roles=roles), np.array([0.5, 0.5]), 0.9)
    assert normal["role"] == "normal"
    assert normal["operating_point"]["counts"] is None
    counts, truth = ill["operating_point"]["counts"], y[:, 1] == 1
    for key, rows in (("with", truth), ("without", ~truth)):
        assert sum(counts[key][n] for n in ("flagged", "unclear", "not_flagged")) == 100
        assert counts[key]["flagged"] == pytest.approx(100 * flags[0, rows, 1].mean(), abs=1)
        assert counts[key]["unclear"] == pytest.approx(100 * unclear[0, rows].mean(), abs=1)
        assert counts[key]["n"] == rows.sum()
