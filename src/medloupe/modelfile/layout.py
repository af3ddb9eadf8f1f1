"""Lay out a model file: names and shapes of its tensors, and the part that is the backbone's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medloupe.embed.modalities import EMBEDDINGS

if TYPE_CHECKING:
    from onnx import ModelProto

    from medloupe.embed.backbone import BackboneCard
    from medloupe.inputs.extras import Extras


CLINICAL, NOTES = "clinical", "notes"


OUTPUTS = ("probabilities", "logits", "embedding", "heatmap")
BOXES = "boxes"
"""What a detector gives besides: float32 (N, M, 6), x0, y0, x1, y1 in pixels of the fitted picture, score, label."""


DETECTOR_PREFIX = "detector."  # of all names in the part of the graph that finds boxes
BOX_GAIN = "boxes.gain"


HEAD_WEIGHT, HEAD_BIAS = "head.weight", "head.bias"


CLINICAL_WEIGHT, NOTES_WEIGHT = "clinical.weight", "notes.weight"


HEATMAP_TOLERANCE = 1e-3  # of the logits, or of 1 where they are smaller


def model_inputs(card: BackboneCard, extras: Extras | None) -> list[tuple[str, tuple[int, ...]]]:
    """List what a model file takes, in order: name and shape of one example."""
    taken = [(EMBEDDINGS[card.modality].input, card.input_shape)]
    if extras is not None:
        widths = ((CLINICAL, extras.clinical_width), (NOTES, extras.notes_width))
        taken += [(name, (width,)) for name, width in widths if width]
    return taken


def model_outputs(card: BackboneCard, labels: int, most: int | None) -> list[tuple[str, list[int]]]:
    """List what a model file gives, in order: name and shape of one example. most: boxes of a detector, else None."""
    given = zip(OUTPUTS, ([labels], [labels], [card.dimension], [labels, *card.places]), strict=True)
    return [*given, *([] if most is None else [(BOXES, [most, 6])])]


def extras_weights(extras: Extras | None) -> dict[str, np.ndarray]:
    """Give the tensors by which extras are weighed in a graph, float32 (K, F) and (K, M), by name."""
    if extras is None:
        return {}
    split = extras.clinical_width
    parts = {CLINICAL_WEIGHT: extras.weight[:, :split], NOTES_WEIGHT: extras.weight[:, split:]}
    return {name: np.ascontiguousarray(part, np.float32) for name, part in parts.items() if part.shape[1]}


def generate_extras(extras: Extras, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate encoded columns (n, F) and notes (n, M), float32, that are the same everywhere."""
    rng = np.random.default_rng(1)
    clinical, notes = (rng.normal(0, 1, (n, width)) for width in (extras.clinical_width, extras.notes_width))
    return clinical.astype(np.float32), notes.astype(np.float32)


def heatmap_gap(bias: np.ndarray, logits: np.ndarray, heatmap: np.ndarray) -> float:
    """Measure how far the heat maps are from explaining the logits, relative to their size.

    Parameters
    ----------
    bias
        (K,) or (N, K).
    logits
        (N, K).
    heatmap
        (N, K, h, w), whose mean over places and the bias should be the logits.
    """
    whole = heatmap.mean((2, 3), dtype=np.float64) + bias
    return float(np.max(np.abs(whole - logits) / np.maximum(1, np.abs(logits).max())))


def extract_body(model: ModelProto) -> ModelProto:
    """Cut out the part of a graph that makes `map` and `embedding`, without head, cut, metadata and declarations.

    It is the same for a backbone's own file and for a model exported with it, byte by byte when serialised.
    """
    from onnx import ModelProto

    # onnx.utils.Extractor gives the same bytes, but cuts at declared values only, and model files declare no map
    needed, kept = {"embedding", "map"}, []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    small = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    small.graph.node.extend(reversed(kept))
    small.graph.initializer.extend(t for t in model.graph.initializer if t.name in needed)
    return small
