"""Read .npz data sets of ECGs: find the file, check its arrays, and build the data set that a layout makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medloupe.data.readers.base import ReadOptions, merge_reasons, npz_files, require_path, walk
from medloupe.data.readers.folders import UNUSED
from medloupe.data.readers.origin import read_origin
from medloupe.data.records import Dataset, Record, Task
from medloupe.ecg.units import find_scale, is_counts, unit_in_millivolts
from medloupe.errors import DataError, SignalError
from medloupe.utils.arrays import list_npz, load_npz

NOT_AN_ECG = "not an ECG"
OTHER_ECG = "another ECG file, not read"
RECORD_SUFFIXES = frozenset({".hea", ".dat", ".atr", ".edf", ".bdf"})

_SEXES = {"0": "male", "1": "female", "m": "male", "f": "female", "male": "male", "female": "female"}
_MOST_CLASSES = 1000  # that are called by their numbers


class EcgArrays:
    """The arrays of one .npz file, whose checks name the file.

    Parameters
    ----------
    path : Path
        The .npz file, which is read whole.

    Raises
    ------
    DataError
        Where the file is broken.
    """

    def __init__(self, path: Path):
        self.path = path
        self.file = path.name
        self._arrays = load_npz(path)

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    def __getitem__(self, key: str) -> np.ndarray:
        return self._arrays[key]

    def values(self, key: str, n: int) -> np.ndarray | None:
        """Return one value an example, (n,), or None where there is no such array.

        Raises
        ------
        DataError
            Where the array has another length.
        """
        if key not in self:
            return None
        values = self[key]
        if values.shape != (n,):
            raise DataError(
                f"{self.file}: {key} has shape {values.shape} for {n} examples.", "Expected one value each."
            )
        return values

    def number(self, key: str) -> float | None:
        """Return a lone number above 0, or None where it is not there.

        Raises
        ------
        DataError
            Where it is no such number.
        """
        if key not in self:
            return None
        value = self[key]
        if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value).all() or not (value > 0).all():
            raise DataError(f"{self.file}: {key} is {value.dtype} {value.shape}.", "Expected one number above 0.")
        return float(value.ravel()[0])

    def units_per_millivolt(
        self, leads: Sequence[np.ndarray], lead_names: Sequence[str], rate: float
    ) -> tuple[float, list[str]]:
        """Tell how many units of the samples make a millivolt: as the file says, or by proof.

        Parameters
        ----------
        leads : Sequence of ndarray
            Samples of each lead, as many as are to be looked at.
        lead_names : Sequence of str
            Their standard names, "" unknown.
        rate : float
            Hz.

        Returns
        -------
        units : float
            A millivolt.
        notes : list of str
            What was concluded, where the file does not say.

        Raises
        ------
        DataError
            Where it does not say, and more than one reading is plausible.
        """
        told = self.number("units_per_mv") or self.number("adu_per_mv")
        units = self.names("units")
        factor = unit_in_millivolts(units[0]) if len(set(units)) == 1 else None
        if told or factor:
            return told or 1 / (factor or 1), []
        try:
            scale = find_scale(self.file, leads, lead_names, rate, counts=bool(units) and is_counts(units[0]))
        except SignalError as error:
            raise DataError(error.message, "Add an array units_per_mv: 1000 where they are µV, 1 where mV.") from None
        return 1 / scale.factor, [scale.note] if scale.note else []

    def names(self, key: str) -> list[str]:
        """Return an array of names as a list of text; empty where it is not there."""
        return [str(text) for text in self[key].ravel().tolist()] if key in self else []

    def columns(self, n: int, keys: Mapping[str, str], measured: Iterable[str] = ()) -> dict[str, list[str]]:
        """Return columns of cells: those asked for, and age and sex, as far as they are there.

        Parameters
        ----------
        n : int
            How many examples there are.
        keys : Mapping
            Column by array.
        measured : Iterable
            Those of the arrays whose values are above 0 where they are known.

        Returns
        -------
        dict
            n cells by column; blank where nothing is known.
        """
        found: dict[str, list[str]] = {}
        measured = {*measured, "age"}
        for key, column in (*keys.items(), ("age", "age")):
            if (values := self.values(key, n)) is not None:
                found[column] = format_cells(values, positive=key in measured)
        if (sex := self.values("sex", n)) is not None:
            found["sex"] = [_SEXES.get(text.lower(), "") for text in format_cells(sex)]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class EcgContent:
    """What a layout makes of the arrays.

    Attributes
    ----------
    records : list of Record
        In any order.
    labels : tuple of str
        Names, in their fixed order.
    task : str
        Multi-class or multi-label.
    notes : list of str
        What was decided, one sentence each.
    clinical : tuple of str
        Columns proposed as inputs beside the ECG; those that no record has are dropped.
    """

    records: list[Record]
    labels: tuple[str, ...]
    task: Task
    notes: list[str]
    clinical: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EcgNpzReader:
    """Reader of an .npz of one layout, or of a folder that holds exactly one.

    Attributes
    ----------
    name : str
        The reader's name.
    things : str
        What one record is, in the plural.
    holds : Callable
        Whether arrays of these names are of the layout.
    parse : Callable
        Makes records of the arrays.
    """

    name: str
    things: str
    holds: Callable[[frozenset[str]], bool]
    parse: Callable[[EcgArrays], EcgContent]

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        """Tell whether path is such a file, or a folder with one and nothing that says otherwise."""
        return not options.table and bool(find_npz(path, self.holds))

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Where there are several files, options name what an .npz has not, or the arrays are not of the layout.
        """
        file = self._find_file(path, options)
        content = self.parse(EcgArrays(file))
        records = tuple(sorted(content.records, key=lambda record: record.id))
        return Dataset(
            name=file.stem if path.is_file() else path.resolve().name,
            root=path,
            records=records,
            labels=content.labels,
            task=content.task,
            reader=self.name,
            skipped=_list_left_out(path, file),
            notes=tuple(content.notes),
            origin=read_origin(file.parent, file.stem),
            modality="ecg",
            things=self.things,
            clinical=tuple(name for name in content.clinical if any(name in record.columns for record in records)),
        )

    def _find_file(self, path: Path, options: ReadOptions) -> Path:
        for flag in ("labels", "patient", "split", "image", "table"):
            if getattr(options, flag):
                raise DataError(
                    f"--{flag} names a column or a table, but {path} is an .npz file of ECGs.", "Leave it out."
                )
        files = find_npz(require_path(path), self.holds)
        if len(files) > 1:
            raise DataError(
                f"{path} holds several data sets: {', '.join(file.name for file in files)}.",
                f"Name one, such as {files[0]}.",
            )
        if not files:
            raise DataError(f"{path} holds no .npz data set of ECGs.", "Expected the arrays X, y and fs.")
        return files[0]


