"""Read folders of DICOM files.

Labels come from a table, a tag or class folders; patients, sex, age and view from the tags.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medloupe.data.readers import folders, table
from medloupe.data.readers.base import Files, ReadOptions, list_some, natural_key, walk
from medloupe.data.readers.cells import note_unlabelled, states_label
from medloupe.data.readers.derived import MASK
from medloupe.data.readers.draft import Draft
from medloupe.data.readers.formats import read_start
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.origin import read_origin
from medloupe.data.readers.patient_ids import FEW, explain_unusable, find_placeholders
from medloupe.data.readers.places import read_places
from medloupe.data.readers.vanished import BLIND, UNREADABLE
from medloupe.data.records import Dataset, Record
from medloupe.errors import DataError, QuestionError
from medloupe.imaging.headers import sniff

# Names, birth dates and addresses are not among them: they are never read.
_COLUMNS = {"sex": "PatientSex", "age": "PatientAge", "view": "ViewPosition", "modality": "Modality"}
_PATIENT, _STUDY = "PatientID", "StudyInstanceUID"
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66"  # segmentations, registrations and what else is drawn on images
_DAYS = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}  # units in a year
_IDENTIFYING = re.compile(r"Name$|Name|Birth|Address|Telephone|Physician|Operator|PatientID$|Comments$")


@dataclass(frozen=True, slots=True)
class _Header:
    """What is kept of a file's tags."""

    uid: str
    tags: Mapping[str, str]


def is_keyword(word: str | None) -> bool:
    """Tell whether a word is a DICOM keyword, such as BodyPartExamined."""
    if not word or not word.isalnum():
        return False
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(word) is not None


def age_in_years(age: str) -> str:
    """Write a DICOM age ("045Y", "006M") in years; "" when it is none."""
    match = re.fullmatch(r"\s*(\d{1,3})([DWMY])\s*", age.upper())
    return f"{int(match[1]) / _DAYS[match[2]]:.3g}" if match else ""


def _read_headers(files: Files, more: list[str]) -> tuple[dict[str, _Header], dict[str, tuple[str, ...]]]:
    """Read tags by file, and list the files that cannot be used by reason. Pixels are not read."""
    from pydicom import dcmread
    from pydicom.config import disable_value_validation
    from pydicom.errors import InvalidDicomError

    wanted = ["SOPInstanceUID", _PATIENT, _STUDY, "SOPClassUID", "Rows", *_COLUMNS.values(), *more]
    headers: dict[str, _Header] = {}
    broken: list[str] = []
    blind: list[str] = []
    drawn: list[str] = []
    for place in sorted(files.dicoms):
        try:
            with warnings.catch_warnings(), disable_value_validation():
                # Values outside the standard are common; each tag used is checked where it is used.
                warnings.simplefilter("ignore")
                start = read_start(files.root / place)
                # A data set without file meta information is read as it is; `predict` reads it too.
                bare = start[128:132] != b"DICM" and sniff(start) == "DICOM"
                header = dcmread(files.root / place, stop_before_pixels=True, specific_tags=list(wanted), force=bare)
                tags = {name: _tag_text(header.get(name)) for name in wanted}
        # A hostile or truncated file can fail in any of pydicom's converters.
        except (
            *(InvalidDicomError, OSError, EOFError, ValueError, TypeError, LookupError, AttributeError),
            *(NotImplementedError, ArithmeticError, RecursionError, MemoryError, struct.error),
        ):
            broken.append(place)
            continue
        if not tags["Rows"]:
            blind.append(place)
        elif tags["SOPClassUID"].startswith(_SEGMENTATION):
            drawn.append(place)
        else:
            headers[place] = _Header(tags["SOPInstanceUID"], {k: v for k, v in tags.items() if v})
    return headers, {UNREADABLE: tuple(broken), BLIND: tuple(blind), MASK: tuple(drawn)}


def _tag_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return "|".join(str(item).strip() for item in value)
    return str(value).strip("\0 ")


def _label_by_tag(
    files: Files, headers: Mapping[str, _Header], keyword: str, reader: str, layout: str | None
) -> Dataset:
    values = {place: headers[place].tags.get(keyword, "") if place in headers else "" for place in files.images}
    names = tuple(sorted({value for value in values.values() if states_label(value)}, key=natural_key))
    if not names:
        raise DataError(f"No file in {files.root} has the tag {keyword}.", "Name another tag or a table.")
    found = read_places(files.images, layout)
    records = [
        Record(
            id=place,
            image=files.root / place,
            labels={value: 1} if states_label(value) else {},
            split=found.splits.get(place),
        )
        for place, value in values.items()
    ]
    notes = [f"Labels are the values of the DICOM tag {keyword}.", *note_unlabelled(values.values(), "tag")]
    draft = Draft(records=records, labels=names, task="multiclass", notes=notes)
    return draft.finish(files.root, reader, files.skipped, read_origin(files.root))


