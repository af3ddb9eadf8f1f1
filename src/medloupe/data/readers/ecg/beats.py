"""Read heartbeats cut from long recordings, in one .npz: X, y and class_names, record_id, rr_pre and rr_post, fs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from medloupe.data.readers.ecg.npz import EcgArrays, EcgContent, EcgNpzReader, number_duplicates, number_names
from medloupe.data.records import Record, Split
from medloupe.ecg.beats import BEAT, RHYTHM, rhythm_from_intervals, typical_beat
from medloupe.ecg.signal import Signal
from medloupe.errors import DataError

BEFORE, AFTER = 0.25, 166 / 360
"""Seconds of a beat's signal before and after its R peak, as de Chazal's beats are cut here."""
CLASSES = frozenset("NSVFQ")
_LOOKED_AT = 500  # beats by which the unit is told
UNCLASSED = "Q"
_WHY_NOT_Q = "AAMI's class Q is what could not be told, paced beats mostly: nothing to be learned"
_SPLITS: Mapping[int, Split] = {1: "train", 2: "test"}
_COLUMNS = {"record_id": "record", "lead": "lead"}  # not symbol: it says the class


def holds(names: frozenset[str]) -> bool:
    """Tell whether arrays of these names are cut beats."""
    return {"X", "y", "fs"} <= names and bool({"rr_pre", "rr_post", "pre_samples"} & names)


def rhythm_cells(features: np.ndarray) -> list[dict[str, str]]:
    """Write the rhythm of beats as columns.

    Parameters
    ----------
    features : ndarray of float32, shape (n, 6)
        The columns RHYTHM of each beat; NaN unknown.

    Returns
    -------
    list of dict
        For each beat its cells by column, of four digits; what is unknown is left out.
    """
    return [
        {name: f"{value:.4g}" for name, value in zip(RHYTHM, row, strict=True) if value == value}
        for row in features.tolist()
    ]


def pair_with_typical(windows: np.ndarray, features: np.ndarray | None) -> np.ndarray:
    """Set the recording's usual beat beside each of its beats.

    Parameters
    ----------
    windows : ndarray of float32, shape (n, T)
        One recording's beats, in mV.
    features : ndarray of float32, shape (n, 6), or None
        Their RHYTHM, by which beats that come in time are told.

    Returns
    -------
    ndarray of float32, shape (n, 2, T)
        The beat, and the usual beat.
    """
    both = np.empty((len(windows), 2, windows.shape[1]), np.float32)
    both[:, 0] = windows
    both[:, 1] = typical_beat(both[:, :1], features)[0]
    return both


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beats:
    """The beats of the file. samples: (n, T) in the file's units, `scale` mV each. kept: bool (n,)."""

    samples: np.ndarray
    rate: float
    scale: float
    ids: list[str]
    recordings: np.ndarray
    labels: list[str]
    splits: list[Split | None]
    patients: np.ndarray | None
    columns: Mapping[str, list[str]]
    kept: np.ndarray

    def records(self, rows: np.ndarray, features: np.ndarray | None) -> Iterator[Record]:
        """Make records of those kept of one recording's beats."""
        windows = pair_with_typical(self.samples[rows].astype(np.float32) * np.float32(self.scale), features)
        timing = rhythm_cells(features) if features is not None else [{}] * len(rows)
        for k, row in enumerate(rows.tolist()):
            if self.kept[row]:
                columns = {column: cells[row] for column, cells in self.columns.items() if cells[row]}
                yield Record(
                    id=self.ids[row],
                    signal=Signal(samples=windows[k], rate=self.rate, leads=BEAT, source="beats"),
                    labels={self.labels[row]: 1} if self.labels[row] else {},
                    patient=None if self.patients is None else str(self.patients[row]),
                    split=self.splits[row],
                    columns=timing[k] | columns,
                )


