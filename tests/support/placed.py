"""A server whose home has the model `spots` and two lists of facilities, around 0.5 S, 36 E."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from live import Live, running
from madeplaces import feature, healthsites, master, save_geojson
from medloupe.facilities.reading import Told, read_facilities
from medloupe.facilities.storage import FacilityStore
from trained import Trained

HOSTILE = "<img src=x onerror=alert(1)>"
HERE = (-0.512345, 36.006789)
"""A position whose digits stand nowhere else."""


@pytest.fixture(scope="session")
def placed(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    root = tmp_path_factory.mktemp("placed")
    home = root / "home"
    shutil.copytree(_trained.home, home)
    lists, _ = read_facilities(healthsites(root / "a.csv"), Told())
    more, _ = read_facilities(master(root / "b.csv"), Told(source="WHO/KEMRI", date="2019"))
    odd = [feature(36.05, -0.45, name=HOSTILE, amenity="clinic", phone='"><b>', opening_hours="=1+1")]
    own, _ = read_facilities(save_geojson(root / "own.geojson", odd), Told(source="Our own <i>list</i>"))
    FacilityStore(home).add([*lists, *more, *own])
    with running(home, "--keep-images") as server:
        yield server
