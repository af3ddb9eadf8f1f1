"""Let a picture choose: find its kind, and let all check-ups of that kind answer from one pass of the network."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from medloupe.embed.network import combine_outputs
from medloupe.graphs.session import open_session, run, run_tail
from medloupe.imaging.decode import load_judged
from medloupe.imaging.quality import Limits, Measures
from medloupe.inference.everyday import load_everyday
from medloupe.inference.pictures import Predictor, Unanswered, apply_head, make_prediction, predict_in_order
from medloupe.model.applies import gather_questions, read_applies, read_told
from medloupe.model.bundle import Model
from medloupe.model.choosing import Opinion, choose_answer
from medloupe.model.decision import Decision
from medloupe.model.novelty import Nearness
from medloupe.model.prediction import Prediction, Refusal, refuse_by_all, stop_by_all
from medloupe.model.quality import judge_for_all, judge_quality
from medloupe.model.router import UNKNOWN_TO_ALL, Router, find_kind, kind_key, refusal_reason


class AutoPredictor:
    """Lets each image choose the kind of check-up, one pass of the network for all; safe to use from several threads.

    Parameters
    ----------
    models : sequence of Model
        Each with a novelty, all on the same backbone.
    beside : sequence of Model, optional
        Others that answer where an image is of their kind: on other networks, which run for themselves, or without a
        novelty.
    told : mapping, optional
        Fields that answer questions of the check-ups (`applies.age`), as medloupe.model.applies reads them.
    network_threads : int, optional
        Of one run of the network; settings.threads() by default.

    Raises
    ------
    ClinicalError
        When a question is answered by none of its choices.
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        beside: Sequence[Model] = (),
        told: Mapping[str, str] | None = None,
        network_threads: int | None = None,
    ):
        backbone = models[0].backbone
        if any(m.novelty is None or m.backbone.sha256 != backbone.sha256 for m in models):
            raise ValueError("Choosing needs models that share a backbone and know their own kind of picture.")
        self.size: int = backbone.card.input_size
        every = (*models, *beside)
        self._models = {m.name: m for m in models}
        self._beside = {m.name: m for m in beside}
        self._decisions = {m.name: Decision.from_card(m.card) for m in every}
        self._applies = {m.name: read_applies(m.card) for m in every}
        self._kinds = {m.name: kind_key(m.card, m.name) for m in every}
        self._told, _ = read_told(told or {}, gather_questions(self._applies.values()))
        checkups = {m.name: m.novelty for m in models if m.novelty is not None}
        self._router = Router(checkups, load_everyday(backbone.sha256))
        self._threads = network_threads
        self._network = open_session(backbone.path, threads=network_threads)
        self._tails = {m.name: open_session(m.tail.path, threads=network_threads) for m in models if m.tail is not None}
        self._predictors: dict[str, Predictor] = {}

    def predict(self, image: str | Path | bytes | np.ndarray, *, file: str = "", heatmap: bool = False) -> Prediction:
        """Answer by all models of the image's kind, the most dangerous answer first; refuse it where there is none.

        Raises
        ------
        ImageError
            When it cannot be read.
        """
        source = Path(image) if isinstance(image, str) else image
        started = time.perf_counter()
        pixels, measures = load_judged(source, self.size)
        decoded = time.perf_counter()
        names = ["embedding", "map"] if heatmap else ["embedding"]
        if self._tails:
            names.append("cut")
        found = dict(zip(names, run(self._network, names, pixels[None]), strict=True))
        timings = {"decode": 1000 * (decoded - started), "network": 1000 * (time.perf_counter() - decoded)}
        name = file or (str(image) if isinstance(image, (str, Path)) else "")
        embedding = found["embedding"][0]
        asked = find_kind(self._router.rank(embedding), self._kinds)
        limits = [Limits.from_json(model.card.get("quality")) for model in self._models.values()]
        if not asked and (why := judge_for_all(measures, limits)) is not None:
            return stop_by_all(name, why, timings)
        if not asked:
            refused = Refusal(reason=UNKNOWN_TO_ALL, looks_like=self._router.looks_like(embedding))
            return refuse_by_all(name, refused, timings)
        opinions = [
            self._own(one, found, name, timings, measures, heatmap=heatmap)
            if one in self._models
            else self._other(one, source, name, heatmap=heatmap)
            for one in asked
        ]
        return choose_answer(opinions, self._told).prediction

    def _own(
        self,
        name: str,
        found: Mapping[str, np.ndarray],
        file: str,
        timings: Mapping[str, float],
        measures: Measures,
        *,
        heatmap: bool,
    ) -> Opinion:
        """Answer from the pass of the shared network."""
        model, embedding = self._models[name], found["embedding"][0]
        assert model.novelty is not None
        tail = self._tails.get(name)
        upper = (lambda wanted, cut: run_tail(tail, wanted, cut)) if tail is not None else None
        looked = combine_outputs(lambda wanted: [found[n] for n in wanted], upper, maps=heatmap)
        logits, parts = apply_head(model, looked.embedding, looked.map)
        score = float(model.novelty.score(embedding[None])[0])
        prediction = make_prediction(
            model,
            self._decisions[name],
            file,
            logits[0],
            None if parts is None else parts[0],
            timings,
            refused=Refusal(reason=refusal_reason(name, score), looks_like="") if score > 1 else None,
            unusable=judge_quality(measures, Limits.from_json(model.card.get("quality"))),
        )
        return self._opinion(name, prediction, model.novelty.nearness(embedding))

    def _other(self, name: str, source: Path | bytes | np.ndarray, file: str, *, heatmap: bool) -> Opinion:
        """Answer from the model's own network, opened when it is first needed."""
        model = self._beside[name]
        asked = self._predictors.setdefault(name, Predictor(model, network_threads=self._threads))
        near = None if model.novelty is None else model.novelty.nearness(asked.embedding(source))
        return self._opinion(name, asked.predict(source, file=file, heatmap=heatmap), near)

    def _opinion(self, name: str, prediction: Prediction, near: Nearness | None) -> Opinion:
        return Opinion(prediction=prediction, decision=self._decisions[name], applies=self._applies[name], near=near)

    def predict_many(self, files: Iterable[Path]) -> Iterator[tuple[Path, Prediction | Unanswered]]:
        """Answer files as Predictor.predict_many does."""
        return predict_in_order(self.predict, files)
