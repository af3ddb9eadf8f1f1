"""Read a file of facilities as lists: columns found, coordinates checked, kinds recognised, decisions told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medloupe.errors import DataError
from medloupe.facilities.columns import describe_columns, find_columns
from medloupe.facilities.coordinates import check_coordinates, note_signs, parse_degrees
from medloupe.facilities.facility import TEXTS, Facility, ListInfo, clean_text
from medloupe.facilities.kinds import recognise_kind
from medloupe.facilities.sources import KnownSource, make_id, recognise_source
from medloupe.facilities.tables import RawTable, read_table

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
_DAY = re.compile(r"(20\d\d-\d\d-\d\d)")
_CLOSED = re.compile(r"non.?operational|closed|disused|abandoned|^yes$", re.IGNORECASE)
_MOST_SOURCES = 5  # of one file; a column with more names who mapped a place
_NOT_STATED = "No licence is stated: tell it with --licence, and look it up before you pass the list on."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadList:
    """One list of a file."""

    info: ListInfo
    places: tuple[Facility, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a person says of a file; "" where nothing is said. columns: role → column."""

    source: str = ""
    licence: str = ""
    date: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


def read_facilities(
    path: Path, told: Told, *, known: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[list[ReadList], list[str]]:
    """Read a file.

    Parameters
    ----------
    path : Path
        CSV, GeoJSON or the JSON of OpenStreetMap's Overpass.
    told : Told
        What is not left to be recognised.
    known : (ndarray, ndarray), optional
        Latitudes and longitudes of facilities of other files.

    Returns
    -------
    (list of ReadList, list of str)
        A list for each source that the file names, and what was guessed, decided and left out, as sentences.

    Raises
    ------
    DataError
        It cannot be read, or its coordinates are not in degrees or the wrong way round.
    QuestionError
        Columns, or the source, cannot be told.
    """
    if told.date and not _DATE.fullmatch(told.date):
        raise DataError(f"--date is {told.date!r}.", "Write a year, month or day: 2021, 2021-06 or 2021-06-30.")
    table = read_table(path)
    found = find_columns(table.header, told.columns, placed=table.placed)
    notes = [*table.notes, describe_columns(table.header, found, told.columns)]
    cells = _Cells(table, found)
    lat, lon = (parse_degrees(cells.column(role), cells.name(role)) for role in ("lat", "lon"))
    countries = cells.column("country")
    usable = check_coordinates(
        lat, lon, countries, columns=(cells.name("lat"), cells.name("lon")), placed=table.placed, known=known
    )
    notes += note_signs(lat, lon, countries, usable)
    places, left = _make_places(cells, lat, lon, usable)
    notes += left
    if not places:
        raise DataError(f"{path} has no place that can be used.", "Look at what was left out.")
    groups, how = _group_by_source(cells, places, told, path)
    notes += how
    lists = []
    for source, own in groups.items():
        made = _describe_source(source, told, cells, own, path)
        notes += [f"{made.source}: {len(own):,} places, {_count_kinds([p for _, p in own])}."]
        notes += [f"{made.source}: {_NOT_STATED}"] if not made.licence else []
        lists.append(ReadList(info=made, places=tuple(p for _, p in own)))
    return lists, notes


class _Cells:
    """The cells of a table by their roles."""

    def __init__(self, table: RawTable, found: Mapping[str, Sequence[int]]):
        self._table, self._found = table, found

    def name(self, role: str) -> str:
        return self._table.header[self._found[role][0]]

    def column(self, role: str) -> list[str]:
        i = next(iter(self._found[role]), None)
        return ["" if i is None else row[i].strip() for row in self._table.rows]

    def all(self, role: str, row: int) -> list[str]:
        cells = self._table.rows[row]
        return [text for i in self._found[role] if (text := cells[i].strip())]

    def first(self, role: str, row: int) -> str:
        return next(iter(self.all(role, row)), "")


Numbered = list[tuple[int, Facility]]


def _make_places(cells: _Cells, lat: np.ndarray, lon: np.ndarray, usable: np.ndarray) -> tuple[Numbered, list[str]]:
    left: Counter[str] = Counter()
    places: Numbered = []
    overruled, ids = 0, set()
    for row in range(len(lat)):
        if not usable[row]:
            left["without usable coordinates"] += 1
            continue
        if _CLOSED.search(cells.first("status", row)):
            left["closed"] += 1
            continue
        name = clean_text(cells.first("name", row), TEXTS["name"])
        kind, by_name = recognise_kind(cells.all("kind", row), name)
        if not kind:
            left["for animals or the dead"] += 1
            continue
        overruled += by_name
        id = clean_text(cells.first("id", row), TEXTS["id"])
        if id in ids or not id:
            id = f"row-{row + 2}"
        ids.add(id)
        texts = {key: clean_text(cells.first(key, row), TEXTS[key]) for key in ("opening", "specialities")}
        place = Facility(
            id=id,
            name=name,
            lat=round(float(lat[row]), 6),
            lon=round(float(lon[row]), 6),
            kind=kind,
            called=clean_text(cells.first("kind", row), TEXTS["called"]),
            town=clean_text(", ".join(dict.fromkeys(cells.all("town", row))), TEXTS["town"]),
            phone=_clean_phone(cells.first("phone", row)),
            beds=_whole(cells.first("beds", row)),
            emergency=_yes_or_no(cells.first("emergency", row)),
            country=clean_text(max(cells.all("country", row), key=len, default=""), TEXTS["country"]),
            **texts,
        )
        places.append((row, place))
    notes = [f"Left out: {n:,} {why}." for why, n in left.items()]
    if overruled:
        notes.append(f"{overruled:,} typed as hospitals have names of health centres or posts, and count as those.")
    if nameless := sum(not p.name for _, p in places):
        notes.append(f"{nameless:,} places have no name.")
    return places, notes


def _group_by_source(cells: _Cells, places: Numbered, told: Told, path: Path) -> tuple[dict[str, Numbered], list[str]]:
    """Part the places by the lists that the file was put together from."""
    if told.source:
        return {told.source: places}, []
    named = cells.column("source")
    values = Counter(named[row] for row, _ in places)
    if "" not in values and len(values) <= _MOST_SOURCES and all(recognise_source(v) for v in values):
        groups: dict[str, Numbered] = {}
        for row, place in places:
            groups.setdefault(named[row], []).append((row, place))
        note = f"Sources, by the column {cells.name('source')}: {', '.join(values)}."
        return groups, [note]
    if cells.column("changed") and any(cells.column("changed")):
        return {"healthsites.io": places}, ["Source: taken for healthsites.io, by its columns; else tell --source."]
    known = recognise_source(path.stem)
    if known is None and any(p.id.startswith(("node/", "way/", "relation/", "osm-")) for _, p in places[:50]):
        return {"OpenStreetMap": places}, ["Source: taken for OpenStreetMap, by its ids; else tell --source."]
    if known is None:
        raise DataError(f"{path} does not say who made it.", "Tell it: --source NAME --licence TEXT --date 2021-06.")
    return {known.source: places}, [f"Source: taken for {known.source}, by the name of the file; else tell --source."]


def _describe_source(source: str, told: Told, cells: _Cells, own: Numbered, path: Path) -> ListInfo:
    known: KnownSource | None = recognise_source(source)
    licence = clean_text(told.licence, 120) or (known.licence if known else "")
    days = [day[1] for row, _ in own if (day := _DAY.search(cells.first("changed", row)))]
    name = known.source if known else clean_text(source, 120)
    return ListInfo(
        id=known.id if known else make_id(source),
        source=name,
        licence=licence,
        attribution=known.attribution if known else f"{name}{f', {licence}' if licence else ''}",
        url=known.url if known else "",
        date=told.date or max(days, default=""),
        count=len(own),
    )


def _count_kinds(places: Sequence[Facility]) -> str:
    counted = Counter(p.kind for p in places)
    return ", ".join(f"{kind.replace('_', ' ')} {n:,}" for kind, n in counted.most_common())


def _clean_phone(text: str) -> str:
    """Keep the first number that can be dialled."""
    first = re.split(r"[;/|]| or | et |,(?=\s*[+0(])", text)[0]
    kept = "".join(re.findall(r"[+0-9() .-]", first)).strip()
    return clean_text(kept, TEXTS["phone"]) if 5 <= sum(c.isdigit() for c in kept) <= 18 else ""


def _whole(text: str) -> str:
    found = re.fullmatch(r"(\d{1,5})(\.0+)?", text.strip())
    return str(int(found[1])) if found and int(found[1]) else ""


def _yes_or_no(text: str) -> str:
    return {"yes": "yes", "no": "no", "true": "yes", "false": "no"}.get(text.strip().lower(), "")
