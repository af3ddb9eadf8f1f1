"""Answer a picture: decode it, run the network once, apply the head, refuse what is foreign, draw the heat map.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from medloupe.data.modalities import MODALITIES, PICTURES, recognise_upload
from medloupe.errors import NotAnImageError, StoreError
from medloupe.imaging.quality import Measures
from medloupe.imaging.sandbox.pool import DecoderPool, Preview
from medloupe.inference.everyday import load_everyday
from medloupe.model.choosing import Opinion, choose_answer
from medloupe.model.decision import Why
from medloupe.model.heatmaps import draw_overlay, label_evidence
from medloupe.model.prediction import Prediction, Refusal, refuse_by_all, stop_by_all
from medloupe.model.quality import judge_for_all, judge_quality
from medloupe.model.router import UNKNOWN_TO_ALL, Router, find_kind, refusal_reason
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.catalog import Catalog
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.chosen import form_opinion, separate_told
from medloupe.serving.engine.inputs import NO_INPUTS, GivenInputs, read_inputs
from medloupe.serving.engine.kinds import asking, not_a_picture_error
from medloupe.serving.engine.networks import HeadOutput, NetworkOutput, Networks
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.sessions import Sessions
from medloupe.serving.engine.windows import run_windows

PREVIEW = 768  # longer side of the picture shown on a result page, in pixels


class Answerer:
    """Answers with the check-ups of a catalog; safe to use from several threads.

    Parameters
    ----------
    sessions
        Runs the networks.
    decoders
        Decode pictures, in other processes.
    idle
        Says whether nobody else is being answered, so that a pass of the network may use all cores.
    """

    def __init__(self, sessions: Sessions, decoders: DecoderPool, idle: Callable[[], bool]):
        self.networks = Networks(sessions, idle)
        self._decoders = decoders
        self._routed: Sequence[tuple[Router, CheckUp]] = ()

    def route_among(self, checkups: Sequence[CheckUp]) -> None:
        """Choose among these check-ups from now on."""
        self._routed = _routers_by_network(checkups)

    def warm(self, checkup: CheckUp) -> None:
        """Open the network of a check-up before anybody waits for it."""
        if checkup.windows is not None:
            run_windows(self.networks.run, checkup, checkup.blank(), maps=True)
            return
        self.networks.apply_head(checkup, self.networks.forward(checkup, checkup.blank(), maps=True), 0)

    def ask(self, catalog: Catalog, checkup: CheckUp | None, question: Question) -> Answer:
        """Answer one picture or ECG.

        Parameters
        ----------
        catalog
            The check-ups in production.
        checkup
            Which of them is asked; None lets the router choose.
        question
            What is asked.

        Raises
        ------
        ImageError
            It cannot be read, or is of a kind that the check-up does not read.
        StoreError
            There is no check-up that could be chosen.
        ClinicalError
            A value given beside it cannot be read.
        """
        if checkup is not None and checkup.windows is not None:
            return asking(checkup.modality).ask(self.networks.run, [checkup], question)[0]
        data = question.data
        sent = recognise_upload(data, question.file)
        if not isinstance(data, bytes) or sent is not PICTURES:
            able = [c for c in catalog.all() if c.modality == sent.name]
            if checkup is not None or not able:
                raise not_a_picture_error(question.file, sent, able)
            return asking(sent.name).choose(self.networks.run, able, question)
        if checkup is None:
            return self._ask_chosen(catalog, question, data)
        started = time.perf_counter()
        known = read_inputs(checkup, question.fields)  # what cannot be read is told at once
        pixels, shown, measures = self._decode(data, checkup.size, question.preview)
        at = time.perf_counter()
        seen = self.networks.forward(checkup, pixels, maps=question.heatmap)
        timings = {"decode": 1000 * (at - started), "network": 1000 * (time.perf_counter() - at)}
        return self._answer(checkup, seen, timings, question, shown, known, measures)

    def _ask_chosen(self, catalog: Catalog, question: Question, data: bytes) -> Answer:
        """Answer a picture by all check-ups of its kind; refuse it where it is foreign to all."""
        started = time.perf_counter()
        routed, every = self._routed, {c.name: c for c in catalog.all() if c.windows is None}
        if not routed:
            raise StoreError(
                "There is no check-up yet that can tell its own kind of picture from others.",
                "Name the check-up, or train one: medloupe train FOLDER --name NAME",
            )
        question, told, unknown = separate_told(every.values(), question)
        pixels, shown, measures = self._decode(data, routed[0][1].size, question.preview)
        at = time.perf_counter()
        passes = {c.network_sha256: self.networks.forward(c, pixels, maps=question.heatmap) for _, c in routed}
        timings = {"decode": 1000 * (at - started), "network": 1000 * (time.perf_counter() - at)}
        sights = [(router, passes[first.network_sha256].shared[0]) for router, first in routed]
        near = {n: far for r, embedding in sights for n, far in r.rank(embedding).items() if n in every}
        asked = [every[name] for name in find_kind(near, {name: c.kind for name, c in every.items()})]
        if not asked:
            why = judge_for_all(measures, [c.quality for c in every.values()])
            alike = next(filter(None, (router.looks_like(embedding) for router, embedding in sights)), "")
            return replace(_refuse_by_all(question, alike, timings, shown, why), ignored=unknown)
        known = [read_inputs(checkup, question.fields) for checkup in asked]
        looked: list[HeadOutput] = []
        opinions: list[Opinion] = []
        for checkup, given in zip(asked, known, strict=True):
            if checkup.network_sha256 not in passes:  # it has a network of its own
                own, _, _ = self._decode(data, checkup.size, False)
                passes[checkup.network_sha256] = self.networks.forward(checkup, own, maps=question.heatmap)
            seen = passes[checkup.network_sha256]
            found = self.networks.apply_head(checkup, seen, 0)
            embedding = seen.shared[0]
            said = self.answer(checkup, embedding, found.logits, timings, question.file, given, measures)
            nearness = None if checkup.novelty is None else checkup.novelty.nearness(embedding)
            looked.append(found)
            opinions.append(form_opinion(checkup, said, nearness))
        chosen = choose_answer(opinions, told)
        timings["answer"] = 1000 * (time.perf_counter() - at) - timings["network"]
        if chosen.main is None:
            id = secrets.token_hex(16)
            said = chosen.prediction
            return Answer(id=id, digest=question.digest, prediction=said, checkup=None, preview=shown, ignored=unknown)
        i = chosen.main
        answer = self._dress(asked[i], chosen.prediction, looked[i].parts, question, shown, known[i])
        return replace(answer, ignored=(*answer.ignored, *unknown))

    def ask_many(self, checkups: Sequence[CheckUp], question: Question) -> list[Answer]:
        """Answer one picture or ECG by each of some check-ups, in their order; each network runs once.

        Raises as `ask` does.
        """
        kinds = {c.modality for c in checkups}
        if len(kinds) == 1 and (only := kinds.pop()) != PICTURES.name:
            return asking(only).ask(self.networks.run, checkups, question)
        data = question.data
        sent = recognise_upload(data, question.file)
        if not isinstance(data, bytes) or sent is not PICTURES:
            raise not_a_picture_error(question.file, sent, checkups)
        if other := next((c for c in checkups if c.windows is not None), None):
            reads = MODALITIES[other.modality].called
            raise NotAnImageError(f"{other.name} reads {reads}, not pictures.", "Ask check-ups of one kind at a time.")
        known = [read_inputs(checkup, question.fields) for checkup in checkups]
        passes: dict[str, tuple[NetworkOutput, dict[str, float], Measures]] = {}
        answers: list[Answer] = []
        for checkup, given in zip(checkups, known, strict=True):
            if checkup.network_sha256 not in passes:
                started = time.perf_counter()
                pixels, _, measures = self._decode(data, checkup.size, False)
                at = time.perf_counter()
                seen = self.networks.forward(checkup, pixels, maps=question.heatmap)
                spent = {"decode": 1000 * (at - started), "network": 1000 * (time.perf_counter() - at)}
                passes[checkup.network_sha256] = seen, spent, measures
            seen, spent, measures = passes[checkup.network_sha256]
            answers.append(self._answer(checkup, seen, dict(spent), question, None, given, measures))
        return answers

    def _decode(self, data: bytes, size: int, preview: bool) -> tuple[np.ndarray, Preview | None, Measures]:
        """Decode a picture to pixels uint8 (1, S, S, 3), what a page shows of it if asked for, and its measures."""
        if preview:
            decoded, shown = self._decoders.decode_and_preview(data, size, PREVIEW)
        else:
            decoded, shown = self._decoders.decode(data, size), None
        return decoded.pixels[None], shown, decoded.measures

    def _answer(
        self,
        checkup: CheckUp,
        seen: NetworkOutput,
        timings: dict[str, float],
        question: Question,
        shown: Preview | None,
        known: GivenInputs,
        measures: Measures,
    ) -> Answer:
        """Make the answer to one picture that the check-up's network has seen, and to what is known beside it."""
        at = time.perf_counter()
        found = self.networks.apply_head(checkup, seen, 0)
        prediction = self.answer(checkup, seen.shared[0], found.logits, timings, question.file, known, measures)
        answer = self._dress(checkup, prediction, found.parts, question, shown, known)
        timings["answer"] = 1000 * (time.perf_counter() - at)
        return answer

    def _dress(
        self,
        checkup: CheckUp,
        prediction: Prediction,
        parts: np.ndarray | None,
        question: Question,
        shown: Preview | None,
        known: GivenInputs,
    ) -> Answer:
        """Put to a prediction what belongs to its answer: the picture, and what each place (K, h, w) adds."""
        answer = Answer(
            id=secrets.token_hex(16),
            digest=question.digest,
            prediction=prediction,
            checkup=checkup,
            preview=shown,
            given=known.given,
            ignored=known.ignored,
        )
        if parts is not None:
            order = [checkup.labels.index(label) for label in prediction.probabilities]
            answer = replace(answer, places={checkup.labels[k]: parts[k] for k in order})
            if shown is not None:
                answer = replace(answer, evidence=self._overlays(checkup, parts, order, shown))
        return answer

    def answer(
        self,
        checkup: CheckUp,
        embedding: np.ndarray,
        logits: np.ndarray,
        timings: Mapping[str, float],
        file: str = "",
        known: GivenInputs = NO_INPUTS,
        measures: Measures | None = None,
    ) -> Prediction:
        """Make the Prediction of one picture.

        Parameters
        ----------
        checkup
            Which answers.
        embedding
            Float32 (D,), as the network without the check-up's tail gave it; by it the picture is refused.
        logits
            Float32 (K,), before what is known beside the picture.
        timings
            Milliseconds by stage.
        file
            The picture's name, as it was sent.
        known
            What is known beside the picture.
        measures
            How it was taken; None where only its fitted pixels are at hand, by which that cannot be told.
        """
        unusable = judge_quality(measures, checkup.quality)
        p = checkup.probabilities(logits if known.logits is None else logits + known.logits)
        return Prediction.of(
            checkup.decision,
            p,
            file=file,
            model=checkup.name,
            version=checkup.version,
            refused=None if unusable else self._refusal(checkup, embedding),
            unusable=unusable,
            timings=timings,
            inputs=known.influences,
        )

    def _refusal(self, checkup: CheckUp, embedding: np.ndarray) -> Refusal | None:
        if checkup.novelty is None:
            return None
        score = float(checkup.novelty.score(embedding[None])[0])
        if score <= 1:
            return None
        comparable = (r for r, first in self._routed if first.network_sha256 == checkup.network_sha256)
        router = next(comparable, None)
        return Refusal(
            reason=refusal_reason(checkup.name, score),
            looks_like=router.looks_like(embedding, checkup.name) if router is not None else "",
        )

    def _overlays(self, checkup: CheckUp, parts: np.ndarray, order: Sequence[int], shown: Preview) -> dict[str, bytes]:
        size = checkup.size
        longer = max(shown.width, shown.height)
        w, h = (max(1, round(side * size / longer)) for side in (shown.width, shown.height))
        left, top = (size - w) // 2, (size - h) // 2
        box = (left, top, left + w, top + h)
        return {checkup.labels[k]: draw_overlay(label_evidence(parts, k, checkup.task), size, box) for k in order}


