"""Read facilities from CSV and GeoJSON files of strangers as rows of texts, within limits."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medloupe.errors import DataError

MOST_CSV, MOST_JSON = 512 * 2**20, 128 * 2**20
"""Largest files, in bytes: JSON takes about ten times its size in memory."""
MOST_ROWS = 400_000
_MOST_COLUMNS = 2000
_MOST_POINTS = 200_000  # of one outline
_CELL = 4000  # characters kept of a cell
_PLAIN_CRS = ("crs84", "4326")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """Rows as a file has them.

    Attributes
    ----------
    header : tuple of str
        The columns.
    rows : list of sequences of str
        Each as long as the header.
    notes : tuple of str
        What had to be decided or left out.
    placed : bool
        Whether the format itself says where places are: then the first two columns are "lat" and "lon".
    """

    header: tuple[str, ...]
    rows: list[Sequence[str]]
    notes: tuple[str, ...] = ()
    placed: bool = False


def read_table(path: Path) -> RawTable:
    """Read a file by what it holds.

    Raises
    ------
    DataError
        It is missing, too large, or neither CSV nor GeoJSON nor OpenStreetMap's JSON.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as f:
            start = f.read(4096)
    except OSError as e:
        raise DataError(f"{path} cannot be read: {e.strerror or e}.", "Give a CSV or GeoJSON file.") from e
    if start[:4] in (b"PK\x03\x04", b"\x1f\x8b\x08\x00") or start[:2] == b"\x1f\x8b":
        raise DataError(f"{path} is packed, or a workbook.", "Unpack it, or save the sheet as CSV, and import that.")
    if start[:5] in (b"SQLit", b"%PDF-") or start[:1] == b"<":
        raise DataError(f"{path} is no table.", "Give a CSV or GeoJSON file.")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        _check_size(path, size, MOST_JSON)
        return _read_json(path)
    _check_size(path, size, MOST_CSV)
    return _read_csv(path, start)


def _check_size(path: Path, size: int, most: int) -> None:
    if size > most:
        raise DataError(
            f"{path} has {size >> 20:,} MiB; {most >> 20} at most are read.", "Import it country by country."
        )
    if not size:
        raise DataError(f"{path} is empty.", "Give a CSV or GeoJSON file.")


# ------------------------------------------------------------------ CSV


def _read_csv(path: Path, start: bytes) -> RawTable:
    notes: list[str] = []
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return _parse_csv(path, encoding, notes)
    except UnicodeDecodeError:
        notes = ["It is no UTF-8, and was read as Windows-1252: look whether accents are right."]
        return _parse_csv(path, "cp1252", notes)


def _parse_csv(path: Path, encoding: str, notes: list[str]) -> RawTable:
    errors = "replace" if encoding == "cp1252" else "strict"
    with _explained(path), path.open(encoding=encoding, errors=errors, newline="") as f:
        first = f.readline(1 << 20)
        delimiter = max(",;\t|", key=first.count)
        f.seek(0)
        reader = csv.reader(f, delimiter=delimiter)
        header = tuple(name.strip()[:200] for name in next(reader, ()))
        if len(header) < 2 or len(header) > _MOST_COLUMNS:
            raise DataError(f"{path} has {len(header):,} columns in its first line.", "Give a CSV file with a header.")
        rows: list[Sequence[str]] = []
        odd = 0
        for row in reader:
            if len(row) != len(header):
                odd += bool(row)
                continue
            _check_rows(path, len(rows))
            rows.append([cell[:_CELL] for cell in row])
    if odd:
        notes.append(f"{odd:,} lines have more or fewer cells than the header, and were left out.")
    return RawTable(header=header, rows=rows, notes=tuple(notes))


def _check_rows(path: Path, rows: int) -> None:
    if rows >= MOST_ROWS:
        raise DataError(f"{path} has more than {MOST_ROWS:,} rows.", "Import it country by country.")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except csv.Error as e:
        raise DataError(f"{path} cannot be read as CSV: {e}.", "Save it as CSV again.") from e


# ------------------------------------------------------------------ JSON


