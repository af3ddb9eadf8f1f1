"""Inputs are taken where they help by more than chance, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.metrics.calibration import row_losses
from medloupe.model.head import probabilities
from medloupe.training.fusion.candidates import (
    FusionCandidate,
    choose_candidate,
    leave_one_out,
    leave_out_in_turn,
    list_candidates,
    standard_error,
)

NONE = FusionCandidate(inputs=(), clinical=0, notes=0)
WEAK = FusionCandidate(inputs=(0,), clinical=0.03, notes=0)
FREE = FusionCandidate(inputs=(0,), clinical=3, notes=0)
MORE = FusionCandidate(inputs=(0, 1), clinical=3, notes=0)


def losses(*means: float, spread: float = 0.1, n: int = 400) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, spread, (len(means), n))
    return np.array(means)[:, None] + noise - noise.mean(1, keepdims=True)


def test_no_gain_takes_nothing() -> None:
    groups = np.arange(400)
    assert choose_candidate(losses(0.5, 0.499, 0.5, 0.498), [NONE, WEAK, FREE, MORE], groups) == 0
    assert choose_candidate(losses(0.5, 0.4, 0.41, 0.399), [NONE, WEAK, FREE, MORE], groups) == 1
    assert choose_candidate(losses(0.5, 0.4, 0.39, 0.3), [NONE, WEAK, FREE, MORE], groups) == 3


def test_few_independent_patients_need_a_larger_gain() -> None:
    found = losses(0.5, 0.49, spread=0.05)
    assert choose_candidate(found, [NONE, WEAK], np.arange(400)) == 1
    found[1, 200:] += 0.05
    found[1, :200] -= 0.05
    assert choose_candidate(found, [NONE, WEAK], np.arange(400) // 200) == 0


def test_the_error_is_that_of_independent_groups() -> None:
    difference = np.random.default_rng(1).normal(size=500)
    assert standard_error(difference, np.arange(500)) == pytest.approx(difference.std(ddof=1) / np.sqrt(500))
    doubled = np.repeat(difference, 2)
    assert standard_error(doubled, np.repeat(np.arange(500), 2)) == pytest.approx(
        standard_error(difference, np.arange(500))
    )


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_loss_is_the_log_loss(task: str) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(5, 3)).astype(np.float32)
    y = np.eye(5, 3, dtype=np.float32)
    y[4] = np.nan
    p = probabilities(z.astype(np.float64), task)
    if task == "multiclass":
        y[3] = [0, 0, 1]
        want = [-np.log((p * y).sum(1))[i] if i < 4 else 0 for i in range(5)]
    else:
        each = -(y * np.log(p) + (1 - y) * np.log(1 - p))
        want = np.where(np.isnan(each), 0, each).sum(1)
    np.testing.assert_allclose(row_losses(z, y, task), want, rtol=1e-5, atol=1e-9)


def test_what_is_tried() -> None:
    tried = list_candidates(2, notes=True)
    assert {c.inputs for c in tried} == {(), (0, 1), (2,), (0, 1, 2)}
    assert {c.inputs for c in list_candidates(0, notes=True)} == {(), (0,)}
    assert [c.inputs for c in leave_one_out(MORE)] == [(1,), (0,)]
    assert leave_one_out(WEAK) == []
    most = FusionCandidate(inputs=(0, 1, 2, 3), clinical=1, notes=1)
    assert [c.inputs for c in leave_out_in_turn(most, [0.3, 0.5, 0.1, 0.2])] == [(0, 1), (1,)]
