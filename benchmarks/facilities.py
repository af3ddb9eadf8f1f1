"""Whether the nearest facilities are the nearest, how long that takes, and what reading and joining a list does.

    python benchmarks/facilities.py [--data ../shared/data] [--positions 10000]

From random positions (in the rectangle of the list, all over the Earth, at its poles and date line) the five nearest
are compared with brute force in float64 by another formula (Vincenty's for a sphere, with atan2 in place of the
haversine). Milliseconds are of one search, by the clock and of the processor; on a busy machine only these mean much.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np

from medloupe.facilities.directory import Directory
from medloupe.facilities.facility import KINDS
from medloupe.facilities.geodesy import EARTH_KM
from medloupe.facilities.reading import Told, read_facilities
from medloupe.facilities.storage import FacilityStore

NEAREST = 5


def distances(lat: float, lon: float, lats: np.ndarray, lons: np.ndarray) -> np.ndarray:
    """Kilometres by the formula that is exact everywhere; lats, lons in radians."""
    p, turn = math.radians(lat), lons - math.radians(lon)
    east = np.cos(lats) * np.sin(turn)
    north = math.cos(p) * np.sin(lats) - math.sin(p) * np.cos(lats) * np.cos(turn)
    along = math.sin(p) * np.sin(lats) + math.cos(p) * np.cos(lats) * np.cos(turn)
    return EARTH_KM * np.arctan2(np.hypot(east, north), along)


def positions(number: int, directory: Directory) -> np.ndarray:
    """(number, 2): half around the list, the others anywhere, a tenth of these at poles and date line."""
    draw = np.random.default_rng(22)
    lats, lons = directory.positions
    half = number // 2
    near = np.stack(
        [draw.uniform(lats.min() - 2, lats.max() + 2, half), draw.uniform(lons.min() - 2, lons.max() + 2, half)], 1
    )
    rest = number - half
    lat = np.degrees(np.arcsin(draw.uniform(-1, 1, rest)))
    lon = draw.uniform(-180, 180, rest)
    lat[::20] = np.where(draw.random(len(lat[::20])) < 0.5, 90.0, -90.0)
    lon[1::20] = np.where(draw.random(len(lon[1::20])) < 0.5, 180.0, -180.0)
    return np.concatenate([near, np.stack([lat, lon], 1)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--positions", type=int, default=10_000)
    told = parser.parse_args()
    spent = [time.process_time()]
    lists, _ = read_facilities(told.data / "facilities" / "hospitals_africa.csv", Told(date="2021-06"))
    spent.append(time.process_time())
    with tempfile.TemporaryDirectory() as folder:
        store = FacilityStore(Path(folder))
        store.add(lists)
        spent.append(time.process_time())
        directory = store.load()
        spent.append(time.process_time())
        size = store.path.stat().st_size
    read, joined, loaded = np.diff(spent)
    across = sum(len({directory.list_of[i] for i in group}) > 1 for group in directory.groups)
    twice = len(directory.groups) - across
    print(f"{len(directory.places):,} entries are {directory.count:,} places; {directory.joined:,} were joined:")
    print(f"{across:,} places that two lists name, {twice:,} that one names twice. File: {size / 1e3:,.0f} kB.")
    print(
        f"Processor seconds: reading and checking {read:.2f}, joining and writing {joined:.2f}, loading {loaded:.2f}."
    )
    lats, lons = map(np.radians, directory.positions)
    worst, wrong, times, works = 0.0, 0, [], []
    where = positions(told.positions, directory)
    for lat, lon in where.tolist():
        began, worked = time.perf_counter(), time.thread_time()
        found = directory.near(lat, lon, KINDS, limit=NEAREST, within_km=math.inf)
        works.append(1000 * (time.thread_time() - worked))
        times.append(1000 * (time.perf_counter() - began))
        true = np.sort(distances(lat, lon, lats, lons))[:NEAREST]
        off = np.abs(np.array([near.km for near in found.places]) - true).max()
        worst, wrong = max(worst, float(off)), wrong + bool(off > 1e-6)
    print(f"{len(where):,} positions: {wrong} differ from brute force by over 1 mm, the most by {1e6 * worst:.1g} mm.")
    for name, spent in (("by the clock", times), ("of the processor", works)):
        p50, p99, most = np.percentile(spent, (50, 99, 100))
        print(f"Milliseconds {name}: median {p50:.2f}, p99 {p99:.2f}, longest {most:.2f}.")


if __name__ == "__main__":
    main()
