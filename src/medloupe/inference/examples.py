"""The runtime for kinds of data added from outside: example → window → network → answer. Nothing here trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.modalities import MODALITIES, Modality
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.prediction import Prediction, Refusal

FOREIGN = "This {} is unlike the {} that {} was trained on (novelty {:.2f}, limit 1)."


def refusal(kind: Modality, model: str, novelty: float | None) -> Refusal | None:
    """Why an example of this novelty is not judged, or None."""
    if novelty is None or novelty <= 1:
        return None
    return Refusal(reason=FOREIGN.format(kind.one, kind.many, model, novelty), looks_like="")


class ExamplePredictor(Predictor):
    """A model of a kind that its entries in data/modalities and embed/modalities describe; safe to use from threads."""

    def refusal(self, embedding: np.ndarray) -> Refusal | None:
        """Why an example with this embedding (D,) is not judged; None where it is of the model's kind."""
        novelty = self.model.novelty
        score = None if novelty is None else float(novelty.score(embedding[None])[0])
        return refusal(MODALITIES[self.model.backbone.card.modality], self.model.name, score)


class ExampleAuto:
    """Lets each example choose among the models of its kind: the one to which it is least foreign."""

    def __init__(self, models: Sequence[Model], *, network_threads: int | None = None):
        self._predictors = [ExamplePredictor(m, network_threads=network_threads) for m in models]

    def predict(self, source: str | Path, *, heatmap: bool = False) -> Prediction:
        """Answer one example. Raises ImageError."""
        answers = [(self._foreign(p, source), p) for p in self._predictors]
        _, best = min(answers, key=lambda a: a[0])
        return best.predict(source, heatmap=heatmap)

    def _foreign(self, predictor: ExamplePredictor, source: Any) -> float:
        novelty = predictor.model.novelty
        if novelty is None or len(self._predictors) == 1:
            return 0.0
        return float(novelty.score(predictor.embedding(source)[None])[0])
