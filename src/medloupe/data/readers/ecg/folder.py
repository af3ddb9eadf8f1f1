"""Read folders of ECG files.

A folder a class, a table beside them, or WFDB records whose annotations name each beat.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from medloupe.data.modalities import ECGS
from medloupe.data.readers import table
from medloupe.data.readers.base import (
    LAYOUTS,
    Files,
    ReadOptions,
    list_some,
    sort_reasons,
    walk,
)
from medloupe.data.readers.ecg import beats, npz, twelve_lead
from medloupe.data.readers.ecg.annotated import find_annotated, read_annotated
from medloupe.data.readers.files import read_labelled
from medloupe.data.records import Dataset
from medloupe.ecg import csv
from medloupe.errors import DataError
from medloupe.imaging import headers
from medloupe.utils import arrays

_START_BYTES = 64 * 1024
_PARTNERS = frozenset({".dat", ".atr", ".qrs", ".xyz"})  # of a .hea, no ECGs of their own


def find_ecgs(seen: Files) -> Files:
    """Take a folder's ECG files in place of its images; tables are those that are no ECG."""
    root = seen.root
    ecgs: list[str] = []
    skipped: dict[str, list[str]] = {}
    for reason, names in seen.skipped.items():
        for name in names:
            suffix = PurePosixPath(name).suffix.lower()
            if reason == "not an image" and _is_ecg(root / name, suffix):
                ecgs.append(name)
            elif reason != "not an image" or suffix not in _PARTNERS:
                skipped.setdefault(npz.reword_reason(reason), []).append(name)
    text = [name for name in seen.tables if not name.endswith(".parquet") and _is_text_ecg(root / name)]
    waves = [name for name in seen.images if name in seen.dicoms and _is_waveform(root / name)]
    skipped.setdefault(npz.NOT_AN_ECG, []).extend(name for name in seen.images if name not in set(waves))
    return Files(
        root=root,
        images=tuple(sorted([*ecgs, *text, *waves])),
        dicoms=frozenset(waves),
        tables=tuple(name for name in seen.tables if name not in set(text)),
        skipped=sort_reasons(skipped),
    )


def _holds_pictures(seen: Files) -> bool:
    """Tell whether there are pictures.

    Of DICOM files the first one tells: a study holds either pictures or waveforms.
    """
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
            return csv.looks_like_ecg(file.read(_START_BYTES))
    except OSError:
        return False


def _is_waveform(path: Path) -> bool:
    """Tell whether a DICOM file is of a waveform SOP class (1.2.840.10008.5.1.4.1.1.9...), by its first bytes."""
    try:
        with path.open("rb") as file:
            return headers.WAVEFORM_CLASSES in file.read(1024)
    except OSError:
        return False


class EcgFolderReader:
    """Reader of ECG files in class folders, named by a table, or as annotated WFDB records; never beside pictures."""

    name = "ecg_files"

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        """Tell whether ECG files lie there, no pictures, and no .npz data set of ECGs."""
        root = table.data_folder(path)
        if not root.is_dir():
            return False
        seen = walk(root)
        return not _holds_pictures(seen) and bool(find_ecgs(seen).images) and not npz.find_npz(path, _is_data_set)

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Where nothing says what the ECGs show.
        """
        files = find_ecgs(walk(table.data_folder(path)))
        data = read_labelled(path, files, options, ECGS, READER)
        if data is not None:
            return data
        annotated = find_annotated(files)
        if annotated:
            return read_annotated(files, annotated, options, READER)
        named = f"{len(files.images)} ECG files ({list_some(files.images)})"
        raise DataError(f"{files.root} holds {named}, but nothing says what they show.", LAYOUTS)


def _is_data_set(names: frozenset[str]) -> bool:
    return beats.holds(names) or twelve_lead.holds(names)


READER = EcgFolderReader.name
ECG_FILES = EcgFolderReader()
