"""Define how one check-up that comes with the package is built: from which data, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import medloupe
from medloupe.data.originals import known
from medloupe.data.records import Dataset
from terms import NOT_OPEN

TERMS = ("open", "non-commercial", "research")
"""Attribution at most; no commercial use; research alone, or nothing is stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """One check-up to build.

    data: its folder. also: further folders of the same question, learned from together: a patient whom several name is
    one patient; parted_by: the column, and the values by folder, by which its figures are told apart.
    widened_by: of its folders those whose pictures, changed as the field changes them, are of its kind too; all unless
    told: of two kinds of camera these let in coffee cups. title: as people
    call it. about: what picture or ECG it wants. kind: of picture, or ECG; check-ups
    of one kind may be asked about the same picture. relabel: new names of labels; one that is mapped to "" is left out.
    labels: their order where it matters. original: the public set that the data is part of, by its name in
    medloupe.data.originals; also_original: of the further folders, where they are of others; source: where it has none
    there, its title, licence and citation. clinical: columns read
    beside it. normal, harmless, sought (the most dangerous first), ordered: what its labels mean. scope: whom and what
    it is for, in up to three short lines above its answers. applies: the same as questions, by which it is meant or not
    where the app chooses among those of its kind. weaknesses: sentences for the card's limits. finds: whether it marks
    places, of a set with boxes; then relabel is of these. measure: what is computed from its boxes. false_marks: how
    many a picture and label its lines allow. terms: what the licence of its data allows, of TERMS; of a folder that is
    open but for a part, an open check-up leaves out that part. finetune: as an option of a training; a head that learns
    from photographs needs "none".
    """

    name: str
    data: str
    title: str
    about: str
    kind: str
    weaknesses: tuple[str, ...]
    original: str = ""
    also_original: tuple[str, ...] = ()
    source: tuple[str, str, str] = ("", "", "")
    relabel: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    clinical: tuple[str, ...] | None = None
    normal: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    sought: tuple[str, ...] = ()
    ordered: bool = False
    scope: tuple[str, ...] = ()
    terms: str = "open"
    applies: tuple[Mapping[str, object], ...] = ()
    finds: bool = False
    measure: tuple[str, ...] = ()
    false_marks: float = 1.0
    also: tuple[str, ...] = ()
    widened_by: tuple[str, ...] = ()
    parted_by: tuple[str, Mapping[str, str]] | None = None
    finetune: str = "auto"

    @property
    def roles(self) -> dict[str, object]:
        """The options of a training that say what the labels mean."""
        told = {"normal": self.normal, "harmless": self.harmless, "sought": self.sought, "ordered": self.ordered}
        return {**told, "roles_by": "curated"}

    @property
    def folders(self) -> tuple[str, ...]:
        """All folders that it learns from."""
        return (self.data, *self.also)

    @property
    def collection(self) -> str:
        """The data's name, as people know it."""
        return self._join(0, " and ")

    @property
    def licence(self) -> str:
        return self._join(1, "; ")

    @property
    def citation(self) -> str:
        return self._join(2, "; ")

    def _join(self, place: int, between: str) -> str:
        """Title, licence or citation, of all its sources; what they share is told once."""
        if not self.original:
            return self.source[place]
        found = [known.find_original(name) for name in (self.original, *self.also_original)]
        return between.join(dict.fromkeys((o.title, o.licence, o.citation)[place] for o in found))

    def read(self, folder: Path) -> Dataset:
        """The data set as this check-up sees it. Raises DataError."""
        data = self._read_all(folder)
        if self.finds:
            return self._rename_boxes(data)
        if not self.relabel:
            return data
        missing = set(self.relabel) - set(data.labels)
        if missing:
            raise SystemExit(f"{self.name}: {folder / self.data} has no label {', '.join(sorted(missing))}.")
        to = {name: self.relabel.get(name, name) for name in data.labels}
        records = tuple(
            replace(r, labels={to[n]: v for n, v in r.labels.items() if to[n]})
            for r in data.records
            if not r.labels or any(to[n] for n in r.labels)
        )
        dropped = sum(len(r.labels) > 0 for r in data.records) - sum(len(r.labels) > 0 for r in records)
        left = [name for name in data.labels if not to[name]]
        notes = (
            [f"{', '.join(f'{a} is read as {b}' for a, b in self.relabel.items() if b)}."] if any(to.values()) else []
        )
        notes = [note for note in notes if note != "."]
        notes += [f"{dropped} images of {', '.join(left)} are left out."] if dropped else []
        names = self.labels or tuple(dict.fromkeys(name for name in to.values() if name))
        return replace(data, records=records, labels=names, notes=(*data.notes, *notes))

    def _read_all(self, folder: Path) -> Dataset:
        """Read its folder; of several what they hold together, without the splits that single ones bring."""
        task = "detection" if self.finds else None
        parts = [self._leave_out(medloupe.read(folder / name, task=task), name) for name in self.folders]
        first = parts[0]
        if len(parts) == 1:
            return first
        told = {label for part in parts for label in part.labels} - set(first.labels)
        if told or any(part.task != first.task for part in parts):
            raise SystemExit(f"{self.name}: {', '.join(self.folders)} do not ask the same question.")
        column, values = self.parted_by or ("", {})
        records = tuple(
            replace(
                r,
                id=f"{name}/{r.id}",
                split=None,
                columns={**r.columns, **({column: values[name]} if column else {})},
            )
            for name, part in zip(self.folders, parts, strict=True)
            for r in part.records
        )
        counted = ", ".join(f"{len(part):,} from {name}" for name, part in zip(self.folders, parts, strict=True))
        notes = (*(note for part in parts for note in part.notes), f"Several folders are read as one: {counted}.")
        return replace(first, root=folder, records=records, notes=tuple(dict.fromkeys(notes)))

    def _leave_out(self, data: Dataset, name: str) -> Dataset:
        """Leave out of a folder what an open check-up must not learn from."""
        if self.terms != "open" or name not in NOT_OPEN:
            return data
        column, values = NOT_OPEN[name]
        records = tuple(r for r in data.records if r.columns.get(column) not in values)
        left = len(data) - len(records)
        return replace(data, records=records, notes=(*data.notes, f"{left} images are left out for their licence."))

    def _rename_boxes(self, data: Dataset) -> Dataset:
        """Give boxes the names that the check-up has for them."""
        to = {name: self.relabel.get(name, name) for name in data.labels}
        if all(a == b for a, b in to.items()):
            return data
        records = tuple(
            replace(
                r,
                boxes=tuple(replace(b, label=to[b.label]) for b in r.boxes),
                labels={
                    name: int(any(v and to[n] == name for n, v in r.labels.items()))
                    for name in dict.fromkeys(to.values())
                    if r.labels
                },
            )
            for r in data.records
        )
        notes = [f"Boxes of {a} are read as {b}." for a, b in to.items() if a != b]
        return replace(data, records=records, labels=tuple(dict.fromkeys(to.values())), notes=(*data.notes, *notes))
