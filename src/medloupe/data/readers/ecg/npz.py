"""What .npz data sets of ECGs have in common: how they are found, what lies beside them, and their columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from medloupe.data.readers.base import ReadOptions, existing, hidden, merged, scan
from medloupe.data.readers.folders import UNUSED
from medloupe.errors import DataError
from medloupe.utils.arrays import list_npz

NOT_AN_ECG = "not an ECG"
OTHER_ECG = "another ECG file, not read"
RECORD_SUFFIXES = frozenset({".hea", ".dat", ".atr", ".edf", ".bdf"})


def found(path: Path, holds: Callable[[frozenset[str]], bool]) -> list[Path]:
    """The .npz files at path (the file, or those right in the folder) whose arrays' names are the right ones."""
    if path.is_file():
        files = [path] if path.suffix.lower() == ".npz" else []
    else:
        files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".npz" and p.is_file() and not hidden(p.name))
    return [file for file in files if holds(list_npz(file))]


def recognises(path: Path, options: ReadOptions, holds: Callable[[frozenset[str]], bool]) -> bool:
    """Whether path is such a file, or a folder with one and nothing that says otherwise."""
    return not options.table and bool(found(path, holds))


def only(path: Path, options: ReadOptions, holds: Callable[[frozenset[str]], bool]) -> Path:
    """The one file meant. DataError where there are several, or where options name what an .npz has not."""
    for flag in ("labels", "patient", "split", "image", "table"):
        if getattr(options, flag):
            raise DataError(f"--{flag} names a column or a table, but {path} is an .npz file of ECGs.", "Leave it out.")
    files = found(existing(path), holds)
    if len(files) > 1:
        raise DataError(
            f"{path} holds several data sets: {', '.join(file.name for file in files)}.",
            f"Name one, such as {files[0]}.",
        )
    if not files:
        raise DataError(f"{path} holds no .npz data set of ECGs.", "Expected the arrays X, y and fs.")
    return files[0]


def beside(path: Path, file: Path) -> Mapping[str, tuple[str, ...]]:
    """What else lies in the folder, by the reason why it is left out; nothing where the file itself was given."""
    if path.is_file():
        return {}
    files = scan(path)
    parts: dict[str, list[str]] = {UNUSED: list(files.tables), OTHER_ECG: []}
    for reason, left in files.skipped.items():
        for name in left:
            if name == file.name:
                continue
            record = reason == "not an image" and Path(name).suffix.lower() in RECORD_SUFFIXES
            parts.setdefault(OTHER_ECG if record else renamed(reason), []).append(name)
    return merged(parts, {NOT_AN_ECG: files.images})


def renamed(reason: str) -> str:
    """Why a file is left out of a set of ECGs, in its own words."""
    return NOT_AN_ECG if reason == "not an image" else reason


def array(arrays: Mapping[str, np.ndarray], key: str, n: int, file: str) -> np.ndarray | None:
    """One value an example, (n,); None where there is no such array. DataError for another length."""
    if key not in arrays:
        return None
    values = arrays[key]
    if values.shape != (n,):
        raise DataError(f"{file}: {key} has shape {values.shape} for {n} examples.", "Expected one value each.")
    return values


def number(arrays: Mapping[str, np.ndarray], key: str, file: str) -> float | None:
    """A lone number; None where it is not there. DataError where it is no number."""
    if key not in arrays:
        return None
    value = arrays[key]
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value).all() or not (value > 0).all():
        raise DataError(f"{file}: {key} is {value.dtype} {value.shape}.", "Expected one number above 0.")
    return float(value.ravel()[0])


def texts(values: np.ndarray, *, positive: bool = False) -> list[str]:
    """Values as cells: whole numbers plainly, NaN and (for `positive`) what is not above 0 as blanks."""
    if values.dtype.kind == "f":
        known = ["" if not np.isfinite(v) or (positive and v <= 0) else repr(v) for v in values.tolist()]
        return [text.removesuffix(".0") for text in known]
    counted = positive and values.dtype.kind in "iu"
    return ["" if counted and v <= 0 else str(v).strip() for v in values.tolist()]


def sexes(values: np.ndarray) -> list[str]:
    """Sex as "male" and "female": 0 and 1 as PTB-XL codes them, M and F; blank where it is neither."""
    said = {"0": "male", "1": "female", "m": "male", "f": "female", "male": "male", "female": "female"}
    return [said.get(text.lower(), "") for text in texts(values)]


def unique(ids: list[str]) -> list[str]:
    """ids, with a number where one comes twice."""
    seen: dict[str, int] = {}
    out = []
    for one in ids:
        seen[one] = seen.get(one, 0) + 1
        out.append(one if seen[one] == 1 else f"{one}-{seen[one]}")
    return out
