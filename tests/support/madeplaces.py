"""Lists of facilities that were never anywhere, as the well-known sources write them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    "X Y osm_id amenity healthcare name source speciality operational_status opening_hours beds emergency"
    " contact_number addr_city changeset_timestamp"
)
HEALTHSITES = tuple(COLUMNS.split())
MASTER = ("Country", "Admin1", "Facility name", "Facility type", "Ownership", "Lat", "Long", "LL source")


def save_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def healthsites(path: Path) -> Path:
    """As healthsites.io exports a country; around 0.5 S, 36 E."""
    lakeside = {"speciality": "surgery;paediatrics", "operational_status": "operational", "opening_hours": "24/7"}
    lakeside |= {"beds": "120", "emergency": "yes", "contact_number": "+254 700 000 001; 0700 2"}
    hill = {"source": "GPS", "opening_hours": "Mo-Fr 08:00-17:00", "emergency": "no"}
    places: list[tuple[float, float, str, str, dict[str, str]]] = [
        (36.001, -0.501, "hospital", "Lakeside Hospital", {**lakeside, "source": "survey", "addr_city": "Laketown"}),
        (36.021, -0.5, "clinic", "Hill Clinic", hill),
        (36.2, -0.7, "hospital", "Far Health Centre", {"addr_city": "Fartown"}),
        (36.0, -0.52, "pharmacy", "Market Pharmacy", {}),
        (36.0, -0.53, "veterinary", "Cow Clinic", {}),
        (36.0, -0.54, "clinic", "Old Clinic", {"operational_status": "closed"}),
        (36.3, -0.6, "doctors", "", {}),
    ]
    rows = []
    for number, (lon, lat, amenity, name, more) in enumerate(places, 11):
        given = {"X": lon, "Y": lat, "osm_id": number, "amenity": amenity, "name": name, **more}
        rows.append([{"changeset_timestamp": "2024-05-06 07:08:09", **given}.get(key, "") for key in HEALTHSITES])
    return save_csv(path, HEALTHSITES, rows)


def master(path: Path) -> Path:
    """As WHO's master list has them; the first is Lakeside Hospital again, 200 m away."""
    rows = [
        ("Kenya", "Lake", "Lakeside District Hospital", "District Hospital", "MoH", "-0.5025", "36.002", "GPS"),
        ("Kenya", "Lake", "Ridge Dispensary", "Dispensary", "MoH", "-0.55", "36.05", "GPS"),
        ("Kenya", "Lake", "Nowhere Hospital", "Hospital", "MoH", "", "", ""),
    ]
    return save_csv(path, MASTER, rows)


def feature(lon: float, lat: float, **tags: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": tags}


def save_geojson(path: Path, features: Sequence[Mapping[str, Any]], **more: Any) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features), **more}), "utf-8")
    return path
