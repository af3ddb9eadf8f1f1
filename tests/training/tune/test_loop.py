"""The training loop: it learns, stops in time, goes on after a kill, and leaves alone what it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunable
from medloupe.graphs.module import weights_of
from medloupe.training.tune.loader import ActivationSource, PixelSource
from medloupe.training.tune.loop import Examples, Trained, train
from medloupe.training.tune.network import embed_rows, extract_trainable
from medloupe.training.tune.objective import mix_targets
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import Symmetry
from tuningwork import activation_source

torch = pytest.importorskip("torch")
N = 48
SICK = np.arange(N) % 2 == 1
CLASSES = np.column_stack([~SICK, SICK]).astype(np.float32)
ROWS, CHECKED = np.arange(32), np.arange(32, N)
NOBODY = np.empty(0, np.int64)
QUICK = Recipe(epochs=4, rate=3e-3, head_rate=3e-2, batch=8, mixup=0.0, views=1, patience=99)


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """One thread, so that sums are added in the same order each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ActivationSource:
    return activation_source(tmp_path_factory.mktemp("backbone"), SICK)


def tail() -> Any:
    return extract_trainable(tunable.graph(), Recipe())


def trained(source: ActivationSource, recipe: Recipe = QUICK, **other: Any) -> Trained:
    args: dict[str, Any] = {"targets": CLASSES, "rows": ROWS, "checked": CHECKED, "task": "multiclass", "seed": 0}
    args |= other
    module = args.pop("module", None) or tail()
    learned = {name: args.pop(name) for name in ("targets", "rows", "checked", "task")}
    return train(module, Examples(source=source, **learned), recipe, **args)


def same(one: Trained, other: Trained) -> bool:
    heads = zip(one.head, other.head, strict=True)
    return all(np.array_equal(v, other.weights[k]) for k, v in one.weights.items()) and all(
        np.array_equal(a, b) for a, b in heads
    )


def logits(done: Trained, source: ActivationSource, rows: np.ndarray) -> np.ndarray:
    """What the result answers, from its arrays alone."""
    module = tail()
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(torch.from_numpy(done.weights[name.removeprefix("weights.")]))
    weight, bias = done.head
    return embed_rows(module, source, rows) @ weight.T + bias


def cross_entropy(z: np.ndarray, y: np.ndarray) -> float:
    z = z.astype(np.float64) - z.max(1, keepdims=True)
    return float(-((z - np.log(np.exp(z).sum(1, keepdims=True))) * y).sum(1).mean())


# ------------------------------------------------------------ learning


def test_the_loss_falls_and_the_weights_move(source: ActivationSource) -> None:
    done = trained(source, replace(QUICK, epochs=10))
    losses = [e["train_loss"] for e in done.history]
    assert losses[-1] < 0.6 * losses[0]
    assert done.history[-1]["val_loss"] < 0.8 * done.history[0]["val_loss"]
    assert done.history[-1]["val_accuracy"] > 0.8
    assert [e["epoch"] for e in done.history] == list(range(1, 11))
    assert done.images == 10 * 32
    assert done.seconds > 0
    before = weights_of(tail())
    assert before.keys() == done.weights.keys()
    assert all(not np.array_equal(before[k], v) for k, v in done.weights.items())


def test_the_head_is_for_embeddings_as_they_are(source: ActivationSource) -> None:
    done = trained(source)
    assert done.head[0].shape == (2, tunable.UPPER)
    accuracy = (logits(done, source, CHECKED).argmax(1) == CLASSES[CHECKED].argmax(1)).mean()
    assert accuracy == pytest.approx(done.history[done.stopped - 1]["val_accuracy"])


def test_the_same_seed_gives_the_same_weights_and_another_others(source: ActivationSource) -> None:
    assert same(trained(source), trained(source))
    assert not same(trained(source), trained(source, seed=1))


def test_the_whole_network_from_pixels() -> None:
    images = np.stack([tunable.picture(i, bool(s)) for i, s in enumerate(SICK)])
    module = extract_trainable(tunable.graph(), Recipe(kind="full"))
    start = weights_of(module)
    pixels = PixelSource(
        images, np.random.default_rng(0).normal(0, 1, (N, 6)).astype(np.float32), Symmetry(mirror=True, turn=True)
    )
    examples = Examples(source=pixels, targets=CLASSES, rows=ROWS, checked=CHECKED, task="multiclass")
    done = train(module, examples, replace(QUICK, kind="full"), seed=0)
    assert "stem_w" in done.weights
    assert all(not np.array_equal(start[k], v) for k, v in done.weights.items())
    assert done.history[-1]["train_loss"] < done.history[0]["train_loss"]


