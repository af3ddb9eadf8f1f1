"""Versioned models on disk and in a database.

    home/
        medloupe.sqlite                  which versions there are, with their cards
        blobs/ab/cdef...                 backbones and heads by sha256, each kept once
        models/NAME/VERSION/             report.html and model.onnx, for people
        store.pending                    what a writer is about to make or remove; only there while one is at work
        store.lock                       held by the one writer; readers need no lock

A version is written whole or not at all: blobs and files are flushed and renamed into place first, the row that makes
them a version is committed last. A writer first announces every path it will make or remove. Sweeping then removes
those that no row names: that is how a failed or killed writer is undone and how a removal is done. Nothing that was
not announced is ever removed, so a lost or older database costs no files.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.backbones import Backbone, BackboneCard
from medloupe.blobs import Blobs
from medloupe.errors import StoreError, did_you_mean
from medloupe.files import locked, sync_folder, sync_up, write_atomically
from medloupe.model import Head, Model
from medloupe.names import check_name
from medloupe.settings import home as default_home
from medloupe.settings import setting

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from medloupe.tables import VersionRow

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FILES = ("report.html", "model.onnx")
WriteFiles = Callable[[Path, Model], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """One version, without its parts. created: UTC, ISO 8601. auc: the figure of its card, if it has one."""

    name: str
    version: int
    created: str
    task: str
    labels: tuple[str, ...]
    auc: dict[str, Any] | None


class Store:
    """The models under a home folder. Safe to use from several processes."""

    def __init__(self, home: Path):
        self.home = home
        self._blobs = Blobs(home)

    @classmethod
    def open(cls) -> Store:
        """The store under the home folder in force."""
        return cls(default_home())

    @cached_property
    def _engine(self) -> Engine:
        from medloupe.database import engine

        with self._explained():
            self.home.mkdir(parents=True, exist_ok=True)
            return engine(self.home)

    def add(self, model: Model, *, write_files: WriteFiles) -> Model:
        """Add the model as the next version of its name.

        write_files: called with a new folder and the model, its version in the card; it writes report.html and
        model.onnx there. Returns the model with its version and the path of its file. Raises StoreError when the disk
        is full or may not be written, and whatever write_files raises; then nothing is left behind.
        """
        from sqlalchemy import select
        from sqlalchemy.orm import Session

        from medloupe.tables import ModelRow, VersionRow

        check_name(model.name)
        with self._writing():
            parts = [_backbone_bytes(model.backbone), _head_bytes(model.head)]
            blobs = [hashlib.sha256(data).hexdigest() for data in parts]
            number = self._next_number(model.name)
            made = replace(model, card={**model.card, "version": number})
            folder = self.folder(model.name, number)
            temporary = folder.with_name(f".{number}.tmp")
            self._announce(temporary, folder, *map(self._blobs.path, blobs))
            for sha256, data in zip(blobs, parts, strict=True):
                self._blobs.put(sha256, data)
            temporary.mkdir(parents=True)
            write_files(temporary, made)
            for name in _FILES:
                if not (temporary / name).is_file():
                    raise StoreError(f"The files of {model.name} were written without {name}; it was not added.")
            for path in temporary.rglob("*"):
                _sync(path)
            sync_folder(temporary)
            temporary.rename(folder)
            sync_up(folder.parent, self.home)
            with Session(self._engine) as session:
                row = session.scalar(select(ModelRow).where(ModelRow.name == model.name))
                if row is None:
                    row = ModelRow(name=model.name, last=0)
                    session.add(row)
                row.last = number
                session.flush()
                session.add(
                    VersionRow(
                        model_id=row.id,
                        number=number,
                        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                        backbone_blob=blobs[0],
                        head_blob=blobs[1],
                        card=dict(made.card),
                    )
                )
                session.commit()
        return replace(made, onnx=folder / "model.onnx")

    def get(self, name: str, version: int | None = None) -> Model:
        """A version, or the newest one. Raises StoreError when there is none or its parts are damaged."""
        from sqlalchemy.orm import Session

        with self._explained():
            with Session(self._engine) as session:
                row = self._rows(session, name, version)[-1]
            card = row.card
            head = _head(self._blobs.get(row.head_blob), card["task"])
            self._blobs.get(row.backbone_blob)  # whole, or it raises
            backbone = _backbone(card["backbone"], self._blobs.path(row.backbone_blob), row.backbone_blob)
            page = self.folder(name, row.number) / "report.html"
            report = page.read_text("utf-8") if page.exists() else ""
        return Model(backbone=backbone, head=head, card=card, report=report)

    def has(self, name: str) -> bool:
        """Whether there is any version of that name."""
        return any(v.name == name for v in self.list())

    def list(self) -> list[VersionInfo]:
        """All versions, by name and number."""
        from sqlalchemy import select
        from sqlalchemy.orm import Session

        from medloupe.tables import ModelRow, VersionRow

        with self._explained():
            if self.home.exists() and not self.home.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.home))
            if not setting("MEDLOUPE_DATABASE") and not (self.home / "medloupe.sqlite").exists():
                return []
        wanted = select(ModelRow.name, VersionRow).join(ModelRow, ModelRow.id == VersionRow.model_id)
        with self._explained(), Session(self._engine) as session:
            return [
                VersionInfo(
                    name=name,
                    version=row.number,
                    created=row.created,
                    task=row.card["task"],
                    labels=tuple(row.card["labels"]),
                    auc=(row.card.get("metrics") or {}).get("auc"),
                )
                for name, row in session.execute(wanted.order_by(ModelRow.name, VersionRow.number))
            ]

    def remove(self, name: str, version: int | None = None) -> None:
        """Remove one version, or all of a name; numbers are not used again. Raises StoreError when there is none."""
        from sqlalchemy.orm import Session

        with self._writing(), Session(self._engine) as session:
            for row in self._rows(session, name, version):
                parts = (self._blobs.path(row.backbone_blob), self._blobs.path(row.head_blob))
                self._announce(self.folder(name, row.number), *parts)
                session.delete(row)
            session.commit()  # the row first: what is left after a kill is then nobody's, and swept away

    def sweep(self) -> None:
        """Remove what killed writers left. Every writer does so first; a server may at its start. Raises StoreError."""
        with self._writing():
            pass

    def folder(self, name: str, version: int | None) -> Path:
        """Where report.html and model.onnx of a version lie."""
        return self.home / "models" / name / str(version)

    # ------------------------------------------------------------------ rows and writing

    def _rows(self, session: Session, name: str, version: int | None) -> Sequence[VersionRow]:
        """One version of the name, or all by number. Raises StoreError when there is none."""
        from sqlalchemy import select

        from medloupe.tables import ModelRow, VersionRow

        wanted = select(VersionRow).join(ModelRow, ModelRow.id == VersionRow.model_id).where(ModelRow.name == name)
        found = session.scalars(wanted.order_by(VersionRow.number)).all()
        rows = [row for row in found if version in (None, row.number)]
        if not rows:
            raise self._unknown(name, version)
        return rows

    def _next_number(self, name: str) -> int:
        """One above every number given so far, and above every folder there is."""
        from sqlalchemy import select
        from sqlalchemy.orm import Session

        from medloupe.tables import ModelRow

        with Session(self._engine) as session:
            last = session.scalar(select(ModelRow.last).where(ModelRow.name == name)) or 0
        taken = (p.name for p in (self.home / "models" / name).glob("*"))
        return 1 + max([last, *(int(n) for n in taken if n.isascii() and n.isdecimal())])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the one writer; before and after, also when it fails, what was announced is swept."""
        with self._explained():
            _ = self._engine  # which may take the lock itself
            with locked(self.home / "store.lock"):
                with suppress(OSError):  # what cannot go now goes with a later writer
                    self._sweep()
                try:
                    yield
                finally:
                    with suppress(Exception):
                        self._sweep()

    def _announce(self, *paths: Path) -> None:
        pending = self.home / "store.pending"
        before = pending.read_text("utf-8").splitlines() if pending.exists() else []
        lines = dict.fromkeys([*before, *(p.relative_to(self.home).as_posix() for p in paths)])
        write_atomically(pending, "\n".join(lines).encode())

    def _sweep(self) -> None:
        """Removes what was announced and belongs to no version; the caller holds the lock."""
        from sqlalchemy import select
        from sqlalchemy.orm import Session

        from medloupe.tables import ModelRow, VersionRow

        pending = self.home / "store.pending"
        for unfinished in self.home.glob(".store.pending.*"):
            unfinished.unlink()
        if not pending.exists():
            return
        known = select(ModelRow.name, VersionRow.number, VersionRow.backbone_blob, VersionRow.head_blob)
        with Session(self._engine) as session:
            rows = session.execute(known.join(ModelRow, ModelRow.id == VersionRow.model_id)).all()
        kept = {self.folder(name, number) for name, number, _, _ in rows}
        kept |= {self._blobs.path(blob) for _, _, *both in rows for blob in both}
        for path in (self.home / line for line in pending.read_text("utf-8").splitlines()):
            for half in path.parent.glob(f".{path.name}.*"):  # of write_atomically
                if half.is_file():
                    half.unlink()
            if path in kept:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            with suppress(OSError):  # there are others in it
                path.parent.rmdir()
        pending.unlink()

    def _unknown(self, name: str, version: int | None) -> StoreError:
        have = self.list()
        versions = [str(v.version) for v in have if v.name == name]
        if version is not None and versions:
            return StoreError(f"{name} has no version {version}; it has {', '.join(versions)}.")
        names = sorted({v.name for v in have})
        listed = f"there are: {', '.join(names)}." if names else "it is empty."
        return StoreError(
            f"The store {self.home} has no model {name!r}; {listed}",
            did_you_mean(name, names) or "Train one: medloupe train FOLDER --name NAME",
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except OSError as e:
            raise StoreError(
                f"The store {self.home} cannot be used: {e.filename or ''} {e.strerror or e}".replace("  ", " ") + ".",
                "Free some disk space, or choose another place with --home."
                if e.errno in _FULL
                else "Choose a folder that you may write to with --home or MEDLOUPE_HOME.",
            ) from e
        except SQLAlchemyError as e:
            from medloupe.database import unusable, url

            raise unusable(url(self.home), e) from e


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    if path.is_dir():
        sync_folder(path)
        return
    with path.open("r+b") as f:  # Windows flushes only what is open for writing
        os.fsync(f.fileno())


def _backbone_bytes(backbone: Backbone) -> bytes:
    data = backbone.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != backbone.sha256:
        raise StoreError(
            f"The backbone {backbone.path} changed while it was in use; the model was not added.", "Train again."
        )
    return data


def _head_bytes(head: Head) -> bytes:
    out = io.BytesIO()
    np.savez(out, weight=head.weight, bias=head.bias)
    return out.getvalue()


def _head(data: bytes, task: Any) -> Head:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return Head(weight=stored["weight"], bias=stored["bias"], task=task)


def _backbone(entry: dict[str, Any], path: Path, sha256: str) -> Backbone:
    """The backbone as it was when the version was made, whatever the installed package has today."""
    card = BackboneCard.from_json(entry)
    return Backbone(card=card, path=path, sha256=sha256)
