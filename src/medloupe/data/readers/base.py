"""What all readers share: the options, the walk through a folder, and the names of splits and files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from medloupe.data.records import Dataset, Split
from medloupe.errors import DataError, did_you_mean

DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
IMAGE_SUFFIXES = DICOM_SUFFIXES | {
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff"),
    *(".webp", ".gif", ".pgm", ".ppm", ".pnm", ".jp2"),
}
ECG_SUFFIXES = frozenset({".hea", ".dat", ".edf", ".bdf"})  # of nothing but signals
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})

_SPLITS: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training", "trainval", "trainset", "trainingset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "valset", "validationset"), "val"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}
_HIDDEN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "__pycache__"})
_DOCUMENT = re.compile(r"(source|readme|licen[cs]e|citation|dataset_description|changelog|notice)\b", re.I)

LAYOUTS = (
    "Understood are: a folder for each class (optionally inside train/, val/ and test/); "
    "a table (CSV, TSV or Parquet) with a file column and a label column beside the images; "
    "a MedMNIST .npz file. The first two may hold ECG files (WFDB, CSV, .npz, DICOM, EDF) in place of images; "
    "an .npz of ECGs or heartbeats, and WFDB records with .atr annotations, are read as well."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the person tells instead of letting it be guessed; None is "find it".

    labels: the label column, several 1/0 columns joined by commas, or for DICOM a keyword such as BodyPartExamined.
    patient: the patient column, or a regular expression searched in each file's relative path (its one group,
    or the whole match): `C\\d+P\\d+`. split, image: columns of the table. table: the table, when it lies elsewhere.
    """

    labels: str | None = None
    patient: str | None = None
    split: str | None = None
    image: str | None = None
    table: Path | None = None


class Reader(Protocol):
    """One layout of data on disk."""

    @property
    def name(self) -> str: ...

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        """Whether path looks like this layout; never raises for content that is merely broken."""
        ...

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        """The data set. Errors: DataError, naming what was expected and what to do."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Everything found under a folder; paths are relative to root, with forward slashes, and sorted."""

    root: Path
    images: tuple[str, ...]
    dicoms: frozenset[str]
    tables: tuple[str, ...]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def parse_split(name: str) -> Split | None:
    """The split a folder or cell names ("Training", "train_val", "valid", "dev"), or None."""
    return _SPLITS.get(re.sub(r"[\s_-]", "", name.lower()))


def is_hidden(name: str) -> bool:
    """Whether a file or folder belongs to the operating system or a tool rather than to the data."""
    return name.startswith(".") or name.lower() in _HIDDEN


def walk(root: Path) -> Files:
    """Walk a folder once: images, tables and what is left out.

    Linked folders are followed, but each real folder is entered once and in preference under its real place, so
    loops end. A hidden folder counts as one entry and is not entered.
    """
    images: list[str] = []
    dicoms: list[str] = []
    tables: list[str] = []
    skipped: dict[str, list[str]] = {}
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
            skipped.setdefault("not permitted", []).append(f"{folder}/")
            continue
        for entry in entries:
            place = f"{folder}/{entry.name}" if folder else entry.name
            if is_hidden(entry.name):
                skipped.setdefault("hidden", []).append(f"{place}/" if entry.is_dir() else place)
            elif entry.is_dir():
                (links if entry.is_symlink() else here).append(place)
            elif not entry.is_file():
                skipped.setdefault("broken link", []).append(place)
            elif is_dicom(entry):
                images.append(place)
                dicoms.append(place)
            elif (suffix := PurePosixPath(entry.name).suffix.lower()) in IMAGE_SUFFIXES:
                images.append(place)
            elif suffix in TABLE_SUFFIXES:
                tables.append(place)
            elif not (folder == "" and _DOCUMENT.match(entry.name)):
                skipped.setdefault("not an image", []).append(place)
    return Files(
        root=root,
        images=tuple(sorted(images)),
        dicoms=frozenset(dicoms),
        tables=tuple(sorted(tables, key=lambda t: (t.count("/"), t))),
        skipped=sort_reasons(skipped),
    )


def is_dicom(entry: os.DirEntry[str] | Path) -> bool:
    """Whether a file is DICOM: by its suffix, or, where the suffix tells nothing, by its magic bytes."""
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix in DICOM_SUFFIXES:
        return True
    # Exported studies carry no suffix, or are named by UID, whose last number then poses as one.
    if (suffix and not suffix[1:].isdigit()) or entry.name.upper() == "DICOMDIR" or _DOCUMENT.match(entry.name):
        return False
    try:
        with Path(entry).open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def sort_reasons(skipped: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Skipped files by reason, sorted, without empty reasons."""
    return {reason: tuple(sorted(files)) for reason, files in sorted(skipped.items()) if files}


def merge_reasons(*parts: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Several such mappings as one."""
    together: dict[str, list[str]] = {}
    for part in parts:
        for reason, files in part.items():
            together.setdefault(reason, []).extend(files)
    return sort_reasons(together)


def require_path(path: Path) -> Path:
    """path, or a DataError that offers the nearest neighbour when it is not there."""
    if path.exists():
        return path
    near = ""
    if path.parent.is_dir():
        near = did_you_mean(path.name, [p.name for p in path.parent.iterdir() if not is_hidden(p.name)])
    raise DataError(f"{path} does not exist.", near or "Check the path.")


def compile_patient_pattern(text: str) -> re.Pattern[str] | None:
    """The regular expression in the option `patient`, or None when it is a plain column name."""
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
    """Patient by record id, and notes. DataError when the pattern matches no file."""
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
    """Sort key that puts "2" before "10"."""
    return tuple((0, int(p), p) if p.isascii() and p.isdigit() else (1, 0, p) for p in re.split(r"([0-9]+)", name) if p)


def normalise_name(name: str) -> str:
    """A column's or word's name without case, spaces and punctuation: "Finding Labels" is "findinglabels"."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def list_some(names: Iterable[str], most: int = 3) -> str:
    """The first few names for a message, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
