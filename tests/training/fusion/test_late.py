"""Extras add what they know, no more; without them the answer is the picture's."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from medloupe.metrics.calibration import row_losses
from medloupe.model.head import probabilities
from medloupe.training.fusion.encoding import EncodedInputs
from medloupe.training.fusion.late import add_to_logits, build_extras, fuse, invert_probabilities
from medloupe.training.heads.fit import FittedHead
from medloupe.training.heads.ranking import macro_auc
from weighed import Patients, patients


def fused(found: Patients, fitted: FittedHead, encoded: EncodedInputs):
    return fuse(fitted.out_of_fold, fitted.folds, found.targets, found.groups, encoded, task=found.task)


def auc(p: np.ndarray, found: Patients) -> float:
    return float(np.mean([macro_auc(one, found.targets) for one in p]))


def test_a_column_that_knows_adds_what_it_can() -> None:
    found = patients(800, image=0.8, table=1.0, missing=0)
    fitted = found.fitted()
    encoded, columns, notes = found.encoded("age")
    result = fused(found, fitted, encoded)
    p = add_to_logits(fitted.out_of_fold, result.added_logits(encoded.x, fitted.folds), found.task)
    image, both = auc(fitted.out_of_fold, found), auc(p, found)
    # the separations of independent views add in squares: 0.8 √2 of the picture, 1 of the age (in deviations)
    from scipy.stats import norm

    assert image == pytest.approx(norm.cdf(0.8), abs=0.04)
    assert both == pytest.approx(norm.cdf(np.sqrt((2 * 0.8**2 + 1) / 2)), abs=0.03)
    assert both > image + 0.04
    extras = build_extras(result, columns, notes)
    assert extras is not None and extras.names == ("age",)
    added = extras.logits(*extras.encode([{"age": "80"}, {"age": "20"}]))
    assert added[0, 1] > added[0, 0] and added[1, 0] > added[1, 1]


def test_noise_is_left_out_or_does_no_harm() -> None:
    taken = 0
    for seed in range(4):
        found = patients(300, table=0, seed=seed)
        fitted = found.fitted()
        encoded, columns, notes = found.encoded("sex", "noise")
        result = fused(found, fitted, encoded)
        p = add_to_logits(fitted.out_of_fold, result.added_logits(encoded.x, fitted.folds), found.task)
        assert auc(p, found) > auc(fitted.out_of_fold, found) - 0.02
        taken += build_extras(result, columns, notes) is not None
    assert taken <= 1


def test_the_useless_are_left_out_beside_the_useful() -> None:
    taken: Counter[str] = Counter()
    for seed in range(4):
        found = patients(300, seed=seed)
        encoded, columns, notes = found.encoded("age", "sex", "noise", notes=True)
        extras = build_extras(fused(found, found.fitted(1), encoded), columns, notes)
        assert extras is not None
        assert extras.weight.shape == (2, extras.clinical_width + extras.notes_width)
        taken.update(extras.names)
    assert taken["age"] == taken["notes"] == 4
    assert taken["sex"] + taken["noise"] <= 2


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_everything_removed_is_the_picture_to_the_last_bit(task: str) -> None:
    found = patients(300, k=3, task=task)
    fitted = found.fitted()
    encoded, _, _ = found.encoded("age", "sex", notes=True)
    result = fused(found, fitted, encoded)
    assert result.chosen.inputs
    nothing = encoded.without(clinical=True, notes=True)
    p = add_to_logits(fitted.out_of_fold, result.added_logits(nothing, fitted.folds), task)
    np.testing.assert_array_equal(p, fitted.out_of_fold)


def test_any_part_may_be_missing() -> None:
    """Each subset of inputs does at least about as well as the picture, and as one learned for that subset."""
    found = patients(800)
    fitted = found.fitted()
    encoded, _, _ = found.encoded("age", notes=True)
    result = fused(found, fitted, encoded)
    for name, x in {"table": encoded.without(notes=True), "notes": encoded.without(clinical=True)}.items():
        p = add_to_logits(fitted.out_of_fold, result.added_logits(x, fitted.folds), found.task)
        alone, *_ = found.encoded(*(["age"] if name == "table" else []), notes=name == "notes")
        own = fused(found, fitted, alone)
        q = add_to_logits(fitted.out_of_fold, own.added_logits(alone.x, fitted.folds), found.task)
        assert auc(p, found) > auc(fitted.out_of_fold, found) + 0.01
        assert auc(p, found) > auc(q, found) - 0.01
        losses = [
            row_losses(invert_probabilities(one[0], found.task), found.targets, found.task).mean() for one in (p, q)
        ]
        assert losses[0] < losses[1] + 0.01


def test_no_row_is_answered_by_what_saw_it() -> None:
    """Columns that name each patient, and labels by chance: weights that had seen a row would know it."""
    rng = np.random.default_rng(0)
    found = patients(200, image=0, table=0)
    many = EncodedInputs(
        columns=(),
        clinical=np.zeros((200, 0), np.float32),
        stated=np.zeros((200, 0), bool),
        notes=rng.normal(size=(200, 150)).astype(np.float32),
    )
    fitted = found.fitted()
    result = fused(found, fitted, many)
    p = add_to_logits(fitted.out_of_fold, result.added_logits(many.x, fitted.folds), found.task)
    assert auc(p, found) < 0.6


def test_the_same_data_give_the_same_weights() -> None:
    found = patients(200)
    fitted = found.fitted()
    encoded, _, _ = found.encoded("age", notes=True)
    np.testing.assert_array_equal(fused(found, fitted, encoded).weight, fused(found, fitted, encoded).weight)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_logits_are_those_of_the_probabilities(task: str) -> None:
    z = np.random.default_rng(0).normal(0, 3, (1, 50, 3)).astype(np.float32)
    p = probabilities(z, task)
    np.testing.assert_allclose(probabilities(invert_probabilities(p, task), task), p, atol=1e-5)


def test_labels_that_are_missing_carry_no_loss() -> None:
    found = patients(400, task="multilabel")
    y = found.targets.copy()
    y[:100, 0] = np.nan
    fitted = found.fitted()
    encoded, _, _ = found.encoded("age")
    result = fuse(fitted.out_of_fold, fitted.folds, y, found.groups, encoded, task="multilabel")
    assert np.isfinite(result.weight).all() and result.chosen.inputs == (0,)


def test_many_rows_take_seconds() -> None:
    rng = np.random.default_rng(0)
    n, k = 8_000, 4
    classes = rng.integers(0, k, n)
    rows = [
        {"rr": f"{v:.3f}", "next": f"{w:.3f}"} for v, w in zip(rng.normal(classes), rng.normal(size=n), strict=True)
    ]
    from medloupe.inputs.clinical import Column

    columns = tuple(c for name in ("rr", "next") if (c := Column.fit(name, [r[name] for r in rows])))
    encoded = EncodedInputs.encode(columns, None, rows)
    p = np.full((1, n, k), 1 / k, np.float32)
    y = np.eye(k, dtype=np.float32)[classes]
    started = time.process_time()
    result = fuse(p, (np.arange(n) % 5)[None], y, np.arange(n), encoded, task="multiclass")
    assert result.chosen.inputs == (0,)
    assert time.process_time() - started < 20
