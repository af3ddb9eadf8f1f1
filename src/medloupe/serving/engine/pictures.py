"""From the bytes of a picture to its answer: decode, one pass of the network, head, refusal, heat map.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medloupe.ecg.recording_files import Source
from medloupe.embed.tail import join_outputs
from medloupe.errors import NotAnImageError, StoreError
from medloupe.graphs.session import run, run_tail
from medloupe.imaging.sandbox.pool import DecoderPool, Preview
from medloupe.inference.everyday import load_everyday
from medloupe.model.heatmaps import draw_overlay, label_evidence
from medloupe.model.prediction import Prediction, Refusal
from medloupe.model.router import UNKNOWN_TO_ALL, Router, refusal_reason
from medloupe.serving.engine import ecg
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.catalog import Catalog
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.inputs import NOTHING, Beside, beside
from medloupe.serving.engine.sessions import Sessions

PREVIEW = 768  # longer side of the picture shown on a result page, in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass of a network gave for N pictures. shared: embeddings (N, D). map: (N, D, h, w) if asked for; of a
    whole model its heat maps (N, K, h, w). cut: (N, C, H, W), for tails; a whole model gives logits (N, K) instead."""

    shared: np.ndarray
    map: np.ndarray | None
    cut: np.ndarray | None = None
    logits: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a check-up makes of one picture. embedding: (D,), which its head reads. logits: (K,). parts: (K, h, w), what
    each place adds, or None."""

    embedding: np.ndarray
    logits: np.ndarray
    parts: np.ndarray | None


class Asker:
    """Answers with the check-ups of a catalog; safe to use from several threads.

    idle: says whether nobody else is being answered, so that a pass of the network may use all cores.
    """

    def __init__(self, sessions: Sessions, decoders: DecoderPool, idle: Callable[[], bool]):
        self._sessions = sessions
        self._decoders = decoders
        self._idle = idle
        self._routed: Sequence[tuple[Router, CheckUp]] = ()

    def route_among(self, checkups: Sequence[CheckUp]) -> None:
        """From now on, choose among these."""
        self._routed = _routed(checkups)

    def warm(self, checkup: CheckUp) -> None:
        """Open the network of a check-up before anybody waits for it."""
        if checkup.ecg is not None:
            ecg.see(self.run, checkup, checkup.blank(), maps=True)
            return
        self.judge(checkup, self.see(checkup, checkup.blank(), maps=True), 0)

    def ask(
        self,
        catalog: Catalog,
        checkup: CheckUp | None,
        data: Source,
        file: str,
        heatmap: bool,
        preview: bool,
        fields: Mapping[str, str],
    ) -> Answer:
        """The answer to an image file's bytes, or to an ECG's files; checkup None lets the router choose.

        fields: of the form, among them what is given beside the picture. Raises ImageError, StoreError, ClinicalError.
        """
        if checkup is not None and checkup.ecg is not None:
            return ecg.ask(self.run, [checkup], data, file, heatmap, fields)[0]
        if not isinstance(data, bytes) or ecg.is_ecg(data, file):
            if checkup is not None:
                raise ecg.not_a_picture(file, catalog.all())
            return ecg.choose(self.run, catalog.all(), data, file, heatmap, fields)
        started = time.perf_counter()
        known = beside(checkup, fields) if checkup is not None else None  # what cannot be read is told at once
        digest = hashlib.sha256(data).hexdigest()
        routed = self._routed
        network = checkup or (routed[0][1] if routed else None)
        if network is None:
            raise StoreError(
                "There is no check-up yet that can tell its own kind of picture from others.",
                "Name the check-up, or train one: medloupe train FOLDER --name NAME",
            )
        shown: Preview | None = None
        if preview:
            decoded, shown = self._decoders.decode_and_preview(data, network.size, PREVIEW)
        else:
            decoded = self._decoders.decode(data, network.size)
        at = time.perf_counter()
        timings = {"decode": 1000 * (at - started)}
        seen = self.see(network, decoded.pixels[None], maps=heatmap)
        timings["network"] = 1000 * (time.perf_counter() - at)
        if checkup is None:
            passes = [seen, *(self.see(other, decoded.pixels[None], maps=heatmap) for _, other in routed[1:])]
            timings["network"] = 1000 * (time.perf_counter() - at)
            sights = [(router, one.shared[0]) for (router, _), one in zip(routed, passes, strict=True)]
            able = {name: far for router, embedding in sights for name, far in router.rank(embedding).items()}
            if not able:
                alike = next(filter(None, (router.looks_like(embedding) for router, embedding in sights)), "")
                refused = Refusal(reason=UNKNOWN_TO_ALL, looks_like=alike)
                nothing = Prediction(
                    file=file, model="", version=None, prediction="", probabilities={}, refused=refused, timings=timings
                )
                return Answer(id=secrets.token_hex(16), digest=digest, prediction=nothing, checkup=None, preview=shown)
            checkup = catalog.get(min(able, key=able.__getitem__))
            own = [s for (_, c), s in zip(routed, passes, strict=True) if c.network_sha256 == checkup.network_sha256]
            if own:
                seen = own[0]
            else:  # it was exchanged in this very moment
                decoded = self._decoders.decode(data, checkup.size)
                seen = self.see(checkup, decoded.pixels[None], maps=heatmap)
        return self._answered(checkup, seen, timings, file, digest, shown, known or beside(checkup, fields))

    def ask_many(
        self, checkups: Sequence[CheckUp], data: Source, file: str, heatmap: bool, fields: Mapping[str, str]
    ) -> list[Answer]:
        """The answers of several check-ups to one picture or ECG, in their order; each network runs once.

        Raises ImageError, StoreError, ClinicalError.
        """
        if checkups and all(c.ecg is not None for c in checkups):
            return ecg.ask(self.run, checkups, data, file, heatmap, fields)
        if not isinstance(data, bytes) or ecg.is_ecg(data, file):
            raise ecg.not_a_picture(file, checkups)
        if other := next((c for c in checkups if c.ecg is not None), None):
            raise NotAnImageError(f"{other.name} reads ECGs, not pictures.", "Ask check-ups of one kind at a time.")
        known = [beside(checkup, fields) for checkup in checkups]
        digest = hashlib.sha256(data).hexdigest()
        passes: dict[str, tuple[Pass, dict[str, float]]] = {}
        answers: list[Answer] = []
        for checkup, given in zip(checkups, known, strict=True):
            if checkup.network_sha256 not in passes:
                started = time.perf_counter()
                decoded = self._decoders.decode(data, checkup.size)
                at = time.perf_counter()
                seen = self.see(checkup, decoded.pixels[None], maps=heatmap)
                spent = {"decode": 1000 * (at - started), "network": 1000 * (time.perf_counter() - at)}
                passes[checkup.network_sha256] = seen, spent
            seen, spent = passes[checkup.network_sha256]
            answers.append(self._answered(checkup, seen, dict(spent), file, digest, None, given))
        return answers

    def _answered(
        self,
        checkup: CheckUp,
        seen: Pass,
        timings: dict[str, float],
        file: str,
        digest: str,
        shown: Preview | None,
        known: Beside,
    ) -> Answer:
        """What a check-up says to one picture that its network has seen, and what is known beside it."""
        at = time.perf_counter()
        found = self.judge(checkup, seen, 0)
        parts = found.parts
        prediction = self.answer(checkup, seen.shared[0], found.logits, timings, file, known)
        answer = Answer(id=secrets.token_hex(16), digest=digest, prediction=prediction, checkup=checkup, preview=shown)
        answer = replace(answer, given=known.given, ignored=known.ignored)
        if parts is not None:
            order = [checkup.labels.index(label) for label in prediction.probabilities]
            answer = replace(answer, places={checkup.labels[k]: parts[k] for k in order})
            if shown is not None:
                answer = replace(answer, evidence=self._overlays(checkup, parts, order, shown))
        timings["answer"] = 1000 * (time.perf_counter() - at)
        return answer

    def answer(
        self,
        checkup: CheckUp,
        embedding: np.ndarray,
        logits: np.ndarray,
        timings: Mapping[str, float],
        file: str = "",
        known: Beside = NOTHING,
    ) -> Prediction:
        """Shared embedding (D,) and logits (K,) of one picture, and what is known beside it, to a Prediction."""
        p = checkup.probabilities(logits if known.logits is None else logits + known.logits)
        refused = self._refusal(checkup, embedding)
        rules = checkup.rules
        return Prediction(
            file=file,
            model=checkup.name,
            version=checkup.version,
            prediction="" if refused else rules.announce(p),
            probabilities={rules.labels[k]: float(p[k]) for k in rules.labels_shown(p)},
            refused=refused,
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

    def run(self, checkup: CheckUp, names: Sequence[str], given: np.ndarray) -> list[np.ndarray]:
        """Outputs of a check-up's network, but not of its tail, by name, for examples as it takes them."""
        with self._sessions.lease(checkup.network_sha256, checkup.network, alone=self._idle()) as opened:
            return run(opened, names, given)

    def see(self, checkup: CheckUp, pixels: np.ndarray, *, maps: bool) -> Pass:
        """One pass of a check-up's network, but not of its tail, over pixels uint8 (N, S, S, 3)."""
        wanted = ["embedding", "logits" if checkup.whole else "cut"]
        wanted += ["heatmap" if checkup.whole else "map"] * maps
        shared, second, *places = self.run(checkup, wanted, pixels)
        which = {"logits" if checkup.whole else "cut": second}
        return Pass(shared=shared, map=places[0] if places else None, **which)

    def judge(self, checkup: CheckUp, seen: Pass, row: int) -> Judged:
        """What the check-up's tail, if it has one, and its head make of one row of what `see` gave."""
        one = slice(row, row + 1)
        if seen.logits is not None:
            parts = seen.map[row] if seen.map is not None else None
            return Judged(embedding=seen.shared[row], logits=seen.logits[row], parts=parts)
        embedding = seen.shared[one]
        feature_map = seen.map[one] if seen.map is not None else None
        if checkup.tail is not None and seen.cut is not None:
            names = ["embedding", *["map"] * (feature_map is not None)]
            with self._sessions.lease(checkup.tail.sha256, checkup.tail.path, alone=self._idle()) as opened:
                upper = run_tail(opened, names, seen.cut[one])
            embedding = join_outputs(upper[0], embedding)
            feature_map = join_outputs(upper[1], feature_map) if feature_map is not None else None
        return Judged(
            embedding=embedding[0],
            logits=checkup.logits(embedding)[0],
            parts=checkup.contributions(feature_map[0]) if feature_map is not None else None,
        )


def _routed(checkups: Sequence[CheckUp]) -> Sequence[tuple[Router, CheckUp]]:
    """A router over the check-ups of each network, and one of these; the network most of them use comes first.

    Only check-ups trained on the network that most were trained on: of it, several precisions may run.
    """
    able = [c for c in checkups if c.novelty is not None and not c.whole and c.ecg is None]
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
