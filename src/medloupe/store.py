"""Versioned models on disk and in a database.

    home/
        medloupe.sqlite                  which versions there are, with their cards
        blobs/ab/cdef...                 backbones and heads by sha256, each kept once
        models/NAME/VERSION/             report.html and model.onnx, for people

A version is written whole or not at all: blobs and files are flushed and renamed into place first, the row that makes
them a version is committed last. What a killed process leaves without a row is swept away by the next writer.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.backbones import Backbone, BackboneCard
from medloupe.errors import StoreError, did_you_mean
from medloupe.files import locked, sync_folder, write_atomically
from medloupe.model import Head, Model
from medloupe.settings import home as default_home

if TYPE_CHECKING:
    from sqlalchemy import Engine

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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


def check_name(name: str) -> None:
    """Raises StoreError, with a proposal, unless name can name a model."""
    if not _NAME.fullmatch(name) or name == "auto" or name.endswith(".onnx"):
        cleaned = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:64]
        raise StoreError(
            f"{name!r} cannot name a model: a name has up to 64 small letters, digits, '.', '_' and '-', begins with a"
            " letter or digit, and is neither 'auto' nor a file name.",
            f"Try {cleaned!r}." if _NAME.fullmatch(cleaned) else "",
        )


def parse_reference(text: str) -> tuple[str, int | None]:
    """ "pneumonia@3" to ("pneumonia", 3); without a version, None. Raises StoreError."""
    name, at, version = text.partition("@")
    check_name(name)
    if at and not (version.isascii() and version.isdigit() and int(version) > 0):
        raise StoreError(f"{text!r} names no version: {version!r} is not a whole number above 0.", "Write NAME@3.")
    return name, int(version) if at else None


class Store:
    """The models under a home folder. Safe to use from several processes."""

    def __init__(self, home: Path):
        self.home = home

    @classmethod
    def open(cls) -> Store:
        """The store under the home folder in force."""
        return cls(default_home())

    @cached_property
    def _engine(self) -> Engine:
        from medloupe.database import engine

        with self._explained():
            self.home.mkdir(parents=True, exist_ok=True)
            with locked(self.home / "store.lock"):  # only one process creates the tables
                return engine(self.home / "medloupe.sqlite")

    def add(self, model: Model, *, write_files: WriteFiles) -> Model:
        """Add the model as the next version of its name.

        write_files: called with a new folder and the model, its version in the card; it writes report.html and
        model.onnx there. Returns the model with its version and the path of its file. Raises StoreError when the disk
        is full or may not be written, and whatever write_files raises; then nothing is left behind.
        """
        from sqlalchemy import select
        from sqlalchemy.orm import Session

        from medloupe.database import ModelRow, VersionRow

        check_name(model.name)
        with self._explained(), Session(self._engine) as session, locked(self.home / "store.lock"):
            self._sweep(session)
            row = session.scalar(select(ModelRow).where(ModelRow.name == model.name))
            number = row.last + 1 if row else 1
            made = replace(model, card={**model.card, "version": number})
            blobs = [
                self._put_blob(model.backbone.path.read_bytes()),
                self._put_blob(_head_bytes(model.head)),
            ]
            folder = self.folder(model.name, number)
            temporary = folder.with_name(f".{number}.tmp")
            temporary.mkdir(parents=True)
            try:
                write_files(temporary, made)
                for path in temporary.iterdir():
                    with path.open("rb") as f:
                        os.fsync(f.fileno())
                sync_folder(temporary)
                temporary.rename(folder)
                sync_folder(folder.parent)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
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
        from sqlalchemy import select
        from sqlalchemy.orm import Session

        from medloupe.database import ModelRow, VersionRow

        wanted = select(VersionRow).join(ModelRow, ModelRow.id == VersionRow.model_id).where(ModelRow.name == name)
        if version is not None:
            wanted = wanted.where(VersionRow.number == version)
        with self._explained(), Session(self._engine) as session:
            row = session.scalar(wanted.order_by(VersionRow.number.desc()).limit(1))
            if row is None:
                raise self._unknown(name, version)
            card = row.card
            head = _head(self._blob(row.head_blob), card["task"])
            backbone = _backbone(card["backbone"], self._blob_path(row.backbone_blob), row.backbone_blob)
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

        from medloupe.database import ModelRow, VersionRow

        with self._explained():
            if self.home.exists() and not self.home.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.home))
            if not (self.home / "medloupe.sqlite").exists():
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
        from sqlalchemy import select
        from sqlalchemy.orm import Session

        from medloupe.database import ModelRow, VersionRow

        wanted = select(VersionRow).join(ModelRow, ModelRow.id == VersionRow.model_id).where(ModelRow.name == name)
        if version is not None:
            wanted = wanted.where(VersionRow.number == version)
        with self._explained(), Session(self._engine) as session, locked(self.home / "store.lock"):
            rows = session.scalars(wanted).all()
            if not rows:
                raise self._unknown(name, version)
            for row in rows:
                session.delete(row)
            session.commit()  # the row first: what is left after a kill is then nobody's, and swept away
            self._sweep(session)

    def folder(self, name: str, version: int | None) -> Path:
        """Where report.html and model.onnx of a version lie."""
        return self.home / "models" / name / str(version)

    # ------------------------------------------------------------------ parts

    def _blob_path(self, sha256: str) -> Path:
        return self.home / "blobs" / sha256[:2] / sha256[2:]

    def _put_blob(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._blob_path(sha256)
        if not path.exists() or path.stat().st_size != len(data):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
        return sha256

    def _blob(self, sha256: str) -> bytes:
        path = self._blob_path(sha256)
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreError(f"The blob {path} is damaged: its content does not match its name.", "Train again.")
        return data

    def _sweep(self, session: Any) -> None:
        """Removes folders and blobs that belong to no version; the caller holds the lock."""
        from sqlalchemy import select

        from medloupe.database import ModelRow, VersionRow

        known = select(ModelRow.name, VersionRow.number, VersionRow.backbone_blob, VersionRow.head_blob)
        rows = session.execute(known.join(ModelRow, ModelRow.id == VersionRow.model_id)).all()
        folders = {self.folder(name, number) for name, number, _, _ in rows}
        blobs = {self._blob_path(b) for _, _, *both in rows for b in both}
        for folder in self.home.glob("models/*/*"):
            if folder not in folders:
                shutil.rmtree(folder, ignore_errors=True)
        for blob in self.home.glob("blobs/*/*"):
            if blob not in blobs:
                blob.unlink(missing_ok=True)

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
            detail = str(getattr(e, "orig", None) or e).splitlines()[0]
            raise StoreError(
                f"The database of the store {self.home} cannot be used: {detail}.",
                "Free some disk space, or choose another place with --home.",
            ) from e


def _head_bytes(head: Head) -> bytes:
    out = io.BytesIO()
    np.savez(out, weight=head.weight, bias=head.bias)
    return out.getvalue()


def _head(data: bytes, task: Any) -> Head:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return Head(weight=stored["weight"], bias=stored["bias"], task=task)


def _backbone(entry: dict[str, Any], path: Path, sha256: str) -> Backbone:
    """The backbone as it was when the version was made, whatever the installed package has today."""
    card = BackboneCard(
        name=entry["name"],
        source=entry["source"],
        licence=entry["licence"],
        input_size=entry["input_size"],
        dimension=entry["dimension"],
        levels=tuple(entry["levels"]),
        places=tuple(entry["places"]),
        cut=tuple(entry["cut"]),
    )
    return Backbone(card=card, path=path, sha256=sha256)
