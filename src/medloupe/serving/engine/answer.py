"""Define the answer of a check-up, with what belongs to it."""

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

    Attributes
    ----------
    id : str
        Of this answer, random: 32 hexadecimal digits.
    digest : str
        Sha256 of the image's or ECG's bytes.
    prediction : Prediction
        What was answered.
    checkup : CheckUp, optional
        The one that answered; None where all refused.
    preview : Preview, optional
        The picture for a web page.
    evidence : Mapping of bytes
        By label, the PNG of a transparent overlay for the preview.
    places : Mapping of ndarray
        By label, float32 (h, w): what each place adds to the logit.
    given : Mapping of str
        Inputs beside the picture, as they came.
    ignored : tuple of str
        Fields that were none of its inputs.
    foreign : float
        Novelty of an ECG, above 1 where it was refused.
    kind : str
        The kind of an example that is no picture and was read from its files, else "".
    drawing : str
        An <svg> of an example of a kind added from outside, else "".
    watched : bytes
        Numbers by which it is watched whether pictures change (model/drift.py), or b"".
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
    watched: bytes = b""

    def as_json(self) -> dict[str, Any]:
        """Return the Prediction, its id and, if asked for, the heat map's numbers."""
        said = {**self.prediction.as_json(), "id": self.id}
        if self.ignored:
            said["ignored"] = list(self.ignored)
        if self.places:
            said["heatmap"] = {label: np.round(v.astype(float), 4).tolist() for label, v in self.places.items()}
        said["timings"] = {stage: round(ms, 2) for stage, ms in self.prediction.timings.items()}
        return said
