"""From the bytes of a picture to its answer: decode, one pass of the network, head, refusal, heat map.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from medloupe.decoding import DecoderPool, Preview
from medloupe.errors import StoreError
from medloupe.heatmaps import evidence, overlay
from medloupe.records import Prediction, Refusal
from medloupe.router import NOBODY, Router, everyday, reason
from medloupe.runtime import run
from medloupe.serving.cache import Sessions
from medloupe.serving.catalog import Catalog, CheckUp

PREVIEW = 768  # longer side of the picture shown on a result page, in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A Prediction and what belongs to it.

    digest: sha256 of the image's bytes. checkup: the one that answered; None where all refused. preview: the picture
    for a web page. evidence: by label, PNG of a transparent overlay for the preview. places: by label, float32 (h, w),
    what each place adds to the logit.
    """

    id: str
    digest: str
    prediction: Prediction
    checkup: CheckUp | None
    preview: Preview | None = None
    evidence: Mapping[str, bytes] = field(default_factory=dict)
    places: Mapping[str, np.ndarray] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The Prediction, its id and, if asked for, the heat map's numbers."""
        said = {**self.prediction.as_json(), "id": self.id}
        if self.places:
            said["heatmap"] = {label: np.round(v.astype(float), 4).tolist() for label, v in self.places.items()}
        said["timings"] = {stage: round(ms, 2) for stage, ms in self.prediction.timings.items()}
        return said


