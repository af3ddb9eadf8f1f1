"""Read a data set of any known layout: a well-known original, else by the first reader that recognises it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from medloupe.data.crops import crop_dataset
from medloupe.data.modalities import IMAGE_SUFFIXES, MODALITIES
from medloupe.data.readers.base import LAYOUTS, Reader, ReadOptions, require_path, walk
from medloupe.data.readers.dicom import DICOM
from medloupe.data.readers.ecg.beats import ECG_BEATS
from medloupe.data.readers.ecg.folder import ECG_FILES
from medloupe.data.readers.ecg.twelve_lead import ECG_12LEAD
from medloupe.data.readers.files import FilesReader
from medloupe.data.readers.folders import FOLDERS
from medloupe.data.readers.medmnist import MEDMNIST
from medloupe.data.readers.table import TABLE, is_table
from medloupe.data.readers.vanished import describe_unread
from medloupe.data.records import Dataset
from medloupe.errors import DataError, UnknownLayoutError
from medloupe.imaging.crops import MARGIN

TASKS = ("detection", "classification", "multilabel")
UNBOXED = ("negative", "unknown", "leave-out")
_WITHOUT_BOX = "no box, left out as told"
_ANNOTATIONS = frozenset({".json", ".xml", ".txt", ".yaml", ".yml"})

# The first that recognises a path reads it. A table goes before folders, as it says more; DICOM before
# both, since it reads them too and adds what the tags know. Those of ECGs leave alone what holds pictures.
READERS: tuple[Reader, ...] = (ECG_BEATS, ECG_12LEAD, ECG_FILES, MEDMNIST, DICOM, TABLE, FOLDERS)


def read(
    path: str | Path,
    *,
    labels: str | None = None,
    patient: str | None = None,
    split: str | None = None,
    image: str | None = None,
    table: str | Path | None = None,
    folders: str | None = None,
    task: str | None = None,
    unboxed: str | None = None,
    crop: float | str | None = None,
    crop_to: str | None = None,
) -> Dataset:
    r"""Read a labelled data set: a folder, a table or an .npz, of images or of ECGs, whichever layout it has.

    A well-known public data set is read as its recipe says (originals/); what is told goes before the recipe.

    Parameters
    ----------
    path : str or Path
        The folder, table or .npz.
    labels : str, optional
        The label column, several 1/0 columns joined by commas, or a DICOM keyword.
    patient : str, optional
        The column of what must not be split, or a regular expression for file names (`C\d+P\d+`).
    split, image : str, optional
        The columns that say train/val/test and name the file.
    table : str or Path, optional
        The table, when it lies apart from the images; of several annotations of boxes (a JSON, an XML, a folder of
        texts) the one that counts.
    folders : str, optional
        What the folders above the images are, from the top, where that is not found out: "split/class",
        "class/patient", "site/class".
    task : "detection", "classification" or "multilabel", optional
        Whether places are to be found or whole images told apart, where the data can teach both: boxes and classes.
        Without it classes go first, and boxes where there are fewer than two. "classification" of a set that has boxes
        alone asks whether an image has one. "multilabel" of a table: its columns are findings of which an image may
        have any number, also where each has exactly one.
    unboxed : "negative", "unknown" or "leave-out", optional
        What images without boxes are, where boxes are read. "negative": nothing is on them, but for what their class
        says. "unknown": they take no part, even where the annotation lists them without a box; a class such as normal
        still counts. "leave-out": they are left out, whatever is known of them. Without it an image is a negative only
        where the annotation or its class says that nothing is there.
    crop : float or str, optional
        Crop to the boxes, with this margin of a box's own side (`data.crops.crop_dataset`): each box becomes an
        example, or each image is cut to its boxes where whole images have classes.
    crop_to : str, optional
        Labels of the boxes to crop to, joined by commas; goes with crop.

    Raises
    ------
    DataError
        Where the data cannot be read as asked.
    ColumnError
        For a told column that is not there.
    QuestionError
        Where two readings are plausible; its hint has the options that choose.
    UnknownLayoutError
        When no reader fits.
    """
    from medloupe.data.originals.known import recognise_original  # here, as it builds on the readers

    place = require_path(Path(path).expanduser())
    if task not in (None, *TASKS):
        raise DataError(f"--task {task!r} is none of {', '.join(TASKS)}.", "Leave it out, or name one of them.")
    if unboxed not in (None, *UNBOXED):
        raise DataError(f"--unboxed {unboxed!r} is none of {', '.join(UNBOXED)}.", "Leave it out, or name one of them.")
    if crop_to and crop is None:
        raise DataError(f"--crop-to {crop_to} says what is cropped to.", "Add --crop.")
    annotations = _find_annotations(place, table) if table else None
    options = ReadOptions(
        labels=labels,
        patient=patient,
        split=split,
        image=image,
        table=_find_table(place, table) if table and not annotations else None,
        folders=folders,
        task=task,
        annotations=annotations,
        unboxed=unboxed,
    )
    told = {"labels": labels, "patient": patient, "split": split, "image": image, "table": table}
    told |= {"folders": folders, "task": task, "unboxed": unboxed, "crop": crop, "crop_to": crop_to}
    asked = {name: str(value) for name, value in told.items() if value or value == 0}
    readers = (*(FilesReader(kind) for kind in MODALITIES.added), *READERS)
    reader = recognise_original(place, options) or next((r for r in readers if r.recognises(place, options)), None)
    if reader is None:
        raise _unknown_layout(place)
    data = replace(reader.read(place, options), asked=asked)
    if task == "multilabel" and data.task != "multilabel":
        raise DataError(
            f"{data.root} does not say which of several findings each image has, as --task multilabel asks.",
            "Give a table with a column of 1 and 0 for each, and name them: --labels A,B.",
        )
    if unboxed:
        data = _settle_unboxed(data, unboxed)
    return data if crop is None else crop_dataset(data, _read_margin(crop), crop_to)


def _settle_unboxed(data: Dataset, unboxed: str) -> Dataset:
    """Leave images without boxes out where that was told; raise DataError where the data has no boxes at all."""
    if not any(record.boxes for record in data.records):
        raise DataError(
            f"--unboxed {unboxed} says what pictures without boxes are, but {data.root} has no boxes.",
            "Leave it out, or put the annotation of the boxes beside the pictures (docs/boxes.md).",
        )
    without = tuple(record.id for record in data.records if not record.boxes)
    if unboxed != "leave-out" or not without:
        return data
    return replace(
        data,
        records=tuple(record for record in data.records if record.boxes),
        skipped={**data.skipped, _WITHOUT_BOX: without},
        notes=(*data.notes, f"{len(without):,} images without boxes are left out, as told."),
    )


def _read_margin(told: float | str) -> float:
    """Read the margin of crops. Raises DataError for what is no number."""
    try:
        return float(told)
    except ValueError as e:
        raise DataError(f"The margin {told!r} of crops is no number.", f"Give for example {MARGIN}.") from e


def _find_annotations(place: Path, told: str | Path) -> Path | None:
    """Find the annotations told: a folder, a JSON or an XML, as written or inside the data folder; None for tables."""
    inside, written = place / told, Path(told).expanduser()
    found = inside if inside.exists() else written
    return found if place.is_dir() and (found.is_dir() or found.suffix.lower() in _ANNOTATIONS) else None


def _find_table(place: Path, told: str | Path) -> Path:
    """Find the table told: as written, or inside the data folder."""
    if not place.is_dir():
        raise DataError(f"--table goes with the folder of the images, but {place} is a file.", "Give the folder.")
    table = Path(told).expanduser()
    inside = place / table
    table = inside if inside.is_file() and not table.is_file() else require_path(table)
    if not is_table(table):
        raise DataError(
            f"{table} is no table.",
            "Expected a .csv, .tsv, .xlsx or .parquet file, or annotations of boxes: a .json, an .xml or a folder.",
        )
    return table


def _unknown_layout(path: Path) -> UnknownLayoutError:
    suffix = path.suffix.lower()
    if path.is_file():
        if suffix in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"):
            return UnknownLayoutError(f"{path} is a packed archive.", "Unpack it and give the folder.")
        if suffix in IMAGE_SUFFIXES:
            return UnknownLayoutError(f"{path} is one image; a data set was expected.", f"Give its folder. {LAYOUTS}")
        return UnknownLayoutError(f"{path} is no data set that is known.", LAYOUTS)
    files = walk(path)
    others = [*files.tables, *(file for reason, found in files.skipped.items() if reason != "hidden" for file in found)]
    kinds = Counter(Path(file).suffix.lower() or "without an extension" for file in others)
    holds = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    if not holds:
        return UnknownLayoutError(f"{path} is empty.", LAYOUTS)
    what, hint = describe_unread(path, files.skipped)
    if what and not files.tables:
        return UnknownLayoutError(
            f"{path} holds no images that are read ({holds}): they are {what}.", f"{hint} {LAYOUTS}"
        )
    return UnknownLayoutError(f"{path} holds no images ({holds}).", LAYOUTS)
