"""Write into a model's card what 8 bits cost: both networks' figures, sizes and latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medloupe.graphs.latency import measure_pace
from medloupe.graphs.session import open_session, run
from medloupe.model.bundle import Model
from medloupe.training.compress.fidelity import PrecisionFigures

_JUDGED = (
    "Cross-validation by patient or group on the images it was trained on, without an official test split: each by a"
    " head fitted, on either network, without its group."
)
_TUNED = (
    "The tuned stages themselves had seen these images, which flatters both figures alike: what counts is the"
    " difference; how good the model is stands in `metrics`."
)
_ALONE = (
    "Judged is what the model makes of the picture alone; what it reads beside it is computed as before and only added."
)


def build_precision_entry(
    model: Model,
    full: Model,
    small: Model,
    *,
    figures: tuple[PrecisionFigures, PrecisionFigures],
    source: Mapping[str, Any],
    judged: int,
    fell: Sequence[str],
) -> dict[str, Any]:
    """Build the card's entry `precision` (docs/card.md).

    Parameters
    ----------
    model : Model
        As it was trained.
    full, small : Model
        The same as one network each, as a file holds it, in single precision and in 8 bits.
    figures : tuple of PrecisionFigures
        Of both.
    source : mapping
        How the 8-bit network was calibrated.
    judged : int
        Images that the figures are of.
    fell : sequence of str
        What fell further than is allowed; none where the network is accepted.
    """
    size = model.backbone.card.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    opened = [open_session(each.backbone.path, threads=1) for each in (full, small)]
    pace = measure_pace([lambda s=s: run(s, ["embedding"], pixels) for s in opened])
    said: dict[str, Any] = {
        "precision": "int8",
        "accepted": not fell,
        "forced": bool(fell),
        "fp32": {**figures[0].as_json(), "bytes": _file_size(full), "latency_ms": pace.milliseconds[0]},
        "int8": {**figures[1].as_json(), "bytes": 0, "latency_ms": pace.milliseconds[1]},
        "times_faster": pace.times_faster[1],
        "calibration": source,
        "judged": {"images": judged, "words": _word_judging(model), "fell": fell},
    }
    bare = _file_size(replace(small, card={**small.card, "precision": said})) - 1  # the size stands in the file itself
    said["int8"]["bytes"] = next(n for n in range(bare, bare + 16) if n == bare + len(str(n)))
    return said


def _word_judging(model: Model) -> str:
    said = [_JUDGED]
    if model.tuned:
        said.append(_TUNED)
    if model.extras is not None:
        said.append(_ALONE)
    return " ".join(said)


def _file_size(model: Model) -> int:
    """Count the bytes of the file that export writes."""
    from medloupe.modelfile.writer import build

    return len(build(model).SerializeToString(deterministic=True))