class Asker:
    """Answers with the check-ups of a catalog; safe to use from several threads.

    idle: says whether nobody else is being answered, so that a pass of the network may use all cores.
    """

    def __init__(self, sessions: Sessions, decoders: DecoderPool, idle: Callable[[], bool]):
        self._sessions = sessions
        self._decoders = decoders
        self._idle = idle
        self._routed: tuple[Router, CheckUp | None] = (Router({}), None)

    def route_among(self, checkups: Sequence[CheckUp]) -> None:
        """From now on, choose among these."""
        self._routed = _routed(checkups)

    def warm(self, checkup: CheckUp) -> None:
        """Open the network of a check-up before anybody waits for it."""
        blank = np.zeros((1, checkup.size, checkup.size, 3), np.uint8)
        self.see(checkup, blank, maps=True)

    def ask(
        self, catalog: Catalog, checkup: CheckUp | None, data: bytes, file: str, heatmap: bool, preview: bool
    ) -> Answer:
        """The answer to an image file's bytes; checkup None lets the router choose. Raises ImageError, StoreError."""
        started = time.perf_counter()
        digest = hashlib.sha256(data).hexdigest()
        router, first = self._routed
        network = checkup or first
        if network is None:
            raise StoreError(
                "There is no check-up yet that can tell its own kind of picture from others.",
                "Name the check-up, or train one: medloupe train FOLDER --name NAME",
            )
        shown: Preview | None = None
        if preview:
            decoded, shown = self._decoders.both(data, network.size, PREVIEW)
        else:
            decoded = self._decoders.decode(data, network.size)
        at = time.perf_counter()
        timings = {"decode": 1000 * (at - started)}
        seen = self.see(network, decoded.pixels[None], maps=heatmap)
        timings["network"] = 1000 * (time.perf_counter() - at)
        if checkup is None:
            embedding = seen[0][0]
            choice = router.choose(embedding)
            if choice.name is None:
                refused = Refusal(reason=NOBODY, looks_like=router.looks_like(embedding))
                nothing = Prediction(
                    file=file, model="", version=None, prediction="", probabilities={}, refused=refused, timings=timings
                )
                return Answer(id=secrets.token_hex(16), digest=digest, prediction=nothing, checkup=None, preview=shown)
            checkup = catalog.get(choice.name)
            if checkup.network_sha256 != network.network_sha256:  # it was exchanged in this very moment
                decoded = self._decoders.decode(data, checkup.size)
                seen = self.see(checkup, decoded.pixels[None], maps=heatmap)
        return self._answered(checkup, seen, timings, file, digest, shown)

    def ask_many(self, checkups: Sequence[CheckUp], data: bytes, file: str, heatmap: bool) -> list[Answer]:
        """The answers of several check-ups to one picture, in their order; each network runs once.

        Raises ImageError, StoreError.
        """
        digest = hashlib.sha256(data).hexdigest()
        passes: dict[str, tuple[list[np.ndarray], dict[str, float]]] = {}
        answers: list[Answer] = []
        for checkup in checkups:
            if checkup.network_sha256 not in passes:
                started = time.perf_counter()
                decoded = self._decoders.decode(data, checkup.size)
                at = time.perf_counter()
                seen = self.see(checkup, decoded.pixels[None], maps=heatmap)
                spent = {"decode": 1000 * (at - started), "network": 1000 * (time.perf_counter() - at)}
                passes[checkup.network_sha256] = seen, spent
            seen, spent = passes[checkup.network_sha256]
            answers.append(self._answered(checkup, seen, dict(spent), file, digest, None))
        return answers

    def _answered(
        self,
        checkup: CheckUp,
        seen: Sequence[np.ndarray],
        timings: dict[str, float],
        file: str,
        digest: str,
        shown: Preview | None,
    ) -> Answer:
        """What a check-up says to one picture that its network has seen."""
        at = time.perf_counter()
        logits, parts = self.judge(checkup, seen, 0)
        prediction = self.answer(checkup, seen[0][0], logits, timings, file)
        answer = Answer(id=secrets.token_hex(16), digest=digest, prediction=prediction, checkup=checkup, preview=shown)
        if parts is not None:
            order = [checkup.labels.index(label) for label in prediction.probabilities]
            answer = replace(answer, places={checkup.labels[k]: parts[k] for k in order})
            if shown is not None:
                answer = replace(answer, evidence=self._overlays(checkup, parts, order, shown))
        timings["answer"] = 1000 * (time.perf_counter() - at)
        return answer

    def answer(
        self, checkup: CheckUp, embedding: np.ndarray, logits: np.ndarray, timings: Mapping[str, float], file: str = ""
    ) -> Prediction:
        """Embedding (D,) and logits (K,) of one picture to a Prediction."""
        p = checkup.probabilities(logits)
        refused = self._refusal(checkup, embedding)
        rules = checkup.rules
        return Prediction(
            file=file,
            model=checkup.name,
            version=checkup.version,
            prediction="" if refused else rules.announced(p),
            probabilities={rules.labels[k]: float(p[k]) for k in rules.shown(p)},
            refused=refused,
            timings=timings,
        )

    def _refusal(self, checkup: CheckUp, embedding: np.ndarray) -> Refusal | None:
        if checkup.novelty is None:
            return None
        score = float(checkup.novelty.score(embedding[None])[0])
        if score <= 1:
            return None
        router, first = self._routed
        comparable = first is not None and first.network_sha256 == checkup.network_sha256
        return Refusal(
            reason=reason(checkup.name, score),
            looks_like=router.looks_like(embedding, checkup.name) if comparable else "",
        )

    def _overlays(self, checkup: CheckUp, parts: np.ndarray, order: Sequence[int], shown: Preview) -> dict[str, bytes]:
        size = checkup.size
        longer = max(shown.width, shown.height)
        w, h = (max(1, round(side * size / longer)) for side in (shown.width, shown.height))
        left, top = (size - w) // 2, (size - h) // 2
        box = (left, top, left + w, top + h)
        return {checkup.labels[k]: overlay(evidence(parts, k, checkup.task), size, box) for k in order}

    def see(self, checkup: CheckUp, pixels: np.ndarray, *, maps: bool) -> list[np.ndarray]:
        """One pass of a check-up's network over pixels uint8 (N, S, S, 3).

        Of a backbone: `embedding` and, with maps, `map`. Of a whole model: `embedding`, `logits` and, with maps,
        `heatmap`.
        """
        wanted = ["embedding", "logits", "heatmap"] if checkup.whole else ["embedding", "map"]
        alone = self._idle()
        with self._sessions.lease(checkup.network_sha256, checkup.network, alone=alone) as opened:
            return run(opened, wanted if maps else wanted[:-1], pixels)

    def judge(self, checkup: CheckUp, seen: Sequence[np.ndarray], row: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Logits (K,) and contributions (K, h, w) or None, of one row of what `see` gave."""
        if checkup.whole:
            return seen[1][row], seen[2][row] if len(seen) > 2 else None
        logits = checkup.logits(seen[0][row : row + 1])[0]
        return logits, checkup.contributions(seen[1][row]) if len(seen) > 1 else None


def _routed(checkups: Sequence[CheckUp]) -> tuple[Router, CheckUp | None]:
    """The router over the check-ups that share one network, the one most of them use, and one of these."""
    able = [c for c in checkups if c.novelty is not None and not c.whole]
    if not able:
        return Router({}), None
    network, _ = Counter(c.network_sha256 for c in able).most_common(1)[0]
    sharing = [c for c in able if c.network_sha256 == network]
    kinds = {c.name: c.novelty for c in sharing if c.novelty is not None}
    return Router(kinds, everyday(network)), sharing[0]
