"""Define a trained model: backbone, head, card and what goes with them. Nothing here trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import medloupe  # its face finds what answers and what writes by name, when asked: nothing below imports upwards
from medloupe.data.modalities import MODALITIES
from medloupe.errors import DataError, NotAnImageError
from medloupe.imaging.photo import PhotoRequest
from medloupe.model.head import Head

if TYPE_CHECKING:
    from medloupe.ecg.signal import Signal
    from medloupe.embed.backbone import Backbone
    from medloupe.embed.tail import Tail
    from medloupe.imaging.perspective import Corners
    from medloupe.imaging.photo import PhotoMode
    from medloupe.inputs.extras import Extras
    from medloupe.model.boxes import Detector
    from medloupe.model.novelty import Novelty
    from medloupe.model.prediction import Prediction
    from medloupe.model.sight import SharedSight

CARD_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A check-up that is asked about each thing that a detector finds.

    Attributes
    ----------
    checkup : Model
        Which is asked.
    label : str
        The detector's label of the things that are asked about.
    """

    checkup: Model
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Backbone, head and card: all that is needed to answer.

    Attributes
    ----------
    card
        The evaluation passport, JSON (keys in docs/card.md); `card["labels"]` has the order of the head's rows.
    report
        The report as one HTML page, or "" where only the model file is at hand.
    onnx
        The self-contained file it came from or was written to, if any.
    novelty
        What its training images look like, by which others are refused; None where it was trained on too few or refuses
        nothing.
    tail
        The backbone's upper stages as tuned for this model, or None.
    extras
        What it reads beside the picture or signal (clinical columns, notes), or None.
    detector
        What finds boxes, of a model whose task is detection; else None.
    sight
        Of a model with a network of its own, what its pictures look like to the network that others share; None where
        that is not known.
    asks
        Of a composed check-up, which is a detector otherwise, what it asks about what it finds; else None.
    """

    backbone: Backbone
    head: Head
    card: Mapping[str, Any]
    report: str = ""
    onnx: Path | None = None
    novelty: Novelty | None = None
    tail: Tail | None = None
    extras: Extras | None = None
    detector: Detector | None = None
    sight: SharedSight | None = None
    asks: Composition | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.card["name"]

    @property
    def version(self) -> int | None:
        """Its version in the store; None outside of one."""
        return self.card.get("version")

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels, in the order of the head's rows."""
        return tuple(self.card["labels"])

    @property
    def tuned(self) -> bool:
        """Whether the network, and not the head alone, was trained on the model's images."""
        return self.tail is not None or (self.card.get("finetuning") or {}).get("winner") in ("tail", "full")

    def find_sight(self, network: str) -> Novelty | None:
        """Find what tells its kind of picture in embeddings of the shared network with this sha256, if anything."""
        return self.sight.novelty if self.sight is not None and self.sight.network == network else None

    def require_classes(self, doing: str) -> None:
        """Raise DataError where it marks places, with which this cannot be done. doing: in words, as a subject."""
        if self.detector is not None:
            raise DataError(
                f"{self.name} marks places in pictures; {doing} looks at labels of whole pictures.",
                "Its card and report say how well it finds what it marks.",
            )

    def predict(
        self,
        image: str | Path | np.ndarray | Signal,
        given: Mapping[str, str] | None = None,
        *,
        heatmap: bool = False,
        photo: PhotoMode = "auto",
        corners: Corners | None = None,
        cropped: bool = False,
    ) -> Prediction:
        """Answer one image or, of a model of ECGs, one ECG.

        Parameters
        ----------
        image
            A file, or uint8 (h, w) or (h, w, 3) pixels; of an ECG a file or an ecg.signal.Signal.
        given
            What is known beside it, by the names of the model's inputs.
        heatmap
            Whether to say what each place adds.
        photo
            Whether a picture is a photograph of a screen, film or print, out of which the picture is cut.
        corners
            Where the picture lies in a photograph: x and y in pixels, from the upper left clockwise.
        cropped
            Whether the picture is cropped as those were that the model learned from; without it a model that looks at
            crops alone does not answer.

        Raises
        ------
        ImageError
            The image cannot be read.
        ClinicalError
            A value cannot be read.
        """
        if not MODALITIES[self.backbone.card.modality].accepts(image):
            raise NotAnImageError(f"{self.name} looks at pictures; an ECG was given.", "Ask a model of ECGs.")
        answering: Any = medloupe.predictor(self)
        if self.backbone.card.modality == "image":
            answering.photo, answering.cropped = PhotoRequest(mode=photo, corners=corners), cropped
        return answering.predict(image, given, heatmap=heatmap)

    def save(self, path: str | Path) -> Model:
        """Write one self-contained ONNX file, checked for parity; return the model pointing to it."""
        return medloupe.save(self, path)
