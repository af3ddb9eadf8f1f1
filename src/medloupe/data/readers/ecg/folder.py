"""Folders of ECG files: a folder a class, a table beside them, or WFDB records whose annotations name each beat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from medloupe.data.readers import folders, table
from medloupe.data.readers.base import (
    LAYOUTS,
    Files,
    ReadOptions,
    frozen,
    patient_pattern,
    patients_by_pattern,
    scan,
    some,
)
from medloupe.data.readers.ecg import beats, npz, twelve
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.origin import origin
from medloupe.data.records import Dataset, Record
from medloupe.ecg import csv
from medloupe.ecg.beats import BEAT, RHYTHM, cut, preferred, rhythm
from medloupe.ecg.files import read_ecg
from medloupe.ecg.signal import Signal, cleaned
from medloupe.ecg.wfdb import aami, read_annotations
from medloupe.errors import DataError, SignalError
from medloupe.imaging import headers
from medloupe.utils import arrays

"""Of a recording's leads the one that beats are cut from: the first that is there."""
_START_BYTES = 64 * 1024
_PARTNERS = frozenset({".dat", ".atr", ".qrs", ".xyz"})  # of a .hea, no ECGs of their own
_MANY_RECORDS = 5_000
_PERSON = re.compile(r"#\s*(\d{1,3}|-1)\s+([MF])\b")  # as MIT-BIH headers have it


def files_of(seen: Files) -> Files:
    """A folder's ECG files in place of its images; tables are those that are no ECG."""
    root = seen.root
    ecgs: list[str] = []
    skipped: dict[str, list[str]] = {}
    for reason, names in seen.skipped.items():
        for name in names:
            suffix = PurePosixPath(name).suffix.lower()
            if reason == "not an image" and _is_ecg(root / name, suffix):
                ecgs.append(name)
            elif reason != "not an image" or suffix not in _PARTNERS:
                skipped.setdefault(npz.renamed(reason), []).append(name)
    text = [name for name in seen.tables if not name.endswith(".parquet") and _is_text_ecg(root / name)]
    waves = [name for name in seen.images if name in seen.dicoms and _is_waveform(root / name)]
    skipped.setdefault(npz.NOT_AN_ECG, []).extend(name for name in seen.images if name not in set(waves))
    return Files(
        root=root,
        images=tuple(sorted([*ecgs, *text, *waves])),
        dicoms=frozenset(waves),
        tables=tuple(name for name in seen.tables if name not in set(text)),
        skipped=frozen(skipped),
    )


def _pictures(seen: Files) -> bool:
    """Whether there are pictures. Of DICOM files the first one tells: a study holds either pictures or waveforms."""
    if len(seen.images) > len(seen.dicoms):
        return True
    return bool(seen.images) and not _is_waveform(seen.root / seen.images[0])


def _is_ecg(path: Path, suffix: str) -> bool:
    if suffix in (".hea", ".edf", ".bdf"):
        return True
    if suffix == ".npz":
        held = arrays.list_npz(path)
        return bool(held & {"signal", "ecg", "samples", "X"}) and "y" not in held
    return suffix == ".txt" and _is_text_ecg(path)


