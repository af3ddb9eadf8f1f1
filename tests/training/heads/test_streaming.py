"""What is fitted from a file in passes is what is fitted in memory, and a bootstrap rides along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medloupe.model.head import probabilities
from medloupe.training.heads import streaming
from medloupe.training.heads.fit import Fitter, HeadChoice, fit
from medloupe.training.heads.solver import Problem, mean_and_scale, solve
from medloupe.training.heads.streaming import (
    PoissonWeights,
    measure_scales,
    predict_streamed,
    sample_rows,
    solve_problems,
    solve_with_bootstrap,
)
from medloupe.utils import rowfile
from medloupe.utils.rowfile import RowFile, stream_large
from synthetic import one_hot

N, D, K = 3000, 24, 3
TIGHT = {"tolerance": 1e-6, "iterations": 3000}


@pytest.fixture
def x() -> np.ndarray:
    """float32 (N, D) that float16 holds exactly, of very different means and scales."""
    rng = np.random.default_rng(1)
    made = rng.normal(size=(N, D)) * rng.uniform(0.05, 5, D) + rng.normal(size=D) * 3
    return made.astype(np.float16).astype(np.float32)


@pytest.fixture
def y(x: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(2)
    scaled = (x - x.mean(0)) / x.std(0)
    return one_hot((scaled @ rng.normal(size=(D, K)) + rng.gumbel(size=(N, K)) * 3).argmax(1), K)


@pytest.fixture(params=["float16", "float32"])
def file(x: np.ndarray, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RowFile:
    """The same in a file, read in several blocks, none of which ends where a part of the solver does."""
    monkeypatch.setattr(rowfile, "BLOCK_BYTES", 700 * D * 2)
    monkeypatch.setattr(streaming, "SAMPLE", 600)
    path = tmp_path / "features"
    path.write_bytes(b"head" * 4 + x.astype(request.param).tobytes())
    return RowFile(path, D, np.dtype(request.param), offset=16)


def problems(x: np.ndarray) -> list[Problem]:
    rng = np.random.default_rng(3)
    masks = [np.ones(N, bool), rng.random(N) < 0.8]
    scales = [mean_and_scale(x, mask) for mask in masks]
    each = zip(masks, scales, strict=True)
    return [Problem(weights=m.astype(np.float32), c=c, mean=a, scale=s) for m, (a, s) in each for c in (1e-3, 0.1)]


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_same_optimum_as_in_memory(file: RowFile, x: np.ndarray, y: np.ndarray, task: str) -> None:
    if task == "multilabel":
        y = np.where(np.random.default_rng(4).random(y.shape) < 0.1, np.nan, y).astype(np.float32)
    inside = solve(x, y, problems(x), task=task, **TIGHT)
    streamed = solve_problems(file, y, problems(x), task=task, **TIGHT)
    for a, b in zip(inside, streamed, strict=True):
        p, q = (probabilities(x @ s.weight + s.bias, task) for s in (a, b))
        np.testing.assert_allclose(q, p, atol=1e-5)


def test_passes_begin_near_the_end(
    file: RowFile, x: np.ndarray, y: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = [0]
    blocks = RowFile.blocks

    def counted(self: RowFile):
        passes[0] += 1
        return blocks(self)

    monkeypatch.setattr(RowFile, "blocks", counted)
    monkeypatch.setattr(streaming, "SAMPLE", 2000)
    solve(file, y, problems(x), task="multiclass", tolerance=1e-3)
    cold, passes[0] = passes[0], 0
    solve_problems(file, y, problems(x), task="multiclass", tolerance=1e-3)
    assert 0 < passes[0] < cold


def test_scales_of_several_masks_in_one_pass(file: RowFile, x: np.ndarray) -> None:
    x[:, 5] = x[0, 5]
    file.path.write_bytes(b"head" * 4 + x.astype(file.stored).tobytes())
    masks = [np.ones(N, bool), np.arange(N) % 3 > 0]
    for (mean, scale), mask in zip(measure_scales(file, masks), masks, strict=True):
        true_mean, true_scale = mean_and_scale(x, mask)
        np.testing.assert_allclose(mean, true_mean, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(scale, true_scale, rtol=1e-5)
        assert np.isinf(scale[5])


def test_predictions_by_fold(file: RowFile, x: np.ndarray, y: np.ndarray) -> None:
    fold = np.random.default_rng(5).integers(0, 2, N)
    found = solve(x, y, problems(x), task="multiclass")
    z = predict_streamed(file, fold, [found[:2], found[2:]])
    assert z.shape == (2, N, K)
    for i in range(2):
        for f in range(2):
            s = found[2 * f + i]
            np.testing.assert_allclose(z[i, fold == f], x[fold == f] @ s.weight + s.bias, atol=1e-4)


def test_poisson_weights_are_those_of_the_groups_wherever_one_looks() -> None:
    groups = np.random.default_rng(0).integers(0, 40_000, 200_000)
    base = np.full(len(groups), 0.5, np.float32)
    weights = PoissonWeights(base, groups, 3)
    every = weights[0 : len(groups)] * 2
    assert np.array_equal(np.concatenate([weights[0:7], weights[7:100]]) * 2, every[:100])
    _, first = np.unique(groups, return_index=True)
    assert np.array_equal(every, every[first][np.unique(groups, return_inverse=True)[1]])
    counts = np.bincount(every[first].astype(int), minlength=6)[:6] / len(first)
    np.testing.assert_allclose(counts, np.exp(-1) / np.array([1, 1, 2, 6, 24, 120]), atol=0.008)
    other = PoissonWeights(base, groups, 4)[0 : len(groups)] * 2
    assert abs(np.corrcoef(every[first], other[first])[0, 1]) < 0.02


def test_the_bootstrap_in_the_same_passes_is_that_of_each_replicate_alone(
    file: RowFile, x: np.ndarray, y: np.ndarray
) -> None:
    whole, groups = problems(x)[1], np.arange(N) // 3
    one, many = solve_with_bootstrap(file, y, whole, groups, task="multiclass", replicates=20, seed=7, **TIGHT)
    alone = solve(x, y, [whole], task="multiclass", **TIGHT)[0]
    np.testing.assert_allclose(one.weight, alone.weight, atol=1e-4)
    weights = PoissonWeights(np.ones(N, np.float32), groups, 8)[0:N]
    first = Problem(weights=weights, c=whole.c, mean=whole.mean, scale=whole.scale)
    by_hand = solve(x, y, [first], task="multiclass", **TIGHT)[0]
    np.testing.assert_allclose(many[0].weight * whole.scale[:, None], by_hand.weight * whole.scale[:, None], atol=2e-4)
    # The spread over replicates is that of heads fitted on other samples: here the sandwich estimate, by hand.
    scaled = np.stack([m.weight * whole.scale[:, None] for m in many]).std(0)
    assert 0.2 < np.median(scaled) / _sandwich(x, y, groups, whole, alone) < 5


def _sandwich(x: np.ndarray, y: np.ndarray, groups: np.ndarray, problem: Problem, at: object) -> float:
    """Median standard error of scaled weights, from the spread of gradients by group and the Hessian's diagonal."""
    z = (x - problem.mean) / problem.scale
    p = probabilities(x @ at.weight + at.bias, "multiclass")  # pyright: ignore[reportAttributeAccessIssue]
    gradient = np.einsum("nd,nk->ndk", z, p - y)
    of_group = np.add.reduceat(gradient, np.flatnonzero(np.diff(groups, prepend=-1)), axis=0)
    hessian = np.einsum("nd,nk->dk", z * z, p * (1 - p)) + 1 / problem.c
    return float(np.median(np.sqrt((of_group**2).sum(0)) / hessian))


