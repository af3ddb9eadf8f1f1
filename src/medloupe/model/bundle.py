"""The nouns of a trained model: Head and Model. Nothing here trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import medloupe  # its face finds what answers and what writes by name, when asked: nothing below imports upwards
from medloupe.data.modalities import MODALITIES
from medloupe.errors import NotAnImageError
from medloupe.model.head import Head

if TYPE_CHECKING:
    from medloupe.ecg.signal import Signal
    from medloupe.embed.backbone import Backbone
    from medloupe.embed.tail import Tail
    from medloupe.inputs.extras import Extras
    from medloupe.model.novelty import Novelty
    from medloupe.model.prediction import Prediction

CARD_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Backbone, head and card: all that is needed to answer.

    card: the evaluation passport, JSON (keys in docs/card.md); `card["labels"]` has the order of the head's rows.
    report: the report as one HTML page, or "" where only the model file is at hand.
    onnx: the self-contained file it came from or was written to, if any.
    novelty: what its training images look like, by which others are refused; None where it was trained on too few
    or refuses nothing. tail: the backbone's upper stages as tuned for this model, or None.
    extras: what it reads beside the picture or signal (clinical columns, notes), or None.
    """

    backbone: Backbone
    head: Head
    card: Mapping[str, Any]
    report: str = ""
    onnx: Path | None = None
    novelty: Novelty | None = None
    tail: Tail | None = None
    extras: Extras | None = None

    @property
    def name(self) -> str:
        return self.card["name"]

    @property
    def version(self) -> int | None:
        return self.card.get("version")

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.card["labels"])

    @property
    def tuned(self) -> bool:
        """Whether the network, and not the head alone, was trained on the model's images."""
        return self.tail is not None or (self.card.get("finetuning") or {}).get("winner") in ("tail", "full")

    def predict(
        self, image: str | Path | np.ndarray | Signal, given: Mapping[str, str] | None = None, *, heatmap: bool = False
    ) -> Prediction:
        """The answer to one image (a file, or uint8 (h, w) or (h, w, 3) pixels), or of a model of ECGs to one ECG (a
        file, or a signals.Signal).

        given: what is known beside it, by the names of the model's inputs. Raises ImageError when the image cannot be
        read, ClinicalError when a value cannot.
        """
        if not MODALITIES[self.backbone.card.modality].accepts(image):
            raise NotAnImageError(f"{self.name} looks at pictures; an ECG was given.", "Ask a model of ECGs.")
        answering: Any = medloupe.predictor(self)
        return answering.predict(image, given, heatmap=heatmap)

    def save(self, path: str | Path) -> Model:
        """Write one self-contained ONNX file, checked for parity; returns the model pointing to it."""
        return medloupe.save(self, path)
