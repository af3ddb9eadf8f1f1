"""What the server does for a picture: decode, one pass of the network, heads, refusal, heat map, record.

Routes (app.py, api.py, web.py, openinference.py) turn HTTP into calls of `Service` and its answers into HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe import settings, starter
from medloupe.decoding import DecoderPool, Preview
from medloupe.errors import MedloupeError, ModelFileError, StorageError, StoreError, UnknownError, did_you_mean
from medloupe.heatmaps import evidence, overlay
from medloupe.people import Person
from medloupe.records import Prediction, Refusal
from medloupe.router import Router
from medloupe.runtime import run
from medloupe.serving.cache import Sessions
from medloupe.serving.catalog import Catalog, CheckUp
from medloupe.serving.journal import Journal
from medloupe.store import Store
from medloupe.tables import now

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.promotion import Comparison

_DOT = (  # a GIF of one pixel
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_ADDING = 60  # seconds that reading and trying a new model file may take
PREVIEW = 768  # longer side of the picture shown on a result page, in pixels
_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "DICOM": "dcm", "TIFF": "tif", "BMP": "bmp", "GIF": "gif", "WEBP": "webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A Prediction and what belongs to it.

    checkup: the one that answered; None where all refused. preview: the picture for a web page. evidence: by label,
    PNG of a transparent overlay for the preview. places: by label, float32 (h, w), what each place adds to the logit.
    """

    id: str
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


@dataclass(slots=True, kw_only=True)
class _Seen:
    """One picture after its pass through a network."""

    embedding: np.ndarray  # (1, D)
    map: np.ndarray | None  # (D, h, w)
    network: float  # milliseconds


