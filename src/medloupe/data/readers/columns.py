"""Choose which column of a table is which: told by the person, or found by its usual name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from medloupe.data.readers import cells
from medloupe.data.readers.base import (
    ECG_SUFFIXES,
    IMAGE_SUFFIXES,
    ReadOptions,
    compile_patient_pattern,
    list_some,
    normalise_name,
    parse_split,
)
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.sheet import Sheet
from medloupe.errors import DataError

FILES = (
    *("file", "filename", "filepath", "image", "imagefile", "imagefilename", "imagepath", "imagename", "path"),
    *("img", "imgpath", "imgname", "imageid", "imageindex", "imgid", "idcode", "isicid", "dicomid", "dicompath"),
    *("dicom", "sopinstanceuid", "ecg", "ecgfile", "ecgpath", "signal", "record", "recordname"),
)
LABELS = (
    *("label", "labelname", "dx", "diagnosis", "class", "classname", "category", "finding", "target"),
    *("findinglabels", "labels", "findings", "grade", "level", "severity"),
)
PATIENTS = (
    *("patientid", "patient", "patientnumber", "subjectid", "subject", "pid", "lesionid", "caseid", "case"),
    *("groupid", "group"),
)
SPLITS = ("split", "set", "subset", "partition", "fold", "dssplit", "splitset", "phase", "usage")
# Yes/no columns about the person, the picture or the stay, which nobody means to predict without saying so.
_ABOUT = frozenset(
    {"sex", "gender", "age", "view", "eye", "laterality", "side", "quality", "index", "dupof", "smoker", "died"}
    | {"survival", "intubated", "inicu", "frontallateral", "appa", "fs", "id"}
)
_FEW, _MANY = 5, 20  # fewer than _FEW groups among at least _MANY rows are study arms, not patients


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns chosen.

    Attributes
    ----------
    file : str
        The column that names the images.
    places, lost : Mapping
        Its cells that were found, with their places, and those that were not, with the reason.
    labels : tuple of str
        The label columns.
    patient, split : str or None
        The columns of patients and splits.
    notes : tuple of str
        What there is to say of the choice.
    """

    file: str
    places: Mapping[str, str]
    lost: Mapping[str, str]
    labels: tuple[str, ...]
    patient: str | None
    split: str | None
    notes: tuple[str, ...]

    @property
    def used(self) -> frozenset[str]:
        """All columns that have been chosen."""
        return frozenset(c for c in (self.file, *self.labels, self.patient, self.split) if c)


def find_file_column(
    sheet: Sheet, locator: Locator, told: str | None
) -> tuple[str, dict[str, str], dict[str, str]] | None:
    """Find the column that names the images; None when no column looks like it.

    Of several candidates the one that names most images; failing usual names, any that names images at all.

    Returns
    -------
    column : str
        Its name.
    found, lost : dict
        As `Locator.locate` returns them.
    """
    if told:
        column = sheet.find_column(told)
        return column, *locator.locate(sheet.cells(column), sheet.path.parent)
    usual = sheet.usual_columns(FILES)
    tried = [(column, *locator.locate(sheet.cells(column), sheet.path.parent)) for column in usual]
    if not any(found for _, found, _ in tried):
        others = [column for column in sheet.columns if column not in usual]
        tried += [(column, *locator.locate(sheet.cells(column), sheet.path.parent)) for column in others]
    best = max(tried, key=lambda t: len(t[1]), default=None)
    if best and best[1]:
        return best
    like = [t for t in tried if t[0] in usual or _looks_like_files(sheet.cells(t[0]))]
    return like[0] if like else None


def find_label_columns(sheet: Sheet, taken: Collection[str | None], told: str | None) -> tuple[str, ...]:
    """Find the label column, or several 1/0 columns; empty when there is none.

    Raises
    ------
    ColumnError
        For a told column that is not there.
    """
    if told:
        several = "," in told and not sheet.has_column(told)
        return tuple(
            dict.fromkeys(sheet.find_column(name.strip()) for name in (told.split(",") if several else [told]))
        )
    usual = [column for column in sheet.usual_columns(LABELS) if column not in taken]
    if usual:
        return (usual[0],)
    free = [column for column in sheet.columns if column not in taken and normalise_name(column) not in _ABOUT]
    return tuple(column for column in free if cells.is_binary(sheet.cells(column)))


def choose_columns(sheet: Sheet, locator: Locator, options: ReadOptions) -> Columns:
    """Choose all columns of a table of images.

    Raises
    ------
    DataError
        When no column names image files, or a split column says no split.
    ColumnError
        For a told column that is not there.
    """
    file = find_file_column(sheet, locator, options.image)
    if file is None:
        raise DataError(
            f"{sheet.path} has no column that names image files; it has: {', '.join(sheet.columns)}.",
            "Name it with --image.",
        )
    column, places, lost = file
    patient = _choose_patient(sheet, column, options.patient)
    split = _choose_split(sheet, options.split)
    labels = find_label_columns(sheet, {column, patient, split}, options.labels)
    others = [c for c in sheet.usual_columns(LABELS) if c not in {column, patient, split, *labels}]
    notes = []
    if others and not options.labels:
        several = [c for c in others if cells.holds_several_labels(c, sheet.cells(c))]
        notes = [f"Labels are those of column {labels[0]!r}; there is also {list_some(map(repr, others))} (--labels)."]
        notes += [f"Column {c!r} holds several labels an image (multi-label)." for c in several]
    return Columns(
        file=column, places=places, lost=lost, labels=labels, patient=patient, split=split, notes=tuple(notes)
    )


def _choose_patient(sheet: Sheet, file: str, told: str | None) -> str | None:
    if told:
        # A pattern is no column; the one who builds the records applies it to the files.
        return None if compile_patient_pattern(told) and not sheet.has_column(told) else sheet.find_column(told)
    for column in sheet.usual_columns(PATIENTS):
        stated = [cell for cell in sheet.cells(column) if cell]
        few = len(set(stated)) < _FEW and len(stated) >= _MANY
        if stated and column != file and not few:
            return column
    # Where images are named after patients, each is a patient of its own.
    return file if normalise_name(file) in PATIENTS else None


def _choose_split(sheet: Sheet, told: str | None) -> str | None:
    if told:
        column = sheet.find_column(told)
        values = sorted(set(sheet.cells(column)))
        if not any(parse_split(value) for value in values):
            raise DataError(
                f"Column {column!r} of {sheet.path.name} holds {list_some(map(repr, values))}.",
                "A split column says train, val or test.",
            )
        return column
    for column in sheet.usual_columns(SPLITS):
        stated = [cell for cell in sheet.cells(column) if cell]
        if stated and 2 * sum(parse_split(cell) is not None for cell in stated) >= len(stated):
            return column
    return None


def _looks_like_files(names: list[str]) -> bool:
    suffixes = [PurePosixPath(name).suffix.lower() for name in names if name]
    return bool(suffixes) and 2 * sum(suffix in IMAGE_SUFFIXES | ECG_SUFFIXES for suffix in suffixes) >= len(suffixes)
