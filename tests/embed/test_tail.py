"""A tail takes the place of the backbone's upper stages, in a session of its own or merged into one file."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import tunable
from medloupe.embed import tail as tails
from medloupe.embed.network import Network
from medloupe.embed.registry import backbone
from medloupe.errors import FinetuneError
from medloupe.graphs.session import open_session, run
from medloupe.training.tune.network import extract_trainable
from medloupe.training.tune.recipe import Recipe
from othertails import lower_first, tuned

IMAGES = np.stack([tunable.picture(i, i % 2 == 1) for i in range(5)])


def test_where_the_shipped_backbone_divides() -> None:
    base = backbone()
    at = tails.find_upper_part(tails.load_graph(base))
    assert at.width == 1792 == 1280 + 320 + 192
    assert len(at.levels) == 3
    assert tails.list_lower_levels(base.card, at.width) == (256, 1536)
    assert tails.has_upper_part(tails.load_graph(base))


@pytest.mark.parametrize(
    ("levels", "width", "left"),
    [((6, 4), 6, (4,)), ((10,), 6, (4,)), ((2, 3, 5), 4, (1, 5)), ((6, 4), 10, ()), ((6, 4), 0, (6, 4))],
)
def test_what_is_left_below(levels: tuple[int, ...], width: int, left: tuple[int, ...], tmp_path: Path) -> None:
    card = replace(tunable.backbone(tmp_path).card, levels=levels)
    assert tails.list_lower_levels(card, width) == left


@pytest.mark.parametrize("shipped", [False, True])
def test_a_tail_split_off_changes_nothing(shipped: bool, tmp_path: Path) -> None:
    base = backbone() if shipped else tunable.backbone(tmp_path)
    images = IMAGES if not shipped else np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    graph = tails.extract_upper_part(tails.load_graph(base))
    onnx.checker.check_model(graph, full_check=True)
    assert [v.name for v in graph.graph.input] == ["cut"]
    assert {v.name for v in graph.graph.output} == {"map", "embedding"}
    tail = tails.write_tail(graph, tmp_path / "tails")
    plain, split = Network(base).see(images, maps=True), Network(base, tail).see(images, maps=True)
    assert plain.map is not None and split.map is not None
    np.testing.assert_allclose(split.embedding, plain.embedding, atol=1e-4)
    np.testing.assert_allclose(split.map, plain.map, atol=1e-4)


@pytest.mark.parametrize("shipped", [False, True])
def test_merged_into_one_file_it_computes_the_same(shipped: bool, tmp_path: Path) -> None:
    base = backbone() if shipped else tunable.backbone(tmp_path)
    images = IMAGES if not shipped else np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    model = tails.load_graph(base)
    graph = tuned(tails.extract_upper_part(model), spread=0.01 if shipped else 0.2)
    tail = tails.write_tail(graph, tmp_path / "tails")
    apart = Network(base, tail).see(images, maps=True)
    path = tmp_path / "merged.onnx"
    path.write_bytes(tails.merge_weights(model, graph).SerializeToString())
    embedding, feature_map = run(open_session(path), ["embedding", "map"], images)
    assert apart.map is not None
    np.testing.assert_allclose(embedding, apart.embedding, atol=1e-4)
    np.testing.assert_allclose(feature_map, apart.map, atol=1e-4)
    # a head's answer is still the sum of what it saw at each place
    np.testing.assert_allclose(apart.map.mean((2, 3)), apart.embedding, atol=1e-4)
    # what lies below the cut is the backbone's own, and so is what models share
    plain = Network(base).see(images)
    np.testing.assert_array_equal(apart.shared, plain.embedding)
    np.testing.assert_array_equal(apart.embedding[:, tail.width :], plain.embedding[:, tail.width :])
    assert np.abs(apart.embedding[:, : tail.width] - plain.embedding[:, : tail.width]).max() > 1e-3


def test_a_tail_is_kept_under_its_hash(tmp_path: Path) -> None:
    graph = tails.extract_upper_part(tunable.graph())
    one = tails.write_tail(graph, tmp_path / "a" / "b")
    assert one == tails.write_tail(graph, tmp_path / "a" / "b")
    assert hashlib.sha256(one.path.read_bytes()).hexdigest() == one.sha256
    assert one.path.stem == one.sha256[:32]
    assert one.width == tunable.UPPER
    assert tails.Tail.from_json(one.as_json(), one.path) == one
    assert tails.write_tail(tuned(graph), tmp_path / "a" / "b").path != one.path
    assert len(list((tmp_path / "a" / "b").iterdir())) == 2


def lower_only(nodes: list[Any], weights: dict[str, np.ndarray]) -> None:
    """The map is the pooled stem, twice over."""
    (joined,) = [n for n in nodes if n.op_type == "Concat"]
    joined.input[:] = ["pooled", "pooled"]


def past_the_cut(nodes: list[Any], weights: dict[str, np.ndarray]) -> None:
    """The sum also takes the picture itself, around the cut."""
    nodes.insert(
        next(i for i, n in enumerate(nodes) if n.output[0] == "sum"),
        helper.make_node("Conv", ["normalised", "side_w"], ["side"], strides=[8, 8]),
    )
    weights["side_w"] = np.ones((tunable.UPPER, 3, 8, 8))
    (added,) = [n for n in nodes if n.op_type == "Add"]
    added.input[1] = "side"


@pytest.mark.parametrize("change", [lower_only, lower_first, past_the_cut])
def test_a_backbone_without_upper_stages_says_so(change: Any) -> None:
    model = tunable.graph(change)
    assert not tails.has_upper_part(model)
    with pytest.raises(FinetuneError, match="no trainable stages above its cut") as caught:
        tails.extract_upper_part(model)
    assert "--finetune full" in caught.value.hint


def test_a_cut_that_is_made_by_a_layer_itself() -> None:
    def named(nodes: list[Any], weights: dict[str, np.ndarray]) -> None:
        nodes.remove(next(n for n in nodes if n.output[0] == "cut"))
        for node in nodes:
            node.input[:] = ["cut" if i == "stem_relu6" else i for i in node.input]
            node.output[:] = ["cut" if o == "stem_relu6" else o for o in node.output]

    model = tunable.graph(named)
    assert tails.find_upper_part(model) == tails.UpperPart(given="cut", levels=("sum",), width=tunable.UPPER)
    onnx.checker.check_model(tails.extract_upper_part(model), full_check=True)


def test_what_each_recipe_trains() -> None:
    pytest.importorskip("torch")
    model = tunable.graph()
    named = {
        kind: {n for n, _ in extract_trainable(model, Recipe(kind=kind)).named_parameters()}
        for kind in ("tail", "full")
    }
    assert named["full"] - named["tail"] == {"weights.stem_w", "weights.stem_b"}
    assert named["tail"] < named["full"]
    with pytest.raises(FinetuneError):
        extract_trainable(tunable.graph(lower_first), Recipe(kind="tail"))
    whole = extract_trainable(tunable.graph(lower_first), Recipe(kind="full"))
    assert len(list(whole.parameters())) == 8