def _refuse_by_all(
    question: Question, alike: str, timings: dict[str, float], shown: Preview | None, unusable: Why | None
) -> Answer:
    """Make the answer to a picture that is foreign to every check-up. alike: what it looks like, or ""."""
    refused = Refusal(reason=UNKNOWN_TO_ALL, looks_like=alike)
    nothing = refuse_by_all(question.file, refused, timings)
    if unusable is not None:
        nothing = stop_by_all(question.file, unusable, timings)
    return Answer(id=secrets.token_hex(16), digest=question.digest, prediction=nothing, checkup=None, preview=shown)


def _routers_by_network(checkups: Sequence[CheckUp]) -> Sequence[tuple[Router, CheckUp]]:
    """Make a router over the check-ups of each network, with one of these; the network most of them use comes first.

    Only check-ups trained on the network that most were trained on: of it, several precisions may run.
    """
    able = [c for c in checkups if c.novelty is not None and not c.whole and c.windows is None]
    if not able:
        return ()
    base, _ = Counter(c.base for c in able).most_common(1)[0]
    able = [c for c in able if c.base == base]
    found = []
    for network, _ in Counter(c.network_sha256 for c in able).most_common():
        sharing = [c for c in able if c.network_sha256 == network]
        kinds = {c.name: c.novelty for c in sharing if c.novelty is not None}
        found.append((Router(kinds, load_everyday(network)), sharing[0]))
    return found
