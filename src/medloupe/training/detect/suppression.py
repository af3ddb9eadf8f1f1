"""Choose among the boxes of a detector's graph, by nodes whose sizes are known: means of neighbours, suppression."""

from __future__ import annotations

import numpy as np

from medloupe.model.boxes import OVERLAP, ROUNDS
from medloupe.training.detect.graph import BoxGraph
from medloupe.training.detect.objective import AVERAGED, LEAST_SURE, SURE_POWER


def average_boxes(g: BoxGraph, heat: str, boxes: str) -> str:
    """Add what `objective.average_boxes` computes. boxes: the name of (N, 4, h, w); gives that of the same shape."""
    surest = g.add("ReduceMax", [g.add("Sigmoid", [heat], "heat.share")], "heat.highest", axes=[1], keepdims=1)
    sure = g.add("Pow", [surest, g.constant("sure.power", np.array(SURE_POWER, np.float32))], "sure")
    reach = {"kernel_shape": [AVERAGED] * 2, "pads": [AVERAGED // 2] * 4, "strides": [1, 1], "count_include_pad": 1}
    top = g.add("AveragePool", [g.add("Mul", [boxes, sure], "boxes.weighed")], "boxes.sum", **reach)
    under = g.add("AveragePool", [sure], "sure.sum", **reach)
    least = g.constant("sure.least", np.array(LEAST_SURE, np.float32))
    return g.add("Div", [top, g.add("Max", [under, least], "sure.some")], "boxes.averaged")


def add_suppression(g: BoxGraph, boxes: str, label: str, most: int) -> str:
    """Add what `model.boxes.suppress` computes. Gives the name of float (N, M): 1 of what stays."""
    from onnx import TensorProto

    last, zero = g.constant("last", np.array([2], np.int64)), g.constant("none", np.array(0, np.float32))
    column, row = [], []
    for i in range(4):
        ends = [g.constant(f"c{e}", np.array([e], np.int64)) for e in (i, i + 1)]
        column.append(g.add("Slice", [boxes, *ends, last], f"column{i}"))
        row.append(g.add("Transpose", [column[-1]], f"row{i}", perm=[0, 2, 1]))
    low = [g.add("Max", [column[i], row[i]], f"low{i}") for i in (0, 1)]
    high = [g.add("Min", [column[i], row[i]], f"high{i}") for i in (2, 3)]
    common = g.add(
        "Mul",
        [
            g.add("Max", [g.add("Sub", [end, start], f"shared{i}"), zero], f"overlap{i}")
            for i, (start, end) in enumerate(zip(low, high, strict=True))
        ],
        "common",
    )
    wide = [g.add("Max", [g.add("Sub", [column[i + 2], column[i]], f"length{i}"), zero], f"span{i}") for i in (0, 1)]
    area = g.add("Mul", wide, "area")
    both = g.add(
        "Sub", [g.add("Add", [area, g.add("Transpose", [area], "area.row", perm=[0, 2, 1])], "areas"), common], "union"
    )
    over = g.add(
        "Greater",
        [common, g.add("Mul", [both, g.constant("overlap", np.array(OVERLAP, np.float32))], "enough")],
        "is_over",
    )
    axis1 = g.constant("axis1", np.array([1], np.int64))
    same = g.add(
        "Equal",
        [g.add("Unsqueeze", [label, last], "label.rows"), g.add("Unsqueeze", [label, axis1], "label.columns")],
        "is_same",
    )
    rank = np.arange(most, dtype=np.float32)
    better = g.add(
        "Less",
        [g.constant("rank.row", rank.reshape(1, 1, -1)), g.constant("rank.column", rank.reshape(1, -1, 1))],
        "is_better",
    )
    beaten = g.add(
        "Cast",
        [g.add("And", [g.add("And", [over, same], "is_rival"), better], "is_beaten")],
        "beaten",
        to=TensorProto.FLOAT,
    )
    one = g.constant("one", np.array(1, np.float32))
    kept = g.add("Sub", [one, g.add("ReduceMax", [beaten], "beaten0", axes=[2], keepdims=0)], "kept0")
    for i in range(1, ROUNDS):
        others = g.add("Unsqueeze", [kept, axis1], f"kept{i}.row")
        kept = g.add(
            "Sub",
            [
                one,
                g.add("ReduceMax", [g.add("Mul", [beaten, others], f"rivals{i}")], f"beaten{i}", axes=[2], keepdims=0),
            ],
            f"kept{i}",
        )
    return kept