def _parse(arrays: EcgArrays) -> EcgContent:
    X, y = _read_windows(arrays)
    n = len(X)
    rate = arrays.number("fs") or 0.0
    X = _align(X, arrays.number("pre_samples"), rate)
    per_mv, unit_notes = arrays.units_per_millivolt([X[:_LOOKED_AT].ravel()], [""], rate)
    scale = 1 / per_mv
    names = _class_names(arrays, y)
    labels = [names[k] if k >= 0 else "" for k in y.tolist()]
    recordings = arrays.values("record_id", n)
    recordings = np.zeros(n, np.int64) if recordings is None else recordings
    places = arrays.values("sample", n)
    splits, outside = _read_splits(arrays, n)
    kept = _has_class(labels)
    aside = kept & outside
    places = np.arange(n) if places is None else places
    found = _Beats(
        samples=X,
        rate=rate,
        scale=scale,
        ids=number_duplicates(f"{r}/{at:06d}" for r, at in zip(recordings.tolist(), places.tolist(), strict=True)),
        recordings=recordings,
        labels=labels,
        splits=splits,
        patients=arrays.values("subject_id", n),
        columns=arrays.columns(n, _COLUMNS),
        kept=kept & ~aside,
    )
    records: list[Record] = []
    for recording in np.unique(recordings):
        rows = np.flatnonzero(recordings == recording)
        records += found.records(rows, _read_rhythm(arrays, rows, rate, n))
    there = {label for record in records for label in record.labels}
    if not there:
        raise DataError(f"{arrays.path} holds no beat with a class.", "Expected y and class_names.")
    return EcgContent(
        records=records,
        labels=tuple(label for label in dict.fromkeys(names) if label in there),
        task="multiclass",
        notes=[*_describe(labels, kept, aside, recordings), *unit_notes],
        clinical=RHYTHM,
    )


def _read_windows(arrays: EcgArrays) -> tuple[np.ndarray, np.ndarray]:
    """Check X (n, T) and y, int (n,)."""
    X, y = arrays["X"], arrays["y"]
    if X.ndim != 2 or X.dtype.kind not in "iuf" or not len(X):
        raise DataError(
            f"{arrays.file}: X is {X.dtype} {X.shape}.", "Expected one row of samples a beat: (beats, samples)."
        )
    if y.shape != (len(X),) or y.dtype.kind not in "iu":
        raise DataError(
            f"{arrays.file}: y is {y.dtype} {y.shape} for {len(X)} beats.", "Expected one class number a beat."
        )
    return X, y


def _align(X: np.ndarray, before: float | None, rate: float) -> np.ndarray:
    """Move the windows (n, T) so that R peaks stand BEFORE into them, from `before` samples in; ends go on flat."""
    shift = 0 if before is None else round(BEFORE * rate) - round(before)
    return X[:, np.clip(np.arange(X.shape[1]) - shift, 0, X.shape[1] - 1)] if shift else X


def _class_names(arrays: EcgArrays, y: np.ndarray) -> list[str]:
    names = arrays.names("class_names") if "class_names" in arrays else number_names(int(y.max()) + 1)
    if (y >= len(names)).any():
        raise DataError(f"{arrays.file}: y goes up to {y.max()}, but there are {len(names)} class_names.")
    return names


def _read_splits(arrays: EcgArrays, n: int) -> tuple[list[Split | None], np.ndarray]:
    """Read the official split of each beat, and which beats it leaves out, bool (n,)."""
    codes = arrays.values("ds_split", n)
    if codes is None or not np.isin(codes, tuple(_SPLITS)).any():
        return [None] * n, np.zeros(n, bool)
    return [_SPLITS.get(int(code)) for code in codes], ~np.isin(codes, tuple(_SPLITS))


def _has_class(labels: list[str]) -> np.ndarray:
    """Tell which beats, (n,), have a class of AAMI's other than Q; all of them where the classes are not AAMI's."""
    if UNCLASSED not in labels or not set(labels) <= CLASSES | {""}:
        return np.ones(len(labels), bool)
    return np.array([bool(label) and label != UNCLASSED for label in labels])


def _read_rhythm(arrays: EcgArrays, rows: np.ndarray, rate: float, n: int) -> np.ndarray | None:
    """Read the rhythm of one recording's beats; an RR of 0 is one that is not known."""
    before, after = arrays.values("rr_pre", n), arrays.values("rr_post", n)
    if before is None or after is None:
        return None
    seconds = [np.where(rr[rows] > 0, rr[rows] / rate, np.nan) for rr in (before, after)]
    return rhythm_from_intervals(*seconds)


def _describe(labels: list[str], kept: np.ndarray, aside: np.ndarray, recordings: np.ndarray) -> list[str]:
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
    return notes


ECG_BEATS = EcgNpzReader(name="ecg_beats", things="beats", holds=holds, parse=_parse)
