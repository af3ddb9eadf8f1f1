"""Take a first look at a folder: names only, and never more than a bounded number of them."""

from __future__ import annotations

import csv
import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

from medloupe.data.modalities import IMAGE_SUFFIXES
from medloupe.data.readers.base import EXCEL_SUFFIXES, TABLE_SUFFIXES, is_hidden, normalise_name

MOST_IN_FOLDER = 500  # entries looked at in one folder
MOST = 20_000  # entries looked at in all
DEEPEST = 12  # folders above a file
# What Excel files hold is not seen at a first look: no original is told by them, and many bring one of no use.
_TABLE_SUFFIXES = TABLE_SUFFIXES - EXCEL_SUFFIXES | {".tab"}
_HEADER = 64 * 1024  # bytes in which the first line of a table ends


@dataclass(frozen=True)
class Outline:
    """Some of the files under root, relative to it with forward slashes, the upper ones first.

    Folders with more than MOST_IN_FOLDER entries are seen in part. A root that is a file has no entries.
    """

    root: Path
    images: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    @cached_property
    def headers(self) -> dict[str, frozenset[str]]:
        """The column names of each table, as `normalise_name` writes them; none for Parquet and what cannot be read."""
        return {table: _read_header(self.root / table) for table in self.tables}

    def with_columns(self, columns: Iterable[str]) -> tuple[str, ...]:
        """List the tables that have all these columns (as `normalise_name` writes them)."""
        wanted = frozenset(columns)
        return tuple(table for table, header in self.headers.items() if wanted <= header)


def outline_folder(root: Path) -> Outline:
    """Look through a folder from the top down. What may not be entered is passed over."""
    if not root.is_dir():
        return Outline(root)
    images: list[str] = []
    tables: list[str] = []
    folders = deque([""])
    left = MOST
    while folders and left > 0:
        folder = folders.popleft()
        try:
            with os.scandir(root / folder) as entries:
                found = sorted(islice(entries, min(MOST_IN_FOLDER, left)), key=lambda e: e.name)
        except OSError:
            continue
        left -= len(found)
        for entry in found:
            if is_hidden(entry.name):
                continue
            place = f"{folder}/{entry.name}" if folder else entry.name
            suffix = PurePosixPath(entry.name).suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                images.append(place)
            elif entry.is_dir():
                if place.count("/") < DEEPEST:
                    folders.append(place)
            # The Harvard Dataverse gives the table of HAM10000 without an extension.
            elif suffix in _TABLE_SUFFIXES or (not suffix and "metadata" in entry.name.lower()):
                tables.append(place)
    return Outline(root, tuple(images), tuple(tables))


def _read_header(path: Path) -> frozenset[str]:
    if path.suffix.lower() == ".parquet":
        return frozenset()
    try:
        with path.open("rb") as file:
            text = file.read(_HEADER).decode("utf-8-sig", "replace")
    except OSError:
        return frozenset()
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        cells = next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error:
        return frozenset()
    return frozenset(normalise_name(cell) for cell in cells) - {""}
