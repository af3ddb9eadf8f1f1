"""Bring labels, splits and patients to the images from tables that are by patient, study or folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from medloupe.data.readers.base import Files, normalise_name
from medloupe.data.readers.columns import PATIENTS
from medloupe.data.readers.label_columns import choose_label_columns
from medloupe.data.readers.sheet import Sheet
from medloupe.data.readers.split_columns import choose_split
from medloupe.data.readers.stacked import set_column
from medloupe.errors import DataError

_FOLDERS = frozenset({"folder", "dir", "directory", "study", "series", "exam", "accession", "accessionnumber"})
_HALF = 0.5
_FILE = "image file"


@dataclass(frozen=True, slots=True)
class _Key:
    """A column that two tables share, and its rows in the other table."""

    name: str
    other: str
    rows: dict[str, tuple[str, ...]]


def join_tables(sheet: Sheet, file: str, others: Iterable[Sheet], told: str | None) -> Sheet:
    """Add to a table that names images the labels, split and patient that stand in another, by a column of both.

    Parameters
    ----------
    sheet : Sheet
        Names the images.
    file : str
        The column that does.
    others : iterable of Sheet
        Further tables of the folder.
    told : str or None
        The label columns told.

    Raises
    ------
    DataError
        Where another table has the labels, and its rows cannot be told apart.
    """
    wants: tuple[tuple[str, Callable[[Sheet], tuple[str, ...]]], ...] = (
        ("Labels", lambda s: _find_labels(s, told)),
        ("Splits", lambda s: choose_split(s, None).used),
        ("Patients", lambda s: tuple(s.usual_columns(PATIENTS)[:1])),
    )
    for what, find in wants:
        if [column for column in find(sheet) if column != file]:
            continue
        for other in others:
            columns = [column for column in find(other) if column not in sheet.columns]
            if other is sheet or not columns:
                continue
            key = _find_key(sheet, other)
            if key is None:
                if what == "Labels" and (shared := _shared_keys(sheet, other)):
                    raise DataError(
                        f"No table that names the images has labels; {other.path.name} has, by {shared[0][1]!r}, but "
                        f"its rows cannot be joined to {sheet.path.name}.",
                        "Write one table with the file and its label in each row.",
                    )
                continue
            sheet = _add_columns(sheet, other, key, columns, what)
            break
    return sheet


def _find_labels(sheet: Sheet, told: str | None) -> tuple[str, ...]:
    if told:
        names = [told] if sheet.has_column(told) else [name.strip() for name in told.split(",")]
        return tuple(map(sheet.find_column, names)) if all(map(sheet.has_column, names)) else ()
    split, patient = choose_split(sheet, None).used, sheet.usual_columns(PATIENTS)
    return choose_label_columns(sheet, {*split, *patient}, None).used


def _find_key(sheet: Sheet, other: Sheet) -> _Key | None:
    """Find the shared column by which each row of the first table has one row of the other, the finest of several."""
    keys = []
    for mine, theirs in _shared_keys(sheet, other):
        rows: dict[str, tuple[str, ...]] = {}
        stated = [_plain(cell) for cell in other.cells(theirs)]
        for cell, row in zip(stated, other.rows, strict=True):
            rows.setdefault(cell, row)
        rows.pop("", None)
        known = sum(_plain(cell) in rows for cell in sheet.cells(mine))
        if len(rows) == len([cell for cell in stated if cell]) and known >= _HALF * len(sheet.rows):
            keys.append(_Key(mine, theirs, rows))
    return max(keys, key=lambda key: (len(key.rows), normalise_name(key.name) not in PATIENTS), default=None)


def _shared_keys(sheet: Sheet, other: Sheet) -> list[tuple[str, str]]:
    theirs = {normalise_name(name): name for name in other.columns}
    return [
        (name, theirs[plain])
        for name in sheet.columns
        if (plain := normalise_name(name)) in theirs and (_is_key(name) or plain in ("file", "filename", "image"))
    ]


def _is_key(name: str) -> bool:
    plain = normalise_name(name)
    return plain.endswith(("id", "number")) or plain in PATIENTS or plain in _FOLDERS


def _add_columns(sheet: Sheet, other: Sheet, key: _Key, columns: Sequence[str], what: str) -> Sheet:
    mine = [_plain(cell) for cell in sheet.cells(key.name)]
    known = sum(cell in key.rows for cell in mine)
    note = f"{what} come from {other.path.name}, by {key.other!r} ({known} of {len(mine)} rows)."
    # What stands beside the labels may be wanted as well; a split or patient comes alone.
    wanted = [c for c in other.columns if c not in sheet.columns and (what == "Labels" or c in columns)]
    notes = [*other.notes, note]
    for name in wanted:
        k = other.columns.index(name)
        sheet = set_column(sheet, name, (key.rows[cell][k] if cell in key.rows else "" for cell in mine), *notes)
        notes = []
    return replace(sheet, others=(*sheet.others, other.path, *other.others))


def _plain(cell: str) -> str:
    """Write a number as every program does: 7 for 7.0, which gaps make of it, and for 007, which Excel cuts."""
    return re.sub(r"^0{0,30}(\d{1,30}?)(\.0)?$", r"\1", cell)


def spread_over_folders(sheet: Sheet, files: Files, told: str | None) -> Sheet | None:
    """Give each image the row whose id its folders or its name bear; None where a table is not of that kind.

    Parameters
    ----------
    sheet : Sheet
        A table with labels that names no image.
    files : Files
        The images.
    told : str or None
        The label columns told.
    """
    if not _find_labels(sheet, told):
        return None
    best: tuple[int, str, dict[str, int]] | None = None
    for column in filter(_is_key, sheet.columns):
        cells = [_plain(cell) for cell in sheet.cells(column)]
        if len(set(cells)) < len(cells) or len(cells) < 2:
            continue
        found = _match_images({cell: k for k, cell in enumerate(cells) if cell}, files.images)
        rows = len(set(found.values()))
        if rows >= _HALF * len(cells) and len(found) >= _HALF * len(files.images) and (not best or rows > best[0]):
            best = (rows, column, found)
    if best is None:
        return None
    _, column, found = best
    note = (
        f"{sheet.path.name} is by {column!r} and names no images: each image has the labels of the row "
        f"whose {column!r} its folder or its name bears ({len(found)} of {len(files.images)} images)."
    )
    places = sorted(found)
    rows = tuple((place, *sheet.rows[found[place]]) for place in places)
    columns = (_FILE, *sheet.columns)
    spread = Sheet(sheet.path, columns, rows, (*sheet.notes, note))
    if not sheet.usual_columns(PATIENTS):
        k = columns.index(column)
        spread = set_column(spread, "patient_id", (row[k] for row in rows), f"Patients are told apart by {column!r}.")
    return spread


def _match_images(ids: dict[str, int], images: Sequence[str]) -> dict[str, int]:
    """Find for each image the one id that its folders or the start of its name bear, the lowest folder first.

    Where the two bear different ids, such as 012/1.png those of patients 12 and 1, what tells more ids counts alone.
    """
    numbered: dict[str, list[tuple[str, int]]] = {}
    for one, k in ids.items():
        if parts := _split_number(one):
            numbered.setdefault(parts[1], []).append((parts[0], k))
    by_name: dict[str, int] = {}
    by_folder: dict[str, int] = {}
    for image in images:
        path = PurePosixPath(image)
        ends = [match.start() for match in re.finditer(r"[_\-. ]", path.stem)]
        starts = [path.stem, *(path.stem[:end] for end in reversed(ends))]
        folders = list(reversed(path.parts[:-1]))
        # A folder s500 is study 500; a file scan500 need not be.
        for found, borne, strict in ((by_name, starts, True), (by_folder, folders, False)):
            row = next((ids[name] for name in borne if name in ids), None)
            if row is None:
                loose = (_find_numbered(name, numbered, strict=strict) for name in borne)
                row = next((k for k in loose if k is not None), None)
            if row is not None:
                found[image] = row
    if any(by_folder.get(image, row) != row for image, row in by_name.items()):
        return max(by_folder, by_name, key=lambda found: len(set(found.values())))
    return by_folder | by_name


def _find_numbered(name: str, numbered: dict[str, list[tuple[str, int]]], *, strict: bool) -> int | None:
    """Find the one id of the same number: with the same letters before it, or, unless strict, with none on one side."""
    parts = _split_number(name)
    if parts is None:
        return None
    fitting = [
        k
        for letters, k in numbered.get(parts[1], ())
        if letters == parts[0] or not parts[0] or (not letters and not strict)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _split_number(name: str) -> tuple[str, str] | None:
    """Split an id such as s50414267, P001 or 007 into letters and number, without zeros before it; None for others."""
    match = re.fullmatch(r"([A-Za-z]{0,10})[_\-]?0{0,20}([0-9]{1,20})", name[:60])
    return (match[1].casefold(), match[2]) if match else None
