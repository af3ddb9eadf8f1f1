"""Write the boxes of a run of `medloupe predict` to files."""

from __future__ import annotations

from pathlib import Path

import typer

from medloupe.errors import MedloupeError
from medloupe.inference.boxfiles import PictureBoxes, marked_boxes, write_boxes_csv, write_coco
from medloupe.inference.pictures import Unanswered
from medloupe.model.bundle import Model
from medloupe.model.prediction import Prediction
from medloupe.utils.files import write_atomically


class BoxWriter:
    """Gathers the boxes of answers, and writes them at the end.

    Parameters
    ----------
    csv, coco
        The files, where they are wanted.
    model
        The one that is asked; None where each file chooses.

    Raises
    ------
    MedloupeError
        Files of boxes are wanted of a model that finds none.
    """

    def __init__(self, csv: Path | None, coco: Path | None, model: Model | None):
        self._csv, self._coco, self._model = csv, coco, model
        self._found: list[PictureBoxes] = []
        if self._wanted and model is not None and model.card["task"] != "detection":
            raise typer.BadParameter(
                f"{model.name} finds no boxes, so that there are none to write.", param_hint="--csv, --coco"
            )

    @property
    def _wanted(self) -> bool:
        return self._csv is not None or self._coco is not None

    def add(self, answer: Prediction | Unanswered) -> None:
        """Take the boxes of an answer that are marked; what has none is left out."""
        if not self._wanted or isinstance(answer, MedloupeError):
            return
        found = marked_boxes(answer)
        if found is not None and answer.state not in ("refused", "unusable"):  # no boxes is not the same as not judged
            self._found.append(found)

    def close(self) -> None:
        """Write the files, whole or not at all."""
        if self._csv is not None:
            write_atomically(self._csv, write_boxes_csv(self._found).encode())
        if self._coco is not None:
            labels = () if self._model is None else self._model.labels
            about = "Marked by medloupe" if self._model is None else f"Marked by {self._model.name}, medloupe"
            write_atomically(self._coco, write_coco(self._found, labels, about).encode())
