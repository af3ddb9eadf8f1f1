"""List what is to be scored, once, in a file that is read as a stream; and get at one file of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PureWindowsPath

from medloupe.data.readers.base import EXCEL_SUFFIXES
from medloupe.data.readers.sheet import load_sheet
from medloupe.errors import DataError
from medloupe.inference.paths import expand_paths
from medloupe.inference.predictors import answering, list_folder

TABLES = (".csv", ".tsv", ".parquet", *EXCEL_SUFFIXES)
LISTS = (".txt", ".lst")

Given = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """One file to score. given: what is known beside it, by the model's names."""

    file: str
    given: Given


def fetch(file: str) -> Path:
    """Get a file to where decoders can read it: the one way by which scoring comes to its inputs."""
    return Path(file)


def list_inputs(
    source: str,
    kinds: Iterable[str],
    image: str | None = None,
    match: Callable[[Given], Given] | None = None,
) -> Iterator[Item]:
    """List what a person names as the files to score, in an order that depends on their names alone.

    Parameters
    ----------
    source : str
        A folder, a file, a glob, a list (.txt, a file a line) or a table.
    kinds : iterable of str
        Kinds of data that count in a folder.
    image : str, optional
        The column of a table that names the files; the one whose cells are files by default.
    match : callable, optional
        Takes a table's row and gives what of it is known beside the file.

    Raises
    ------
    DataError
        When there is nothing of that name, or no column of a table names files, or two rows differ about one.
    """
    kinds = tuple(kinds)
    path = Path(source)
    if path.is_file() and path.suffix.lower() in TABLES:
        yield from _list_table(path, image, match)
        return
    if path.is_file() and path.suffix.lower() in LISTS:
        files: Iterable[Path] = _read_list(path)
    else:
        if not path.exists() and not any(c in source for c in "*?["):
            raise DataError(f"There is no {source}.", "Name a folder, a table, or a list with a file a line.")
        files = expand_paths([source], lambda folder: list_folder(folder, kinds))
    for kind in kinds:
        files = answering(kind).whole(files)
    for file in files:
        yield Item(str(file), {})


def _read_list(path: Path) -> Iterator[Path]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for line in lines:
            if name := line.strip():
                yield path.parent / name


def _list_table(path: Path, image: str | None, match: Callable[[Given], Given] | None) -> Iterator[Item]:
    sheet = load_sheet(path)
    column = sheet.find_column(image) if image is not None else _find_files(path, sheet.columns, sheet.rows)
    k = sheet.columns.index(column)
    known: dict[str, Given] = {}
    for row in sheet.rows:
        if not row[k]:
            continue
        file = str(_beside(path, row[k]))
        given = match(dict(zip(sheet.columns, row, strict=True))) if match else {}
        if known.setdefault(file, given) is given:
            yield Item(file, given)
        elif known[file] != given:
            raise DataError(f"{path} says different things of {row[k]}.", "Leave one row for each file.")


def _beside(table: Path, cell: str) -> Path:
    r"""Where the file lies that a cell names, with / or \ between folders, relative to the table or not."""
    return table.parent / (cell if Path(cell).is_absolute() else Path(*PureWindowsPath(cell).parts))


def _find_files(path: Path, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    """Find the column whose first cells name the most files that are there."""
    some = rows[:20]
    there = [sum(bool(row[k]) and _beside(path, row[k]).is_file() for row in some) for k in range(len(columns))]
    if not there or not max(there):
        raise DataError(
            f"No column of {path} names files that are there, seen from {path.parent}.",
            "Name the column with --image; paths in it are relative to the table.",
        )
    return columns[there.index(max(there))]


def write_items(path: Path, items: Iterable[Item]) -> tuple[int, str]:
    """Write the list, a line of JSON an item, as a stream; gives how many there are, and the sha256 of the file."""
    count, digest = 0, hashlib.sha256()
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as out:
        for item in items:
            line = json.dumps({"file": item.file, "given": dict(item.given)}, sort_keys=True).encode() + b"\n"
            digest.update(line)
            out.write(line)
            count += 1
    temporary.replace(path)
    return count, digest.hexdigest()


def read_items(path: Path, at_once: int) -> Iterator[tuple[Item, ...]]:
    """Read the list as a stream, so many items at a time; the last time what is left."""
    with path.open("rb") as lines:
        while part := tuple(Item(**json.loads(line)) for line in islice(lines, at_once)):
            yield part
