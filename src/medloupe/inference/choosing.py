"""Let a picture choose: find its kind, and let all check-ups of that kind answer from one pass of the network."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from medloupe.embed.network import combine_outputs
from medloupe.graphs.session import open_session, run, run_tail
from medloupe.imaging.decode import decode_picture
from medloupe.imaging.photo import AUTO, Photo, PhotoRequest
from medloupe.imaging.picture import Picture, negative_of
from medloupe.imaging.quality import Limits, Measures
from medloupe.inference.answering import apply_head, make_prediction
from medloupe.inference.everyday import load_everyday
from medloupe.inference.pictures import Predictor, Unanswered, predict_in_order
from medloupe.model.applies import gather_questions, read_applies, read_told
from medloupe.model.bundle import Model
from medloupe.model.choosing import Opinion, choose_answer
from medloupe.model.decision import Decision
from medloupe.model.novelty import Nearness
from medloupe.model.polarity import looks_inverted, refuse_everywhere, refuse_inverted
from medloupe.model.prediction import Prediction, Refusal
from medloupe.model.quality import judge_for_all, judge_photo, judge_picture
from medloupe.model.router import Router, find_kind, kind_key, refusal_reason
from medloupe.starter.printed_ecg import load_printed_ecg


class AutoPredictor:
    """Lets each image choose the kind of check-up, one pass of the network for all; safe to use from several threads.

    Parameters
    ----------
    models : sequence of Model
        Each with a novelty, all on the same backbone.
    beside : sequence of Model, optional
        Others that answer where an image is of their kind: on other networks, which run for themselves, or without a
        novelty. Those with a sight of the shared network are found by it, others by the kind that their card names.
    told : mapping, optional
        Fields that answer questions of the check-ups (`applies.age`), as medloupe.model.applies reads them.
    network_threads : int, optional
        Of one run of the network; settings.threads() by default.

    Raises
    ------
    ClinicalError
        When a question is answered by none of its choices.

    Attributes
    ----------
    photo : PhotoRequest
        Whether pictures may be photographs, out of which the picture is cut.
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
        self.photo: PhotoRequest = AUTO
        every = (*models, *beside)
        self._models = {m.name: m for m in models}
        self._beside = {m.name: m for m in beside}
        self._decisions = {m.name: Decision.from_card(m.card) for m in every}
        self._applies = {m.name: read_applies(m.card) for m in every}
        self._kinds = {m.name: kind_key(m.card, m.name) for m in every}
        self._told, _ = read_told(told or {}, gather_questions(self._applies.values()))
        checkups = {m.name: m.novelty for m in models if m.novelty is not None}
        checkups |= {m.name: seen for m in beside if (seen := m.find_sight(backbone.sha256)) is not None}
        self._router = Router(checkups, load_everyday(backbone.sha256), load_printed_ecg(backbone.sha256))
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
        picture = decode_picture(source, min_side=self.size, photo=self.photo)
        pixels, measures = picture.fit(self.size), picture.measure()
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
        if not asked:
            why = judge_photo(picture.photo) or judge_for_all(measures, limits)
            alike = self._router.looks_like(embedding)
            inverted = "" if why else self._find_inverted(self._models, embedding, pixels, picture)
            said = refuse_everywhere(name, alike, inverted, timings, why)
            return replace(said, facts=picture.facts, photo=picture.photo)
        inverted = bool(self._find_inverted(asked, embedding, pixels, picture))
        opinions = [
            self._own(one, found, name, timings, measures, picture.photo, heatmap=heatmap, inverted=inverted)
            if one in self._models
            else self._other(one, source, name, heatmap=heatmap)
            for one in asked
        ]
        return replace(choose_answer(opinions, self._told).prediction, facts=picture.facts, photo=picture.photo)

    def _find_inverted(self, names: Iterable[str], embedding: np.ndarray, pixels: np.ndarray, picture: Picture) -> str:
        """Name the first of some check-ups to which a grey picture is inverted, by one more pass; "" where none is."""
        own = {n: novelty for n in names if n in self._models and (novelty := self._models[n].novelty) is not None}

        @cache
        def look() -> np.ndarray | None:
            negative = negative_of(pixels, picture.width, picture.height)
            return None if negative is None else run(self._network, ["embedding"], negative[None])[0][0]

        return next((n for n, novelty in own.items() if looks_inverted(novelty, embedding, look)), "")

    def _own(
        self,
        name: str,
        found: Mapping[str, np.ndarray],
        file: str,
        timings: Mapping[str, float],
        measures: Measures,
        photo: Photo | None,
        *,
        heatmap: bool,
        inverted: bool,
    ) -> Opinion:
        """Answer from the pass of the shared network."""
        model, embedding = self._models[name], found["embedding"][0]
        assert model.novelty is not None
        tail = self._tails.get(name)
        upper = (lambda wanted, cut: run_tail(tail, wanted, cut)) if tail is not None else None
        looked = combine_outputs(lambda wanted: [found[n] for n in wanted], upper, maps=heatmap)
        logits, parts = apply_head(model, looked.embedding, looked.map)
        score = float(model.novelty.score(embedding[None])[0])
        refused = Refusal(reason=refusal_reason(name, score), looks_like="") if score > 1 else None
        if inverted:
            refused = refuse_inverted(name)
        limits = Limits.from_json(model.card.get("quality"))
        decision = self._decisions[name]
        refused, unusable = judge_picture(
            refused, measures, limits, model.novelty, embedding, photo, decision.photographs
        )
        prediction = make_prediction(
            model,
            decision,
            file,
            logits[0],
            None if parts is None else parts[0],
            timings,
            refused=refused,
            unusable=unusable,
        )
        return self._opinion(name, prediction, model.novelty.nearness(embedding))

    def _other(self, name: str, source: Path | bytes | np.ndarray, file: str, *, heatmap: bool) -> Opinion:
        """Answer from the model's own network, opened when it is first needed."""
        model = self._beside[name]
        asked = self._predictors.setdefault(name, Predictor(model, network_threads=self._threads))
        asked.photo = self.photo
        prediction, embedding = asked.judge(source, file=file, heatmap=heatmap)
        near = None if model.novelty is None or embedding is None else model.novelty.nearness(embedding)
        return self._opinion(name, prediction, near)

    def _opinion(self, name: str, prediction: Prediction, near: Nearness | None) -> Opinion:
        return Opinion(prediction=prediction, decision=self._decisions[name], applies=self._applies[name], near=near)

    def predict_many(self, files: Iterable[Path]) -> Iterator[tuple[Path, Prediction | Unanswered]]:
        """Answer files as Predictor.predict_many does."""
        return predict_in_order(self.predict, files)
