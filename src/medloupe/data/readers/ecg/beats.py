"""Heartbeats cut from long recordings, in one .npz: X, y and class_names, record_id, rr_pre and rr_post, fs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medloupe.data.readers.base import ReadOptions
from medloupe.data.readers.ecg import npz
from medloupe.data.readers.origin import origin
from medloupe.data.records import Dataset, Record, Split
from medloupe.ecg.beats import BEAT, RHYTHM, rhythm_of, typical
from medloupe.ecg.signal import Signal
from medloupe.errors import DataError
from medloupe.utils.arrays import load_npz

BEFORE, AFTER = 0.25, 166 / 360
"""Seconds of a beat's signal before and after its R peak, as de Chazal's beats are cut here."""
CLASSES = frozenset("NSVFQ")
UNCLASSED = "Q"
_WHY_NOT_Q = "AAMI's class Q is what could not be told, paced beats mostly: nothing to be learned"
_SPLITS: Mapping[int, Split] = {1: "train", 2: "test"}


def holds(names: frozenset[str]) -> bool:
    """Whether arrays of these names are cut beats."""
    return {"X", "y", "fs"} <= names and bool({"rr_pre", "rr_post", "pre_samples"} & names)


def cells_of(beats: np.ndarray) -> list[dict[str, str]]:
    """The rhythm (n, 4) of beats as columns: four digits, what is unknown left out."""
    return [
        {name: f"{value:.4g}" for name, value in zip(RHYTHM, row, strict=True) if value == value}
        for row in beats.tolist()
    ]


def pairs(windows: np.ndarray, beats: np.ndarray | None) -> np.ndarray:
    """float32 (n, 2, T): each of a recording's windows (n, T), and beside it the recording's usual beat."""
    both = np.empty((len(windows), 2, windows.shape[1]), np.float32)
    both[:, 0] = windows
    both[:, 1] = typical(both[:, :1], beats)[0]
    return both


def _read(path: Path, file: Path, reader: str) -> Dataset:
    arrays = load_npz(file)
    name = file.name
    X, y = arrays["X"], arrays["y"]
    if X.ndim != 2 or X.dtype.kind not in "iuf" or not len(X):
        raise DataError(f"{name}: X is {X.dtype} {X.shape}.", "Expected one row of samples a beat: (beats, samples).")
    n = len(X)
    if y.shape != (n,) or y.dtype.kind not in "iu":
        raise DataError(f"{name}: y is {y.dtype} {y.shape} for {n} beats.", "Expected one class number a beat.")
    rate = npz.number(arrays, "fs", name) or 0.0
    X = _placed(X, npz.number(arrays, "pre_samples", name), rate)
    scale = 1 / (npz.number(arrays, "adu_per_mv", name) or npz.number(arrays, "units_per_mv", name) or 1)
    labels = _labels(arrays, y, name)
    recordings = npz.array(arrays, "record_id", n, name)
    recordings = np.zeros(n, np.int64) if recordings is None else recordings
    places = npz.array(arrays, "sample", n, name)
    splits = npz.array(arrays, "ds_split", n, name)
    official = splits is not None and bool(np.isin(splits, (1, 2)).any())
    kept = np.array([bool(label) and label != UNCLASSED for label in labels])
    if UNCLASSED not in labels or not set(labels) <= CLASSES | {""}:
        kept[:] = True
    apart = splits is not None and official and ~np.isin(splits, (1, 2))
    aside = kept & np.asarray(apart)
    notes = _notes(labels, kept, aside, recordings)
    kept &= ~aside
    said = _columns(arrays, n, name)
    patients = npz.array(arrays, "subject_id", n, name)
    ids = [
        f"{recording}/{place:06d}"
        for recording, place in zip(
            recordings.tolist(), (np.arange(n) if places is None else places).tolist(), strict=True
        )
    ]
    ids = npz.unique(ids)
    records: list[Record] = []
    for recording in np.unique(recordings):
        rows = np.flatnonzero(recordings == recording)
        beats = _rhythm(arrays, rows, rate, n, name)
        windows = pairs(X[rows].astype(np.float32) * np.float32(scale), beats)
        timing = cells_of(beats) if beats is not None else [{}] * len(rows)
        for k, row in enumerate(rows.tolist()):
            if not kept[row]:
                continue
            columns = {column: cells[row] for column, cells in said.items() if cells[row]}
            records.append(
                Record(
                    id=ids[row],
                    signal=Signal(samples=windows[k], rate=rate, leads=BEAT, source="beats"),
                    labels={labels[row]: 1} if labels[row] else {},
                    patient=None if patients is None else str(patients[row]),
                    split=_SPLITS.get(int(splits[row])) if splits is not None and official else None,
                    columns=timing[k] | columns,
                )
            )
    records.sort(key=lambda record: record.id)
    there = {label for record in records for label in record.labels}
    if not there:
        raise DataError(f"{file} holds no beat with a class.", "Expected y and class_names.")
    return Dataset(
        name=file.stem if path.is_file() else path.resolve().name,
        root=path,
        records=tuple(records),
        labels=tuple(label for label in dict.fromkeys(_names(arrays, y)) if label in there),
        task="multiclass",
        reader=reader,
        skipped=npz.beside(path, file),
        notes=notes,
        origin=origin(file.parent, file.stem),
        modality="ecg",
        things="beats",
        clinical=tuple(name for name in RHYTHM if any(name in record.columns for record in records)),
    )


def _placed(X: np.ndarray, before: float | None, rate: float) -> np.ndarray:
    """The windows (n, T) moved so that R peaks stand BEFORE into them, from `before` samples in; ends go on flat."""
    shift = 0 if before is None else round(BEFORE * rate) - round(before)
    return X[:, np.clip(np.arange(X.shape[1]) - shift, 0, X.shape[1] - 1)] if shift else X


def _names(arrays: Mapping[str, np.ndarray], y: np.ndarray) -> list[str]:
    if "class_names" in arrays:
        return [str(text) for text in arrays["class_names"].ravel().tolist()]
    return [str(k) for k in range(min(1000, int(y.max()) + 1 if y.size else 0))]


def _labels(arrays: Mapping[str, np.ndarray], y: np.ndarray, name: str) -> list[str]:
    names = _names(arrays, y)
    if (y >= len(names)).any():
        raise DataError(f"{name}: y goes up to {y.max()}, but there are {len(names)} class_names.")
    return [names[k] if k >= 0 else "" for k in y.tolist()]


def _rhythm(arrays: Mapping[str, np.ndarray], rows: np.ndarray, rate: float, n: int, name: str) -> np.ndarray | None:
    """The rhythm of one recording's beats; an RR of 0 is one that is not known."""
    before, after = npz.array(arrays, "rr_pre", n, name), npz.array(arrays, "rr_post", n, name)
    if before is None or after is None:
        return None
    seconds = [np.where(rr[rows] > 0, rr[rows] / rate, np.nan) for rr in (before, after)]
    return rhythm_of(*seconds)