def _add_tags(dataset: Dataset, headers: Mapping[str, _Header], told: str | None, *, guessed: bool) -> Dataset:
    """Add the patient and the columns of each file's tags, where the table says nothing of them.

    guessed: the patients that are there were taken from folders, and a tag goes before them.
    """
    who, notes = _find_patients([r.id for r in dataset.records], headers, told)
    records = []
    for record in dataset.records:
        tags = headers[record.id].tags if record.id in headers else {}
        columns = {name: tags.get(keyword, "") for name, keyword in _COLUMNS.items()}
        columns["age"] = age_in_years(columns["age"])
        named = {name.lower() for name in record.columns}
        added = {name: value for name, value in columns.items() if value and name not in named}
        first, second = (who.get(record.id), record.patient) if guessed else (record.patient, who.get(record.id))
        records.append(replace(record, patient=first or second, columns={**record.columns, **added}))
    notes = notes if any(not r.patient for r in dataset.records) else []
    return replace(dataset, records=tuple(records), notes=(*dataset.notes, *notes))


def _find_patients(
    places: Sequence[str], headers: Mapping[str, _Header], told: str | None
) -> tuple[dict[str, str], list[str]]:
    """Find the patient of each file in its tags: the one told, else PatientID where it tells people apart.

    Where it does not, as in files that were anonymised, the study keeps together what was taken at one time.
    """
    tags = {place: headers[place].tags for place in places if place in headers}
    if told:
        return {place: value for place, held in tags.items() if (value := held.get(told))}, []
    ids = [held.get(_PATIENT, "") for held in tags.values()]
    why = explain_unusable(ids, f"The tag {_PATIENT}")
    if not why:
        blank = find_placeholders(ids)
        return {p: value for p, held in tags.items() if (value := held.get(_PATIENT, "")) not in {"", *blank}}, []
    studies = {place: value for place, held in tags.items() if (value := held.get(_STUDY))}
    if FEW <= len(set(studies.values())) < len(studies):
        return studies, [f"{why} What is of one study (StudyInstanceUID) is kept together."]
    return {}, [f"{why} Another tag, or a pattern for file names, can be named with --patient."]


class DicomReader:
    """Reader of a folder (or the table of one) in which DICOM files lie."""

    name = "dicom"

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        """Tell whether DICOM files lie there."""
        folder = table.data_folder(path)
        return folder.is_dir() and bool(walk(folder).dicoms)

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Where no file holds an image, or nothing says what the images show.
        """
        keyword = options.labels if is_keyword(options.labels) else None
        patient = options.patient if is_keyword(options.patient) else None
        if keyword and _IDENTIFYING.search(keyword):
            raise DataError(f"The tag {keyword} identifies a person and cannot be a label.", "Name another tag.")
        found = walk(table.data_folder(path))
        headers, unusable = _read_headers(found, [k for k in (keyword, patient) if k])
        files = folders.drop_images(found, unusable)
        if not files.images:
            raise DataError(
                f"None of the {len(found.dicoms)} DICOM files in {found.root} holds an image.", "Check them."
            )
        uids = Counter(header.uid for header in headers.values())
        aliases = {h.uid: place for place, h in headers.items() if h.uid and uids[h.uid] == 1}
        locator = Locator(files, aliases)
        sheet = table.find(path, locator, options)
        from_table = sheet is not None and not (keyword and not sheet.has_column(keyword))
        if patient and not (from_table and sheet and sheet.has_column(patient)):
            options = replace(options, patient=None)
        else:
            patient = None
        if from_table and sheet:
            dataset = table.build(sheet, locator, options, self.name)
        elif keyword:
            dataset = _label_by_tag(files, headers, keyword, self.name, options.folders)
        else:
            try:
                dataset = folders.build(Locator(files), options, self.name)
            except QuestionError:
                raise
            except DataError as error:
                several = self._varying_tags(headers)
                hint = f"A tag can be the label: --labels {several}." if several and not options.labels else ""
                raise DataError(error.message, f"{error.hint} {hint}".strip()) from None
        guessed = not from_table and not options.patient
        return _add_tags(dataset, headers, patient, guessed=guessed)

    def _varying_tags(self, headers: Mapping[str, _Header]) -> str:
        """List tags with more than one value, for the hint."""
        return list_some(k for k in _COLUMNS.values() if len({h.tags.get(k, "") for h in headers.values()} - {""}) > 1)


DICOM = DicomReader()
