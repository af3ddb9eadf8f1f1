"""The runtime for kinds of data added from outside: example → window → network → answer. Nothing here trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.modalities import MODALITIES, Modality
from medloupe.inference.pictures import Predictor
from medloupe.model.applies import gather_questions, read_applies, read_told
from medloupe.model.bundle import Model
from medloupe.model.choosing import Opinion, choose_nearest
from medloupe.model.decision import Decision
from medloupe.model.polarity import Negative
from medloupe.model.prediction import Prediction, Refusal
from medloupe.model.router import kind_key

FOREIGN = "This {} is unlike the {} that {} was trained on (novelty {:.2f}, limit 1)."


def refusal(kind: Modality, model: str, novelty: float | None) -> Refusal | None:
    """Why an example of this novelty is not judged, or None."""
    if novelty is None or novelty <= 1:
        return None
    return Refusal(reason=FOREIGN.format(kind.one, kind.many, model, novelty), looks_like="")


class ExamplePredictor(Predictor):
    """A model of a kind that its entries in data/modalities and embed/modalities describe; safe to use from threads."""

    def refusal(self, embedding: np.ndarray, negative: Negative | None = None) -> Refusal | None:
        """Why an example with this embedding (D,) is not judged; None where it is of the model's kind."""
        novelty = self.model.novelty
        score = None if novelty is None else float(novelty.score(embedding[None])[0])
        return refusal(MODALITIES[self.model.backbone.card.modality], self.model.name, score)


class ExampleAuto:
    """Lets each example choose among the models of its kind of data: those of the kind that it is nearest to answer."""

    def __init__(
        self, models: Sequence[Model], *, network_threads: int | None = None, told: Mapping[str, str] | None = None
    ):
        self._predictors = [ExamplePredictor(m, network_threads=network_threads) for m in models]
        self._told, _ = read_told(told or {}, gather_questions(read_applies(m.card) for m in models))

    def predict(self, source: str | Path, *, heatmap: bool = False) -> Prediction:
        """Answer one example. Raises ImageError."""
        opinions = [
            Opinion(
                prediction=asked.predict(source, heatmap=heatmap),
                decision=Decision.from_card(asked.model.card),
                applies=read_applies(asked.model.card),
                asked=True,
                kind=kind_key(asked.model.card, asked.model.name),
                foreign=self._foreign(asked, source),
            )
            for asked in self._predictors
        ]
        return choose_nearest(opinions, self._told).prediction

    def _foreign(self, predictor: ExamplePredictor, source: Any) -> float:
        novelty = predictor.model.novelty
        if novelty is None or len(self._predictors) == 1:
            return 0.0
        return float(novelty.score(predictor.embedding(source)[None])[0])