def _read_json(path: Path) -> RawTable:
    try:
        told = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=lambda name: None)
    except RecursionError as e:
        raise DataError(f"{path} is nested too deeply.", "Give a plain FeatureCollection.") from e
    except (ValueError, MemoryError) as e:
        raise DataError(f"{path} cannot be read as JSON: {str(e)[:120]}.", "Export it as GeoJSON again.") from e
    if isinstance(told, dict) and isinstance(told.get("elements"), list):
        features = [found for e in told["elements"] if (found := _read_element(e)) is not None]
        return _to_table(path, features, len(told["elements"]))
    listed = told.get("features") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise DataError(f"{path} is no FeatureCollection.", "Export it as GeoJSON, or as CSV with lat and lon.")
    crs = json.dumps(told.get("crs") or "crs84", default=str)[:400].lower()
    if not any(name in crs for name in _PLAIN_CRS):
        raise DataError(
            f"{path} names another coordinate system than WGS 84: {crs[:100]}.", "Export it in EPSG:4326 again."
        )
    features = [found for f in listed if (found := _read_feature(f)) is not None]
    return _to_table(path, features, len(listed))


Placed = tuple[float, float, dict[str, str]]


def _to_table(path: Path, features: Sequence[Placed], all: int) -> RawTable:
    if not features:
        raise DataError(f"{path} has no places.", "Export points, or outlines of buildings, as GeoJSON.")
    _check_rows(path, len(features) - 1)
    keys = list(dict.fromkeys(key for _, _, tags in features for key in tags if key not in ("lat", "lon")))
    header = ("lat", "lon", *keys[:_MOST_COLUMNS])
    rows: list[Sequence[str]] = [
        [repr(lat), repr(lon), *(tags.get(key, "") for key in header[2:])] for lat, lon, tags in features
    ]
    lost = all - len(features)
    notes = (f"{lost:,} entries have no place, and were left out.",) if lost else ()
    return RawTable(header=header, rows=rows, notes=notes, placed=True)


def _read_feature(feature: Any) -> Placed | None:
    if not isinstance(feature, dict):
        return None
    place = _middle((feature.get("geometry") or {}) if isinstance(feature.get("geometry"), dict) else {})
    if place is None:
        return None
    given = feature.get("properties")
    tags = _flat(given if isinstance(given, dict) else {})
    tags.setdefault("id", _text(feature.get("id")))
    return place[1], place[0], tags


def _read_element(element: Any) -> Placed | None:
    """Read a node, or the centre of a way, of an Overpass answer."""
    if not isinstance(element, dict) or not isinstance(element.get("tags"), dict):
        return None
    centre = element.get("center")
    at = centre if isinstance(centre, dict) else element
    lat, lon = at.get("lat"), at.get("lon")
    if lat is None or lon is None or not (_is_number(lat) and _is_number(lon)):
        return None
    tags = _flat(element["tags"])
    tags["id"] = f"{_text(element.get('type'))}/{_text(element.get('id'))}"
    return float(lat), float(lon), tags


def _middle(geometry: Mapping[str, Any]) -> tuple[float, float] | None:
    """Give a point, or the middle of the rectangle around anything larger: longitude, latitude."""
    points: list[tuple[float, float]] = []
    left = [geometry.get("coordinates")]
    while left and len(points) < _MOST_POINTS:
        one = left.pop()
        if not isinstance(one, list) or not one:
            continue
        if len(one) >= 2 and _is_number(one[0]) and _is_number(one[1]):
            points.append((float(one[0]), float(one[1])))
        else:
            left.extend(one)
    if not points:
        return None
    lons, lats = [p[0] for p in points], [p[1] for p in points]
    return (min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2


def _flat(tags: Mapping[Any, Any]) -> dict[str, str]:
    """Take texts and numbers of an entry, and of the entries in it (healthsites.io has `attributes`)."""
    found: dict[str, str] = {}
    for key, value in list(tags.items())[:_MOST_COLUMNS]:
        if isinstance(value, dict):
            for inner, v in list(value.items())[:_MOST_COLUMNS]:
                found.setdefault(str(inner)[:200], _text(v))
        else:
            found[str(key)[:200]] = _text(value)
    return found


def _text(value: Any) -> str:
    return str(value)[:_CELL] if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