def find_npz(path: Path, holds: Callable[[frozenset[str]], bool]) -> list[Path]:
    """Find the .npz files at path (the file, or those right in the folder) whose arrays' names are the right ones."""
    files = [path] if path.is_file() else npz_files(path)
    return [file for file in files if file.suffix.lower() == ".npz" and holds(list_npz(file))]


def _list_left_out(path: Path, file: Path) -> Mapping[str, tuple[str, ...]]:
    """List what else lies in the folder, by the reason why it is left out; nothing where the file itself was given."""
    if path.is_file():
        return {}
    files = walk(path)
    parts: dict[str, list[str]] = {UNUSED: list(files.tables), OTHER_ECG: []}
    for reason, left in files.skipped.items():
        for name in left:
            if name == file.name:
                continue
            record = reason == "not an image" and Path(name).suffix.lower() in RECORD_SUFFIXES
            parts.setdefault(OTHER_ECG if record else reword_reason(reason), []).append(name)
    return merge_reasons(parts, {NOT_AN_ECG: files.images})


def reword_reason(reason: str) -> str:
    """Say why a file is left out of a set of ECGs, where the reason speaks of images."""
    return NOT_AN_ECG if reason == "not an image" else reason


def format_cells(values: np.ndarray, *, positive: bool = False) -> list[str]:
    """Write values as cells: whole numbers plainly, NaN and (for `positive`) what is not above 0 as blanks."""
    if values.dtype.kind == "f":
        known = ["" if not np.isfinite(v) or (positive and v <= 0) else repr(v) for v in values.tolist()]
        return [text.removesuffix(".0") for text in known]
    counted = positive and values.dtype.kind in "iu"
    return ["" if counted and v <= 0 else str(v).strip() for v in values.tolist()]


def number_names(count: int) -> list[str]:
    """Name classes by their numbers, where the file does not name them."""
    return [str(k) for k in range(min(_MOST_CLASSES, count))]


def number_duplicates(ids: Iterable[str]) -> list[str]:
    """Add a number to each id that comes twice: "a", "a-2"."""
    seen: dict[str, int] = {}
    out = []
    for one in ids:
        seen[one] = seen.get(one, 0) + 1
        out.append(one if seen[one] == 1 else f"{one}-{seen[one]}")
    return out
