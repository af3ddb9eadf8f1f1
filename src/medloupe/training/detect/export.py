"""Write the head of a detector as an ONNX graph, down to the boxes that stay.

Everything in it has a size known from the graph: the M best peaks, their pairwise overlaps, and rows of zeros for what
is suppressed. So a stranger's file can be checked before it runs, and any runtime of opset 17 can run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.embed.maps import STRIDES
from medloupe.graphs.module import import_torch
from medloupe.training.detect.graph import BoxGraph
from medloupe.training.detect.network import COARSE
from medloupe.training.detect.peaks import LEAST_SCORE
from medloupe.training.detect.suppression import add_suppression, average_boxes

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 17
CLIP = 1e-4  # scores are kept this far from 0 and 1 before their logit is taken


def round_weights(head: Any) -> None:
    """Fold what normalises into the convolutions of a head, and round its weights as the file stores them, in place."""
    torch = import_torch()
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    head.eval()
    for module in list(head.modules()):
        if isinstance(module, torch.nn.Sequential):
            for i in range(1, len(module)):
                if isinstance(module[i], torch.nn.BatchNorm2d):
                    module[i - 1] = fuse_conv_bn_eval(module[i - 1], module[i])
                    module[i] = torch.nn.Identity()
    with torch.no_grad():
        for i, lateral in enumerate(head.lateral):
            mean, scale = getattr(head, f"mean{i}"), getattr(head, f"scale{i}")
            lateral.weight.div_(scale)
            lateral.bias.sub_((lateral.weight * mean).sum((1, 2, 3)))
            mean.zero_()
            scale.fill_(1.0)
        for parameter in head.parameters():
            if parameter.ndim == 4:
                parameter.copy_(parameter.half().float())


def build_detector_graph(
    head: Any,
    names: Sequence[str],
    channels: Sequence[int],
    size: int,
    most: int,
    calibration: np.ndarray,
    quality_share: float,
) -> ModelProto:
    """Build the graph of a head.

    Parameters
    ----------
    head : torch.nn.Module
        After round_weights.
    names, channels : sequence
        Of the maps, finest first.
    size : int
        Of the fitted picture.
    most : int
        M.
    calibration : np.ndarray
        float32 (2, K): slope and intercept of the logit of each label's score.
    quality_share : float
        Power to which the said IoU enters a score.

    Returns
    -------
    ModelProto
        As `model.boxes.Detector` has it.
    """
    from onnx import TensorProto, helper

    g = BoxGraph()
    heat, sides, quality = _add_head(g, head, names)
    _add_boxes(g, heat, sides, quality, len(head.heat.bias), size, head.stride, most, calibration, quality_share)
    graph = helper.make_graph(
        g.nodes,
        "detector",
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", c, size // s, size // s])
            for n, c, s in zip(names, channels, STRIDES, strict=True)
        ],
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", most, 6])],
        g.tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def _add_head(g: BoxGraph, head: Any, names: Sequence[str]) -> tuple[str, str, str]:
    """Add the convolutions. Gives the names of heat, sides and quality, all as logits or logarithms."""

    def convolve(x: str, conv: Any, name: str) -> str:
        weight = g.weight(f"{name}.weight", conv.weight.detach().numpy())
        given = [x, weight]
        if conv.bias is not None:
            given.append(g.constant(f"{name}.bias", conv.bias.detach().numpy().astype(np.float32)))
        pad = conv.padding[0]
        return g.add(
            "Conv",
            given,
            name,
            kernel_shape=list(conv.kernel_size),
            pads=[pad] * 4,
            strides=list(conv.stride),
            group=conv.groups,
        )

    def block(x: str, module: Any, name: str) -> str:
        for i, layer in enumerate(module):
            if hasattr(layer, "weight"):
                x = convolve(x, layer, f"{name}.{i}")
            elif type(layer).__name__ == "ReLU":
                x = g.add("Relu", [x], f"{name}.{i}")
        return x

    def double(x: str, name: str) -> str:
        scales = g.constant("scales", np.array([1, 1, 2, 2], np.float32))
        return g.add(
            "Resize",
            [x, "", scales],
            name,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    inputs = [
        convolve(n, lateral, f"lateral{i}") for i, (n, lateral) in enumerate(zip(names, head.lateral, strict=True))
    ]
    x = block(g.add("Relu", [inputs[-1]], "top"), head.smooth[-1], f"smooth{len(inputs) - 1}")
    for i in range(len(inputs) - 2, 0, -1):
        x = g.add("Relu", [g.add("Add", [inputs[i], double(x, f"up{i}")], f"sum{i}")], f"joined{i}")
        x = block(x, head.smooth[i - 1], f"smooth{i}")
    if head.stride != COARSE:
        x = double(x, "up0")
    x = block(g.add("Relu", [g.add("Add", [inputs[0], x], "sum0")], "joined0"), head.shared, "shared")
    heat = convolve(block(x, head.to_heat, "to_heat"), head.heat, "heat")
    x = block(x, head.to_boxes, "to_boxes")
    return heat, convolve(x, head.sides, "sides"), convolve(x, head.quality, "quality")


def _add_boxes(
    g: BoxGraph,
    heat: str,
    sides: str,
    quality: str,
    labels: int,
    size: int,
    stride: int,
    most: int,
    calibration: np.ndarray,
    quality_share: float,
) -> None:
    """Add what turns heat, sides and quality into `boxes`."""
    from onnx import TensorProto, helper

    def ints(name: str, *values: int) -> str:
        return g.constant(name, np.array(values, np.int64))

    def number(name: str, value: float) -> str:
        return g.constant(name, np.array(value, np.float32))

    def power(x: str, share: float, name: str) -> str:
        return g.add("Pow", [g.add("Sigmoid", [x], f"{name}.share"), number(f"{name}.power", share)], name)

    side = size // stride
    most = min(most, labels * side * side)
    score = g.add("Mul", [power(heat, 1 - quality_share, "likely"), power(quality, quality_share, "exact")], "score")
    top = g.add("MaxPool", [score], "highest", kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1])
    peak = g.add("Cast", [g.add("GreaterOrEqual", [score, top], "is_peak")], "peak", to=TensorProto.FLOAT)
    peaks = g.add(
        "Reshape", [g.add("Mul", [score, peak], "peaks"), ints("flat", 0, labels * side * side)], "peaks.flat"
    )
    best = g.add("TopK", [peaks, ints("most", most)], "best", outputs=2, axis=1)
    at = f"{best}.1"
    area = ints("places", side * side)
    label = g.add("Div", [at, area], "label")  # whole numbers
    place = g.add("Sub", [at, g.add("Mul", [label, area], "label.start")], "place")
    # the box of every place: middles, less or plus the sides
    far = g.add(
        "Mul",
        [
            g.add("Exp", [g.add("Clip", [sides, number("near", -4), number("far", 6)], "sides.clipped")], "sides.exp"),
            number("stride", stride),
        ],
        "sides.pixels",
    )
    signed = g.add(
        "Mul", [far, g.constant("signs", np.array([-1, -1, 1, 1], np.float32).reshape(1, 4, 1, 1))], "sides.signed"
    )
    along = ((np.arange(side) + 0.5) * stride).astype(np.float32)
    across = g.constant(
        "middles.x", along.reshape(1, 1, 1, -1) * np.array([1, 0, 1, 0], np.float32).reshape(1, 4, 1, 1)
    )
    down = g.constant("middles.y", along.reshape(1, 1, -1, 1) * np.array([0, 1, 0, 1], np.float32).reshape(1, 4, 1, 1))
    everywhere = g.add("Add", [g.add("Add", [signed, across], "boxes.x"), down], "boxes.map")
    everywhere = average_boxes(g, heat, everywhere)
    listed = g.add(
        "Transpose",
        [g.add("Reshape", [everywhere, ints("flat4", 0, 4, side * side)], "boxes.flat")],
        "boxes.listed",
        perm=[0, 2, 1],
    )

    def pick(values: str, rows: str, name: str) -> str:
        return g.add(
            "GatherND", [values, g.add("Unsqueeze", [rows, ints("last", 2)], f"{name}.rows")], name, batch_dims=1
        )

    boxes = pick(listed, place, "candidates")
    kept = add_suppression(g, boxes, label, most)
    # calibrated scores, 0 of what does not stay
    clipped = g.add("Clip", [best, number("low", CLIP), number("high", 1 - CLIP)], "score.clipped")
    odds = g.add(
        "Sub",
        [
            g.add("Log", [clipped], "score.log"),
            g.add("Log", [g.add("Sub", [number("one", 1), clipped], "score.rest")], "score.log_rest"),
        ],
        "score.logit",
    )
    slope = g.add("Gather", [g.constant("slope", calibration[0].astype(np.float32)), label], "score.slope")
    shift = g.add("Gather", [g.constant("shift", calibration[1].astype(np.float32)), label], "score.shift")
    said = g.add(
        "Sigmoid",
        [g.add("Add", [g.add("Mul", [odds, slope], "score.scaled"), shift], "score.shifted")],
        "score.calibrated",
    )
    stays = g.add(
        "Mul",
        [
            kept,
            g.add(
                "Cast",
                [g.add("GreaterOrEqual", [best, number("least", LEAST_SCORE)], "is_likely")],
                "likely_enough",
                to=TensorProto.FLOAT,
            ),
        ],
        "stays",
    )
    final = g.add(
        "TopK", [g.add("Mul", [said, stays], "score.staying"), ints("most", most)], "final", outputs=2, axis=1
    )
    order = f"{final}.1"
    columns = g.add(
        "Concat",
        [
            boxes,
            g.add(
                "Unsqueeze",
                [g.add("Cast", [label], "label.number", to=TensorProto.FLOAT), ints("last", 2)],
                "label.column",
            ),
        ],
        "columns",
        axis=2,
    )
    sorted_columns = pick(columns, order, "sorted")
    masked = g.add(
        "Mul",
        [
            sorted_columns,
            g.add(
                "Unsqueeze",
                [
                    g.add(
                        "Cast", [g.add("Greater", [final, number("none", 0)], "is_box")], "box", to=TensorProto.FLOAT
                    ),
                    ints("last", 2),
                ],
                "box.column",
            ),
        ],
        "masked",
    )
    corners = g.add("Slice", [masked, ints("c0", 0), ints("c4", 4), ints("last", 2)], "corners")
    number_of = g.add("Slice", [masked, ints("c4", 4), ints("c5", 5), ints("last", 2)], "number")
    scored = g.add("Unsqueeze", [final, ints("last", 2)], "final.column")
    g.nodes.append(helper.make_node("Concat", [corners, scored, number_of], ["boxes"], name="boxes", axis=2))
