"""What a check-up answered, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.model.prediction import Prediction

if TYPE_CHECKING:
    from medloupe.imaging.sandbox.pool import Preview
    from medloupe.serving.engine.checkup import CheckUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A Prediction and what belongs to it.

    digest: sha256 of the image's or ECG's bytes. checkup: the one that answered; None where all refused. preview: the
    picture for a web page. evidence: by label, PNG of a transparent overlay for the preview. places: by label, float32
    (h, w), what each place adds to the logit. given: inputs beside the picture as they came. ignored: fields that were
    none. foreign: novelty of an ECG, above 1 where it was refused. kind: of an example that is no picture and was
    read from its files. drawing: an <svg> of one of a kind added from outside.
    """

    id: str
    digest: str
    prediction: Prediction
    checkup: CheckUp | None
    preview: Preview | None = None
    evidence: Mapping[str, bytes] = field(default_factory=dict)
    places: Mapping[str, np.ndarray] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    foreign: float = 0.0
    kind: str = ""
    drawing: str = ""

    def as_json(self) -> dict[str, Any]:
        """The Prediction, its id and, if asked for, the heat map's numbers."""
        said = {**self.prediction.as_json(), "id": self.id}
        if self.ignored:
            said["ignored"] = list(self.ignored)
        if self.places:
            said["heatmap"] = {label: np.round(v.astype(float), 4).tolist() for label, v in self.places.items()}
        said["timings"] = {stage: round(ms, 2) for stage, ms in self.prediction.timings.items()}
        return said
