"""Write the labels of a data set as a table: file, label, patient, split, and the other columns."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from medloupe.data.records import Dataset
from medloupe.errors import DataError
from medloupe.utils.files import write_atomically

FILE, LABEL, PATIENT, SPLIT = "file", "label", "patient_id", "split"


def write_label_table(data: Dataset, path: Path) -> dict[str, str]:
    """Write the labels of a data set as CSV, which `read(root, table=path, **told)` reads back the same.

    A multi-class set has one column of labels, blank where none is stated; of several findings each has a column of 1,
    0 and blanks.

    Returns
    -------
    dict
        How to read it: the options `labels`, `patient` and `split` of `read`, as far as there are such columns.

    Raises
    ------
    DataError
        Where the records are no files of their own.
    OSError
        Where it cannot be written.
    """
    if not all(isinstance(record.content, Path) for record in data.records):
        raise DataError(
            f"{data.root} holds its {data.things} in one file, which no table can name one by one.",
            "Correct the labels in that file.",
        )
    labels = [LABEL] if data.task == "multiclass" else list(data.labels)
    taken = {FILE, *labels}
    patients = any(record.patient is not None for record in data.records)
    splits = any(record.split for record in data.records)
    told = {"labels": ",".join(labels)}
    header = [FILE, *labels]
    for wanted, name, option in ((patients, PATIENT, "patient"), (splits, SPLIT, "split")):
        if wanted:
            header.append(name)
            told[option] = name
    taken = set(header)
    others = [name for name in dict.fromkeys(c for r in data.records for c in r.columns) if name not in taken]
    rows = [[*header, *others]]
    for record in data.records:
        if data.task == "multiclass":
            cells = [next((name for name, value in record.labels.items() if value == 1), "")]
        else:
            cells = [str(record.labels.get(name, "")) for name in data.labels]
        rows.append(
            [record.id, *cells]
            + ([record.patient or ""] if patients else [])
            + ([record.split or ""] if splits else [])
            + [record.columns.get(name, "") for name in others]
        )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomically(path, text.getvalue().encode())
    return told
