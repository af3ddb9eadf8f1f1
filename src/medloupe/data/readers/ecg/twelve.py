"""Whole ECGs in one .npz: X (ECGs, samples, leads), y, class_names, fs, lead_names, patient_id, strat_fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from medloupe.data.readers.base import ReadOptions
from medloupe.data.readers.ecg import beats, npz
from medloupe.data.readers.origin import origin
from medloupe.data.records import Dataset, Record, Split, Task
from medloupe.ecg.channels import MAX_LEADS
from medloupe.ecg.signal import Signal, lead_name
from medloupe.errors import DataError
from medloupe.utils.arrays import load_npz

_TEST_FOLDS = (9, 10)
_FOLDS = 10


def holds(names: frozenset[str]) -> bool:
    """Whether arrays of these names are whole ECGs with labels."""
    return {"X", "y"} <= names and bool({"fs", "lead_names"} & names) and not beats.holds(names)


def _read(path: Path, file: Path, reader: str) -> Dataset:
    arrays = load_npz(file)
    name = file.name
    rate = npz.number(arrays, "fs", name)
    if rate is None:
        raise DataError(f"{name} does not tell its sampling rate.", "Add it as an array called fs, in Hz.")
    samples, leads = _samples(arrays, name)
    n = len(samples)
    task, names, labels = _labels(arrays, n, name)
    ids = npz.array(arrays, "ecg_id", n, name)
    width = max(5, len(str(n)))
    ids = [str(k) for k in (np.arange(n) if ids is None else ids).tolist()]
    ids = npz.unique([one.zfill(width) if one.isdigit() else one for one in ids])
    patients = npz.array(arrays, "patient_id", n, name)
    folds, notes = _folds(arrays, n, name)
    columns = _columns(arrays, n, name)
    records = [
        Record(
            id=ids[k],
            signal=Signal(samples=samples[k], rate=rate, leads=leads, source="npz"),
            labels=labels[k],
            patient=None if patients is None else npz.texts(patients[k : k + 1])[0] or None,
            split=folds[k] if folds else None,
            columns={column: cells[k] for column, cells in columns.items() if cells[k]},
        )
        for k in range(n)
    ]
    records.sort(key=lambda record: record.id)
    if task == "multilabel":
        none = sum(not any(stated.values()) for stated in labels)
        notes += [f"{none} ECGs carry none of the labels: all are absent there."] if none else []
    there = {label for stated in labels for label, value in stated.items() if value}
    if not there:
        raise DataError(f"{file} states no label in any ECG.", "Expected y and class_names.")
    missing = [label for label in names if label not in there]
    notes += [f"No ECG carries {', '.join(missing)}; left out."] if missing else []
    if missing and task == "multilabel":
        records = [_without(record, set(missing)) for record in records]
    return Dataset(
        name=file.stem if path.is_file() else path.resolve().name,
        root=path,
        records=tuple(records),
        labels=tuple(label for label in names if label in there),
        task=task,
        reader=reader,
        skipped=npz.beside(path, file),
        notes=tuple(notes),
        origin=origin(file.parent, file.stem),
        modality="ecg",
        things="ECGs",
        clinical=tuple(name for name in ("age", "sex") if any(name in record.columns for record in records)),
    )


def _samples(arrays: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """float32 (N, L, n) in mV, and the leads' names."""
    X = arrays["X"]
    if X.ndim == 2:
        X = X[:, None]
    if X.ndim != 3 or X.dtype.kind not in "iuf" or not X.size:
        raise DataError(
            f"{name}: X is {X.dtype} {X.shape}.", "Expected (ECGs, samples, leads) or (ECGs, leads, samples)."
        )
    said = [str(text) for text in arrays["lead_names"].ravel().tolist()] if "lead_names" in arrays else []
    last = X.shape[2] == len(said) if said and len(said) in X.shape[1:] else X.shape[2] < X.shape[1]
    if last:
        X = X.transpose(0, 2, 1)
    if X.shape[1] > MAX_LEADS:
        raise DataError(f"{name}: X has {X.shape[1]} leads.", f"Expected at most {MAX_LEADS}.")
    if said and len(said) != X.shape[1]:
        raise DataError(f"{name}: {len(said)} lead_names for {X.shape[1]} leads.", "Expected one name a lead.")
    per_mv = npz.number(arrays, "units_per_mv", name) or npz.number(arrays, "adu_per_mv", name) or 1
    samples = np.ascontiguousarray(X, np.float32)
    if per_mv != 1:
        samples = samples / np.float32(per_mv)
    return samples, tuple(map(lead_name, said)) or ("",) * X.shape[1]


def _labels(arrays: Mapping[str, np.ndarray], n: int, name: str) -> tuple[Task, tuple[str, ...], list[dict[str, int]]]:
    y = arrays["y"]
    if y.ndim not in (1, 2) or len(y) != n or y.dtype.kind not in "iub":
        raise DataError(
            f"{name}: y is {y.dtype} {y.shape} for {n} ECGs.", "Expected class numbers (N,) or 1 and 0 (N, K)."
        )
    count = y.shape[1] if y.ndim == 2 else (int(y.max()) + 1 if y.size else 0)
    names = tuple(str(text) for text in arrays["class_names"].ravel().tolist()) if "class_names" in arrays else ()
    names = names or tuple(str(k) for k in range(min(count, 1000)))
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


def _without(record: Record, labels: set[str]) -> Record:
    return replace(record, labels={label: v for label, v in record.labels.items() if label not in labels})


def _folds(arrays: Mapping[str, np.ndarray], n: int, name: str) -> tuple[list[Split], list[str]]:
    """The split by PTB-XL's folds: 9 and 10, whose labels a cardiologist has seen, are the test."""
    folds = npz.array(arrays, "strat_fold", n, name)
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


def _columns(arrays: Mapping[str, np.ndarray], n: int, name: str) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for key in ("ecg_id", "height", "weight"):
        if (values := npz.array(arrays, key, n, name)) is not None:
            columns[key] = npz.texts(values, positive=key != "ecg_id")
    if (ages := npz.array(arrays, "age", n, name)) is not None:
        columns["age"] = npz.texts(ages, positive=True)
    if (sex := npz.array(arrays, "sex", n, name)) is not None:
        columns["sex"] = npz.sexes(sex)
    return columns


class Ecg12LeadReader:
    """An .npz of whole ECGs, or a folder that holds exactly one."""

    name = "ecg_12lead"

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        return npz.recognises(path, options, holds)

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        return _read(path, npz.only(path, options, holds), self.name)


ECG_12LEAD = Ecg12LeadReader()