# ------------------------------------------------------------ labels


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_what_is_not_stated_carries_no_loss(mixup: float, source: ActivationSource) -> None:
    """Of the second label nothing is stated, of the third only that it is there."""
    stated = np.column_stack([SICK, np.full(N, np.nan), np.where(SICK, 1.0, np.nan)]).astype(np.float32)
    recipe = replace(QUICK, epochs=6, mixup=mixup, smoothing=0.0)
    done = trained(source, recipe, targets=stated, task="multilabel")
    weight, bias = done.head
    assert (weight[1] == 0).all() and bias[1] == 0
    z = logits(done, source, np.arange(N))
    assert z[:, 2].mean() > 0.5  # everything points up; had the others counted as negative, half would lie below
    counted = trained(source, recipe, targets=np.nan_to_num(stated), task="multilabel")
    assert logits(counted, source, np.flatnonzero(~SICK))[:, 2].mean() < -0.2
    assert z[SICK, 0].mean() > z[~SICK, 0].mean() + 0.5
    alone = trained(source, recipe, targets=stated[:, :1], task="multilabel")
    assert all(np.isfinite(e["val_loss"]) for e in [*done.history, *alone.history])


def test_mixing_takes_nothing_from_what_is_not_stated() -> None:
    soft = torch.tensor([[1.0, 0.0], [0.0, 0.3]])  # 0.3 is not stated, and must not be felt
    known = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    targets, weight = mix_targets(soft, known, 0.75, torch.tensor([1, 0]))
    np.testing.assert_allclose(targets, [[0.75, 0.0], [0.25, 0.0]], atol=1e-6)
    np.testing.assert_allclose(weight, [[1.0, 0.75], [1.0, 0.25]], atol=1e-6)


def test_rows_without_a_class_carry_no_loss(source: ActivationSource) -> None:
    unlabelled = CLASSES.copy()
    unlabelled[::3] = np.nan
    done = trained(source, replace(QUICK, mixup=0.4), targets=unlabelled)
    assert np.isfinite([e["train_loss"] for e in done.history]).all()
    nothing = trained(source, replace(QUICK, epochs=1), targets=np.full_like(CLASSES, np.nan))
    assert (nothing.head[0] == 0).all()


def test_rare_classes_weigh_more(source: ActivationSource) -> None:
    """With full balance a rare class is answered as often as its cases call for; without, hardly ever."""
    rare = np.concatenate([np.flatnonzero(~SICK), np.flatnonzero(SICK)[:4]])
    recipe = replace(QUICK, epochs=8, smoothing=0.0)
    found = {
        balance: trained(source, replace(recipe, balance=balance), rows=rare, checked=NOBODY) for balance in (0.0, 1.0)
    }
    margin = {b: float(np.diff(logits(done, source, np.arange(N)), axis=1).mean()) for b, done in found.items()}
    assert margin[1.0] > margin[0.0] + 0.3


def test_mixup_changes_the_training(source: ActivationSource) -> None:
    plain, mixed = trained(source), trained(source, replace(QUICK, mixup=0.4))
    assert not same(plain, mixed)
    assert mixed.history[-1]["train_loss"] > plain.history[-1]["train_loss"]
    assert same(mixed, trained(source, replace(QUICK, mixup=0.4)))


# ------------------------------------------------------------ stopping


def test_the_best_epoch_is_kept(source: ActivationSource) -> None:
    """Labels of the checked rows turned round: the better it learns, the worse they are answered."""
    y = CLASSES.copy()
    y[CHECKED] = 1 - y[CHECKED]
    recipe = replace(QUICK, epochs=8, balance=0.0)
    done = trained(source, recipe, targets=y)
    losses = [e["val_loss"] for e in done.history]
    best = int(np.argmin(losses))
    assert done.stopped == best + 1 < 8
    assert losses[-1] > losses[best] + 0.05
    assert cross_entropy(logits(done, source, CHECKED), y[CHECKED]) == pytest.approx(losses[best], rel=1e-3)


def test_it_ends_when_nothing_improves(source: ActivationSource) -> None:
    y = CLASSES.copy()
    y[CHECKED] = 1 - y[CHECKED]
    done = trained(source, replace(QUICK, epochs=20, patience=2), targets=y)
    assert len(done.history) == done.stopped + 2 < 20


def test_with_nothing_to_check_it_runs_to_the_end(source: ActivationSource) -> None:
    done = trained(source, replace(QUICK, patience=1), checked=NOBODY)
    assert len(done.history) == done.stopped == QUICK.epochs
    assert "val_loss" not in done.history[0]


