"""The network without pretraining, and what few images teach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import tunable
from medloupe.data.scan import scan_dataset
from medloupe.data.split import plan_split
from medloupe.embed.features import embed
from medloupe.errors import FinetuneError
from medloupe.graphs.module import build_trainable_module, import_torch, randomise_weights, weights_of
from medloupe.report.training import few_images, finetuning
from medloupe.training.options import Options
from medloupe.training.scratch.few import SIZES, feasible_sizes, linear_scores, mean_auc, nested_subsets
from medloupe.training.scratch.plan import few_images_recipe, plan_trainings
from medloupe.training.scratch.run import RANDOM, compare_with_scratch
from medloupe.training.tune.recipe import DEFAULTS
from synthetic import one_hot


def nothing(stage: str, done: int, total: int) -> None:
    pass


@pytest.mark.slow
def test_both_networks_are_followed_on_the_same_split_and_with_few_images(home: Path, tmp_path: Path) -> None:
    network = tunable.backbone(tmp_path)
    features = embed(scan_dataset(tunable.data(120)), network)
    judged = plan_split(features.data, np.arange(120) // 2)
    said: list[tuple[str, int, int]] = []

    def say(stage: str, done: int, total: int) -> None:
        said.append((stage, done, total))

    found = compare_with_scratch(features, judged, network, Options(scratch=True, minutes=2), say)
    pretrained, nothing_known = found["histories"]
    assert nothing_known["name"] == RANDOM
    assert "pretrained" in pretrained["name"]
    for history in (pretrained, nothing_known):
        assert [e["epoch"] for e in history["epochs"]] == list(range(1, 13))
        assert all({"train_loss", "val_loss", "train_accuracy", "val_accuracy"} <= e.keys() for e in history["epochs"])
    losses = [e["train_loss"] for e in nothing_known["epochs"]]
    assert min(losses[-3:]) < losses[0]
    with_head, from_nothing = found["few_images"]["curves"]
    assert [p["n"] for p in with_head["points"]] == [p["n"] for p in from_nothing["points"]] == [10, 30]
    for point in (*with_head["points"], *from_nothing["points"]):
        assert 0 <= point["auc"]["low"] <= point["auc"]["value"] <= point["auc"]["high"] <= 1
    assert "100 or 300 a class" in found["few_images"]["words"]
    assert few_images(found["few_images"]) is not None
    drawn = finetuning({"history": found["histories"]})
    assert drawn is not None and len(drawn["histories"]) == 2
    steps = [done for stage, done, _ in said if stage == "scratch"]
    assert steps == sorted(steps)
    assert steps[-1] == said[-1][2]
    left = [p.name for p in (home / "cache" / "scratch").rglob("*") if p.is_file()]
    assert set(left) <= {"result.json", "outline.json", "lock"}  # nothing large stays behind
    assert compare_with_scratch(features, judged, network, Options(scratch=True, minutes=2), say) == found


def test_random_weights_have_their_normalisation_back_and_learn(tmp_path: Path) -> None:
    torch = import_torch()
    module = build_trainable_module(tunable.graph(), "image", ["sum", "pooled"])
    before = weights_of(module)
    randomise_weights(module, 3)
    assert sum(name.endswith("_scale") for name in weights_of(module)) == 4  # one for each convolution
    assert not np.allclose(before["widen_w"], weights_of(module)["widen_w"])
    y = torch.tensor(np.arange(64) % 2)
    x = torch.tensor(np.stack([tunable.picture(i, bool(i % 2)) for i in range(64)]))
    head = torch.nn.Linear(tunable.D, 2)
    optimiser = torch.optim.AdamW([*module.parameters(), *head.parameters()], lr=1e-2)
    losses = []
    module.train()
    for _ in range(60):
        pooled = torch.cat([level.mean((2, 3)) for level in module(x)], 1)
        loss = torch.nn.functional.cross_entropy(head(pooled), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    module.eval()  # by the running statistics
    with torch.no_grad():
        alone = [torch.cat([level.mean((2, 3)) for level in module(x[i : i + 1])], 1) for i in range(64)]
        together = torch.cat([level.mean((2, 3)) for level in module(x)], 1)
    np.testing.assert_allclose(torch.cat(alone), together, atol=1e-4)
    right = (head(together).argmax(1) == y).float().mean()
    assert right > 0.9
    randomise_weights(other := build_trainable_module(tunable.graph(), "image", ["sum", "pooled"]), 3)
    randomise_weights(same := build_trainable_module(tunable.graph(), "image", ["sum", "pooled"]), 3)
    for name, value in weights_of(other).items():
        np.testing.assert_array_equal(value, weights_of(same)[name])


def test_subsets_are_nested_even_and_of_many_patients() -> None:
    y = one_hot(np.repeat([0, 1, 2], [400, 120, 20]), 3)
    groups = np.arange(540) // 4
    rows = np.arange(0, 540)
    subsets = nested_subsets(rows, y, groups, (10, 30, 100), "multiclass", 5)
    assert set(subsets[10]) < set(subsets[30]) < set(subsets[100])
    assert y[subsets[10]].sum(0).tolist() == [10, 10, 10]
    assert y[subsets[30]].sum(0).tolist() == [30, 30, 20]  # that is all there is
    assert len(np.unique(groups[subsets[10]][y[subsets[10], 0] == 1])) == 10  # not ten pictures of few patients
    other = nested_subsets(rows, y, groups, (10,), "multiclass", 6)[10]
    assert set(other) != set(subsets[10])
    assert feasible_sizes(rows, y) == (10, 30, 100)
    assert feasible_sizes(rows[:410], y) == (10,)
    many = np.array([[1, 0], [1, 1], [0, 0], [np.nan, 1], [0, 0]] * 10, np.float32)
    few_of_each = nested_subsets(np.arange(50), many, np.arange(50), (3,), "multilabel", 0)[3]
    healthy = (np.nan_to_num(many[few_of_each]) == 0).all(1)
    assert healthy.sum() == 3
    assert (many[few_of_each] == 1).sum(0).min() >= 3


def test_heads_on_few_images_and_the_interval_of_their_mean() -> None:
    rng = np.random.default_rng(0)
    y = one_hot(rng.integers(0, 2, 300), 2)
    x = (rng.normal(size=(300, 6)) + 1.5 * y[:, 1:]).astype(np.float32)
    groups = np.arange(300)
    asked = np.arange(100, 300)
    scores = [
        linear_scores(x[p], y[p], groups[p], x[asked], "multiclass", (6,), 0)
        for p in (np.arange(30), np.arange(30, 60))
    ]
    both = mean_auc(scores, y[asked], groups[asked], 0)
    each = [mean_auc([z], y[asked], groups[asked], 0)["value"] for z in scores]
    assert both["value"] == pytest.approx(np.mean(each))
    assert 0.9 < both["low"] < both["value"] < both["high"] < 1
    certain = mean_auc([10 * y[asked]], y[asked], groups[asked], 0)
    assert certain["value"] == 1
    assert certain["low"] < 1  # no bootstrap would see that
    # two groups in one class cannot be cross-validated; a head is fitted all the same
    lone = np.array([0, 0, 0, 1, 1, 1])
    where = np.concatenate([np.flatnonzero(y[:, 0])[:3], np.flatnonzero(y[:, 1])[:3]])
    assert (
        mean_auc(
            [linear_scores(x[where], y[where], lone, x[asked], "multiclass", (6,), 0)], y[asked], groups[asked], 0
        )["value"]
        > 0.5
    )


def test_the_outline_fills_the_time_and_gives_up_the_least_important_first() -> None:
    sizes = {10: 20, 30: 60, 100: 200, 300: 600}
    sides = {224: 0.06, 128: 0.02}

    def at(seconds: float):
        return plan_trainings(sides, 0.02, sizes, 800, 400, seconds)

    plenty = at(10_000)
    assert (plenty.side, plenty.epochs, plenty.rows, plenty.share) == (224, 12, 800, 1.0)
    assert plenty.sizes == (10, 30, 100, 300)
    usual = at(900)
    assert usual.side == 128
    assert usual.sizes == (10, 30, 100, 300)
    little = at(120)
    assert little.side == 128
    assert little.sizes and 300 not in little.sizes
    assert little.epochs == 5
    assert little.rows < 800
    least = at(1)
    assert least.rows == 100
    assert least.sizes == ()
    for outline in (plenty, usual, little):
        few_seconds = sides[outline.side] * sum(
            few_images_recipe(sizes[n], outline.share).epochs * max(sizes[n], few_images_recipe(sizes[n], 1).batch)
            for n in outline.sizes
        )
        assert few_seconds <= {plenty: 10_000, usual: 900, little: 120}[outline] / 2


def test_a_network_that_knows_nothing_looks_more_often_at_less() -> None:
    recipes = [few_images_recipe(2 * n, 1.0) for n in SIZES]
    assert [r.epochs for r in recipes] == sorted((r.epochs for r in recipes), reverse=True)
    assert all(r.patience == r.epochs for r in recipes)  # nothing kept aside may stop it
    assert few_images_recipe(200, 0.5).epochs < few_images_recipe(200, 1.0).epochs
    assert replace(recipes[0], batch=0, epochs=0, patience=0) == replace(
        DEFAULTS["scratch"], batch=0, epochs=0, patience=0
    )


def test_too_few_patients_are_refused(home: Path, tmp_path: Path) -> None:
    network = tunable.backbone(tmp_path)
    features = embed(scan_dataset(tunable.data(8)), network)
    with pytest.raises(FinetuneError, match="too few patients"):
        compare_with_scratch(
            features, plan_split(features.data, np.zeros(8, int)), network, Options(scratch=True), nothing
        )
