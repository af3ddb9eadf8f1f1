"""The parts of a running server, and what its routes may ask of them.

Routes (api.py, openinference.py, web.py) turn HTTP into calls of `Service` and its answers into HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe import settings
from medloupe.accounts.person import Person
from medloupe.ecg.recording_files import Source
from medloupe.errors import MedloupeError, StorageError, StoreError, UnknownError, did_you_mean
from medloupe.imaging.sandbox.pool import DecoderPool
from medloupe.serving.engine import kept as ecgkept
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.catalog import Catalog
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.journal import Journal, without_values
from medloupe.serving.engine.pictures import Asker
from medloupe.serving.engine.precisions import Precisions
from medloupe.serving.engine.priority import give_way
from medloupe.serving.engine.sessions import Sessions
from medloupe.starter import shipped
from medloupe.store.models import Store
from medloupe.store.tables import now

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.metrics.gate import Comparison

_DOT = (  # a GIF of one pixel
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_NO_FIELDS: Mapping[str, str] = {}
_ADDING = 150  # seconds that reading and trying a new model file may take
_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "DICOM": "dcm", "TIFF": "tif", "BMP": "bmp", "GIF": "gif", "WEBP": "webp"}


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
        self._busy = 0
        self._refreshing = threading.Lock()
        self._adding = asyncio.Lock()
        self.asker = Asker(self.sessions, self.decoders, idle=lambda: self._busy <= 1)
        self.catalog = Catalog(store, self.asker.warm, Precisions(store.home / "cache" / "graphs").choose)
        self.journal = Journal(self.engine, store.home / "kept")
        self._pool = ThreadPoolExecutor(self.workers + 1, "answer", initializer=give_way)  # one waits for a decoder
        self.refresh()
        for _ in range(self.workers):  # so that the first picture does not wait for a decoder to start
            self._pool.submit(self.decoders.decode, _DOT, 32)

    def refresh(self) -> bool:
        """Take up what changed in the store; whether anything did."""
        with self._refreshing:
            changed = self.catalog.refresh()
            if changed:
                self.asker.route_among(self.catalog.all())
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
            self.catalog.load(name, version)  # opens its network; what cannot be loaded is not promoted
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
        """Add a model file as a new version of a name; its number. Raises MedloupeError.

        It is read and tried in a process of its own, one at a time: a hostile graph may need much memory, or make its
        reader crash.
        """
        async with self._adding:
            return await self._add(name, path)

    async def _add(self, name: str, path: Path) -> int:
        command = [sys.executable, "-P", "-m", "medloupe", "models", "add", str(path), "--name", name, "--json"]
        environment = {**os.environ, "MEDLOUPE_HOME": str(self.store.home)}
        made = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            out, err = await asyncio.wait_for(made.communicate(), _ADDING)
        except BaseException as e:
            _end(made)
            await made.wait()
            if not isinstance(e, TimeoutError):
                raise
            raise MedloupeError(f"The model file was not read within {_ADDING} s.", "Send a smaller one.") from e
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
        if not self.store.has(name):
            if version is None and name in shipped.list_offered():
                return shipped.load_shipped(name).card
            raise UnknownError(f"There is no model {name!r} with versions.", "GET /api/v1/models lists what there is.")
        return self.store.get(name, version, report=False).card

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
            try:
                known = (await self.checkup(entry.model, entry.version)).labels
            except UnknownError:  # removed since
                known = tuple(entry.answer["probabilities"])
            if wrong := [name for name in labels if name not in known]:
                raise MedloupeError(
                    f"{entry.model} has no label {wrong[0]!r}; it has: {', '.join(known[:20])}.",
                    did_you_mean(wrong[0], known),
                )
        await self.journal.feedback(id, person, right, labels)

    # ------------------------------------------------------------------ asking

    async def checkup(self, name: str, version: int | None = None) -> CheckUp:
        """The version in production, or another one, which may have to be loaded. Raises UnknownError, StoreError."""
        found = self.catalog.get(name)
        if version in (None, found.version):
            return found
        return await asyncio.to_thread(self.catalog.get, name, version)

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
    ) -> Answer:
        """The answer to the bytes of one image file, or to the files of one ECG, on the disk before it is returned.

        checkup: None lets the app choose. fields: of the form, among them what is given beside the picture. Raises
        ImageError, StoreError, ClinicalError.
        """
        answer = await self.in_pool(self.asker.ask, self.catalog, checkup, data, file, heatmap, preview, fields)
        await self.record([answer], [data], person)
        return answer

    async def ask_many(
        self,
        checkups: Sequence[CheckUp],
        data: Source,
        *,
        person: Person,
        file: str = "",
        heatmap: bool = False,
        fields: Mapping[str, str] = _NO_FIELDS,
    ) -> list[Answer]:
        """The answers of several check-ups to one image file, each network run once. Raises as ask does."""
        answers = await self.in_pool(self.asker.ask_many, checkups, data, file, heatmap, fields)
        await self.record(answers, [data] * len(answers), person)
        return answers

    async def in_pool(self, function: Any, *arguments: Any) -> Any:
        """Run a function in one of the worker threads."""
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        finally:
            self._busy -= 1

    async def record(self, answers: Sequence[Answer], sources: Sequence[Source], person: Person) -> None:
        """Remember answers to images, and the images where the operator said so."""
        rows = []
        kept: list[tuple[str, str]] = []
        try:
            for answer, data in zip(answers, sources, strict=True):
                suffix, stored = _kept(answer, data) if self.keep_images else (None, b"")
                said = remembered(answer, kept=suffix is not None)
                if suffix:
                    kept.append((answer.id, suffix))
                    await asyncio.to_thread(self.journal.keep, answer.id, stored, suffix)
                rows.append(
                    {
                        "id": answer.id,
                        "at": now(),
                        "user_id": person.id,
                        "model": answer.prediction.model or "",
                        "version": answer.prediction.version,
                        "answer": said,
                        "digest": answer.digest,
                        "kept": suffix,
                    }
                )
            await self.journal.record(rows)
        except (OSError, StoreError) as e:
            for id, suffix in kept:
                with contextlib.suppress(OSError):
                    self.journal.image_path(id, suffix).unlink(missing_ok=True)
            if isinstance(e, StoreError):
                raise
            raise StorageError(
                f"The image could not be kept: {e.strerror or e}.", "The operator should look at the disk."
            ) from e


def remembered(answer: Answer, *, kept: bool) -> dict[str, Any]:
    """The Prediction's JSON as the journal has it, without the file's name.

    kept: whether the image is. Then what was given beside it is kept too, for retraining; else only which inputs were.
    """
    said = answer.prediction.as_json()
    del said["file"]
    if "ecg" in said:
        said["ecg"] = ecgkept.shortened(said["ecg"])
    if not kept:
        return without_values(said)
    return {**said, "given": dict(answer.given)} if answer.given else said


def _end(process: asyncio.subprocess.Process) -> None:
    """With all that it started."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _kept(answer: Answer, data: Source) -> tuple[str, bytes]:
    """Under what suffix it is kept, and what of it."""
    from medloupe.imaging import headers

    if answer.prediction.ecg is not None or not isinstance(data, bytes):
        return ecgkept.kept(data)
    return _SUFFIXES.get(headers.sniff(data[: headers.SNIFF_BYTES]) or "", "bin"), data
