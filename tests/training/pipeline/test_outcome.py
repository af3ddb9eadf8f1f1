"""What a training computed comes back whole, with the network it tuned, or is computed anew."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunable
import weighed
from medloupe.data.labels import tell_roles
from medloupe.data.scan import scan_dataset
from medloupe.embed import tail as tails
from medloupe.embed.backbone import Backbone
from medloupe.errors import StoreError
from medloupe.inputs.extras import Extras
from medloupe.metrics.evidence import Evidence
from medloupe.model.head import Head
from medloupe.training.options import Options
from medloupe.training.pipeline.outcome import Outcome, outcome_path, read_outcome, write_outcome


@pytest.fixture
def network(home: Path, tmp_path: Path) -> Backbone:
    return tunable.backbone(tmp_path / "backbone")


def outcome(network: bytes = b"", whole: bool = False, **card: Any) -> Outcome:
    rng = np.random.default_rng(0)
    return Outcome(
        head=Head(
            weight=rng.normal(0, 1, (2, tunable.D)).astype(np.float32),
            bias=np.array([0.5, -0.5], np.float32),
            task="multiclass",
        ),
        novelty=None,
        report={"card": {"task": "multiclass", "labels": ["größer", "b"], **card}, "curves": {}},
        evidence=Evidence(
            labels=("größer", "b"),
            task="multiclass",
            digests=Evidence.digest([bytes([i]) * 32 for i in range(3)]),
            groups=np.arange(3),
            targets=np.eye(3, 2, dtype=np.float32),
            probabilities=np.full((1, 3, 2), 0.5, np.float32),
            announced=np.zeros((3, 2), np.float32),
        ),
        network=network,
        whole=whole,
    )


@pytest.mark.parametrize(("data", "whole"), [(b"", False), (b"a network" * 99, False), (b"a network" * 99, True)])
def test_it_comes_back_whole(data: bytes, whole: bool, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.npz"
    made = outcome(data, whole)
    write_outcome(path, made)
    found = read_outcome(path)
    assert found is not None
    np.testing.assert_array_equal(found.head.weight, made.head.weight)
    np.testing.assert_array_equal(found.head.bias, made.head.bias)
    assert (found.network, found.whole, found.report, found.novelty) == (data, whole, made.report, None)
    assert found.evidence.as_bytes() == made.evidence.as_bytes()


def test_the_extras_come_back(tmp_path: Path) -> None:
    encoded, columns, notes = weighed.patients(100).encoded("age", notes=True)
    weight = np.random.default_rng(0).normal(size=(2, encoded.x.shape[1])).astype(np.float32)
    made = replace(outcome(), extras=Extras(columns=columns, notes=notes, weight=weight))
    write_outcome(tmp_path / "x.npz", made)
    found = read_outcome(tmp_path / "x.npz")
    assert found is not None and found.extras is not None
    given = {"age": "55", "notes": "fever"}
    for a, b in zip(found.extras.effects(given), made.extras.effects(given), strict=True):  # type: ignore[union-attr]
        np.testing.assert_array_equal(a.logits, b.logits)


@pytest.mark.parametrize("harm", ["missing", "cut", "empty", "changed", "of before"])
def test_what_is_not_whole_is_nothing(harm: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    write_outcome(path, outcome(b"network" * 100))
    data = path.read_bytes()
    if harm == "missing":
        path.unlink()
    elif harm == "of before":  # an outcome of a release that knew no networks
        with np.load(path) as held:
            np.savez(path, allow_pickle=False, **{k: held[k] for k in held.files if k not in ("network", "whole")})
    else:
        middle = len(data) // 2
        changed = data[:middle] + bytes(100) + data[middle + 100 :]
        path.write_bytes({"cut": data[:-50], "empty": b"", "changed": changed}[harm])
    assert read_outcome(path) is None


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        write_outcome(tmp_path / "file" / "x.npz", outcome())
    assert "--home" in caught.value.hint


def test_without_a_network_the_backbone_stays(network: Backbone) -> None:
    assert outcome().restore_network(network) == (network, None)


def test_a_tail_lies_under_home_again(network: Backbone, home: Path) -> None:
    written = tails.write_tail(tails.extract_upper_part(tails.load_graph(network)), home / "cache" / "tuned")
    data = written.path.read_bytes()
    made = outcome(data, tail=written.as_json())
    written.path.unlink()  # caches may be emptied
    backbone, tail = made.restore_network(network)
    assert backbone is network
    assert tail == written
    assert written.path.read_bytes() == data
    assert made.restore_network(network) == (network, tail)


def test_a_whole_network_takes_the_place_of_the_backbone(network: Backbone, home: Path) -> None:
    data = tunable.graph(lambda nodes, weights: weights.update(stem_b=np.ones(4))).SerializeToString()
    described = replace(network.card, name="tunable, tuned")
    made = outcome(data, whole=True, backbone=replace(network, card=described).as_json())
    backbone, tail = made.restore_network(network)
    assert tail is None
    assert backbone.card.name == "tunable, tuned"
    assert backbone.sha256 == hashlib.sha256(data).hexdigest()
    assert backbone.path.read_bytes() == data
    assert backbone.path.is_relative_to(home)


def test_everything_it_depends_on_names_it(network: Backbone, tmp_path: Path) -> None:
    found = scan_dataset(tunable.data(6))
    tail = tails.write_tail(tails.extract_upper_part(tails.load_graph(network)), tmp_path)
    told = replace(found, data=replace(found.data, told_roles=tell_roles(found.data.labels, sought=found.data.labels)))
    paths = [
        outcome_path(found, network, Options()),
        outcome_path(told, network, Options()),
        outcome_path(found, network, Options(finetune="tail")),
        outcome_path(found, network, Options(finetune="tail", minutes=3)),
        outcome_path(found, network, Options(finetune="tail", start=tail)),
        outcome_path(found, replace(network, sha256="0" * 64), Options()),
        outcome_path(scan_dataset(tunable.data(7)), network, Options()),
        outcome_path(scan_dataset(tunable.data(6, first=50)), network, Options()),
        outcome_path(scan_dataset(tunable.data(6, patients=3)), network, Options()),
    ]
    assert len(set(paths)) == len(paths)
    assert outcome_path(scan_dataset(tunable.data(6)), network, Options()) == paths[0]
