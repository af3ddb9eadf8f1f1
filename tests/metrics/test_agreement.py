"""Cohen's kappa against worked examples."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.metrics.agreement import cohen_kappa


def test_a_worked_example() -> None:
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: agreement .7, by chance .5, kappa .4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(first, second)
    assert (found.n, found.agreed) == (50, pytest.approx(0.7))
    assert found.value == pytest.approx(0.4)
    assert found.low is not None and found.high is not None
    assert found.low < 0.4 < found.high


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    names, joint = np.array(["a", "b", "c"]), np.array([[0.4, 0.05, 0.05], [0.05, 0.2, 0.05], [0.02, 0.03, 0.15]])
    chance = float(joint.sum(0) @ joint.sum(1))
    truth = (float(np.trace(joint)) - chance) / (1 - chance)
    held = 0
    for _ in range(400):
        drawn = rng.choice(9, 150, p=joint.ravel())
        found = cohen_kappa(names[drawn // 3].tolist(), names[drawn % 3].tolist())
        assert found.low is not None and found.high is not None
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_nothing_is_said_of_nothing_and_of_what_chance_explains() -> None:
    assert cohen_kappa([], []).value is None
    always = cohen_kappa(["a"] * 5, ["a"] * 5)
    assert (always.value, always.agreed) == (None, 1.0)
