"""List what is to be scored, once, in a file that is read as a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath

from medloupe.data.readers.base import EXCEL_SUFFIXES
from medloupe.data.readers.sheet import load_sheet
from medloupe.errors import DataError, RemoteRefusedError
from medloupe.inference.paths import expand_paths
from medloupe.inference.predictors import answering, list_folder
from medloupe.scoring.remote_inputs import beside, counts, list_place, read_file_address
from medloupe.utils.remote.address import Address, is_remote
from medloupe.utils.remote.fetch import fetch

TABLES = (".csv", ".tsv", ".parquet", *EXCEL_SUFFIXES)
LISTS = (".txt", ".lst")

Given = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """One file to score.

    Attributes
    ----------
    file : str
        Its path, or its address where it lies elsewhere.
    given : mapping
        What is known beside it, by the model's names.
    linked : bool
        Whether a list or table names its address, so that only hosts of the public internet are asked for it.
    """

    file: str
    given: Given
    linked: bool = False


def list_inputs(
    source: str,
    kinds: Iterable[str],
    image: str | None = None,
    match: Callable[[Given], Given] | None = None,
    *,
    urls: bool = False,
) -> Iterator[Item]:
    """List what a person names as the files to score, in an order that depends on their names alone.

    Parameters
    ----------
    source : str
        A folder, a file, a glob, a list (.txt, a file a line) or a table; here, or by an address.
    kinds : iterable of str
        Kinds of data that count in a folder.
    image : str, optional
        The column of a table that names the files; the one whose cells are files by default.
    match : callable, optional
        Takes a table's row and gives what of it is known beside the file.
    urls : bool
        Whether lists and tables may name addresses.

    Raises
    ------
    DataError
        When there is nothing of that name, or no column of a table names files, or two rows differ about one.
    RemoteError
        What lies elsewhere cannot be listed, or an address is not allowed.
    """
    kinds = tuple(kinds)
    if is_remote(source):
        yield from _list_elsewhere(read_file_address(source), kinds, image, match, urls=urls)
        return
    path = Path(source)
    if path.is_file() and path.suffix.lower() in TABLES:
        yield from _list_table(path, _Beside(path, kinds, urls=urls), image, match)
        return
    if path.is_file() and path.suffix.lower() in LISTS:
        names = _read_list(path, _Beside(path, kinds, urls=urls))
        if urls:  # whatever lies here is a file of its own
            yield from (Item(file, {}, linked=is_remote(file)) for file in names)
            return
        files: Iterable[Path] = map(Path, names)
    else:
        if not path.exists() and not any(c in source for c in "*?["):
            raise DataError(f"There is no {source}.", "Name a folder, a table, or a list with a file a line.")
        files = expand_paths([source], lambda folder: list_folder(folder, kinds))
    for kind in kinds:
        files = answering(kind).whole(files)
    for file in files:
        yield Item(str(file), {})


@dataclass(frozen=True, slots=True)
class _Beside:
    """What names in a list or table mean.

    Attributes
    ----------
    table : Path or Address
        Where it lies.
    kinds : tuple of str
        Kinds of data that count.
    urls : bool
        Whether addresses are allowed.
    """

    table: Path | Address
    kinds: tuple[str, ...]
    urls: bool = False

    def find(self, name: str) -> str:
        r"""Find the file that a cell names, with / or \ between folders, relative to the table or not."""
        if is_remote(name):
            if not self.urls:
                raise RemoteRefusedError(
                    f"{self.table} names addresses, such as {name.split('?')[0]}.", "Allow that with --allow-urls."
                )
            return read_file_address(name).url
        if isinstance(self.table, Address):
            return beside(self.table, name)
        return str(self.table.parent / (name if Path(name).is_absolute() else Path(*PureWindowsPath(name).parts)))

    def is_there(self, name: str) -> bool:
        """Tell whether a cell names a file; of those elsewhere by the end of the name."""
        if is_remote(name) or isinstance(self.table, Address):
            return counts(name, self.kinds) and "." in name
        return Path(self.find(name)).is_file()


def _list_elsewhere(
    address: Address,
    kinds: tuple[str, ...],
    image: str | None,
    match: Callable[[Given], Given] | None,
    *,
    urls: bool,
) -> Iterator[Item]:
    suffix = PurePosixPath(address.name).suffix.lower()
    if suffix not in (*TABLES, *LISTS):
        for file in list_place(address, kinds):
            yield Item(file, {})
        return
    named = _Beside(address, kinds, urls=urls)
    with fetch(address.url) as copy:
        if suffix in TABLES:
            yield from _list_table(copy, named, image, match)
        else:
            yield from (Item(file, {}, linked=_is_linked(file, named)) for file in _read_list(copy, named))


def _is_linked(file: str, named: _Beside) -> bool:
    """Tell whether a list names the address itself."""
    return is_remote(file) and (not isinstance(named.table, Address) or not file.startswith(_folder_of(named.table)))


def _folder_of(table: Address) -> str:
    return table.url.rpartition("/")[0] + "/"


def _read_list(path: Path, named: _Beside) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for line in lines:
            if name := line.strip():
                yield named.find(name)


def _list_table(
    path: Path, named: _Beside, image: str | None, match: Callable[[Given], Given] | None
) -> Iterator[Item]:
    sheet = load_sheet(path)
    column = sheet.find_column(image) if image is not None else _find_files(named, sheet.columns, sheet.rows)
    k = sheet.columns.index(column)
    known: dict[str, Given] = {}
    for row in sheet.rows:
        if not row[k]:
            continue
        file = named.find(row[k])
        given = match(dict(zip(sheet.columns, row, strict=True))) if match else {}
        if known.setdefault(file, given) is given:
            yield Item(file, given, linked=_is_linked(file, named))
        elif known[file] != given:
            raise DataError(f"{named.table} says different things of {row[k]}.", "Leave one row for each file.")


def _find_files(named: _Beside, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    """Find the column whose first cells name the most files that are there."""
    some = rows[:20]
    there = [sum(bool(row[k]) and named.is_there(row[k]) for row in some) for k in range(len(columns))]
    if not there or not max(there):
        seen = named.table.parent if isinstance(named.table, Path) else named.table
        raise DataError(
            f"No column of {named.table} names files that are there, seen from {seen}.",
            "Name the column with --image; paths in it are relative to the table.",
        )
    return columns[there.index(max(there))]


def write_items(path: Path, items: Iterable[Item]) -> tuple[int, str]:
    """Write the list, a line of JSON an item, as a stream; gives how many there are, and the sha256 of the file."""
    count, digest = 0, hashlib.sha256()
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as out:
        for item in items:
            told = {"file": item.file, "given": dict(item.given), **({"linked": True} if item.linked else {})}
            line = json.dumps(told, sort_keys=True).encode() + b"\n"
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
