"""Answer a picture: decode it, run the network once, apply the head, refuse what is foreign, draw the heat map.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from medloupe.data.modalities import MODALITIES, PICTURES, recognise_upload
from medloupe.ecg.parsers import EcgParsers
from medloupe.errors import NotAnImageError, StoreError
from medloupe.imaging.photo import Photo
from medloupe.imaging.quality import Measures
from medloupe.imaging.sandbox.pool import Decoded, DecoderPool, Preview
from medloupe.model.boxes import FoundBox
from medloupe.model.choosing import Opinion, choose_answer
from medloupe.model.polarity import refuse_everywhere, refuse_inverted
from medloupe.model.prediction import Prediction, Refusal
from medloupe.model.printed_ecg import refuse_foreign
from medloupe.model.quality import judge_for_all, judge_photo, judge_picture
from medloupe.model.router import Router, find_kind, refusal_reason
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.catalog import Catalog
from medloupe.serving.engine.cells import answer_cells
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.chosen import form_opinion, separate_told
from medloupe.serving.engine.found import find_places
from medloupe.serving.engine.inputs import NO_INPUTS, GivenInputs, read_inputs
from medloupe.serving.engine.kinds import asking, not_a_picture_error
from medloupe.serving.engine.negatives import find_inverted
from medloupe.serving.engine.networks import HeadOutput, NetworkOutput, Networks
from medloupe.serving.engine.overlays import dress_answer
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.routers import routers_by_network
from medloupe.serving.engine.sessions import Sessions
from medloupe.serving.engine.watching import note_features
from medloupe.serving.engine.windows import run_windows
from medloupe.utils.spans import span

PREVIEW = 768  # longer side of the picture shown on a result page, in pixels
LARGE_PREVIEW = 2048  # of one that boxes are drawn on, which is zoomed into


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
    parsers
        Read ECGs, in other processes.
    """

    def __init__(
        self,
        sessions: Sessions,
        decoders: DecoderPool,
        idle: Callable[[], bool],
        parsers: EcgParsers | None = None,
    ):
        self.networks = Networks(sessions, idle)
        self._decoders, self._parsers = decoders, parsers
        self._routed: Sequence[tuple[Router, CheckUp]] = ()

    def route_among(self, checkups: Sequence[CheckUp]) -> None:
        """Choose among these check-ups from now on."""
        self._routed = routers_by_network(checkups)

    def warm(self, checkup: CheckUp) -> None:
        """Open the network of a check-up before anybody waits for it."""
        if checkup.windows is not None:
            run_windows(self.networks.run, checkup, checkup.blank(), maps=True)
            return
        self.networks.apply_head(checkup, self.networks.forward(checkup, checkup.blank(), maps=True), 0)
        if checkup.asks is not None:
            self.warm(checkup.asks.checkup)

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
            return asking(checkup.modality).ask(self.networks.run, [checkup], question, self._parsers)[0]
        data = question.data
        sent = recognise_upload(data, question.file)
        if not isinstance(data, bytes) or sent is not PICTURES:
            able = [c for c in catalog.all() if c.modality == sent.name]
            if checkup is not None or not able:
                raise not_a_picture_error(question.file, sent, able)
            return asking(sent.name).choose(self.networks.run, able, question, self._parsers)
        if checkup is None:
            return self._ask_chosen(catalog, question, data)
        started = time.perf_counter()
        known = read_inputs(checkup, question.fields)  # what cannot be read is told at once
        decoded, shown = self._decode(data, checkup.size, question, checkup.full_above)
        if checkup.finds_boxes and shown is not None and decoded.photo is not None:
            shown = self._decoders.preview(data, PREVIEW)  # boxes are told where they lie in the photograph
        at = time.perf_counter()
        seen = self.networks.forward(checkup, decoded.pixels[None], maps=question.heatmap)
        timings = {"decode": 1000 * (at - started), "network": 1000 * (time.perf_counter() - at)}
        with span("answer"):
            return self._answer(checkup, seen, timings, question, shown, known, decoded)

    def _ask_chosen(self, catalog: Catalog, question: Question, data: bytes) -> Answer:
        """Answer a picture by all check-ups of its kind; refuse it where it is foreign to all."""
        started = time.perf_counter()
        routed, every = self._routed, {c.name: c for c in catalog.all() if c.chooses_itself}
        if not routed:
            raise StoreError(
                "There is no check-up yet that can tell its own kind of picture from others.",
                "Name the check-up, or train one: medloupe train FOLDER --name NAME",
            )
        question, told, unknown = separate_told(every.values(), question)
        first = routed[0][1]
        decoded, shown = self._decode(data, first.size, question, first.full_above)
        decodings = {c.network_sha256: decoded for _, c in routed}
        pixels, measures = decoded.pixels[None], decoded.measures
        at = time.perf_counter()
        passes = {c.network_sha256: self.networks.forward(c, pixels, maps=question.heatmap) for _, c in routed}
        timings = {"decode": 1000 * (at - started), "network": 1000 * (time.perf_counter() - at)}
        sights = [(router, passes[first.network_sha256].shared[0]) for router, first in routed]
        near = {n: far for r, embedding in sights for n, far in r.rank(embedding).items() if n in every}
        asked = [every[name] for name in find_kind(near, {name: c.kind for name, c in every.items()})]
        if not asked:
            why = judge_photo(decoded.photo) or judge_for_all(measures, [c.quality for c in every.values()])
            alike = next(filter(None, (router.looks_like(embedding) for router, embedding in sights)), "")
            inverted = "" if why else find_inverted(self.networks.forward, every.values(), passes, decoded)
            said = refuse_everywhere(question.file, alike, inverted, timings, why)
            id, said = secrets.token_hex(16), replace(said, facts=question.tell(decoded.facts), photo=decoded.photo)
            return Answer(id=id, digest=question.digest, prediction=said, checkup=None, preview=shown, ignored=unknown)
        known = [read_inputs(checkup, question.fields) for checkup in asked]
        looked: list[HeadOutput] = []
        opinions: list[Opinion] = []
        inverted = bool(find_inverted(self.networks.forward, asked, passes, decoded))
        for checkup, given in zip(asked, known, strict=True):
            network = checkup.network_sha256
            alone = network not in passes  # it has a network of its own
            if alone:
                decodings[network] = self._decoders.decode(data, checkup.size, question.photo, checkup.full_above)
                pixels = decodings[network].pixels[None]
                passes[network] = self.networks.forward(checkup, pixels, maps=question.heatmap)
            seen, own = passes[network], decodings[network]
            found = self.networks.apply_head(checkup, seen, 0)
            places = find_places(self.networks, checkup, seen, own)
            said = self.answer(
                checkup,
                places.seen.shared[0],
                found.logits if places.logits is None else places.logits,
                timings,
                question.file,
                given,
                measures,
                inverted=inverted or (alone and places.is_inverted(self.networks, checkup, own)),
                boxes=places.boxes,
                photo=decoded.photo,
            )
            said = places.add_to(said, own)
            nearness = None if checkup.novelty is None else checkup.novelty.nearness(places.seen.shared[0])
            looked.append(found)
            opinions.append(form_opinion(checkup, said, nearness))
        chosen = choose_answer(opinions, told)
        timings["answer"] = 1000 * (time.perf_counter() - at) - timings["network"]
        said = replace(chosen.prediction, facts=question.tell(decoded.facts), photo=decoded.photo)
        if chosen.main is None:
            id = secrets.token_hex(16)
            return Answer(id=id, digest=question.digest, prediction=said, checkup=None, preview=shown, ignored=unknown)
        i = chosen.main
        answer = dress_answer(asked[i], said, looked[i].parts, question, shown, known[i])
        watched = note_features(asked[i], said, passes[asked[i].network_sha256].shared[0])
        return replace(answer, ignored=(*answer.ignored, *unknown), watched=watched)

    def ask_many(self, checkups: Sequence[CheckUp], question: Question) -> list[Answer]:
        """Answer one picture or ECG by each of some check-ups, in their order; each network runs once.

        Raises as `ask` does.
        """
        kinds = {c.modality for c in checkups}
        if len(kinds) == 1 and (only := kinds.pop()) != PICTURES.name:
            return asking(only).ask(self.networks.run, checkups, question, self._parsers)
        data = question.data
        sent = recognise_upload(data, question.file)
        if not isinstance(data, bytes) or sent is not PICTURES:
            raise not_a_picture_error(question.file, sent, checkups)
        if other := next((c for c in checkups if c.windows is not None), None):
            reads = MODALITIES[other.modality].called
            raise NotAnImageError(f"{other.name} reads {reads}, not pictures.", "Ask check-ups of one kind at a time.")
        known = [read_inputs(checkup, question.fields) for checkup in checkups]
        passes: dict[str, tuple[NetworkOutput, dict[str, float], Decoded]] = {}
        answers: list[Answer] = []
        for checkup, given in zip(checkups, known, strict=True):
            if checkup.network_sha256 not in passes:
                started = time.perf_counter()
                alike = [c.full_above for c in checkups if c.network_sha256 == checkup.network_sha256]
                above = min((a for a in alike if a is not None), default=None)
                decoded = self._decoders.decode(data, checkup.size, question.photo, above)
                at = time.perf_counter()
                seen = self.networks.forward(checkup, decoded.pixels[None], maps=question.heatmap)
                spent = {"decode": 1000 * (at - started), "network": 1000 * (time.perf_counter() - at)}
                passes[checkup.network_sha256] = seen, spent, decoded
            seen, spent, decoded = passes[checkup.network_sha256]
            with span("answer"):
                answers.append(self._answer(checkup, seen, dict(spent), question, None, given, decoded))
        return answers

    def _decode(self, data: bytes, size: int, question: Question, above: int | None) -> tuple[Decoded, Preview | None]:
        """Decode a picture, and what a page shows of it if asked for; in full, too, where it is longer than `above`."""
        if question.preview:
            return self._decoders.decode_and_preview(data, size, PREVIEW, question.photo, above)
        return self._decoders.decode(data, size, question.photo, above), None

    def _answer(
        self,
        checkup: CheckUp,
        seen: NetworkOutput,
        timings: dict[str, float],
        question: Question,
        shown: Preview | None,
        known: GivenInputs,
        decoded: Decoded,
    ) -> Answer:
        """Make the answer to one picture that the check-up's network has seen, and to what is known beside it."""
        at = time.perf_counter()
        found = self.networks.apply_head(checkup, seen, 0)
        places = find_places(self.networks, checkup, seen, decoded)
        prediction = self.answer(
            checkup,
            places.seen.shared[0],
            found.logits if places.logits is None else places.logits,
            timings,
            question.file,
            known,
            decoded.measures,
            inverted=places.is_inverted(self.networks, checkup, decoded),
            boxes=places.boxes,
            photo=decoded.photo,
            cropped=question.cropped,
        )
        prediction = answer_cells(self.networks, checkup, prediction, decoded)
        prediction = places.add_to(replace(prediction, facts=question.tell(decoded.facts)), decoded)
        answer = dress_answer(checkup, prediction, found.parts, question, shown, known)
        watched = note_features(checkup, prediction, seen.shared[0])
        timings["answer"] = 1000 * (time.perf_counter() - at)
        return replace(answer, watched=watched)

    def answer(
        self,
        checkup: CheckUp,
        embedding: np.ndarray,
        logits: np.ndarray,
        timings: Mapping[str, float],
        file: str = "",
        known: GivenInputs = NO_INPUTS,
        measures: Measures | None = None,
        *,
        inverted: bool = False,
        boxes: tuple[FoundBox, ...] | None = None,
        photo: Photo | None = None,
        cropped: bool = False,
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
        inverted
            Whether it was found to be a negative.
        boxes
            What a detector found.
        photo
            Where the picture lay in a photograph.
        cropped
            Whether it is said to be a crop.
        """
        refused = self._refusal(checkup, embedding, inverted)
        refused, unusable = judge_picture(
            refused,
            measures,
            checkup.quality,
            checkup.novelty,
            embedding,
            photo,
            checkup.decision.photographs,
        )
        return Prediction.of(
            checkup.decision,
            checkup.probabilities(logits if known.logits is None else logits + known.logits),
            file=file,
            model=checkup.name,
            version=checkup.version,
            refused=refused,
            unusable=unusable,
            timings=timings,
            inputs=known.influences,
            boxes=boxes,
            cropped=cropped,
        )

    def _refusal(self, checkup: CheckUp, embedding: np.ndarray, inverted: bool) -> Refusal | None:
        if checkup.novelty is None:
            return None
        if inverted:
            return refuse_inverted(checkup.name)
        score = float(checkup.novelty.score(embedding[None])[0])
        if score <= 1:
            return None
        comparable = (r for r, first in self._routed if first.network_sha256 == checkup.network_sha256)
        router = next(comparable, None)
        alike = router.looks_like(embedding, checkup.name) if router is not None else ""
        return refuse_foreign(refusal_reason(checkup.name, score), alike, checkup.printed, embedding)