class Service:
    """The parts of a running server.

    memory: bytes for networks. keep_images: whether the images that people send are kept (`Journal.keep`).
    """

    def __init__(self, store: Store, *, memory: int, keep_images: bool = False, workers: int | None = None):
        self.store = store
        self.engine: Engine = store.engine
        self.workers = workers or settings.threads()
        self.keep_images = keep_images
        self.sessions = Sessions(memory, store.home / "cache" / "graphs", self.workers)
        self.decoders = DecoderPool(self.workers)
        self.catalog = Catalog(store, self._warm)
        self.journal = Journal(self.engine, store.home / "kept")
        self._pool = ThreadPoolExecutor(self.workers, "answer")
        self._busy = 0
        self._routed: tuple[Router, CheckUp | None] = (Router({}), None)
        self.refresh()
        for _ in range(self.workers):  # so that the first picture does not wait for a decoder to start
            self._pool.submit(self.decoders.decode, _DOT, 32)

    def refresh(self) -> bool:
        """Take up what changed in the store; whether anything did."""
        changed = self.catalog.refresh()
        if changed:
            self._routed = _routed(self.catalog.all())
        return changed

    def close(self) -> None:
        """Finish what was begun, then let go of all."""
        self._pool.shutdown(wait=True)
        self.journal.close()
        self.decoders.close()

    # ------------------------------------------------------------------ models

    async def promote(
        self, name: str, version: int, person: Person, *, reason: str, force: bool, request_id: str
    ) -> Comparison | None:
        """Put a version into production, here at once and elsewhere within a second. Raises PromotionRefusedError."""

        def work() -> Comparison | None:
            made = self.store.promote(
                name, version, actor=person.name, reason=reason, force=force, request_id=request_id
            )
            self.refresh()
            return made

        return await asyncio.to_thread(work)

    async def rollback(self, name: str, person: Person, *, reason: str, request_id: str) -> int:
        """Back to the version before, which is returned. Raises StoreError where there is none."""

        def work() -> int:
            version = self.store.rollback(name, actor=person.name, reason=reason, request_id=request_id)
            self.refresh()
            return version

        return await asyncio.to_thread(work)

    async def add(self, name: str, path: Path) -> int:
        """Add a model file as a new version of a name; its number. Raises ModelFileError.

        It is read and tried in a process of its own: a hostile graph may need much memory, or make its reader crash.
        """
        command = [sys.executable, "-m", "medloupe", "models", "add", str(path), "--name", name, "--json"]
        environment = {**os.environ, "MEDLOUPE_HOME": str(self.store.home)}
        made = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            out, err = await asyncio.wait_for(made.communicate(), _ADDING)
        except TimeoutError as e:
            made.kill()
            await made.wait()
            raise ModelFileError(f"The model file was not read within {_ADDING} s.", "Send a smaller one.") from e
        if made.returncode:
            lines = [line.strip() for line in err.decode(errors="replace").splitlines() if line.strip()]
            said = next((x.removeprefix("medloupe: ") for x in lines if x.startswith("medloupe: ")), "")
            raise MedloupeError(
                said.replace(str(path), "The file") or "The model file made its reader crash.",
                "Send a file that `medloupe export` wrote.",
            )
        await asyncio.to_thread(self.refresh)
        return int(json.loads(out.splitlines()[-1])["version"])

    def card(self, name: str, version: int | None) -> Mapping[str, Any]:
        """The evaluation passport, by default of the version in production. Raises UnknownError."""
        checkup = self.catalog.get(name, version)
        if checkup.version is None:
            return starter.load(name).card
        return self.store.get(name, checkup.version, report=False).card

    def file(self, name: str, version: int, file: str) -> Path:
        """report.html or model.onnx of a version. Raises UnknownError when there is none."""
        if name in self.store.production():
            path = self.store.folder(name, version) / file
            if path.is_file():
                return path
        raise UnknownError(f"There is no {file} of {name}@{version}.", "GET /api/v1/models lists the versions.")

    async def feedback(self, id: str, person: Person, right: bool | None, labels: Sequence[str] | None) -> None:
        """Keep what a person says of an answer. Raises UnknownError, or MedloupeError for labels it cannot have."""
        entry = await asyncio.to_thread(self.journal.get, id, person)
        if labels and entry.model:
            known = self.catalog.get(entry.model).labels
            if wrong := [name for name in labels if name not in known]:
                raise MedloupeError(
                    f"{entry.model} has no label {wrong[0]!r}; it has: {', '.join(known[:20])}.",
                    did_you_mean(wrong[0], known),
                )
        await self.journal.feedback(id, person, right, labels)

    # ------------------------------------------------------------------ asking

    async def ask(
        self,
        name: str | None,
        data: bytes,
        *,
        person: Person,
        version: int | None = None,
        file: str = "",
        heatmap: bool = False,
        preview: bool = False,
    ) -> Answer:
        """The answer to the bytes of one image file, on the disk before it is returned.

        name: of the check-up; None lets the app choose. Raises ImageError, StoreError.
        """
        checkup = None if name is None else self.catalog.get(name, version)
        answer = await self.in_pool(self._answer, checkup, data, file, heatmap, preview)
        await self.record([answer], [data], person)
        return answer

    async def in_pool(self, function: Any, *arguments: Any) -> Any:
        """Run a function in one of the worker threads."""
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        finally:
            self._busy -= 1

    async def record(self, answers: Sequence[Answer], sources: Sequence[bytes], person: Person) -> None:
        """Remember answers to images, and the images where the operator said so."""
        rows = []
        for answer, data in zip(answers, sources, strict=True):
            said = answer.prediction.as_json()
            del said["file"]
            suffix = None
            if self.keep_images:
                suffix = _suffix(data)
                try:
                    await asyncio.to_thread(self.journal.keep, answer.id, data, suffix)
                except OSError as e:
                    raise StorageError(
                        f"The image could not be kept: {e.strerror or e}.", "The operator should look at the disk."
                    ) from e
            rows.append(
                {
                    "id": answer.id,
                    "at": now(),
                    "user_id": person.id,
                    "model": answer.prediction.model or "",
                    "version": answer.prediction.version,
                    "answer": said,
                    "digest": hashlib.sha256(data).hexdigest(),
                    "kept": suffix,
                }
            )
        await self.journal.record(rows)

    def see(self, checkup: CheckUp, pixels: np.ndarray, *, maps: bool) -> list[np.ndarray]:
        """One pass of a check-up's network over pixels uint8 (N, S, S, 3).

        Of a backbone: `embedding` and, with maps, `map`. Of a whole model: `embedding`, `logits` and, with maps,
        `heatmap`.
        """
        wanted = ["embedding", "logits", "heatmap"] if checkup.whole else ["embedding", "map"]
        alone = self._busy <= 1
        with self.sessions.lease(checkup.network_sha256, checkup.network, alone=alone) as opened:
            return run(opened, wanted if maps else wanted[:-1], pixels)

    def judge(self, checkup: CheckUp, seen: Sequence[np.ndarray], row: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Logits (K,) and contributions (K, h, w) or None, of one row of what `see` gave."""
        if checkup.whole:
            return seen[1][row], seen[2][row] if len(seen) > 2 else None
        logits = checkup.logits(seen[0][row : row + 1])[0]
        return logits, checkup.contributions(seen[1][row]) if len(seen) > 1 else None

    def _answer(self, checkup: CheckUp | None, data: bytes, file: str, heatmap: bool, preview: bool) -> Answer:
        started = time.perf_counter()
        router, first = self._routed
        network = checkup or first
        if network is None:
            raise StoreError(
                "There is no check-up yet that can tell its own kind of picture from others.",
                "Name the check-up, or train one: medloupe train FOLDER --name NAME",
            )
        shown: Preview | None = None
        if preview:
            decoded, shown = self.decoders.both(data, network.size, PREVIEW)
        else:
            decoded = self.decoders.decode(data, network.size)
        at = time.perf_counter()
        timings = {"decode": 1000 * (at - started)}
        seen = self.see(network, decoded.pixels[None], maps=heatmap)
        timings["network"] = 1000 * (time.perf_counter() - at)
        at = time.perf_counter()
        embedding = seen[0][0]
        if checkup is None:
            choice = router.choose(embedding)
            if choice.name is None:
                reason = "This picture is unlike everything that the check-ups here were trained on."
                refused = Refusal(reason=reason, looks_like=self._looks_like(embedding, ""))
                nothing = Prediction(
                    file=file, model="", version=None, prediction="", probabilities={}, refused=refused, timings=timings
                )
                return Answer(id=secrets.token_hex(16), prediction=nothing, checkup=None, preview=shown)
            checkup = self.catalog.get(choice.name)
            if checkup.network_sha256 != network.network_sha256:  # it was exchanged in this very moment
                seen = self.see(checkup, decoded.pixels[None], maps=heatmap)
                embedding = seen[0][0]
        logits, parts = self.judge(checkup, seen, 0)
        prediction = self.answer(checkup, embedding, logits, timings, file)
        answer = Answer(id=secrets.token_hex(16), prediction=prediction, checkup=checkup, preview=shown)
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
        return Refusal(
            reason=f"This picture is unlike everything {checkup.name!r} was trained on ({score:.1f} times the limit).",
            looks_like=self._looks_like(embedding, checkup.name),
        )

    def _looks_like(self, embedding: np.ndarray, asked: str) -> str:
        return self._routed[0].looks_like(embedding, asked)

    def _overlays(self, checkup: CheckUp, parts: np.ndarray, order: Sequence[int], shown: Preview) -> dict[str, bytes]:
        size = checkup.size
        longer = max(shown.width, shown.height)
        w, h = (max(1, round(side * size / longer)) for side in (shown.width, shown.height))
        left, top = (size - w) // 2, (size - h) // 2
        box = (left, top, left + w, top + h)
        return {checkup.labels[k]: overlay(evidence(parts, k, checkup.task), size, box) for k in order}

    def _warm(self, checkup: CheckUp) -> None:
        """Open the network of a check-up before anybody waits for it."""
        blank = np.zeros((1, checkup.size, checkup.size, 3), np.uint8)
        self.see(checkup, blank, maps=True)


def _routed(checkups: Sequence[CheckUp]) -> tuple[Router, CheckUp | None]:
    """The router over the check-ups that share one network, the one most of them use, and one of these."""
    able = [c for c in checkups if c.novelty is not None and not c.whole]
    if not able:
        return Router({}), None
    network, _ = Counter(c.network_sha256 for c in able).most_common(1)[0]
    sharing = [c for c in able if c.network_sha256 == network]
    return Router({c.name: c.novelty for c in sharing if c.novelty is not None}), sharing[0]


def _suffix(data: bytes) -> str:
    from medloupe import headers

    return _SUFFIXES.get(headers.sniff(data[: headers.SNIFF_BYTES]) or "", "bin")
