"""Tell files of one name apart by another cell of their row: site A and 1.png are A/1.png."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from medloupe.data.readers.columns import find_file_column
from medloupe.data.readers.folder_names import fold_name
from medloupe.data.readers.locate import UNCLEAR, Locator
from medloupe.data.readers.sheet import Sheet


def qualify_names(sheet: Sheet, locator: Locator, told: str | None = None) -> Sheet:
    """Write, for names that several files have, the path of the file in the folder that another cell names.

    Nothing is changed where no column leads from most of these names to one file each, each to another one.

    Parameters
    ----------
    sheet : Sheet
        A table.
    locator : Locator
        Finds its files.
    told : str, optional
        The column of files, when the person tells it.
    """
    file = find_file_column(sheet, locator, told)
    unclear = {name for name, reason in file[2].items() if reason == UNCLEAR} if file else set()
    if file is None or not unclear:
        return sheet
    k = sheet.columns.index(file[0])
    places = {name: _by_folder(locator.find_all(name)) for name in unclear}
    asked = [j for j, row in enumerate(sheet.rows) if row[k] in unclear]
    taken = set(file[1].values())
    best: dict[int, str] = {}
    column = ""
    for c, name in enumerate(sheet.columns):
        if c == k:
            continue
        found = {
            j: at[0] for j in asked if len(at := places[sheet.rows[j][k]].get(fold_name(sheet.rows[j][c]), ())) == 1
        }
        apart = len(set(found.values())) == len({(sheet.rows[j][k], sheet.rows[j][c]) for j in found})
        if apart and not taken & set(found.values()) and len(found) > len(best):
            best, column = found, name
    if 2 * len(best) <= len(asked):
        return sheet
    rows = tuple((*row[:k], best.get(j, row[k]), *row[k + 1 :]) for j, row in enumerate(sheet.rows))
    note = f"Several files have one name; column {column!r} says in whose folder each lies."
    return replace(sheet, rows=rows, notes=(*sheet.notes, note))


def _by_folder(places: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """List files by the folders above them, each in one spelling."""
    found: dict[str, tuple[str, ...]] = {}
    for place in places:
        for folder in {fold_name(part) for part in place.split("/")[:-1]}:
            found[folder] = (*found.get(folder, ()), place)
    return found
