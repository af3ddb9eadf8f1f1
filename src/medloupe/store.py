"""Versioned models on disk and in a database.

    home/
        medloupe.sqlite                  which versions there are, with their cards
        blobs/ab/cdef...                 backbones and heads by sha256, each kept once
        models/NAME/VERSION/             model.onnx and report.html, for people; judged.npz, for the promotion gate;
                                         data.json, where the images lie, for other precisions
        store.pending                    what a writer is about to make or remove; only there while one is at work
        store.lock                       held by the one writer; readers need no lock

A version is written whole or not at all: blobs and files are flushed and renamed into place first, the row that makes
them a version is committed last. A writer first announces every path it will make or remove (pending.py). Sweeping then
removes those that no row names: that is how a failed or killed writer is undone and how a removal is done.

One version of a name is in production: the first at once, any other after it passed the gate (promotion.py) or was
forced through it. Which one that is, its history and the audit log change in one transaction (production.py).
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe.blobs import Blobs
from medloupe.errors import PromotionRefusedError, StorageError, StoreError
from medloupe.files import locked, sync_folder, sync_up
from medloupe.model import Model
from medloupe.names import Version, check_name, is_name
from medloupe.parts import backbone_bytes, head_bytes, read_backbone, read_head, tail_bytes
from medloupe.pending import Pending
from medloupe.settings import home as default_home
from medloupe.settings import setting
from medloupe.tails import Tail

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.production import Change
    from medloupe.promotion import Comparison
    from medloupe.tables import VersionRow
    from medloupe.versions import Versions

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
WriteFiles = Callable[[Path, Model], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """One version, without its parts.

    created: UTC, ISO 8601. auc: the figure of its card, if it has one. production: whether it answers under the name.
    """

    name: str
    version: int
    created: str
    task: str
    labels: tuple[str, ...]
    auc: dict[str, Any] | None
    production: bool


class Store:
    """The models under a home folder. Safe to use from several processes."""

    def __init__(self, home: Path):
        self.home = home
        self._blobs = Blobs(home)
        self._pending = Pending(home)
        self._compared: dict[tuple[str, int, int], Comparison] = {}  # versions never change

    @classmethod
    def open(cls) -> Store:
        """The store under the home folder in force."""
        return cls(default_home())

    @cached_property
    def engine(self) -> Engine:
        from medloupe.database import engine

        with self._explained():
            self.home.mkdir(parents=True, exist_ok=True)
            return engine(self.home)

    def add(self, model: Model, *, write_files: WriteFiles, actor: str = "local") -> Model:
        """Add the model as the next version of its name; the first one is in production at once.

        write_files: called with a new folder and the model, its version in the card; it writes model.onnx there and, if
        it has them, report.html and judged.npz. A model that is one self-contained file is kept as that file.
        Returns the model with its version and the path of its file. Raises StoreError when the disk is full or may not
        be written, and whatever write_files raises; then nothing is left behind.
        """
        from medloupe.database import writing
        from medloupe.production import note, put
        from medloupe.tables import ModelRow, VersionRow
        from medloupe.versions import Versions

        check_name(model.name)
        with self._writing():
            whole = model.onnx is not None and model.backbone.path == model.onnx
            body = model.backbone.path.read_bytes() if whole else backbone_bytes(model.backbone)
            parts = [body, head_bytes(model.head, model.novelty, model.extras)]
            if model.tail is not None:
                parts.append(tail_bytes(model.tail))
            blobs = [hashlib.sha256(data).hexdigest() for data in parts]
            number = self._next_number(model.name)
            made = replace(model, card={**model.card, "version": number})
            folder = self.folder(model.name, number)
            temporary = folder.with_name(f".{number}.tmp")
            self._pending.announce(temporary, folder, *map(self._blobs.path, blobs))
            for sha256, data in zip(blobs, parts, strict=True):
                self._blobs.put(sha256, data)
            temporary.mkdir(parents=True)
            write_files(temporary, made)
            if not (temporary / "model.onnx").is_file():
                raise StoreError(f"The files of {model.name} were written without model.onnx; it was not added.")
            for path in temporary.rglob("*"):
                _sync(path)
            sync_folder(temporary)
            temporary.rename(folder)
            sync_up(folder.parent, self.home)
            with writing(self.engine) as session:
                row = Versions(session, self.home).locked(model.name)
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
                        tail_blob=blobs[2] if len(blobs) > 2 else None,
                        whole=whole,
                        card=dict(made.card),
                    )
                )
                note(session, "add", f"{model.name}@{number}", actor=actor)
                if row.production is None:
                    put(session, row, number, kind="first", actor=actor)
                session.commit()
        return replace(made, onnx=folder / "model.onnx")

    def get(self, name: str, version: Version = None, *, report: bool = True) -> Model:
        """A version; without one, what is in production, else the newest.

        report: whether to read the report too. Raises StoreError when there is none or its parts are damaged.
        """
        with self._explained():
            with self._asking() as versions:
                row = versions.row(name, version)
            model = self._assembled(row.card, row.backbone_blob, row.head_blob, row.tail_blob)
            page = self.folder(name, row.number) / "report.html"
            text = page.read_text("utf-8") if report and page.exists() else ""
        return replace(model, report=text, onnx=model.backbone.path if row.whole else None)

    def attach(self, model: Model, precision: str, *, actor: str = "local") -> None:
        """Keep a version in another precision too, for servers to choose from; one that was kept before is replaced.

        model: of a version in this store, with the network, head and card of that precision. Raises StoreError when
        there is no such version or the disk is full; then nothing is left behind.
        """
        from medloupe.production import note
        from medloupe.tables import VariantRow, now

        parts = [backbone_bytes(model.backbone), head_bytes(model.head, model.novelty, model.extras)]
        if model.tail is not None:
            parts.append(tail_bytes(model.tail))
        blobs = [hashlib.sha256(data).hexdigest() for data in parts]
        with self._changing() as versions:
            row = versions.row(model.name, model.version)
            before = [v for v in versions.variants(row) if v.precision == precision]
            gone = [b for v in before for b in v.blobs]
            self._pending.announce(*map(self._blobs.path, (*blobs, *gone)))
            for sha256, data in zip(blobs, parts, strict=True):
                self._blobs.put(sha256, data)
            for variant in before:
                versions.session.delete(variant)
            versions.session.flush()
            versions.session.add(
                VariantRow(
                    version_id=row.id,
                    precision=precision,
                    created=now(),
                    backbone_blob=blobs[0],
                    head_blob=blobs[1],
                    tail_blob=blobs[2] if len(blobs) > 2 else None,
                    card={k: v for k, v in model.card.items() if row.card.get(k) != v},
                )
            )
            note(versions.session, "attach", f"{model.name}@{row.number}", actor=actor, detail={"precision": precision})
            versions.session.commit()

    def variants(self, name: str, version: Version = None) -> dict[str, Model]:
        """A version in the other precisions that are kept, by their name. Raises as get does."""
        with self._explained():
            with self._asking() as versions:
                row = versions.row(name, version)
                found = versions.variants(row)
            return {
                v.precision: self._assembled({**row.card, **v.card}, v.backbone_blob, v.head_blob, v.tail_blob)
                for v in found
            }

    def _assembled(self, card: dict[str, Any], body: str, head_blob: str, tail_blob: str | None) -> Model:
        """A model from its card and its blobs. Raises StorageError when one is missing or damaged."""
        head, novelty, extras = read_head(self._blobs.get(head_blob), card["task"])
        self._blobs.get(body)  # whole, or it raises
        tail = None
        if tail_blob is not None:
            self._blobs.get(tail_blob)
            tail = Tail.from_json(card["tail"], self._blobs.path(tail_blob))
        backbone = read_backbone(card["backbone"], self._blobs.path(body), body)
        return Model(backbone=backbone, head=head, card=card, novelty=novelty, tail=tail, extras=extras)

    def has(self, name: str) -> bool:
        """Whether there is any version of that name."""
        if not is_name(name):
            return False
        with self._explained():
            if not self._made:
                return False
            with self._asking() as versions:
                return bool(versions.numbers(name)[0])

    def list(self) -> list[VersionInfo]:
        """All versions, by name and number."""
        with self._explained():
            if not self._made:
                return []
            with self._asking() as versions:
                return [
                    VersionInfo(
                        name=model.name,
                        version=row.number,
                        created=row.created,
                        task=row.card["task"],
                        labels=tuple(row.card["labels"]),
                        auc=auc if isinstance(auc := (row.card.get("metrics") or {}).get("auc"), dict) else None,
                        production=row.number == model.production,
                    )
                    for model, row in versions.all()
                ]

    def remove(
        self, name: str, version: Version = None, *, actor: str = "local", request_id: str = ""
    ) -> Sequence[int]:
        """Remove one version, or all of a name; returns the numbers, which are not used again.

        Raises StoreError when there is none, or when it is the one in production.
        """
        from medloupe.production import note

        with self._changing() as versions:
            model = versions.locked(name)
            rows = [row for _, row in versions.all(name)] if version is None else [versions.row(name, version)]
            if model is None or not rows:
                raise versions.unknown(name)
            if version is not None and rows[0].number == model.production:
                raise StoreError(
                    f"{name}@{model.production} is in production and was not removed.",
                    f"Promote another version first, or remove all of {name}.",
                )
            for row in rows:
                blobs = [*row.blobs, *(b for variant in versions.variants(row) for b in variant.blobs)]
                self._pending.announce(self.folder(name, row.number), *map(self._blobs.path, blobs))
                versions.session.delete(row)
                note(versions.session, "remove", f"{name}@{row.number}", actor=actor, request_id=request_id)
            if version is None:
                model.production = None
            numbers = [row.number for row in rows]
            versions.session.commit()  # the row first: what is left after a kill is then nobody's, and swept away
        return sorted(numbers)

    # ------------------------------------------------------------------ production

    def production(self) -> dict[str, tuple[int, str]]:
        """Of each name the version in production, and a text that changes with it. Cheap: servers ask all the time."""
        with self._explained():
            if not self._made:
                return {}
            with self._asking() as versions:
                return versions.production()

    def compare(self, name: str, candidate: Version, production: Version = "production") -> Comparison:
        """Two versions on the records that both were judged on. Raises StoreError when there is no such version."""
        from medloupe.promotion import Evidence, compare

        with self._asking() as versions:
            a, b = (versions.chosen(name, v) for v in (candidate, production))
        if (name, a, b) not in self._compared:
            evidence = [Evidence.read(self.folder(name, v)) for v in (a, b)]
            compared = compare(*evidence, name=name, versions=(a, b))
            if compared.auc is None:
                return compared
            self._compared[name, a, b] = compared
        return self._compared[name, a, b]

    def promote(
        self, name: str, version: Version, *, actor: str, reason: str = "", force: bool = False, request_id: str = ""
    ) -> Comparison | None:
        """Put a version into production, if it is not worse than what is there now or force overrules that.

        Returns what the gate saw; None where there was nothing in production. Servers take the change up by themselves.
        Raises PromotionRefusedError when the gate refuses, StoreError when there is no such version, its parts are
        damaged, it is in production already, or force comes without a reason. All is in the audit log.
        """
        from medloupe.production import note, put

        if force and not reason.strip():
            raise StoreError("A promotion is only forced with a reason.", "It goes into the audit log: --reason TEXT.")
        while True:
            number, present = self._candidate(name, version)
            comparison = None if present is None else self.compare(name, number, present)
            passed = comparison is None or comparison.passed
            seen = None if comparison is None else comparison.as_json()
            detail = {"reason": reason, "forced": force and not passed, "comparison": seen}
            with self._changing() as versions:
                session, model = versions.session, versions.locked(name)
                numbers, now_present = versions.numbers(name)
                if model is None or number not in numbers or now_present != present:
                    continue  # another promotion or removal came between: look again
                if passed or force:
                    put(
                        session,
                        model,
                        number,
                        kind="promote",
                        actor=actor,
                        reason=reason,
                        forced=force and not passed,
                        comparison=seen,
                    )
                action = "promote" if passed or force else "promote.refused"
                note(session, action, f"{name}@{number}", actor=actor, request_id=request_id, detail=detail)
                session.commit()
            if comparison is None or passed or force:
                return comparison
            raise PromotionRefusedError(
                f"{name}@{number} was not promoted. {comparison.words}",
                "Train it with more or better data, or overrule this with a reason, which goes into the audit log:"
                f' medloupe models promote {name}@{number} --force --reason "…"',
                comparison,
            )

    def rollback(self, name: str, *, actor: str, reason: str = "", request_id: str = "") -> int:
        """Put back the version that was in production before the present one; returns its number.

        Again and again it goes further back. Nothing is compared: this is for when production turned out bad.
        Raises StoreError when there is nothing to go back to, or its parts are damaged.
        """
        from medloupe.production import before, changes, note, put

        with self._changing() as versions:
            session, model = versions.session, versions.locked(name)
            numbers, present = versions.numbers(name)
            if model is None or not numbers:
                raise versions.unknown(name)
            target = None if present is None else before(changes(session, name), present, numbers)
            if target is None:
                raise StoreError(
                    f"No version of {name} that is still there was in production before {name}@{present}.",
                    f"Promote one: medloupe models promote {name}@N.",
                )
            self._check_parts(versions.row(name, target))
            put(session, model, target, kind="rollback", actor=actor, reason=reason)
            detail = {"reason": reason, "forced": False, "comparison": None, "from": present}
            note(session, "rollback", f"{name}@{target}", actor=actor, request_id=request_id, detail=detail)
            session.commit()
        return target

    def history(self, name: str) -> Sequence[Change]:
        """How the name's production version changed, the oldest first. Raises StoreError when there is no model."""
        from medloupe.production import changes

        with self._asking() as versions:
            found = changes(versions.session, name)
            if not found and not versions.numbers(name)[0]:
                raise versions.unknown(name)
        return found

    def sweep(self) -> None:
        """Remove what killed writers left. Every writer does so first; a server may at its start. Raises StoreError."""
        with self._writing():
            pass

    def folder(self, name: str, version: int | None) -> Path:
        """Where model.onnx, report.html and judged.npz of a version lie."""
        return self.home / "models" / name / str(version)

    # ------------------------------------------------------------------ rows and writing

    @property
    def _made(self) -> bool:
        """Whether there can be anything in the store: asking an empty one should not make it. Raises OSError."""
        if self.home.exists() and not self.home.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.home))
        return bool(setting("MEDLOUPE_DATABASE")) or (self.home / "medloupe.sqlite").exists()

    @contextmanager
    def _asking(self) -> Iterator[Versions]:
        """A session that reads."""
        from sqlalchemy.orm import Session

        from medloupe.versions import Versions

        with self._explained(), Session(self.engine) as session:
            yield Versions(session, self.home)

    @contextmanager
    def _changing(self) -> Iterator[Versions]:
        """A session that writes, of the one writer."""
        from medloupe.database import writing
        from medloupe.versions import Versions

        with self._writing(), writing(self.engine) as session:
            yield Versions(session, self.home)

    def _candidate(self, name: str, version: Version) -> tuple[int, int | None]:
        """The version to promote, which is whole, and the one in production. Raises StoreError."""
        with self._asking() as versions:
            row = versions.row(name, version)
            _, present = versions.numbers(name)
            if row.number == present:
                raise StoreError(f"{name}@{present} is in production already.", f"medloupe models history {name}")
            self._check_parts(row)
            return row.number, present

    def _check_parts(self, row: VersionRow) -> None:
        """Raises StoreError when a blob of the version is missing or damaged."""
        for blob in row.blobs:
            self._blobs.get(blob)

    def _next_number(self, name: str) -> int:
        """One above every number given so far, and above every folder there is."""
        with self._asking() as versions:
            last = versions.last(name)
        taken = (p.name for p in (self.home / "models" / name).glob("*"))
        return 1 + max([last, *(int(n) for n in taken if n.isascii() and n.isdecimal())])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the one writer; before and after, also when it fails, what was announced is swept."""
        with self._explained():
            _ = self.engine  # which may take the lock itself
            with locked(self.home / "store.lock"):
                with suppress(OSError):  # what cannot go now goes with a later writer
                    self._pending.sweep(self._kept)
                try:
                    yield
                finally:
                    with suppress(Exception):
                        self._pending.sweep(self._kept)

    def _kept(self) -> set[Path]:
        """The folders and blobs of all versions."""
        with self._asking() as versions:
            rows = versions.settled()
        kept = {self.folder(name, number) for name, number, _ in rows}
        return kept | {self._blobs.path(blob) for _, _, blobs in rows for blob in blobs}

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except OSError as e:
            raise StorageError(
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
