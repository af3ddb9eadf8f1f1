"""Hold the parts of a running server, and do what its routes ask of them.

Routes (`serving/api/`, `serving/web/`) turn HTTP into calls of `Service` and its answers into HTTP.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe import settings
from medloupe.accounts.log import AuditLog
from medloupe.accounts.person import Person
from medloupe.data.modalities import PICTURES, recognise_upload
from medloupe.ecg.parsers import EcgParsers
from medloupe.ecg.recording_files import Source
from medloupe.errors import UnknownError
from medloupe.imaging.sandbox.pool import DecoderPool
from medloupe.imaging.sandbox.processpool import Cancellation
from medloupe.modelfile.schema import drop_unsound_entries
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.catalog import Catalog
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.circumstances import PilotSwitch
from medloupe.serving.engine.feedback import keep_feedback
from medloupe.serving.engine.journal import Journal
from medloupe.serving.engine.model_intake import add_model
from medloupe.serving.engine.pictures import Answerer
from medloupe.serving.engine.precisions import Precisions
from medloupe.serving.engine.priority import lower_priority
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.readiness import DOT, Readiness
from medloupe.serving.engine.recording import answer_and_record, record_answers
from medloupe.serving.engine.retention import AuditRetention
from medloupe.serving.engine.sessions import Sessions
from medloupe.serving.engine.shadowing import ShadowRunner
from medloupe.serving.engine.takeups import TakeUps
from medloupe.serving.http.threads import run_change, run_file
from medloupe.starter import shipped
from medloupe.store.commits import CommitWatch
from medloupe.store.models import Store
from medloupe.utils.spans import carry_spans

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.metrics.gate import Comparison

PATIENCE = 5.0
"""Seconds for which a request waits for another writer of the store."""
_NO_FIELDS: Mapping[str, str] = {}


class Service:
    """The parts of a running server.

    Parameters
    ----------
    store
        Where the models are.
    memory
        Bytes for networks.
    keep_images
        Whether the images that people send are kept (`Journal.keep`).
    workers
        Threads that answer; by default as the settings say.
    make_answerer
        Makes what answers, as Answerer is made.
    """

    def __init__(
        self,
        store: Store,
        *,
        memory: int,
        keep_images: bool = False,
        workers: int | None = None,
        make_answerer: Callable[..., Answerer] = Answerer,
    ):
        self.store = store
        store.patience = PATIENCE
        self.engine: Engine = store.engine
        self.workers = workers or settings.threads()
        self.keep_images = keep_images
        self.sessions = Sessions(memory, store.home / "cache" / "graphs", self.workers)
        self.decoders = DecoderPool(self.workers)
        self.parsers = EcgParsers(self.workers)
        self._busy = 0
        self._refreshing, self._commits = threading.Lock(), CommitWatch(self.engine)
        self._adding = asyncio.Lock()
        self.answerer = make_answerer(self.sessions, self.decoders, lambda: self._busy <= 1, self.parsers)
        self.take_ups = TakeUps(store)
        precisions = Precisions(store.home / "cache" / "graphs")
        opens = (self.answerer.warm, precisions.choose, self.answerer.networks.prepare)
        self.catalog = Catalog(store, *opens, self.take_ups.note)
        self.shadow = ShadowRunner(self.engine, self.catalog, self.sessions, lambda: self._busy > 0)
        self.journal = Journal(self.engine, store.home / "kept")
        self.pilot = PilotSwitch(self.engine)
        self.log = AuditLog(self.engine)
        self.retention = AuditRetention(self.log)
        self.readiness = Readiness(self.engine, store.home, self.decoders)
        threads = self.workers + 1  # one waits for a decoder
        self._pool = ThreadPoolExecutor(threads, "answer", initializer=lower_priority)
        self._ecg_pool = ThreadPoolExecutor(threads, "answer-ecg", initializer=lower_priority)
        self.refresh()
        for _ in range(self.workers):  # so that the first picture does not wait for a decoder to start
            self._pool.submit(self.decoders.decode, DOT, 32)

    def refresh(self) -> bool:
        """Take up what changed in the store, and tell whether anything did."""
        with self._refreshing:
            if not self._commits.look() and not self.catalog.broken:
                return False
            try:
                self.pilot.refresh()
                self.shadow.refresh()
                changed = self.catalog.refresh()
            except BaseException:
                self._commits.forget()
                raise
            if changed:
                self.answerer.route_among(self.catalog.all())
            return changed

    def close(self) -> None:
        """Finish what was begun, then let go of all."""
        self.shadow.close()
        self._pool.shutdown(wait=True)
        self._ecg_pool.shutdown(wait=True)
        self.journal.close()
        self.decoders.close()
        self.parsers.close()
        self._commits.close()

    async def promote(
        self, name: str, version: int, person: Person, *, reason: str, force: bool, request_id: str
    ) -> Comparison | None:
        """Put a version into production, here at once and elsewhere within a second.

        Raises
        ------
        PromotionRefusedError
            It is worse than the one in production, or the two cannot be compared.
        """

        def work() -> Comparison | None:
            self.catalog.load(name, version)  # opens its network; what cannot be loaded is not promoted
            made = self.store.promote(
                name, version, actor=person.name, reason=reason, force=force, request_id=request_id
            )
            self.refresh()
            return made

        return await run_change(work)

    async def rollback(self, name: str, person: Person, *, reason: str, request_id: str) -> int:
        """Put the version before back into production, and return its number.

        Raises
        ------
        StoreError
            There is none.
        """

        def work() -> int:
            version = self.store.rollback(name, actor=person.name, reason=reason, request_id=request_id)
            self.refresh()
            return version

        return await run_change(work)

    async def add(self, name: str, path: Path) -> int:
        """Add a model file as a new version of a name, one at a time; returns and raises as `add_model` does."""
        async with self._adding:
            version = await add_model(self.store.home, name, path)
            await run_change(self.refresh)
            return version

    def card(self, name: str, version: int | None) -> Mapping[str, Any]:
        """Return the evaluation passport, by default of the version in production; what cannot be shown is left out.

        Raises
        ------
        UnknownError
            There is no such model or version.
        """
        if not self.store.has(name):
            if version is None and name in shipped.list_offered():
                return shipped.load_shipped(name).card
            raise UnknownError(f"There is no model {name!r} with versions.", "GET /api/v1/models lists what there is.")
        return drop_unsound_entries(self.store.get(name, version, report=False).card)[0]

    def file(self, name: str, version: int, file: str) -> Path:
        """Return where report.html or model.onnx of a version lies.

        Raises
        ------
        UnknownError
            There is no such version, or it has no such file.
        """
        if name in self.store.production():
            path = self.store.folder(name, version) / file
            if path.is_file():
                return path
        raise UnknownError(f"There is no {file} of {name}@{version}.", "GET /api/v1/models lists the versions.")

    async def feedback(self, id: str, person: Person, right: bool | None, labels: Sequence[str] | None) -> None:
        """Keep what a person says of an answer.

        Raises
        ------
        UnknownError
            There is no such answer of this person.
        MedloupeError
            The answer cannot have such labels.
        """
        await keep_feedback(self.journal, self.checkup, id, person, right, labels)

    async def checkup(self, name: str, version: int | None = None) -> CheckUp:
        """Return the version in production, or another one, which may have to be loaded.

        Raises
        ------
        UnknownError
            There is no such check-up or version.
        StoreError
            It cannot be loaded.
        """
        found = self.catalog.get(name)
        if version in (None, found.version):
            return found
        return await run_file(self.catalog.get, name, version)

    async def ask(
        self,
        checkup: CheckUp | None,
        data: Source,
        *,
        person: Person,
        file: str = "",
        heatmap: bool = False,
        preview: bool = False,
        fields: Mapping[str, str] = _NO_FIELDS,
        keep: bool = True,
        cancellation: Cancellation | None = None,
    ) -> Answer:
        """Answer one picture or ECG; the answer is on the disk before it is returned.

        Parameters
        ----------
        checkup
            Which is asked; None lets the app choose.
        data, file, heatmap, preview, fields
            The question, as `Question` has it.
        person
            Who asks.
        keep
            Whether what is asked about may be kept, where the operator keeps images.
        cancellation
            By which reading an ECG is given up where nobody waits any more.

        Raises
        ------
        ImageError, StoreError, ClinicalError
            As `Answerer.ask` does.
        PilotError
            The app is to choose while a pilot runs: which check-up it chose would tell of the answer.
        """
        if checkup is None:
            self.pilot.refuse("The app chooses no check-up")
        question = Question(
            data=data, file=file, heatmap=heatmap, preview=preview, fields=fields, cancellation=cancellation
        )
        if keep and self.keep_images:
            answer = await self._in_pool_of(question, checkup, self.answerer.ask, self.catalog, checkup, question)
            return self._offer(await self.record([answer], [data], person, keep=keep), question)[0]
        self._busy += 1
        try:
            answer = await answer_and_record(
                self._pool_of(question, checkup),
                partial(self.answerer.ask, self.catalog, checkup, question),
                self.journal,
                person,
                self.pilot.circumstances(),
            )
        finally:
            self._busy -= 1
        return self._offer([answer], question)[0]

    async def ask_many(
        self,
        checkups: Sequence[CheckUp],
        data: Source,
        *,
        person: Person,
        file: str = "",
        heatmap: bool = False,
        fields: Mapping[str, str] = _NO_FIELDS,
        cancellation: Cancellation | None = None,
    ) -> list[Answer]:
        """Answer one picture or ECG by several check-ups, each network run once; raises as `ask` does."""
        question = Question(data=data, file=file, heatmap=heatmap, fields=fields, cancellation=cancellation)
        first = next(iter(checkups), None)
        answers = await self._in_pool_of(question, first, self.answerer.ask_many, checkups, question)
        return self._offer(await self.record(answers, [data] * len(answers), person), question)

    def _offer(self, answers: list[Answer], question: Question) -> list[Answer]:
        """Let other versions answer the same in shadow where that is wanted; not in a pilot, which shows nothing."""
        if self.shadow.count and self.pilot.running is None:
            for answer in answers:
                self.shadow.offer(answer, question)
        return answers

    async def in_pool(self, function: Any, *arguments: Any) -> Any:
        """Run a function in one of the worker threads."""
        return await self._in(self._pool, function, *arguments)

    async def _in_pool_of(self, question: Question, checkup: CheckUp | None, function: Any, *arguments: Any) -> Any:
        """Run a function in one of the threads for what is asked about, so that ECGs keep no picture waiting."""
        return await self._in(self._pool_of(question, checkup), function, *arguments)

    def _pool_of(self, question: Question, checkup: CheckUp | None) -> ThreadPoolExecutor:
        pictures = checkup.windows is None if checkup else recognise_upload(question.data, question.file) is PICTURES
        return self._pool if pictures else self._ecg_pool

    async def _in(self, pool: ThreadPoolExecutor, function: Any, *arguments: Any) -> Any:
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, carry_spans(function), *arguments)
        finally:
            self._busy -= 1

    async def record(
        self, answers: Sequence[Answer], sources: Sequence[Source], person: Person, *, keep: bool = True
    ) -> list[Answer]:
        """Remember answers, and what was asked about where the operator said so; return what is shown of them.

        Raises
        ------
        StoreError
            The disk or the database refuses it; then nothing is kept.
        """
        asked = self.pilot.circumstances()
        return await record_answers(self.journal, answers, sources, person, keep=keep and self.keep_images, asked=asked)
