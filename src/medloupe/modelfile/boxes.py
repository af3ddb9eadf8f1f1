"""Put the part that finds boxes into the graph of a model file, and take it out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.errors import ModelFileError, NotOurModelError
from medloupe.metrics.matching import compute_iou
from medloupe.model.boxes import LEAST_BEST, MOST_BEST, Detector
from medloupe.modelfile.layout import BOX_GAIN, BOXES, DETECTOR_PREFIX

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

SAME_PLACE = 0.98  # IoU from which on two boxes count as the same
ALONE = 0.01  # share of the boxes that may have no counterpart
CUT_MARGIN = 0.01  # above the lowest score of a full picture
LEAST_COMPARED = 0.05  # score from which on boxes must be found by both of two ways


def add_detector(graph: GraphProto, detector: Detector, labels: int) -> str:
    """Add a detector's nodes and tensors to a graph that makes its maps, and what its boxes add to the logits.

    Parameters
    ----------
    graph
        Changed in place.
    detector
        To be added.
    labels
        K.

    Returns
    -------
    str
        The name of what is added to the logits, float32 (N, K).

    Raises
    ------
    ModelFileError
        The graph lacks a map that the detector reads.
    """
    from onnx import TensorProto, helper, load_model_from_string, numpy_helper

    part = load_model_from_string(detector.network).graph
    made = {name for node in graph.node for name in node.output}
    if lacking := [v.name for v in part.input if v.name not in made]:
        raise ModelFileError(
            f"The detector reads {', '.join(lacking)}, which this backbone does not compute.",
            "Train it again on this backbone.",
        )
    graph.node.extend(part.node)
    graph.initializer.extend(part.initializer)
    constants = {
        BOX_GAIN: np.asarray(detector.gain, np.float32),
        "boxes.labels": np.arange(labels, dtype=np.float32).reshape(1, 1, -1),
        "boxes.at4": np.array([4], np.int64),
        "boxes.at5": np.array([5], np.int64),
        "boxes.at6": np.array([6], np.int64),
        "boxes.axis": np.array([2], np.int64),
        "boxes.low": np.array(LEAST_BEST, np.float32),
        "boxes.high": np.array(MOST_BEST, np.float32),
        "boxes.one": np.array(1, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    steps: tuple[tuple[str, list[str], str, dict[str, Any]], ...] = (
        ("Slice", [BOXES, "boxes.at4", "boxes.at5", "boxes.axis"], "boxes.score", {}),
        ("Slice", [BOXES, "boxes.at5", "boxes.at6", "boxes.axis"], "boxes.number", {}),
        ("Equal", ["boxes.number", "boxes.labels"], "boxes.is_label", {}),
        ("Cast", ["boxes.is_label"], "boxes.of_label", {"to": TensorProto.FLOAT}),
        ("Mul", ["boxes.score", "boxes.of_label"], "boxes.scores", {}),
        ("ReduceMax", ["boxes.scores"], "boxes.best", {"axes": [1], "keepdims": 0}),
        ("Clip", ["boxes.best", "boxes.low", "boxes.high"], "boxes.clipped", {}),
        ("Sub", ["boxes.one", "boxes.clipped"], "boxes.rest", {}),
        ("Log", ["boxes.clipped"], "boxes.log", {}),
        ("Log", ["boxes.rest"], "boxes.log_rest", {}),
        ("Sub", ["boxes.log", "boxes.log_rest"], "boxes.odds", {}),
        ("Mul", ["boxes.odds", BOX_GAIN], "boxes.logits", {}),
    )
    graph.node.extend(helper.make_node(kind, given, [name], name=name, **more) for kind, given, name, more in steps)
    return "boxes.logits"


def extract_detector(model: ModelProto, labels: int, called: str) -> Detector:
    """Take the detector out of a model file's graph.

    Raises
    ------
    NotOurModelError
        It has none, or one without its gain.
    """
    from onnx import ModelProto, TensorProto, numpy_helper

    nodes: list[NodeProto] = [
        n for n in model.graph.node if all(o == BOXES or o.startswith(DETECTOR_PREFIX) for o in n.output)
    ]
    tensors = {t.name: t for t in model.graph.initializer}
    gain = tensors.get(BOX_GAIN)
    declared = [v for v in model.graph.output if v.name == BOXES]
    if not nodes or not declared or gain is None or gain.data_type != TensorProto.FLOAT or list(gain.dims) != [labels]:
        raise NotOurModelError(f"{called} finds no boxes, as its card says.", "Export it with medloupe.")
    part = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    part.graph.name = "detector"
    part.graph.node.extend(nodes)
    used = {name for n in nodes for name in n.input}
    made = {name for n in nodes for name in n.output}
    part.graph.initializer.extend(t for name, t in tensors.items() if name in used)
    part.graph.output.extend(declared)
    for name in sorted(used - made - set(tensors) - {""}):
        part.graph.input.add(name=name).type.tensor_type.elem_type = TensorProto.FLOAT
    most = declared[0].type.tensor_type.shape.dim[1].dim_value
    values = numpy_helper.to_array(gain).astype(np.float32)
    if not np.isfinite(values).all():
        raise ModelFileError(f"{called}: {BOX_GAIN!r} holds values that are no numbers.", "The file is damaged.")
    return Detector(network=part.SerializeToString(deterministic=True), most=most, gain=values)


def maps_of(detector: Detector) -> tuple[str, ...]:
    """List the maps that a detector reads, by the names of their values in the backbone's graph."""
    from onnx import load_model_from_string

    return tuple(v.name for v in load_model_from_string(detector.network).graph.input)


