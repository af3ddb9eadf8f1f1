"""What many tests share: a home of their own, and the real data sets where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from medloupe.settings import threads
from places import DATA

# An example may wait for the machine; tests that measure time say so themselves.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# The shipped check-ups have tests of their own (starter/test_shipped.py); elsewhere only what a test trains is asked.
os.environ["MEDLOUPE_STARTERS"] = "imagenet"

# PyTorch's threads wait for each other asleep: spinning, they take the cores from whatever else a shared machine does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Workers of pytest-xdist share the cores: each computes on its part of them, so that they do not crowd each other.
# Servers are let off (live.py), as what they do with several threads is what is tested.
if "PYTEST_XDIST_WORKER" in os.environ:
    part = str(max(1, threads() // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])))
    for variable in ("MEDLOUPE_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, part)

# fixtures: a trained model, servers, databases
pytest_plugins = [
    *("trained", "live", "clinic", "postgres", "browsing", "severallive", "ecgmodels", "ecgsets", "choices", "axe"),
    "detectors",
    "objectstorage",
    "site_of_files",
    "placed",
    "pocket",
    "rays",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not DATA.is_dir():
        absent = pytest.mark.skip(reason=f"the real data sets are not there: {DATA}")
        for item in items:
            if item.get_closest_marker("realdata"):
                item.add_marker(absent)


@pytest.fixture(scope="session")
def real_sets() -> Path:
    """The folder of the real data sets, for tests marked `realdata`."""
    return DATA


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MEDLOUPE_HOME of this test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MEDLOUPE_HOME", str(folder))
    return folder
