"""No picture is judged by a network or a head that saw its group; tuning wins only by more than noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medloupe.training.heads.ranking import macro_auc, ranking_scores
from medloupe.training.tune.heads import fit_tuned
from medloupe.training.tune.jobfolder import FinishedJob
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.run import TunedNetworks
from medloupe.training.tune.views import Symmetry

N, U, LOWER, K = 240, 6, 4, 2
GROUPS = np.arange(N) // 2  # two pictures a patient
Y = np.eye(K, dtype=np.float32)[np.random.default_rng(5).integers(0, K, N // 2).repeat(2)]
FOLD = (GROUPS % 3).astype(np.int64)
LEVELS = (U, LOWER)


def done(embeddings: dict[float, np.ndarray]) -> FinishedJob:
    return FinishedJob(
        name="x",
        embeddings={s: e.astype(np.float32) for s, e in embeddings.items()},
        weights={},
        head=(np.zeros((K, U)), np.zeros(K)),
        history=[],
        seconds=1.0,
        images=1,
        stopped=1,
    )


def noise(seed: int, width: int = U) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (N, width))


def telling(seed: int, strength: float, where: np.ndarray | None = None) -> np.ndarray:
    """Noise, of which the first number tells the class in the rows `where`."""
    x = noise(seed)
    rows = np.ones(N, bool) if where is None else where
    x[rows, 0] += strength * (2 * Y[rows, 1] - 1)
    return x


def tuned(of_fold: Any, final: Any, base: np.ndarray | None = None, fitting: np.ndarray | None = None) -> TunedNetworks:
    rows = np.arange(N) if fitting is None else fitting
    return TunedNetworks(
        kind="tail",
        fitting=rows,
        fold=FOLD[rows],
        of_fold=tuple(done(of_fold(f)) for f in range(3)),
        final=done(final),
        base=(noise(99, U + LOWER) if base is None else base).astype(np.float32),
        width=U,
        recipe=Recipe(),
        symmetry=Symmetry(mirror=False, turn=False),
        start=None,
        words="",
        seconds=1.0,
    )


def fitted(
    given: TunedNetworks,
    may_stay: bool = False,
    targets: np.ndarray = Y,
    task: str = "multiclass",
    levels: tuple[int, ...] = LEVELS,
) -> Any:
    everything = np.arange(N)
    return fit_tuned(given, targets, GROUPS, everything, task=task, levels=levels, seed=0, may_stay=may_stay)


def auc(found: Any, rows: np.ndarray | None = None) -> float:
    p = found.fitted.out_of_fold[0]
    y = Y if rows is None else Y[rows]
    return macro_auc(ranking_scores(np.log(np.maximum(p, 1e-9)), "multiclass"), y)


def test_the_linear_head_may_leave_levels_out_too() -> None:
    """What tuning is held against is the linear head as it would be trained without tuning."""
    base = np.concatenate([40 * noise(7), noise(2, LOWER)], 1)
    base[:, U] += 0.7 * (2 * Y[:, 1] - 1)
    untuned, _ = fitted(tuned(lambda f: {1.0: noise(f)}, {1.0: noise(3)}, base=base)).candidates
    assert untuned.levels == (1,)


def test_networks_that_know_their_training_pictures_by_heart_stay_at_chance() -> None:
    """Each fold's network tells the classes of the others' rows perfectly, and of its own rows nothing."""

    def of_fold(f: int) -> dict[float, np.ndarray]:
        return {0.5: telling(f, 5, f != FOLD), 1.0: telling(10 + f, 50, f != FOLD)}

    base = np.concatenate([telling(1, 0.4), noise(2, LOWER)], 1)  # the untuned network does know a little
    given = tuned(of_fold, {0.5: telling(3, 5), 1.0: telling(4, 50)}, base=base)
    found = fitted(given)
    assert 0.4 < auc(found) < 0.6
    untuned, *others = found.candidates
    assert untuned.auc["value"] > 0.6
    assert all(0.35 < c.auc["value"] < 0.6 for c in others)
    assert not found.worthwhile
    assert fitted(given, may_stay=True).alpha == 0


def test_a_network_of_another_fold_is_never_asked() -> None:
    """The other way round: every network tells its own fold's classes, which no head can learn from its training rows;
    a network asked about another's fold would tell them in the direction that heads do learn."""

    def of_fold(f: int) -> dict[float, np.ndarray]:
        x = telling(f, 5, f != FOLD)
        x[f == FOLD, 0] -= 5 * (2 * Y[f == FOLD, 1] - 1)  # turned round: asked rightly, it is always wrong
        return {1.0: x}

    undivided = (U + LOWER,)  # so that no head does without the tuned numbers
    assert auc(fitted(tuned(of_fold, {1.0: telling(4, 5)}), levels=undivided)) < 0.3


