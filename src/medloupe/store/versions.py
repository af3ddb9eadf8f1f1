"""Ask within one transaction for the versions of a name, and find which one a person means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import and_, func, select, text
from sqlalchemy.orm import Session

from medloupe.errors import StoreError, UnknownError, did_you_mean
from medloupe.store.names import Version
from medloupe.store.tables import ComponentRow, ModelRow, PromotionRow, VariantRow, VersionRow

_BLOBS = (VersionRow.backbone_blob, VersionRow.head_blob, VersionRow.tail_blob)
_COMPONENT_BLOBS = (ComponentRow.backbone_blob, ComponentRow.head_blob, ComponentRow.tail_blob)
_VARIANT_BLOBS = (VariantRow.backbone_blob, VariantRow.head_blob, VariantRow.tail_blob)


class Versions:
    """Questions within one transaction. home: of the store, named in errors."""

    def __init__(self, session: Session, home: Path):
        self.session, self.home = session, home

    def numbers(self, name: str) -> tuple[Sequence[int], int | None]:
        """List the versions of a name, ascending, and the one in production."""
        wanted = select(VersionRow.number, ModelRow.production).join(ModelRow, ModelRow.id == VersionRow.model_id)
        found = self.session.execute(wanted.where(ModelRow.name == name).order_by(VersionRow.number)).all()
        numbers = [number for number, _ in found]
        present = found[0][1] if found else None
        return numbers, present if present in numbers else None

    def resolve(self, name: str, version: Version) -> int:
        """Find the number that is meant. Raises UnknownError or StoreError when there is none."""
        numbers, present = self.numbers(name)
        if not numbers:
            raise self.unknown_error(name)
        if version is None:
            return numbers[-1] if present is None else present
        if version == "production":
            if present is None:
                raise StoreError(f"No version of {name} is in production.", f"medloupe models promote {name}@N")
            return present
        if version == "candidate":
            if present is not None and numbers[-1] <= present:
                raise StoreError(f"{name} has no version newer than {present}, which is in production.")
            return numbers[-1]
        if version not in numbers:
            raise self.unknown_error(name, version)
        return version

    def row(self, name: str, version: Version) -> VersionRow:
        """Find the version that is meant. Raises as resolve does."""
        number = self.resolve(name, version)
        row = self._find(name, number)
        if row is None:  # removed between the two questions
            raise self.unknown_error(name, number)
        return row

    def _find(self, name: str, number: int) -> VersionRow | None:
        wanted = select(VersionRow).join(ModelRow, ModelRow.id == VersionRow.model_id)
        return self.session.scalar(wanted.where(ModelRow.name == name, VersionRow.number == number))

    def lock(self, name: str) -> ModelRow | None:
        """Take the name's own row, which nobody else changes until the session ends."""
        return self.session.scalar(select(ModelRow).where(ModelRow.name == name).with_for_update())

    def all(self, name: str | None = None) -> Sequence[tuple[ModelRow, VersionRow]]:
        """List all versions, or those of one name, by name and number."""
        wanted = select(ModelRow, VersionRow).join(ModelRow, ModelRow.id == VersionRow.model_id)
        if name is not None:
            wanted = wanted.where(ModelRow.name == name)
        found = self.session.execute(wanted.order_by(ModelRow.name, VersionRow.number))
        return [(model, row) for model, row in found]

    def last(self, name: str) -> int:
        """Find the highest number that was ever given, or 0."""
        return self.session.scalar(select(ModelRow.last).where(ModelRow.name == name)) or 0

    def list_committed(self) -> Sequence[tuple[str, int, Sequence[str]]]:
        """List name, number and blobs of all versions with what belongs to them, once no transaction changes them.

        A PostgreSQL server may still be about to commit what a writer sent it before being killed: that is waited for.
        """
        if self.session.get_bind().dialect.name == "postgresql":
            self.session.execute(text("SET LOCAL lock_timeout = '10s'"))
            self.session.execute(text("LOCK TABLE versions, variants, components IN SHARE MODE"))
        known = select(ModelRow.name, VersionRow.number, *_BLOBS)
        found = list(self.session.execute(known.join(ModelRow, ModelRow.id == VersionRow.model_id)))
        variants = select(ModelRow.name, VersionRow.number, *_VARIANT_BLOBS).select_from(VariantRow)
        variants = variants.join(VersionRow, VersionRow.id == VariantRow.version_id)
        found += self.session.execute(variants.join(ModelRow, ModelRow.id == VersionRow.model_id))
        components = select(ModelRow.name, VersionRow.number, *_COMPONENT_BLOBS).select_from(ComponentRow)
        components = components.join(VersionRow, VersionRow.id == ComponentRow.version_id)
        found += self.session.execute(components.join(ModelRow, ModelRow.id == VersionRow.model_id))
        return [(name, number, [b for b in blobs if b]) for name, number, *blobs in found]

    def variants(self, version: VersionRow) -> Sequence[VariantRow]:
        """List a version in other precisions, by their name."""
        wanted = select(VariantRow).where(VariantRow.version_id == version.id).order_by(VariantRow.precision)
        return self.session.scalars(wanted).all()

    def component(self, version: VersionRow) -> ComponentRow | None:
        """Find the check-up that a composed version asks; None of one that is none."""
        return self.session.scalar(select(ComponentRow).where(ComponentRow.version_id == version.id))

    def production(self) -> dict[str, tuple[int, str]]:
        """Find of each name the version in production, and a text that changes with it."""
        same = and_(VersionRow.model_id == ModelRow.id, VersionRow.number == ModelRow.production)
        wanted = select(ModelRow.name, VersionRow.number, *_BLOBS)
        found = self.session.execute(wanted.join(VersionRow, same)).all()
        marks = {name: (number, [str(number), *(b[:16] for b in blobs if b)]) for name, number, *blobs in found}
        variants = select(ModelRow.name, VariantRow.precision, VariantRow.head_blob).select_from(VariantRow)
        variants = variants.join(VersionRow, VersionRow.id == VariantRow.version_id).join(ModelRow, same)
        for name, precision, head in self.session.execute(variants.order_by(ModelRow.name, VariantRow.precision)):
            if name in marks:
                marks[name][1].append(f"{precision}.{head[:16]}")
        return {name: (number, "-".join(mark)) for name, (number, mark) in marks.items()}

    def state(self, name: str, version: int) -> str:
        """Give a text that changes with whatever a version is made of, its card included. Raises UnknownError."""
        row = self._find(name, version)
        if row is None:
            raise self.unknown_error(name, version)
        parts = [*row.blobs, _digest(row.card)]
        for variant in self.variants(row):
            parts += [variant.precision, *variant.blobs, _digest(variant.card)]
        component = self.component(row) if row.card.get("composed") else None
        if component is not None:
            parts += [*component.blobs, _digest(component.card)]
        return "-".join(parts)

    def awaited(self) -> list[tuple[str, int]]:
        """List what may come into production next: of each name the newest version, and the one before the present.

        The newest versions come first, the latest made before others.
        """
        newest = (
            select(func.max(VersionRow.number)).where(VersionRow.model_id == ModelRow.id).correlate(ModelRow)
        ).scalar_subquery()
        latest = (
            select(func.max(PromotionRow.id)).where(PromotionRow.model_id == ModelRow.id).correlate(ModelRow)
        ).scalar_subquery()
        made = select(ModelRow.name, VersionRow.number, ModelRow.production).join(
            VersionRow, VersionRow.model_id == ModelRow.id
        )
        candidates = self.session.execute(made.where(VersionRow.number == newest).order_by(VersionRow.id.desc())).all()
        before = self.session.execute(
            made.join(
                PromotionRow, and_(PromotionRow.id == latest, PromotionRow.previous == VersionRow.number)
            ).order_by(PromotionRow.id.desc())
        ).all()
        found = [(name, number) for name, number, present in (*candidates, *before) if number != present]
        return list(dict.fromkeys(found))

    def unknown_error(self, name: str, version: int | None = None) -> UnknownError:
        """Make the error that says what there is instead."""
        versions, _ = self.numbers(name)
        if version is not None and versions:
            return UnknownError(f"{name} has no version {version}; it has {', '.join(map(str, versions))}.")
        there = select(ModelRow.name).where(ModelRow.id.in_(select(VersionRow.model_id))).order_by(ModelRow.name)
        names = self.session.scalars(there).all()
        listed = f"there are: {', '.join(names)}." if names else "it is empty."
        return UnknownError(
            f"The store {self.home} has no model {name!r}; {listed}",
            did_you_mean(name, names) or "Train one: medloupe train FOLDER --name NAME",
        )


def _digest(card: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()[:32]
