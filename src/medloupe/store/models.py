"""Keep versioned models on disk and in a database: add, read, list and remove them.

How they lie there, and that none is ever half there, is medloupe.store.base; which one of a name answers,
medloupe.store.promote.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medloupe.errors import BusyError, StoreError
from medloupe.model.bundle import Model
from medloupe.modelfile.parts import backbone_bytes
from medloupe.settings import home as default_home
from medloupe.store.assembly import assemble_asked, assemble_model, name_blobs, split_model, split_parts
from medloupe.store.names import Version, check_name, is_name
from medloupe.store.notices import announce_change
from medloupe.store.promote import ProductionStorage
from medloupe.store.shared import MARKER, files_key
from medloupe.utils.files import sync_folder, sync_folders, write_atomically
from medloupe.utils.jsonvalues import as_number

WriteFiles = Callable[[Path, Model], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """One version, without its parts.

    Attributes
    ----------
    created
        UTC, ISO 8601.
    auc
        The figure of its card, if it has one.
    production
        Whether it answers under the name.
    """

    name: str
    version: int
    created: str
    task: str
    labels: tuple[str, ...]
    auc: dict[str, Any] | None
    production: bool


def _read_auc(card: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the AUC of a card that may be older than the checks of today; None where it is no figure.

    Of a detector there is none: what it says of whole pictures is beside the point.
    """
    if card.get("task") == "detection":
        return None
    metrics = card.get("metrics")
    auc = metrics.get("auc") if isinstance(metrics, Mapping) else None
    return {k: as_number(auc.get(k)) for k in ("value", "low", "high")} if isinstance(auc, dict) else None


