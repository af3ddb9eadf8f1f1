"""One pass gives what the head reads and what all models on a backbone share."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tunable
from medloupe.embed import tail as tails
from medloupe.embed.backbone import Backbone
from medloupe.embed.network import Network, combine_outputs
from medloupe.embed.tail import Tail
from medloupe.graphs.session import open_session, run
from othertails import tuned

IMAGES = np.stack([tunable.picture(i, i % 2 == 1) for i in range(7)])


@pytest.fixture
def base(tmp_path: Path) -> Backbone:
    return tunable.backbone(tmp_path)


@pytest.fixture
def tail(base: Backbone, tmp_path: Path) -> Tail:
    return tails.write_tail(tuned(tails.extract_upper_part(tails.load_graph(base)), spread=0.3), tmp_path / "tails")


def test_without_a_tail_everything_is_the_backbones(base: Backbone) -> None:
    found = Network(base).see(IMAGES, maps=True)
    embedding, feature_map = run(open_session(base.path), ["embedding", "map"], IMAGES)
    np.testing.assert_array_equal(found.embedding, embedding)
    np.testing.assert_array_equal(found.shared, embedding)
    np.testing.assert_array_equal(found.map, feature_map)
    assert Network(base).see(IMAGES).map is None


def test_with_a_tail_the_upper_part_is_the_tails(base: Backbone, tail: Tail) -> None:
    network = Network(base, tail)
    found = network.see(IMAGES, maps=True)
    cut, embedding, feature_map = run(open_session(base.path), ["cut", "embedding", "map"], IMAGES)
    own, own_map = open_session(tail.path).run(["embedding", "map"], {"cut": cut})
    u = tail.width
    np.testing.assert_allclose(found.embedding[:, :u], own, atol=1e-6)
    np.testing.assert_array_equal(found.embedding[:, u:], embedding[:, u:])
    np.testing.assert_array_equal(found.shared, embedding)
    assert found.map is not None
    np.testing.assert_allclose(found.map[:, :u], own_map, atol=1e-6)
    np.testing.assert_array_equal(found.map[:, u:], feature_map[:, u:])
    np.testing.assert_allclose(found.map.mean((2, 3)), found.embedding, atol=1e-5)
    assert network.see(IMAGES).map is None


def test_nothing_is_computed_that_is_not_asked_for(base: Backbone) -> None:
    asked: list[list[str]] = []

    def backbone(names: Sequence[str]) -> list[np.ndarray]:
        asked.append(list(names))
        return [np.zeros((1, 4, 2, 2)[: 2 if n == "embedding" else 4], np.float32) for n in names]

    def upper(names: Sequence[str], cut: np.ndarray) -> list[np.ndarray]:
        asked.append(list(names))
        return [np.ones((1, 2, 2, 2)[: 2 if n == "embedding" else 4], np.float32) for n in names]

    combine_outputs(backbone, None, maps=False)
    combine_outputs(backbone, None, maps=True)
    found = combine_outputs(backbone, upper, maps=False)
    assert asked == [["embedding"], ["embedding", "map"], ["embedding", "cut"], ["embedding"]]
    assert found.embedding.tolist() == [[1, 1, 0, 0]]
    assert found.shared.tolist() == [[0, 0, 0, 0]]


def test_many_threads_may_ask_one(base: Backbone, tail: Tail) -> None:
    network = Network(base, tail, threads=1)
    one = network.see(IMAGES[:1]).embedding
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: network.see(IMAGES[:1]).embedding, range(40)):
            np.testing.assert_array_equal(found, one)
