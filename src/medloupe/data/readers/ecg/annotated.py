"""Read WFDB records whose annotations name each beat: a Record a beat, beside its recording's usual beat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from medloupe.data.readers import folders
from medloupe.data.readers.base import (
    LAYOUTS,
    Files,
    ReadOptions,
    compile_patient_pattern,
    match_patients,
    sort_reasons,
)
from medloupe.data.readers.ecg.beats import AFTER, BEFORE, pair_with_typical, rhythm_cells
from medloupe.data.readers.origin import read_origin
from medloupe.data.records import Dataset, Record
from medloupe.ecg.beats import BEAT, RHYTHM, cut_beats, preferred_lead, rhythm_features
from medloupe.ecg.files import read_ecg
from medloupe.ecg.signal import Signal, remove_noise
from medloupe.ecg.wfdb import aami_class, read_annotations
from medloupe.errors import DataError, SignalError

_MANY_RECORDS = 5_000
_PERSON = re.compile(r"#\s*(\d{1,3}|-1)\s+([MF])\b")  # as MIT-BIH headers have it


def find_annotated(files: Files) -> list[str]:
    """List the records that have beat annotations beside them."""
    return [
        name
        for name in files.images
        if name.lower().endswith(".hea") and (files.root / name).with_suffix(".atr").is_file()
    ]


def read_annotated(files: Files, records: Sequence[str], options: ReadOptions, reader: str) -> Dataset:
    """Read each annotated beat of WFDB records.

    Parameters
    ----------
    files : Files
        The folder's ECG files.
    records : Sequence
        Those with annotations: the headers' places.
    options : ReadOptions
        What was told; without a table, a pattern for patients at most.
    reader : str
        The reader's name.

    Raises
    ------
    DataError
        Where a column is told, there are too many records, or none has a beat with a class.
    """
    for flag, told in (("labels", options.labels), ("split", options.split), ("image", options.image)):
        if told:
            raise DataError(f"--{flag} {told!r} names a column, but {files.root} has no table.", "Leave it out.")
    if len(records) > _MANY_RECORDS:
        raise DataError(f"{files.root} holds {len(records):,} annotated records.", f"Up to {_MANY_RECORDS:,} are read.")
    made, unreadable, unclassed = _cut_all(files.root, records)
    there = {label for record in made for label in record.labels}
    if not there:
        raise DataError(f"{files.root} holds no annotated beat of AAMI's classes N, S, V and F.", LAYOUTS)
    notes = [
        f"{len(made):,} annotated beats of {len(records) - len(unreadable)} records, by AAMI's classes; each stands "
        "beside its recording's usual beat."
    ]
    if unclassed:
        notes.append(f"{unclassed:,} beats of class Q (paced, or not to be told) are left out.")
    made, more = _set_patients(made, options)
    others = [name for name in files.images if name not in records]
    return Dataset(
        name=files.root.resolve().name,
        root=files.root,
        records=tuple(sorted(made, key=lambda record: record.id)),
        labels=tuple(label for label in "NSVF" if label in there),
        task="multiclass",
        reader=reader,
        skipped=sort_reasons(
            {**files.skipped, "unreadable": unreadable, "without annotations": others, folders.UNUSED: files.tables}
        ),
        notes=(*notes, *more),
        origin=read_origin(files.root),
        modality="ecg",
        things="beats",
        clinical=tuple(name for name in RHYTHM if any(name in record.columns for record in made)),
    )


def _cut_all(root: Path, names: Sequence[str]) -> tuple[list[Record], list[str], int]:
    """Cut the beats of all records; list those that cannot be read, and count the beats of class Q."""
    made: list[Record] = []
    unreadable: list[str] = []
    left = Counter[str]()
    for name in names:
        try:
            made += _cut(root, name, left)
        except SignalError:
            unreadable.append(name)
    return made, unreadable, left["Q"]


def _set_patients(records: list[Record], options: ReadOptions) -> tuple[list[Record], list[str]]:
    """Set patients by the pattern told, else a patient a record as they are; and say so."""
    pattern = compile_patient_pattern(options.patient) if options.patient else None
    if options.patient and pattern is None:
        raise DataError(f"--patient {options.patient!r} names a column, but there is no table.", "Give a pattern.")
    if pattern is None:
        return records, ["Each record is taken for a patient of its own; if some have several, tell with --patient."]
    found, notes = match_patients(pattern, dict.fromkeys(record.id for record in records))
    return [replace(record, patient=found.get(record.id)) for record in records], notes


def _cut(root: Path, name: str, left: Counter[str]) -> list[Record]:
    """Cut the beats of one record at its own rate. SignalError where it cannot be read."""
    path = root / name
    signal = read_ecg(path)
    where, symbols = read_annotations(path.with_suffix(".atr"))
    classes = np.array([aami_class(symbol) for symbol in symbols])
    inside = (classes != "") & (where >= 0) & (where < signal.samples.shape[1])
    where, classes = where[inside], classes[inside]
    left["Q"] += int((classes == "Q").sum())
    if not where.size:
        return []
    lead = preferred_lead(signal.leads, range(len(signal.leads)))
    single = Signal(samples=signal.samples[lead : lead + 1], rate=signal.rate, leads=signal.leads[lead : lead + 1])
    timing = rhythm_features(where, signal.rate)
    windows = cut_beats(remove_noise(single, wander=False), where, BEFORE, AFTER, signal.rate)[:, 0]
    both = pair_with_typical(windows, timing)
    about = {"record": path.stem, "lead": signal.leads[lead], **_read_person(path)}
    about = {column: cell for column, cell in about.items() if cell}
    stem = str(PurePosixPath(name).with_suffix(""))
    cells = rhythm_cells(timing)
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


def _read_person(path: Path) -> dict[str, str]:
    """Read age and sex from a header's comment, where it has them."""
    match = _PERSON.search(path.read_text("utf-8", "replace"))
    if match is None:
        return {}
    age = match[1] if int(match[1]) > 0 else ""
    return {"age": age, "sex": "male" if match[2] == "M" else "female"}