def box_gap(one: np.ndarray, other: np.ndarray) -> float:
    """Measure how far two ways of finding boxes on the same pictures are apart.

    one, other: float32 (N, M, 6).

    Returns
    -------
    float
        The largest difference of a score, of boxes of at least LEAST_COMPARED; 1 where more than ALONE of them have no
        counterpart.
    """
    gaps = [np.zeros(0)]
    for a, b in zip(one, other, strict=True):
        for mine, theirs in ((a, b), (b, a)):
            lowest = mine[:, 4].min(
                initial=1.0
            )  # 0 unless all M places are taken; then the last ones are cut by chance
            mine = mine[mine[:, 4] >= max(LEAST_COMPARED, lowest + CUT_MARGIN * (lowest > 0))]
            theirs = theirs[theirs[:, 4] > 0]
            same = (compute_iou(mine[:, :4], theirs[:, :4]) >= SAME_PLACE) & (mine[:, None, 5] == theirs[None, :, 5])
            gaps.append(np.where(same, np.abs(mine[:, None, 4] - theirs[None, :, 4]), 1.0).min(1, initial=1.0))
    every = np.concatenate(gaps)
    alone = every >= 1.0  # where overlaps lie at the very threshold, rounding decides which box stays
    if not len(every) or alone.mean() > ALONE:
        return float(len(every) > 0)
    return float(every[~alone].max(initial=0.0))


def check_boxes(boxes: np.ndarray, labels: int, called: str) -> None:
    """Check that boxes (N, M, 6) that a file gave are boxes: scores from 0 to 1, labels that exist, corners in order.

    Raises
    ------
    ModelFileError
        They are not.
    """
    score, number = boxes[:, :, 4], boxes[:, :, 5]
    sound = (score >= 0) & (score <= 1) & (number >= 0) & (number < labels) & (number == np.floor(number))
    ordered = (boxes[:, :, 2] >= boxes[:, :, 0]) & (boxes[:, :, 3] >= boxes[:, :, 1])
    if not (np.isfinite(boxes).all() and (sound & ordered).all()):
        raise ModelFileError(
            f"{called} gives boxes that are none: scores from 0 to 1, labels from 0 to {labels - 1} and corners in"
            " order are expected.",
            "It is damaged, or was changed after medloupe exported it.",
        )