def _columns(arrays: Mapping[str, np.ndarray], n: int, name: str) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    for key, column in (("record_id", "record"), ("lead", "lead")):  # not symbol: it says the class
        if (values := npz.array(arrays, key, n, name)) is not None:
            said[column] = npz.texts(values)
    if (ages := npz.array(arrays, "age", n, name)) is not None:
        said["age"] = npz.texts(ages, positive=True)
    if (sex := npz.array(arrays, "sex", n, name)) is not None:
        said["sex"] = npz.sexes(sex)
    return said


def _notes(labels: list[str], kept: np.ndarray, aside: np.ndarray, recordings: np.ndarray) -> tuple[str, ...]:
    notes = [f"{len(labels):,} beats of {len(np.unique(recordings))} recordings; each stands beside its usual beat."]
    left = Counter(label for label, keep in zip(labels, kept, strict=True) if not keep)
    for label, count in sorted(left.items()):
        which = f"of class {label}" if label else "without a class"
        notes.append(f"{count:,} beats {which} are left out" + (f" ({_WHY_NOT_Q})." if label == UNCLASSED else "."))
    if aside.any():
        which = sorted({str(r) for r in recordings[aside].tolist()})
        notes.append(
            f"{int(aside.sum()):,} more beats are left out, as their recordings belong to neither part of the split "
            f"(paced ones, by AAMI): {', '.join(which)}."
        )
    return tuple(notes)


class EcgBeatsReader:
    """An .npz of cut heartbeats, or a folder that holds exactly one."""

    name = "ecg_beats"

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        return npz.recognises(path, options, holds)

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        return _read(path, npz.only(path, options, holds), self.name)


ECG_BEATS = EcgBeatsReader()