@pytest.mark.parametrize("average", [0.5, 0.9])
def test_averaged_weights_lag_behind(average: float, source: ActivationSource) -> None:
    start = weights_of(tail())
    recipe = replace(QUICK, epochs=2)
    last = trained(source, recipe, checked=NOBODY).weights
    mean = trained(source, replace(recipe, average=average), checked=NOBODY).weights
    moved = {k: np.abs(v - start[k]).sum() for k, v in last.items()}
    assert all(np.abs(mean[k] - start[k]).sum() > 0 for k in last)
    assert sum(np.abs(mean[k] - start[k]).sum() for k in last) < sum(moved.values())


# ------------------------------------------------------------ schedule and rates


@pytest.mark.parametrize("epochs", range(1, 7))
@pytest.mark.parametrize("warm", [0.0, 0.2, 0.25, 0.5])
def test_any_number_of_steps_has_a_schedule(epochs: int, warm: float, source: ActivationSource) -> None:
    recipe = replace(QUICK, epochs=epochs, warm=warm, batch=64)  # one step an epoch
    done = trained(source, recipe, checked=NOBODY)
    rates = [e["lr"] for e in done.history]
    assert len(rates) == epochs
    assert rates[-1] <= max(rates) <= recipe.rate * 1.001
    assert all(np.isfinite(v).all() for v in done.weights.values())


@pytest.mark.parametrize(
    ("depth", "moving"), [(1.0, {"widen", "filter", "narrow"}), (0.5, {"filter", "narrow"}), (0.01, {"narrow"})]
)
def test_layers_below_the_depth_stay_as_they_were(depth: float, moving: set[str], source: ActivationSource) -> None:
    start = weights_of(tail())
    done = trained(source, replace(QUICK, depth=depth, average=0.3))
    for name, value in done.weights.items():
        assert np.array_equal(value, start[name]) != (name.rsplit("_", 1)[0] in moving), name


def test_lower_stages_move_less(source: ActivationSource) -> None:
    """Three layers are about a block, so the whole network is needed to have two."""
    images = np.stack([tunable.picture(i, bool(s)) for i, s in enumerate(SICK)])
    pixels = PixelSource(images, np.ones((N, 6), np.float32) * np.arange(N)[:, None], Symmetry(mirror=True, turn=True))
    recipe = replace(QUICK, kind="full", epochs=1)

    def stem(decay: float) -> float:
        module = extract_trainable(tunable.graph(), recipe)
        start = weights_of(module)["stem_w"]
        examples = Examples(source=pixels, targets=CLASSES, rows=ROWS, checked=NOBODY, task="multiclass")
        done = train(module, examples, replace(recipe, decay=decay), seed=0)
        return float(np.abs(done.weights["stem_w"] - start).sum())

    assert 0 < stem(0.1) < 0.3 * stem(1.0)


# ------------------------------------------------------------ kills


class KilledError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 3])
def test_a_training_that_was_broken_off_ends_as_if_it_had_not(
    after: int, source: ActivationSource, tmp_path: Path
) -> None:
    recipe = replace(QUICK, epochs=5, mixup=0.3, average=0.5)
    whole = trained(source, recipe)
    checkpoint = tmp_path / "checkpoint.pt"

    def kill(done: int, total: int) -> None:
        if done > after * len(ROWS) + 8:  # in the middle of an epoch
            raise KilledError

    with pytest.raises(KilledError):
        trained(source, recipe, checkpoint=checkpoint, progress=kill)
    said: list[int] = []
    again = trained(source, recipe, checkpoint=checkpoint, progress=lambda done, total: said.append(done))
    assert min(said) > after * len(ROWS)  # what was done was not done again
    assert same(whole, again)
    for name in ("train_loss", "val_loss", "lr"):
        assert [e[name] for e in again.history] == [e[name] for e in whole.history]
    assert same(whole, trained(source, recipe, checkpoint=checkpoint))  # done: nothing left to do
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("harm", ["torn", "foreign", "other shapes"])
def test_a_checkpoint_that_cannot_be_read_costs_only_time(harm: str, source: ActivationSource, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    trained(source, checkpoint=checkpoint)
    content = checkpoint.read_bytes()
    if harm == "other shapes":
        torch.save({"learned": [torch.zeros(1)] * 8, "averaged": [], "best": []}, checkpoint)
    else:
        checkpoint.write_bytes(content[: len(content) // 2] if harm == "torn" else b"not a checkpoint")
    assert same(trained(source), trained(source, checkpoint=checkpoint))


def test_progress_reaches_the_end(source: ActivationSource) -> None:
    said: list[tuple[int, int]] = []
    trained(source, progress=lambda *at: said.append(at))
    assert said == [(8 * (i + 1), 4 * 32) for i in range(16)]


# ------------------------------------------------------------ afterwards
