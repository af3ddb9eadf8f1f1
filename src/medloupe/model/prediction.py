"""Define the answer to one example: Prediction, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from medloupe.ecg.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an image was not judged, and what it looks like instead."""

    reason: str
    looks_like: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """How one input beside the picture moved the answer.

    Attributes
    ----------
    value
        As it was understood; "" where it is missing and that counts.
    effect
        What it added to each label's logit.
    """

    name: str
    value: str
    effect: Mapping[str, float]

    def toward(self, label: str, *, several: bool) -> float:
        """Compute what it added to the label's log odds.

        Among exclusive classes (not several) that is to those against the others on average: what adds the same to all
        of them moves nothing.
        """
        others = [v for name, v in self.effect.items() if name != label]
        return self.effect[label] - (0 if several or not others else sum(others) / len(others))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer to one image.

    Attributes
    ----------
    model, version
        Which answered; "" and None where all check-ups that could be chosen refused.
    prediction
        The label at the operating point; for several labels at once those at or above theirs, joined with "|" ("" when
        none is).
    probabilities
        Calibrated, by label.
    refused
        Why the image was not judged; then the prediction is "", and the probabilities, still there to be looked into,
        mean nothing.
    heatmap
        float32 (K, h, w), what each place adds to each label's logit, in the order of `probabilities`; None unless
        asked for.
    timings
        Milliseconds by stage.
    inputs
        How each input beside the picture moved the answer; None of a model that reads the picture alone.
    ecg
        Of an ECG, its beats and rhythm.
    """

    file: str
    model: str
    version: int | None
    prediction: str
    probabilities: Mapping[str, float]
    refused: Refusal | None = None
    heatmap: np.ndarray | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    inputs: tuple[Influence, ...] | None = None
    ecg: Reading | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the line that `predict --json` prints."""
        refused = self.refused and {"reason": self.refused.reason, "looks_like": self.refused.looks_like}
        said = {
            "file": self.file,
            "model": self.model or None,
            "version": self.version,
            "prediction": self.prediction,
            "probabilities": dict(self.probabilities),
            "refused": refused,
        }
        if self.inputs is not None:
            said["inputs"] = [{"name": i.name, "value": i.value, "effect": dict(i.effect)} for i in self.inputs]
        if self.ecg is not None:
            said["ecg"] = self.ecg.as_json()
        return said
