"""Read folders of DICOM files.

Labels come from a table, a tag or class folders; patients, sex, age and view from the tags.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medloupe.data.readers import folders, table
from medloupe.data.readers.base import Files, ReadOptions, list_some, natural_key, walk
from medloupe.data.readers.cells import note_unlabelled, states_label
from medloupe.data.readers.draft import Draft
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.origin import read_origin
from medloupe.data.records import Dataset, Record
from medloupe.errors import DataError

# Names, birth dates and addresses are not among them: they are never read.
_COLUMNS = {"sex": "PatientSex", "age": "PatientAge", "view": "ViewPosition", "modality": "Modality"}
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

    wanted = ["SOPInstanceUID", "PatientID", "Rows", *_COLUMNS.values(), *more]
    headers: dict[str, _Header] = {}
    broken: list[str] = []
    blind: list[str] = []
    for place in sorted(files.dicoms):
        try:
            with warnings.catch_warnings(), disable_value_validation():
                # Values outside the standard are common; each tag used is checked where it is used.
                warnings.simplefilter("ignore")
                header = dcmread(files.root / place, stop_before_pixels=True, specific_tags=list(wanted))
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
        else:
            headers[place] = _Header(tags["SOPInstanceUID"], {k: v for k, v in tags.items() if v})
    return headers, {"unreadable DICOM": tuple(broken), "DICOM without an image": tuple(blind)}


def _tag_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return "|".join(str(item).strip() for item in value)
    return str(value).strip("\0 ")


def _label_by_tag(files: Files, headers: Mapping[str, _Header], keyword: str, reader: str) -> Dataset:
    values = {place: headers[place].tags.get(keyword, "") if place in headers else "" for place in files.images}
    names = tuple(sorted({value for value in values.values() if states_label(value)}, key=natural_key))
    if not names:
        raise DataError(f"No file in {files.root} has the tag {keyword}.", "Name another tag or a table.")
    found = folders.read_places(files.images)
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


def _add_tags(dataset: Dataset, headers: Mapping[str, _Header], patient: str) -> Dataset:
    """Add the patient and the columns of each file's tags, where the table says nothing of them."""
    records = []
    for record in dataset.records:
        tags = headers[record.id].tags if record.id in headers else {}
        columns = {name: tags.get(keyword, "") for name, keyword in _COLUMNS.items()}
        columns["age"] = age_in_years(columns["age"])
        told = {name.lower() for name in record.columns}
        added = {name: value for name, value in columns.items() if value and name not in told}
        who = record.patient or tags.get(patient)
        records.append(replace(record, patient=who, columns={**record.columns, **added}))
    return replace(dataset, records=tuple(records))


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
            dataset = _label_by_tag(files, headers, keyword, self.name)
        else:
            try:
                dataset = folders.build(files, options, self.name)
            except DataError as error:
                several = self._varying_tags(headers)
                hint = f"A tag can be the label: --labels {several}." if several and not options.labels else ""
                raise DataError(error.message, f"{error.hint} {hint}".strip()) from None
        return _add_tags(dataset, headers, patient or "PatientID")

    def _varying_tags(self, headers: Mapping[str, _Header]) -> str:
        """List tags with more than one value, for the hint."""
        return list_some(k for k in _COLUMNS.values() if len({h.tags.get(k, "") for h in headers.values()} - {""}) > 1)


DICOM = DicomReader()
