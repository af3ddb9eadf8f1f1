"""Answer pictures by a model of crops: a detector finds what it was cropped to, and the crop is asked about."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from medloupe.errors import StoreError, did_you_mean
from medloupe.imaging.photo import PhotoRequest
from medloupe.imaging.picture import fitted_frame
from medloupe.inference.pictures import LooksLike, Predictor
from medloupe.model.boxes import FoundBox, fit_boxes
from medloupe.model.bundle import Model
from medloupe.model.crops import cut_crop
from medloupe.model.decision import Decision, Why
from medloupe.model.prediction import Prediction

_HALF = 0.5  # of a score, where a detector has neither a line for counting nor one for marking


class CroppingPredictor(Predictor):
    """A detector, and a model that is asked about the crop of what it finds; safe to use from several threads.

    Parameters
    ----------
    model : Model
        Whose card says to which boxes its pictures were cropped, to all of them together.
    finder : Model
        A detector of these.
    network_threads, looks_like
        As Predictor has them.

    Raises
    ------
    StoreError
        The two do not fit together.
    """

    def __init__(
        self,
        model: Model,
        finder: Model,
        *,
        network_threads: int | None = None,
        looks_like: LooksLike | None = None,
    ):
        self._crop = model.card.get("crop") or {}
        if not self._crop:
            raise StoreError(f"{model.name} looks at whole pictures.", "Leave --find out.")
        if finder.detector is None:
            raise StoreError(f"{finder.name} finds no boxes: it is no detector.", "Train one on a data set with boxes.")
        for label in self._crop["labels"]:
            if label not in finder.labels:
                raise StoreError(
                    f"{model.name} looks at crops of {label}; {finder.name} finds: {', '.join(finder.labels)}.",
                    did_you_mean(label, finder.labels) or "Name a detector of what its pictures were cropped to.",
                )
        super().__init__(finder, network_threads=network_threads)
        self._full_above = 0  # crops are cut from every picture
        self._asked = Predictor(model, network_threads=network_threads, looks_like=looks_like)
        self._asked.cropped = True
        self._answers = Decision.from_card(model.card)

    def predict(
        self,
        image: str | Path | bytes | np.ndarray,
        given: Mapping[str, str] | None = None,
        *,
        file: str = "",
        heatmap: bool = False,
        photo: PhotoRequest | None = None,
    ) -> Prediction:
        """Answer one picture; arguments and errors as Predictor.predict has them.

        Where what it is to be cropped to is not found, the picture cannot be used.
        """
        began = time.perf_counter()
        name = file or (str(image) if isinstance(image, (str, Path)) else "")
        found, full, where, _ = self._predict(image, None, file=name, heatmap=False, photo=photo)
        timings = {"finding": 1000 * (time.perf_counter() - began)}
        finder = self.model.name
        if found.state in ("refused", "unusable") or full is None or found.size is None:
            reason = found.said.why.text if found.said.why else f"{finder} cannot look at it."
            return replace(self._give_up(f"{finder} marks nothing on it. {reason}", name), timings=timings, photo=where)
        boxes = self._choose_boxes(found.boxes or ())
        if missing := [label for label in self._crop["labels"] if label not in boxes]:
            why = f"{finder} found no {' and no '.join(missing)} on it, to which it is to be cropped."
            return replace(self._give_up(why, name), timings=timings, photo=where)
        corners = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in boxes.values()], np.float32)
        around = np.concatenate([corners[:, :2].min(0), corners[:, 2:].max(0)])[None]
        place, frame = fit_boxes(around, *found.size, len(full))[0], fitted_frame(*found.size, len(full))
        crop = cut_crop(full, place, frame, margin=self._crop["margin"], grey=self._crop["grey"])
        said = self._asked.predict(np.asarray(crop), given, file=name, heatmap=heatmap)
        return replace(said, timings={**said.timings, **timings}, photo=where)

    def _choose_boxes(self, boxes: tuple[FoundBox, ...]) -> dict[str, FoundBox]:
        """Choose the surest box of each label that is cropped to, of those at or over the detector's line."""
        chosen: dict[str, FoundBox] = {}
        for box in boxes:
            if box.label not in self._crop["labels"] or box.score < _find_line(self._decision, box.label):
                continue
            if box.label not in chosen or box.score > chosen[box.label].score:
                chosen[box.label] = box
        return chosen

    def _give_up(self, why: str, name: str) -> Prediction:
        """Say that nothing is answered, and why."""
        return Prediction.of(
            self._answers,
            np.zeros(len(self._answers.labels)),
            unusable=Why(code="not_found", text=why),
            file=name,
            model=self._asked.model.name,
            version=self._asked.model.version,
        )


def _find_line(decision: Decision, label: str) -> float:
    """Find the score from which a box of a label is one."""
    k = decision.labels.index(label)
    if decision.count_lines and decision.count_lines[k] <= 1:
        return decision.count_lines[k]
    line = decision.line(label)
    return _HALF if line is None else line
