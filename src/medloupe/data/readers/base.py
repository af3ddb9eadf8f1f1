"""Share what all readers need: the options, the walk through a folder, and the names of splits and files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from medloupe.data.readers.formats import find_kind
from medloupe.data.records import Dataset, Split
from medloupe.errors import DataError, did_you_mean

_NO_FINDING = frozenset({"nofinding", "nofindings"})  # as `normalise_name` writes it
EXCEL_SUFFIXES = frozenset({".xlsx", ".xlsm"})
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"}) | EXCEL_SUFFIXES

_SPLITS: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training", "trainval", "trainset", "trainingset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "valset", "validationset"), "val"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}
_HIDDEN = frozenset(
    {"thumbs.db", "desktop.ini", "__macosx", "__pycache__", "@eadir", "@recycle", "@recently-snapshot", "#recycle"}
    | {"#snapshot", "$recycle.bin", "system volume information", "lost+found", "ehthumbs.db"}
)
NOT_AN_IMAGE = "not an image"
_DOCUMENT = re.compile(r"(source|readme|licen[cs]e|citation|dataset_description|changelog|notice)\b", re.I)

LAYOUTS = (
    "Understood are: a folder for each class (optionally inside train/, val/ and test/); "
    "a table (CSV, TSV, Excel or Parquet) with a file column and a label column beside the images; "
    "boxes or outlines as COCO, YOLO, Pascal VOC, LabelMe, CVAT, Label Studio, masks or a table; "
    "a MedMNIST .npz file. The first two may hold ECG files (WFDB, CSV, .npz, DICOM, EDF) in place of images; "
    "an .npz of ECGs or heartbeats, and WFDB records with .atr annotations, are read as well."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    r"""What the person tells instead of letting it be guessed; None is "find it".

    Attributes
    ----------
    labels : str or None
        The label column, several 1/0 columns joined by commas, or for DICOM a keyword such as BodyPartExamined.
    patient : str or None
        The patient column, or a regular expression searched in each file's relative path (its one group, or the whole
        match): `C\d+P\d+`.
    split, image : str or None
        Columns of the table.
    table : Path or None
        The table, when it lies elsewhere.
    folders : str or None
        What the folders above the images are, from the top: "split/class", "class/patient", "site/class"; "-" is
        none of these.
    task : "detection", "classification", "multilabel" or None
        Whether boxes are to be found, whole pictures told apart, or several findings of each told.
    annotations : Path or None
        The file or folder whose boxes count, where there are several.
    unboxed : "negative", "unknown", "leave-out" or None
        What pictures without boxes are, where boxes are read: see `data.reading.read`.
    """

    labels: str | None = None
    patient: str | None = None
    split: str | None = None
    image: str | None = None
    table: Path | None = None
    folders: str | None = None
    task: str | None = None
    annotations: Path | None = None
    unboxed: str | None = None


class Reader(Protocol):
    """One layout of data on disk."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        """Tell whether path looks like this layout; never raises for content that is merely broken."""
        ...

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Naming what was expected and what to do.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Everything found under a folder; paths are relative to root, with forward slashes, and sorted.

    Attributes
    ----------
    root : Path
        The folder.
    images : tuple of str
        Images, DICOM files among them.
    dicoms : frozenset of str
        DICOM files.
    tables : tuple of str
        Tables, the upper ones first.
    skipped : Mapping
        What is left out, by reason.
    """

    root: Path
    images: tuple[str, ...]
    dicoms: frozenset[str]
    tables: tuple[str, ...]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def parse_split(name: str) -> Split | None:
    """Return the split a folder or cell names ("Training", "train_val", "valid", "dev"), or None."""
    return _SPLITS.get(re.sub(r"[\s_-]", "", name.lower()))


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder belongs to the operating system or a tool rather than to the data."""
    return name.startswith((".", "~$")) or name.lower() in _HIDDEN


def walk(root: Path) -> Files:
    """Walk a folder once: images, tables and what is left out.

    Linked folders are followed, but each real folder is entered once and in preference under its real place, so
    loops end. A hidden folder counts as one entry and is not entered.
    """
    found = _Found()
    seen: set[str] = set()
    here, links = [""], []
    while here or links:
        folder = here.pop() if here else links.pop(0)
        real = os.path.realpath(root / folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(root / folder), key=lambda e: e.name)
        except PermissionError:
            found.skip("not permitted", f"{folder}/")
            continue
        for entry in entries:
            place = f"{folder}/{entry.name}" if folder else entry.name
            if is_hidden(entry.name):
                found.skip("hidden", f"{place}/" if entry.is_dir() else place)
            elif entry.is_dir():
                (links if entry.is_symlink() else here).append(place)
            else:
                found.add(entry, place)
    return Files(
        root=root,
        images=tuple(sorted(found.images)),
        dicoms=frozenset(found.dicoms),
        tables=tuple(sorted(found.tables, key=lambda t: (t.count("/"), t))),
        skipped=sort_reasons(found.skipped),
    )


class _Found:
    """The files met on the walk, by what they are."""

    def __init__(self) -> None:
        self.images: list[str] = []
        self.dicoms: list[str] = []
        self.tables: list[str] = []
        self.skipped: dict[str, list[str]] = {}

    def skip(self, reason: str, place: str) -> None:
        self.skipped.setdefault(reason, []).append(place)

    def add(self, entry: os.DirEntry[str], place: str) -> None:
        suffix = PurePosixPath(entry.name).suffix.lower()
        if not entry.is_file():
            self.skip("broken link", place)
        elif suffix in TABLE_SUFFIXES:
            self.tables.append(place)
        elif "/" not in place and _DOCUMENT.match(entry.name):
            pass
        elif kind := find_kind(entry):
            self.images.append(place)
            if kind == "DICOM":
                self.dicoms.append(place)
        else:
            self.skip(NOT_AN_IMAGE, place)


def npz_files(folder: Path) -> list[Path]:
    """List the .npz files right in a folder, sorted."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() == ".npz" and p.is_file() and not is_hidden(p.name))


