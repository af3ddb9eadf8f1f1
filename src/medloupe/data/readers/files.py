"""Read files of a kind that is no picture, laid out as pictures are: a folder a class, or a table beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from medloupe.data.modalities import Modality, of_suffix
from medloupe.data.readers import folders, table
from medloupe.data.readers.base import LAYOUTS, NOT_AN_IMAGE, Files, ReadOptions, list_some, sort_reasons, walk
from medloupe.data.readers.locate import Locator
from medloupe.data.records import Dataset
from medloupe.errors import DataError


def read_labelled(path: Path, files: Files, options: ReadOptions, kind: Modality, reader: str) -> Dataset | None:
    """Read a set by its table, or by its folders; None where neither says what the files show.

    files: those of the kind stand for its images.
    """
    locator = Locator(files)
    sheet = table.find(path, locator, options)
    if sheet is not None:
        return call_by_kind(table.build(sheet, locator, options, reader), kind)
    if locator.places(options.folders).names:
        return call_by_kind(folders.build(locator, options, reader), kind)
    return None


def call_by_kind(data: Dataset, kind: Modality) -> Dataset:
    """Call by their kind the files of a set that was read as one of images."""
    records = tuple(
        replace(record, **{"image": None, kind.field: record.image}) if isinstance(record.image, Path) else record
        for record in data.records
    )
    notes = tuple(kind.of_images(note) for note in data.notes)
    return replace(data, records=records, modality=kind.name, things=kind.many, notes=notes)


def files_of(seen: Files, kind: Modality) -> Files:
    """List a folder's files of a kind in place of its images, told by their suffix."""
    found = [name for name in seen.skipped.get(NOT_AN_IMAGE, ()) if of_suffix(name) is kind]
    others = {
        (f"not {kind.of_images('an image')}" if reason == NOT_AN_IMAGE else reason): [
            n for n in names if n not in found
        ]
        for reason, names in seen.skipped.items()
    }
    pictures = {f"not {kind.of_images('an image')}": seen.images}
    skipped = {reason: [*others.get(reason, ()), *pictures.get(reason, ())] for reason in {**others, **pictures}}
    return replace(seen, images=tuple(sorted(found)), dicoms=frozenset(), skipped=sort_reasons(skipped))


class FilesReader:
    """Files of a kind added from outside in class folders, or named by a table; never where there are pictures."""

    def __init__(self, kind: Modality):
        self.kind = kind
        self.name = f"{kind.name}_files"

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        """Tell whether there are files of the kind, and no pictures."""
        root = table.data_folder(path)
        if not root.is_dir():
            return False
        seen = walk(root)
        return not seen.images and bool(files_of(seen, self.kind).images)

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        """Read the data set. Raises DataError where nothing says what the files show."""
        files = files_of(walk(table.data_folder(path)), self.kind)
        data = read_labelled(path, files, options, self.kind, self.name)
        if data is None:
            named = f"{len(files.images)} {self.kind.one} files ({list_some(files.images)})"
            raise DataError(f"{files.root} holds {named}, but nothing says what they show.", LAYOUTS)
        return data
