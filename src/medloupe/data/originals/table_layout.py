"""Read originals with a table beside the images: which tables, which columns, what their cells mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from medloupe.data.originals.outline import Outline, outline_folder
from medloupe.data.originals.path_layout import COPY
from medloupe.data.readers import table
from medloupe.data.readers.annotations.base import OBJECT
from medloupe.data.readers.base import (
    Files,
    ReadOptions,
    merge_reasons,
    normalise_name,
    sort_reasons,
    walk,
)
from medloupe.data.readers.folder_names import find_split
from medloupe.data.readers.folders import UNUSED, drop_images
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.sheet import MOST_TABLES, Sheet, load_sheet
from medloupe.data.readers.stacked import SPLIT, stack_sheets
from medloupe.data.records import Dataset, Record
from medloupe.errors import DataError

_SHARE = 0.5  # of the images seen that must be named as in the original; masks and previews may lie beside them


@dataclass(frozen=True, slots=True)
class Material:
    """What lies in the folder.

    Attributes
    ----------
    files : Files
        Its files.
    sheet : Sheet
        The tables with the columns asked for, as one.
    others : Mapping
        All tables that were read, by place.
    """

    files: Files
    sheet: Sheet
    others: Mapping[str, Sheet]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLayout:
    """One table, or several of the same columns, and images named in it.

    Attributes
    ----------
    columns : frozenset of str
        Those that the table must have, as `normalise_name` writes them.
    image : Pattern
        What the images' file names look like.
    file, labels, patient : str
        As ReadOptions take them.
    names : Mapping or None
        Label by cell, in the order of labels; cells that it does not hold state nothing.
    others : Pattern or None
        Names of tables with these columns that hold no truth.
    asked : tuple of frozenset
        Columns of further tables that `prepare` and `complete` need.
    prepare : Callable or None
        Makes the sheet with columns added or cells changed.
    unwanted : frozenset of str
        Columns that state the diagnosis, are known only afterwards or say nothing of the patient.
    renamed : Mapping
        Columns under the names that subgroups go by.
    once : bool
        Whether a file name stands for one picture, so that others of the name are copies.
    preferred : str
        The folder whose copies count.
    complete : Callable or None
        Works on the records at last.
    box_label : str
        What boxes show, where no column says it.
    """

    columns: frozenset[str]
    image: re.Pattern[str]
    file: str
    labels: str
    patient: str | None = None
    names: Mapping[str, str] | None = None
    others: re.Pattern[str] | None = None
    asked: tuple[frozenset[str], ...] = ()
    prepare: Callable[[Material], Sheet] | None = None
    unwanted: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    once: bool = True
    preferred: str = ""
    complete: Callable[[Dataset, Material], Dataset] | None = None
    box_label: str = ""

    def accepts(self, options: ReadOptions) -> bool:
        """Tell whether neither file column nor table is told: who tells these has another set."""
        drawn = {"xmax", "ymax"} <= self.columns or {"width", "height"} <= self.columns
        other = options.task == "detection" and not drawn
        return not (options.image or options.table or options.folders or options.annotations or other)

    def recognises(self, seen: Outline) -> bool:
        """Tell whether a table has the columns, and enough images are named as in the original."""
        if not seen.images or not self._find_own_tables(seen):
            return False
        named = sum(self.image.search(PurePosixPath(image).name) is not None for image in seen.images)
        return named >= _SHARE * len(seen.images)

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Where no table has the columns, or files are broken.
        """
        material = self._load_material(root)
        sheet = self.prepare(material) if self.prepare else material.sheet
        told = ReadOptions(
            labels=options.labels or self._find_labels(sheet),
            patient=options.patient or self.patient,
            split=options.split or (SPLIT if SPLIT in sheet.columns else None),
            image=self.file,
            task=options.task,
            unboxed=options.unboxed,
        )
        # Tables of other things are not looked into again: some are hundreds of megabytes of pixels.
        data = table.build(sheet, Locator(replace(material.files, tables=())), told, "tables")
        if self.complete:
            data = self.complete(data, material)
        if data.task == "detection":
            data = _name_boxes(data, self.box_label)
        elif self.names and not options.labels:
            data = _rename_labels(data, self.names)
        used = {*material.others, str(material.sheet.path.relative_to(root))}
        unused = [name for name in material.files.tables if name not in used]
        return replace(
            data,
            records=tuple(self._clean_columns(record) for record in data.records),
            skipped=merge_reasons(data.skipped, {UNUSED: unused}),
            notes=(*data.notes, *self._note_dropped(data)),
        )

    def _find_own_tables(self, seen: Outline) -> list[str]:
        """Find the tables that hold the truth, that of the training part first."""
        found = [t for t in seen.with_columns(self.columns) if not (self.others and self.others.search(t))]
        return sorted(found, key=lambda t: find_split(PurePosixPath(t).stem) not in (None, "train"))[:MOST_TABLES]

    def _load_material(self, root: Path) -> Material:
        seen = outline_folder(root)
        own = self._find_own_tables(seen)
        if not own:
            raise DataError(f"{root} holds no table with the columns of the original.", "Check the folder.")
        files = walk(root)
        taken = frozenset(own) | {name for wanted in self.asked for name in seen.with_columns(wanted)}
        unread = {why: [f for f in names if f not in taken] for why, names in files.skipped.items()}
        files = replace(files, skipped=sort_reasons(unread))
        if self.once:
            files = drop_images(files, {COPY: _find_copies(files.images, self.preferred)})
        sheets = {name: load_sheet(root / name) for name in sorted(taken)}
        return Material(files, stack_sheets([sheets[name] for name in own]), sheets)

    def _find_labels(self, sheet: Sheet) -> str:
        """List those of several label columns that this copy has."""
        names = self.labels.split(",")
        return ",".join(name for name in names if sheet.has_column(name)) if len(names) > 1 else self.labels

    def _clean_columns(self, record: Record) -> Record:
        columns = {
            self.renamed.get(normalise_name(name), name): cell
            for name, cell in record.columns.items()
            if normalise_name(name) not in self.unwanted
        }
        return replace(record, columns=columns)

    def _note_dropped(self, data: Dataset) -> list[str]:
        found = dict.fromkeys(n for r in data.records for n in r.columns if normalise_name(n) in self.unwanted)
        if not found:
            return []
        listed = ", ".join(found)
        return [f"Columns left out, as they give the answer away or say nothing of the patient: {listed}."]


