"""Answer pictures by a composed check-up: a detector finds things, a check-up is asked about each of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from medloupe.imaging.photo import PhotoRequest
from medloupe.inference.pictures import LooksLike, Predictor
from medloupe.model.bundle import Model
from medloupe.model.crops import CellQuestion, ask_cells
from medloupe.model.prediction import Prediction


class ComposedPredictor(Predictor):
    """A composed check-up ready to answer; safe to use from several threads.

    Parameters
    ----------
    model : Model
        With `asks`.
    network_threads, looks_like
        As Predictor has them.
    """

    def __init__(self, model: Model, *, network_threads: int | None = None, looks_like: LooksLike | None = None):
        if model.asks is None:
            raise ValueError(f"{model.name} asks nothing about what it finds")
        super().__init__(model, network_threads=network_threads, looks_like=looks_like)
        asked = model.asks.checkup
        self._asked = Predictor(asked, network_threads=network_threads)
        self._question = CellQuestion.from_cards(
            model.card["composed"], self._decision, asked.card, asked.novelty, self._asked.size
        )
        self._full_above = 0  # things are cropped from every picture

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

        Where the detector refuses the picture, nothing is asked. Things are cropped from the picture's own pixels, or
        from FULL_SIDE of them where it is larger.
        """
        found, full, where, _ = self._predict(image, given, file=file, heatmap=heatmap, photo=photo)
        if found.state in ("refused", "unusable") or full is None or found.size is None:
            return found.in_photograph(where)
        began = time.perf_counter()
        asked = ask_cells(full, found.boxes or (), *found.size, self._question, self._asked.run_with_shared)
        timings = {**found.timings, "asking": 1000 * (time.perf_counter() - began)}
        said = replace(found.with_cells(self._question.decision, asked), timings=timings)
        return said.in_photograph(where)
