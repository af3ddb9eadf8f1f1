"""The gate: what two versions' predictions on the same records say of which is worse."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import medloupe
from evident import LABELS, changed, evidence
from medloupe.metrics.evidence import FILE, Evidence, join_groups
from medloupe.metrics.gate import FEWEST_GROUPS, MARGIN, Comparison, compare
from medloupe.model.bundle import Model
from medloupe.store.models import Store
from trained import Trained


def held(candidate: Evidence | None, production: Evidence | None, **more: Any) -> Comparison:
    return compare(candidate, production, name="lungs", versions=(2, 1), **more)


# ------------------------------------------------------------------------ figures


def test_the_figures_are_those_of_the_card(trained: Trained) -> None:
    """Nothing is judged anew: the same predictions, the same formulas."""
    store = Store(trained.home)
    card = store.get("spots").card
    kept = Evidence.read(store.folder("spots", 1))
    assert kept is not None
    assert kept.labels == tuple(card["labels"])
    assert len(kept.digests) == card["data"]["labelled"] == len(set(kept.digests.tolist()))
    seen = held(kept, kept)
    assert seen.auc and seen.balanced_accuracy
    assert seen.auc.candidate == pytest.approx(card["metrics"]["auc"]["value"], abs=1e-6)
    assert seen.balanced_accuracy.candidate == pytest.approx(card["metrics"]["balanced_accuracy"]["value"], abs=1e-6)


def test_an_auc_that_can_be_counted() -> None:
    n = 40
    truth = np.arange(n) >= n // 2
    p = np.linspace(0, 1, n, dtype=np.float32)
    p[n // 2] = 0.0  # one case at the bottom, tied with the lowest control: half a win of 20 with it
    e = changed(
        evidence(1, n),
        targets=np.stack([truth, ~truth], 1).astype(np.float32),
        probabilities=np.stack([p, 1 - p], 1)[None],
        announced=np.stack([truth, ~truth], 1).astype(np.float32),
    )
    seen = held(e, e)
    assert seen.auc and seen.balanced_accuracy
    assert seen.auc.candidate == pytest.approx((19 * 20 + 0.5) / 400)
    assert seen.balanced_accuracy.candidate == 1


def test_the_same_predictions_pass_with_no_difference() -> None:
    seen = held(evidence(1.5), evidence(1.5))
    assert seen.passed and seen.auc and seen.balanced_accuracy
    assert (seen.auc.low, seen.auc.difference, seen.auc.high) == (0, 0, 0)
    assert (seen.records, seen.groups) == (200, 200)
    assert held(evidence(1.5), evidence(1.4, noise=2)) == held(evidence(1.5), evidence(1.4, noise=2))  # seeded


def test_the_worse_is_refused_and_the_better_passes() -> None:
    good, poor = evidence(3), evidence(0.5, noise=2)
    better, worse = held(good, poor), held(poor, good)
    assert better.passed and not worse.passed
    assert better.auc and worse.auc
    assert worse.auc.high < -MARGIN < 0 < better.auc.low
    assert worse.auc.difference == pytest.approx(-better.auc.difference)
    assert "It is worse" in worse.words and "not worse by more than the margin" in better.words


def test_too_little_evidence_of_equality_is_not_enough() -> None:
    """Equal skill, but few records: the interval reaches below the margin."""
    seen = held(evidence(1, 60), evidence(1, 60, noise=2))
    assert seen.auc and abs(seen.auc.difference) < seen.auc.high - seen.auc.low
    assert not seen.passed
    assert held(evidence(1, 60), evidence(1, 60, noise=2), margin=0.5).passed


def test_a_candidate_at_the_margin_passes_about_one_time_in_twenty() -> None:
    """The error that the one-sided limit promises: candidates whose true loss is the margin itself."""
    rounds, n, margin = 300, 300, 0.05
    # AUC = Phi(d / sqrt 2): 0.921 and 0.871
    passed = sum(
        held(
            evidence(1.60, n, seed=s, noise=1, repeats=1),
            evidence(1.9968, n, seed=s, noise=2, repeats=1),
            margin=margin,
            draws=300,
        ).passed
        for s in range(rounds)
    )
    assert 0.01 <= passed / rounds <= 0.10


def test_records_of_one_patient_count_once() -> None:
    n, each = 60, 8
    one = evidence(1, n), evidence(1.2, n, noise=2)
    many = [
        changed(
            e,
            digests=np.arange(n * each, dtype=np.uint64),
            groups=np.repeat(np.arange(n), each),
            targets=np.repeat(e.targets, each, 0),
            probabilities=np.repeat(e.probabilities, each, 1),
            announced=np.repeat(e.announced, each, 0),
        )
        for e in one
    ]
    alone, together = held(*one), held(*many)
    assert alone.auc and together.auc
    assert (together.records, together.groups) == (n * each, n)
    assert together.auc.low == pytest.approx(alone.auc.low, abs=0.01)


def test_several_labels_at_once_with_unknown_truth() -> None:
    def made(skill: float, noise: int) -> Evidence:
        e = evidence(skill, 300, noise=noise, task="multilabel")
        targets = e.targets.copy()
        targets[::3, 1] = np.nan
        return changed(e, targets=targets)

    assert held(made(2, 1), made(1, 2)).passed
    worse = held(made(0.2, 1), made(2, 2))
    assert not worse.passed and worse.auc and worse.records == 300


# ------------------------------------------------------------------ what is shared


def test_only_common_records_with_the_same_truth_are_compared() -> None:
    candidate, production = evidence(2, 200), evidence(2, 200, first=80)
    assert held(candidate, production).records == 120
    corrected = production.targets.copy()
    corrected[:10] = 1 - corrected[:10]
    assert held(candidate, changed(production, targets=corrected)).records == 110


def test_the_order_of_records_and_labels_does_not_matter() -> None:
    candidate, production = evidence(2), evidence(1.8, noise=2)
    mixed = np.random.default_rng(1).permutation(200)
    turned = changed(
        production,
        labels=LABELS[::-1],
        digests=production.digests[mixed],
        groups=production.groups[mixed],
        targets=production.targets[mixed][:, ::-1],
        probabilities=production.probabilities[:, mixed][:, :, ::-1],
        announced=production.announced[mixed][:, ::-1],
    )
    assert held(candidate, turned) == held(candidate, production)


@pytest.mark.parametrize(
    ("candidate", "production", "said"),
    [
        (lambda: None, lambda: evidence(1), "version 2 keeps no record"),
        (lambda: evidence(1), lambda: None, "version 1 keeps no record"),
        (lambda: evidence(1, labels=("ill", "fine")), lambda: evidence(1), "same question"),
        (lambda: evidence(1, task="multilabel"), lambda: evidence(1), "same question"),
        (lambda: evidence(1), lambda: evidence(1, first=1000), "0 common groups"),
        (lambda: evidence(1, FEWEST_GROUPS - 1), lambda: evidence(1), f"{FEWEST_GROUPS - 1} common groups"),
        (lambda: evidence(1, groups=np.arange(200) // 10), lambda: evidence(1), "20 common groups"),
        (
            lambda: changed(evidence(1), targets=np.tile([1, 0], (200, 1)).astype(np.float32)),
            lambda: changed(evidence(1), targets=np.tile([1, 0], (200, 1)).astype(np.float32)),
            "lack cases",
        ),
    ],
)
def test_what_cannot_be_compared_does_not_pass(
    candidate: Callable[[], Evidence | None], production: Callable[[], Evidence | None], said: str
) -> None:
    seen = held(candidate(), production())
    assert not seen.passed and seen.auc is None
    assert said in seen.why_not and seen.why_not in seen.words
    assert seen.as_json()["words"] == seen.words


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=25))
def test_joined_groups_keep_together_what_either_does(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    label = join_groups(one, other)
    reached = [{i} for i in range(len(pairs))]
    for _ in pairs:  # by hand: whoever is reached through a common group, step by step
        for mine in reached:
            mine |= {j for i in mine for j in range(len(pairs)) if one[i] == one[j] or other[i] == other[j]}
    assert [[bool(label[i] == label[j]) for j in range(len(pairs))] for i in range(len(pairs))] == [
        [j in mine for j in range(len(pairs))] for mine in reached
    ]


# --------------------------------------------------------------------- the file


def test_evidence_comes_back_as_it_was() -> None:
    e = evidence(1, labels=("größer", "肺炎"))
    again = Evidence.from_bytes(e.as_bytes())
    for name in Evidence.__dataclass_fields__:
        assert np.array_equal(getattr(again, name), getattr(e, name)), name
    assert e.as_bytes() == again.as_bytes()


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_file_is_no_evidence_and_no_crash(data: st.DataObject) -> None:
    whole = bytearray(evidence(1, 35).as_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(whole), len(whole) // 2, 3, 0]))
    try:
        read = Evidence.from_bytes(bytes(whole[:cut]))
    except ValueError:
        return
    held(read, evidence(1, 35))


def test_nothing_is_unpickled() -> None:
    out = io.BytesIO()
    np.savez(out, labels=np.array([{"a": 1}], object), task=np.array("x"))
    with pytest.raises(ValueError, match="pickle"):
        Evidence.from_bytes(out.getvalue())


def test_a_model_on_a_test_split_keeps_the_test_records(home: Any, tmp_path: Any) -> None:
    import generated

    data = generated.folders(tmp_path / "cells", 35, splits=("train", "test"))
    model = medloupe.train(medloupe.read(data), name="cells")
    assert isinstance(model, Model) and model.card["split"]["test"] == 70
    kept = Evidence.read(Store(home).folder("cells", 1))
    assert kept is not None and (Store(home).folder("cells", 1) / FILE).stat().st_size < 20_000
    assert kept.probabilities.shape == (1, 70, 2)
    seen = held(kept, kept)
    assert seen.auc and seen.auc.candidate == pytest.approx(model.card["metrics"]["auc"]["value"], abs=1e-6)
    balanced = model.card["metrics"]["balanced_accuracy"]["value"]
    assert seen.balanced_accuracy and seen.balanced_accuracy.candidate == pytest.approx(balanced, abs=1e-6)