@pytest.mark.parametrize("n", [10, 20_000, 2_000_000, 20_001])
def test_the_sample_is_spread_over_all_rows(n: int) -> None:
    rows = sample_rows(n)
    assert len(rows) <= streaming.SAMPLE
    assert rows[0] == 0 and rows[-1] == n - 1
    assert np.all(np.diff(rows) > 0)


def test_a_search_on_features_too_large_for_memory_comes_to_the_same(
    x: np.ndarray, y: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "embeddings.f32"
    path.write_bytes(x.tobytes())
    mapped = np.asarray(np.memmap(path, np.float32, "r", shape=(N, D)))
    groups = np.arange(N) // 4
    inside = fit(mapped, y, groups, task="multiclass", levels=(8, 16), repeats=1)
    assert isinstance(Fitter(mapped, y, "multiclass", (8, 16)).x, np.ndarray)
    monkeypatch.setattr(rowfile, "memory", lambda: 1000)
    assert isinstance(Fitter(mapped, y, "multiclass", (8, 16)).x, RowFile)
    streamed = fit(mapped, y, groups, task="multiclass", levels=(8, 16), repeats=1)
    assert streamed.choice == inside.choice
    np.testing.assert_allclose(streamed.out_of_fold, inside.out_of_fold, atol=2e-2)
    tight = [(np.ones(N, bool), HeadChoice(c=0.1, levels=(0, 1)))]
    assert Fitter(mapped, y, "multiclass", (8, 16)).solve(tight)[0].converged


def test_what_is_in_memory_or_cut_otherwise_stays_an_array(
    x: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowfile, "memory", lambda: 1000)
    path = tmp_path / "embeddings.f32"
    path.write_bytes(x.tobytes())
    mapped = np.memmap(path, np.float32, "r", shape=(N, D))
    assert stream_large(x) is x
    assert stream_large(mapped[:, 3:]) is not None and not isinstance(stream_large(mapped[:, 3:]), RowFile)
    part = stream_large(np.asarray(mapped)[100:200])
    assert isinstance(part, RowFile)
    np.testing.assert_array_equal(part[:], x[100:200])