def sort_reasons(skipped: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Sort skipped files by reason and name, without empty reasons."""
    return {reason: tuple(sorted(files)) for reason, files in sorted(skipped.items()) if files}


def merge_reasons(*parts: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Merge several such mappings into one."""
    together: dict[str, list[str]] = {}
    for part in parts:
        for reason, files in part.items():
            together.setdefault(reason, []).extend(files)
    return sort_reasons(together)


def require_path(path: Path) -> Path:
    """Return path, or raise a DataError that offers the nearest neighbour when it is not there."""
    if path.exists():
        return path
    near = ""
    if path.parent.is_dir():
        near = did_you_mean(path.name, [p.name for p in path.parent.iterdir() if not is_hidden(p.name)])
    raise DataError(f"{path} does not exist.", near or "Check the path.")


def compile_patient_pattern(text: str) -> re.Pattern[str] | None:
    """Compile the regular expression in the option `patient`; None when it is a plain column name.

    Raises
    ------
    DataError
        Where it is broken, or has more than one group.
    """
    if not re.search(r"[\\()\[\]+*^$?]", text):
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise DataError(
            f"--patient {text!r} is not a regular expression ({error}).", r"For example: --patient 'C\d+P\d+'."
        ) from None
    if pattern.groups > 1:
        raise DataError(f"--patient {text!r} has {pattern.groups} groups.", "Use one group, or (?:…) for the others.")
    return pattern


def match_patients(pattern: re.Pattern[str], ids: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Find the patient in each record id.

    Parameters
    ----------
    pattern : Pattern
        Its one group, or the whole match, is the patient.
    ids : Iterable of str
        The records' ids, or files' places.

    Returns
    -------
    found : dict
        Patient by id.
    notes : list of str
        What there is to say of it.

    Raises
    ------
    DataError
        When the pattern matches none.
    """
    found: dict[str, str] = {}
    without: list[str] = []
    for name in ids:
        match = pattern.search(name)
        patient = match and match.group(pattern.groups)
        if patient:
            found[name] = patient
        else:
            without.append(name)
    if not found:
        raise DataError(
            f"--patient {pattern.pattern!r} matches none of the {len(without)} files, the first being {without[:1]}.",
            "It is searched in the file's path relative to the data folder.",
        )
    notes = [f"Patients come from the file names by {pattern.pattern!r}: {len(set(found.values()))} patients."]
    if without:
        notes.append(f"{len(without)} files do not match it and have no patient, such as {without[0]}.")
    return found, notes


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that puts "2" before "10"."""
    return tuple((0, int(p), p) if p.isascii() and p.isdigit() else (1, 0, p) for p in re.split(r"([0-9]+)", name) if p)


def normalise_name(name: str) -> str:
    """Write a column's or word's name without case, spaces and punctuation: "Finding Labels" is "findinglabels"."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def says_no_finding(name: str) -> bool:
    """Tell whether a label says that there is none: it is no finding of its own."""
    return normalise_name(name) in _NO_FINDING


def list_some(names: Iterable[str], most: int = 3) -> str:
    """Write the first few names for a message, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
