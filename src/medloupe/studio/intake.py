"""Take what was sent into a data set: one picture, or an archive of many, each once whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from medloupe.data.labels import Role, recognise_roles
from medloupe.data.modalities import START_BYTES
from medloupe.ecg.files import is_ecg_bytes
from medloupe.ecg.overview import draw_overview
from medloupe.ecg.parsers import EcgParsers
from medloupe.ecg.recording_files import bare_name
from medloupe.errors import ImageError, MedloupeError, StoreError
from medloupe.imaging.sandbox.pool import DecoderPool
from medloupe.jobs.local import LocalProcess
from medloupe.store.dataset_nouns import DatasetClass, DatasetItem, NewItem
from medloupe.store.datasets import Datasets
from medloupe.studio.recordings import draw_thumb
from medloupe.studio.uploads import DatasetUpload, Uploads
from medloupe.utils.files import write_atomically

THUMB_SIDE = 224  # pixels
MOST_PICTURE = 64 * 2**20
IMPORT_SECONDS = 1800.0
IMPORT_MEMORY = 3 * 2**30
_AT_ONCE = 50  # pictures of an archive that are taken in by one transaction
_ARCHIVE = b"PK\x03\x04"
_LONGEST_SAID = 100
_HELD = {
    "multiclass": "one class for each picture",
    "multilabel": "several findings for each picture",
    "detection": "boxes on pictures",
    "ecg": "one class for each ECG",
    "ecg_multilabel": "several findings for each ECG",
}
_SOURCES = ("folder", "files", "camera", "archive")


def is_archive(name: str, head: bytes) -> bool:
    """Tell whether a file is a zip archive, by its first bytes."""
    return head.startswith(_ARCHIVE) and not name.lower().endswith((".xlsx", ".docx", ".npz"))


class Intake:
    """Takes files into the data sets of a store.

    Parameters
    ----------
    sets, uploads
        Where they go, and where they wait.
    decoders, parsers
        That look at each picture, or ECG, in processes that may crash.
    """

    def __init__(self, sets: Datasets, uploads: Uploads, decoders: DecoderPool, parsers: EcgParsers):
        self._sets, self._uploads, self._decoders, self._parsers = sets, uploads, decoders, parsers
        self._at_work: set[str] = set()
        self._lock = threading.Lock()

    def take_picture(self, dataset: str, key: str, data: bytes, meta: Mapping[str, Any], *, by: str) -> DatasetItem:
        """Take one picture in, or one ECG, if it can be read.

        Raises
        ------
        ImageError, ExtraError
            It cannot.
        StoreError
            There is no such data set or class, or what is said of it makes no sense.
        """
        if len(data) > MOST_PICTURE:
            raise StoreError(f"The picture has over {MOST_PICTURE >> 20} MiB.", "Scale it down first.")
        ecg = self._sets.get(dataset).ecgs
        shown = self._draw(_file(meta), data) if ecg else self._decoders.preview(data, THUMB_SIDE).jpeg
        self._keep_thumb(hashlib.sha256(data).hexdigest(), shown)
        label, patient, site = (_said(meta.get(name)) for name in ("label", "patient", "site"))
        source = str(meta.get("source", ""))
        origin = {"source": source if source in _SOURCES else "files", "upload": key}
        labels = None
        if "labels" in meta:
            told = {name.strip() for name in str(meta["labels"]).split(",")} - {""}
            names = self._sets.get(dataset).labels
            labels = dict.fromkeys(names, 0) | dict.fromkeys(sorted(told), 1)
        new = NewItem(
            key=key,
            data=data,
            file=_file(meta),
            label=label,
            labels=labels,
            patient=patient,
            site=site,
            origin=origin,
        )
        (item,) = self._sets.add(dataset, [new], by=by, batch=str(meta.get("batch", ""))[:64])
        return item

    def take_upload(self, upload: DatasetUpload) -> None:
        """Take a file in of which all is there, and note what came of it; does nothing where that is known.

        Raises
        ------
        MedloupeError
            The store cannot be used; it is tried again later.
        """
        with self._lock:
            if upload.id in self._at_work or self._uploads.get(upload.dataset_id, upload.id).over:
                return
            self._at_work.add(upload.id)
        try:
            self._take(upload, self._uploads.path(upload.id))
        finally:
            self._at_work.discard(upload.id)

    def _take(self, upload: DatasetUpload, path: Path) -> None:
        try:
            with path.open("rb") as f:
                digest = hashlib.file_digest(f, "sha256").hexdigest()
                f.seek(0)
                head = f.read(8)
            wanted = str(upload.meta.get("sha256", "")).lower()
            if wanted and wanted != digest:
                raise StoreError("What came is not what was sent: the checksums differ.", "Send it again.")
            if is_archive(_file(upload.meta), head):
                result = self._take_archive(upload, path)
            elif upload.length > MOST_PICTURE:
                raise StoreError(f"The picture has over {MOST_PICTURE >> 20} MiB.", "Scale it down first.")
            else:
                item = self.take_picture(upload.dataset_id, upload.id, path.read_bytes(), upload.meta, by=upload.by)
                result = {"items": [item.id]}
        except (ImageError, StoreError, MedloupeError) as e:
            if e.exit_code != MedloupeError.exit_code:
                raise  # the disk or the database
            self._uploads.settle(upload, error=f"{e.message} {e.hint}".strip())
            return
        self._uploads.settle(upload, result=result)

    def thumb(self, item: DatasetItem) -> bytes:
        """Give a small JPEG of a picture, made when it is first asked for.

        Raises
        ------
        ImageError
            It cannot be read.
        StorageError
            Its file is missing or damaged.
        """
        kept = self._thumb_path(item.digest)
        if kept.is_file():
            return kept.read_bytes()
        data = self._sets.blobs.get(item.digest)
        ecg = is_ecg_bytes(data[:START_BYTES], item.file)
        made = self._draw(item.file, data) if ecg else self._decoders.preview(data, THUMB_SIDE).jpeg
        self._keep_thumb(item.digest, made)
        return made

    def draw_large(self, item: DatasetItem, data: bytes) -> str:
        """Draw an ECG as an <svg>, large enough to be told what it shows. Raises ImageError, ExtraError."""
        return draw_overview(self._parsers.read({bare_name(item.file): data}), "ECG")

    def _draw(self, file: str, data: bytes) -> bytes:
        """Read an ECG and draw a small picture of it. Raises ImageError, ExtraError."""
        return draw_thumb(self._parsers.read({bare_name(file): data}), THUMB_SIDE)

    def _take_archive(self, upload: DatasetUpload, path: Path) -> dict[str, Any]:
        folder = path.with_suffix(".d")
        shutil.rmtree(folder, ignore_errors=True)  # of a server that was killed in the middle
        try:
            data = self._sets.get(upload.dataset_id)
            told = _read_archive(path, folder, data.task, data.labels if data.several else ())
            if told["task"] != data.task:
                raise StoreError(
                    f"The archive holds {_HELD[told['task']]}, and the data set {_HELD[data.task]}.",
                    "Begin a data set of that task.",
                )
            self._add_classes(upload.dataset_id, told["labels"], by=upload.by)
            batch = str(upload.meta.get("batch", "")) or upload.id
            records: Sequence[Mapping[str, Any]] = told["records"]
            for at in range(0, len(records), _AT_ONCE):
                new = [_new_item(folder, upload, r) for r in records[at : at + _AT_ONCE]]
                self._sets.add(upload.dataset_id, new, by=upload.by, batch=batch[:64])
            return {"pictures": len(records), "notes": [str(note)[:300] for note in told["notes"]][:20]}
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _add_classes(self, dataset: str, labels: Sequence[str], *, by: str) -> None:
        def add(now: Sequence[DatasetClass]) -> Sequence[DatasetClass]:
            known = [c.name for c in now]
            roles = recognise_roles([*known, *(name for name in labels if name not in known)])
            return [*now, *(DatasetClass(name=n, role=choose(roles.of(n))) for n in labels if n not in known)]

        several = self._sets.get(dataset).several
        choose = partial(choose_role, several=several)
        self._sets.edit_classes(dataset, add, by=by)

    def _thumb_path(self, digest: str) -> Path:
        return self._sets.thumbs.path(digest)

    def _keep_thumb(self, digest: str, jpeg: bytes) -> None:
        path = self._thumb_path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            write_atomically(path, jpeg)


def choose_role(recognised: Role, *, several: bool) -> Role:
    """Choose what a class means that nobody told: findings of which there may be several are looked for."""
    return "sought" if several and recognised == "none" else recognised


def _read_archive(path: Path, folder: Path, task: str, findings: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "medloupe.studio.importer", str(path), str(folder), task, *findings]
    with LocalProcess(command, "import:0", memory=IMPORT_MEMORY) as process:
        status = process.wait(IMPORT_SECONDS)
        if status is None:
            raise StoreError("Reading the archive took too long.", "Send it in parts.")
        lines = process.read_whole_output().splitlines()
    told = json.loads(lines[-1]) if status == 0 and lines else {"error": "Reading the archive failed."}
    if "error" in told:
        raise StoreError(told["error"])
    return told


def _new_item(folder: Path, upload: DatasetUpload, record: Mapping[str, Any]) -> NewItem:
    key = f"{upload.id}:{hashlib.sha256(record['file'].encode()).hexdigest()[:32]}"
    origin = {"source": "archive", "upload": upload.id, "archive": _file(upload.meta)}
    label, patient, site, split = (_said(record[name]) for name in ("label", "patient", "site", "split"))
    data = (folder / record["path"]).read_bytes()
    return NewItem(
        key=key,
        data=data,
        file=record["file"],
        label=label,
        labels=record.get("labels"),
        patient=patient or _said(upload.meta.get("patient")),
        site=site or _said(upload.meta.get("site")),
        split=split,
        boxes=record.get("boxes"),
        origin=origin,
    )


def _file(meta: Mapping[str, Any]) -> str:
    name = "".join(c for c in str(meta.get("file", "")).replace("\\", "/") if c.isprintable())
    return re.sub(r"(^|/)\.\.?(?=/)", "", name).lstrip("/")[-255:] or "picture"


def _said(text: Any) -> str | None:
    """Read what is said of a picture; "" is nothing."""
    told = str(text or "").strip()
    if len(told) > _LONGEST_SAID or not told.isprintable():
        raise StoreError(f"{told[:40]!r} is too long, or no text of one line.", f"At most {_LONGEST_SAID} letters.")
    return told or None
