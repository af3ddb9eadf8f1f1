"""Read a folder for each class, with or without train, val and test above or below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medloupe.data.readers.base import (
    LAYOUTS,
    Files,
    ReadOptions,
    compile_patient_pattern,
    match_patients,
    merge_reasons,
    walk,
)
from medloupe.data.readers.box_search import NOT_ANNOTATED, Search, drop_sources, find_boxes
from medloupe.data.readers.boxes import Boxes
from medloupe.data.readers.cells import note_unlabelled, states_label
from medloupe.data.readers.derived import find_derived, note_derived
from medloupe.data.readers.draft import Draft
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.origin import read_origin
from medloupe.data.readers.places import Places, read_places
from medloupe.data.readers.vanished import require_classes
from medloupe.data.records import Dataset, Record
from medloupe.errors import DataError

UNUSED = "a table that is not used"


def build(locator: Locator, options: ReadOptions, reader: str, boxes: Boxes | None = None) -> Dataset:
    """Build the data set that the folders alone (and a table of boxes, if any) describe.

    Parameters
    ----------
    locator : Locator
        What lies there.
    options : ReadOptions
        What was told: a pattern for patients at most.
    reader : str
        The reader's name.
    boxes : Boxes, optional
        Rectangles; else they are looked for.

    Raises
    ------
    DataError
        Where nothing says what the images show, or a column is told.
    """
    files = locator.files
    _refuse_columns(files, options)
    derived = find_derived(files.root, files.images)
    left_out = frozenset(image for names in derived.values() for image in names)
    images = [image for image in files.images if image not in left_out]
    found = read_places(images, options.folders) if left_out else locator.places(options.folders)
    found.require_sure()
    partly = require_classes(files, images, found, options.folders)
    single = len(found.names) < 2
    search = Search(
        options=options,
        classes={} if single else found.labels,
        wanted=single or options.task == "detection",
        derived=derived,
    )
    boxes = find_boxes(locator, search, given=boxes)
    drawn = boxes is not None and bool(boxes.by_place)
    if options.task == "detection" and not drawn:
        raise DataError(f"{files.root} holds {len(images)} images, but no boxes on them.", LAYOUTS)
    if not found.names and not drawn:
        raise DataError(f"{files.root} holds {len(images)} images, but nothing says what they show.", LAYOUTS)
    detection = drawn and (single or options.task == "detection")
    kept = images if detection else [i for i in images if i in found.labels or i in found.splits]
    if detection and boxes:
        out = {image for names in boxes.skipped.values() for image in names}
        kept = [image for image in kept if image not in out]
    patients, patient_notes = _match_patients(files, options, kept)
    patients = patients if options.patient else found.patients
    records = _list_records(files.root, kept, found, patients, boxes)
    draft = Draft(records=records, labels=found.names, task="multiclass", notes=[*found.notes, *patient_notes])
    draft.notes += [*note_derived(derived), *partly]
    draft.add_boxes(boxes, detection=detection, options=options)
    unknown = [record.id for record in draft.records if not record.labels] if detection else []
    draft.records = [record for record in draft.records if record.labels or not detection]
    if not detection:
        draft.notes += note_unlabelled((found.labels.get(r.id, "") for r in records), "folder")
        if len(found.names) > 20 and len(records) < 3 * len(found.names):
            draft.notes.append(
                f"{len(found.names)} classes with {len(records)} images: perhaps these folders are patients."
            )
    skipped = merge_reasons(
        drop_sources(files.skipped, files.root, boxes),
        {} if detection else found.skipped,
        derived,
        boxes.skipped if boxes and detection else {},
        {NOT_ANNOTATED: unknown, UNUSED: unused_tables(files, *(boxes.sources if boxes else ()))},
    )
    return draft.finish(files.root, reader, skipped, read_origin(files.root))


def _list_records(
    root: Path,
    images: Sequence[str],
    found: Places,
    patients: Mapping[str, str],
    boxes: Boxes | None,
) -> list[Record]:
    return [
        Record(
            id=image,
            image=root / image,
            labels={label: 1} if states_label(label := found.labels.get(image, "")) else {},
            patient=patients.get(image),
            split=found.splits.get(image) or (boxes.splits.get(image) if boxes else None),
            boxes=boxes.by_place.get(image, ()) if boxes else (),
            columns=found.columns.get(image, {}),
        )
        for image in sorted(images)
    ]


def _refuse_columns(files: Files, options: ReadOptions) -> None:
    """Raise DataError where a column was told that no table can have."""
    for flag, told in (("labels", options.labels), ("split", options.split), ("image", options.image)):
        if told:
            raise DataError(
                f"--{flag} {told!r} names a column, but {files.root} has no table that names its images.",
                "Put the table into the folder or name it with --table, or leave the option out.",
            )


def _match_patients(files: Files, options: ReadOptions, images: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Find the patient of each image, with notes; none where no pattern was told."""
    if not options.patient:
        return {}, []
    pattern = compile_patient_pattern(options.patient)
    if pattern is None:
        raise DataError(
            f"--patient {options.patient!r} names a column, but {files.root} has no table that names its images.",
            r"Without a table it is a regular expression, such as 'C\d+P\d+'.",
        )
    return match_patients(pattern, images)


def unused_tables(files: Files, *used: Path | None) -> list[str]:
    """List the tables in the folder that were not read."""
    return [table for table in files.tables if files.root / table not in used]


def drop_images(files: Files, images: Mapping[str, tuple[str, ...]]) -> Files:
    """Return files less some images, which are then skipped for the reasons given."""
    out = {image for names in images.values() for image in names}
    return replace(
        files,
        images=tuple(image for image in files.images if image not in out),
        dicoms=files.dicoms - out,
        skipped=merge_reasons(files.skipped, images),
    )


class FolderReader:
    """Reader of folders of classes; the layout that is left when no table names the images."""

    name = "folders"

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        """Tell whether images lie in the folder."""
        return path.is_dir() and bool(walk(path).images)

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        """Read the data set. As `build`."""
        return build(Locator(walk(path)), options, self.name)


FOLDERS = FolderReader()