def _is_text_ecg(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return csv.looks_like(file.read(_START_BYTES))
    except OSError:
        return False


def _is_waveform(path: Path) -> bool:
    """Whether a DICOM file is of a waveform SOP class (1.2.840.10008.5.1.4.1.1.9...), by its first bytes."""
    try:
        with path.open("rb") as file:
            return headers.WAVEFORM_CLASSES in file.read(1024)
    except OSError:
        return False


def _annotated(files: Files) -> list[str]:
    """The records that have beat annotations beside them."""
    return [
        name
        for name in files.images
        if name.lower().endswith(".hea") and (files.root / name).with_suffix(".atr").is_file()
    ]


def _labelled(path: Path, files: Files, options: ReadOptions) -> Dataset | None:
    """The set by its table, or by its folders; None where neither says what the ECGs show."""
    locator = Locator(files)
    sheet = table.find(path, locator, options)
    if sheet is not None:
        return table.build(sheet, locator, options, READER)
    if folders.places(files.images).names:
        return folders.build(files, options, READER)
    return None


def _beats(files: Files, records: Sequence[str], options: ReadOptions) -> Dataset:
    """Each annotated beat of WFDB records as a Record, beside its recording's usual beat."""
    for flag, told in (("labels", options.labels), ("split", options.split), ("image", options.image)):
        if told:
            raise DataError(f"--{flag} {told!r} names a column, but {files.root} has no table.", "Leave it out.")
    if len(records) > _MANY_RECORDS:
        raise DataError(f"{files.root} holds {len(records):,} annotated records.", f"Up to {_MANY_RECORDS:,} are read.")
    made: list[Record] = []
    unreadable: list[str] = []
    left = Counter[str]()
    for name in records:
        try:
            made += _cut(files.root, name, left)
        except SignalError:
            unreadable.append(name)
    there = {label for record in made for label in record.labels}
    if not there:
        raise DataError(f"{files.root} holds no annotated beat of AAMI's classes N, S, V and F.", LAYOUTS)
    notes = [
        f"{len(made):,} annotated beats of {len(records) - len(unreadable)} records, by AAMI's classes; each stands "
        "beside its recording's usual beat."
    ]
    if left["Q"]:
        notes.append(f"{left['Q']:,} beats of class Q (paced, or not to be told) are left out.")
    pattern = patient_pattern(options.patient) if options.patient else None
    if options.patient and pattern is None:
        raise DataError(f"--patient {options.patient!r} names a column, but there is no table.", "Give a pattern.")
    if pattern:
        found, more = patients_by_pattern(pattern, dict.fromkeys(record.id for record in made))
        made = [replace(record, patient=found.get(record.id)) for record in made]
        notes += more
    else:
        notes.append("Each record is taken for a patient of its own; if some have several, tell with --patient.")
    others = [name for name in files.images if name not in records]
    return Dataset(
        name=files.root.resolve().name,
        root=files.root,
        records=tuple(sorted(made, key=lambda record: record.id)),
        labels=tuple(label for label in "NSVF" if label in there),
        task="multiclass",
        reader=READER,
        skipped=frozen(
            {**files.skipped, "unreadable": unreadable, "without annotations": others, folders.UNUSED: files.tables}
        ),
        notes=tuple(notes),
        origin=origin(files.root),
        modality="ecg",
        things="beats",
        clinical=tuple(name for name in RHYTHM if any(name in record.columns for record in made)),
    )


def _cut(root: Path, name: str, left: Counter[str]) -> list[Record]:
    """The beats of one record at its own rate. SignalError where it cannot be read."""
    path = root / name
    signal = read_ecg(path)
    where, symbols = read_annotations(path.with_suffix(".atr"))
    classes = np.array([aami(symbol) for symbol in symbols])
    inside = (classes != "") & (where >= 0) & (where < signal.samples.shape[1])
    where, classes = where[inside], classes[inside]
    left["Q"] += int((classes == "Q").sum())
    if not where.size:
        return []
    lead = preferred(signal.leads, range(len(signal.leads)))
    single = Signal(samples=signal.samples[lead : lead + 1], rate=signal.rate, leads=signal.leads[lead : lead + 1])
    timing = rhythm(where, signal.rate)
    windows = cut(cleaned(single, wander=False), where, beats.BEFORE, beats.AFTER, signal.rate)[:, 0]
    both = beats.pairs(windows, timing)
    about = {"record": path.stem, "lead": signal.leads[lead], **_person(path)}
    about = {column: cell for column, cell in about.items() if cell}
    stem = str(PurePosixPath(name).with_suffix(""))
    cells = beats.cells_of(timing)
    return [
        Record(
            id=f"{stem}/{where[k]:07d}",
            signal=Signal(samples=both[k], rate=signal.rate, leads=BEAT, source="WFDB"),
            labels={str(classes[k]): 1},
            patient=stem,
            columns=cells[k] | about,
        )
        for k in np.flatnonzero(classes != "Q").tolist()
    ]


def _person(path: Path) -> dict[str, str]:
    """Age and sex from a header's comment, where it has them."""
    match = _PERSON.search(path.read_text("utf-8", "replace"))
    if match is None:
        return {}
    age = match[1] if int(match[1]) > 0 else ""
    return {"age": age, "sex": "male" if match[2] == "M" else "female"}


def _as_ecgs(data: Dataset) -> Dataset:
    """A set read as one of images, whose files are ECGs."""
    records = tuple(
        replace(record, image=None, signal=record.image) if isinstance(record.image, Path) else record
        for record in data.records
    )
    words = [re.sub(r"\bimages\b", "ECGs", re.sub(r"\bimage\b", "ECG", note)) for note in data.notes]
    words = [re.sub(r"\b([Aa])n? ECG\b", r"\1n ECG", note) for note in words]
    return replace(data, records=records, modality="ecg", things="ECGs", notes=tuple(words))


class EcgFolderReader:
    """ECG files in class folders, named by a table, or as annotated WFDB records; never where there are pictures."""

    name = "ecg_files"

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        root = table.data_folder(path)
        if not root.is_dir():
            return False
        seen = scan(root)
        return not _pictures(seen) and bool(files_of(seen).images) and not npz.found(path, _whole)

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        files = files_of(scan(table.data_folder(path)))
        data = _labelled(path, files, options)
        if data is not None:
            return _as_ecgs(data)
        annotated = _annotated(files)
        if annotated:
            return _beats(files, annotated, options)
        named = f"{len(files.images)} ECG files ({some(files.images)})"
        raise DataError(f"{files.root} holds {named}, but nothing says what they show.", LAYOUTS)


def _whole(names: frozenset[str]) -> bool:
    return beats.holds(names) or twelve.holds(names)


READER = EcgFolderReader.name
ECG_FILES = EcgFolderReader()
