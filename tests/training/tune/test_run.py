"""Fine-tuning as a whole: no fold's network sees its fold, what is judged is what ships, time and kills are minded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunable
from medloupe.data.scan import scan_dataset
from medloupe.data.split import Plan
from medloupe.embed import tail
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, embed
from medloupe.embed.network import Network
from medloupe.errors import FinetuneError
from medloupe.training.tune import run
from medloupe.training.tune.recipe import DEFAULTS, Recipe
from medloupe.training.tune.run import TunedNetworks, build_tuned_graph, default_recipe, tune
from othertails import tuned as moved

pytest.importorskip("torch")
N = 48
QUICK = Recipe(epochs=1, rate=3e-3, head_rate=3e-2, batch=8, views=2)
IMAGES = np.stack([tunable.picture(i, i % 2 == 1) for i in range(N)])
GROUPS = (np.arange(N) // 4 * 2 + np.arange(N) % 2).astype(np.int64)  # two pictures of one class each
PLAN = Plan(groups=GROUPS, fitting=np.arange(40), test=np.arange(40, N), leaking=np.empty(0, np.int64), notes=())


@pytest.fixture
def network(home: Path, tmp_path: Path) -> Backbone:
    return tunable.backbone(tmp_path / "backbone")


@pytest.fixture
def two_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fold is a process that imports PyTorch: two do where the folds are not what is asked about."""
    monkeypatch.setattr(run, "FOLDS", 2)


@pytest.fixture
def features(network: Backbone) -> Features:
    return tunable.features(network, N)


def job_folders(home: Path) -> dict[str, dict[str, np.ndarray]]:
    """What each job was given to read."""
    return {p.parent.name: dict(np.load(p)) for p in (home / "cache" / "tuning").glob("*/*/rows.npz")}


def seen_by(network: Backbone, made: TunedNetworks, share: float, folder: Path) -> np.ndarray:
    """Embeddings by what would ship."""
    written = tail.write_tail(build_tuned_graph(network, made, share), folder)
    if made.kind == "tail":
        return Network(network, written).see(IMAGES).embedding
    return Network(replace(network, path=written.path, sha256=written.sha256)).see(IMAGES).embedding


@pytest.mark.parametrize("kind", ["tail", pytest.param("full", marks=pytest.mark.slow)])
def test_what_is_judged_ships_and_no_network_sees_its_fold(
    kind: Any, features: Features, network: Backbone, home: Path, tmp_path: Path
) -> None:
    said: list[tuple[str, int, int]] = []
    made = tune(features, PLAN, network, replace(QUICK, kind=kind), seed=1, progress=lambda *at: said.append(at))
    assert made.kind == kind
    assert (len(made.of_fold), made.alphas, made.words) == (3, (0.5, 1.0), "")
    assert said[-1][0] == "fine-tuning" and said[-1][1] == said[-1][2]

    jobs = job_folders(home)
    assert jobs.keys() == {"fold-0", "fold-1", "fold-2", "final"}
    for name, given in jobs.items():
        read = np.concatenate([given["rows"], given["checked"]])
        wanted = PLAN.fitting if name == "final" else PLAN.fitting[made.fold != int(name[5:])]
        assert sorted(read.tolist()) == wanted.tolist()
        assert not set(GROUPS[given["rows"]]) & set(GROUPS[given["checked"]])
        if name != "final":
            assert not set(GROUPS[read]) & set(GROUPS[PLAN.fitting[made.fold == int(name[5:])]])

    width = tunable.UPPER if kind == "tail" else tunable.D
    for share in made.alphas:
        ours = made.embeddings(None, share)
        np.testing.assert_allclose(ours, seen_by(network, made, share, tmp_path / "out"), atol=6e-3)
        np.testing.assert_array_equal(ours[:, width:], features.embeddings[:, width:])
        assert np.abs(ours[:, :width] - features.embeddings[:, :width]).max() > 0.005  # by processor
        for f in range(3):
            assert not np.array_equal(made.embeddings(f, share), ours)
    np.testing.assert_array_equal(made.embeddings(None, 0.0), features.embeddings)
    np.testing.assert_array_equal(made.embeddings(2, 0.0), features.embeddings)


