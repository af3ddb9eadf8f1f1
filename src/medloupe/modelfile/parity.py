"""Hold a model file against the training path: the same answers, down to single precision."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medloupe.embed.maps import expose_maps
from medloupe.errors import ParityError
from medloupe.model.bundle import Model
from medloupe.model.head import probabilities
from medloupe.modelfile import layout
from medloupe.modelfile.boxes import box_gap, maps_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCH = 8  # images at once


def measure_parity(model: Model, path: Path, images: np.ndarray, tolerance: float) -> float:
    """Find the largest difference between the file and the training path.

    That path is the backbone's own session and the head in numpy.

    Raises
    ------
    ParityError
        It is over the tolerance, or the heat maps do not add up.
    """
    from medloupe.embed.network import Network
    from medloupe.graphs.session import open_session, run

    ours, theirs = open_session(path), Network(model.backbone, model.tail)
    if model.detector is not None:
        return _box_parity(model, ours, images, tolerance)
    wanted = ("probabilities", "logits", "heatmap")
    (first, _), *more = layout.model_inputs(model.backbone.card, model.extras)
    worst = gap = 0.0
    # The first image goes alone: a graph with a fixed number of images would not survive both.
    for at in (slice(0, 1), *(slice(i, i + BATCH) for i in range(1, len(images), BATCH))):
        alone = model.head.logits(theirs.see(images[at]).embedding)
        answers = [(np.zeros_like(alone), run(ours, wanted, images[at]))]
        if model.extras is not None:
            clinical, notes = layout.generate_extras(model.extras, len(alone))
            values = {layout.CLINICAL: clinical, layout.NOTES: notes}
            feed = {first: images[at], **{name: values[name] for name, _ in more}}
            answers.append((model.extras.logits(clinical, notes), run(ours, wanted, feed)))
        for added, (p, logits, heatmap) in answers:
            expected = probabilities(alone + added, model.head.task)
            worst = float(np.fmax(worst, _or_infinite(np.abs(p - expected).max())))
            gap = float(np.fmax(gap, _or_infinite(layout.heatmap_gap(model.head.bias + added, logits, heatmap))))
    if worst > tolerance:
        raise ParityError(
            f"The exported file and the training path differ by {worst:.2g} in a probability; at most {tolerance:g}"
            " is allowed. The file was not written.",
            "Please report this with the versions of numpy, onnx and onnxruntime (pip list).",
        )
    if gap > layout.HEATMAP_TOLERANCE:
        raise ParityError(
            f"The heat maps do not add up to the logits (off by {gap:.2g}). The file was not written.",
            f"In the backbone {model.backbone.card.name}, `embedding` must be the mean of `map` over its places.",
        )
    return worst


def _box_parity(model: Model, ours: InferenceSession, images: np.ndarray, tolerance: float) -> float:
    """Find the largest difference of a probability or score between the file and backbone, detector and head apart."""
    import onnx

    from medloupe.graphs.session import open_session, run

    detector = model.detector
    assert detector is not None
    names = maps_of(detector)
    backbone = open_session(expose_maps(onnx.load(model.backbone.path, load_external_data=False), names))
    finder = open_session(detector.network)
    worst = gap = 0.0
    for at in (slice(0, 1), *(slice(i, i + BATCH) for i in range(1, len(images), BATCH))):
        embedding, *maps = run(backbone, ["embedding", *names], images[at])
        (boxes,) = run(finder, [layout.BOXES], dict(zip(names, maps, strict=True)))
        p, logits, heatmap, found = run(ours, ("probabilities", "logits", "heatmap", layout.BOXES), images[at])
        added = detector.logits(found)
        expected = probabilities(model.head.logits(embedding) + detector.logits(boxes), model.head.task)
        worst = float(np.fmax(worst, _or_infinite(max(np.abs(p - expected).max(), box_gap(found, boxes)))))
        gap = float(np.fmax(gap, _or_infinite(layout.heatmap_gap(model.head.bias + added, logits, heatmap))))
    if worst > tolerance or gap > layout.HEATMAP_TOLERANCE:
        raise ParityError(
            f"The exported file and the training path differ by {worst:.2g} in a probability or a box's score (at most"
            f" {tolerance:g} is allowed), its heat maps by {gap:.2g}. The file was not written.",
            "Please report this with the versions of numpy, onnx and onnxruntime (pip list).",
        )
    return worst


def _or_infinite(value: float) -> float:
    """Make of not a number the worst; it compares as smaller than any limit."""
    return math.inf if math.isnan(value) else float(value)
