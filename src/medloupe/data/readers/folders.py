"""Read a folder for each class, with or without train, val and test above or below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from medloupe.data.readers import box_tables
from medloupe.data.readers.base import (
    LAYOUTS,
    Files,
    ReadOptions,
    compile_patient_pattern,
    match_patients,
    merge_reasons,
    natural_key,
    parse_split,
    sort_reasons,
    walk,
)
from medloupe.data.readers.cells import note_unlabelled, states_label
from medloupe.data.readers.draft import Draft
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.origin import read_origin
from medloupe.data.records import Dataset, Record, Split
from medloupe.errors import DataError

UNUSED = "a table that is not used"

# Folders named after what files are, not after what they show.
_GENERIC = frozenset(
    {"image", "images", "img", "imgs", "pictures", "photos", "data", "files", "jpg", "jpeg", "png", "dicom", "dcm"}
    | {"mask", "masks", "annotations", "labels", "scans"}
)


@dataclass(frozen=True, slots=True)
class Places:
    """What the folders say of each image.

    Attributes
    ----------
    labels : Mapping
        The class by image.
    splits : Mapping
        The split by image.
    skipped : Mapping
        Images that lie in no class folder, by reason.
    notes : tuple of str
        What was decided.
    """

    labels: Mapping[str, str]
    splits: Mapping[str, Split]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Class names; none when the folders are named after what files are."""
        found = set(self.labels.values())
        if all(name.lower() in _GENERIC for name in found):
            return ()
        return tuple(sorted((name for name in found if states_label(name)), key=natural_key))


def read_places(images: Sequence[str]) -> Places:
    """Read classes and splits off the folders of images (relative paths)."""
    parts = {image: image.split("/")[:-1] for image in images}
    notes: list[str] = []
    depth = _wrapper_depth(list(parts.values()))
    if depth:
        notes.append(f"The data lies in {'/'.join(next(iter(parts.values()))[:depth])}.")
    heads = {p[depth] for p in parts.values() if len(p) > depth}
    known = {head: split for head in sorted(heads) if (split := parse_split(head))}
    # A class may be called "test", hardly ever one "train".
    split_first = known and (len(known) == len(heads) or "train" in known.values() or len(set(known.values())) > 1)
    split_below = not split_first and all(len(p) > depth + 1 and parse_split(p[depth + 1]) for p in parts.values())
    labels: dict[str, str] = {}
    splits: dict[str, Split] = {}
    skipped: dict[str, list[str]] = {}
    for image, folders in parts.items():
        inner = folders[depth:]
        split = None
        if split_first and inner:
            split, inner = parse_split(inner[0]), inner[1:]
            if not split:
                skipped.setdefault("outside the split folders", []).append(image)
                continue
        elif split_below:
            split = parse_split(inner[1])
        if split:
            splits[image] = split
        if inner:
            labels[image] = inner[0]
        elif not split:
            skipped.setdefault("in no class folder", []).append(image)
    told = {p[depth + split_below] for p in parts.values() if len(p) > depth + split_below} if splits else set()
    renamed = [f"{name} is {split}" for name in sorted(told) if (split := parse_split(name)) and split != name.lower()]
    if renamed:
        notes.append(f"Splits: {', '.join(renamed)}.")
    return Places(labels, splits, sort_reasons(skipped), tuple(notes))


def _wrapper_depth(folders: list[list[str]]) -> int:
    """Count the outer folders that hold everything and say nothing, as unpacked archives have them."""
    depth = 0
    while folders and all(len(p) > depth + 1 for p in folders):
        head = {p[depth] for p in folders}
        below = {p[depth + 1] for p in folders}
        class_above_splits = all(parse_split(name) for name in below) and any(len(p) == depth + 2 for p in folders)
        if len(head) > 1 or parse_split(next(iter(head))) or class_above_splits:
            break
        depth += 1
    return depth


def find_masks(images: Sequence[str]) -> tuple[str, ...]:
    """Find outlines drawn for another image beside them (x_mask.png beside x.png): they give the answer away."""
    bare = {str(PurePosixPath(image).with_suffix("")) for image in images}
    found = []
    for image in images:
        stem, mark, number = str(PurePosixPath(image).with_suffix("")).rpartition("_mask")
        if mark and stem in bare and number.lstrip("_").isdigit() | (not number):
            found.append(image)
    return tuple(found)


def build(files: Files, options: ReadOptions, reader: str, boxes: box_tables.Boxes | None = None) -> Dataset:
    """Build the data set that the folders alone (and a table of boxes, if any) describe.

    Parameters
    ----------
    files : Files
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
    _refuse_columns(files, options)
    outlines = find_masks(files.images)
    left_out = frozenset(outlines)
    images = [image for image in files.images if image not in left_out]
    found = read_places(images)
    boxes = boxes or box_tables.find(Locator(files))
    if not found.names and not boxes:
        raise DataError(f"{files.root} holds {len(images)} images, but nothing says what they show.", LAYOUTS)
    detection = boxes is not None and len(found.names) < 2
    kept = images if detection else [i for i in images if i in found.labels or i in found.splits]
    patients, patient_notes = _match_patients(files, options, kept)
    records = [
        Record(
            id=image,
            image=files.root / image,
            labels={label: 1} if states_label(label := found.labels.get(image, "")) and not detection else {},
            patient=patients.get(image),
            split=found.splits.get(image),
            boxes=boxes.by_place.get(image, ()) if boxes else (),
        )
        for image in sorted(kept)
    ]
    draft = Draft(records=records, labels=found.names, task="multiclass", notes=[*found.notes, *patient_notes])
    draft.add_boxes(boxes, detection=detection)
    if not detection:
        draft.notes += note_unlabelled((found.labels.get(r.id, "") for r in records), "folder")
        if len(found.names) > 20 and len(records) < 3 * len(found.names):
            draft.notes.append(
                f"{len(found.names)} classes with {len(records)} images: perhaps these folders are patients."
            )
    skipped = merge_reasons(
        files.skipped,
        {} if detection else found.skipped,
        {"mask of another image": outlines, UNUSED: unused_tables(files, boxes and boxes.table)},
    )
    return draft.finish(files.root, reader, skipped, read_origin(files.root))


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
        return build(walk(path), options, self.name)


FOLDERS = FolderReader()