def _find_copies(images: Iterable[str], preferred: str) -> tuple[str, ...]:
    """Find images whose name another has too: all but one, in the preferred folder or nearest to the top."""

    def rank(image: str) -> tuple[bool, int, str]:
        return (bool(preferred) and preferred not in image.split("/")[:-1], image.count("/"), image)

    kept: set[str] = set()
    copies = []
    for image in sorted(images, key=rank):
        name = PurePosixPath(image).name
        if name in kept:
            copies.append(image)
        kept.add(name)
    return tuple(sorted(copies))


def _name_boxes(data: Dataset, label: str) -> Dataset:
    """Give the boxes of a set their label, where no column does."""
    if not label or data.labels != (OBJECT,):
        return data
    records = tuple(
        replace(
            record,
            labels=dict.fromkeys([label], record.labels[OBJECT]) if record.labels else {},
            boxes=tuple(replace(box, label=label) for box in record.boxes),
        )
        for record in data.records
    )
    return replace(data, records=records, labels=(label,))


def _rename_labels(data: Dataset, names: Mapping[str, str]) -> Dataset:
    """Give labels their names, in the order of these; what has no name states nothing."""
    nameless = [label for label in data.labels if label not in names]
    records = tuple(
        replace(r, labels={names[label]: value for label, value in r.labels.items() if label in names})
        for r in data.records
    )
    present = {names[label] for label in data.labels if label in names}
    called = [f"{label} is {names[label]}" for label in data.labels if names.get(label, label) != label]
    notes = [*data.notes]
    if called:
        notes.append(f"Labels: {', '.join(called)}.")
    if nameless:
        count = sum(any(label in r.labels for label in nameless) for r in data.records)
        notes.append(f"{count} images are unlabelled, as the original says {', '.join(nameless)} of them.")
    labels = tuple(name for name in dict.fromkeys(names.values()) if name in present)
    return replace(data, records=records, labels=labels, notes=tuple(notes))
