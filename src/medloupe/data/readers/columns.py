"""Choose which column of a table is which: told by the person, or found by its usual name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from medloupe.data.modalities import sure_suffixes
from medloupe.data.readers.base import ReadOptions, compile_patient_pattern, normalise_name
from medloupe.data.readers.folder_names import find_split
from medloupe.data.readers.label_columns import LabelChoice, choose_label_columns
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.patient_ids import are_too_few
from medloupe.data.readers.sheet import Sheet
from medloupe.data.readers.spelling import describe_spellings
from medloupe.data.readers.split_columns import SplitChoice, choose_split
from medloupe.errors import DataError

FILES = (
    *("file", "filename", "filepath", "image", "imagefile", "imagefilename", "imagepath", "imagename", "path"),
    *("img", "imgpath", "imgname", "imageid", "imageindex", "imgid", "idcode", "isicid", "dicomid", "dicompath"),
    *("dicom", "sopinstanceuid", "ecg", "ecgfile", "ecgpath", "signal", "record", "recordname"),
)
PATIENTS = (
    *("patientid", "patient", "patientnumber", "subjectid", "subject", "pid", "lesionid", "caseid", "case"),
    *("groupid", "group"),
)
RATERS = ("radid", "rater", "raterid", "readerid", "reader", "annotator", "annotatorid", "radiologist", "radiologistid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns chosen.

    Attributes
    ----------
    file : str
        The column that names the images.
    places, lost : Mapping
        Its cells that were found, with their places, and those that were not, with the reason.
    labels : LabelChoice
        The label columns.
    patient : str or None
        The column of patients.
    split : SplitChoice
        The columns of the split.
    rater : str or None
        The column that names who stated the row.
    notes : tuple of str
        What there is to say of the choice.
    """

    file: str
    places: Mapping[str, str]
    lost: Mapping[str, str]
    labels: LabelChoice
    patient: str | None
    split: SplitChoice
    rater: str | None
    notes: tuple[str, ...]

    @property
    def used(self) -> frozenset[str]:
        """All columns that have been chosen."""
        others = (self.patient, self.rater)
        return frozenset(c for c in (self.file, *self.labels.used, *self.split.used, *others) if c)


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
        return column, *locator.locate(sheet.cells(column), sheet.path.parent, find_split(sheet.path.stem))
    home, split = sheet.path.parent, find_split(sheet.path.stem)
    usual = sheet.usual_columns(FILES)
    tried = [(column, *locator.locate(sheet.cells(column), home, split)) for column in usual]
    if not any(found for _, found, _ in tried):
        for column in sheet.columns:
            if column not in usual:
                names = sheet.cells(column)
                # A grade 0 to 4 must not be taken for the files 00000.png to 00004.png.
                tried.append((column, *locator.locate(names, home, split, spelled=_tells_rows_apart(names))))
    best = max(tried, key=lambda t: len(t[1]), default=None)
    if best and best[1]:
        return best
    like = [t for t in tried if t[0] in usual or look_like_files(sheet.cells(t[0]))]
    return like[0] if like else None


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
    split = choose_split(sheet, options.split)
    rater = next((name for name in sheet.usual_columns(RATERS) if len(set(sheet.cells(name)) - {""}) > 1), None)
    labels = choose_label_columns(sheet, {column, patient, rater, *split.used}, options.labels)
    notes = (*describe_spellings(places), *labels.notes, *split.notes)
    return Columns(
        file=column, places=places, lost=lost, labels=labels, patient=patient, split=split, rater=rater, notes=notes
    )


def _choose_patient(sheet: Sheet, file: str, told: str | None) -> str | None:
    if told:
        # A pattern is no column; the one who builds the records applies it to the files.
        return None if compile_patient_pattern(told) and not sheet.has_column(told) else sheet.find_column(told)
    for column in sheet.usual_columns(PATIENTS):
        stated = [cell for cell in sheet.cells(column) if cell]
        if stated and column != file and not are_too_few(stated):
            return column
    # Where images are named after patients, each is a patient of its own.
    return file if normalise_name(file) in PATIENTS else None


def look_like_files(names: list[str]) -> bool:
    """Tell whether most cells end as the names of files do."""
    suffixes = [PurePosixPath(name).suffix.lower() for name in names if name]
    known = sure_suffixes()
    return bool(suffixes) and 2 * sum(suffix in known for suffix in suffixes) >= len(suffixes)


def _tells_rows_apart(names: list[str]) -> bool:
    stated = [name for name in names if name]
    return len(stated) > 1 and 2 * len(set(stated)) > len(stated)