def test_the_alpha_that_judges_best_is_chosen() -> None:
    def of_fold(f: int) -> dict[float, np.ndarray]:
        return {0.5: telling(f, 2), 1.0: telling(10 + f, 0.3)}

    found = fitted(tuned(of_fold, {0.5: telling(3, 2), 1.0: telling(4, 0.3)}))
    assert found.alpha == found.fitted.choice.alpha == 0.5
    assert [c.alpha for c in found.candidates] == [0.0, 0.5, 1.0]
    by_alpha = {c.alpha: c for c in found.candidates}
    assert by_alpha[0.5].auc["value"] > by_alpha[1.0].auc["value"] > 0.5
    assert by_alpha[0.0].difference is None
    gained = by_alpha[0.5].difference
    assert gained is not None
    assert gained["value"] == pytest.approx(by_alpha[0.5].auc["value"] - by_alpha[0.0].auc["value"], abs=1e-6)
    assert gained["low"] < gained["value"] < gained["high"]
    assert found.worthwhile
    assert auc(found) == pytest.approx(by_alpha[0.5].auc["value"], abs=0.02)


def test_the_shipped_head_is_for_the_final_network() -> None:
    final = telling(4, 3)

    def of_fold(f: int) -> dict[float, np.ndarray]:
        return {1.0: telling(10 + f, 3)}

    given = tuned(of_fold, {1.0: final})
    found = fitted(given)
    x = given.embeddings(None, 1.0)
    assert x.shape == (N, U + LOWER)
    np.testing.assert_array_equal(x[:, :U], final.astype(np.float32))
    np.testing.assert_array_equal(x[:, U:], given.base[:, U:])
    p = found.fitted.head.probabilities(x)
    assert macro_auc(np.log(p), Y) > 0.98
    assert ((p > 0) & (p < 1)).all()


@pytest.mark.parametrize(("strength", "stays"), [(0.0, True), (0.05, True), (3.0, False)])
def test_only_more_than_noise_is_worthwhile(strength: float, stays: bool) -> None:
    """Tuned embeddings are the untuned ones and `strength` of the truth."""
    base = np.concatenate([telling(1, 0.7), noise(2, LOWER)], 1)

    def seen(seed: int) -> dict[float, np.ndarray]:
        return {1.0: base[:, :U] + strength * (2 * Y[:, 1:] - 1) + 0.3 * noise(seed)}

    given = tuned(lambda f: seen(20 + f), seen(30), base=base)
    free, kept = fitted(given, may_stay=True), fitted(given)
    assert free.worthwhile == kept.worthwhile == (not stays)
    assert free.alpha == (0.0 if stays else 1.0)
    assert kept.alpha == 1.0  # asked for by name, it is taken
    if stays:
        assert macro_auc(np.log(free.fitted.head.probabilities(given.base)), Y) > 0.7


def test_the_test_split_takes_no_part_in_what_judges_it() -> None:
    """Rows outside `fitting` are in the shipped head only."""
    fitting = np.flatnonzero(GROUPS < 80)
    strange = telling(4, 3)
    strange[GROUPS >= 80, 1] += 100 * Y[GROUPS >= 80, 1]  # a number that tells the classes of the test rows alone

    def of_fold(f: int) -> dict[float, np.ndarray]:
        return {1.0: strange}

    found = fitted(tuned(of_fold, {1.0: strange}, fitting=fitting))
    assert found.fitted.out_of_fold.shape == (1, len(fitting), K)
    apart = np.abs(found.on_fitting.weight[1]).max()
    assert apart < 0.2 * np.abs(found.on_fitting.weight[0]).max()
    assert auc(found, fitting) > 0.9


def test_labels_that_are_not_stated() -> None:
    targets = np.column_stack([Y[:, 1], np.where(np.arange(N) % 3 == 0, np.nan, Y[:, 1])]).astype(np.float32)

    def of_fold(f: int) -> dict[float, np.ndarray]:
        return {1.0: telling(10 + f, 3)}

    found = fitted(tuned(of_fold, {1.0: telling(4, 3)}), targets=targets, task="multilabel")
    p = found.fitted.out_of_fold[0]
    assert p.shape == (N, 2)
    assert macro_auc(np.log(p / (1 - p)), targets) > 0.95
    assert found.worthwhile