class Store(ProductionStorage):
    """The models under a home folder. Safe to use from several processes."""

    @classmethod
    def open(cls) -> Store:
        """Open the store under the home folder in force."""
        return cls(default_home())

    def add(self, model: Model, *, write_files: WriteFiles, actor: str = "local", production: bool = True) -> Model:
        """Add the model as the next version of its name; the first one is in production at once, if it may be.

        A model that is one self-contained file is kept as that file. With a composed one the check-up that it asks is
        kept too, so that it goes on answering when the versions that it was made of are removed.

        Parameters
        ----------
        model
            Whose card has the name.
        write_files
            Called with a new folder and the model, its version in the card; it writes model.onnx there (composed.json
            of a composed one) and, if it has them, report.html and judged.npz.
        actor
            Who does so, for the audit log.
        production
            Whether the first version of a name goes into production at once.

        Returns
        -------
        Model
            With its version and the path of its file.

        Raises
        ------
        StoreError
            The disk is full or may not be written; also raised is whatever write_files raises. Nothing is left behind.
        """
        from medloupe.store.database import writing_session
        from medloupe.store.production import log_action, set_production
        from medloupe.store.queue import finish_within
        from medloupe.store.tables import ComponentRow, ModelRow, VersionRow
        from medloupe.store.versions import Versions

        check_name(model.name)
        with self._hold_write_lock():
            whole, parts = split_model(model)
            blobs = list(parts)
            asked = model.asks.checkup if model.asks is not None else None
            asked_whole, asked_parts = (False, {}) if asked is None else split_model(asked)
            asked_blobs = list(asked_parts)
            parts |= asked_parts
            number = self._next_number(model.name)
            card = {k: v for k, v in model.card.items() if k != "composed" or asked is not None}
            made = replace(model, card={**card, "version": number})
            folder = self._own_folder(model.name, number)
            temporary = folder.with_name(f".{number}.tmp")
            self._pending.announce(temporary, folder, *map(self._blobs.path, parts))
            for sha256, data in parts.items():
                self._blobs.put(sha256, data)
            temporary.mkdir(parents=True)
            write_files(temporary, made)
            needed = "model.onnx" if asked is None else "composed.json"
            if not (temporary / needed).is_file():
                raise StoreError(f"The files of {model.name} were written without {needed}; it was not added.")
            for path in temporary.rglob("*"):
                _sync(path)
            sync_folder(temporary)
            temporary.rename(folder)
            sync_folders(folder.parent, self.home)
            version = VersionRow(
                number=number,
                created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                whole=whole,
                card=dict(made.card),
                **name_blobs(blobs),
            )
            if self.shared is not None:
                parts_and_files = [*parts, *self.shared.put_files(model.name, version, folder)]
                write_atomically(folder / MARKER, files_key(model.name, version).encode())
                self.shared.require(parts_and_files)
            with writing_session(self.engine) as session:
                row = Versions(session, self.home).lock(model.name)
                if row is not None and row.last >= number:
                    raise BusyError(f"Another server has made a {model.name}@{number} meanwhile.", "Try again.")
                if row is None:
                    row = ModelRow(name=model.name, last=0)
                    session.add(row)
                row.last = number
                session.flush()
                version.model_id = row.id
                session.add(version)
                if asked is not None:
                    session.flush()
                    of = {"version_id": version.id, "whole": asked_whole, "card": dict(asked.card)}
                    session.add(ComponentRow(**of, **name_blobs(asked_blobs)))
                log_action(session, "add", f"{model.name}@{number}", actor=actor)
                if row.production is None and production:
                    set_production(session, row, number, kind="first", actor=actor)
                announce_change(session, model.name)  # servers prepare for it
                finish_within(session, {"name": model.name, "version": number})
                session.commit()
        return made if asked is not None else replace(made, onnx=folder / "model.onnx")

    def get(self, name: str, version: Version = None, *, report: bool = True) -> Model:
        """Read a version; without one, what is in production, else the newest.

        Parameters
        ----------
        name, version
            Of the model.
        report
            Whether to read the report too.

        Raises
        ------
        StoreError
            There is none or its parts are damaged.
        """
        with self._explain_errors():
            with self._read_session() as versions:
                row = versions.row(name, version)
                component = versions.component(row)
            model = assemble_model(self._blobs, row.card, row.backbone_blob, row.head_blob, row.tail_blob)
            if row.card.get("composed"):
                model = replace(model, asks=assemble_asked(self._blobs, row.card["composed"], component))
            page = self.folder(name, row.number) / "report.html"
            text = page.read_text("utf-8") if report and page.exists() else ""
        return replace(model, report=text, onnx=model.backbone.path if row.whole else None)

    def attach(self, model: Model, precision: str, *, actor: str = "local") -> None:
        """Keep a version in another precision too, for servers to choose from; one that was kept before is replaced.

        Parameters
        ----------
        model
            Of a version in this store, with the network, head and card of that precision.
        precision
            Its name.
        actor
            Who does so, for the audit log.

        Raises
        ------
        StoreError
            There is no such version or the disk is full; then nothing is left behind.
        """
        from medloupe.store.production import log_action
        from medloupe.store.tables import VariantRow, now

        parts = split_parts(model, backbone_bytes(model.backbone))
        blobs = list(parts)
        with self._write_session() as versions:
            row = versions.row(model.name, model.version)
            before = [v for v in versions.variants(row) if v.precision == precision]
            gone = [b for v in before for b in v.blobs]
            self._pending.announce(*map(self._blobs.path, (*blobs, *gone)))
            for sha256, data in parts.items():
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
            announce_change(versions.session, model.name)
            log_action(
                versions.session, "attach", f"{model.name}@{row.number}", actor=actor, detail={"precision": precision}
            )
            versions.session.commit()

    def variants(self, name: str, version: Version = None) -> dict[str, Model]:
        """Read a version in the other precisions that are kept, by their name. Raises as get does."""
        with self._explain_errors():
            with self._read_session() as versions:
                row = versions.row(name, version)
                found = versions.variants(row)
            return {
                v.precision: assemble_model(
                    self._blobs, {**row.card, **v.card}, v.backbone_blob, v.head_blob, v.tail_blob
                )
                for v in found
            }

    def has(self, name: str) -> bool:
        """Tell whether there is any version of that name."""
        if not is_name(name):
            return False
        with self._explain_errors():
            if not self._exists:
                return False
            with self._read_session() as versions:
                return bool(versions.numbers(name)[0])

    def list(self) -> list[VersionInfo]:
        """List all versions, by name and number."""
        with self._explain_errors():
            if not self._exists:
                return []
            with self._read_session() as versions:
                return [
                    VersionInfo(
                        name=model.name,
                        version=row.number,
                        created=row.created,
                        task=row.card["task"],
                        labels=tuple(row.card["labels"]),
                        auc=_read_auc(row.card),
                        production=row.number == model.production,
                    )
                    for model, row in versions.all()
                ]

    def remove(
        self, name: str, version: Version = None, *, actor: str = "local", request_id: str = ""
    ) -> Sequence[int]:
        """Remove one version, or all of a name; return the numbers, which are not used again.

        Raises
        ------
        StoreError
            There is none, or it is the one in production.
        """
        from medloupe.store.production import log_action

        with self._write_session() as versions:
            model = versions.lock(name)
            rows = [row for _, row in versions.all(name)] if version is None else [versions.row(name, version)]
            if model is None or not rows:
                raise versions.unknown_error(name)
            if version is not None and rows[0].number == model.production:
                raise StoreError(
                    f"{name}@{model.production} is in production and was not removed.",
                    f"Promote another version first, or remove all of {name}.",
                )
            for row in rows:
                component = versions.component(row)
                blobs = [*row.blobs, *(b for variant in versions.variants(row) for b in variant.blobs)]
                blobs += component.blobs if component is not None else ()
                self._pending.announce(self._own_folder(name, row.number), *map(self._blobs.path, blobs))
                versions.session.delete(row)
                log_action(versions.session, "remove", f"{name}@{row.number}", actor=actor, request_id=request_id)
            if version is None:
                model.production = None
                announce_change(versions.session, name)
            numbers = [row.number for row in rows]
            versions.session.commit()  # the row first: what is left after a kill is then nobody's, and swept away
        return sorted(numbers)

    def _next_number(self, name: str) -> int:
        """Choose a number above every one given so far, and above every folder there is."""
        with self._read_session() as versions:
            last = versions.last(name)
        taken = (p.name for p in (self.home / "models" / name).glob("*"))
        return 1 + max([last, *(int(n) for n in taken if n.isascii() and n.isdecimal())])


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    if path.is_dir():
        sync_folder(path)
        return
    with path.open("r+b") as f:  # Windows flushes only what is open for writing
        os.fsync(f.fileno())
