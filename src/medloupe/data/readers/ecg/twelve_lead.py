"""Read whole ECGs in one .npz: X (ECGs, samples, leads), y, class_names, fs, lead_names, patient_id, strat_fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medloupe.data.readers.ecg import beats
from medloupe.data.readers.ecg.npz import (
    EcgArrays,
    EcgContent,
    EcgNpzReader,
    format_cells,
    number_duplicates,
    number_names,
)
from medloupe.data.records import Record, Split, Task
from medloupe.ecg.channels import MAX_LEADS
from medloupe.ecg.signal import Signal, lead_name
from medloupe.errors import DataError

_LOOKED_AT = 50  # ECGs by which the unit is told
_TEST_FOLDS = (9, 10)
_FOLDS = 10
_COLUMNS = {name: name for name in ("ecg_id", "height", "weight")}


def holds(names: frozenset[str]) -> bool:
    """Tell whether arrays of these names are whole ECGs with labels."""
    return {"X", "y"} <= names and bool({"fs", "lead_names"} & names) and not beats.holds(names)


def _parse(arrays: EcgArrays) -> EcgContent:
    rate = arrays.number("fs")
    if rate is None:
        raise DataError(f"{arrays.file} does not tell its sampling rate.", "Add it as an array called fs, in Hz.")
    samples, leads, unit_notes = _read_samples(arrays, rate)
    n = len(samples)
    task, names, labels = _read_labels(arrays, n)
    ids = _read_ids(arrays, n)
    patients = arrays.values("patient_id", n)
    splits, notes = _read_splits(arrays, n)
    notes = unit_notes + notes
    columns = arrays.columns(n, _COLUMNS, measured=("height", "weight"))
    records = [
        Record(
            id=ids[k],
            signal=Signal(samples=samples[k], rate=rate, leads=leads, source="npz"),
            labels=labels[k],
            patient=None if patients is None else format_cells(patients[k : k + 1])[0] or None,
            split=splits[k] if splits else None,
            columns={column: cells[k] for column, cells in columns.items() if cells[k]},
        )
        for k in range(n)
    ]
    there = {label for stated in labels for label, value in stated.items() if value}
    if not there:
        raise DataError(f"{arrays.path} states no label in any ECG.", "Expected y and class_names.")
    absent = [label for label in names if label not in there]
    if task == "multilabel":
        if none := sum(not any(stated.values()) for stated in labels):
            notes.append(f"{none} ECGs carry none of the labels: all are absent there.")
        records = [_drop_labels(record, set(absent)) for record in records]
    if absent:
        notes.append(f"No ECG carries {', '.join(absent)}; left out.")
    present = tuple(label for label in names if label in there)
    return EcgContent(records=records, labels=present, task=task, notes=notes, clinical=("age", "sex"))


def _read_samples(arrays: EcgArrays, rate: float) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Return float32 (N, L, n) in mV, the leads' names, and what was concluded of the unit."""
    name = arrays.file
    X = arrays["X"]
    if X.ndim == 2:
        X = X[:, None]
    if X.ndim != 3 or X.dtype.kind not in "iuf" or not X.size:
        raise DataError(
            f"{name}: X is {X.dtype} {X.shape}.", "Expected (ECGs, samples, leads) or (ECGs, leads, samples)."
        )
    said = arrays.names("lead_names")
    last = X.shape[2] == len(said) if said and len(said) in X.shape[1:] else X.shape[2] < X.shape[1]
    if last:
        X = X.transpose(0, 2, 1)
    if X.shape[1] > MAX_LEADS:
        raise DataError(f"{name}: X has {X.shape[1]} leads.", f"Expected at most {MAX_LEADS}.")
    if said and len(said) != X.shape[1]:
        raise DataError(f"{name}: {len(said)} lead_names for {X.shape[1]} leads.", "Expected one name a lead.")
    leads = tuple(map(lead_name, said)) or ("",) * X.shape[1]
    per_mv, notes = arrays.units_per_millivolt([X[:_LOOKED_AT, k].ravel() for k in range(X.shape[1])], leads, rate)
    samples = np.ascontiguousarray(X, np.float32)
    if per_mv != 1:
        samples = samples / np.float32(per_mv)
    return samples, leads, notes


def _read_labels(arrays: EcgArrays, n: int) -> tuple[Task, tuple[str, ...], list[dict[str, int]]]:
    name = arrays.file
    y = arrays["y"]
    if y.ndim not in (1, 2) or len(y) != n or y.dtype.kind not in "iub":
        raise DataError(
            f"{name}: y is {y.dtype} {y.shape} for {n} ECGs.", "Expected class numbers (N,) or 1 and 0 (N, K)."
        )
    count = y.shape[1] if y.ndim == 2 else (int(y.max()) + 1 if y.size else 0)
    names = tuple(arrays.names("class_names") or number_names(count))
    if count > len(names) or (y.ndim == 2 and count != len(names)) or len(set(names)) != len(names):
        raise DataError(
            f"{name}: {len(names)} class_names for {count} classes.", "Expected a name of its own for each."
        )
    if y.ndim == 1:
        return "multiclass", names, [{names[k]: 1} if k >= 0 else {} for k in y.tolist()]
    if not np.isin(y, (-1, 0, 1)).all():
        raise DataError(f"{name}: y holds other values than 1, 0 and -1 (not stated).")
    rows = [{label: int(v) for label, v in zip(names, row, strict=True) if v >= 0} for row in y.tolist()]
    return "multilabel", names, rows


def _read_ids(arrays: EcgArrays, n: int) -> list[str]:
    given = arrays.values("ecg_id", n)
    width = max(5, len(str(n)))
    ids = [str(k) for k in (np.arange(n) if given is None else given).tolist()]
    return number_duplicates(one.zfill(width) if one.isdigit() else one for one in ids)


def _drop_labels(record: Record, labels: set[str]) -> Record:
    return replace(record, labels={label: v for label, v in record.labels.items() if label not in labels})


def _read_splits(arrays: EcgArrays, n: int) -> tuple[list[Split], list[str]]:
    """Read the split by PTB-XL's folds: 9 and 10, whose labels a cardiologist has seen, are the test."""
    folds = arrays.values("strat_fold", n)
    if folds is None:
        return [], []
    if not set(np.unique(folds).tolist()) <= set(range(1, _FOLDS + 1)) or not np.isin(folds, _TEST_FOLDS).any():
        return [], ["strat_fold is not used: expected folds 1 to 10."]
    count = int(np.isin(folds, _TEST_FOLDS).sum())
    note = (
        f"strat_fold 9 and 10 are the test ({count} ECGs), the others are for training. "
        "PTB-XL itself recommends 10 for testing and 9 for validation; both together make a larger test, and "
        "nothing here is chosen on 9."
    )
    return ["test" if fold in _TEST_FOLDS else "train" for fold in folds.tolist()], [note]


ECG_12LEAD = EcgNpzReader(name="ecg_12lead", things="ECGs", holds=holds, parse=_parse)
