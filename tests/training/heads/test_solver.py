"""The batch solver agrees with scikit-learn, and each problem is solved as if it were alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from medloupe.model.head import probabilities
from medloupe.training.heads.solver import Problem, Solution, mean_and_scale, solve
from synthetic import one_hot

N, D, K = 160, 12, 3
TIGHT = {"tolerance": 1e-5, "iterations": 1000}


def problem(x: np.ndarray, c: float = 1.0, weights: np.ndarray | None = None, scale: np.ndarray | None = None):
    return Problem(
        weights=np.ones(len(x), np.float32) if weights is None else weights.astype(np.float32),
        c=c,
        mean=x.mean(0),
        scale=x.std(0) if scale is None else scale,
    )


def answers(solution: Solution, x: np.ndarray, task: str = "multiclass") -> np.ndarray:
    return probabilities(x @ solution.weight + solution.bias, task)


@pytest.fixture
def x() -> np.ndarray:
    """Features of very different means and scales, as those of a backbone are."""
    rng = np.random.default_rng(1)
    return (rng.normal(size=(N, D)) * rng.uniform(0.05, 5, D) + rng.normal(size=D)).astype(np.float32)


@pytest.fixture
def classes(x: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(2)
    scaled = (x - x.mean(0)) / x.std(0)
    return (scaled @ rng.normal(size=(D, K)) + rng.gumbel(size=(N, K)) * 1.5).argmax(1)


@pytest.mark.parametrize("c", [1e-3, 0.1, 10.0])
def test_multiclass_agrees_with_scikit_learn(x: np.ndarray, classes: np.ndarray, c: float):
    ours = solve(x, one_hot(classes, K), [problem(x, c)], task="multiclass", **TIGHT)[0]
    scaled = (x - x.mean(0)) / x.std(0)
    theirs = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(scaled, classes)
    assert ours.converged
    np.testing.assert_allclose(answers(ours, x), theirs.predict_proba(scaled), atol=1e-3)


@pytest.mark.parametrize("c", [1e-3, 0.1, 10.0])
def test_several_labels_agree_with_scikit_learn_one_by_one(x: np.ndarray, classes: np.ndarray, c: float):
    y = one_hot(classes, K)
    y[:, 2] = np.maximum(y[:, 2], y[:, 0])
    ours = solve(x, y, [problem(x, c)], task="multilabel", **TIGHT)[0]
    scaled = (x - x.mean(0)) / x.std(0)
    p = answers(ours, x, "multilabel")
    for k in range(K):
        theirs = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(scaled, y[:, k])
        np.testing.assert_allclose(p[:, k], theirs.predict_proba(scaled)[:, 1], atol=1e-3)


def test_row_weights_agree_with_scikit_learn(x: np.ndarray, classes: np.ndarray):
    weights = np.random.default_rng(3).integers(0, 4, N)
    ours = solve(x, one_hot(classes, K), [problem(x, 0.5, weights)], task="multiclass", **TIGHT)[0]
    scaled = (x - x.mean(0)) / x.std(0)
    theirs = LogisticRegression(C=0.5, tol=1e-8, max_iter=5000).fit(scaled, classes, sample_weight=weights)
    np.testing.assert_allclose(answers(ours, x), theirs.predict_proba(scaled), atol=1e-3)


def test_the_default_tolerance_is_close_enough(x: np.ndarray, classes: np.ndarray):
    y, problems = one_hot(classes, K), [problem(x, c) for c in (1e-3, 1e-2, 0.1)]
    for quick, exact in zip(
        solve(x, y, problems, task="multiclass"), solve(x, y, problems, task="multiclass", **TIGHT), strict=True
    ):
        assert quick.iterations <= exact.iterations
        np.testing.assert_allclose(answers(quick, x), answers(exact, x), atol=0.02)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_together_as_one_by_one(x: np.ndarray, classes: np.ndarray, task: str):
    rng = np.random.default_rng(4)
    y = one_hot(classes, K)
    problems = [problem(x, c, rng.integers(0, 2, N)) for c in (1e-3, 0.03, 1.0) for _ in range(50)]  # two batches
    together = solve(x, y, problems, task=task, **TIGHT)
    assert len(together) == len(problems)
    for i in (0, 60, 107, 149):
        alone = solve(x, y, [problems[i]], task=task, **TIGHT)[0]
        np.testing.assert_allclose(answers(together[i], x, task), answers(alone, x, task), atol=1e-3)


def test_more_rows_than_fit_one_chunk():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(1300, 4)).astype(np.float32)
    classes = (x[:, 0] + rng.logistic(size=1300) > 0).astype(int)
    ours = solve(x, one_hot(classes, 2), [problem(x, 1.0)], task="multiclass", **TIGHT)[0]
    scaled = (x - x.mean(0)) / x.std(0)
    # two columns of weights share the difference, so the same penalty weighs half as much on it
    theirs = LogisticRegression(C=2.0, tol=1e-8, max_iter=5000).fit(scaled, classes)
    np.testing.assert_allclose(answers(ours, x), theirs.predict_proba(scaled), atol=1e-3)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_rows_of_weight_zero_have_no_influence(x: np.ndarray, classes: np.ndarray, task: str):
    keep = np.arange(N) % 3 != 0
    y = one_hot(classes, K)
    given = problem(x, 0.1, keep)
    first = solve(x, y, [given], task=task, **TIGHT)[0]
    x2, y2 = x.copy(), y.copy()
    x2[~keep] *= -7
    y2[~keep] = np.roll(y2[~keep], 1, axis=1)
    second = solve(x2, y2, [given], task=task, **TIGHT)[0]
    np.testing.assert_array_equal(first.weight, second.weight)
    without = solve(
        x[keep],
        y[keep],
        [Problem(weights=np.ones(int(keep.sum()), np.float32), c=0.1, mean=given.mean, scale=given.scale)],
        task=task,
        **TIGHT,
    )[0]
    np.testing.assert_allclose(answers(first, x, task), answers(without, x, task), atol=1e-3)


def test_an_infinite_scale_leaves_a_feature_out(x: np.ndarray, classes: np.ndarray):
    scale = x.std(0)
    scale[[1, 5]] = np.inf
    s = solve(x, one_hot(classes, K), [problem(x, 0.1, scale=scale)], task="multiclass", **TIGHT)[0]
    assert (s.weight[[1, 5]] == 0).all()
    rest = np.delete(x, [1, 5], axis=1)
    fewer = solve(rest, one_hot(classes, K), [problem(rest, 0.1)], task="multiclass", **TIGHT)[0]
    np.testing.assert_allclose(answers(s, x), answers(fewer, rest), atol=1e-3)


def test_all_features_left_out_gives_the_shares(x: np.ndarray, classes: np.ndarray):
    s = solve(x, one_hot(classes, K), [problem(x, scale=np.full(D, np.inf, np.float32))], task="multiclass", **TIGHT)[0]
    assert (s.weight == 0).all()
    np.testing.assert_allclose(answers(s, x)[0], np.bincount(classes) / N, atol=1e-3)


def test_missing_labels_carry_no_loss(x: np.ndarray, classes: np.ndarray):
    y = one_hot(classes, K)
    missing = np.random.default_rng(6).random((N, K)) < 0.3
    y[missing] = np.nan
    p = answers(solve(x, y, [problem(x, 0.1)], task="multilabel", **TIGHT)[0], x, "multilabel")
    scaled = (x - x.mean(0)) / x.std(0)
    for k in range(K):
        known = ~missing[:, k]
        theirs = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000).fit(scaled[known], y[known, k])
        # the strength of the penalty is of the sum of losses, so each label has its own by its known rows
        np.testing.assert_allclose(p[:, k], theirs.predict_proba(scaled)[:, 1], atol=1e-3)


def test_unlabelled_rows_carry_no_loss(x: np.ndarray, classes: np.ndarray):
    y = one_hot(classes, K)
    known = np.arange(N) % 4 != 0
    y[~known] = np.nan
    some = solve(x, y, [problem(x, 0.1)], task="multiclass", **TIGHT)[0]
    weighted = solve(x, one_hot(classes, K), [problem(x, 0.1, known)], task="multiclass", **TIGHT)[0]
    np.testing.assert_allclose(answers(some, x), answers(weighted, x), atol=1e-4)


def test_is_deterministic_and_leaves_its_input_alone(x: np.ndarray, classes: np.ndarray):
    y, problems = one_hot(classes, K), [problem(x, c) for c in (0.01, 1.0)]
    before = x.copy()
    first, second = (solve(x, y, problems, task="multiclass") for _ in range(2))
    np.testing.assert_array_equal(x, before)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
        np.testing.assert_array_equal(a.bias, b.bias)
        assert a.iterations == b.iterations


def test_says_whether_it_converged(x: np.ndarray, classes: np.ndarray):
    y = one_hot(classes, K)
    assert not solve(x, y, [problem(x, 10.0)], task="multiclass", iterations=2)[0].converged
    done = solve(x, y, [problem(x, 0.01)], task="multiclass")[0]
    assert done.converged
    assert 0 < done.iterations < 150


def test_no_problems_and_no_rows_of_weight(x: np.ndarray, classes: np.ndarray):
    assert solve(x, one_hot(classes, K), [], task="multiclass") == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s = solve(x, one_hot(classes, K), [problem(x, 1.0, np.zeros(N))], task="multiclass")[0]
    assert np.isfinite(s.weight).all()
    assert np.isfinite(s.bias).all()


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(4, 40),
    d=st.integers(1, 8),
    k=st.integers(2, 4),
    c=st.floats(1e-4, 1e2),
    task=st.sampled_from(["multiclass", "multilabel"]),
)
def test_the_gradient_vanishes_at_the_solution(seed: int, n: int, d: int, k: int, c: float, task: str):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    y = one_hot(rng.integers(0, k, n), k)
    given_problem = Problem(weights=np.ones(n, np.float32), c=c, mean=np.zeros(d), scale=np.ones(d))
    s = solve(x, y, [given_problem], task=task, **TIGHT)[0]
    loss = _objective(x, y, c, task)
    best = loss(s.weight, s.bias)
    for _ in range(5):  # no neighbour is better
        step = rng.normal(size=(d + 1, k)) * 1e-2
        assert best <= loss(s.weight + step[:d], s.bias + step[d]) + 1e-4 * (1 + abs(best))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_weights_are_added_to_an_offset(task: str):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(80, 4)).astype(np.float32), one_hot(rng.integers(0, K, 80), K)
    offset = rng.normal(0, 2, (80, K)).astype(np.float32)
    flat = Problem(weights=np.ones(80, np.float32), c=0.5, mean=np.zeros(4), scale=np.ones(4))
    s = solve(x, y, [flat], task=task, offset=offset, **TIGHT)[0]
    assert not s.bias.any(), "a row of zeros is answered by its offset alone"
    loss = _objective(x, y, 0.5, task)
    best = loss(s.weight, offset)
    assert best < loss(np.zeros((4, K)), offset) - 0.1
    for _ in range(20):
        assert best <= loss(s.weight + rng.normal(size=(4, K)) * 1e-2, offset) + 1e-4 * best


def test_an_offset_that_says_it_all_leaves_nothing_to_learn():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2000, 3)).astype(np.float32), one_hot(rng.integers(0, K, 2000), K)
    flat = Problem(weights=np.ones(2000, np.float32), c=1.0, mean=np.zeros(3), scale=np.ones(3))
    s = solve(x, y, [flat], task="multiclass", offset=np.zeros((2000, K), np.float32), **TIGHT)[0]
    assert np.abs(s.weight).max() < 0.1


def _objective(x: np.ndarray, y: np.ndarray, c: float, task: str) -> Callable[[np.ndarray, np.ndarray], float]:
    def value(w: np.ndarray, b: np.ndarray) -> float:
        z = x.astype(float) @ w + b
        if task == "multiclass":
            losses = np.log(np.exp(z - z.max(1, keepdims=True)).sum(1)) + z.max(1) - (z * y).sum(1)
        else:
            losses = np.logaddexp(0, z) - z * y
        return float(losses.sum() + (w**2).sum() / 2 / c)

    return value


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 20))
def test_means_and_scales_are_of_the_rows_asked_for(seed: int, n: int, chunk: int):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, 5)) * 3 + 10).astype(np.float32)
    mask = rng.random(n) < 0.6
    mask[0] = True
    mean, scale = mean_and_scale(x, mask, chunk)
    np.testing.assert_allclose(mean, x[mask].mean(0), rtol=1e-5)
    deviation = x[mask].astype(float).std(0)
    np.testing.assert_allclose(scale[deviation > 1e-3], deviation[deviation > 1e-3], rtol=1e-3)