@pytest.mark.usefixtures("two_folds")
def test_a_second_run_takes_what_is_there(
    features: Features, network: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tune(features, PLAN, network, QUICK, seed=1)

    def none(*args: Any) -> Any:
        raise AssertionError("a training was started")

    monkeypatch.setattr("medloupe.training.tune.jobs.start_job", none)
    again = tune(features, PLAN, network, QUICK, seed=1)
    np.testing.assert_array_equal(first.embeddings(None, 1.0), again.embeddings(None, 1.0))
    assert again.seconds >= round(sum(d.seconds for d in (*first.of_fold, first.final)) / 4, 1), "what it took then"
    with pytest.raises(AssertionError):
        tune(features, PLAN, network, QUICK, seed=2)


@pytest.mark.slow
def test_what_was_decided_under_the_clock_stays_decided(
    features: Features, network: Backbone, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed must not decide otherwise when it comes back: it would start anew."""
    monkeypatch.setattr(run, "measure_seconds_an_image", lambda *args: 0.1)
    recipe = replace(QUICK, epochs=6)
    first = tune(features, PLAN, network, recipe, seed=0, minutes=0.5)
    assert first.recipe.epochs < 6
    assert f"{first.recipe.epochs} instead of 6 epochs" in first.words
    monkeypatch.setattr(run, "measure_seconds_an_image", lambda *args: 0.0)
    again = tune(features, PLAN, network, recipe, seed=0, minutes=0.5)
    assert (again.recipe, again.words, len(again.of_fold)) == (first.recipe, first.words, len(first.of_fold))
    (decided,) = (home / "cache" / "tuning").glob("*/taken.json")
    assert json.loads(decided.read_text())["recipe"]["epochs"] == first.recipe.epochs


def test_too_few_minutes_are_said_before_any_training(
    features: Features, network: Backbone, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "measure_seconds_an_image", lambda *args: 1.0)
    with pytest.raises(FinetuneError, match=r"takes at least .* minutes on this machine; 0\.1 minutes are") as caught:
        tune(features, PLAN, network, QUICK, seed=0, minutes=0.1)
    assert "--minutes" in caught.value.hint
    assert not job_folders(home)


@pytest.mark.parametrize("kind", ["tail", pytest.param("full", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("two_folds")
def test_it_goes_on_from_a_tail(kind: Any, features: Features, network: Backbone, tmp_path: Path) -> None:
    """Hardly trained, the network is that of the start, not the backbone's."""
    graph = moved(tail.extract_upper_part(tail.load_graph(network)), spread=0.3)
    start = tail.write_tail(graph, tmp_path / "start")
    base = embed(scan_dataset(features.data), network, tail=start).embeddings
    still = replace(QUICK, kind=kind, rate=1e-9, views=1)
    made = tune(features, PLAN, network, still, seed=0, start=start, base=base)
    np.testing.assert_array_equal(made.embeddings(None, 0.0), base)
    np.testing.assert_allclose(made.embeddings(None, 1.0), base, atol=6e-3)
    np.testing.assert_allclose(seen_by(network, made, 1.0, tmp_path / "out"), base, atol=6e-3)
    assert np.abs(base - features.embeddings).max() > 0.1


@pytest.mark.slow
@pytest.mark.usefixtures("two_folds")
def test_a_network_without_a_cut_of_its_own_can_be_tuned_whole(home: Path, tmp_path: Path) -> None:
    from othertails import lower_first

    network = tunable.backbone(tmp_path / "odd", lower_first)
    features = tunable.features(network, N)
    with pytest.raises(FinetuneError, match="no trainable stages"):
        tune(features, PLAN, network, QUICK, seed=0)
    made = tune(features, PLAN, network, replace(QUICK, kind="full"), seed=0)
    assert made.width == tunable.D


def test_too_few_groups_are_said_at_once(features: Features, network: Backbone) -> None:
    alone = replace(PLAN, groups=np.zeros(N, np.int64))
    with pytest.raises(FinetuneError, match="too few patients") as caught:
        tune(features, alone, network, QUICK, seed=0)
    assert "--finetune none" in caught.value.hint


def test_small_sets_are_seen_more_often() -> None:
    assert (
        default_recipe("tail", 100).epochs >= default_recipe("tail", 700).epochs >= default_recipe("tail", 5000).epochs
    )
    assert default_recipe("tail", 5000) == DEFAULTS["tail"]
    assert default_recipe("full", 100) == DEFAULTS["full"]


@pytest.mark.usefixtures("two_folds")
def test_trainings_of_other_data_make_room(
    features: Features, network: Backbone, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = home / "cache" / "tuning" / "old"
    (old / "final").mkdir(parents=True)
    (old / "final" / "done.npz").write_bytes(bytes(1000))
    monkeypatch.setattr("medloupe.training.tune.activations.MOST_BYTES", 999)
    tune(features, PLAN, network, QUICK, seed=1)
    assert not old.exists()
    assert job_folders(home).keys() == {"fold-0", "fold-1", "final"}
