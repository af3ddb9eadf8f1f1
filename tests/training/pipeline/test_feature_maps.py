"""What the network sees stage by stage: the pictures are its own activations, also above the cut and with a tail."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import generated
import tiny
from medloupe.data.reading import read
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.embed.registry import backbone
from medloupe.embed.tail import Tail
from medloupe.graphs.session import open_session
from medloupe.model.head import Head
from medloupe.report.pages import render
from medloupe.training.pipeline.feature_maps import TILES, find_stage_outputs, render_report_stages, render_stages

LABELS = ("normal", "sick")
SHAPES = [
    (16, 112, 112),
    (24, 56, 56),
    (40, 28, 28),
    (80, 14, 14),
    (112, 14, 14),
    (192, 7, 7),
    (320, 7, 7),
    (1280, 7, 7),
]


def pixels(number: int = 3) -> np.ndarray:
    return np.asarray(Image.fromarray(generated.tissue(number, sick=True)).resize((224, 224)))


def head(dimension: int = 3584) -> Head:
    weight = np.random.default_rng(1).normal(size=(2, dimension)).astype(np.float32)
    return Head(weight=weight, bias=np.zeros(2, np.float32), task="multiclass")


def seen(image: np.ndarray, **more: Any) -> dict[str, Any]:
    found = render_stages(image, backbone(), head(), 1, labels=LABELS, **more)
    assert found is not None
    return found


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def levels(uri: str) -> np.ndarray:
    """The tile as it was before colour: 0 is least, 63 most."""
    image = opened(uri)
    assert image.mode == "P"
    return np.asarray(image)


def test_every_stage_of_the_shipped_backbone_is_found() -> None:
    found = find_stage_outputs(backbone().path)
    assert [s.name for s in found] == [*(f"Stage {i}" for i in range(1, 8)), "Last map"]
    assert found[4].value == "block10_sum"  # where the cut is
    assert [tuple(r["shape"]) for r in seen(pixels())["rows"]] == SHAPES


def test_another_backbone_is_left_out(tmp_path: Path) -> None:
    made = tiny.model(tmp_path)
    assert render_stages(np.zeros((32, 32, 3), np.uint8), made.backbone, made.head, 0) is None


def test_the_tiles_are_the_activations() -> None:
    image = pixels()
    (cut,) = open_session(backbone().path).run(["cut"], {"image": image[None]})
    answers = np.asarray(cut)[0].reshape(112, -1)
    row = seen(image)["rows"][4]
    assert len(row["tiles"]) == TILES
    order = np.argsort(-answers.std(1))
    first = levels(row["tiles"][0]).astype(float).ravel()
    assert np.corrcoef(first, answers[order[0]])[0, 1] > 0.99  # the liveliest, and as it is
    likeness = np.abs(np.corrcoef([levels(t).astype(float).ravel() for t in row["tiles"]]))
    assert likeness[~np.eye(TILES, dtype=bool)].max() < 0.95  # no two nearly the same
    assert [levels(r["tiles"][0]).shape[0] for r in seen(image)["rows"]] == [56, 56, 28, 14, 14, 7, 7, 7]


def test_filters_are_chosen_by_the_picture_not_by_its_padding() -> None:
    image = pixels().copy()
    image[:60] = image[-60:] = 0
    (cut,) = open_session(backbone().path).run(["cut"], {"image": image[None]})
    answers, rows = np.asarray(cut)[0], slice(4, 10)  # of 14, those that lie wholly in the picture
    liveliest, loudest = (int(x.reshape(112, -1).std(1).argmax()) for x in (answers[:, rows], answers))
    assert liveliest != loudest
    for box, chosen, where in (((0, 60, 224, 164), liveliest, rows), (None, loudest, slice(None))):
        tile = levels(seen(image, box=box)["rows"][4]["tiles"][0])[where].astype(float)
        assert np.corrcoef(tile.ravel(), answers[chosen, where].ravel())[0, 1] > 0.98


def test_it_ends_with_the_heat_map_of_the_label() -> None:
    found = seen(pixels(), file="x.png")
    assert (found["label"], found["file"], found["size"], found["tuned"]) == ("sick", "x.png", 224, False)
    heat = opened(found["heatmap"])
    assert heat.size == (224, 224) and np.asarray(heat)[..., 3].max() > 100
    assert opened(found["image"]).size == (224, 224)


def test_it_stays_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    for image in (noise, pixels()):
        assert len(json.dumps(seen(image))) < 150_000


@pytest.mark.filterwarnings("error")
def test_a_black_picture_is_no_failure() -> None:
    found = seen(np.zeros((224, 224, 3), np.uint8))
    assert len(found["rows"]) == 8
    assert "stage by stage" in render({"stages": found})


def upper(path: Path, gain: float) -> Tail:
    """The upper third of the shipped backbone as a tail of its own, stage 7 multiplied by gain."""
    whole = onnx.load(backbone().path)
    levels_ = ["last_map_relu6", "block15_project", "block14_sum"]
    cut, *_ = (s.value for s in find_stage_outputs(backbone().path) if s.name == "Stage 5")
    wanted, nodes = set(levels_), []
    for node in reversed(whole.graph.node):
        if wanted & set(node.output) and cut not in node.output:
            nodes.insert(0, node)
            wanted |= set(node.input)
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["cut"], [cut]),
            *nodes,
            helper.make_node("Mul", ["block15_project", "gain"], ["louder"]),
            helper.make_node("Concat", [levels_[0], "louder", levels_[2]], ["map"], axis=1),
            helper.make_node("ReduceMean", ["map"], ["embedding"], axes=[2, 3], keepdims=0),
        ],
        "tail",
        [helper.make_tensor_value_info("cut", TensorProto.FLOAT, ["N", 112, 14, 14])],
        [
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["N", 1792, 7, 7]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 1792]),
        ],
        [t for t in whole.graph.initializer if t.name in wanted] + [helper.make_tensor("gain", 1, [1], [gain])],
    )
    model = helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version)
    path.write_bytes(model.SerializeToString())
    return Tail(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), width=1792)


def test_a_tail_is_looked_into_above_the_cut(tmp_path: Path) -> None:
    image, plain = pixels(), seen(pixels())
    same = seen(image, tail=upper(tmp_path / "same.onnx", 1.0))
    assert same["tuned"] and same["rows"] == plain["rows"] and same["heatmap"] == plain["heatmap"]
    turned = seen(image, tail=upper(tmp_path / "turned.onnx", -1.0))
    assert turned["rows"][:6] == plain["rows"][:6] and turned["rows"][7] == plain["rows"][7]
    before, after = (levels(r["rows"][6]["tiles"][0]).astype(int) for r in (plain, turned))
    assert np.abs(63 - before - after).max() <= 1  # stage 7 with its sign changed
    assert turned["heatmap"] != plain["heatmap"]


def test_the_image_of_a_report(tmp_path: Path, home: Path) -> None:
    data = read(generated.folders(tmp_path / "cells", 2))
    features = embed(scan_dataset(data), backbone())
    record = features.data.records[1]
    example = {"file": record.id, "heatmap_label": "sick"}
    other = {"file": features.data.records[0].id, "heatmap_label": "normal"}
    found = render_report_stages(features, {"right": [example], "wrong": [other]}, head(), backbone())
    assert found and (found["file"], found["label"]) == (record.id, "sick")
    direct = render_stages(np.asarray(Image.open(str(record.image)).resize((224, 224))), backbone(), head(), 1)
    assert direct and [r["shape"] for r in direct["rows"]] == [r["shape"] for r in found["rows"]]
    fallback = render_report_stages(features, {"right": [], "wrong": [other]}, head(), backbone())
    assert fallback and fallback["label"] == "normal"
    assert render_report_stages(features, {"right": [], "wrong": []}, head(), backbone()) is None
